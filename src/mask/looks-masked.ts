/** What tokens begin with, so that they can be told from values. */
const TOKEN = /\bdgt_[a-z2-7]{20}\b/
/** A token in place of a UUID: of version 8, which says that its maker chose every bit. */
const UUID = /\bdb9a[0-9a-f]{4}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b/i
/** Bullets stand where characters were left out. */
const LEFT_OUT = /•{3}/
/** A token in place of an int8 has the second highest bit set, see token.ts. */
const INT8 = /^\s*[4-9]\d{18}\s*$/
const INT8_TOKENS = 1n << 62n

/** Whether a text holds what a mask made: a token, or bullets in place of characters. */
export function looksMasked(text: string): boolean {
  if (TOKEN.test(text) || UUID.test(text) || LEFT_OUT.test(text)) return true
  return INT8.test(text) && BigInt(text) >= INT8_TOKENS && BigInt(text) < 2n * INT8_TOKENS
}
