import type {
  AccessEntry,
  ApproveTerms,
  Conditions,
  MaskWord,
  PolicyMask,
  PolicyRule,
} from '../config/index.ts'

/*
 * Parts of a policy in words that are the same for what means the same: of a list whose order means nothing, the
 * words come in their own order.
 */

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const

/** A span as policies write it: `15m`, `90s`. */
export function spanWords(ms: number): string {
  const [unit, size] = UNITS.find(([, each]) => ms >= each && ms % each === 0) ?? ['ms', 1]
  return `${ms / size}${unit}`
}

/** A list without order. */
export function listWords(words: readonly string[]): string {
  return [...new Set(words)].sort().join(', ')
}

function termWords({ by, need, expiresMs, presence }: ApproveTerms): string {
  const fresh = presence === undefined ? '' : `, ${presence}`
  return `${need} of ${listWords(by)}, expires ${spanWords(expiresMs)}${fresh}`
}

/** How a role is asked for and approved. */
export function askedWords({ approve, reason, notify = [] }: AccessEntry): string | undefined {
  if (approve === undefined) return undefined
  const max = `at most ${spanWords(approve.maxMs)}`
  return `${termWords(approve)}, ${max}, reason ${reason}${toldWords(notify)}`
}

/** How a role is taken in an emergency. */
export function takenWords({ breakGlass, reason }: AccessEntry): string | undefined {
  if (breakGlass === undefined) return undefined
  const { maxMs, reviewWithinMs, notify } = breakGlass
  const review = `review within ${spanWords(reviewWithinMs)}`
  const who = `by ${listWords(breakGlass.for)}, at most ${spanWords(maxMs)}, ${review}`
  return `${who}, reason ${reason}${toldWords(notify)}`
}

function toldWords(notify: readonly string[]): string {
  return notify.length === 0 ? '' : `, tells ${listWords(notify)}`
}

type Effect = PolicyRule['effect'] | NonNullable<PolicyMask['filters']>

/** What a rule does, in one line. */
export function effectWords(effect: Effect): string {
  if (effect.does !== 'approve') return effect.does
  const { approve, holdMs, notify, inTransaction } = effect
  const held = `hold ${spanWords(holdMs)}, in a transaction ${inTransaction}`
  return `approve by ${termWords(approve)}, ${held}${toldWords(notify)}`
}

/** Conditions, each under the name that policies give it. */
export function conditionWords(conditions: Conditions): ReadonlyMap<string, string> {
  const words = new Map<string, string>()
  for (const [key, value] of Object.entries(conditions)) {
    if (value !== undefined) words.set(snake(key), conditionWord(value))
  }
  return new Map([...words].sort(([a], [b]) => (a < b ? -1 : 1)))
}

function conditionWord(value: NonNullable<Conditions[keyof Conditions]>): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (!('is' in value)) return 'atLeast' in value ? `>= ${value.atLeast}` : listWords(value)
  return `${value.is} ${listWords(value.windows.map(({ text }) => text))} ${value.zone}`
}

/** Blocks of conditions of which one is enough. */
export function blockWords(blocks: readonly Conditions[]): string | undefined {
  if (blocks.length === 0) return undefined
  const each = blocks.map(block =>
    [...conditionWords(block)].map(([key, words]) => `${key}: ${words}`).join('; '),
  )
  return [...new Set(each)].sort().join(' | ')
}

/** A mask, and what may be done with what it masks. */
export function maskWords(mask: MaskWord | undefined, entry: PolicyMask): string {
  const { reveal, filters, writes, derived } = entry
  const more = [
    reveal.length === 0 ? '' : `shown to ${listWords(reveal)}`,
    filters === undefined ? '' : `filters: ${effectWords(filters)}`,
    writes === undefined ? '' : `writes: ${effectWords(writes)}`,
    derived === undefined ? '' : `derived: ${derived}`,
  ]
  return [mask === undefined ? 'masked' : kindWords(mask), ...more].filter(Boolean).join(', ')
}

function kindWords(mask: MaskWord): string {
  if (mask.kind === 'keep') {
    const { first, last } = mask
    const ends = [first > 0 ? `first ${first}` : '', last > 0 ? `last ${last}` : '']
    return `keep ${ends.filter(Boolean).join(' and ')}`
  }
  if (mask.kind !== 'token') return mask.kind
  return mask.domain === undefined ? 'hash' : `hash in ${mask.domain}`
}

function snake(key: string): string {
  return key.replace(/[A-Z]/g, c => `_${c.toLowerCase()}`)
}
