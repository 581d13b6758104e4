import type { DbgateError } from '../errors.ts'
import type { Approval } from './approval.ts'
import type { Limits } from './limits.ts'

/** What every verdict says. */
type Decided = {
  /** The rule that decided: its name in the policy, or `role:NAME`, `unknown` or `grant`. */
  readonly rule: string
  /** Until when this holds by the clock; Infinity where time does not matter. Units: epoch milliseconds. */
  readonly validUntil: number
  /** How many rows it is about is not known and counted as many: knowing it could make this milder. */
  readonly wantsEstimate: boolean
}

export type AllowVerdict = Decided & {
  readonly outcome: 'allow'
  readonly limits: Limits
  /** On a target in mode observe: what would have been decided. */
  readonly observed: Observed | undefined
}

/** A person has to agree first; `limits` bind it when it runs then. */
export type HoldVerdict = Decided & {
  readonly outcome: 'hold'
  /** All rules that ask for it, by name. */
  readonly rules: readonly string[]
  readonly approve: Approval
  /** How long the client waits on the line. */
  readonly holdMs: number
  readonly notify: readonly string[]
  /** In an open transaction: wait like any other, or fail at once. */
  readonly inTransaction: 'wait' | 'fail'
  /** Why, in words for a detail line. */
  readonly reason: string
  readonly limits: Limits
}

export type DenyVerdict = Decided & {
  readonly outcome: 'deny'
  /** All that refuse it for the same kind of reason, by name. */
  readonly rules: readonly string[]
  /** What the person gets. */
  readonly error: DbgateError
}

/** What is decided about a text. Strictest wins over all its statements and all rules. */
export type Verdict = AllowVerdict | HoldVerdict | DenyVerdict

/** What mode observe kept from happening. */
export type Observed = {
  readonly outcome: 'hold' | 'deny'
  readonly rule: string
  readonly rules: readonly string[]
  readonly reason: string
}
