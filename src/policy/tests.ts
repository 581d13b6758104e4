import type { PolicyTest } from '../config/index.ts'
import type { Principal } from '../identity/index.ts'
import type { Analysis } from '../sql/index.ts'
import type { Grant } from './grant.ts'
import type { Question } from './subject.ts'
import type { Verdict } from './verdict.ts'

/** What a statement gives, as `tests:` say it. */
export type Outcome = PolicyTest['expect'][number]['gives']

/** How one expectation of `tests:` came out. */
export type TestResult = {
  /** `engineering via claude on prod`. */
  readonly who: string
  readonly sql: string
  readonly expected: { readonly gives: Outcome; readonly rule: string | undefined }
  /** `rules` are all that decided, or why there was nothing to decide. */
  readonly got: { readonly gives: Outcome; readonly rules: readonly string[] }
  readonly passed: boolean
  readonly at: string
}

export type TestOptions = {
  /** Says what a text does. */
  readonly analyse: (sql: string) => Analysis | Promise<Analysis>
  readonly environmentOf: (target: string) => string | undefined
}

type Asked = {
  readonly tests: readonly PolicyTest[]
  readonly grantFor: (principal: Principal, test: PolicyTest) => Grant | undefined
  readonly evaluate: (question: Question) => Verdict
}

/** A Wednesday noon, so that a test without a time of its own comes out the same by day and by night. */
const DEFAULT_TIME = Date.UTC(2026, 0, 7, 12)

/** Runs a policy's own tests, in their order. */
export async function runTests(policy: Asked, options: TestOptions): Promise<TestResult[]> {
  const results: TestResult[] = []
  for (const test of policy.tests) {
    const principal = principalOf(test)
    const grant = policy.grantFor(principal, test)
    for (const expected of test.expect) {
      const got =
        grant === undefined
          ? { gives: 'denied' as const, rules: ['grant'] }
          : outcomeOf(
              policy.evaluate({
                principal,
                grant,
                agent: test.as.via,
                analysis: await options.analyse(expected.sql),
                at: test.time ?? DEFAULT_TIME,
                environment: options.environmentOf(test.on),
                inTransaction: expected.inTransaction,
                rowsEstimate: expected.rowsEstimate,
              }),
            )
      const { sql, gives, rule, at } = expected
      const isRule = rule === undefined || got.rules.some(name => isNamed(name, rule))
      results.push({
        who: whoOf(test),
        sql,
        expected: { gives, rule },
        got,
        passed: got.gives === gives && isRule,
        at,
      })
    }
  }
  return results
}

/** `role` stands for any role's ceiling. */
function isNamed(name: string, expected: string): boolean {
  return name === expected || (expected === 'role' && name.startsWith('role:'))
}

function outcomeOf(verdict: Verdict): TestResult['got'] {
  switch (verdict.outcome) {
    case 'allow':
      return { gives: 'allowed', rules: [verdict.rule] }
    case 'hold':
      return { gives: 'held', rules: verdict.rules }
    case 'deny':
      return { gives: 'denied', rules: verdict.rules }
    default:
      return verdict satisfies never
  }
}

function principalOf({ as: { groups, user } }: PolicyTest): Principal {
  const name = user ?? 'somebody'
  return {
    issuer: 'policy-test',
    subject: name,
    user: name,
    name,
    groups,
    expiresAt: Number.MAX_SAFE_INTEGER,
  }
}

function whoOf({ as: { groups, user, via }, on }: PolicyTest): string {
  const names = [...(user === undefined ? [] : [user]), ...groups].join(', ')
  return `${names}${via === undefined ? '' : ` via ${via}`} on ${on}`
}
