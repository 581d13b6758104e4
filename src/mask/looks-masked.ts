/** What tokens begin with, so that they can be told from values. */
const TOKEN = /\bdgt_[a-z2-7]{20}\b/

/** Bullets stand where characters were left out. */
const LEFT_OUT = /•{3}/

/** Whether a text holds what a mask made: a token, or bullets in place of characters. */
export function looksMasked(text: string): boolean {
  return TOKEN.test(text) || LEFT_OUT.test(text)
}
