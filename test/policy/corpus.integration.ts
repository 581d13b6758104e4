import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import pg from 'pg'
import { grantFor, type Policy } from '../../src/policy/index.ts'
import { type Analyser, type Catalog, createAnalyser, EMPTY_SCOPE } from '../../src/sql/index.ts'
import { freshDatabase, postgres18, type Upstream } from '../helpers/postgres.ts'
import { loadCatalog } from '../sql/load-catalog.ts'
import { ANA, NOON, withRules } from './asking.ts'

/** The policy that the corpus assumes, as a policy file. */
const RULES = `- name: payroll
  when: { tables: public.payroll }
  then: deny
- name: pinned-settings
  when: { settings: "*", unless: { settings: [application_name, timezone, extra_float_digits] } }
  then: deny
- name: dangerous
  when: { hazards: [files, program, roles, settings, server, replication, extension, network, sleep, advisory-lock] }
  then: deny
- name: not-on-the-list
  when:
    unless:
      kind: [SELECT, INSERT, UPDATE, MERGE, COPY, EXPLAIN, ANALYZE, SHOW, SET, RESET, BEGIN, COMMIT,
        ROLLBACK, SAVEPOINT, RELEASE, ROLLBACK TO, PREPARE, EXECUTE, DEALLOCATE, DECLARE, FETCH, MOVE,
        CLOSE, LISTEN, UNLISTEN, DISCARD, SET CONSTRAINTS]
  then: { approve: { by: [dba] } }
- name: no-where
  when: { where: missing }
  then: { approve: { by: [dba] } }
- name: code
  when: { hazards: [code, sequence, large-object, unknown] }
  then: { approve: { by: [dba] } }
- name: functions
  when: { acting_functions: "*", unless: { acting_functions: nextval } }
  then: { approve: { by: [dba] } }`

type Case = {
  readonly sql: string
  readonly must: 'allow' | 'approve' | 'deny'
  readonly why: string
  readonly setup?: string
}

const folder = new URL('../corpus/', import.meta.url)
const schema = readFileSync(new URL('evasion_schema.sql', folder), 'utf8')
const cases: Case[] = readFileSync(new URL('classify.jsonl', folder), 'utf8')
  .trim()
  .split('\n')
  .map(line => JSON.parse(line))

const WORD = { allow: 'allow', hold: 'approve', deny: 'deny' } as const

async function catalogAfter(upstream: Upstream, setup: string): Promise<Catalog> {
  const database = await freshDatabase(upstream, 'policy')
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

describe('policy on the corpus', () => {
  const catalogs = new Map<string, Catalog>()
  let analyser: Analyser
  let policy: Policy

  before(async function () {
    this.timeout(120_000)
    analyser = createAnalyser()
    await analyser.ready()
    policy = await withRules(RULES, 'unknown: hold')
    const upstream = await postgres18()
    for (const setup of new Set(cases.map(one => one.setup ?? ''))) {
      catalogs.set(setup, await catalogAfter(upstream, setup))
    }
  })

  after(() => analyser.close())

  for (const { sql, must, why, setup = '' } of cases) {
    it(`${must}: ${sql}`, async () => {
      const grant = grantFor(policy, ANA, 'prod')
      assert(grant !== undefined)
      const asked = {
        principal: ANA,
        grant,
        agent: undefined,
        at: NOON,
        environment: 'production',
        inTransaction: false,
        analysis: await analyser.analyse(Buffer.from(sql), EMPTY_SCOPE, catalogs.get(setup)),
      }
      const { outcome, rule } = policy.evaluate(asked)
      assert.equal(WORD[outcome], must, `${why}; decided by ${rule}`)
    })
  }
})
