import assert from 'node:assert/strict'
import { GRAMMAR } from '../../src/sql/grammar.ts'
import { type Analyser, createAnalyser, EMPTY_SCOPE, type Need } from '../../src/sql/index.ts'
import { compileParser, openParser } from '../../src/sql/parser.ts'

/** One statement of every kind: the statement, its kind, what it needs, its hazards. */
const STATEMENTS: readonly (readonly [string, string, string, string?])[] = [
  ['SELECT 1', 'SELECT', 'read'],
  ['TABLE t', 'SELECT', 'read'],
  ['VALUES (1)', 'SELECT', 'read'],
  ['SELECT 1 INTO x', 'SELECT_INTO', 'read ddl'],
  ['SELECT 1 FROM t FOR SHARE', 'SELECT', 'read write'],
  ['INSERT INTO t VALUES (1)', 'INSERT', 'write'],
  ['INSERT INTO t SELECT 1', 'INSERT', 'read write'],
  ['INSERT INTO t VALUES (1) RETURNING a', 'INSERT', 'read write'],
  ['UPDATE t SET a = 1', 'UPDATE', 'write'],
  ['DELETE FROM t', 'DELETE', 'write'],
  ['MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE', 'MERGE', 'read write'],
  ['TRUNCATE t', 'TRUNCATE', 'write'],
  ['COPY t TO STDOUT', 'COPY_TO', 'read'],
  ['COPY t FROM STDIN', 'COPY_FROM', 'write'],
  [`COPY t FROM '/etc/passwd'`, 'COPY_FROM', 'write admin', 'files'],
  [`COPY t TO '/tmp/x'`, 'COPY_TO', 'read admin', 'files'],
  [`COPY t TO PROGRAM 'cat'`, 'COPY_PROGRAM', 'read admin', 'program'],
  ['EXPLAIN DELETE FROM t', 'EXPLAIN', 'read'],
  ['EXPLAIN ANALYZE DELETE FROM t', 'EXPLAIN', 'read write'],
  ['LOCK t IN ACCESS SHARE MODE', 'LOCK', 'read'],
  ['LOCK t', 'LOCK', 'write'],
  ['VACUUM t', 'VACUUM', 'write'],
  ['VACUUM FULL t', 'VACUUM_FULL', 'ddl'],
  ['VACUUM (FULL off, FULL) t', 'VACUUM_FULL', 'ddl'],
  ['ANALYZE t', 'ANALYZE', 'read write'],
  ['CLUSTER t', 'CLUSTER', 'ddl'],
  ['REINDEX TABLE t', 'REINDEX', 'ddl'],
  ['REFRESH MATERIALIZED VIEW m', 'REFRESH', 'write'],
  [`DO 'BEGIN NULL; END'`, 'DO', 'admin', 'code'],
  ['CALL p(1)', 'CALL', 'read write'],
  ['SHOW work_mem', 'SHOW', 'read'],
  ['SET work_mem = 1', 'SET', ''],
  ['RESET work_mem', 'RESET', ''],
  ['RESET ALL', 'RESET', ''],
  ['SET ROLE x', 'SET', 'admin', 'roles'],
  ['SET SESSION AUTHORIZATION x', 'SET', 'admin', 'roles'],
  ['RESET ROLE', 'RESET', 'admin', 'roles'],
  ['SET standard_conforming_strings = off', 'SET', 'admin', 'settings'],
  ['SET standard_conforming_strings = on', 'SET', ''],
  ['SET client_encoding = sjis', 'SET', 'admin', 'settings'],
  [`SET NAMES 'UTF8'`, 'SET', ''],
  ['SET session_replication_role = replica', 'SET', 'admin', 'settings'],
  ['SET row_security = off', 'SET', 'admin', 'settings'],
  ['SET my.tenant = 7', 'SET', 'admin', 'settings'],
  ['SET default_transaction_read_only = on', 'SET', ''],
  ['SET default_transaction_read_only = off', 'SET', 'write', 'settings'],
  ['RESET transaction_read_only', 'RESET', 'write', 'settings'],
  ['SET TRANSACTION READ WRITE', 'SET', 'write', 'settings'],
  ['SET TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE', 'SET', ''],
  ['SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE', 'SET', 'write', 'settings'],
  [`SET TRANSACTION SNAPSHOT 'x'`, 'SET', ''],
  ['SET CONSTRAINTS ALL DEFERRED', 'SET_CONSTRAINTS', ''],
  ['BEGIN', 'BEGIN', ''],
  ['START TRANSACTION READ ONLY', 'BEGIN', ''],
  ['BEGIN READ WRITE', 'BEGIN', 'write', 'settings'],
  ['COMMIT AND CHAIN', 'COMMIT', ''],
  ['ABORT', 'ROLLBACK', ''],
  ['SAVEPOINT a', 'SAVEPOINT', ''],
  ['RELEASE a', 'RELEASE', ''],
  ['ROLLBACK TO a', 'ROLLBACK_TO', ''],
  [`PREPARE TRANSACTION 'x'`, 'PREPARE_TRANSACTION', 'admin', 'server'],
  [`COMMIT PREPARED 'x'`, 'COMMIT_PREPARED', 'admin', 'server'],
  [`ROLLBACK PREPARED 'x'`, 'ROLLBACK_PREPARED', 'admin', 'server'],
  ['PREPARE s AS DELETE FROM t', 'PREPARE', 'write'],
  ['EXECUTE nobody_knows', 'EXECUTE', 'admin', 'unknown'],
  ['DEALLOCATE s', 'DEALLOCATE', ''],
  ['DECLARE c CURSOR FOR SELECT 1', 'DECLARE', 'read'],
  ['FETCH c', 'FETCH', 'read'],
  ['MOVE c', 'MOVE', 'read'],
  ['CLOSE c', 'CLOSE', ''],
  ['DISCARD ALL', 'DISCARD', ''],
  ['DISCARD PLANS', 'DISCARD', ''],
  ['LISTEN x', 'LISTEN', 'read'],
  ['UNLISTEN *', 'UNLISTEN', ''],
  ['NOTIFY x', 'NOTIFY', 'write'],
  ['CHECKPOINT', 'CHECKPOINT', 'admin', 'server'],
  [`LOAD 'x'`, 'LOAD', 'admin', 'server'],
  ['ALTER SYSTEM SET work_mem = 1', 'ALTER_SYSTEM', 'admin', 'server'],
  ['GRANT SELECT ON t TO x', 'GRANT', 'admin', 'roles'],
  ['REVOKE SELECT ON t FROM x', 'REVOKE', 'admin', 'roles'],
  ['GRANT a TO b', 'GRANT', 'admin', 'roles'],
  ['REASSIGN OWNED BY a TO b', 'ALTER', 'admin', 'roles'],
  ['COMMENT ON TABLE t IS NULL', 'COMMENT', 'ddl'],
  [`SECURITY LABEL ON TABLE t IS 'x'`, 'SECURITY_LABEL', 'admin', 'roles'],
  ['CREATE TABLE t (a int DEFAULT 1 CHECK (a > 0))', 'CREATE', 'ddl'],
  ['CREATE TABLE t AS SELECT 1', 'CREATE', 'read ddl'],
  ['CREATE MATERIALIZED VIEW m AS SELECT 1', 'CREATE', 'read ddl'],
  ['CREATE VIEW v AS SELECT 1', 'CREATE', 'read ddl'],
  ['CREATE INDEX ON t (lower(a))', 'CREATE', 'ddl'],
  ['CREATE SCHEMA s CREATE TABLE t (a int)', 'CREATE', 'ddl'],
  ['CREATE SEQUENCE s', 'CREATE', 'ddl'],
  ['CREATE DOMAIN d AS int', 'CREATE', 'ddl'],
  ['CREATE TYPE t AS (a int)', 'CREATE', 'ddl'],
  [`CREATE TYPE t AS ENUM ('a')`, 'CREATE', 'ddl'],
  ['CREATE TYPE t AS RANGE (subtype = int4)', 'CREATE', 'ddl'],
  ['CREATE AGGREGATE a (int) (sfunc = int4pl, stype = int)', 'CREATE', 'ddl'],
  [
    'CREATE AGGREGATE a (text) (sfunc = pg_read_file, stype = text)',
    'CREATE',
    'ddl admin',
    'files',
  ],
  [
    'CREATE OPERATOR <!> (rightarg = text, function = pg_read_file)',
    'CREATE',
    'ddl admin',
    'files',
  ],
  [
    'CREATE AGGREGATE a (text, bool) (sfunc = set_config, stype = text)',
    'CREATE',
    'ddl admin',
    'settings',
  ],
  ['CREATE CAST (a AS b) WITH FUNCTION f(a)', 'CREATE', 'ddl'],
  ['CREATE CAST (a AS b) WITH FUNCTION lo_import(a)', 'CREATE', 'ddl admin', 'files'],
  [`CREATE CONVERSION c FOR 'UTF8' TO 'LATIN1' FROM f`, 'CREATE', 'ddl'],
  ['CREATE STATISTICS s ON a, b FROM t', 'CREATE', 'ddl'],
  ['CREATE POLICY p ON t USING (true)', 'CREATE', 'ddl'],
  ['CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING', 'CREATE', 'ddl'],
  ['CREATE RULE r AS ON INSERT TO t DO ALSO DELETE FROM u', 'CREATE', 'write ddl'],
  ['CREATE TRIGGER t AFTER INSERT ON t EXECUTE FUNCTION f()', 'CREATE', 'ddl'],
  [`CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'`, 'CREATE', 'read ddl'],
  [
    `CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DELETE FROM t RETURNING 1'`,
    'CREATE',
    'read write ddl',
  ],
  ['CREATE FUNCTION f() RETURNS int RETURN g(1)', 'CREATE', 'read write ddl'],
  ['CREATE PROCEDURE f() BEGIN ATOMIC DELETE FROM t; END', 'CREATE', 'write ddl'],
  [`CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'x', 'y'`, 'CREATE', 'write ddl admin', 'code'],
  ['ALTER TABLE t ADD a int', 'ALTER', 'ddl'],
  ['ALTER TABLE t OWNER TO x', 'ALTER', 'ddl admin', 'roles'],
  ['ALTER TABLE t REPLICA IDENTITY FULL', 'ALTER', 'ddl'],
  ['ALTER TABLE t RENAME TO u', 'ALTER', 'ddl'],
  ['ALTER TABLE t SET SCHEMA s', 'ALTER', 'ddl'],
  ['ALTER FUNCTION f() SET work_mem = 1', 'ALTER', 'ddl'],
  ['ALTER FUNCTION f() SET role = x', 'ALTER', 'ddl admin', 'roles'],
  ['ALTER FUNCTION f() DEPENDS ON EXTENSION x', 'ALTER', 'ddl'],
  ['ALTER VIEW v OWNER TO x', 'ALTER', 'ddl admin', 'roles'],
  ['ALTER FUNCTION f() OWNER TO x', 'ALTER', 'ddl admin', 'roles'],
  ['ALTER SEQUENCE s RESTART', 'ALTER', 'ddl'],
  ['ALTER DOMAIN d SET NOT NULL', 'ALTER', 'ddl'],
  [`ALTER TYPE t ADD VALUE 'x'`, 'ALTER', 'ddl'],
  ['ALTER TYPE t SET (storage = plain)', 'ALTER', 'ddl'],
  ['ALTER COLLATION c REFRESH VERSION', 'ALTER', 'ddl'],
  ['ALTER STATISTICS s SET STATISTICS 1', 'ALTER', 'ddl'],
  ['ALTER POLICY p ON t USING (true)', 'ALTER', 'ddl'],
  ['ALTER OPERATOR + (int, int) SET (restrict = none)', 'ALTER', 'ddl'],
  ['ALTER TEXT SEARCH DICTIONARY d (a = b)', 'ALTER', 'ddl'],
  ['ALTER TEXT SEARCH CONFIGURATION c ADD MAPPING FOR a WITH b', 'ALTER', 'ddl'],
  ['ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO x', 'ALTER', 'admin', 'roles'],
  ['ALTER ROLE x SUPERUSER', 'ALTER', 'admin', 'roles'],
  ['ALTER ROLE x SET work_mem = 1', 'ALTER', 'admin', 'roles'],
  ['CREATE ROLE x', 'CREATE', 'admin', 'roles'],
  ['DROP ROLE x', 'DROP', 'admin', 'roles'],
  ['DROP TABLE a.t', 'DROP', 'ddl'],
  ['DROP EXTENSION x', 'DROP', 'admin', 'extension'],
  ['DROP OWNED BY x', 'DROP', 'admin'],
  ['CREATE DATABASE d', 'CREATE', 'admin', 'server'],
  ['ALTER DATABASE d CONNECTION LIMIT 1', 'ALTER', 'admin', 'server'],
  ['ALTER DATABASE d REFRESH COLLATION VERSION', 'ALTER', 'admin', 'server'],
  ['ALTER DATABASE d SET work_mem = 1', 'ALTER', 'admin', 'settings'],
  ['DROP DATABASE d', 'DROP', 'admin'],
  [`CREATE TABLESPACE t LOCATION '/x'`, 'CREATE', 'admin', 'server'],
  ['ALTER TABLESPACE t SET (seq_page_cost = 1)', 'ALTER', 'admin', 'server'],
  ['ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b', 'ALTER', 'admin', 'server'],
  ['DROP TABLESPACE t', 'DROP', 'admin', 'server'],
  ['CREATE EXTENSION x', 'CREATE', 'admin', 'extension'],
  ['ALTER EXTENSION x UPDATE', 'ALTER', 'admin', 'extension'],
  ['ALTER EXTENSION x ADD TABLE t', 'ALTER', 'admin', 'extension'],
  ['CREATE FOREIGN DATA WRAPPER x', 'CREATE', 'admin', 'network'],
  ["ALTER FOREIGN DATA WRAPPER x OPTIONS (a 'b')", 'ALTER', 'admin', 'network'],
  ['CREATE SERVER s FOREIGN DATA WRAPPER x', 'CREATE', 'admin', 'network'],
  [`ALTER SERVER s VERSION '1'`, 'ALTER', 'admin', 'network'],
  ['CREATE FOREIGN TABLE f (a int) SERVER s', 'CREATE', 'ddl admin', 'network'],
  ['IMPORT FOREIGN SCHEMA a FROM SERVER s INTO b', 'CREATE', 'admin', 'network'],
  ['CREATE USER MAPPING FOR x SERVER s', 'CREATE', 'admin', 'network'],
  [`ALTER USER MAPPING FOR x SERVER s OPTIONS (a 'b')`, 'ALTER', 'admin', 'network'],
  ['DROP USER MAPPING FOR x SERVER s', 'DROP', 'admin', 'network'],
  ['CREATE PUBLICATION p FOR TABLE t', 'CREATE', 'admin', 'replication'],
  ['ALTER PUBLICATION p ADD TABLE t', 'ALTER', 'admin', 'replication'],
  [`CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p`, 'CREATE', 'admin', 'replication'],
  ['ALTER SUBSCRIPTION s DISABLE', 'ALTER', 'admin', 'replication'],
  ['DROP SUBSCRIPTION s', 'DROP', 'admin', 'replication'],
  ['CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()', 'CREATE', 'admin', 'server'],
  ['ALTER EVENT TRIGGER e DISABLE', 'ALTER', 'admin', 'server'],
  ['CREATE LANGUAGE x HANDLER h', 'CREATE', 'admin', 'server'],
  ['CREATE ACCESS METHOD a TYPE TABLE HANDLER h', 'CREATE', 'admin', 'server'],
  [
    'CREATE TRANSFORM FOR int LANGUAGE x (FROM SQL WITH FUNCTION f(internal))',
    'CREATE',
    'admin',
    'server',
  ],
  ['CREATE OPERATOR CLASS o FOR TYPE int USING btree AS OPERATOR 1 <', 'CREATE', 'admin'],
  ['CREATE OPERATOR FAMILY o USING btree', 'CREATE', 'admin'],
  ['ALTER OPERATOR FAMILY o USING btree ADD OPERATOR 1 < (int, int)', 'ALTER', 'admin'],
]

/** Only ever inside of another statement. */
const INNER = ['RawStmt', 'ReplicaIdentityStmt', 'ReturnStmt']

describe('kinds of statements', () => {
  let analyser: Analyser

  before(async () => {
    analyser = createAnalyser()
    await analyser.ready()
  })

  after(() => analyser.close())

  for (const [sql, kind, needs, hazards = ''] of STATEMENTS) {
    it(`knows ${sql}`, async () => {
      const analysis = await analyser.analyse(Buffer.from(sql), EMPTY_SCOPE)
      assert(analysis.ok)
      const [statement] = analysis.statements
      assert(statement !== undefined)
      assert.equal(statement.kind, kind)
      assert.equal(statement.needs.join(' '), needs)
      assert.equal(statement.hazards.join(' '), hazards)
      assert.equal(statement.notUnderstood.length > 0, hazards === 'unknown')
      const strongest = needs.split(' ').at(-1)
      if (strongest !== '') assert.equal(statement.class, strongest)
      else assert.match(statement.class, /^(session|transaction)$/)
    })
  }

  it('has an example of every statement in the grammar', async () => {
    const parser = await openParser(compileParser())
    const seen = new Set(INNER)
    for (const [sql] of STATEMENTS) {
      const parsed = parser.parse(Buffer.from(sql))
      assert(parsed.ok, sql)
      for (const raw of parsed.tree.stmts ?? []) {
        for (const type of Object.keys(raw.stmt ?? {})) seen.add(type)
      }
    }
    const all = [...GRAMMAR.matchAll(/^(\w+Stmt)\b/gm)].map(([, type = '']) => type)
    assert(all.length > 100)
    assert.deepEqual(
      all.filter(type => !seen.has(type)),
      [],
    )
  })

  it('says which objects a definition is about', async () => {
    const analysis = await analyser.analyse(Buffer.from('DROP MATERIALIZED VIEW m'), EMPTY_SCOPE)
    assert(analysis.ok)
    assert.deepEqual(analysis.statements[0]?.objects, ['MATVIEW'])
    const needs: readonly Need[] = analysis.statements[0]?.needs ?? []
    assert.deepEqual(needs, ['ddl'])
  })
})
