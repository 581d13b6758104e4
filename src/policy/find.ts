import type { May } from '../config/index.ts'
import { type Live, matchOf, type Rule } from './rule.ts'
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
  const mayDeny: Hit[] = []
  const mayHold: Hit[] = []
  let isHeld = false
  for (const live of rules) {
    const match = matchOf(live, subject)
    if (match === 'no') continue
    const hit = { live, subject }
    if (live.rule.does === 'allow') {
      if (match === 'yes') found.allowed.push(hit)
    } else if (live.rule.does === 'deny') (match === 'yes' ? found.denied : mayDeny).push(hit)
    else if (match === 'yes') {
      found.held.push(hit)
      isHeld = true
    } else mayHold.push(hit)
  }
  if (subject.isOpaque) settleOpaque(ruleset, subject, { mayDeny, mayHold, isHeld }, found)
}

/**
 * What runs code that can't be read may be what any rule is about. Where such a statement is to be denied, it
 * is; where it may be held, a person who is asked about its like sees it, and if there is none it is denied.
 * Without a word in the policy it is held only if no rule could have denied what it hides.
 */
function settleOpaque(
  ruleset: Ruleset,
  subject: Subject,
  { mayDeny, mayHold, isHeld }: { mayDeny: Hit[]; mayHold: Hit[]; isHeld: boolean },
  found: Findings,
): void {
  const { grant, environment } = subject.question
  const word = unknownOn(ruleset, grant.target, environment)
  const first = mayDeny[0]?.live.rule ?? mayHold[0]?.live.rule
  const refuse = () => {
    found.unknown ??= { subject, rule: first }
  }
  if (word === 'deny') {
    if (subject.isUnread || first !== undefined) refuse()
    return
  }
  if (word === undefined && mayDeny.length > 0) refuse()
  else if (mayHold.length > 0 || isHeld) found.held.push(...mayHold)
  else if (subject.isUnread || mayDeny.length > 0) refuse()
}
