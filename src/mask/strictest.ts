import type { Detector, FilterEffect, MaskWord, RuleEffect } from '../config/index.ts'
import { type Approval, combineApprovals, type MaskRule } from '../policy/index.ts'
import type { Mask } from './kinds.ts'

/** What a person's agreement looks like, of all masks that ask for one together. */
export type HoldTerms = {
  readonly approve: Approval
  readonly holdMs: number
  readonly notify: readonly string[]
  readonly inTransaction: 'wait' | 'fail'
}

/** What may be done with a masked column besides showing it masked. */
export type Decision<Word extends string> =
  | { readonly does: Word }
  | { readonly does: 'approve'; readonly terms: HoldTerms }

export type Filters = Decision<'deny' | 'equality' | 'allow'>
export type Writes = Decision<'deny' | 'allow'>

/** A mask that a rule puts on a column, and why: `label pii:email`, `*.ssn`. */
export type Candidate = { readonly rule: MaskRule; readonly word: MaskWord; readonly why: string }

/** What holds for a column under all masks that fit it. */
export type Strictest = {
  readonly mask: Mask
  readonly rule: MaskRule
  readonly why: string
  readonly filters: Filters
  readonly writes: Writes
  /** Expressions that can fail for what the value is: refused, or NULL. */
  readonly derived: 'deny' | 'redact'
}

/** The name that approvals of masks go by. */
export const MASK_RULE = 'mask'

/**
 * The stricter a mask, the less it tells: nothing at all (nullify), that there is a value (redact), a part of it
 * (year, then keep, the fewer characters the stricter, then email), and last what is the same wherever the value is
 * (token), which joins, counts and confirms a guess.
 */
const ORDER: Readonly<Record<MaskWord['kind'], number>> = {
  nullify: 0,
  redact: 100,
  year: 200,
  keep: 300,
  email: 400,
  token: 500,
}

/** What may be done with a column that decides about rows, by what its mask tells anyway. */
function filtersBy({ kind }: MaskWord): FilterEffect {
  return { does: kind === 'token' ? 'equality' : 'deny' }
}

/**
 * Of all masks that fit a column the strictest counts, and so does the strictest of what each of them says of
 * filters, writes and expressions. `domain` is that of tokens of the column's own.
 */
export function strictest(candidates: readonly Candidate[], domain: string): Strictest | undefined {
  const [first] = candidates.toSorted(byStrictness)
  if (first === undefined) return undefined
  return {
    mask: maskOf(first.word, domain),
    rule: first.rule,
    why: first.why,
    filters: decide(
      candidates.map(({ rule, word }) => rule.filters ?? filtersBy(word)),
      ['deny', 'equality', 'allow'],
    ),
    writes: decide(
      candidates.map(({ rule }): RuleEffect => rule.writes ?? { does: 'allow' }),
      ['deny', 'allow'],
    ),
    derived: candidates.every(({ rule }) => rule.derived === 'redact') ? 'redact' : 'deny',
  }
}

/** For each detector the strictest mask. */
export function detectorsOf(
  rules: readonly MaskRule[],
): readonly { readonly matches: Detector; readonly mask: Mask }[] {
  const all = rules.flatMap(rule => {
    const { mask } = rule
    return mask === undefined ? [] : rule.values.map(matches => ({ matches, rule, word: mask }))
  })
  return [...Map.groupBy(all, ({ matches }) => matches)].flatMap(([matches, found]) => {
    const why = `looks like ${matches}`
    const mask = strictest(
      found.map(({ rule, word }) => ({ rule, word, why })),
      `values ${matches}`,
    )?.mask
    return mask === undefined ? [] : [{ matches, mask }]
  })
}

function byStrictness(a: Candidate, b: Candidate): number {
  return rankOf(a.word) - rankOf(b.word) || compare(nameOf(a), nameOf(b))
}

/** How much a mask tells: the smaller, the stricter. */
export function rankOf(word: MaskWord): number {
  const rank = ORDER[word.kind]
  if (word.kind === 'keep') return rank + word.first + word.last
  return word.kind === 'token' && word.domain === undefined ? rank + 1 : rank
}

/** Makes an order where strictness makes none, so that it does not depend on that of the files. */
function nameOf({ rule, word, why }: Candidate): string {
  return `${word.kind === 'token' ? (word.domain ?? '') : ''}\0${why}\0${rule.at}`
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function maskOf(word: MaskWord, domain: string): Mask {
  return word.kind === 'token' ? { kind: 'token', domain: word.domain ?? domain } : word
}

type Effect = FilterEffect | RuleEffect

/** The strictest: deny, then approve by all who ask for it, then the other words in their order. */
function decide<Word extends 'deny' | 'equality' | 'allow'>(
  effects: readonly Effect[],
  order: readonly Word[],
): Decision<Word> {
  const [strict, ...milder] = order
  if (strict !== undefined && effects.some(({ does }) => does === strict)) return { does: strict }
  const asking = effects.filter(effect => effect.does === 'approve')
  if (asking.length > 0) return { does: 'approve', terms: termsOf(asking) }
  const word = milder.find(each => effects.some(({ does }) => does === each)) ?? order.at(-1)
  if (word === undefined) throw new TypeError('no word')
  return { does: word }
}

type Asking = Extract<RuleEffect, { readonly does: 'approve' }>

function termsOf(asking: readonly Asking[]): HoldTerms {
  return {
    approve: combineApprovals(asking.map(({ approve }) => ({ rule: MASK_RULE, terms: approve }))),
    holdMs: Math.min(...asking.map(({ holdMs }) => holdMs)),
    notify: [...new Set(asking.flatMap(({ notify }) => notify))].sort(),
    inTransaction: asking.some(({ inTransaction }) => inTransaction === 'fail') ? 'fail' : 'wait',
  }
}

/** As strict as all of them together: one person's agreement to one does not stand for another. */
export function combineTerms(all: readonly HoldTerms[]): HoldTerms | undefined {
  const [first, ...others] = all
  return others.reduce<HoldTerms | undefined>((sum, each) => sum && both(sum, each), first)
}

function both(a: HoldTerms, b: HoldTerms): HoldTerms {
  const requirements = [...a.approve.requirements, ...b.approve.requirements]
  const unique = new Map(requirements.map(one => [JSON.stringify(one), one]))
  return {
    approve: {
      requirements: [...unique.values()],
      by: [...new Set([...a.approve.by, ...b.approve.by])].sort(),
      need: Math.max(a.approve.need, b.approve.need),
      expiresMs: Math.min(a.approve.expiresMs, b.approve.expiresMs),
      presence: a.approve.presence ?? b.approve.presence,
    },
    holdMs: Math.min(a.holdMs, b.holdMs),
    notify: [...new Set([...a.notify, ...b.notify])].sort(),
    inTransaction: a.inTransaction === 'fail' ? 'fail' : b.inTransaction,
  }
}
