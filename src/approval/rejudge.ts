import type { ApprovalRequest, Terms } from '../store/index.ts'
import type { Draft } from './ledger.ts'

/** What the policy in force says of a request that was filed under an older one. */
export type Judged =
  | {
      readonly outcome: 'hold'
      readonly rule: string
      readonly terms: Terms
      /** Of a role: the longest it can be had now. */
      readonly maxMs?: number
    }
  /** It would not be held any more: what it took before is enough. */
  | { readonly outcome: 'allow' }
  | { readonly outcome: 'deny'; readonly rule: string }

/** Puts an open request under other terms. It does not stay open for longer than under the old ones. */
export function rejudge<T extends ApprovalRequest>(
  draft: Draft,
  open: T,
  { rule, terms, policy }: Pick<ApprovalRequest, 'rule' | 'terms' | 'policy'>,
): T {
  const isSame = JSON.stringify([open.rule, open.terms]) === JSON.stringify([rule, terms])
  if (isSame && open.policy === policy) return open
  const expiresAt = Math.min(open.expiresAt, open.filedAt + terms.expiresMs)
  const next = draft.put({ ...open, rule, terms, policy, expiresAt })
  if (!isSame) draft.tell({ what: 'judged', request: next })
  return next
}
