import assert from 'node:assert/strict'
import { type BareGate, startBareGate } from '../helpers/bare-gate.ts'
import { type Database, freshDatabase, postgres15, postgres18 } from '../helpers/postgres.ts'
import {
  bind,
  close,
  copyData,
  copyDone,
  copyFail,
  cstring,
  describe_,
  execute,
  fieldsOf,
  flush,
  frame,
  int16,
  int32,
  parse,
  query,
  RawClient,
  type RawFrame,
  sync,
  terminate,
} from '../helpers/raw.ts'

const MARK = 'the end of the case'

// Each case is a conversation of one side; PostgreSQL's own answers, byte for byte, are the expectation.
const CASES: Readonly<Record<string, readonly Buffer[]>> = {
  'one simple query': [query('select 1, null, $$x$$')],
  'an empty query': [query(''), query(' ; ;; '), query('-- nothing')],
  'several statements in one query': [query('select 1; select 2 where false; values (3), (4)')],
  'an error between statements': [query('select 1; select 1/0; select 3'), query('select 4')],
  'a failed transaction': [query('begin'), query('select 1/0'), query('select 1'), query('commit')],
  'an implicit transaction undone': [query('create table a (i int); select 1/0'), query('table a')],
  'parse to sync': [parse('select 1'), bind(), describe_('P'), execute(), sync],
  'describe before bind': [parse('select $1::int, $2::text'), describe_('S'), sync],
  'an extended error skips to sync': [
    parse('select 1/0'),
    bind(),
    execute(),
    parse('select 2'),
    bind(),
    execute(),
    sync,
    parse('select 3'),
    bind(),
    execute(),
    sync,
  ],
  'a simple query inside a pipeline that failed': [
    parse('select nonsense from nowhere'),
    query('select 1'),
    sync,
    query('select 2'),
  ],
  'a simple query inside a pipeline that did not': [
    parse('select 1', 'kept'),
    bind([], 'portal', 'kept'),
    query('select 2'),
    execute('portal'),
    sync,
  ],
  'a portal suspended by its row limit': [
    parse('select generate_series(1, 7)'),
    bind([], 'p'),
    execute('p', 3),
    execute('p', 3),
    execute('p', 3),
    execute('p', 3),
    sync,
  ],
  'a suspended portal that dies with its transaction': [
    parse('select generate_series(1, 7)'),
    bind([], 'p'),
    execute('p', 3),
    sync,
    execute('p', 3),
    sync,
  ],
  'a suspended portal kept by a transaction': [
    query('begin'),
    parse('select generate_series(1, 7)'),
    bind([], 'p'),
    execute('p', 3),
    sync,
    execute('p', 0),
    close('P', 'p'),
    sync,
    execute('p', 0),
    sync,
    query('rollback'),
  ],
  'flush without sync': [parse('select 1'), flush, bind(), flush, execute(), flush, sync],
  'close of what is not there': [close('S', 'nope'), close('P', 'nope'), sync],
  'close and use again': [parse('select 1', 's'), close('S', 's'), bind([], '', 's'), sync],
  'the same name twice': [
    parse('select 1', 's'),
    parse('select 2', 's'),
    sync,
    bind([], '', 's'),
    sync,
  ],
  'the unnamed statement replaced': [
    parse('select 1'),
    parse('select 2'),
    bind(),
    execute(),
    sync,
    query('select 3'),
    bind(),
    execute(),
    sync,
  ],
  'two statements in one parse': [parse('select 1; select 2'), sync],
  'an empty extended statement': [parse(''), bind(), describe_('P'), execute(), sync],
  'missing and surplus parameters': [
    parse('select $1::int'),
    bind([]),
    sync,
    parse('select $1::int'),
    bind(['1', '2']),
    sync,
    parse('select $1::int'),
    bind(['x']),
    execute(),
    sync,
  ],
  'binary results and parameters': [
    parse('select $1, $2', 'b', [23, 25]),
    frame(
      'B',
      Buffer.concat([
        ...[cstring(''), cstring('b'), int16(2), int16(1), int16(0), int16(2)],
        ...[int32(4), int32(7), int32(1), Buffer.from('x'), int16(1), int16(1)],
      ]),
    ),
    describe_('P'),
    execute(),
    sync,
  ],
  'a bind with a bad format code': [
    parse('select 1'),
    frame('B', Buffer.concat([cstring(''), cstring(''), int16(0), int16(0), int16(1), int16(7)])),
    execute(),
    sync,
  ],
  'transaction control through portals': [
    parse('begin'),
    bind(),
    execute(),
    parse('create table t (i int)'),
    bind(),
    execute(),
    sync,
    parse('rollback'),
    bind(),
    execute(),
    sync,
  ],
  'a pipeline of many statements with one failing': [
    ...Array.from({ length: 40 }, (_, i) => [
      parse(`select ${i} / ${30 - i}`),
      bind(),
      execute(),
    ]).flat(),
    sync,
  ],
  'a pipeline with a sync after each': Array.from({ length: 40 }, (_, i) => [
    parse(`select ${i} / (${i} % 5)`),
    bind(),
    execute(),
    sync,
  ]).flat(),
  'copy in': [
    query('create table c (i int)'),
    query('copy c from stdin'),
    copyData('1\n2\n'),
    copyData('3'),
    copyData('\n'),
    copyDone,
    query('select sum(i) from c'),
  ],
  'copy in given up': [
    query('create table c (i int)'),
    query('copy c from stdin'),
    copyData('1\n'),
    copyFail('changed my mind'),
    query('select count(*) from c'),
  ],
  'copy in with an error, the rest skipped': [
    query('create table c (i int)'),
    query('copy c from stdin'),
    copyData('1\nx\n'),
    ...Array.from({ length: 20 }, () => copyData('5\n')),
    copyDone,
    query('select count(*) from c'),
  ],
  'copy in with sync and flush inside': [
    query('create table c (i int)'),
    query('copy c from stdin'),
    sync,
    copyData('1\n'),
    flush,
    copyDone,
    query('table c'),
  ],
  'copy in through a portal': [
    query('create table c (i int)'),
    parse('copy c from stdin'),
    bind(),
    execute(),
    copyData('1\n2\n'),
    copyDone,
    sync,
    query('table c'),
  ],
  'copy in through a portal that fails': [
    query('create table c (i int)'),
    parse('copy c from stdin'),
    bind(),
    execute(),
    sync,
    copyData('nonsense\n'),
    copyDone,
    sync,
    query('table c'),
  ],
  'copy out': [query('copy (select generate_series(1, 5)) to stdout'), query('select 1')],
  'copy out through a portal': [
    parse('copy (values (1, 2)) to stdout'),
    bind(),
    describe_('P'),
    execute(),
    sync,
  ],
  'copy data outside of a copy': [copyData('x'), copyDone, copyFail('x'), query('select 1'), sync],
  'two copies in one query': [
    query('create table c (i int)'),
    query('copy c from stdin; copy c from stdin; table c'),
    copyData('1\n'),
    copyDone,
    copyData('2\n'),
    copyDone,
  ],
  'notifications to oneself': [
    query('listen n'),
    query(`notify n, 'a'; notify n, 'b'`),
    query('select 1'),
  ],
  'parameters reported as they change': [
    query(`set timezone = 'Asia/Tokyo'`),
    query(`set client_encoding = 'LATIN1'; set client_encoding = 'UTF8'`),
    query(`set application_name = 'other'`),
  ],
  'sql cursors and portals share names': [
    query('begin; declare c cursor for select generate_series(1, 4)'),
    execute('c', 2),
    sync,
    query('fetch c'),
    close('P', 'c'),
    sync,
    query('fetch c'),
    query('rollback'),
  ],
  'sql prepared statements and protocol ones share names': [
    query('prepare s as select 42'),
    bind([], '', 's'),
    execute(),
    sync,
    parse('select 43', 'mine'),
    sync,
    query('execute mine'),
    query('deallocate mine'),
    bind([], '', 'mine'),
    sync,
  ],
  'a statement timeout': [query(`set statement_timeout = '20ms'`), query('select pg_sleep(3)')],
  'text that is not UTF-8': [frame('Q', Buffer.from([0x73, 0xff, 0xfe, 0])), query('select 1')],
  'a very long error': [query(`select ${'x'.repeat(20_000)}`)],
  'many notices': [query(`do $$ begin for i in 1..200 loop raise notice '%', i; end loop; end $$`)],
  'sync alone, often': Array.from({ length: 50 }, () => sync),
  'describe of an unknown name': [describe_('S', 'nope'), sync, describe_('P', 'nope'), sync],
  'execute of an unknown portal': [execute('nope'), sync],
  'bind of an unknown statement': [bind([], '', 'nope'), execute(), sync],
  'returning rows from an update': [
    query('create table r (i int); insert into r values (1), (2) returning *'),
    parse('update r set i = i + 1 returning i'),
    bind(),
    execute('', 1),
    sync,
  ],
  'terminate at once': [terminate],
  'terminate in a transaction': [query('begin'), parse('select 1'), terminate],
}

describe('the wire, byte for byte', () => {
  for (const [version, start] of Object.entries({ 18: postgres18, 15: postgres15 })) {
    describe(`PostgreSQL ${version}`, () => {
      let database: Database
      let gate: BareGate

      before(async () => {
        database = await freshDatabase(await start(), 'wire')
        gate = await startBareGate(database)
      })

      after(async () => {
        await gate.close()
        await database.drop()
      })

      for (const [name, messages] of Object.entries(CASES)) {
        it(name, async () => {
          const directly = await converse(database.upstream.port, database.name, messages)
          const through = await converse(gate.port, database.name, messages)
          assert.deepEqual(through, directly)
        })
      }
    })
  }
})

/** Says everything at once and returns every answer as text, with what must differ made equal. */
async function converse(port: number, database: string, messages: readonly Buffer[]) {
  const client = await RawClient.open(port, { user: 'raw', database, application_name: 'raw' })
  client.send(query('drop schema if exists w cascade; create schema w; set search_path = w'), sync)
  await client.until(({ tag }) => tag === 'Z')
  await client.until(({ tag }) => tag === 'Z')
  client.send(...messages, sync, query(`select '${MARK}'`))
  let isMarked = false
  const frames = await client.until(({ tag, body }) => {
    isMarked ||= tag === 'D' && body.includes(MARK)
    return isMarked && tag === 'Z'
  })
  client.send(terminate)
  await client.hangUp()
  return frames.map(show)
}

function show(one: RawFrame): string {
  if (one.tag === 'A') return `A ${one.body.subarray(4).toString('latin1')}`
  // Line numbers inside PostgreSQL's own sources are the same; the application name is dbgate's to set.
  if (one.tag === 'S' && one.body.includes('application_name')) return 'S application_name'
  if (one.tag === 'T') return `T ${withoutTables(one.body).toString('latin1')}`
  if (one.tag === 'E' || one.tag === 'N') return `${one.tag} ${JSON.stringify(fieldsOf(one))}`
  return `${one.tag} ${one.body.toString('latin1')}`
}

/** A RowDescription without the OIDs of the tables its columns come from: each run makes new tables. */
function withoutTables(body: Buffer): Buffer {
  const copy = Buffer.from(body)
  for (let at = 2; at < copy.length; ) {
    const afterName = copy.indexOf(0, at) + 1
    copy.fill(0, afterName, afterName + 4)
    at = afterName + 18
  }
  return copy
}
