import type { May, RuleEffect } from '../config/index.ts'
import type { DbgateError } from '../errors.ts'
import type { Principal } from '../identity/index.ts'
import { requestableBy } from './access.ts'
import { combineApprovals } from './approval.ts'
import { deniedByRole, deniedByRule, deniedUnknown, grantEnded, notSql } from './denial.ts'
import { type Findings, find, type Hit } from './find.ts'
import { bareGrantsOf, suffices } from './grant.ts'
import { changesAfter, type Live } from './rule.ts'
import { isObserved, liveRules, type Ruleset } from './ruleset.ts'
import type { Question, Subject } from './subject.ts'
import type { HoldVerdict, Verdict } from './verdict.ts'
import { factsFor } from './why.ts'

/** What of a ruleset matters to one principal on one target. */
export type Prepared = {
  readonly principal: Principal
  readonly rules: readonly Live[]
  readonly isObserved: boolean
}

const STRENGTH: readonly May[] = ['read', 'write', 'ddl', 'admin']

export function prepare(ruleset: Ruleset, { principal, grant }: Question): Prepared {
  return {
    principal,
    rules: liveRules(ruleset, principal, grant.target),
    isObserved: isObserved(ruleset, grant.target),
  }
}

/**
 * Judges a text: pure, synchronous, total. deny beats approve, approve beats allow, over all its statements.
 *
 * Among reasons to deny, a rule's words come before the role's ceiling: a stronger role would not help.
 */
export function judge(ruleset: Ruleset, prepared: Prepared, question: Question): Verdict {
  const { grant, at, analysis } = question
  const expiresAt = grant.expiresAt ?? Number.POSITIVE_INFINITY
  if (at >= expiresAt) {
    return denied('grant', ['grant'], grantEnded(grant), Number.POSITIVE_INFINITY, false)
  }
  if (grant.isUnrestricted) return allowed(question, expiresAt, `role:${grant.role}`)
  const validUntil = prepared.rules.reduce(
    (first, live) => Math.min(first, changesAfter(live, at)),
    expiresAt,
  )
  const verdict =
    !analysis.ok && analysis.error.reason === 'syntax'
      ? denied('unknown', ['unknown'], notSql(analysis.error), validUntil, false)
      : decide(ruleset, question, find(ruleset, prepared.rules, question), validUntil)
  return prepared.isObserved ? observed(question, verdict) : verdict
}

function decide(
  ruleset: Ruleset,
  question: Question,
  found: Findings,
  validUntil: number,
): Verdict {
  const { grant } = question
  const wantsEstimate =
    question.rowsEstimate === undefined &&
    [...found.denied, ...found.held].some(({ live }) => live.rule.usesEstimate)
  const [denying] = found.denied.sort(byRule)
  if (denying !== undefined) {
    const { rule } = denying.live
    const error = deniedByRule(rule, factsFor(denying.live, denying.subject))
    return denied(rule.name, namesOf(found.denied), error, validUntil, wantsEstimate)
  }
  const reason = `role:${grant.role}`
  if (found.lacking !== undefined) {
    const error = lacksRole(ruleset, question, found.lacking, found)
    return denied(reason, [reason], error, validUntil, false)
  }
  if (found.unknown !== undefined) {
    const error = deniedUnknown(grant, found.unknown.subject, found.unknown.rule)
    return denied('unknown', ['unknown'], error, validUntil, false)
  }
  if (found.held.length > 0) return held(question, found.held, validUntil, wantsEstimate)
  const [allowing] = found.allowed.sort(byRule)
  return allowed(question, validUntil, allowing?.live.rule.name ?? reason)
}

function allowed({ grant }: Question, validUntil: number, rule: string): Verdict {
  const { limits } = grant
  return {
    outcome: 'allow',
    rule,
    limits,
    observed: undefined,
    validUntil,
    wantsEstimate: false,
  }
}

function denied(
  rule: string,
  rules: readonly string[],
  error: DbgateError,
  validUntil: number,
  wantsEstimate: boolean,
): Verdict {
  return { outcome: 'deny', rule, rules, error, validUntil, wantsEstimate }
}

function held(
  { grant }: Question,
  hits: readonly Hit[],
  validUntil: number,
  wantsEstimate: boolean,
): HoldVerdict {
  const unique = new Map<string, { readonly hit: Hit; readonly effect: Approving }>()
  for (const hit of [...hits].sort(byRule)) {
    const { effect } = hit.live.rule.source
    if (effect.does === 'approve' && !unique.has(hit.live.rule.name)) {
      unique.set(hit.live.rule.name, { hit, effect })
    }
  }
  const asking = [...unique].map(([rule, { hit, effect }]) => ({ rule, hit, effect }))
  const approve = combineApprovals(
    asking.map(({ rule, effect }) => ({ rule, terms: effect.approve })),
  )
  const strictest = asking.find(({ effect }) => effect.approve.need === approve.need)
  return {
    outcome: 'hold',
    rule: strictest?.rule ?? '',
    rules: [...unique.keys()],
    approve,
    holdMs: Math.min(...asking.map(({ effect }) => effect.holdMs)),
    notify: [...new Set(asking.flatMap(({ effect }) => effect.notify))].sort(),
    inTransaction: asking.some(({ effect }) => effect.inTransaction === 'fail') ? 'fail' : 'wait',
    reason: asking.map(({ rule, hit }) => `${rule}: ${factsFor(hit.live, hit.subject)}`).join('; '),
    limits: grant.limits,
    validUntil,
    wantsEstimate,
  }
}

type Approving = Extract<RuleEffect, { readonly does: 'approve' }>

function observed({ grant }: Question, verdict: Verdict): Verdict {
  if (verdict.outcome === 'allow') return verdict
  const { outcome, rule, rules, validUntil } = verdict
  const reason = verdict.outcome === 'hold' ? verdict.reason : verdict.error.message
  return {
    outcome: 'allow',
    rule: `role:${grant.role}`,
    limits: grant.limits,
    observed: { outcome, rule, rules, reason },
    validUntil,
    wantsEstimate: false,
  }
}

function lacksRole(
  { document }: Ruleset,
  { principal, grant, at }: Question,
  subject: Subject,
  { needs, missing }: Findings,
): DbgateError {
  const isEnough = ({ target, may }: { readonly target: string; readonly may: readonly May[] }) =>
    target === grant.target && suffices(may, [...needs])
  // The last is the weakest.
  const held = bareGrantsOf(document, principal, [], at).filter(isEnough).at(-1)
  const asked = requestableBy(document, principal).filter(isEnough).at(-1)
  const next =
    held !== undefined
      ? `dbgate connect ${grant.target} --role ${held.role}`
      : asked !== undefined
        ? `dbgate request ${grant.target} --role ${asked.role} --for ${spellDuration(asked.maxMs)}`
        : undefined
  return deniedByRole(
    grant,
    subject,
    STRENGTH.filter(need => missing.has(need)),
    next,
  )
}

const HOUR = 3_600_000
const MINUTE = 60_000

/** An hour is enough to ask for, or the longest there is. */
function spellDuration(maxMs: number): string {
  return maxMs >= HOUR ? '1h' : `${Math.max(1, Math.floor(maxMs / MINUTE))}m`
}

function byRule(a: Hit, b: Hit): number {
  const [left, right] = [a.live.rule.name, b.live.rule.name]
  return left < right ? -1 : left > right ? 1 : 0
}

function namesOf(hits: readonly Hit[]): readonly string[] {
  return [...new Set(hits.map(({ live }) => live.rule.name))]
}
