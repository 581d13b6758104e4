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
  withMovedPath,
} from '../../src/sql/index.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import { loadCatalog } from './load-catalog.ts'
import { plain, queryTokens } from './sql-arbitrary.ts'

const read = (name: string) => readFileSync(new URL(`../corpus/${name}`, import.meta.url), 'utf8')

const STATEMENTS = read('everyday.sql')
  .split('\n')
  .filter(line => line !== '' && !line.startsWith('--'))

const MASKED = new Set(
  'users.email users.ssn users.salary users.dob orders.card_number cards.pan cards.cvv'.split(' '),
)

describe('lineage of what everybody sends', () => {
  let database: Database
  let client: pg.Client
  let analyser: Analyser
  let catalog: Catalog

  before(async () => {
    database = await freshDatabase(await postgres18(), 'lineage_everyday')
    client = new pg.Client({ connectionString: database.url })
    await client.connect()
    await client.query(read('evasion_schema.sql'))
    catalog = await loadCatalog(client)
    analyser = createAnalyser()
    await analyser.ready()
  })

  after(async () => {
    await client.end()
    await database.drop()
    await analyser.close()
  })

  const lineageOf = async (sql: string, scope = EMPTY_SCOPE): Promise<Lineage | undefined> => {
    const analysis = await analyser.analyse(Buffer.from(sql), scope, catalog)
    const [statement] = analysis.ok ? analysis.statements : []
    return statement === undefined ? undefined : analyser.lineage(statement, scope, catalog)
  }

  const maskedIn = ({ columns = [], uses, stored }: Lineage): string[] =>
    [
      ...columns.flatMap(({ from }) => from),
      ...uses.map(({ origin }) => origin),
      ...stored.flatMap(({ from, target }) => (target === undefined ? from : [...from, target])),
    ]
      .map(({ relation, column }) => {
        const found = catalog.relations.get(relation)
        return `${found?.name}.${found?.columns.find(({ number }) => number === column)?.name}`
      })
      .filter(name => MASKED.has(name))

  for (const sql of STATEMENTS) {
    it(`understands ${sql.slice(0, 100)}`, async () => {
      const lineage = await lineageOf(sql)
      assert.ok(lineage !== undefined)
      assert.deepEqual(lineage.unknown, [])
      assert.deepEqual(lineage.statistics, [])
      assert.deepEqual(maskedIn(lineage), [])
      assert.equal(lineage.runsCode, false)
    })

    it(`understands it once the path has moved: ${sql.slice(0, 80)}`, async () => {
      assert.deepEqual((await lineageOf(sql, withMovedPath(EMPTY_SCOPE)))?.unknown, [])
    })
  }

  it('answers for any statement, and the same each time', async () => {
    await fc.assert(
      fc.asyncProperty(queryTokens, async tokens => {
        const sql = plain(tokens)
        const lineage = await lineageOf(sql)
        assert.deepEqual(await lineageOf(sql), lineage)
        // Names of tables that are not there can not be understood.
        if (lineage !== undefined && /payroll|mixed_case/.test(sql.replaceAll(/'[^']*'/g, ''))) {
          assert.notDeepEqual(lineage.unknown, [], sql)
        }
      }),
      { seed: 7, numRuns: 400 },
    )
  })

  it('gives up on what is too large or too deep instead of failing', async () => {
    const deep = `SELECT ${'('.repeat(900)}ssn${')'.repeat(900)} FROM users`
    const sum = `SELECT ${Array.from({ length: 3000 }, () => 'id').join(' + ')} FROM users`
    const wide = `SELECT ${Array.from({ length: 40_000 }, () => 'ssn').join(', ')} FROM users`
    for (const sql of [deep, sum, wide]) {
      const lineage = await lineageOf(sql)
      if (lineage === undefined) continue
      const isFound = lineage.columns?.every(({ from }) => from.length === 1) === true
      assert.ok(lineage.unknown.length > 0 || isFound)
    }
  })
})
