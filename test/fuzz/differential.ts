import type { PolicyMask } from '../../src/config/index.ts'
import { type BareGate, startBareGate } from '../helpers/bare-gate.ts'
import { type Database, freshDatabase, type Upstream } from '../helpers/postgres.ts'
import { query, RawClient, type RawFrame } from '../helpers/raw.ts'
import { schemaSql } from '../mask/evasion/corpus.ts'
import { withoutOids } from '../mask/evasion/evidence.ts'
import { corpusMasks } from '../mask/evasion/policy.ts'
import { chance, FUZZ_SETUP, statementOf } from './statements.ts'

/** What came of many statements. `answered`: at least one row or data, and no error. */
export type FuzzReport = {
  readonly statements: number
  readonly answered: number
  readonly refused: number
  readonly failed: number
  /** Statements whose answers differ although nothing does but confidential values. */
  readonly different: readonly {
    readonly seed: number
    readonly sql: readonly string[]
    readonly answers: readonly [string, string]
  }[]
}

export type FuzzOptions = {
  readonly seed: number
  readonly count: number
  /** Those of the corpus, without any filter by what is masked, when left out. */
  readonly masks?: readonly PolicyMask[]
  readonly onTurn?: (at: number) => void
}

/**
 * The other world: every confidential value is another one, of another order. Each is as long as the one it stands
 * for: what a table weighs decides how PostgreSQL reads it, and with that the order of what nobody has put in order.
 */
const OTHERWISE: readonly (readonly [RegExp, (...found: string[]) => string])[] = [
  [
    /'9(\d\d)-(\d\d)-(\d{4})'/g,
    (_, a = '', b = '', d = '') => `'8${reversed(a)}-${reversed(b)}-${reversed(d)}'`,
  ],
  [/'(\w+\.\w+)@secret-mail\.test'/g, (_, local = '') => `'${reversed(local)}@hidden-mail.test'`],
  [
    /'(4929|5454)(\d{12})'/g,
    (_, a = '', b = '') => `'${a === '4929' ? '3782' : '6011'}${reversed(b)}'`,
  ],
  [/'77(\d)\d'/g, (_, a = '') => `'${9 - Number(a)}313'`],
  [
    /,(\d{5,6}\.\d\d),'(\d{4})-\d\d-\d\d'/g,
    (_, salary = '', year = '') =>
      `,${salaryOf(salary)},'${4000 - Number(year)}-0${1 + (Number(year) % 9)}-11'`,
  ],
]

/** As many digits before and behind the point. */
function salaryOf(salary: string): string {
  return [...salary]
    .map(digit => (digit === '.' ? '.' : String(1 + ((Number(digit) * 7) % 9))))
    .join('')
}
const PASSWORD = 'fuzz'
const TIMEOUT_MS = 20_000

/** One of the two worlds behind a gate of its own. */
type World = { readonly database: Database; readonly gate: BareGate; client: RawClient }

/**
 * Asks two databases the same that differ in confidential values only. Whoever gets the same answers learned nothing
 * of them. Tokens are other ones by their nature: compared is which of them are the same.
 */
export async function fuzz(
  upstream: Upstream,
  { seed, count, masks, onTurn }: FuzzOptions,
): Promise<FuzzReport> {
  // One after the other: both make the roles of the schema.
  const one = await open(upstream, sql => sql, masks)
  const other = await open(upstream, otherwise, masks)
  const counts = { answered: 0, refused: 0, failed: 0 }
  const different: FuzzReport['different'][number][] = []
  try {
    for (let at = 0; at < count; at++) {
      onTurn?.(at)
      const sql = statementOf(chance(seed + at))
      const [first, second] = await Promise.all([ask(one, sql), ask(other, sql)])
      if (first.text !== second.text) {
        different.push({ seed: seed + at, sql, answers: [first.text, second.text] })
      }
      counts[first.ending] += 1
    }
  } finally {
    for (const world of [one, other]) await close(world)
  }
  return { statements: count, ...counts, different }
}

async function open(
  upstream: Upstream,
  change: (sql: string) => string,
  masks: readonly PolicyMask[] | undefined,
): Promise<World> {
  const database = await freshDatabase(upstream, 'fuzz')
  for (const sql of [change(schemaSql()), `ALTER ROLE agent PASSWORD '${PASSWORD}'`]) {
    await database.query(sql)
  }
  await database.query(`SET ROLE dbowner; ${FUZZ_SETUP.join('; ')}`)
  const gate = await startBareGate(database, {
    login: { user: 'agent', password: PASSWORD },
    may: ['read', 'write'],
    policy: { masks: masks ?? (await strictMasks()) },
  })
  return { database, gate, client: await dial(gate, database) }
}

/** A token may be asked for by its value unless the policy says otherwise, and then the answer is one of the two. */
async function strictMasks(): Promise<readonly PolicyMask[]> {
  return (await corpusMasks()).map(mask => ({ ...mask, filters: { does: 'deny' } }))
}

function dial(gate: BareGate, { name }: Database): Promise<RawClient> {
  return RawClient.open(gate.port, { user: 'agent', database: name })
}

async function close({ database, gate, client }: World): Promise<void> {
  client.socket.destroy()
  await gate.close()
  await database.drop()
}

export function otherwise(sql: string): string {
  return OTHERWISE.reduce((text, [pattern, by]) => text.replace(pattern, by), sql)
}

function reversed(text: string): string {
  return [...text].reverse().join('')
}

type Answer = { readonly text: string; readonly ending: 'answered' | 'refused' | 'failed' }

async function ask(world: World, sql: readonly string[]): Promise<Answer> {
  const frames: RawFrame[] = []
  for (const text of sql) {
    if (world.client.isClosed) break
    world.client.send(query(text))
    frames.push(...(await world.client.until(({ tag }) => tag === 'Z', TIMEOUT_MS)))
  }
  // An attempt may have left a transaction or a prepared statement behind, or ended the session.
  if (world.client.isClosed) world.client = await dial(world.gate, world.database)
  else if (frames.some(({ tag }) => tag === 'E')) await cleanUp(world, sql)
  const text = comparable(frames)
  const isRefused = /dbgate:(?!sanitised)/.test(text)
  const isFailed = frames.some(({ tag }) => tag === 'E')
  return { text, ending: isRefused ? 'refused' : isFailed ? 'failed' : 'answered' }
}

async function cleanUp({ client }: World, sql: readonly string[]): Promise<void> {
  const [first = ''] = sql
  if (first !== 'BEGIN' && !first.startsWith('PREPARE')) return
  client.send(query(first === 'BEGIN' ? 'ROLLBACK' : 'DEALLOCATE ALL'))
  await client.until(({ tag }) => tag === 'Z', TIMEOUT_MS)
}

/** Everything received, but for oids of relations, what tokens spell and what the gate numbers. */
function comparable(frames: readonly RawFrame[]): string {
  const tokens = new Map<string, string>()
  return frames
    .map(({ tag, body }) => `${tag}${(tag === 'T' ? withoutOids(body) : body).toString('latin1')}`)
    .join('\n')
    .replaceAll(/\bs-[a-z0-9]+\.\d+/g, 'statement')
    .replaceAll(/dgt_[a-z2-7]{20}/g, token => {
      const name = tokens.get(token) ?? `token ${tokens.size}`
      tokens.set(token, name)
      return name
    })
}
