import assert from 'node:assert/strict'
import { type Analyser, createAnalyser, EMPTY_SCOPE, type Statement } from '../../src/sql/index.ts'
import { parseName } from '../../src/sql/names.ts'

describe('names in strings', () => {
  for (const [text, schema, name] of [
    ['orders', undefined, 'orders'],
    ['Public.Orders', 'public', 'orders'],
    [' public . orders ', 'public', 'orders'],
    ['"Public"."Or.ders"', 'Public', 'Or.ders'],
    ['"a""b"', undefined, 'a"b'],
    ['db.s.t', 's', 't'],
    ['größe', undefined, 'größe'],
  ] as const) {
    it(`reads ${text}`, () => assert.deepEqual(parseName(text), { schema, name }))
  }

  for (const text of ['', '.', 'a.', 'a b', '"a', '1a', 'a.b.c.d', '""', 'a;b']) {
    it(`does not read ${JSON.stringify(text)}`, () => assert.equal(parseName(text), undefined))
  }
})

describe('names in statements', () => {
  let analyser: Analyser

  before(async () => {
    analyser = createAnalyser()
    await analyser.ready()
  })

  after(() => analyser.close())

  async function only(sql: string): Promise<Statement> {
    const analysis = await analyser.analyse(Buffer.from(sql), EMPTY_SCOPE)
    assert(analysis.ok, sql)
    const [statement] = analysis.statements
    assert(statement !== undefined)
    return statement
  }

  const touched = ({ relations }: Statement): string[] =>
    relations.map(({ schema, name, access }) => `${access} ${schema ?? '?'}.${name}`)

  for (const [sql, relations] of [
    [`SELECT nextval('s.seq')`, ['write s.seq']],
    [`SELECT 'payroll'::regclass`, ['read ?.payroll']],
    [`SELECT pg_relation_size('public.payroll')`, ['read public.payroll']],
    [`SELECT table_to_xml('payroll', true, true, '')`, ['read ?.payroll']],
    [`SELECT query_to_xml('SELECT * FROM payroll', true, true, '')`, ['read ?.payroll']],
    ['WITH a AS (SELECT * FROM a) SELECT * FROM a', ['read ?.a']],
    ['WITH RECURSIVE a AS (SELECT * FROM a) SELECT * FROM a', []],
    ['WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b', []],
    ['WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM b', ['read ?.b']],
    ['WITH a AS (SELECT 1) SELECT * FROM s.a', ['read s.a']],
    ['WITH a AS (SELECT 1) INSERT INTO a SELECT * FROM a', ['write ?.a']],
    ['SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) x, a', ['read ?.a']],
    ['(WITH a AS (SELECT 1) SELECT * FROM a) UNION SELECT * FROM a', ['read ?.a']],
    ['DROP TABLE s.t, u', ['schema s.t', 'schema ?.u']],
    ['DROP TRIGGER x ON s.t', ['schema s.t']],
    ['COMMENT ON COLUMN s.t.c IS NULL', ['schema s.t']],
    ['ALTER TABLE a ATTACH PARTITION b DEFAULT', ['schema ?.a', 'schema ?.b']],
    ['CREATE TABLE a (b int REFERENCES c)', ['schema ?.a', 'schema ?.c']],
    ['CREATE VIEW a AS SELECT * FROM b', ['schema ?.a', 'read ?.b']],
    ['SELECT * FROM a FOR UPDATE', ['read ?.a', 'lock ?.a']],
    ['EXPLAIN UPDATE a SET b = 1', ['read ?.a']],
    ['COPY a (b) FROM STDIN', ['write ?.a']],
    ['VACUUM a', ['lock ?.a']],
  ] as const) {
    it(`finds relations of ${sql}`, async () =>
      assert.deepEqual(touched(await only(sql)), relations))
  }

  it('guards the system catalogs', async () => {
    for (const sql of [
      'SELECT * FROM pg_authid',
      'TABLE pg_catalog.pg_shadow',
      `UPDATE pg_settings SET setting = 'off' WHERE name = 'default_transaction_read_only'`,
      'DELETE FROM pg_catalog.pg_proc WHERE oid = 1',
    ]) {
      assert((await only(sql)).needs.includes('admin'), sql)
    }
    assert.deepEqual((await only('SELECT * FROM pg_class, pg_roles')).needs, ['read'])
  })

  it('reports what set_config sets only where it is literal', async () => {
    const { settings, needs } = await only(`SELECT set_config('Application_Name', 'x', true)`)
    assert.deepEqual(settings, [{ name: 'application_name', value: 'x', local: true }])
    assert.deepEqual(needs, ['read'])
    for (const call of [
      `set_config('ro' || 'le', 'x', false)`,
      `set_config(setting_name => 'work_mem', new_value => '1', is_local => false)`,
      `set_config('work_mem_'::varchar(8), '1', false)`,
      `pg_catalog.set_config('role', 'x', false)`,
      `set_config('client_encoding', $1, false)`,
    ]) {
      assert((await only(`SELECT ${call}`)).needs.includes('admin'), call)
    }
  })

  it('reports SET with its value', async () => {
    assert.deepEqual((await only(`SET LOCAL search_path TO a, 'b'`)).settings, [
      { name: 'search_path', value: 'a, b', local: true },
    ])
    assert.deepEqual((await only('BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY')).settings, [
      { name: 'transaction_isolation', value: 'serializable', local: true },
      { name: 'transaction_read_only', value: '1', local: true },
    ])
    assert.deepEqual((await only('RESET ALL')).settings, [
      { name: 'all', value: undefined, local: false },
    ])
  })
})
