import assert from 'node:assert/strict'
import {
  type Analyser,
  createAnalyser,
  EMPTY_SCOPE,
  type WhereStrength,
} from '../../src/sql/index.ts'

/** Conditions of `UPDATE t SET a = 0 WHERE …`. */
const CONDITIONS: Readonly<Record<Exclude<WhereStrength, 'none' | 'missing'>, readonly string[]>> =
  {
    trivial: [
      'true',
      `'t'`,
      `'yes'::boolean`,
      '1 = 1',
      `'1' = '1'`,
      '1 < 2',
      '2 >= 2',
      '1 <> 2',
      '1.0 = 1',
      'NOT false',
      'NOT 1 = 2',
      'id = id',
      'id = t.id',
      'id >= id',
      'id::text = id::text',
      'NOT (id <> id)',
      'id IS NOT DISTINCT FROM id',
      'id IN (1, id)',
      'id = ANY (ARRAY[id])',
      'id BETWEEN id AND id',
      'id = 1 OR true',
      'id = 1 OR id = id',
      'id IS NULL OR id IS NOT NULL',
      'id = 1 OR id <> 1',
      'id < 5 OR id >= 5',
      'id = 1 OR NOT id = 1',
      'true AND id = id',
      'id = 1 OR (name = $1 OR id <> 1)',
      '1 = id OR id <> 1',
      'id > 5 OR 5 >= id',
      `name LIKE 'a' OR name NOT LIKE 'a'`,
      'id IN (1, 2) OR id NOT IN (1, 2)',
      'done IS TRUE OR done IS NOT TRUE',
      'NOT (id IS NULL AND id IS NOT NULL)',
      `${'id = 1 OR '.repeat(100)} id IS NULL OR id IS NOT NULL`,
      `name LIKE '%'`,
      `name ~ '.*'`,
      `name ILIKE '%'`,
      'EXISTS (SELECT 1)',
      'EXISTS (SELECT 1 WHERE true)',
      'EXISTS (SELECT 1 FROM t AS s WHERE s.id = t.id)',
      'NOT EXISTS (SELECT 1 WHERE false)',
      'id = ANY (SELECT id FROM t)',
      'id = id + 0',
      `name = name || ''`,
      'id = coalesce(id, 0)',
      'ctid IS NOT NULL',
      'tableoid IS NOT NULL',
      'EXISTS (SELECT 1 FROM other WHERE x = 1)',
      'id IN (SELECT id FROM t)',
      '(SELECT true)',
      '(SELECT count(*) FROM other) > 0',
      `5 IS NOT NULL`,
      'NULL IS NULL',
      'coalesce(true, false)',
      'CASE WHEN id = 1 THEN true ELSE true END',
      '$1',
      '$1 = $2',
      'CASE WHEN id = 1 THEN true ELSE $1 END',
      '$1 IS NULL OR id = $1',
      'random() < 2',
      'now() > $1',
      't IS NOT NULL',
      '(id = id) IS TRUE',
      '(id = 2 OR true) IS NOT FALSE',
    ],
    present: [
      'id = 1',
      'id = $1',
      'false',
      '1 = 2',
      'NULL',
      'id = id AND id = 5',
      'id = 1 AND $1',
      'id = 1 OR id = 2 OR name <> $1',
      'id IS NULL AND id IS NOT NULL',
      'id < 5 OR id > 5',
      `${'id = 1 OR '.repeat(100)} id IS NOT NULL`,
      'id IN (1, 2)',
      'id = ANY ($1)',
      'id IS NULL',
      'id IS NOT NULL',
      'done',
      'NOT done',
      `name LIKE 'a%'`,
      `name LIKE ''`,
      `name NOT LIKE '%'`,
      `name !~ '.*'`,
      'id IN (SELECT t_id FROM other)',
      'id = (SELECT max(x) FROM other)',
      'EXISTS (SELECT 1 FROM other o WHERE o.id = t.id)',
      'coalesce(done, true)',
      'CASE WHEN id = 1 THEN true ELSE false END',
      'lower(name) = $1',
      '(id, name) = (1, 2)',
      'id BETWEEN 1 AND 5',
      'CURRENT OF c',
      '(id = 1) IS TRUE',
    ],
  }

/** Whole statements. */
const STATEMENTS: readonly (readonly [string, WhereStrength])[] = [
  ['SELECT 1', 'none'],
  ['INSERT INTO t VALUES (1)', 'none'],
  ['EXPLAIN DELETE FROM t', 'none'],
  ['UPDATE t SET a = 1', 'missing'],
  ['DELETE FROM t', 'missing'],
  ['UPDATE t SET a = 1 FROM u WHERE t.id = u.id', 'present'],
  ['UPDATE t SET a = 1 FROM u WHERE u.id = 1', 'trivial'],
  ['UPDATE t AS x SET a = 1 FROM u WHERE u.id = u.id', 'trivial'],
  ['UPDATE t SET a = 1 FROM t AS s WHERE t.id = s.id', 'trivial'],
  ['UPDATE t SET a = 1 FROM (SELECT 1 AS id) AS s WHERE s.id = 1', 'trivial'],
  ['DELETE FROM t USING u WHERE t.id = u.id', 'present'],
  ['DELETE FROM t USING u WHERE u.id = 1', 'trivial'],
  ['DELETE FROM t AS x WHERE x.id = 1', 'present'],
  ['DELETE FROM s.t WHERE s.t.id = 1', 'present'],
  ['MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE', 'missing'],
  ['MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE', 'present'],
  ['MERGE INTO t USING u ON u.id = 1 WHEN MATCHED THEN DELETE', 'missing'],
  ['MERGE INTO t USING u ON true WHEN MATCHED AND t.id = 1 THEN DELETE', 'present'],
  ['MERGE INTO t USING u ON t.id = u.id WHEN NOT MATCHED BY SOURCE THEN DELETE', 'missing'],
  ['MERGE INTO t USING u ON t.id = u.id WHEN NOT MATCHED THEN INSERT VALUES (1)', 'none'],
  ['INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING', 'none'],
  ['INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 1', 'present'],
  ['INSERT INTO t SELECT * FROM u ON CONFLICT (id) DO UPDATE SET a = 1', 'missing'],
  ['INSERT INTO t SELECT * FROM u WHERE u.id = 1 ON CONFLICT (id) DO UPDATE SET a = 1', 'present'],
  ['INSERT INTO t SELECT * FROM u ON CONFLICT (id) DO UPDATE SET a = 1 WHERE t.id = 1', 'present'],
  ['INSERT INTO t SELECT * FROM u LIMIT 1 ON CONFLICT (id) DO UPDATE SET a = 1', 'present'],
  ['WITH a AS (DELETE FROM t WHERE id = 1 RETURNING 1) UPDATE t SET a = 1', 'missing'],
]

describe('strength of a WHERE', () => {
  let analyser: Analyser

  before(async () => {
    analyser = createAnalyser()
    await analyser.ready()
  })

  after(() => analyser.close())

  async function whereOf(sql: string): Promise<WhereStrength> {
    const analysis = await analyser.analyse(Buffer.from(sql), EMPTY_SCOPE)
    assert(analysis.ok, sql)
    return analysis.statements[0]?.where ?? 'none'
  }

  for (const [strength, conditions] of Object.entries(CONDITIONS)) {
    for (const condition of conditions) {
      it(`is ${strength}: ${condition}`, async () => {
        assert.equal(await whereOf(`UPDATE t SET a = 0 WHERE ${condition}`), strength)
      })
    }
  }

  for (const [sql, strength] of STATEMENTS) {
    it(`is ${strength}: ${sql}`, async () => assert.equal(await whereOf(sql), strength))
  }
})
