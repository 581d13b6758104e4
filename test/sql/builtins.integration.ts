import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import pg from 'pg'
import { OPERATORS, STABLE_FUNCTIONS, VOLATILE_FUNCTIONS } from '../../src/sql/builtins.ts'
import { builtinEffect, isBuiltinOperator } from '../../src/sql/functions.ts'
import { type Analyser, createAnalyser, EMPTY_SCOPE } from '../../src/sql/index.ts'
import { postgres15, postgres18, urlOf } from '../helpers/postgres.ts'
import { renderBuiltins } from './generate/builtins.ts'

const names = (text: string): string[] => text.trim().split(/\s+/)

describe('built-in names', () => {
  it('are those of a real PostgreSQL 18', async () => {
    const client = new pg.Client({ connectionString: urlOf(await postgres18(), 'template1') })
    await client.connect()
    const rendered = await renderBuiltins(client)
    await client.end()
    const file = new URL('../../src/sql/builtins.ts', import.meta.url)
    assert.equal(readFileSync(file, 'utf8'), rendered)
  })

  it('cover what PostgreSQL 15 has, or need more', async () => {
    const client = new pg.Client({ connectionString: urlOf(await postgres15(), 'template1') })
    await client.connect()
    const volatile = await client.query<{ name: string }>(
      `SELECT DISTINCT proname AS name FROM pg_proc WHERE provolatile = 'v' AND oid < 16384
       AND pronamespace = 'pg_catalog'::regnamespace`,
    )
    await client.end()
    const stable = new Set(names(STABLE_FUNCTIONS))
    assert.deepEqual(
      volatile.rows.map(row => row.name).filter(name => stable.has(name)),
      [],
    )
  })

  it('are read-only unless their name is on a list', () => {
    for (const name of names(VOLATILE_FUNCTIONS)) assert(builtinEffect(undefined, name).known)
    for (const [name, need, hazard] of [
      ['now', 'read', undefined],
      ['upper', 'read', undefined],
      ['random', 'read', undefined],
      ['gen_random_uuid', 'read', undefined],
      ['txid_current', 'read', undefined],
      ['currval', 'read', undefined],
      ['pg_advisory_unlock_all', 'read', undefined],
      ['pg_sleep', 'read', 'sleep'],
      ['nextval', 'write', undefined],
      ['setval', 'write', 'sequence'],
      ['pg_notify', 'write', undefined],
      ['lo_unlink', 'write', 'large-object'],
      ['pg_advisory_lock', 'write', 'advisory-lock'],
      ['lo_import', 'admin', 'files'],
      ['pg_read_file', 'admin', 'files'],
      ['pg_ls_dir', 'admin', 'files'],
      ['query_to_xml', 'admin', 'code'],
      ['table_to_xml', 'admin', 'code'],
      ['ts_stat', 'admin', 'code'],
      ['dblink', 'admin', 'network'],
      ['pg_terminate_backend', 'admin', 'server'],
      ['pg_reload_conf', 'admin', 'server'],
      ['pg_drop_replication_slot', 'admin', 'replication'],
      ['binary_upgrade_set_record_init_privs', 'admin', 'server'],
    ] as const) {
      assert.deepEqual(builtinEffect(undefined, name), { need, hazard, known: true }, name)
    }
  })

  it('do not include names of other schemas, and pg_ names nobody knows need the most', () => {
    assert.deepEqual(builtinEffect('public', 'upper'), {
      need: 'write',
      hazard: undefined,
      known: false,
    })
    assert.equal(builtinEffect('public', 'pg_read_file').need, 'admin')
    assert.equal(builtinEffect(undefined, 'pg_future').need, 'admin')
    assert.equal(builtinEffect('pg_catalog', 'whatever').need, 'admin')
    for (const operator of names(OPERATORS)) assert(isBuiltinOperator(undefined, operator))
    assert(!isBuiltinOperator('public', '='))
    assert(!isBuiltinOperator(undefined, '<!>'))
  })
})

describe('syntax that calls functions', () => {
  let analyser: Analyser

  before(async () => {
    analyser = createAnalyser()
    await analyser.ready()
  })

  after(() => analyser.close())

  for (const expression of [
    `extract(year FROM now())`,
    `overlay('a' PLACING 'b' FROM 1)`,
    `position('a' IN 'b')`,
    `substring('a' FROM 1 FOR 2)`,
    `substring('a' SIMILAR 'b' ESCAPE 'c')`,
    `trim(BOTH 'a' FROM 'b')`,
    `now() AT TIME ZONE 'UTC'`,
    `now() AT LOCAL`,
    `collation for ('a')`,
    `'a' IS NFC NORMALIZED`,
    `normalize('a', NFD)`,
    `'a' LIKE 'b' ESCAPE 'c'`,
    `'a' SIMILAR TO 'b'`,
    `(now(), now()) OVERLAPS (now(), now())`,
    `xmlelement(name a, xmlattributes(1 AS b), xmlforest(2 AS c))`,
    `xmlexists('//a' PASSING BY VALUE '<a/>')`,
    `xmlserialize(CONTENT '<a/>' AS text)`,
    `json_object('a': 1, 'b': 2 ABSENT ON NULL)`,
    `json_array(SELECT 1)`,
    `json_objectagg('a': 1)`,
    `json_arrayagg(1 ORDER BY 2)`,
    `json_value('{}', '$.a' RETURNING int DEFAULT 1 ON EMPTY)`,
    `json_query('{}', '$.a' WITH WRAPPER)`,
    `json_exists('{}', '$.a')`,
    `json_serialize('{}')`,
    `json('{}')`,
    `'{}' IS JSON`,
    `current_user || session_user || current_schema`,
    `greatest(1, 2) + least(1, 2)`,
    `coalesce(1, nullif(1, 2))`,
    `(ARRAY[1, 2])[1:2]`,
    `row(1, 2) = row(3, 4)`,
    `grouping(1)`,
    `rank() OVER (PARTITION BY 1 ORDER BY 2 ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)`,
    `percentile_cont(0.5) WITHIN GROUP (ORDER BY 1) FILTER (WHERE true)`,
    `1 = ANY (ARRAY[1]) AND 1 > ALL (SELECT 2)`,
    `1 BETWEEN SYMMETRIC 2 AND 3`,
    `interval '1 day' DAY TO SECOND`,
    `B'101'::bit(3)`,
  ]) {
    it(`reads ${expression}`, async () => {
      const plain = await analyser.analyse(Buffer.from(`SELECT ${expression}`), EMPTY_SCOPE)
      assert(plain.ok, plain.ok ? '' : plain.error.message)
      assert.deepEqual(plain.statements[0]?.needs, ['read'])
      assert.deepEqual(plain.statements[0]?.unknownFunctions, [])
      assert.deepEqual(plain.statements[0]?.notUnderstood, [])
    })
  }

  it('reads every clause of a query', async () => {
    const sql = `SELECT DISTINCT ON (a) a, b.c FROM t TABLESAMPLE system (1) REPEATABLE (2) CROSS JOIN
      ROWS FROM (unnest(t.a), generate_series(1, 2)) WITH ORDINALITY AS u(b, c)
      NATURAL JOIN JSON_TABLE('{}', '$' COLUMNS (a int PATH '$.a', NESTED '$.b' COLUMNS (c int))) AS j
      JOIN XMLTABLE('/a' PASSING '<a/>' COLUMNS b text PATH 'b' DEFAULT 'x') AS x USING (b)
      GROUP BY CUBE (1), GROUPING SETS ((1), ()) HAVING count(*) > 1 WINDOW w AS (ORDER BY 1)
      ORDER BY 1 USING < NULLS LAST LIMIT 1 OFFSET 2`
    const analysis = await analyser.analyse(Buffer.from(sql), EMPTY_SCOPE)
    assert(analysis.ok, analysis.ok ? '' : analysis.error.message)
    assert.deepEqual(analysis.statements[0]?.needs, ['read'])
    assert.deepEqual(analysis.statements[0]?.notUnderstood, [])
  })
})
