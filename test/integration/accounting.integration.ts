import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { PolicyDocument } from '../../src/config/index.ts'
import { readRecords, verifyLog } from '../../src/record/index.ts'
import {
  type Analyser,
  CATALOG_QUERIES,
  CATALOG_VERSION_QUERY,
  createAnalyser,
  EMPTY_SCOPE,
} from '../../src/sql/index.ts'
import { type BareGate, startBareGate } from '../helpers/bare-gate.ts'
import {
  type Database,
  freshDatabase,
  postgres15,
  postgres18,
  withClient,
} from '../helpers/postgres.ts'
import { randomSession } from './accounted-traffic.ts'

const SESSIONS = Number(process.env.DBGATE_ACCOUNTING_SESSIONS ?? 6)

/** How often a statement ran, by what is left of its text without constants. */
type Counts = Map<string, number>

/** One statement of a text: what it is counted under. */
type Key = { readonly key: string; readonly kind: string }

// pg_stat_statements counts what ran to its end, by its text without constants; the fingerprint forgets them on both
// sides. It knows no PREPARE, and counts an EXECUTE as what was prepared.
for (const [major, start] of [
  [15, postgres15],
  [18, postgres18],
] as const) {
  describe(`what PostgreSQL ${major} has counted`, function () {
    this.timeout(120_000)
    let database: Database
    let gate: BareGate
    let analyser: Analyser
    const login = { user: '', password: randomBytes(12).toString('hex') }

    before(async () => {
      database = await freshDatabase(await start(), 'accounting')
      login.user = `counted_${database.name}`
      await database.query(
        `create extension pg_stat_statements;
         create role ${login.user} login password '${login.password}';
         create table items (id int primary key, label text);
         create table inbox (a int);
         create table people (id int, email text);
         grant all on items, inbox, people to ${login.user};
         insert into people values (1, 'ana@acme.example');
         insert into items select i, 'label ' || i from generate_series(1, 200) i`,
      )
      analyser = createAnalyser()
      await analyser.ready()
      gate = await startBareGate(database, { login, policy: { rules: RULES, masks: MASKS } })
    })

    after(async () => {
      await gate?.close()
      await analyser?.close()
      await database?.query(`drop owned by ${login.user}; drop role ${login.user}`)
      await database?.drop()
    })

    it('is in the audit log as often, and the rest is what the gate asks by itself', async () => {
      for (let seed = 1; seed <= SESSIONS; seed++) await randomSession(gate, database, seed)
      const counted = await countedOf()
      const recorded = await recordedOf()
      const own = await ownOf(counted, recorded)
      assert.ok(recorded.size > 30, `only ${recorded.size} kinds of statement ran`)
      assert.deepEqual(linesOf(counted), linesOf(sumOf(recorded, own)))
      assert.equal((await verifyLog(gate.auditDirectory)).isWhole, true)
    })

    it('shows what came past the gate', async () => {
      const before = await countedOf()
      const recordedBefore = await recordedOf()
      const url = new URL(database.url)
      Object.assign(url, { username: login.user, password: login.password })
      await withClient(url.href, client => client.query('select id as past from items'))
      const [key = ''] = (await keysOf('select id as past from items')).map(one => one.key)
      assert.equal((await countedOf()).get(key), (before.get(key) ?? 0) + 1)
      assert.equal((await recordedOf()).get(key), recordedBefore.get(key))
    })

    const texts = new Map<string, string>()

    /** `prepared` is what an EXECUTE of this text runs. */
    async function keysOf(text: string, prepared?: Key): Promise<Key[]> {
      const analysis = await analyser.analyse(Buffer.from(parsable(text)), EMPTY_SCOPE)
      if (!analysis.ok) throw new Error(`not understood: ${text}`)
      return analysis.statements.map(one => {
        const [step] = one.scope
        const { fingerprint } = step?.step === 'prepare' ? step.statement : one
        if (one.kind === 'EXECUTE' && prepared !== undefined) return { ...prepared, kind: one.kind }
        if (!texts.has(fingerprint))
          texts.set(fingerprint, text.replaceAll(/\s+/g, ' ').slice(0, 120))
        return { key: fingerprint, kind: one.kind }
      })
    }

    async function countedOf(): Promise<Counts> {
      const { rows } = await database.query(
        `select s.query, s.calls::int from pg_stat_statements s join pg_roles r on r.oid = s.userid
         join pg_database d on d.oid = s.dbid
         where r.rolname = $1 and d.datname = $2 and s.toplevel and s.calls > 0`,
        [login.user, database.name],
      )
      const counts: Counts = new Map()
      for (const { query: text, calls } of rows) {
        for (const { key, kind } of await keysOf(text)) {
          if (kind !== 'DEALLOCATE') add(counts, key, calls)
        }
      }
      return counts
    }

    /** What is on record as having run to its end. */
    async function recordedOf(): Promise<Counts> {
      const counts: Counts = new Map()
      const statements = new Map<string, Key[]>()
      let prepared: Key | undefined
      for await (const { record } of readRecords(gate.auditDirectory)) {
        if (record.type === 'statement') {
          const keys = await keysOf(record.text, prepared)
          prepared = keys.find(({ kind }) => kind === 'PREPARE') ?? prepared
          statements.set(record.id, keys)
        }
        if (record.type !== 'completed' || record.outcome !== 'ok' || !record.tag) continue
        for (const { key, kind } of statements.get(record.id) ?? []) {
          if (kind !== 'PREPARE' && kind !== 'DEALLOCATE') add(counts, key, 1)
        }
      }
      return counts
    }

    /**
     * What the gate asks under the same login: it reads the catalog as a whole or not at all, asks for its version,
     * and has an UPDATE planned that a rule wants to know the rows of.
     */
    async function ownOf(counted: Counts, recorded: Counts): Promise<Counts> {
      const own: Counts = new Map()
      const keys: string[] = []
      for (const { sql } of CATALOG_QUERIES) {
        keys.push(...(await keysOf(sql)).map(({ key }) => key))
      }
      const loads = Math.max(
        ...keys.filter(key => !recorded.has(key)).map(key => counted.get(key) ?? 0),
      )
      assert.ok(loads > 0)
      for (const key of keys) add(own, key, loads)
      for (const sql of [CATALOG_VERSION_QUERY, ...ESTIMATED]) {
        for (const { key } of await keysOf(sql)) {
          assert.ok(!recorded.has(key) && counted.has(key), sql)
          add(own, key, counted.get(key) ?? 0)
        }
      }
      return own
    }

    function linesOf(counts: Counts): string[] {
      return [...counts].map(([key, calls]) => `${key} ${calls} ${texts.get(key)}`).sort()
    }
  })
}

/**
 * PostgreSQL 18 forgets constants and names where its grammar takes no parameter, as in SET: something of the kind
 * goes there, which the fingerprint forgets again.
 */
function parsable(text: string): string {
  if (/^(savepoint|rollback to|release|deallocate|set) /i.test(text))
    return text.replaceAll(/\$\d+/g, 's')
  return text
}

function sumOf(...all: readonly Counts[]): Counts {
  const sum: Counts = new Map()
  for (const counts of all) for (const [key, calls] of counts) add(sum, key, calls)
  return sum
}

/** What the scenes have that a rule wants an estimate for. */
const ESTIMATED = [
  'EXPLAIN (FORMAT JSON) update items set label = label',
  "EXPLAIN (FORMAT JSON) update items set label = 'x' where id = 1",
]

function add(counts: Counts, key: string, calls: number): void {
  counts.set(key, (counts.get(key) ?? 0) + calls)
}

const RULES: NonNullable<PolicyDocument['rules']> = [
  {
    name: 'many-rows',
    on: ['*'],
    when: { kind: ['UPDATE'], rowsEstimate: { text: '> 1000000', atLeast: 1_000_001 } },
    or: [],
    unless: [],
    effect: { does: 'deny' },
    say: undefined,
    next: undefined,
    at: 'policy.yaml:1',
  },
  {
    name: 'no-truncate',
    on: ['*'],
    when: { kind: ['TRUNCATE'] },
    or: [],
    unless: [],
    effect: { does: 'deny' },
    say: undefined,
    next: undefined,
    at: 'policy.yaml:2',
  },
]

const MASKS: NonNullable<PolicyDocument['masks']> = [
  {
    ...{ on: ['*'], roles: undefined, via: undefined, reveal: [], labels: [], values: [] },
    ...{ filters: undefined, writes: undefined, derived: undefined },
    columns: ['people.email'],
    mask: { kind: 'redact' },
    at: 'policy.yaml:3',
  },
]
