import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import postgres from 'postgres'
import { readRecords } from '../../src/record/index.ts'
import { type BareGate, startBareGate } from '../helpers/bare-gate.ts'
import { type Database, freshDatabase, postgres15, postgres18 } from '../helpers/postgres.ts'
import {
  bind,
  copyData,
  copyDone,
  describe_,
  execute,
  fieldsOf,
  parse,
  query,
  RawClient,
  type RawFrame,
  sync,
} from '../helpers/raw.ts'

/** What a session looks like from outside, by the status its client was told. */
const STATES: Readonly<Record<string, string>> = {
  I: 'idle',
  T: 'idle in transaction',
  E: 'idle in transaction (aborted)',
}

/** Somebody who may read and write, and nothing else. */
describe('refused statements', () => {
  for (const [version, start] of Object.entries({ 15: postgres15, 18: postgres18 })) {
    describe(`PostgreSQL ${version}`, () => {
      let database: Database
      let gate: BareGate

      before(async () => {
        database = await freshDatabase(await start(), 'refusals')
        gate = await startBareGate(database, { may: ['read', 'write'] })
      })

      beforeEach(() =>
        database.query('drop table if exists t; create table t (i int); insert into t values (0)'),
      )

      after(async () => {
        await gate.close()
        await database.drop()
      })

      const rows = async () => {
        const found = await database.query('select i from t order by i')
        return found.rows.map(({ i }) => i)
      }

      /** The server sees the session in the state that its client was told. */
      const assertAgreed = async (pid: number, status: string) => {
        const deadline = Date.now() + 5_000
        for (;;) {
          const { rows: found } = await database.query(
            'select state from pg_stat_activity where pid = $1',
            [pid],
          )
          if (found[0]?.state === STATES[status]) return
          assert.ok(Date.now() < deadline, `told ${status}, but the server is ${found[0]?.state}`)
          await wait(10)
        }
      }

      describe('by hand', () => {
        let client: RawClient
        let pid = 0

        beforeEach(async () => {
          pid = 0
          client = await RawClient.open(gate.port, { user: 'x', database: database.name })
          const [pidRow] = (await ask(query('select pg_backend_pid()'))).rows
          pid = Number(pidRow)
        })

        afterEach(() => {
          client.socket.destroy()
        })

        /** Says something that ends in one ReadyForQuery, and checks that both sides agree after it. */
        const ask = async (...messages: readonly Buffer[]) => {
          client.send(...messages)
          const frames = await client.until(({ tag }) => tag === 'Z')
          const status = frames.at(-1)?.body.toString() ?? ''
          if (pid !== 0) await assertAgreed(pid, status)
          return {
            tags: frames.map(({ tag }) => tag).join(''),
            status,
            errors: frames.filter(({ tag }) => tag === 'E').map(one => fieldsOf(one).C),
            rows: frames.filter(({ tag }) => tag === 'D').map(firstColumn),
          }
        }
        const txid = async () => (await ask(query('select txid_current()'))).rows[0]

        it('leave a session alone', async () => {
          const refused = await ask(query('drop table t'))
          assert.deepEqual([refused.tags, refused.errors, refused.status], ['EZ', ['42501'], 'I'])
          assert.deepEqual((await ask(query('select i from t'))).rows, ['0'])
        })

        it('take the other statements of their query along', async () => {
          const refused = await ask(query('insert into t values (1); drop table t'))
          assert.deepEqual([refused.tags, refused.errors], ['EZ', ['42501']])
          assert.deepEqual(await rows(), [0])
        })

        it('abort their transaction, of which nothing stays', async () => {
          await ask(query('begin'))
          const before = await txid()
          await ask(query('insert into t values (1)'))
          const refused = await ask(query('drop table t'))
          assert.deepEqual([refused.errors, refused.status], [['42501'], 'E'])
          const next = await ask(query('select 1'))
          assert.deepEqual([next.errors, next.status], [['25P02'], 'E'])
          assert.equal((await ask(query('commit'))).status, 'I')
          assert.deepEqual(await rows(), [0])
          await ask(query('begin'))
          assert.notEqual(await txid(), before)
          await ask(query('rollback'))
        })

        it('are undone by a savepoint, and the transaction goes on', async () => {
          await ask(query('begin'))
          const before = await txid()
          await ask(query('insert into t values (1)'))
          await ask(query('savepoint a'))
          await ask(query('insert into t values (2)'))
          assert.equal((await ask(query('drop table t'))).status, 'E')
          const back = await ask(query('rollback to a'))
          assert.deepEqual([back.tags, back.status], ['CZ', 'T'])
          assert.equal(await txid(), before)
          await ask(query('insert into t values (3)'))
          assert.equal((await ask(query('commit'))).status, 'I')
          assert.deepEqual(await rows(), [0, 1, 3])
        })

        it('skip the rest of their pipeline, and undo what stood before them', async () => {
          const one = (text: string) => [parse(text), bind(), describe_('P'), execute()]
          const answer = await ask(
            ...one('insert into t values (1)'),
            ...one('drop table t'),
            ...one('insert into t values (2)'),
            sync,
          )
          assert.deepEqual([answer.tags, answer.errors], ['12nCEZ', ['42501']])
          assert.deepEqual([answer.status, await rows()], ['I', [0]])
          const next = await ask(...one('insert into t values (3)'), sync)
          assert.deepEqual([next.tags, await rows()], ['12nCZ', [0, 3]])
        })

        it('leave what stood behind a Sync before them', async () => {
          client.send(parse('insert into t values (1)'), bind(), execute(), sync)
          client.send(parse('drop table t'), bind(), execute(), sync)
          client.send(parse('insert into t values (2)'), bind(), execute(), sync)
          const heard: RawFrame[] = []
          for (const _ of [1, 2, 3]) heard.push(...(await client.until(({ tag }) => tag === 'Z')))
          assert.equal(heard.map(({ tag }) => tag).join(''), '12CZEZ12CZ')
          assert.deepEqual(await rows(), [0, 1, 2])
        })

        it('are refused at Parse in a transaction, which is aborted', async () => {
          await ask(parse('begin'), bind(), execute(), sync)
          const refused = await ask(parse('drop table t', 's'), describe_('S', 's'), sync)
          assert.deepEqual([refused.tags, refused.errors, refused.status], ['EZ', ['42501'], 'E'])
          const back = await ask(parse('rollback'), bind(), execute(), sync)
          assert.deepEqual([back.tags, back.status], ['12CZ', 'I'])
          // The name was never taken.
          const again = await ask(parse('select 7', 's'), bind([], '', 's'), execute(), sync)
          assert.deepEqual([again.tags, again.rows], ['12DCZ', ['7']])
        })

        it('are refused wherever they hide', async () => {
          for (const text of [
            `prepare s as select pg_read_file('PG_VERSION')`,
            'explain analyze create table u as select 1',
            'create temp table u (i int)',
            'select 1 into u',
            'do $$ begin drop table t; end $$',
            'create function f() returns int language sql as $$ select 1 $$',
            'begin; drop table t; commit',
            'copy t to program $$cat$$',
            'set role postgres',
            'set session authorization postgres',
            `select set_config('role', 'postgres', false)`,
            `select pg_read_file('PG_VERSION')`,
            'alter system set work_mem = 1',
            'vacuum full t',
            'truncate t; drop table t',
            'grant all on t to public',
          ]) {
            const refused = await ask(query(text))
            assert.deepEqual(refused.errors, ['42501'], text)
            assert.equal(refused.status, 'I')
          }
          assert.deepEqual(await rows(), [0])
        })

        it('take no copy data', async () => {
          const messages = [
            query('copy u from stdin; create table u ()'),
            copyData('1\n'),
            copyDone,
          ]
          const refused = await ask(...messages)
          assert.deepEqual([refused.tags, refused.errors], ['EZ', ['42501']])
          assert.deepEqual((await ask(query('select i from t'))).rows, ['0'])
        })

        it('are on record as denied, and never reach the server', async () => {
          await ask(query(`drop table t /* ${pid} */`))
          const denied: string[] = []
          const deadline = Date.now() + 5_000
          while (denied.length === 0 && Date.now() < deadline) {
            for await (const { record } of readRecords(gate.auditDirectory)) {
              if (record.type === 'denied' && record.text?.includes(`/* ${pid} */`))
                denied.push(record.rule)
            }
            await wait(20)
          }
          assert.equal(denied.length, 1)
          const { rows: last } = await database.query(
            'select query from pg_stat_activity where pid = $1',
            [pid],
          )
          assert.match(last[0]?.query, /dbgate refused a statement here/)
        })
      })

      describe('in drivers', () => {
        it('are an error of pg like any other', async () => {
          const client = new pg.Client({ connectionString: gate.url })
          await client.connect()
          try {
            const refused = { code: '42501', severity: 'ERROR' }
            await assert.rejects(client.query('drop table t'), refused)
            await assert.rejects(client.query('drop table t /* $1 */', []), refused)
            const named = { name: 's', text: 'create table u (i int)' }
            await assert.rejects(client.query(named), refused)
            await assert.rejects(client.query(named), refused)
            const { rows: found } = await client.query('select $1::int as one', [1])
            assert.deepEqual(found, [{ one: 1 }])
            await client.query('begin')
            await client.query('insert into t values (1)')
            await assert.rejects(client.query('drop table t'), refused)
            await assert.rejects(client.query('select 1'), { code: '25P02' })
            await client.query('rollback')
            assert.deepEqual(await rows(), [0])
          } finally {
            await client.end()
          }
        })

        it('do not disturb the queries pg has queued', async () => {
          const client = new pg.Client({ connectionString: gate.url })
          await client.connect()
          try {
            const answers = await Promise.allSettled([
              client.query('insert into t values ($1)', [1]),
              client.query('drop table t'),
              client.query('insert into t values ($1)', [2]),
              client.query('create table u (i int)', []),
              client.query('select count(*)::int as n from t'),
            ])
            assert.deepEqual(
              answers.map(({ status }) => status),
              ['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled'],
            )
            assert.deepEqual(await rows(), [0, 1, 2])
          } finally {
            await client.end()
          }
        })

        it('do not disturb the pipeline of postgres', async () => {
          const sql = postgres(gate.url, { max: 1, onnotice: () => {} })
          try {
            const answers = await Promise.allSettled([
              sql`insert into t values (${1})`,
              sql`drop table t`,
              sql`insert into t values (${2})`,
              sql`create table u (i int)`,
              sql`select count(*)::int as n from t`,
            ])
            assert.deepEqual(
              answers.map(answer => (answer.status === 'fulfilled' ? 'done' : answer.reason.code)),
              ['done', '42501', 'done', '42501', 'done'],
            )
            assert.deepEqual(await rows(), [0, 1, 2])
            const failing = sql.begin(async inside => {
              await inside`insert into t values (3)`
              await inside`drop table t`
            })
            await assert.rejects(failing, { code: '42501' })
            await sql.begin(async inside => {
              await inside`insert into t values (4)`
              await assert.rejects(
                inside.savepoint(nested => nested`drop table t`),
                { code: '42501' },
              )
              await inside`insert into t values (5)`
            })
            assert.deepEqual(await rows(), [0, 1, 2, 4, 5])
          } finally {
            await sql.end()
          }
        })

        it('end with the transaction whose changes nobody else could see', async () => {
          const building = await startBareGate(database, { may: ['read', 'write', 'ddl'] })
          const client = new pg.Client({ connectionString: building.url })
          await client.connect()
          try {
            await client.query('begin')
            await client.query('create or replace function f() returns int language sql return 7')
            // Nobody else can see yet what it does.
            await assert.rejects(client.query('select f()'), { code: '42501' })
            await client.query('rollback')
            await client.query('create or replace function f() returns int language sql return 7')
            const { rows: found } = await client.query('select f()')
            assert.deepEqual(found, [{ f: 7 }])
          } finally {
            await client.end()
            await building.close()
          }
        })

        it('end a copy that may not begin, and nothing else', async () => {
          const reading = await startBareGate(database, { may: ['read'] })
          const client = new pg.Client({ connectionString: reading.url })
          await client.connect()
          try {
            const stream = client.query(copyFrom('copy t from stdin'))
            const failed = new Promise((_, reject) => stream.once('error', reject))
            stream.write('1\n')
            stream.end('2\n')
            await assert.rejects(failed, { code: '42501' })
            const { rows: found } = await client.query('select i from t')
            assert.deepEqual(found, [{ i: 0 }])
            // The database refuses it too, should the gate be mistaken.
            const { rows: settings } = await client.query('show default_transaction_read_only')
            assert.deepEqual(settings, [{ default_transaction_read_only: 'on' }])
          } finally {
            await client.end()
            await reading.close()
          }
        })
      })
    })
  }
})

function firstColumn({ body }: RawFrame): string {
  return body.toString('utf8', 6, 6 + body.readInt32BE(2))
}
