import type { Check } from './check.ts'
import { type Block, type Live, matchBlock, matchOf, type Rule, takesAway } from './rule.ts'
import type { Subject } from './subject.ts'

/** The facts that a rule went by, for a detail line. */
export function factsFor({ rule }: Pick<Live, 'rule'>, subject: Subject): string {
  const block = [rule.when, ...rule.or].find(each => matchBlock(each, subject) !== 'no')
  const facts = (block?.checks ?? []).map(check =>
    check.finds(subject) ? check.fact(subject) : `${check.key.replaceAll('_', ' ')} can't be read`,
  )
  return facts.length === 0 ? 'it is about everything here' : facts.join(', ')
}

/** Why a rule is not about a statement. */
export function whyNot(rule: Rule, subject: Subject): string {
  const block = [rule.when, ...rule.or].find(each => matchBlock(each, subject) !== 'no')
  if (block === undefined) return misses(rule.when, subject)
  const taken = rule.unless.find(each => takesAway(each, subject))
  return `taken away by unless: ${(taken?.checks ?? []).map(check => check.fact(subject)).join(', ')}`
}

function misses({ checks, namesActs }: Block, subject: Subject): string {
  const missed = checks.find(check => !check.finds(subject))
  if (missed === undefined) {
    return namesActs ? '' : 'harmless, and the rule names neither class nor kind'
  }
  return miss(missed, subject)
}

function miss(check: Check, subject: Subject): string {
  const fact = check.fact(subject)
  return check.wanted === undefined ? fact : `${fact}, not ${check.wanted}`
}

/** Whether a whole rule, not one settled for a principal, is about a statement. */
export function ruleMatch(rule: Rule, subject: Subject): ReturnType<typeof matchOf> {
  return matchOf({ rule, blocks: [rule.when, ...rule.or], unless: rule.unless }, subject)
}
