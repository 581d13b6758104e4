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
  readonly expected: {
    readonly gives: Outcome
    readonly rule: string | undefined
    readonly columns: Readonly<Record<string, string>> | undefined
  }
  /** `rules` are all that decided, or why there was nothing to decide. */
  readonly got: {
    readonly gives: Outcome
    readonly rules: readonly string[]
    /** What is shown of each column of the result; undefined where the schema is not known. */
    readonly columns: Readonly<Record<string, string>> | undefined
  }
  readonly passed: boolean
  /** It is about masks, and the schema that they are held against is not known: neither passed nor failed. */
  readonly isOpen: boolean
  readonly at: string
}

/** What masks make of a text, by columns: a kind of mask, or `shown`. */
export type MaskOutcome = {
  readonly gives: Outcome
  readonly columns: Readonly<Record<string, string>>
}

export type TestOptions = {
  /** Says what a text does on a target, seen as a role. */
  readonly analyse: (sql: string, grant: Grant) => Analysis | Promise<Analysis>
  /** Undefined where the schema is not known. */
  readonly masks?: (question: Question) => Promise<MaskOutcome | undefined>
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
      const got = await outcomeIn(policy, options, test, expected, principal, grant)
      const { sql, gives, rule, columns, at } = expected
      const isAbout = gives === 'masked' || columns !== undefined || rule === 'mask'
      const isOpen = isAbout && got.columns === undefined && got.gives === 'allowed'
      results.push({
        who: whoOf(test),
        sql,
        expected: { gives, rule, columns },
        got,
        passed:
          got.gives === gives &&
          (rule === undefined || got.rules.some(name => isNamed(name, rule))) &&
          Object.entries(columns ?? {}).every(([name, shown]) => got.columns?.[name] === shown),
        isOpen,
        at,
      })
    }
  }
  return results
}

async function outcomeIn(
  policy: Asked,
  options: TestOptions,
  test: PolicyTest,
  expected: PolicyTest['expect'][number],
  principal: Principal,
  grant: Grant | undefined,
): Promise<TestResult['got']> {
  if (grant === undefined) return { gives: 'denied', rules: ['grant'], columns: undefined }
  const question: Question = {
    principal,
    grant,
    agent: test.as.via,
    analysis: await options.analyse(expected.sql, grant),
    at: test.time ?? DEFAULT_TIME,
    environment: options.environmentOf(test.on),
    inTransaction: expected.inTransaction,
    rowsEstimate: expected.rowsEstimate,
  }
  const decided = outcomeOf(policy.evaluate(question))
  if (decided.gives === 'denied') return { ...decided, columns: undefined }
  const masks = await options.masks?.(question)
  if (masks === undefined) return { ...decided, columns: undefined }
  const { gives, columns } = masks
  if (gives === 'denied' || (gives === 'held' && decided.gives === 'allowed')) {
    return { gives, rules: ['mask'], columns }
  }
  return { ...decided, gives: decided.gives === 'allowed' ? gives : decided.gives, columns }
}

/** `role` stands for any role's ceiling. */
function isNamed(name: string, expected: string): boolean {
  return name === expected || (expected === 'role' && name.startsWith('role:'))
}

function outcomeOf(verdict: Verdict): Omit<TestResult['got'], 'columns'> {
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
