import type { PolicyDocument, PolicyTest } from '../config/index.ts'
import type { Principal } from '../identity/index.ts'
import { type BreakGlass, breakGlassFor, type Requestable, requestableBy } from './access.ts'
import { describeTarget, type TargetView } from './describe.ts'
import { judge, type Prepared, prepare } from './evaluate.ts'
import { type Explanation, explain } from './explain.ts'
import { bareGrantsOf, type ExtraGrant, type Grant } from './grant.ts'
import { compileRuleset, completeGrant, type Ruleset } from './ruleset.ts'
import type { Question } from './subject.ts'
import { runTests, type TestOptions, type TestResult } from './tests.ts'
import type { Verdict } from './verdict.ts'

/** Roles that a principal was given for a while. Units: `at` is epoch milliseconds; the ones that ended by then are left out. */
export type Extra = { readonly grants: readonly ExtraGrant[]; readonly at: number }

const NO_EXTRA: Extra = { grants: [], at: Number.NEGATIVE_INFINITY }

/** A policy ready to be asked. The same question has the same answer for as long as it lives. */
export class Policy {
  readonly document: PolicyDocument
  readonly #ruleset: Ruleset
  /** What matters to a grant does not change, and is found anew if it is asked about for somebody else. */
  readonly #prepared = new WeakMap<Grant, Prepared>()

  constructor(document: PolicyDocument) {
    this.document = document
    this.#ruleset = compileRuleset(document)
  }

  /** Every role the principal has, strongest first. */
  grantsOf(principal: Principal, extra: Extra = NO_EXTRA): readonly Grant[] {
    return bareGrantsOf(this.document, principal, extra.grants, extra.at).map(bare =>
      completeGrant(this.#ruleset, bare, principal),
    )
  }

  /**
   * Decides whether a text may run: pure, synchronous, total.
   *
   * The answer to the same question (but for `at`) stands until `validUntil`, so that it can be kept by the
   * identity of the analysis.
   */
  evaluate(question: Question): Verdict {
    return judge(this.#ruleset, this.#prepare(question), question)
  }

  /** The verdict with each rule, whether it matched and why. */
  explain(question: Question): Explanation {
    return explain(this.#ruleset, this.#prepare(question), question)
  }

  /** Roles the principal can ask for, strongest first. */
  requestableBy(principal: Principal): readonly Requestable[] {
    return requestableBy(this.document, principal)
  }

  /** Roles the principal can take at once in an emergency, strongest first. */
  breakGlassFor(principal: Principal): readonly BreakGlass[] {
    return breakGlassFor(this.document, principal)
  }

  /** What comes out on one target, for people to read. */
  describe(target: string, environment: string | undefined): TargetView {
    return describeTarget(this.#ruleset, target, environment)
  }

  /** Runs the policy's own tests. */
  runTests(options: TestOptions): Promise<readonly TestResult[]> {
    return runTests(
      {
        tests: this.document.tests ?? [],
        grantFor: (principal, test) => grantInTest(this, principal, test),
        evaluate: question => this.evaluate(question),
      },
      options,
    )
  }

  #prepare(question: Question): Prepared {
    const known = this.#prepared.get(question.grant)
    if (known !== undefined && known.principal === question.principal) return known
    const prepared = prepare(this.#ruleset, question)
    this.#prepared.set(question.grant, prepared)
    return prepared
  }
}

/** Makes the policy of a validated document. */
export function compilePolicy(document: PolicyDocument): Policy {
  return new Policy(document)
}

/**
 * The grant under which a principal reaches a target: the role asked for, else the strongest one held.
 * Undefined when there is none, whether or not such a target exists: the caller must not tell the two apart.
 */
export function grantFor(
  policy: Policy,
  principal: Principal,
  target: string,
  role?: string,
  extra?: Extra,
): Grant | undefined {
  return policy
    .grantsOf(principal, extra)
    .find(grant => grant.target === target && (role === undefined || grant.role === role))
}

/** The grant that a test speaks of: one of the policy, or one for a while that it says is there. */
function grantInTest(
  policy: Policy,
  principal: Principal,
  { as: { role, grant: from }, on: target }: PolicyTest,
): Grant | undefined {
  if (from === undefined || role === undefined) return grantFor(policy, principal, target, role)
  const expiresAt = Number.MAX_SAFE_INTEGER
  const extra = { at: 0, grants: [{ id: 'test', target, role, from, expiresAt }] }
  return policy
    .grantsOf(principal, extra)
    .find(grant => grant.target === target && grant.role === role && grant.from === from)
}

/** True where no verdict can depend on what a text says: all of it is allowed. */
export function isUnrestricted(grant: Grant): boolean {
  return grant.isUnrestricted
}
