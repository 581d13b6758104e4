import type { May } from '../config/index.ts'
import { judge, type Prepared } from './evaluate.ts'
import { find } from './find.ts'
import { type Match, type Rule, standsOn } from './rule.ts'
import type { Ruleset } from './ruleset.ts'
import { type Question, type Subject, subjectsOf } from './subject.ts'
import type { Verdict } from './verdict.ts'
import { factsFor, ruleMatch, whyNot } from './why.ts'

/** What is known of one statement, as the rules see it. */
export type ExplainedStatement = {
  readonly text: string
  readonly kind: string
  readonly class: string
  readonly needs: readonly May[]
  readonly tables: readonly string[]
  readonly functions: readonly string[]
  readonly where: string
  readonly hazards: readonly string[]
  /** What was not understood, if anything. */
  readonly unread: string | undefined
}

/** Whether a rule was about it, and why. `maybe`: it runs code that can't be read. */
export type ExplainedRule = {
  readonly name: string
  readonly does: 'allow' | 'deny' | 'approve'
  readonly matched: Match
  /** It is among those that decided. */
  readonly decided: boolean
  readonly why: string
  readonly at: string
}

/** A verdict and everything that led to it. */
export type Explanation = {
  readonly verdict: Verdict
  readonly statements: readonly ExplainedStatement[]
  readonly role: {
    readonly name: string
    readonly may: readonly May[]
    readonly missing: readonly May[]
    readonly at: string | undefined
  }
  readonly rules: readonly ExplainedRule[]
  readonly next: string | undefined
}

/** Says what is decided and why: every rule of the policy, whether it matched, and what it went by. */
export function explain(ruleset: Ruleset, prepared: Prepared, question: Question): Explanation {
  const { grant } = question
  const verdict = judge(ruleset, prepared, question)
  const subjects = subjectsOf(question, ruleset.functions)
  const { missing } = find(ruleset, prepared.rules, question)
  const deciding = decidingRules(verdict)
  return {
    verdict,
    statements: subjects.map(describe),
    role: { name: grant.role, may: grant.may, missing: [...missing], at: grant.at },
    rules: ruleset.rules.map(rule => ({
      name: rule.name,
      does: rule.does,
      ...reason(rule, grant.target, subjects),
      decided: deciding.includes(rule.name),
      at: rule.source.at,
    })),
    next: nextOf(ruleset, verdict),
  }
}

function decidingRules(verdict: Verdict): readonly string[] {
  if (verdict.outcome !== 'allow') return verdict.rules
  return verdict.observed?.rules ?? [verdict.rule]
}

function describe({ acts, text, class: classed, needs, hazards, unread }: Subject) {
  const tables = acts.relations.map(({ schema, name }) =>
    schema === undefined ? name : `${schema}.${name}`,
  )
  return {
    text,
    kind: acts.kind,
    class: classed,
    needs,
    tables: [...new Set(tables)],
    functions: acts.functions,
    where: acts.where,
    hazards,
    unread,
  }
}

/** Of several statements the one that the rule is most about says why. */
function reason(
  rule: Rule,
  target: string,
  subjects: readonly Subject[],
): Pick<ExplainedRule, 'matched' | 'why'> {
  if (!standsOn(rule, target)) return { matched: 'no', why: `on ${rule.source.on.join(', ')} only` }
  const matches = subjects.map(subject => ({ subject, matched: ruleMatch(rule, subject) }))
  const best =
    matches.find(({ matched }) => matched === 'yes') ??
    matches.find(({ matched }) => matched === 'maybe') ??
    matches[0]
  if (best === undefined) return { matched: 'no', why: 'there is no statement' }
  const { subject, matched } = best
  return { matched, why: matched === 'no' ? whyNot(rule, subject) : factsFor({ rule }, subject) }
}

function nextOf({ rules }: Ruleset, verdict: Verdict): string | undefined {
  if (verdict.outcome !== 'deny') return undefined
  return rules.find(({ name }) => name === verdict.rule)?.source.next ?? verdict.error.next[0]
}
