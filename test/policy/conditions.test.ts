import assert from 'node:assert/strict'
import type { Policy } from '../../src/policy/index.ts'
import { ANA, type Asking, outcome, ready, withRules } from './asking.ts'

type Row = readonly [sql: string, isMatched: boolean, asking?: Asking]

/** Each `when:` and statements that it is, and is not, about. */
const TABLE: Readonly<Record<string, readonly Row[]>> = {
  '{ class: write }': [
    ['DELETE FROM orders', true],
    ['SELECT 1', false],
    ['DROP TABLE orders', false],
    ['WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d', true],
    ['SELECT purge()', true],
    ['EXPLAIN DELETE FROM orders', false],
    ['EXPLAIN ANALYZE DELETE FROM orders', true],
    // Something worse in it does not hide that it writes.
    ["DELETE FROM orders WHERE note = pg_read_file('x')", true],
  ],
  '{ class: [ddl, admin] }': [
    ['DROP TABLE orders', true],
    ['GRANT SELECT ON orders TO bob', true],
    ['DELETE FROM orders', false],
  ],
  '{ class: transaction }': [
    ['BEGIN', true],
    ['SELECT 1', false],
  ],
  '{ class: session }': [
    ["SET timezone TO 'UTC'", true],
    ['BEGIN', false],
  ],
  '{ kind: DELETE }': [
    ['DELETE FROM orders WHERE id = 1', true],
    ['delete/**/from"orders"', true],
    ["SELECT 'DELETE FROM orders'", false],
    ['SELECT 1 -- DELETE FROM orders', false],
    ['MERGE INTO orders o USING users u ON o.id = u.id WHEN MATCHED THEN DELETE', true],
    ['PREPARE d AS DELETE FROM orders', true],
    ['COPY (DELETE FROM orders RETURNING id) TO STDOUT', true],
    ['SELECT 1; DELETE FROM orders', true],
  ],
  '{ kind: [drop table, create_role] }': [
    ['DROP TABLE orders', true],
    ['DROP INDEX orders_id', false],
    ['CREATE ROLE bob', true],
    ['CREATE USER bob', true],
    ['CREATE TABLE t (id int)', false],
  ],
  '{ kind: DROP MATERIALIZED VIEW }': [
    ['DROP MATERIALIZED VIEW totals', true],
    ['DROP VIEW totals', false],
  ],
  '{ kind: copy }': [
    ['COPY orders TO STDOUT', true],
    ['COPY orders FROM STDIN', true],
    ["COPY orders FROM PROGRAM 'cat'", true],
    ['SELECT 1', false],
  ],
  '{ kind: COPY PROGRAM }': [
    ["COPY orders FROM PROGRAM 'cat'", true],
    ['COPY orders TO STDOUT', false],
  ],
  '{ kind: VACUUM }': [
    ['VACUUM (FULL) orders', true],
    ['VACUUM orders', true],
    ['ANALYZE orders', false],
  ],
  '{ tables: orders }': [
    ['SELECT * FROM orders', true],
    ['SELECT * FROM public.orders', true],
    ['SELECT * FROM audit.orders', true],
    ['SELECT * FROM "ORDERS"', true],
    ['SELECT * FROM orders2', false],
    ['SELECT orders FROM t', false],
    ['TRUNCATE t, orders', true],
    ['WITH orders AS (SELECT 1) SELECT * FROM orders', false],
    ['ALTER TABLE orders RENAME TO free', true],
  ],
  '{ tables: [public.orders, "audit.*"] }': [
    ['SELECT * FROM public.orders', true],
    ['SELECT * FROM audit.log', true],
    ['SELECT * FROM sales.orders', false],
    // Where the search path decides, it may be one of them.
    ['SELECT * FROM orders', true],
  ],
  '{ tables: "pay*" }': [
    ['SELECT * FROM payroll', true],
    ['SELECT * FROM hr.payments', true],
    ['SELECT * FROM repayments', false],
  ],
  '{ functions: ["pg_read_*", lo_import] }': [
    ["SELECT pg_read_file('x')", true],
    ["SELECT pg_catalog.pg_read_binary_file('x')", true],
    ["SELECT PG_READ_FILE('x')", true],
    ["SELECT lo_import('x')", true],
    ["SELECT lo_export(1, 'x')", false],
    ["SELECT 'pg_read_file'", false],
  ],
  '{ functions: app.total }': [
    ['SELECT app.total()', true],
    ['SELECT total()', true],
    ['SELECT other.total()', false],
  ],
  '{ acting_functions: "*" }': [
    ['SELECT purge()', true],
    ["SELECT nextval('s')", true],
    ['SELECT lower(name) FROM users', false],
  ],
  '{ settings: [search_path, "app.*"] }': [
    ['SET search_path TO evil', true],
    ["SELECT set_config('search_path', 'evil', false)", true],
    ['SET app.user_id = 1', true],
    ["SET timezone TO 'UTC'", false],
  ],
  '{ hazards: [files, program] }': [
    ["COPY orders TO '/tmp/x'", true],
    ["COPY orders TO PROGRAM 'cat'", true],
    ["SELECT pg_read_file('x')", true],
    ['SELECT 1', false],
  ],
  '{ where: missing }': [
    ['DELETE FROM orders', true],
    ['DELETE FROM orders WHERE true', true],
    ['UPDATE orders SET total = 0 WHERE 1 = 1', true],
    ['DELETE FROM orders WHERE id = 1', false],
    ['SELECT * FROM orders', false],
    ['WITH a AS (DELETE FROM a WHERE id = 1), b AS (DELETE FROM b) SELECT 1', true],
  ],
  '{ where: trivial }': [
    ['DELETE FROM orders WHERE true', true],
    ['DELETE FROM orders', false],
  ],
  '{ where: present }': [
    ['DELETE FROM orders WHERE id = 1', true],
    ['DELETE FROM orders', false],
  ],
  '{ groups: [support, engineering] }': [
    ['SELECT 1', true],
    ['SELECT 1', false, { principal: { ...ANA, groups: ['engineering2'], user: 'eve@acme.dev' } }],
  ],
  '{ users: ana@acme.dev }': [
    ['SELECT 1', true],
    ['SELECT 1', false, { principal: { ...ANA, user: 'ana@evil.dev' } }],
  ],
  '{ via: agent }': [
    ['SELECT 1', true, { agent: 'claude' }],
    ['SELECT 1', true, { agent: 'Claude-Code/2.1' }],
    ['SELECT 1', true, { agent: 'cursor' }],
    ['SELECT 1', false, { agent: 'psql' }],
    ['SELECT 1', false, { agent: '' }],
    ['SELECT 1', false],
  ],
  '{ via: [psql, "cursor*"] }': [
    ['SELECT 1', true, { agent: 'psql' }],
    ['SELECT 1', true, { agent: 'Cursor 2' }],
    ['SELECT 1', false, { agent: 'claude' }],
  ],
  '{ application: "DBeaver*" }': [
    ['SELECT 1', true, { application: 'dbeaver 24.1 - Main' }],
    ['SELECT 1', false, { application: 'psql' }],
    ['SELECT 1', false],
  ],
  '{ environment: [production] }': [
    ['SELECT 1', true, { environment: 'production' }],
    ['SELECT 1', false, { environment: 'staging' }],
    ['SELECT 1', false],
  ],
  '{ time: { outside: "Mon-Fri 07:00-19:00", zone: Europe/Berlin } }': [
    ['SELECT 1', false],
    ['SELECT 1', true, { at: Date.parse('2026-03-04T20:00:00+01:00') }],
    ['SELECT 1', true, { at: Date.parse('2026-03-07T12:00:00+01:00') }],
  ],
  '{ time: { inside: ["Sat,Sun", "22:00-06:00"], zone: UTC } }': [
    ['SELECT 1', false],
    ['SELECT 1', true, { at: Date.parse('2026-03-04T23:00:00Z') }],
    ['SELECT 1', true, { at: Date.parse('2026-03-07T12:00:00Z') }],
  ],
  '{ rows_estimate: "> 1000" }': [
    ['DELETE FROM orders', true, { rowsEstimate: 1001 }],
    ['DELETE FROM orders', false, { rowsEstimate: 1000 }],
    ['DELETE FROM orders', true],
    ['DELETE FROM orders', false, { rowsEstimate: 0 }],
  ],
  '{ rows_estimate: ">=5" }': [
    ['DELETE FROM orders', true, { rowsEstimate: 5 }],
    ['DELETE FROM orders', false, { rowsEstimate: 4 }],
  ],
  '{ in_transaction: true }': [
    ['SELECT 1', true, { inTransaction: true }],
    ['SELECT 1', false, { inTransaction: false }],
    ['SELECT 1', true, { inTransaction: undefined }],
  ],
  '{ class: write, where: missing }': [
    ['DELETE FROM orders', true],
    ['DELETE FROM orders WHERE id = 1', false],
    // All keys have to hold for one and the same statement.
    ['SELECT 1; DELETE FROM orders WHERE id = 1', false],
  ],
  '{}': [
    ['SELECT 1', true],
    ['DROP TABLE t', true],
    // Harmless by themselves: nobody could end a transaction any more.
    ['BEGIN', false],
    ['COMMIT', false],
    ["SET timezone TO 'UTC'", false],
    ['', false],
  ],
  '{ class: write, unless: { tables: "scratch.*" } }': [
    ['DELETE FROM orders', true],
    ['DELETE FROM scratch.a', false],
    // Nothing but scratch tables, and for sure.
    ['DELETE FROM scratch.a USING orders', true],
    ['WITH x AS (SELECT 1 FROM scratch.a) DELETE FROM orders', true],
    ['DELETE FROM a', true],
    ['DELETE FROM "SCRATCH".a', true],
  ],
  '{ class: [read, write], unless: { kind: SELECT } }': [
    ['SELECT 1', false],
    ['WITH d AS (DELETE FROM orders RETURNING 1) SELECT * FROM d', true],
    ['SELECT * FROM orders FOR UPDATE', true],
  ],
  '{ class: ddl, unless: { kind: [CREATE TABLE, CREATE INDEX] } }': [
    ['CREATE TABLE t (id int)', false],
    ['CREATE INDEX ON t (id)', false],
    ['CREATE VIEW v AS SELECT 1', true],
    ['CREATE SCHEMA s CREATE TABLE t (id int)', true],
  ],
  '{ class: write, unless: [{ groups: [dba] }, { users: [ana@acme.dev], where: present }] }': [
    ['DELETE FROM orders', true],
    ['DELETE FROM orders WHERE id = 1', false],
    ['DELETE FROM orders', false, { principal: { ...ANA, groups: ['engineering', 'dba'] } }],
  ],
  '{ class: write, unless: { rows_estimate: "> 5" } }': [
    ['DELETE FROM orders', false, { rowsEstimate: 6 }],
    ['DELETE FROM orders', true, { rowsEstimate: 5 }],
    ['DELETE FROM orders', true],
  ],
  '{ class: write, unless: { in_transaction: true } }': [
    ['DELETE FROM orders', false, { inTransaction: true }],
    ['DELETE FROM orders', true, { inTransaction: undefined }],
  ],
  '{ functions: [lo_import], or: { kind: COPY PROGRAM } }': [
    ["COPY orders FROM PROGRAM 'cat'", true],
    ["SELECT lo_import('x')", true],
    ['SELECT 1', false],
  ],
  '{ kind: TRUNCATE, or: [{ kind: DELETE, where: missing }], unless: { groups: [dba] } }': [
    ['TRUNCATE orders', true],
    ['DELETE FROM orders', true],
    ['DELETE FROM orders WHERE id = 1', false],
    ['DELETE FROM orders', false, { principal: { ...ANA, groups: ['engineering', 'dba'] } }],
  ],
}

describe('policy/conditions', () => {
  before(ready)

  for (const [when, rows] of Object.entries(TABLE)) {
    describe(`when: ${when}`, () => {
      let policy: Policy
      before(async () => {
        policy = await withRules(`- { name: it, when: ${when}, then: deny }`)
      })

      for (const [sql, isMatched, asking = {}] of rows) {
        const { principal, ...more } = asking
        const situation =
          principal === undefined ? '' : ` as ${principal.user} of ${principal.groups}`
        const title = `${sql || '(nothing)'}${situation} ${JSON.stringify(more)}`
        it(`${isMatched ? 'is' : 'is not'} about ${title}`, () => {
          const grant = policy.grantsOf(ANA).find(({ target }) => target === 'prod')
          assert(grant !== undefined)
          const got = outcome(policy, sql, { grant, ...asking })
          assert.equal(got, isMatched ? 'deny it' : 'allow role:owner')
        })
      }
    })
  }
})
