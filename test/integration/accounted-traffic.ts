import type { BareGate } from '../helpers/bare-gate.ts'
import type { Database } from '../helpers/postgres.ts'
import {
  bind,
  close,
  copyData,
  copyDone,
  copyFail,
  describe_,
  execute,
  parse,
  query,
  RawClient,
  sync,
  terminate,
} from '../helpers/raw.ts'

const STEPS = 40

type Scene = { readonly send: readonly Buffer[]; readonly ready: number; readonly copy?: Buffer[] }

const n = (random: () => number, below: number) => 1 + Math.floor(random() * below)

const bound = (text: string, values: readonly string[]) => [parse(text), bind(values), execute()]

const once = (...texts: string[]): Scene => ({ send: texts.map(query), ready: texts.length })

/** What a client may do, and how many ReadyForQuery it brings. */
const SCENES: readonly ((random: () => number) => Scene)[] = [
  random => once(`select * from items where id < ${n(random, 90)}`),
  random =>
    once(
      `select id from items where id in (${Array.from({ length: n(random, 9) }, () => n(random, 99))})`,
    ),
  () => once("select 1, 'zwei'; select label from items limit 3", 'update items set label = label'),
  random => once(`update items set label = 'x${n(random, 9)}' where id = ${n(random, 200)}`),
  () => once('select email from people'),
  () => once('truncate inbox'),
  () => once(''),
  () => once('select 1 as a; select 1/0; select 3 as c'),
  () => once('selec 1'),
  () => once('begin; insert into inbox values (1), (2); rollback', 'select count(*) from inbox'),
  () => once('begin; savepoint s; select 1/0', 'rollback to s', 'commit'),
  () => once("do $$ begin perform 1; raise notice 'hm'; end $$"),
  random => once(`listen c; notify c, 'p${n(random, 9)}'`),
  random =>
    once(
      `set statement_timeout = ${20 + n(random, 9)}; select pg_sleep(5)`,
      'reset statement_timeout',
    ),
  random =>
    once(
      `prepare ps as select id from items where id = $1`,
      `execute ps(${n(random, 9)})`,
      'deallocate ps',
    ),
  () =>
    once('begin; declare c cursor for select id from items order by id; fetch 5 from c; commit'),
  random => once(`copy (select id, label from items limit ${n(random, 50)}) to stdout`),
  random => once(`explain select id from items where id = ${n(random, 9)}`),
  random =>
    once(
      `with d as (delete from inbox where a > ${n(random, 9)} returning a) select count(*) from d`,
    ),
  () =>
    once(
      'create temp table if not exists t (a int)',
      'insert into t select generate_series(1, 5)',
      'analyze t',
    ),
  random => ({
    send: [...bound('select $1::int + 1, $2::text', [String(n(random, 99)), 'ä']), sync],
    ready: 1,
  }),
  random => ({
    send: [...bound('select 10 / $1::int', [String(n(random, 3) - 1)]), sync],
    ready: 1,
  }),
  // A pipeline in which one fails and the rest is skipped, and the next cycle behind it.
  () => ({
    send: [
      ...bound('select 1 as first', []),
      ...bound('select 1/$1::int', ['0']),
      ...bound('select 2 as skipped', []),
      sync,
      ...bound('select 3 as next', []),
      sync,
    ],
    ready: 2,
  }),
  // Part of a portal's rows, then the rest of them: one run.
  () => ({
    send: [
      parse('select id, label from items order by id limit 20', 'p', []),
      bind([], 'p', 'p'),
      execute('p', 7),
      execute('p', 0),
      close('S', 'p'),
      sync,
    ],
    ready: 1,
  }),
  // Described as a statement, run twice.
  () => ({
    send: [
      parse('select id from items where id < $1', 's', []),
      describe_('S', 's'),
      bind(['3'], '', 's'),
      execute(),
      bind(['5'], '', 's'),
      execute(),
      close('S', 's'),
      sync,
    ],
    ready: 1,
  }),
  () => ({
    send: [query('copy inbox from stdin')],
    copy: [copyData('1\n2\n'), copyDone],
    ready: 1,
  }),
  () => ({
    send: [query('copy inbox from stdin')],
    copy: [copyData('1\n'), copyFail('no')],
    ready: 1,
  }),
]

/** One session of random traffic, the same for the same seed. */
export async function randomSession(
  gate: BareGate,
  database: Database,
  seed: number,
): Promise<void> {
  const random = randomOf(seed)
  const client = await RawClient.open(gate.port, { user: 'ana', database: database.name })
  for (let step = 0; step < STEPS; step++) {
    const scene = SCENES[Math.floor(random() * SCENES.length)]
    const { send, ready, copy } = scene?.(random) ?? once('select 1')
    client.send(...send)
    if (copy !== undefined) {
      const started = await client.until(({ tag }) => tag === 'G' || tag === 'E')
      if (started.at(-1)?.tag === 'G') client.send(...copy)
    }
    for (let left = ready; left > 0; left--) await client.until(({ tag }) => tag === 'Z')
  }
  client.send(terminate)
  await client.hangUp()
}

/** Numbers from 0 to 1 that depend on the seed alone (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed * 0x9e3779b9
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
