import type { Principal } from '../identity/index.ts'
import type { Grant, Policy, Verdict } from '../policy/index.ts'
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

/** What the policy says now of an analysed text. Whether a transaction is open is not known here. */
export function verdictOn(standing: Standing, analysis: Analysis, rowsEstimate?: number): Verdict {
  const { policy, now, ...known } = standing
  return policy.evaluate({ ...known, analysis, at: now(), inTransaction: undefined, rowsEstimate })
}
