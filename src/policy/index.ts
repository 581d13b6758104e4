/**
 * Who may do what: a question about a principal, a grant and a statement gives a verdict. Pure, synchronous,
 * total.
 *
 * Invariants: nothing here allows what it does not understand. The order of entries and files means nothing;
 * the strictest answer wins, deny over approve over allow. What a client says of itself, and what is not known,
 * can only make an answer stricter.
 *
 * A rule under `when` and `or` looks for anything in a statement that it is about; `unless` takes it away only
 * if that covers all of the statement. A statement that runs code which can't be read may be what any rule is
 * about: see find.ts.
 */
export type { BreakGlass, Requestable } from './access.ts'
export {
  type Approval,
  type Approver,
  combineApprovals,
  openRequirements,
  type Requirement,
} from './approval.ts'
export { placeOf } from './denial.ts'
export type { RoleView, TargetView } from './describe.ts'
export { type DiffSubject, diffPolicies, type PolicyChange, questionsOf } from './diff.ts'
export type { ExplainedRule, ExplainedStatement, Explanation } from './explain.ts'
export type { ExtraGrant, Grant } from './grant.ts'
export type { Limits } from './limits.ts'
export { bindMasks, type MaskRule, NO_MASKS } from './masks.ts'
export { compilePolicy, type Extra, grantFor, isUnrestricted, type Policy } from './policy.ts'
export type { Question } from './subject.ts'
export type { MaskOutcome, TestOptions, TestResult } from './tests.ts'
export type { AllowVerdict, DenyVerdict, HoldVerdict, Observed, Verdict } from './verdict.ts'
