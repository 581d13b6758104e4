import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type AuditRecord, readRecords } from '../../src/record/index.ts'
import { type BareGate, startBareGate } from '../helpers/bare-gate.ts'
import { type Database, freshDatabase, postgres15 } from '../helpers/postgres.ts'
import {
  bind,
  close,
  copyData,
  copyDone,
  copyFail,
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
/** How long random cases are tried in the suite; a failing one is shrunk beyond it. */
const TIME_LIMIT_MS = 6_000

const statementName = fc.constantFrom('', 's', 't')
const portalName = fc.constantFrom('', 'p', 'c')
const oneText = fc.constantFrom(
  ...['select 1', 'select i from t', 'select generate_series(1, 3)', 'select 1/0', 'selec', ''],
  ...['insert into t values (1)', 'delete from t returning i', 'update t set i = i / 0'],
  // Deferred: fails at the end of the transaction, be it a Sync.
  ...['insert into d values (1)', 'insert into d values (1), (1)', 'set constraints all immediate'],
  ...['begin', 'commit', 'rollback', 'savepoint a', 'rollback to a', 'release a'],
  ...['declare c cursor for select i from t', 'declare p cursor for values (1), (2)'],
  ...['fetch c', 'fetch all p', 'move c', 'close c', 'close all'],
  ...['prepare s as select 2', 'prepare t as insert into t values (7)', 'execute s', 'execute t'],
  ...['deallocate s', 'deallocate all', 'discard all', 'copy t to stdout', 'table nope'],
)
const text = fc.oneof(
  { weight: 5, arbitrary: oneText },
  {
    weight: 1,
    arbitrary: fc.array(oneText, { minLength: 2, maxLength: 4 }).map(all => all.join('; ')),
  },
)
const maybe = (bytes: Buffer) => fc.constantFrom<readonly Buffer[]>([], [bytes])
const copyTail = fc
  .tuple(
    maybe(sync),
    fc.array(fc.constantFrom(copyData('1\n'), copyData('2\n'), copyData('x\n'), flush, sync), {
      maxLength: 4,
    }),
    fc.constantFrom(copyDone, copyFail('no')),
  )
  .map(([early, data, end]) => [...early, ...data, end])

/** What a client does in one go. Nobody begins a copy without its end, which would end the connection. */
const act: fc.Arbitrary<readonly Buffer[]> = fc.oneof(
  { weight: 4, arbitrary: text.map(sql => [query(sql)]) },
  { weight: 2, arbitrary: fc.tuple(text, statementName).map(([sql, name]) => [parse(sql, name)]) },
  { weight: 2, arbitrary: fc.tuple(portalName, statementName).map(([p, s]) => [bind([], p, s)]) },
  {
    weight: 2,
    arbitrary: fc.tuple(portalName, fc.constantFrom(0, 1, 2)).map(([p, n]) => [execute(p, n)]),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(text, statementName, portalName, fc.constantFrom(0, 0, 1), maybe(sync))
      .map(([sql, s, p, rows, end]) => [
        parse(sql, s),
        bind([], p, s),
        describe_('P', p),
        execute(p, rows),
        ...end,
      ]),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom<'S' | 'P'>('S', 'P'), fc.constantFrom('', 's', 'p', 'c'))
      .chain(([kind, name]) => fc.constantFrom([describe_(kind, name)], [close(kind, name)])),
  },
  { weight: 5, arbitrary: fc.constant([sync]) },
  { weight: 1, arbitrary: fc.constantFrom([flush], [copyData('late')], [copyDone]) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.constantFrom(
          'copy t from stdin',
          'copy g from stdin',
          'select 1; copy t from stdin; begin',
        ),
        copyTail,
      )
      .map(([sql, tail]) => [query(sql), ...tail]),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('t', 'g'), copyTail)
      .map(([table, tail]) => [
        close('S', 'k'),
        parse(`copy ${table} from stdin`, 'k'),
        bind([], 'k', 'k'),
        execute('k'),
        ...tail,
        sync,
      ]),
  },
)

/** `g` fails a COPY after the server has asked for data and before it reads any. */
const SETUP = `create temp table t (i int);
  insert into t values (1), (2), (3);
  create temp table d (i int unique deferrable initially deferred);
  create temp table g (i int);
  create function pg_temp.no() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
  create trigger no before insert on g for each statement execute function pg_temp.no()`

describe('random pipelines, directly and through the gate', function () {
  this.timeout(120_000)
  let database: Database
  let gate: BareGate
  let direct: RawClient
  let through: RawClient

  before(async () => {
    database = await freshDatabase(await postgres15(), 'pipelines')
    gate = await startBareGate(database)
    const parameters = { user: 'raw', database: database.name, application_name: 'raw' }
    direct = await RawClient.open(database.upstream.port, parameters)
    through = await RawClient.open(gate.port, parameters)
  })

  after(async () => {
    direct.socket.destroy()
    through.socket.destroy()
    await gate.close()
    await database.drop()
  })

  it('get the same bytes back', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(act, { minLength: 1, maxLength: 20 }),
        fc.array(fc.nat(40), { minLength: 1, maxLength: 10 }),
        async (acts, cuts) => {
          const messages = [...acts.flat(), sync]
          const [expected, got] = await Promise.all([
            converse(direct, messages, []),
            converse(through, messages, cuts),
          ])
          assert.deepEqual(got, expected)
        },
      ),
      { seed: SEED, numRuns: 2000, interruptAfterTimeLimit: TIME_LIMIT_MS },
    )
  })

  it('leave a record in which each statement ends once', async () => {
    assert.deepEqual(gate.reports, [])
    through.socket.destroy()
    const deadline = Date.now() + 5_000
    const open = new Set<string>()
    let isEnded = false
    while (!isEnded && Date.now() < deadline) {
      open.clear()
      for await (const { record } of readRecords(gate.auditDirectory)) {
        isEnded ||= record.type === 'session.end'
        follow(record, open)
      }
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    assert.ok(isEnded)
    assert.deepEqual([...open], [])
  })
})

function follow(record: AuditRecord, open: Set<string>): void {
  if (record.type === 'statement') open.add(record.id)
  else if (record.type === 'completed')
    assert.ok(open.delete(record.id), `${record.id} ends without a beginning, or twice`)
}

/** Says the messages, in pieces where told so, and returns every answer as text. */
async function converse(
  client: RawClient,
  messages: readonly Buffer[],
  cuts: readonly number[],
): Promise<readonly string[]> {
  client.send(sync, query('rollback'), query('discard all'), query(SETUP))
  for (const _ of [1, 2, 3]) await client.until(({ tag }) => tag === 'Z')
  const setUp = await client.until(({ tag }) => tag === 'Z')
  assert.ok(setUp.every(({ tag }) => tag !== 'E'))
  const bytes = Buffer.concat([...messages, sync, query(`rollback`), query(`select '${MARK}'`)])
  let at = 0
  for (const cut of cuts) {
    client.send(bytes.subarray(at, at + cut))
    at += cut
    // Time for the server to answer what it has, sometimes.
    if (cut % 3 === 0) await new Promise(resolve => setTimeout(resolve, cut % 4))
  }
  client.send(bytes.subarray(at))
  let isMarked = false
  const frames = await client.until(({ tag, body }) => {
    isMarked ||= tag === 'D' && body.includes(MARK)
    return isMarked && tag === 'Z'
  })
  return frames.map(show)
}

function show(one: RawFrame): string {
  if (one.tag === 'T') return `T ${withoutTables(one.body).toString('latin1')}`
  if (one.tag !== 'E' && one.tag !== 'N') return `${one.tag} ${one.body.toString('latin1')}`
  // The schema of temporary tables is another one in each session.
  return `${one.tag} ${JSON.stringify(fieldsOf(one)).replaceAll(/pg_temp_\d+/g, 'pg_temp')}`
}

/** A RowDescription without the OIDs of the tables its columns come from. */
function withoutTables(body: Buffer): Buffer {
  const copy = Buffer.from(body)
  for (let at = 2; at < copy.length; ) {
    const afterName = copy.indexOf(0, at) + 1
    copy.fill(0, afterName, afterName + 4)
    at = afterName + 18
  }
  return copy
}
