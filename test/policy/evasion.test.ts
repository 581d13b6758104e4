import assert from 'node:assert/strict'
import type { Policy } from '../../src/policy/index.ts'
import { type Asking, question, ready, withRules } from './asking.ts'

/** What must not be got around: payroll is closed, deleting without WHERE too, writing needs a person. */
const RULES = `- { name: payroll, when: { tables: public.payroll }, then: deny }
- { name: no-where, when: { kind: [DELETE, UPDATE], where: missing }, then: deny }
- { name: writes, when: { class: write, unless: { tables: "scratch.*" } }, then: { approve: { by: [dba] } } }
- { name: files, when: { functions: ["pg_read_*", "lo_*"], or: { kind: COPY PROGRAM } }, then: deny }
- { name: agents, when: { via: agent, class: [ddl, admin] }, then: deny }
- { name: path, when: { settings: [search_path, role, session_authorization] }, then: deny }`

const TABLE: readonly (readonly [
  trick: string,
  sql: string,
  least: 'hold' | 'deny',
  asking?: Asking,
])[] = [
  ['a quoted name', 'SELECT * FROM "payroll"', 'deny'],
  ['a name as escapes', 'SELECT * FROM U&"\\0070ayroll"', 'deny'],
  ['the catalog name in front', 'SELECT * FROM shop.public.payroll', 'deny'],
  ['a join that uses no column of it', 'SELECT 1 FROM users LEFT JOIN payroll ON true', 'deny'],
  ['only explaining it', 'EXPLAIN SELECT * FROM payroll', 'deny'],
  ['only locking it', 'LOCK TABLE payroll', 'deny'],
  ['giving it another name', 'ALTER TABLE payroll RENAME TO free', 'deny'],
  ['another schema on the path', 'SET search_path TO payroll_schema', 'deny'],
  ['the path by function', "SELECT set_config('search_path', 'x', false)", 'deny'],
  ['the path hidden in an aggregate', "SELECT count(set_config('role', 'x', true)) FROM t", 'deny'],
  ['a view over it', 'CREATE VIEW v AS SELECT * FROM payroll', 'deny'],
  ['a cursor on it', 'BEGIN; DECLARE c CURSOR FOR TABLE payroll; FETCH c', 'deny'],
  ['preparing and executing', 'PREPARE p AS TABLE payroll; EXECUTE p', 'deny'],
  ['a harmless statement in front', 'SELECT 1; SELECT * FROM payroll', 'deny'],
  ['a harmless statement behind', 'SELECT * FROM payroll; SELECT 1', 'deny'],
  ['comments instead of blanks', 'DELETE/**/FROM/**/orders', 'deny'],
  ['a WHERE that is always true', "DELETE FROM orders WHERE 'a' = 'a'", 'deny'],
  ['a WHERE with a parameter alone', 'DELETE FROM orders WHERE $1', 'deny'],
  ['a WITH around it', 'WITH d AS (DELETE FROM orders RETURNING 1) SELECT * FROM d', 'deny'],
  ['running it to explain it', 'EXPLAIN (ANALYZE, COSTS off) DELETE FROM orders', 'deny'],
  ['a block around it', 'DO $$ BEGIN DELETE FROM orders; END $$', 'deny'],
  ['a block that builds it', "DO $$ BEGIN EXECUTE 'DEL' || 'ETE FROM orders'; END $$", 'deny'],
  ['a WHERE on one of two', 'DELETE FROM a WHERE id = 1; DELETE FROM b', 'deny'],
  ['MERGE on true', 'MERGE INTO o USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE', 'deny'],
  ['a scratch table beside it', 'DELETE FROM orders USING scratch.t WHERE orders.id = 1', 'hold'],
  ['a scratch table of no schema', 'DELETE FROM t WHERE id = 1', 'hold'],
  ['a scratch table in another spelling', 'DELETE FROM "Scratch".t WHERE id = 1', 'hold'],
  ['an unknown function', 'SELECT purge()', 'hold'],
  ['a function qualified', "SELECT pg_catalog.pg_read_file('x')", 'deny'],
  ['a function in capitals', "SELECT PG_READ_FILE('x')", 'deny'],
  ['a function in ORDER BY', "SELECT 1 ORDER BY lo_import('x')", 'deny'],
  ['a program to copy from', "COPY t FROM PROGRAM 'cat'", 'deny'],
  ['SQL in a string', "SELECT query_to_xml('delete from orders', true, true, '')", 'deny'],
  ['going out and in again', "SELECT dblink_exec('delete from orders')", 'deny'],
  ['row locks', 'SELECT * FROM orders FOR UPDATE', 'hold'],
  ['a label in capitals', 'DROP TABLE t', 'deny', { agent: 'CLAUDE' }],
  ['a label with a version', 'DROP TABLE t', 'deny', { agent: 'claude-code/2.0' }],
]

const STRENGTH = { allow: 0, hold: 1, deny: 2 }

describe('policy/evasion', () => {
  let policy: Policy
  before(async () => {
    await ready()
    policy = await withRules(RULES)
  })

  for (const [trick, sql, least, asking] of TABLE) {
    it(`is not got around by ${trick}`, () => {
      const { outcome, rule } = policy.evaluate(question(policy, sql, asking))
      assert(STRENGTH[outcome] >= STRENGTH[least], `${outcome} ${rule}: ${sql.slice(0, 100)}`)
    })
  }

  const HARMLESS = [
    "SELECT 'DELETE FROM orders'",
    'SELECT payroll FROM users',
    'WITH payroll AS (SELECT 1) SELECT * FROM payroll',
    'SELECT * FROM payroll_public.x',
    'SELECT 1 -- DELETE FROM payroll',
    'EXPLAIN DELETE FROM orders',
    'DELETE FROM scratch.t WHERE id = 1',
    "SET timezone TO 'UTC'",
    'BEGIN; SELECT 1; COMMIT',
  ]
  for (const sql of HARMLESS) {
    it(`leaves alone ${sql}`, () => {
      assert.equal(policy.evaluate(question(policy, sql)).outcome, 'allow')
    })
  }
})
