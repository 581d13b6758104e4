import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { PolicyDocument } from '../../src/config/index.ts'
import { compilePolicy, type Question, type Verdict } from '../../src/policy/index.ts'
import type { Analysis } from '../../src/sql/index.ts'
import { SEED } from '../helpers/seed.ts'
import { plain, queryTokens } from '../sql/sql-arbitrary.ts'
import {
  actConditions,
  answeredConditions,
  denyRule,
  document,
  principals,
  ruleOf,
  rules,
  type Situation,
  situations,
  statement,
} from './arbitrary.ts'
import { ANA, analyse, ready } from './asking.ts'

const STRENGTH: Readonly<Record<Verdict['outcome'], number>> = { allow: 0, hold: 1, deny: 2 }

const RUNS = { seed: SEED, numRuns: 1000 }

type Asked = Pick<Question, 'principal' | 'analysis'> & Situation

function ask(of: PolicyDocument, asked: Asked): Verdict {
  const policy = compilePolicy(of)
  const [grant] = policy.grantsOf(asked.principal)
  assert(grant !== undefined)
  return policy.evaluate({ ...asked, grant })
}

function strength(of: PolicyDocument, asked: Asked): number {
  return STRENGTH[ask(of, asked).outcome]
}

/** All of a verdict that can be compared. */
function told(verdict: Verdict): unknown {
  return verdict.outcome === 'deny'
    ? { ...verdict, error: [verdict.error.message, verdict.error.detail] }
    : verdict
}

const analysis: fc.Arbitrary<Analysis> = fc.oneof(
  {
    weight: 9,
    arbitrary: fc
      .array(statement, { minLength: 1, maxLength: 2 })
      .map((statements): Analysis => ({ ok: true, statements })),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('syntax', 'too-deep', 'too-large', 'parser-failed')
      .map((reason): Analysis => {
        return { ok: false, error: { message: 'no', position: undefined, reason } }
      }),
  },
)

const asked = fc
  .record({ principal: principals, analysis, situation: situations })
  .map(({ situation, ...rest }): Asked => ({ ...rest, ...situation }))

describe(`policy, any rules (seed ${SEED})`, function () {
  this.timeout(60_000)

  before(ready)

  it('answers every question, and says why', () => {
    fc.assert(
      fc.property(document, asked, (of, question) => {
        const policy = compilePolicy(of)
        const [grant] = policy.grantsOf(question.principal)
        assert(grant !== undefined)
        const full = { ...question, grant }
        const verdict = policy.evaluate(full)
        assert(Object.hasOwn(STRENGTH, verdict.outcome))
        assert(verdict.validUntil > question.at)
        assert.deepEqual(told(policy.evaluate(full)), told(verdict))
        const explained = policy.explain(full)
        assert.deepEqual(told(explained.verdict), told(verdict))
        assert.equal(explained.rules.length, of.rules?.length ?? 0)
        for (const { why } of explained.rules) assert.notEqual(why, '')
        if (grant.isUnrestricted) assert.equal(verdict.outcome, 'allow')
        if (verdict.outcome === 'deny') assert(verdict.error.message.length > 0)
      }),
      RUNS,
    )
  })

  it('never gets looser by another deny rule', () => {
    fc.assert(
      fc.property(document, denyRule, fc.nat(6), asked, (of, extra, at, question) => {
        const all = of.rules ?? []
        fc.pre(all.every(({ name }) => name !== extra.name))
        const more = { ...of, rules: [...all.slice(0, at), extra, ...all.slice(at)] }
        assert(strength(more, question) >= strength(of, question))
      }),
      RUNS,
    )
  })

  it('never gets looser by what a client says of itself', () => {
    fc.assert(
      fc.property(document, asked, (of, question) => {
        const silent = { ...question, agent: undefined, application: undefined }
        assert(strength(of, question) >= strength(of, silent))
      }),
      RUNS,
    )
  })

  it('never gets looser by what is not known', () => {
    fc.assert(
      fc.property(document, asked, fc.boolean(), fc.nat(100), (of, question, inside, rows) => {
        const blind = { ...question, inTransaction: undefined, rowsEstimate: undefined }
        const known = { ...question, inTransaction: inside, rowsEstimate: rows }
        assert(strength(of, blind) >= strength(of, known))
        if (strength(of, { ...blind, inTransaction: inside }) > strength(of, known)) {
          assert(ask(of, { ...blind, inTransaction: inside }).wantsEstimate)
        }
      }),
      RUNS,
    )
  })

  it('means the same in any order', () => {
    fc.assert(
      fc.property(document, asked, fc.infiniteStream(fc.nat()), (of, question, dice) => {
        const shuffled = [...(of.rules ?? [])]
          .map(rule => ({ rule, key: dice.next().value }))
          .sort((a, b) => a.key - b.key)
          .map(({ rule }) => rule)
        const other = {
          ...of,
          rules: shuffled,
          people: [...of.people].reverse(),
          functions: [...(of.functions ?? [])].reverse(),
        }
        assert.deepEqual(told(ask(other, question)), told(ask(of, question)))
      }),
      RUNS,
    )
  })

  it('is as strict about a text as about the strictest of its statements', () => {
    fc.assert(
      fc.property(document, asked, (of, question) => {
        const { analysis: text } = question
        fc.pre(text.ok)
        if (!text.ok) return
        const each = text.statements.map(one =>
          strength(of, { ...question, analysis: { ok: true, statements: [one] } }),
        )
        assert.equal(strength(of, question), Math.max(...each))
      }),
      RUNS,
    )
  })

  /** What a statement is wrapped in; each runs it. */
  const WRAPPERS: readonly ((sql: string) => string)[] = [
    sql => `WITH w AS (${sql}) SELECT 1`,
    sql => `EXPLAIN ANALYZE ${sql}`,
    sql => `EXPLAIN (ANALYZE off, ANALYZE) ${sql}`,
    sql => `PREPARE p AS ${sql}; EXECUTE p`,
    sql => `COPY (${sql}) TO STDOUT`,
    sql => `DECLARE c CURSOR FOR ${sql}; FETCH c`,
    sql => `SELECT (${sql})`,
    sql => `SELECT 1 WHERE EXISTS (${sql})`,
    sql => `INSERT INTO a ${sql}`,
    sql => `CREATE TABLE a AS ${sql}`,
    sql => `DO $outer$BEGIN ${sql}; END$outer$`,
    sql => `DO $outer$BEGIN EXECUTE $inner$${sql}$inner$ || ''; END$outer$`,
    sql => `SELECT 1; ${sql}`,
    sql => `BEGIN; ${sql}; COMMIT`,
  ]

  it('is never milder about a statement that is wrapped', () => {
    let wrapped = 0
    const strict = rules(ruleOf(actConditions, answeredConditions))
    fc.assert(
      fc.property(
        strict,
        queryTokens,
        fc.nat(WRAPPERS.length - 1),
        fc.constantFrom('production', undefined),
        fc.constantFrom<PolicyDocument['roles'][string]['may']>(
          ['read', 'write'],
          ['read', 'write', 'ddl', 'admin'],
        ),
        (all, tokens, index, environment, may) => {
          const of: PolicyDocument = {
            version: 1,
            roles: { role: { may } },
            people: [{ groups: ['engineering'], roles: { prod: 'role' } }],
            rules: all,
          }
          const sql = plain(tokens)
          const outer = analyse(WRAPPERS[index]?.(sql) ?? '')
          const inner = analyse(sql)
          if (!outer.ok || !inner.ok) return
          wrapped += 1
          const question = {
            principal: ANA,
            agent: undefined,
            at: 0,
            environment,
            inTransaction: false,
          }
          assert(
            strength(of, { ...question, analysis: outer }) >=
              strength(of, { ...question, analysis: inner }),
            `${sql} in ${WRAPPERS[index]?.('…')}`,
          )
        },
      ),
      RUNS,
    )
    assert(wrapped > 500, `only ${wrapped} could be wrapped`)
  })
})
