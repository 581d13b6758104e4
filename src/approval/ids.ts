/** Base 32 without 0, 1, l and o, which are taken for each other when an id is read out or typed. */
const LETTERS = '23456789abcdefghijkmnpqrstuvwxyz'

/** How long an id may be, and how many are tried of each length. */
const LENGTHS = [4, 5, 6]
const TRIES = 8

/**
 * Makes an id like `h-7f3k` that is not taken: as short as finds one, because people type it.
 *
 * @param random gives that many random bytes
 */
export function newId(
  prefix: 'h' | 'g',
  random: (bytes: number) => Uint8Array,
  isTaken: (id: string) => boolean,
): string {
  for (const length of LENGTHS) {
    for (let tries = 0; tries < TRIES; tries++) {
      const letters = Array.from(random(length), byte => LETTERS[byte % LETTERS.length])
      const id = `${prefix}-${letters.join('')}`
      if (!isTaken(id)) return id
    }
  }
  throw new Error('no id is free')
}
