import { asType, BULLETS, type CellMask, maskedEmail, maskedMiddle } from './cell.ts'
import { type CellField, isTextLike, type Mask } from './kinds.ts'
import type { DetectorMask } from './select.ts'

/**
 * Masks for what a text looks like. A last resort: what is written backwards, cut in two or spelled out is not
 * seen, so that nothing must rely on it.
 */

/** `[start, end)` in a text, in characters. */
type Match = readonly [start: number, end: number]

/** Types whose values hold no text: numbers, dates, identifiers, addresses, bits, bytes. */
const NO_TEXT: ReadonlySet<number> = new Set([
  16, 17, 18, 20, 21, 23, 24, 26, 27, 28, 29, 600, 601, 602, 603, 604, 628, 650, 700, 701, 718, 774,
  790, 829, 869, 1082, 1083, 1114, 1184, 1186, 1266, 1560, 1562, 1700, 2202, 2203, 2204, 2205, 2206,
  2950, 3220, 5069,
])
const CARD = /(?<!\d[ -]?)[2-6](?:[ -]?\d){12,18}(?![ -]?\d)/g
const NATIONAL_ID = /(?<![\d-])(?!000|666)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])/g
const LOCAL_PART = /[^\x00-\x20@<>"'(),:;[\]\\]/
const DOMAIN = /(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}/y
/** RFC 5321. */
const LOCAL_PART_BYTES = 64

/** The mask of a column that is shown but for what detectors find in it; null where they can find nothing. */
export function detectorMask(
  detectors: readonly DetectorMask[],
  field: CellField,
): CellMask | null {
  if (detectors.length === 0 || NO_TEXT.has(field.typeOid)) return null
  if (isTextLike(field.typeOid)) return inText(detectors, field)
  // Of json, an array or a record nothing can be cut out without making it something else.
  return (buf, start, end) => {
    const text = buf.toString('latin1', start, end)
    return detectors.some(({ matches }) => find(matches, text).length > 0) ? null : undefined
  }
}

function inText(detectors: readonly DetectorMask[], field: CellField): CellMask {
  return (buf, start, end) => {
    // One character for each byte: offsets of one are those of the other.
    let text = buf.toString('latin1', start, end)
    let isChanged = false
    for (const { matches, mask } of detectors) {
      const found = find(matches, text)
      if (found.length === 0) continue
      if (mask.kind === 'nullify') return null
      text = replaceAll(text, found, mask)
      isChanged = true
    }
    return isChanged ? asType(Buffer.from(text, 'latin1'), field) : undefined
  }
}

function replaceAll(text: string, found: readonly Match[], mask: Mask): string {
  let result = ''
  let copied = 0
  for (const [start, end] of found) {
    const shown = shownOf(Buffer.from(text.slice(start, end), 'latin1'), mask)
    result += text.slice(copied, start) + shown.toString('latin1')
    copied = end
  }
  return result + text.slice(copied)
}

function shownOf(bytes: Buffer, mask: Mask): Buffer {
  if (mask.kind === 'email') return maskedEmail(bytes)
  if (mask.kind === 'keep') return maskedMiddle(bytes, mask.first, mask.last)
  return Buffer.from(BULLETS)
}

function find(matches: DetectorMask['matches'], text: string): readonly Match[] {
  switch (matches) {
    case 'card-number':
      return [...text.matchAll(CARD)]
        .filter(match => isCardNumber(match[0]))
        .map(match => [match.index, match.index + match[0].length])
    case 'national-id':
      return [...text.matchAll(NATIONAL_ID)].map(match => [
        match.index,
        match.index + match[0].length,
      ])
    case 'email':
      return findEmails(text)
  }
}

/** From each @ outwards: a pattern over the whole text would try every beginning. */
function findEmails(text: string): readonly Match[] {
  const found: Match[] = []
  let behind = 0
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    const earliest = Math.max(behind, at - LOCAL_PART_BYTES)
    let start = at
    while (start > earliest && LOCAL_PART.test(text.charAt(start - 1))) start -= 1
    DOMAIN.lastIndex = at + 1
    if (start === at || !DOMAIN.test(text)) continue
    behind = DOMAIN.lastIndex
    found.push([start, behind])
  }
  return found
}

/** Luhn's sum, which one wrong digit breaks. Source: ISO/IEC 7812-1. */
function isCardNumber(text: string): boolean {
  let sum = 0
  let isDoubled = false
  for (let at = text.length - 1; at >= 0; at--) {
    const digit = text.charCodeAt(at) - 48
    if (digit < 0 || digit > 9) continue
    const value = isDoubled ? 2 * digit : digit
    sum += value > 9 ? value - 9 : value
    isDoubled = !isDoubled
  }
  return sum % 10 === 0
}
