import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import pg from 'pg'
import { type Analyser, type Catalog, createAnalyser, EMPTY_SCOPE } from '../../src/sql/index.ts'
import {
  type Database,
  freshDatabase,
  postgres15,
  postgres18,
  type Upstream,
} from '../helpers/postgres.ts'
import { loadCatalog } from './load-catalog.ts'
import { judge, type Verdict } from './sample-policy.ts'

type Case = {
  readonly sql: string
  readonly must: Verdict
  readonly why: string
  readonly setup?: string
}

const folder = new URL('../corpus/', import.meta.url)
const schema = readFileSync(new URL('evasion_schema.sql', folder), 'utf8')
const cases: Case[] = readFileSync(new URL('classify.jsonl', folder), 'utf8')
  .trim()
  .split('\n')
  .map(line => JSON.parse(line))

/**
 * Loads the catalog of a database in which the corpus' schema and a case's setup have been run by
 * its owner.
 */
async function catalogAfter(upstream: Upstream, setup: string): Promise<Catalog> {
  const database: Database = await freshDatabase(upstream, 'corpus')
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  try {
    await client.query(schema)
    if (setup !== '') await client.query(`SET ROLE dbowner; ${setup}; RESET ROLE`)
    return await loadCatalog(client)
  } finally {
    await client.end()
    await database.drop()
  }
}

for (const [name, start] of [
  ['PostgreSQL 18', postgres18],
  ['PostgreSQL 15', postgres15],
] as const) {
  describe(`corpus with the catalog of ${name}`, () => {
    let analyser: Analyser
    const catalogs = new Map<string, Catalog>()

    before(async function () {
      this.timeout(120_000)
      analyser = createAnalyser()
      await analyser.ready()
      const upstream = await start()
      for (const setup of new Set(cases.map(one => one.setup ?? ''))) {
        catalogs.set(setup, await catalogAfter(upstream, setup))
      }
    })

    after(() => analyser.close())

    for (const { sql, must, why, setup = '' } of cases) {
      it(`${must}: ${sql}`, async () => {
        const analysis = await analyser.analyse(Buffer.from(sql), EMPTY_SCOPE, catalogs.get(setup))
        const { verdict, because } = judge(analysis)
        assert.equal(verdict, must, `${why}; decided by: ${because}`)
      })
    }
  })
}
