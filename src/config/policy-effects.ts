/** From `then:` and what else may ask for an approval to what the program uses. */

import type { ApproveTerms, RuleEffect } from './policy-document.ts'
import type { PolicyFile } from './policy-schema.ts'

/** What a rule that matches does. */
export function buildEffect(written: PolicyFile['rules'][number]['then']): RuleEffect {
  if (typeof written === 'string') return { does: written }
  const { approve, hold, notify, in_transaction: inTransaction } = written
  return { does: 'approve', approve: terms(approve), holdMs: hold, notify, inTransaction }
}

/** Who has to agree. */
export function terms(approve: NonNullable<PolicyFile['access'][number]['approve']>): ApproveTerms {
  const { by, need, expires, presence } = approve
  return { by, need, expiresMs: expires, presence }
}
