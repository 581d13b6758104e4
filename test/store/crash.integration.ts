import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { eventually } from '../record/builders.ts'
import { Place, tell } from './builders.ts'

const CHILD = join(import.meta.dirname, 'indexer-child.ts')
const STATEMENTS = 8_000
const ROUNDS = 4

/** Runs the child and kills it `killAfterMs` after it began; returns whether it had finished before. */
async function build(logDir: string, file: string, killAfterMs: number): Promise<boolean> {
  const child = spawn(process.execPath, [CHILD, logDir, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  let said = ''
  child.stdout.on('data', chunk => {
    said += String(chunk)
  })
  await eventually(() => said.includes('ready') || child.exitCode !== null || undefined, 15_000)
  const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs)
  const [code] = await exited
  clearTimeout(timer)
  return code === 0
}

/** Everything the tables hold. */
function contentOf(file: string): unknown {
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    const all = (sql: string) => db.prepare(sql).all()
    return {
      statements: all('SELECT * FROM statements ORDER BY n'),
      sessions: all('SELECT * FROM sessions ORDER BY number'),
      position: all('SELECT * FROM position'),
      words: all(`SELECT rowid AS n FROM words WHERE words MATCH '"class=write" NOT "stale"'`),
    }
  } finally {
    db.close()
  }
}

describe('store after a crash', () => {
  it(`holds each statement once after ${ROUNDS} kills -9 in the middle of indexing`, async function () {
    this.timeout(90_000)
    const place = new Place()
    const fresh = `${place.file}.fresh`
    try {
      const log = await place.openLog()
      const statements = Array.from({ length: STATEMENTS }, (_, index) => ({
        session: { id: `s-${index % 20}` },
        text: `UPDATE t${index % 7} SET a = '${index % 3 === 0 ? 'stale' : index}'`,
        statements: [{ kind: 'UPDATE', class: index % 2 === 0 ? 'write' : 'read', relations: [] }],
        end: { rows: index },
      }))
      tell(log, statements)
      let killed = 0
      for (let round = 0; round < ROUNDS; round++) {
        if (!(await build(place.logDir, place.file, 20 + Math.random() * 300))) killed++
      }
      assert.ok(killed > 0)
      const index = await place.openIndex()
      assert.equal((await index.status()).statements, STATEMENTS)
      await index.close()
      assert.equal(await build(place.logDir, fresh, 60_000), true)
      assert.deepEqual(contentOf(place.file), contentOf(fresh))
    } finally {
      await place.close()
    }
  })
})
