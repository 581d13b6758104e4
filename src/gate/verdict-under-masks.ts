import type { ApprovePlan, Plan } from '../mask/index.ts'
import { combineApprovals, type HoldVerdict, type Verdict } from '../policy/index.ts'

/** The strictest of what the policy says of a text and what its masks say of each statement of it. */
export function joined(
  verdict: Exclude<Verdict, { readonly outcome: 'deny' }>,
  plans: readonly Plan[],
): Verdict {
  let sum: Exclude<Verdict, { readonly outcome: 'deny' }> = verdict
  for (const plan of plans) {
    if (plan.outcome === 'deny') {
      const { rule, error } = plan
      const { validUntil } = verdict
      return { outcome: 'deny', rule, rules: [rule], error, validUntil, wantsEstimate: false }
    }
    if (plan.outcome === 'approve') sum = held(sum, plan)
  }
  return sum
}

/** Whoever has to agree to the rows has to agree to the masks as well, and the other way round. */
function held(
  verdict: Exclude<Verdict, { readonly outcome: 'deny' }>,
  { rule, approve, holdMs, notify, inTransaction, reason }: ApprovePlan,
): HoldVerdict {
  const { limits, validUntil } = verdict
  const asked = { approve, holdMs, notify, inTransaction, reason, limits, validUntil }
  if (verdict.outcome === 'allow') {
    return { ...asked, outcome: 'hold', rule, rules: [rule], wantsEstimate: false }
  }
  if (verdict.rules.includes(rule)) return verdict
  const approvals = [verdict.approve, approve]
  return {
    ...verdict,
    rules: [...verdict.rules, rule],
    approve: combineApprovals(
      approvals.flatMap(each =>
        each.requirements.map(one => ({
          rule: one.rule,
          terms: { ...one, expiresMs: each.expiresMs, presence: each.presence },
        })),
      ),
    ),
    holdMs: Math.min(verdict.holdMs, holdMs),
    notify: [...new Set([...verdict.notify, ...notify])].sort(),
    inTransaction: verdict.inTransaction === 'fail' ? 'fail' : inTransaction,
    reason: `${verdict.reason}; ${reason}`,
  }
}
