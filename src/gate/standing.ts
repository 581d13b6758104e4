import { DbgateError } from '../errors.ts'
import type { Principal } from '../identity/index.ts'
import type { AllowVerdict, DenyVerdict, Grant, HoldVerdict, Policy } from '../policy/index.ts'
import type { Analysis } from '../sql/index.ts'

/** Who somebody is in a session and under which policy: what its statements are judged by. */
export type Standing = {
  readonly policy: Policy
  readonly principal: Principal
  readonly grant: Grant
  /** The tool and the application_name, by the client's own word. */
  readonly agent: string
  readonly application: string
  readonly environment: string | undefined
  /** Epoch milliseconds. */
  readonly now: () => number
}

/** What can be done about a statement: it runs or it does not. */
export type Ruling = AllowVerdict | DenyVerdict

/** What the policy says now of an analysed text. Whether a transaction is open is not known here. */
export function rulingOn(standing: Standing, analysis: Analysis): Ruling {
  const { policy, now, ...known } = standing
  const verdict = policy.evaluate({ ...known, analysis, at: now(), inTransaction: undefined })
  return verdict.outcome === 'hold' ? unheld(verdict) : verdict
}

/** Nothing waits for a person yet: what would have to is refused. */
function unheld(verdict: HoldVerdict): DenyVerdict {
  const { rule, rules, reason, validUntil, wantsEstimate } = verdict
  const error = new DbgateError(
    'DENIED',
    `dbgate: denied, rule ${rule} needs approval, which this server does not take yet. Not run.`,
    { detail: reason },
  )
  return { outcome: 'deny', rule, rules, error, validUntil, wantsEstimate }
}
