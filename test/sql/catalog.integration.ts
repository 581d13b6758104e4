import assert from 'node:assert/strict'
import pg from 'pg'
import {
  type Analyser,
  anticipate,
  buildCatalog,
  CATALOG_VERSION_QUERY,
  type Catalog,
  createAnalyser,
  EMPTY_SCOPE,
  type Scope,
  type Statement,
  withMovedPath,
} from '../../src/sql/index.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import { loadCatalog } from './load-catalog.ts'

const SCHEMA = `
CREATE TABLE secret (id int PRIMARY KEY, amount numeric);
CREATE TABLE orders (id int PRIMARY KEY, note text);
CREATE TABLE lines (order_id int REFERENCES orders ON DELETE CASCADE ON UPDATE CASCADE, n int);
CREATE TABLE hints (order_id int REFERENCES orders ON DELETE SET NULL, n int);
CREATE TABLE plain (id int NOT NULL, maybe int);

CREATE VIEW v AS SELECT amount FROM secret;
CREATE VIEW vv AS SELECT * FROM v;
CREATE MATERIALIZED VIEW m AS SELECT amount FROM secret;
CREATE FUNCTION reads() RETURNS numeric LANGUAGE sql STABLE AS 'SELECT max(amount) FROM public.secret';
CREATE FUNCTION atomic() RETURNS numeric STABLE RETURN (SELECT max(amount) FROM secret);
CREATE FUNCTION deletes() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM orders; RETURN 1; END';
CREATE FUNCTION pure(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + 1';
CREATE FUNCTION liar() RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN deletes(); END';
CREATE FUNCTION opaque() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN EXECUTE ''x''; RETURN 1; END';
CREATE FUNCTION even(n int) RETURNS bool LANGUAGE plpgsql AS
  'BEGIN IF n = 0 THEN RETURN true; END IF; RETURN odd(n - 1); END';
CREATE FUNCTION odd(n int) RETURNS bool LANGUAGE plpgsql AS
  'BEGIN IF n = 0 THEN PERFORM deletes(); END IF; RETURN even(n - 1); END';
CREATE FUNCTION fullrec(o orders) RETURNS numeric LANGUAGE sql AS 'SELECT max(amount) FROM public.secret';
CREATE FUNCTION upper(varchar) RETURNS text LANGUAGE sql AS 'SELECT max(amount)::text FROM public.secret';
CREATE PROCEDURE proc() LANGUAGE sql AS 'DELETE FROM orders';
CREATE FUNCTION eq(int, int) RETURNS bool LANGUAGE sql AS 'SELECT deletes() = 1';
CREATE OPERATOR <!> (LEFTARG = int, RIGHTARG = int, FUNCTION = eq);
CREATE AGGREGATE agg (int) (SFUNC = int4pl, STYPE = int, FINALFUNC = pure);
CREATE FUNCTION step(int, int) RETURNS int LANGUAGE sql AS 'SELECT deletes()';
CREATE AGGREGATE bad (int) (SFUNC = step, STYPE = int);
CREATE FUNCTION is_ok(int) RETURNS bool LANGUAGE sql AS 'SELECT deletes() = 1';
CREATE DOMAIN checked AS int CHECK (is_ok(VALUE));
CREATE DOMAIN rechecked AS checked;
CREATE TABLE with_domain (a rechecked);
CREATE TABLE with_default (a int DEFAULT deletes(), b int);
CREATE TABLE with_serial (a serial, b int);

CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO public.secret VALUES (1, 2); RETURN NULL; END';
CREATE TABLE watched (a int);
CREATE TRIGGER t AFTER UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION audit();
CREATE TABLE unwatched (a int);
CREATE TRIGGER t AFTER UPDATE ON unwatched FOR EACH ROW EXECUTE FUNCTION audit();
ALTER TABLE unwatched DISABLE TRIGGER t;

CREATE TABLE ruled (a int);
CREATE RULE r AS ON INSERT TO ruled DO INSTEAD DELETE FROM orders;
CREATE VIEW plain_view AS SELECT * FROM plain WHERE id > 1;

CREATE TABLE guarded (a int);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded FOR SELECT USING (deletes() = 1);

CREATE TABLE parent (a int) PARTITION BY LIST (a);
CREATE TABLE child PARTITION OF parent FOR VALUES IN (1);

CREATE SCHEMA other;
CREATE TABLE other.orders (id int);
CREATE FUNCTION other.safe() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION other.pure(a int) RETURNS int LANGUAGE sql AS 'SELECT public.deletes()';
CREATE FUNCTION along() RETURNS bigint LANGUAGE sql SET search_path = other AS 'SELECT count(*) FROM orders';
`

describe('catalog', () => {
  let analyser: Analyser
  let database: Database
  let catalog: Catalog

  before(async function () {
    this.timeout(60_000)
    analyser = createAnalyser()
    await analyser.ready()
    database = await freshDatabase(await postgres18(), 'catalog')
    await database.query(SCHEMA)
    catalog = await load()
  })

  after(async () => {
    await database.drop()
    await analyser.close()
  })

  async function load(): Promise<Catalog> {
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    try {
      return await loadCatalog(client)
    } finally {
      await client.end()
    }
  }

  async function all(sql: string, scope: Scope = EMPTY_SCOPE): Promise<readonly Statement[]> {
    const analysis = await analyser.analyse(Buffer.from(sql), scope, catalog)
    assert(analysis.ok, sql)
    return analysis.statements
  }

  async function only(sql: string, scope?: Scope): Promise<Statement> {
    const [statement] = await all(sql, scope)
    assert(statement !== undefined)
    return statement
  }

  const touched = ({ relations }: Statement): string[] =>
    relations.map(({ schema, name, access }) => `${access} ${schema}.${name}`).sort()

  for (const [sql, relations] of [
    ['SELECT * FROM vv', ['read public.secret', 'read public.v', 'read public.vv']],
    ['SELECT * FROM m', ['read public.m', 'read public.secret']],
    ['LOCK vv', ['lock public.vv', 'read public.secret', 'read public.v']],
    ['SELECT reads()', ['read public.secret']],
    ['SELECT atomic()', ['read public.secret']],
    ['SELECT o.fullrec FROM orders o', ['read public.orders', 'read public.secret']],
    ['SELECT (o).fullrec FROM orders o', ['read public.orders', 'read public.secret']],
    ['SELECT upper(note) FROM orders', ['read public.orders', 'read public.secret']],
    ['SELECT * FROM child', ['read public.child', 'read public.parent']],
    ['SELECT * FROM parent', ['read public.child', 'read public.parent']],
    ['SELECT * FROM ONLY parent', ['read public.parent']],
    ['INSERT INTO orders VALUES (1)', ['write public.orders']],
    ['DELETE FROM lines', ['write public.lines']],
    [
      'DELETE FROM orders WHERE id = 1',
      ['write public.hints', 'write public.lines', 'write public.orders'],
    ],
    ['UPDATE orders SET note = 1 WHERE id = 1', ['write public.orders']],
    ['UPDATE orders SET id = 1 WHERE id = 1', ['write public.lines', 'write public.orders']],
    [
      'TRUNCATE orders CASCADE',
      ['write public.hints', 'write public.lines', 'write public.orders'],
    ],
    ['INSERT INTO watched VALUES (1)', ['write public.watched']],
    ['UPDATE watched SET a = 1', ['write public.secret', 'write public.watched']],
    ['UPDATE unwatched SET a = 1', ['write public.unwatched']],
    [
      'INSERT INTO plain_view VALUES (1)',
      ['read public.plain', 'write public.plain', 'write public.plain_view'],
    ],
    [
      'INSERT INTO with_serial (b) VALUES (1)',
      [
        'read public.with_serial_a_seq',
        'write public.with_serial',
        'write public.with_serial_a_seq',
      ],
    ],
    ['SELECT along()', ['read other.orders']],
    ['SELECT * FROM other.orders', ['read other.orders']],
    ['WITH orders AS (SELECT 1) SELECT * FROM orders', []],
  ] as const) {
    it(`resolves what is touched by ${sql}`, async () => {
      assert.deepEqual(touched(await only(sql)), relations)
    })
  }

  for (const sql of [
    'SELECT deletes()',
    'SELECT liar()',
    'SELECT even(3)',
    'SELECT odd(3)',
    'CALL proc()',
    'SELECT 1 <!> 2',
    'SELECT bad(n) FROM lines',
    'SELECT 1::rechecked',
    'SELECT * FROM guarded',
    'INSERT INTO with_domain VALUES (1)',
    'INSERT INTO with_default (b) VALUES (1)',
    'COPY with_default FROM STDIN',
    'INSERT INTO ruled VALUES (1)',
    'SELECT other.pure(1)',
    'PREPARE p AS SELECT deletes(); EXECUTE p',
    'SET search_path = other; SELECT pure(1)',
  ]) {
    it(`finds the DELETE behind ${sql}`, async () => {
      const statement = (await all(sql)).at(-1)
      assert(statement !== undefined)
      assert(statement.kinds.includes('DELETE'), statement.kinds.join(' '))
      assert(statement.needs.includes('write'))
      assert.equal(statement.where, 'missing')
    })
  }

  it('lets a function read that only reads', async () => {
    for (const sql of ['SELECT reads()', 'SELECT pure(1)', 'SELECT agg(n) FROM lines']) {
      const statement = await only(sql)
      assert.deepEqual(statement.needs, ['read'], sql)
      assert.deepEqual(statement.actingFunctions, [])
      assert.deepEqual(statement.unknownFunctions, [])
    }
    assert.deepEqual((await only('SELECT pure(1)')).functions, ['public.pure'])
  })

  it('does not trust code it can not read, whatever its volatility', async () => {
    const statement = await only('SELECT opaque()')
    assert.deepEqual(statement.needs, ['read', 'write'])
    assert.deepEqual(statement.hazards, ['code'])
    assert.deepEqual(statement.actingFunctions, ['public.opaque'])
  })

  it('names what the catalog does not have', async () => {
    const statement = await only(
      'SELECT nobody(1) FROM nowhere, pg_class, information_schema.tables',
    )
    assert.deepEqual(statement.unknownFunctions, ['nobody'])
    assert.deepEqual(statement.unknownRelations, ['nowhere'])
    assert.deepEqual(statement.needs, ['read', 'write'])
  })

  it('knows columns that are never null', async () => {
    assert.equal((await only('UPDATE plain SET maybe = 1 WHERE id IS NOT NULL')).where, 'trivial')
    assert.equal(
      (await only('UPDATE plain SET maybe = 1 WHERE maybe IS NOT NULL')).where,
      'present',
    )
    assert.equal(
      (await only('DELETE FROM plain WHERE maybe = 1 OR plain.id IS NOT NULL')).where,
      'trivial',
    )
  })

  it('looks everywhere once the search path has moved', async () => {
    const moved = anticipate(EMPTY_SCOPE, await only('SET search_path = other'))
    assert.deepEqual(touched(await only('SELECT * FROM orders', moved)), [
      'read other.orders',
      'read public.orders',
    ])
    assert.deepEqual(
      touched(await only('SELECT * FROM orders', withMovedPath(EMPTY_SCOPE))),
      touched(await only('SELECT * FROM orders', moved)),
    )
    assert.deepEqual((await only('SELECT safe()')).unknownFunctions, ['safe'])
    assert.deepEqual((await only('SELECT safe()', moved)).unknownFunctions, [])
  })

  it('judges a prepared statement by the catalog of the day', async () => {
    const scope = anticipate(EMPTY_SCOPE, await only('PREPARE p AS SELECT turncoat()'))
    assert.deepEqual((await only('EXECUTE p', scope)).unknownFunctions, ['turncoat'])
    const version = await versionOf()
    await database.query(
      `CREATE FUNCTION turncoat() RETURNS int LANGUAGE sql AS 'SELECT pg_backend_pid()'`,
    )
    assert.notEqual(await versionOf(), version)
    const before = catalog
    catalog = await load()
    assert.deepEqual((await only('EXECUTE p', scope)).needs, ['read'])
    catalog = before
    assert.deepEqual((await only('EXECUTE p', scope)).unknownFunctions, ['turncoat'])
  })

  it('keeps its version while rows change and statistics are gathered', async () => {
    const version = await versionOf()
    await database.query("INSERT INTO plain VALUES (1, 2); SELECT nextval('with_serial_a_seq')")
    await database.query('ANALYZE plain')
    assert.equal(await versionOf(), version)
  })

  it('refuses rows that are not a catalog', () => {
    assert.throws(() => buildCatalog(new Map()), { name: 'DbgateError', code: 'INTERNAL' })
    assert.throws(() => buildCatalog(new Map([['session', ['{']]])), { code: 'INTERNAL' })
  })

  async function versionOf(): Promise<unknown> {
    return Object.values((await database.query(CATALOG_VERSION_QUERY)).rows[0])[0]
  }
})
