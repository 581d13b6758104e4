import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { PolicyDocument } from '../../src/config/index.ts'
import { type BareGate, startBareGate } from '../helpers/bare-gate.ts'
import { type Database, freshDatabase, postgres15 } from '../helpers/postgres.ts'
import {
  bind,
  close,
  copyDone,
  describe_,
  execute,
  fieldsOf,
  flush,
  parse,
  query,
  RawClient,
  type RawFrame,
  sync,
} from '../helpers/raw.ts'
import { SEED } from '../helpers/seed.ts'

const MARK = 'the end of the case'
const TIME_LIMIT_MS = 8_000
/** In every value that is masked, and in nothing that a statement says. */
const SECRET = /sekret|9\.87654/

const MASK: NonNullable<PolicyDocument['masks']>[number] = {
  on: ['*'],
  roles: undefined,
  via: undefined,
  reveal: [],
  labels: [],
  columns: ['t.s', 't.n', 't.u'],
  values: [],
  mask: { kind: 'redact' },
  filters: undefined,
  writes: undefined,
  derived: undefined,
  at: 'policy.yaml:1',
}

const SETUP = `create table t (i int, s text, n numeric check (n > 0), u text unique deferrable initially deferred);
  insert into t select x, 'sekret ' || x, 9.87654 + x, 'sekret u' || x from generate_series(1, 3) x;
  create table plain (i int, w text);
  insert into plain values (1, 'one'), (2, 'two');
  create view v as select i, s as shown, n from t;`

const statementName = fc.constantFrom('', 's', 't')
const portalName = fc.constantFrom('', 'p', 'c')
const oneText = fc.constantFrom(
  ...['select 1', 'select i, s from t', 'select s, n, u from t', 'select * from plain', 'table v'],
  ...['select s from t union all select w from plain', 'select upper(s) from t', 'select t from t'],
  ...[
    'selec',
    '',
    'select 1/0',
    'select n / 0 from t',
    'select s::int from t',
    'select count(s) from t',
  ],
  ...[
    'update t set n = -n',
    'update t set i = i + 1 returning *',
    'delete from t where i = 9 returning s',
  ],
  ...[
    'insert into t select * from t',
    'insert into plain select i, s from t',
    'insert into plain values (3)',
  ],
  ...[
    'set constraints all immediate',
    'begin',
    'commit',
    'rollback',
    'savepoint a',
    'rollback to a',
  ],
  ...['declare c cursor for select s, i from t', 'declare p cursor for select i from plain'],
  ...[
    'declare c cursor for select i, i from plain',
    'declare c binary cursor for select n, s from t',
  ],
  ...['fetch c', 'fetch all p', 'fetch all c', 'move c', 'close c', 'close all'],
  ...['prepare s as select s from t', 'prepare t as select w from plain', 'execute s', 'execute t'],
  ...['deallocate s', 'deallocate all', 'discard all', 'explain select s from t'],
  ...[
    'copy t to stdout',
    'copy (select s, i from t) to stdout (format csv)',
    'copy t to stdout (format binary)',
  ],
  ...[
    'copy plain to stdout',
    'create table made as select * from t',
    'create temp table t (s text)',
  ],
  ...[
    'alter table plain rename column w to s',
    'drop table plain',
    'set search_path = pg_temp, public',
  ],
  ...["set datestyle = 'german'", 'create or replace view v as select i, u as shown, n from t'],
)
const text = fc.oneof(
  { weight: 6, arbitrary: oneText },
  {
    weight: 1,
    arbitrary: fc.array(oneText, { minLength: 2, maxLength: 4 }).map(all => all.join('; ')),
  },
)
const maybe = (bytes: Buffer) => fc.constantFrom<readonly Buffer[]>([], [bytes])
const act: fc.Arbitrary<readonly Buffer[]> = fc.oneof(
  { weight: 5, arbitrary: text.map(sql => [query(sql)]) },
  { weight: 2, arbitrary: fc.tuple(text, statementName).map(([sql, name]) => [parse(sql, name)]) },
  { weight: 2, arbitrary: fc.tuple(portalName, statementName).map(([p, s]) => [bind([], p, s)]) },
  {
    weight: 3,
    arbitrary: fc.tuple(portalName, fc.constantFrom(0, 1, 2)).map(([p, n]) => [execute(p, n)]),
  },
  {
    weight: 7,
    arbitrary: fc
      .tuple(text, statementName, portalName, fc.constantFrom(0, 0, 1), maybe(sync))
      .map(([sql, s, p, rows, end]) => [parse(sql, s), bind([], p, s), execute(p, rows), ...end]),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom<'S' | 'P'>('S', 'P'), fc.constantFrom('', 's', 'p', 'c'))
      .chain(([kind, name]) => fc.constantFrom([describe_(kind, name)], [close(kind, name)])),
  },
  { weight: 6, arbitrary: fc.constant([sync]) },
  { weight: 1, arbitrary: fc.constantFrom([flush], [copyDone]) },
)

describe('random pipelines through the gate under masks', function () {
  this.timeout(180_000)
  let database: Database
  let gate: BareGate
  let runs = 0
  let shown = 0

  before(async () => {
    database = await freshDatabase(await postgres15(), 'maskedpipelines')
    gate = await startBareGate(database, { policy: { masks: [MASK] } })
  })
  after(async () => {
    await gate.close()
    await database.drop()
  })

  it('never show a masked value, and stay in step or end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(act, { minLength: 1, maxLength: 16 }),
        fc.array(fc.nat(40), { minLength: 1, maxLength: 6 }),
        async (acts, cuts) => {
          await database.query('drop schema public cascade; create schema public')
          await database.query(SETUP)
          await converse([...acts.flat(), sync], cuts)
        },
      ),
      {
        seed: SEED,
        numRuns: 1000,
        interruptAfterTimeLimit: TIME_LIMIT_MS,
      },
    )
    assert.ok(shown > 0, `no masked row was seen in ${runs} runs`)
  })

  /** Says the messages, in pieces where told so. The session goes on to the mark, or says why it ends. */
  async function converse(messages: readonly Buffer[], cuts: readonly number[]): Promise<void> {
    const client = await RawClient.open(gate.port, {
      user: 'raw',
      database: database.name,
      application_name: 'raw',
    })
    const bytes = Buffer.concat([...messages, sync, query('rollback'), query(`select '${MARK}'`)])
    let at = 0
    for (const cut of cuts) {
      client.send(bytes.subarray(at, at + cut))
      at += cut
      if (cut % 3 === 0) await new Promise(resolve => setTimeout(resolve, cut % 4))
    }
    client.send(bytes.subarray(at))
    let isMarked = false
    const frames = await client.until(({ tag, body }) => {
      isMarked ||= tag === 'D' && body.includes(MARK)
      return isMarked && tag === 'Z'
    })
    client.socket.destroy()
    runs += 1
    for (const frame of frames) check(frame)
    if (isMarked) return

    const last = frames.at(-1)
    assert.equal(last?.tag, 'E', frames.map(({ tag }) => tag).join(''))
    const { V, C } = last === undefined ? {} : fieldsOf(last)
    assert.equal(V, 'FATAL')
    assert.match(C ?? '', /^(40001|08P01)$/)
  }

  function check({ tag, body }: RawFrame): void {
    assert.doesNotMatch(body.toString('latin1'), SECRET, tag)
    if (tag === 'D' && body.includes('••••')) shown += 1
    // Binary numeric: 10.87654 and so on, digits of base 10000.
    if (tag === 'D' || tag === 'd')
      assert.equal(body.includes(Buffer.from('223d0fa0', 'hex')), false)
  }
})
