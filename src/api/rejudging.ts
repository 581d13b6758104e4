import type { Judged } from '../approval/index.ts'
import type { AccessEntry, ApproveTerms } from '../config/index.ts'
import type { Policy } from '../policy/index.ts'
import type { ApprovalRequest, Terms } from '../store/index.ts'

/**
 * What the policy in force says of a request that was filed under another: by the terms that its rules have now.
 * Where one of its rules is gone, what it took before is what it takes.
 *
 * Nobody gets a right by that: a statement is judged by the policy in force again when it is sent to be run, and
 * a role is given only as far as somebody can still be asked for it.
 */
export function rejudgeBy(policy: Policy, request: ApprovalRequest): Judged {
  return request.kind === 'access' ? accessNow(policy, request) : statementNow(policy, request)
}

function statementNow({ document }: Policy, request: ApprovalRequest): Judged {
  const asked = request.terms.requirements.map(({ rule }) => {
    const found = (document.rules ?? []).find(({ name }) => name === rule)
    return found?.effect.does === 'approve' ? { rule, terms: found.effect.approve } : undefined
  })
  const found = asked.filter(each => each !== undefined)
  if (found.length === 0 || found.length < asked.length) return { outcome: 'allow' }
  return { outcome: 'hold', rule: request.rule, terms: combined(found) }
}

function accessNow({ document }: Policy, request: ApprovalRequest): Judged {
  const { target, role } = request
  const isFor = ({ grant }: AccessEntry) =>
    Object.hasOwn(grant, target) && grant[target]?.includes(role) === true
  const found = (document.access ?? []).filter(isFor).flatMap(({ approve }) => approve ?? [])
  const isRole = Object.hasOwn(document.roles, role)
  if (!isRole || found.length === 0) return { outcome: 'deny', rule: `access to ${role}` }
  return {
    outcome: 'hold',
    rule: request.rule,
    terms: combined(found.map(terms => ({ rule: 'access', terms }))),
    maxMs: Math.min(...found.map(({ maxMs }) => maxMs)),
  }
}

/** As strict as all of them together. */
function combined(
  asked: readonly { readonly rule: string; readonly terms: ApproveTerms }[],
): Terms {
  return {
    requirements: asked.map(({ rule, terms: { by, need } }) => ({ rule, by, need })),
    by: [...new Set(asked.flatMap(({ terms }) => terms.by))].sort(),
    need: Math.max(...asked.map(({ terms }) => terms.need)),
    expiresMs: Math.min(...asked.map(({ terms }) => terms.expiresMs)),
    presence: asked.some(({ terms }) => terms.presence === 'step-up') ? 'step-up' : undefined,
  }
}
