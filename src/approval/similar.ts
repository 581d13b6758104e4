import { canonicalText } from '../sql/index.ts'
import type { Hold } from '../store/index.ts'
import { type Bound, parameterDigest } from './binding.ts'

/**
 * Where a statement differs from a held one: at a character of its text (from 1, as PostgreSQL counts, in the
 * text without outer comments), in a value (from 1), in a setting, or in role or database. The fragments are a
 * few characters around the place.
 */
export type Difference =
  | { readonly in: 'text'; readonly position: number; readonly held: string; readonly sent: string }
  | { readonly in: 'parameter'; readonly position: number }
  | { readonly in: 'setting'; readonly name: string }
  | { readonly in: 'role' | 'database' | 'parameters' }

export type Near = { readonly hold: Hold; readonly difference: Difference }

/** As much of the longer text must be the same at both ends together for two texts to be alike. */
const LIKENESS = 0.6
const FRAGMENT_BYTES = 20

/** The hold most like what was sent, an approved one before an open one; none if none is alike. */
export function nearest(bound: Bound, holds: readonly Hold[]): Near | undefined {
  const sent = canonicalText(bound.text)
  let best: { readonly hold: Hold; readonly score: number } | undefined
  for (const hold of holds) {
    const alike = likeness(heldText(hold), sent)
    const score = alike + (hold.state === 'approved' ? 1 : 0)
    if (alike >= LIKENESS && (best === undefined || score > best.score)) best = { hold, score }
  }
  return best && { hold: best.hold, difference: differenceOf(bound, best.hold, sent) }
}

function differenceOf(bound: Bound, hold: Hold, sent: Uint8Array): Difference {
  const held = heldText(hold)
  const at = commonStart(held, sent)
  if (at < Math.max(held.length, sent.length)) {
    const position = charactersBefore(sent, at) + 1
    return { in: 'text', position, held: around(held, at), sent: around(sent, at) }
  }
  if (bound.role !== hold.role) return { in: 'role' }
  const { database, scope, parameterDigests } = hold.statement
  if (bound.database !== database) return { in: 'database' }
  const digests = bound.parameters.map(parameterDigest)
  const parameter = digests.findIndex((digest, index) => digest !== parameterDigests[index])
  if (parameter !== -1) return { in: 'parameter', position: parameter + 1 }
  const names = [...Object.keys(bound.scope), ...Object.keys(scope)].sort()
  const name = names.find(each => bound.scope[each] !== scope[each])
  if (name !== undefined) return { in: 'setting', name }
  return { in: 'parameters' } // Their number, or their types.
}

/** How much of two texts is the same at both ends, as part of the longer. */
function likeness(held: Uint8Array, sent: Uint8Array): number {
  const [shorter, longer] = [Math.min(held.length, sent.length), Math.max(held.length, sent.length)]
  const start = commonStart(held, sent)
  let same = start
  for (let back = 1; back <= shorter - start && held.at(-back) === sent.at(-back); back++) same++
  return longer === 0 ? 1 : same / longer
}

/** The first byte where two texts differ, or the first of the character it belongs to. */
function commonStart(held: Uint8Array, sent: Uint8Array): number {
  let at = 0
  while (at < held.length && held[at] === sent[at]) at++
  while (at > 0 && (isInside(held[at]) || isInside(sent[at]))) at--
  return at
}

/** True for a byte within a character of UTF-8. */
function isInside(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}

function charactersBefore(text: Uint8Array, end: number): number {
  return text.subarray(0, end).reduce((count, byte) => (isInside(byte) ? count : count + 1), 0)
}

function around(text: Uint8Array, at: number): string {
  let [start, end] = [Math.max(0, at - FRAGMENT_BYTES), Math.min(text.length, at + FRAGMENT_BYTES)]
  while (isInside(text[start])) start++
  while (isInside(text[end])) end++
  return Buffer.from(text.subarray(start, end)).toString('utf8')
}

function heldText(hold: Hold): Uint8Array {
  const { text, textBase64 } = hold.statement
  return canonicalText(
    Buffer.from(textBase64 ?? text, textBase64 === undefined ? 'utf8' : 'base64'),
  )
}
