import type { Conditions, PolicyRule } from '../config/index.ts'
import type { Principal } from '../identity/index.ts'
import type { Check } from './check.ts'
import { checksOf } from './checks.ts'
import { isIdle, type Subject } from './subject.ts'

/** Whether a rule is about a statement. `maybe`: not by its facts, but it runs code that can't be read. */
export type Match = 'no' | 'maybe' | 'yes'

/** Checks that all have to hold. */
export type Block = {
  readonly checks: readonly Check[]
  /** It says something of what the statement does, so that it can be about a harmless one. */
  readonly namesActs: boolean
}

/** A rule with its patterns compiled. */
export type Rule = {
  readonly source: PolicyRule
  readonly name: string
  readonly does: 'allow' | 'deny' | 'approve'
  readonly when: Block
  readonly or: readonly Block[]
  readonly unless: readonly Block[]
  /** Knowing how many rows it is about could make its answer milder. */
  readonly usesEstimate: boolean
}

/** What of a rule is left for one principal: blocks that can hold, without what is settled by who it is. */
export type Live = {
  readonly rule: Rule
  readonly blocks: readonly Block[]
  readonly unless: readonly Block[]
}

/** Says nothing of what a statement does: any statement may be about many rows. */
const COUNTS_ROWS = 'rows_estimate'
/** The one key that takes away what can't be read: by saying so. */
const NAMES_DANGER = 'hazards'

export function compileRule(source: PolicyRule): Rule {
  const when = blockOf(source.when)
  const or = source.or.map(blockOf)
  const unless = source.unless.map(blockOf)
  return {
    source,
    name: source.name,
    does: source.effect.does,
    when,
    or,
    unless,
    usesEstimate: [when, ...or, ...unless].some(({ checks }) =>
      checks.some(({ key }) => key === COUNTS_ROWS),
    ),
  }
}

function blockOf(conditions: Conditions): Block {
  return block(checksOf(conditions))
}

function block(checks: readonly Check[]): Block {
  return {
    checks,
    namesActs: checks.some(({ about, key }) => about === 'statement' && key !== COUNTS_ROWS),
  }
}

/** Whether a rule stands on a target. */
export function standsOn(rule: Rule, target: string): boolean {
  return rule.source.on.includes('*') || rule.source.on.includes(target)
}

/** What of a rule can matter to a principal; undefined if nothing they send can match it. */
export function liveFor(rule: Rule, principal: Principal): Live | undefined {
  const blocks = [rule.when, ...rule.or].flatMap(each => settle(each, principal) ?? [])
  const unless = rule.unless.flatMap(each => settle(each, principal) ?? [])
  const isTakenAway = unless.some(({ checks }) => checks.length === 0)
  return blocks.length === 0 || isTakenAway ? undefined : { rule, blocks, unless }
}

/** A block without the checks that who it is has settled; undefined if one of them fails. */
function settle({ checks, namesActs }: Block, principal: Principal): Block | undefined {
  if (checks.some(({ isAbout }) => isAbout?.(principal) === false)) return undefined
  return { checks: checks.filter(({ isAbout }) => isAbout === undefined), namesActs }
}

/** Says whether a rule is about a statement. */
export function matchOf({ blocks, unless }: Live, subject: Subject): Match {
  let best: Match = 'no'
  for (const each of blocks) {
    const match = matchBlock(each, subject)
    if (match === 'yes') best = 'yes'
    else if (match === 'maybe' && best === 'no') best = 'maybe'
    if (best === 'yes') break
  }
  if (best === 'no' || unless.length === 0) return best
  return unless.some(each => takesAway(each, subject)) ? 'no' : best
}

export function matchBlock({ checks, namesActs }: Block, subject: Subject): Match {
  if (!namesActs && isIdle(subject)) return 'no'
  let match: Match = 'yes'
  for (const check of checks) {
    if (check.finds(subject)) continue
    if (!subject.isOpaque || check.about !== 'statement') return 'no'
    match = 'maybe'
  }
  return match
}

/** What runs code that can't be read is not taken away for what it seems to do. */
export function takesAway({ checks }: Block, subject: Subject): boolean {
  return checks.every(
    check =>
      (!subject.isOpaque || check.about !== 'statement' || check.key === NAMES_DANGER) &&
      check.covers(subject),
  )
}

/**
 * Whether a rule is about this situation beyond doubt, whatever the statement does: not for what a client says,
 * and not for what is not known.
 */
export function isAboutSituation({ blocks, unless }: Live, subject: Subject): boolean {
  const isSure = ({ checks }: Block) =>
    checks.every(check => check.about === 'statement' || check.covers(subject))
  const mayTakeAway = ({ checks }: Block) =>
    checks.every(check => check.about === 'statement' || check.finds(subject))
  return blocks.some(isSure) && !unless.some(mayTakeAway)
}

/** The first instant after `at` at which the rule may be about something else by the clock alone. */
export function changesAfter({ blocks, unless }: Live, at: number): number {
  let first = Number.POSITIVE_INFINITY
  for (const { checks } of [...blocks, ...unless]) {
    for (const check of checks) {
      if (check.changesAfter !== undefined) first = Math.min(first, check.changesAfter(at))
    }
  }
  return first
}
