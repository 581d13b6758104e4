import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import pg from 'pg'
import {
  type Analyser,
  type Catalog,
  createAnalyser,
  EMPTY_SCOPE,
  type Lineage,
} from '../../src/sql/index.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import { loadCatalog } from './load-catalog.ts'

const SCHEMA = readFileSync(new URL('../corpus/evasion_schema.sql', import.meta.url), 'utf8')

/** A query of one column `v`, of type text, and the columns that its values are made of. */
type Query = { readonly sql: string; readonly origins: ReadonlySet<string> }

const COLUMNS: readonly (readonly [table: string, column: string])[] = [
  ['users', 'name'],
  ['users', 'email'],
  ['users', 'ssn'],
  ['cards', 'pan'],
  ['cards', 'cvv'],
  ['orders', 'card_number'],
]

const base = fc.constantFrom(...COLUMNS).map(([table, column]): Query => {
  return { sql: `SELECT ${column} AS v FROM ${table}`, origins: new Set([`${table}.${column}`]) }
})

/** Ways to take one query through another. The name of each level is its own, so that none is hidden by chance. */
const WRAPPERS: readonly ((sql: string, q: string) => string)[] = [
  (sql, q) => `SELECT ${q}.v FROM (${sql}) ${q}`,
  (sql, q) => `SELECT * FROM (${sql}) ${q}`,
  (sql, q) => `SELECT w AS v FROM (${sql}) AS ${q}(w)`,
  (sql, q) => `WITH ${q} AS (${sql}) SELECT v FROM ${q}`,
  (sql, q) => `WITH ${q}(v) AS MATERIALIZED (${sql}) TABLE ${q}`,
  (sql, q) =>
    `WITH RECURSIVE ${q}(v, n) AS (SELECT '', 1 UNION ALL SELECT ${q}.v || x.v, n + 1 FROM ${q}, (${sql}) x WHERE n < 2) SELECT v FROM ${q}`,
  (sql, q) =>
    `WITH RECURSIVE ${q}(v) AS (${sql} UNION SELECT v FROM ${q} WHERE false) SELECT v FROM ${q}`,
  (sql, q) => `SELECT upper(${q}.v) AS v FROM (${sql}) ${q}`,
  (sql, q) => `SELECT 'x' || v AS v FROM (${sql}) ${q}`,
  (sql, q) => `SELECT CASE WHEN v = 'a' THEN 'b' ELSE 'c' END AS v FROM (${sql}) ${q}`,
  (sql, q) => `SELECT coalesce(NULL, v, 'x') AS v FROM (${sql}) ${q}`,
  (sql, q) => `SELECT (SELECT max(v) FROM (${sql}) ${q}) AS v`,
  (sql, q) => `SELECT (v IN (SELECT v FROM (${sql}) ${q}i))::text AS v FROM (VALUES ('a')) ${q}(v)`,
  (sql, q) => `SELECT EXISTS (SELECT 1 FROM (${sql}) ${q} WHERE v = 'a')::text AS v`,
  sql => `SELECT (ARRAY(${sql}))[1] AS v`,
  (sql, q) => `SELECT x AS v FROM (${sql}) ${q}, unnest(ARRAY[${q}.v]) x`,
  (sql, q) => `SELECT l.v FROM (${sql}) ${q}, LATERAL (SELECT ${q}.v) l`,
  (sql, q) => `SELECT l.v FROM (${sql}) ${q} LEFT JOIN LATERAL (SELECT ${q}.v AS v) l ON true`,
  (sql, q) => `SELECT (r).v FROM (SELECT ${q} AS r FROM (${sql}) ${q}) ${q}r`,
  (sql, q) => `SELECT ${q}::text AS v FROM (${sql}) ${q}`,
  (sql, q) => `SELECT to_jsonb(${q}) ->> 'v' AS v FROM (${sql}) ${q}`,
  (sql, q) => `SELECT v(${q}) FROM (${sql}) ${q}`,
  (sql, q) => `SELECT string_agg(v, ',' ORDER BY v) AS v FROM (${sql}) ${q}`,
  (sql, q) => `SELECT first_value(v) OVER w AS v FROM (${sql}) ${q} WINDOW w AS (ORDER BY v)`,
  (sql, q) => `SELECT row_number() OVER (PARTITION BY v)::text AS v FROM (${sql}) ${q}`,
  (sql, q) => `SELECT count(*) FILTER (WHERE v = 'a')::text AS v FROM (${sql}) ${q}`,
  (sql, q) => `SELECT j.v FROM ((${sql}) ${q} CROSS JOIN (SELECT 1 AS n) ${q}o) AS j`,
  (sql, q) => `SELECT v FROM (${sql}) ${q} NATURAL FULL JOIN (SELECT 'a' AS v) ${q}o`,
  sql => `(${sql}) UNION ALL SELECT NULL`,
  sql => `SELECT 'a' AS v EXCEPT (${sql})`,
  (sql, q) => `VALUES ((SELECT max(v) FROM (${sql}) ${q}), 'x')`,
  (sql, q) =>
    `SELECT v FROM ROWS FROM (unnest(ARRAY(${sql})), generate_series(1, 2)) AS ${q}(v, n)`,
  (sql, q) =>
    `SELECT t.v FROM (${sql}) ${q}, XMLTABLE('/r' PASSING xmlelement(name r, ${q}.v) COLUMNS v text PATH '.') t`,
  (sql, q) =>
    `SELECT t.v FROM (${sql}) ${q}, JSON_TABLE(to_jsonb(${q}.v), '$' COLUMNS (v text PATH '$')) t`,
  (sql, q) =>
    `WITH ${q} AS (UPDATE products SET title = (SELECT max(v) FROM (${sql}) ${q}s) RETURNING title) SELECT title AS v FROM ${q}`,
  (sql, q) =>
    `WITH ${q} AS (INSERT INTO audit_log (message) (${sql}) RETURNING message AS v) SELECT v FROM ${q}`,
]

const wrap = (query: Query, index: number, depth: number): Query => {
  const wrapper = WRAPPERS[index % WRAPPERS.length]
  // A query that changes something, and VALUES with its own names, can stand at the top only.
  const sql = wrapper?.(query.sql, `q${depth}`) ?? query.sql
  const isWhole = sql.startsWith('VALUES') ? `SELECT column1 AS v FROM (${sql}) q${depth}x` : sql
  return { ...query, sql: isWhole }
}

const isChange = (index: number) => index % WRAPPERS.length >= WRAPPERS.length - 2

const nested = fc
  .tuple(base, base, fc.array(fc.nat({ max: WRAPPERS.length - 1 }), { maxLength: 5 }))
  .map(([first, second, wrappers]): Query => {
    // Data-modifying WITH must be at the top.
    const inner = wrappers.filter((index, i) => !isChange(index) || i === wrappers.length - 1)
    const origins = new Set([...first.origins, ...second.origins])
    const sql = `SELECT concat(a.v, b.v) AS v FROM (${first.sql}) a, (${second.sql}) b`
    const start: Query = { sql, origins }
    return inner.reduce<Query>((query, index, depth) => wrap(query, index, depth), start)
  })

describe('lineage of random queries', () => {
  let database: Database
  let client: pg.Client
  let analyser: Analyser
  let catalog: Catalog

  before(async () => {
    database = await freshDatabase(await postgres18(), 'lineage_random')
    client = new pg.Client({ connectionString: database.url })
    await client.connect()
    await client.query(SCHEMA)
    catalog = await loadCatalog(client)
    analyser = createAnalyser()
    await analyser.ready()
  })

  after(async () => {
    await client.end()
    await database.drop()
    await analyser.close()
  })

  const lineageOf = async (sql: string): Promise<Lineage> => {
    const analysis = await analyser.analyse(Buffer.from(sql), EMPTY_SCOPE, catalog)
    assert.ok(analysis.ok, sql)
    const [statement] = analysis.statements
    assert.ok(statement !== undefined)
    return analyser.lineage(statement, EMPTY_SCOPE, catalog)
  }

  const namesOf = ({ columns = [] }: Lineage): Set<string> =>
    new Set(
      columns
        .flatMap(({ from }) => from)
        .map(({ relation, column }) => {
          const found = catalog.relations.get(relation)
          return `${found?.name}.${found?.columns.find(({ number }) => number === column)?.name}`
        }),
    )

  /** Whether the server takes the query, and how many columns it has. */
  const columnsOf = async (sql: string): Promise<number> => {
    await client.query('BEGIN')
    try {
      const name = 'tried'
      await client.query(`PREPARE ${name} AS ${sql}`)
      const { rows } = await client.query(
        'SELECT cardinality(result_types) AS n FROM pg_prepared_statements WHERE name = $1',
        [name],
      )
      await client.query(`DEALLOCATE ${name}`)
      return rows[0].n
    } finally {
      await client.query('ROLLBACK')
    }
  }

  WRAPPERS.forEach((wrapper, index) => {
    it(`sees through ${wrapper('…', 'q')}`.slice(0, 120), async () => {
      const query = wrap(
        { sql: 'SELECT ssn AS v FROM users', origins: new Set(['users.ssn']) },
        index,
        0,
      )
      const lineage = await lineageOf(query.sql)
      assert.deepEqual(lineage.unknown, [], query.sql)
      assert.equal(lineage.columns?.length, await columnsOf(query.sql), query.sql)
      const seen = namesOf(lineage)
      assert.ok(seen.has('users.ssn'), `${query.sql} gives ${[...seen]}`)
    })
  })

  it('loses no column, however deep it is', async () => {
    await fc.assert(
      fc.asyncProperty(nested, async ({ sql, origins }) => {
        const lineage = await lineageOf(sql)
        assert.deepEqual(lineage.unknown, [], sql)
        assert.equal(lineage.columns?.length, await columnsOf(sql), sql)
        const seen = namesOf(lineage)
        for (const origin of origins) assert.ok(seen.has(origin), `${origin} is lost in ${sql}`)
      }),
      { seed: 20240611, numRuns: 250 },
    )
  })
})
