import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { type AuditRecord, readRecords, verifyLog } from '../../src/record/index.ts'
import { EVERYTHING, startGate, type TestGate } from '../helpers/gate.ts'
import {
  type Database,
  freshDatabase,
  ownPostgres,
  postgres18,
  type Upstream,
} from '../helpers/postgres.ts'
import { run, until } from '../helpers/run.ts'

describe('nothing unrecorded', function () {
  this.timeout(120_000)

  describe('kill -9 in the middle of pgbench', () => {
    let upstream: Upstream
    let database: Database
    let directory: string

    before(async () => {
      directory = await mkdtemp(join(tmpdir(), 'dbgate-killed-'))
      // PostgreSQL writes each statement to its own log before it runs it: the other side's count.
      const settings = { log_statement: `'all'`, max_connections: '100' }
      upstream = await ownPostgres(18, { settings })
      database = await freshDatabase(upstream, 'killed')
      await database.query('create table pgbench_target (n bigint)')
    })

    after(async () => {
      await upstream.running.stop()
      await rm(directory, { recursive: true, force: true })
    })

    for (const mode of ['simple', 'extended', 'prepared']) {
      it(`has every statement PostgreSQL saw on file, in mode ${mode}`, async () => {
        await truncate(upstream.running.logFile)
        const state = join(directory, mode)
        const gate = await gateFor(database, { state, inChild: true })
        const { url } = await gate.connect('work')
        const marked = join(gate.directory, 'script.sql')
        await writeFile(marked, '\\set n random(1, 1000000000000)\nselect :n;\n')
        const args = ['-n', '-M', mode, '-f', marked, '-c', '8', '-T', '30', url]
        const bench = run('pgbench', args, { cwd: gate.directory })
        await until('pgbench is well under way', async () => (await seen(mode)).length > 1500)
        gate.child?.kill('SIGKILL')
        await bench
        const reached = await until('PostgreSQL has ended its sessions', async () => {
          const before = (await seen(mode)).length
          await new Promise(resolve => setTimeout(resolve, 100))
          const after = await seen(mode)
          return after.length === before ? after : undefined
        })
        const recorded = counted(await statements(gate.auditDirectory))
        const missing = [...counted(reached)].filter(([n, times]) => (recorded.get(n) ?? 0) < times)
        assert.deepEqual(missing, [])
        await gate.close()
        await goesOn(state)
      })
    }

    /** The numbers that reached PostgreSQL, from its log. */
    async function seen(mode: string): Promise<string[]> {
      const log = await readFile(upstream.running.logFile, 'utf8')
      const pattern =
        mode === 'simple'
          ? /LOG: {2}statement: select (\d+);/g
          : /LOG: {2}execute [^:]+: select \$1;\n.*DETAIL: {2}Parameters: \$1 = '(\d+)'/gi
      return [...log.matchAll(pattern)].map(match => match[1] ?? '')
    }

    /** A new server on the same files starts, serves, and the chain is whole before and after. */
    async function goesOn(state: string): Promise<void> {
      assert.equal((await verifyLog(join(state, 'audit'))).isWhole, true)
      const gate = await gateFor(database, { state })
      const { url } = await gate.connect('work')
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      await client.query('select 424242')
      await client.end()
      await gate.close()
      assert.equal((await verifyLog(gate.auditDirectory)).isWhole, true)
      assert.ok((await statements(gate.auditDirectory)).includes('424242'))
    }
  })

  describe('a full disk', () => {
    let database: Database
    let state: string
    let gate: TestGate
    let client: pg.Client
    const isRoot = process.getuid?.() === 0

    before(async () => {
      database = await freshDatabase(await postgres18(), 'full')
      await database.query('create table effects (n int)')
      state = await mkdtemp(join(tmpdir(), 'dbgate-full-'))
      if (isRoot) execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', state])
      // Without root the disk is not full, but files may not grow: the same to whoever writes.
      const childPrefix = isRoot ? [] : ['prlimit', `--fsize=${512 * 1024}:unlimited`]
      gate = await gateFor(database, { state, inChild: true, childPrefix })
      client = new pg.Client({ connectionString: (await gate.connect('work')).url })
      await client.connect()
    })

    after(async () => {
      try {
        await client.end()
        await gate.close()
      } finally {
        if (isRoot) execFileSync('umount', ['-l', state])
        await rm(state, { recursive: true, force: true })
        await database.drop()
      }
    })

    it('refuses with 58030 what it cannot record, runs none of it, and says so in /health', async () => {
      assert.equal(await health(), 200)
      let ran = 0
      const fill = async (padding: string) => {
        try {
          await client.query(`insert into effects values (${ran})${padding}`)
          ran += 1
          return undefined
        } catch (thrown) {
          return thrown
        }
      }
      const filling = () => fill(` /* ${'x'.repeat(2000)} */`)
      const first = await until('the disk is nearly full', filling, 60_000)
      assert.equal((first as { code: string }).code, '58030')
      await until('not even a short statement fits', () => fill(''), 60_000)
      for (const text of [
        'insert into effects values (-1)',
        'select count(*) from effects where n = 1',
      ]) {
        await assert.rejects(client.query(text), { code: '58030' })
        await assert.rejects(client.query({ text, values: [] }), { code: '58030' })
      }
      const { rows } = await database.query('select count(*)::int as n, min(n) from effects')
      assert.deepEqual(rows, [{ n: ran, min: 0 }])
      assert.equal(await health(), 503)
    })

    it('goes on by itself once there is room, and the log tells of the gap', async () => {
      if (isRoot) execFileSync('mount', ['-o', 'remount,size=32m', state])
      else execFileSync('prlimit', [`--pid=${gate.child?.pid}`, '--fsize=unlimited'])
      await until(
        'statements run again',
        async () => (await client.query('select 1')).rowCount === 1,
      )
      await until('health is green', async () => (await health()) === 200)
      await client.query('insert into effects values (777)')
      const verified = await until('everything is on file', async () => {
        const found = await verifyLog(gate.auditDirectory)
        return found.unfinishedBytes === 0 ? found : undefined
      })
      assert.equal(verified.isWhole, true)
      assert.ok((verified.byType.gap ?? 0) >= 1)
      const texts = await recordsOf(gate.auditDirectory)
      const { rows } = await database.query('select n from effects')
      for (const { n } of rows) {
        assert.ok(
          texts.some(one => one.type === 'statement' && one.text.includes(`values (${n})`)),
          `the insert of ${n} is on file`,
        )
      }
    })

    async function health(): Promise<number> {
      return new Promise((resolve, reject) => {
        const options = { rejectUnauthorized: false, agent: false }
        https
          .get(`${gate.url}/health`, options, response => {
            response.resume()
            resolve(response.statusCode ?? 0)
          })
          .once('error', reject)
      })
    }
  })

  describe('what a record says', () => {
    let database: Database
    let gate: TestGate

    before(async () => {
      database = await freshDatabase(await postgres18(), 'facts')
      gate = await gateFor(database, {})
    })

    after(async () => {
      await gate.close()
      await database.drop()
    })

    it('names who, how, where, what, and how it ended', async () => {
      const client = new pg.Client({ connectionString: (await gate.connect('work')).url })
      await client.connect()
      await client.query('create table facts (n int, t text)')
      await client.query('insert into facts values ($1, $2), (2, null)', [1, 'é'])
      await client.query('select n from facts where n > 0')
      await client.query('select 1/0').catch(() => {})
      await client.end()
      const records = await until('all is on file', async () => {
        const all = await recordsOf(gate.auditDirectory)
        return all.some(({ type }) => type === 'session.end') ? all : undefined
      })
      const statement = records.find(
        one => one.type === 'statement' && one.text.startsWith('insert'),
      )
      assert.ok(statement?.type === 'statement')
      assert.equal(statement.user, 'ana@acme.example')
      assert.equal(statement.target, 'work')
      assert.equal(statement.agent, 'test')
      assert.equal(statement.verdict, 'allow')
      assert.deepEqual(statement.parameters, ['1', 'é'])
      assert.deepEqual(
        statement.statements[0]?.relations.map(({ name, access }) => [name, access]),
        [['facts', 'write']],
      )
      const ends = new Map(
        records.flatMap(one => (one.type === 'completed' ? [[one.id, one] as const] : [])),
      )
      const inserted = ends.get(statement.id)
      assert.deepEqual([inserted?.outcome, inserted?.tag], ['ok', 'INSERT 0 2'])
      const selected = records.find(one => one.type === 'statement' && one.text.includes('where n'))
      assert.ok(selected?.type === 'statement')
      assert.equal(ends.get(selected.id)?.rows, 2)
      const failed = records.find(one => one.type === 'statement' && one.text === 'select 1/0')
      assert.ok(failed?.type === 'statement')
      assert.deepEqual(
        [ends.get(failed.id)?.outcome, ends.get(failed.id)?.sqlstate],
        ['error', '22012'],
      )
    })
  })

  function gateFor(
    database: Database,
    options: { state?: string; inChild?: boolean; childPrefix?: readonly string[] },
  ): Promise<TestGate> {
    const target = {
      upstream: database.upstream,
      databases: [database.name],
      may: { engineering: EVERYTHING },
    }
    return startGate({ targets: { work: target }, ...options })
  }
})

async function recordsOf(directory: string): Promise<AuditRecord[]> {
  const records: AuditRecord[] = []
  for await (const { record } of readRecords(directory)) records.push(record)
  return records
}

/** The number each recorded `select` was about. */
async function statements(directory: string): Promise<string[]> {
  const records = await recordsOf(directory)
  return records.flatMap(one => {
    if (one.type !== 'statement') return []
    const parameter = one.parameters?.[0]
    const number = /^select (\d+)/.exec(one.text)?.[1] ?? parameter
    return typeof number === 'string' ? [number] : []
  })
}

function counted(all: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const one of all) counts.set(one, (counts.get(one) ?? 0) + 1)
  return counts
}
