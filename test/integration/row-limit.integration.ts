import assert from 'node:assert/strict'
import pg from 'pg'
import type { PolicyDocument } from '../../src/config/index.ts'
import { type AuditRecord, readRecords } from '../../src/record/index.ts'
import { type BareGate, startBareGate } from '../helpers/bare-gate.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import { bind, execute, fieldsOf, flush, parse, query, RawClient, sync } from '../helpers/raw.ts'
import { run } from '../helpers/run.ts'

const MAX = 100
const OVER = {
  code: '54000',
  severity: 'ERROR',
  message: `dbgate: limit, more than ${MAX} rows (limit on test). Next: add a LIMIT or an aggregate.`,
}

/** `few` is over as soon as it has begun, so that a stop comes too late for it; `many` is not. */
const few = `select i from generate_series(1, ${MAX + 1}) as i`
const many = 'select i, md5(i::text) from generate_series(1, 3000000) as i'

describe('limit of rows', () => {
  let database: Database
  let gate: BareGate
  const clients: (pg.Client | RawClient)[] = []

  before(async () => {
    database = await freshDatabase(await postgres18(), 'rows')
    await database.query('create table t as select i from generate_series(1, 500) as i')
  })

  after(() => database.drop())

  afterEach(async () => {
    for (const client of clients.splice(0)) {
      if (client instanceof RawClient) client.socket.destroy()
      else await client.end()
    }
    await gate.close()
  })

  const start = async (over: 'error' | 'cut' = 'error') => {
    const limit: NonNullable<PolicyDocument['limits']>[number] = {
      on: ['*'],
      roles: undefined,
      rows: { max: MAX, over },
      timeMs: undefined,
      connections: undefined,
      statementsPerMinute: undefined,
      at: 'policy.yaml:1',
    }
    gate = await startBareGate(database, { policy: { limits: [limit] } })
  }
  const client = async () => {
    const one = new pg.Client({ connectionString: gate.url })
    one.on('error', () => undefined)
    await one.connect()
    clients.push(one)
    return one
  }
  const raw = async () => {
    const one = await RawClient.open(gate.port, { user: 'postgres', database: database.name })
    clients.push(one)
    return one
  }
  /** What came up to ReadyForQuery, rows left out, as `tag`, with its SQLSTATE, its status or its command tag. */
  const answerTo = async (one: RawClient, ...messages: Buffer[]) => {
    one.send(...messages)
    const frames = await one.until(({ tag }) => tag === 'Z')
    const rows = frames.filter(({ tag }) => tag === 'D').length
    const others = frames.flatMap(frame => {
      if (frame.tag === 'E') return [`E ${fieldsOf(frame).V} ${fieldsOf(frame).C}`]
      if (frame.tag === 'Z') return [`Z ${frame.body.toString('latin1')}`]
      if (frame.tag === 'C') return [`C ${frame.body.toString('latin1', 0, frame.body.length - 1)}`]
      return frame.tag === 'N' ? ['N'] : []
    })
    return [rows, ...others]
  }

  for (const [what, text] of [
    ['stops what brings too many rows', many],
    ['fails what is complete before it can be stopped', few],
  ] as const) {
    it(`${what}, and the session goes on`, async () => {
      await start()
      const one = await client()
      for (const values of [undefined, []]) {
        await assert.rejects(one.query(text, values), OVER)
        const same = await one.query(`select i from generate_series(1, ${MAX}) as i`)
        assert.equal(same.rowCount, MAX)
      }
    })

    it(`${what}, and aborts the transaction on both sides`, async () => {
      await start()
      const one = await raw()
      for (const ask of [[query(text)], [parse(text), bind([]), execute(''), sync]]) {
        assert.deepEqual(await answerTo(one, query('begin')), [0, 'C BEGIN', 'Z T'])
        assert.deepEqual(await answerTo(one, ...ask), [MAX, 'E ERROR 54000', 'Z E'])
        assert.deepEqual(await answerTo(one, query('select 1')), [0, 'E ERROR 25P02', 'Z E'])
        assert.deepEqual(await answerTo(one, query('rollback')), [0, 'C ROLLBACK', 'Z I'])
      }
    })

    it(`${what}, also where no Sync has been sent yet`, async () => {
      await start()
      const one = await raw()
      one.send(parse('insert into t values (-1)'), bind([]), execute(''))
      one.send(parse(text), bind([]), execute(''), flush)
      const frames = await one.until(({ tag }) => tag === 'E')
      assert.equal(fieldsOf(frames.at(-1) ?? { tag: '', body: Buffer.alloc(1) }).C, '54000')
      assert.deepEqual(await answerTo(one, sync), [0, 'Z I'])
      const found = await database.query('select count(*) as n from t where i = -1')
      assert.equal(String(found.rows[0]?.n), '0')
    })
  }

  it('keeps to it over all the Executes of a portal', async () => {
    await start()
    const one = await raw()
    const ask = [parse(many), bind([], 'p'), execute('p', 60), execute('p', 60), sync]
    assert.deepEqual(await answerTo(one, query('begin')), [0, 'C BEGIN', 'Z T'])
    assert.deepEqual(await answerTo(one, ...ask), [MAX, 'E ERROR 54000', 'Z E'])
  })

  it('ends the session where an error would tell less than the truth', async () => {
    await start()
    const one = await raw()
    one.send(query(`insert into t values (-2); ${few}`))
    const frames = await one.until(() => false)
    const last = frames.at(-1)
    assert.ok(last !== undefined)
    assert.deepEqual([fieldsOf(last).V, fieldsOf(last).C], ['FATAL', '54000'])
  })

  it('lets what follows run only once the database has heard of the stop', async () => {
    await start()
    const one = await raw()
    for (let round = 0; round < 20; round += 1) {
      assert.deepEqual(await answerTo(one, query(few)), [MAX, 'E ERROR 54000', 'Z I'])
      assert.deepEqual(await answerTo(one, query('select pg_sleep(0.002)')), [
        1,
        'C SELECT 1',
        'Z I',
      ])
    }
  })

  it('stops a COPY, which can not be cut', async () => {
    await start('cut')
    const one = await raw()
    const answer = await answerTo(one, query(`copy (${many}) to stdout`))
    assert.deepEqual(answer, [0, 'E ERROR 54000', 'Z I'])
    const whole = await answerTo(
      one,
      query(`copy (${many} limit ${MAX}) to stdout (format csv, header)`),
    )
    assert.deepEqual(whole, [0, `C COPY ${MAX}`, 'Z I'])
  })

  it('cuts, says so, and says how many rows there are', async () => {
    await start('cut')
    const one = await client()
    const notices: string[] = []
    one.on('notice', notice => notices.push(notice.message ?? ''))
    for (const values of [undefined, []]) {
      const result = await one.query('select i from t', values)
      assert.equal(result.rows.length, MAX)
      assert.equal(result.rowCount, MAX)
    }
    const said = `dbgate: limit, only the first ${MAX} rows are shown (limit on test).`
    assert.deepEqual(notices, [said, said])
    const psql = await run('psql', ['-XAt', '-c', 'select i from t', gate.url])
    assert.equal(psql.stdout.toString().trim().split('\n').length, MAX)
    assert.match(psql.stderr.toString(), /NOTICE: {2}dbgate: limit, only the first 100 rows/)
  })

  it('never fails what has changed something', async () => {
    await start()
    const one = await client()
    const changed = await one.query('update t set i = i where i > 0 returning i')
    assert.equal(changed.rows.length, MAX)
    assert.equal(changed.rowCount, 500)
  })

  it('has on record what was sent, and that it failed', async () => {
    await start()
    const one = await client()
    for (const text of [few, many]) await assert.rejects(one.query(text), OVER)
    await one.end()
    clients.length = 0
    const completed = async () => {
      const records: AuditRecord[] = []
      for await (const { record } of readRecords(gate.auditDirectory)) records.push(record)
      return records.flatMap(each =>
        each.type === 'completed' ? [[each.outcome, each.sqlstate, each.rows]] : [],
      )
    }
    const deadline = Date.now() + 10_000
    while ((await completed()).length < 2 && Date.now() < deadline) {
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    assert.deepEqual(await completed(), [
      ['error', '54000', MAX],
      ['error', '54000', MAX],
    ])
  })
})
