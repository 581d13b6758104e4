import type { PolicyDocument } from '../config/index.ts'
import type { Principal } from '../identity/index.ts'
import { type BareGrant, type Grant, mayEverything } from './grant.ts'
import { limitsFor, NO_LIMITS } from './limits.ts'
import { masksFor } from './masks.ts'
import { compileRule, type Live, liveFor, type Rule, standsOn } from './rule.ts'
import { FunctionTable } from './subject.ts'

/** What becomes of what can't be read; undefined: held where somebody could approve it and nothing may deny it. */
export type Unknown = 'deny' | 'hold' | undefined

/** The one environment in which nothing unread runs unless the policy says so. */
const PRODUCTION = 'production'

/** A policy with everything compiled that can be. Rules are in the order of their names: the files' order means nothing. */
export type Ruleset = {
  readonly document: PolicyDocument
  readonly rules: readonly Rule[]
  readonly functions: FunctionTable
}

export function compileRuleset(document: PolicyDocument): Ruleset {
  const byName = (a: Rule, b: Rule) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
  return {
    document,
    rules: (document.rules ?? []).map(compileRule).sort(byName),
    functions: new FunctionTable(document.functions ?? []),
  }
}

/** The rules that can matter to a principal on a target, strict ones first. */
export function liveRules(
  { rules }: Ruleset,
  principal: Principal,
  target: string,
): readonly Live[] {
  return rules.flatMap(rule => (standsOn(rule, target) ? (liveFor(rule, principal) ?? []) : []))
}

/** What is put on a grant once it is known what applies to it. */
export function completeGrant(ruleset: Ruleset, bare: BareGrant, principal: Principal): Grant {
  const { target, role } = bare
  const limits = isObserved(ruleset, target)
    ? NO_LIMITS
    : limitsFor(ruleset.document.limits ?? [], target, role)
  // A target that is only watched is masked all the same: what was seen can't be unseen.
  const masks = masksFor(ruleset.document.masks ?? [], principal, target, role)
  const isUnrestricted =
    mayEverything(bare) &&
    limits === NO_LIMITS &&
    masks.length === 0 &&
    liveRules(ruleset, principal, target).every(({ rule }) => rule.does === 'allow')
  return Object.freeze({ ...bare, limits, masks, isUnrestricted })
}

/** Whether a target is only watched. */
export function isObserved({ document }: Ruleset, target: string): boolean {
  const words = (document.mode ?? []).filter(({ on }) => on === '*' || on === target)
  return words.length > 0 && words.every(({ is }) => is === 'observe')
}

/** What a target's policy says of what can't be read. */
export function unknownOn(
  { document }: Ruleset,
  target: string,
  environment: string | undefined,
): Unknown {
  const words = (document.unknown ?? []).filter(
    ({ on }) => on === '*' || on === target || on === environment,
  )
  if (words.some(({ is }) => is === 'deny')) return 'deny'
  if (words.length > 0) return 'hold'
  return environment === PRODUCTION ? 'deny' : undefined
}
