/**
 * What waits for a person: statements that a rule holds, and requests for a role. Who may decide, deciding, and
 * the one use of an approval.
 *
 *     statement   open → approved → used            (given back: approved)
 *                      → denied, expired, withdrawn, abandoned
 *     access      open → approved → expired, ended  (a grant while it is approved)
 *                      → denied, expired, withdrawn
 *
 * Its one invariant: an approval is used once, by the one who asked, for exactly what was shown, before it
 * expires, and only after `need` others had said yes. Each change is one transaction of the store (`Ledger`), so
 * that this holds between processes too, and after a crash: what was approved and not used still is.
 *
 * A `binding` is the digest of all that an approval covers (`binding.ts`); `life.ts` is the table of states;
 * `people.ts` says who is who. Time, chance, store and log come as arguments.
 */
export { Access, type TimedGrant } from './access.ts'
export { Approvals } from './approvals.ts'
export { type Bound, type BoundParameter, bindingOf } from './binding.ts'
export type { Ballot, Decision, PolicyNow, Voter } from './decide.ts'
export type { ApprovalEvent } from './events.ts'
export { type Filing, Holds, type Taken, type Taker } from './holds.ts'
export type { ApprovalClock, ApprovalLog, ApprovalOptions } from './ledger.ts'
export { isRequester, missing, type Viewer, waitsFor } from './people.ts'
export type { ListFilter } from './reading.ts'
export type { Judged } from './rejudge.ts'
export type { Difference, Near } from './similar.ts'
export type { WaitOptions } from './waiting.ts'
export type { AccessTerms, AskTerms, BreakGlassTerms, Wish } from './wishes.ts'
