import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type Analyser, createAnalyser, EMPTY_SCOPE, type Statement } from '../../src/sql/index.ts'
import { disguised, plain, queryTokens, selectTokens } from './sql-arbitrary.ts'

const STRENGTH = ['none', 'present', 'trivial', 'missing']

/**
 * Ways to run a statement inside of another; the last statement of the text is the one to look at.
 */
const WRAPPERS: readonly ((sql: string) => string)[] = [
  sql => `WITH w AS (${sql}) SELECT 1`,
  sql => `WITH RECURSIVE w AS (${sql}), v AS (SELECT 2) SELECT * FROM v`,
  sql => `EXPLAIN ANALYZE ${sql}`,
  sql => `EXPLAIN (ANALYZE off, FORMAT json, ANALYZE 'on') ${sql}`,
  sql => `PREPARE p AS ${sql}`,
  sql => `PREPARE p AS ${sql}; EXECUTE p`,
  sql => `PREPARE p AS ${sql}; EXPLAIN ANALYZE EXECUTE p`,
  sql => `COPY (${sql}) TO STDOUT`,
  sql => `CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $outer$${sql}$outer$`,
  sql => `CREATE PROCEDURE f() BEGIN ATOMIC ${sql}; END`,
  sql => `CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $outer$BEGIN ${sql}; END$outer$`,
  sql => `DO $outer$BEGIN ${sql}; END$outer$`,
]

const SELECT_WRAPPERS: readonly ((sql: string) => string)[] = [
  sql => `SELECT * FROM (${sql}) AS s`,
  sql => `SELECT (${sql})`,
  sql => `SELECT 1 WHERE EXISTS (${sql})`,
  sql => `SELECT 1 ORDER BY (${sql})`,
  sql => `SELECT 1 LIMIT (${sql})`,
  sql => `SELECT * FROM a LEFT JOIN LATERAL (${sql}) AS s ON true`,
  sql => `(${sql}) UNION ALL SELECT 1`,
  sql => `INSERT INTO a ${sql}`,
  sql => `UPDATE a SET b = (${sql})`,
  sql => `DECLARE c CURSOR FOR ${sql}`,
  sql => `CREATE TABLE a AS ${sql}`,
  sql => `CREATE VIEW a AS ${sql}`,
  sql => `CREATE MATERIALIZED VIEW a AS ${sql}`,
  sql => `CREATE RULE r AS ON INSERT TO a DO ALSO ${sql}`,
  sql => `CREATE POLICY p ON a USING ((${sql}) IS NULL)`,
]

describe('properties of the analysis', () => {
  let analyser: Analyser

  before(async () => {
    analyser = createAnalyser()
    await analyser.ready()
  })

  after(() => analyser.close())

  function last(sql: string): Statement | undefined {
    const analysis = analyser.analyse(Buffer.from(sql), EMPTY_SCOPE)
    assert(!(analysis instanceof Promise))
    return analysis.ok ? analysis.statements.at(-1) : undefined
  }

  /** `inner` does nothing that `outer` does not do. */
  function assertCovers(outer: Statement, inner: Statement, how: string): void {
    for (const key of ['needs', 'hazards', 'actingFunctions', 'unknownFunctions'] as const) {
      const covered: readonly string[] = outer[key]
      for (const one of inner[key]) assert(covered.includes(one), `${key} lost ${one} in ${how}`)
    }
    for (const kind of inner.kinds) {
      if (kind !== 'SELECT') assert(outer.kinds.includes(kind), `kind ${kind} lost in ${how}`)
    }
    for (const relation of inner.relations) {
      const isThere = outer.relations.some(
        ({ name, access }) => name === relation.name && access === relation.access,
      )
      assert(isThere, `${relation.access} of ${relation.name} lost in ${how}`)
    }
    const [was, is] = [inner.where, outer.where].map(where => STRENGTH.indexOf(where))
    assert((is ?? 0) >= (was ?? 0), `where ${inner.where} became ${outer.where} in ${how}`)
  }

  it('never needs less when a statement is wrapped', () => {
    let wrapped = 0
    fc.assert(
      fc.property(queryTokens, tokens => {
        const sql = plain(tokens)
        const inner = last(sql)
        assert(inner !== undefined, sql)
        for (const wrap of WRAPPERS) {
          const outer = last(wrap(sql))
          // Some can't be put there: a VALUES with a parameter in DO, a MERGE in a rule. Then
          // nothing runs at all.
          if (outer === undefined) continue
          wrapped += 1
          assertCovers(outer, inner, wrap(sql))
        }
      }),
      { numRuns: 150 },
    )
    assert(wrapped > 1000, `only ${wrapped} wrapped statements parsed`)
  })

  it('never needs less when a query is put inside of another', () => {
    let wrapped = 0
    fc.assert(
      fc.property(selectTokens, tokens => {
        const sql = plain(tokens)
        const inner = last(sql)
        assert(inner !== undefined, sql)
        for (const wrap of [...WRAPPERS, ...SELECT_WRAPPERS]) {
          const outer = last(wrap(sql))
          if (outer === undefined) continue
          wrapped += 1
          assertCovers(outer, inner, wrap(sql))
        }
      }),
      { numRuns: 100 },
    )
    assert(wrapped > 1500, `only ${wrapped} wrapped queries parsed`)
  })

  it('does not depend on blanks, comments, case and quotes', () => {
    const facts = (statement: Statement) => ({ ...statement, text: '' })
    fc.assert(
      fc.property(queryTokens, fc.array(fc.nat(), { minLength: 20 }), (tokens, choices) => {
        const [sql, other] = [plain(tokens), disguised(tokens, choices)]
        const [expected, actual] = [last(sql), last(other)]
        assert(expected !== undefined, sql)
        assert(actual !== undefined, other)
        assert.deepEqual(facts(actual), facts(expected))
      }),
      { numRuns: 500 },
    )
  })
})
