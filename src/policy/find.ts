import type { May } from '../config/index.ts'
import { isAboutSituation, type Live, matchOf, type Rule } from './rule.ts'
import { type Ruleset, unknownOn } from './ruleset.ts'
import { type Question, type Subject, subjectsOf } from './subject.ts'

/** A rule and a statement it is about. */
export type Hit = { readonly live: Live; readonly subject: Subject }

/** All that speaks against or for a text, sorted by what it asks for. */
export type Findings = {
  readonly denied: Hit[]
  readonly held: Hit[]
  readonly allowed: Hit[]
  /** What all of it needs; what of that the role lacks, and the first statement that shows it. */
  readonly needs: Set<May>
  readonly missing: Set<May>
  lacking: Subject | undefined
  /** What can't be read, and a rule that may be about it, if that is why. */
  unknown: { readonly subject: Subject; readonly rule: Rule | undefined } | undefined
}

/** Looks for everything that has to do with each statement of the text. */
export function find(ruleset: Ruleset, rules: readonly Live[], question: Question): Findings {
  const found: Findings = {
    denied: [],
    held: [],
    allowed: [],
    needs: new Set(),
    missing: new Set(),
    lacking: undefined,
    unknown: undefined,
  }
  for (const subject of subjectsOf(question, ruleset.functions)) {
    for (const need of subject.needs) {
      found.needs.add(need)
      if (question.grant.may.includes(need)) continue
      found.missing.add(need)
      found.lacking ??= subject
    }
    findRules(ruleset, rules, subject, found)
  }
  return found
}

function findRules(
  ruleset: Ruleset,
  rules: readonly Live[],
  subject: Subject,
  found: Findings,
): void {
  const maybe: Maybe = { deny: [], hold: [], approvers: false }
  for (const live of rules) {
    const match = matchOf(live, subject)
    if (match === 'no') continue
    const hit = { live, subject }
    const isSure = match === 'yes'
    switch (live.rule.does) {
      case 'allow':
        if (isSure) found.allowed.push(hit)
        break
      case 'deny':
        ;(isSure ? found.denied : maybe.deny).push(hit)
        break
      case 'approve':
        ;(isSure ? found.held : maybe.hold).push(hit)
        maybe.approvers ||= subject.isOpaque && isAboutSituation(live, subject)
        break
      default:
        live.rule.does satisfies never
    }
  }
  if (subject.isOpaque) settleOpaque(ruleset, subject, maybe, found)
}

/** What may be about a statement that can't be read; `approvers`: somebody is asked about its like in any case. */
type Maybe = { readonly deny: Hit[]; readonly hold: Hit[]; approvers: boolean }

/**
 * What runs code that can't be read may be what any rule is about. Where such a statement is to be denied, it
 * is; where it may be held, a person who is asked about its like sees it, and if there is none it is denied.
 * Without a word in the policy it is held only if no rule could have denied what it hides.
 */
function settleOpaque(
  ruleset: Ruleset,
  subject: Subject,
  { deny, hold, approvers }: Maybe,
  found: Findings,
): void {
  const { grant, environment } = subject.question
  const word = unknownOn(ruleset, grant.target, environment)
  const rule = (deny[0] ?? hold[0])?.live.rule
  const canBeHeld = word !== 'deny' && approvers && (word === 'hold' || deny.length === 0)
  if (canBeHeld) found.held.push(...hold)
  else if (subject.isUnread || rule !== undefined) found.unknown ??= { subject, rule }
}
