import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EVERYTHING, startGate, type TestGate } from '../helpers/gate.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import { run, succeed } from '../helpers/run.ts'

const FOLDER = join(import.meta.dirname, 'languages')
const PYTHON = '/usr/bin/python3' // Debian's: its packages are not for any other
const JDBC = '/usr/share/java/postgresql.jar'

/** How to start each program, with the database's URL in the end. Those that cannot run here are not claimed. */
async function programs(): Promise<Record<string, (url: string) => readonly [string, string[]]>> {
  const found: Record<string, (url: string) => readonly [string, string[]]> = {}
  for (const module of ['psycopg2', 'psycopg']) {
    const there = existsSync(PYTHON) && (await run(PYTHON, ['-c', `import ${module}`])).code === 0
    const script = module === 'psycopg' ? 'psycopg3_work.py' : 'psycopg2_work.py'
    if (there) found[module] = url => [PYTHON, [join(FOLDER, script), url]]
  }
  const hasJava = await run('javac', ['-version']).then(
    ({ code }) => code === 0,
    () => false,
  )
  if (hasJava && existsSync(JDBC)) {
    found.pgjdbc = url => {
      const { host, pathname, username, password } = new URL(url)
      const target = `jdbc:postgresql://${host}${pathname}?sslmode=disable`
      return ['java', ['-cp', `${JDBC}:${classes}`, 'JdbcWork', target, username, password]]
    }
  }
  return found
}

let classes = ''
const found = await programs()

describe('drivers of other languages cannot tell', function () {
  this.timeout(60_000)
  let database: Database
  let gate: TestGate
  let through: string

  before(async () => {
    classes = await mkdtemp(join(tmpdir(), 'dbgate-java-'))
    if (found.pgjdbc) {
      await succeed('javac', ['-cp', JDBC, '-d', classes, join(FOLDER, 'JdbcWork.java')])
    }
    database = await freshDatabase(await postgres18(), 'languages')
    const target = {
      upstream: database.upstream,
      databases: [database.name],
      may: { engineering: EVERYTHING },
    }
    gate = await startGate({ targets: { work: target } })
    through = (await gate.connect('work')).url
  })

  after(async () => {
    await gate.close()
    await database.drop()
    await rm(classes, { recursive: true, force: true })
  })

  for (const [name, start] of Object.entries(found)) {
    it(name, async () => {
      const env = { PYTHONIOENCODING: 'utf-8', PYTHONUTF8: '1' }
      const directly = await run(...start(database.url), { env })
      const indirectly = await run(...start(through), { env })
      assert.equal(directly.code, 0, directly.stderr.toString('utf8'))
      assert.ok(directly.stdout.length > 500)
      assert.equal(indirectly.stdout.toString('utf8'), directly.stdout.toString('utf8'))
      assert.equal(complaints(indirectly.stderr), complaints(directly.stderr))
      assert.equal(indirectly.code, 0)
    })
  }
})

/** What a driver complained of, without ports and addresses in memory. */
function complaints(stderr: Buffer): string {
  return stderr.toString('utf8').replace(/port=\d+|0x[0-9a-f]+/g, 'N')
}
