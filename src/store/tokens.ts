import type { FactKey } from './query.ts'

/**
 * What the full-text index holds of a statement, as tokens we make ourselves: words of its SQL, and facts
 * about it (`=user=ana@acme.dev`), so that one index answers a whole query in one walk. No word begins with `=`:
 * a word's beginning never finds a fact.
 *
 * A word is a run of letters, digits, `_` and `$`, in lower case, and it is found by its beginning: an
 * identifier is there whole and from behind each of its underscores, so that `orders` finds `tmp_orders`
 * and `orders_id`, and `tmp_ord` finds `tmp_orders`.
 */

/** A token every statement has, to say "all but". */
export const EVERY = '='

/** The tokenizer that leaves our tokens as they are: every character of theirs is part of a token. */
export const TOKENIZER = "ascii tokenchars '!#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"

const WORD = /[\p{L}\p{M}\p{N}_$]+/gu
/** The same for ASCII, several times faster. */
const ASCII_WORD = /[a-z0-9_$]+/g
const ASCII = /^[\0-\x7f]*$/
const PLAIN_FACT = /^[!#$&(-~]*$/
const MAX_WORD_CHARS = 64
const MAX_FACT_CHARS = 200
/** Of one statement; a longer text is searchable by its first words. */
const MAX_WORDS = 20_000

/** The words of a text, each once, without what lies behind underscores. */
export function wordsOf(text: string): string[] {
  const words = new Set<string>()
  const folded = text.toLowerCase()
  for (const word of folded.match(ASCII.test(folded) ? ASCII_WORD : WORD) ?? []) {
    words.add(word.slice(0, MAX_WORD_CHARS))
    if (words.size >= MAX_WORDS) break
  }
  return [...words]
}

/** The tokens for a statement's text, blanks between them. */
export function textTokens(sql: string): string {
  const tokens = new Set<string>()
  for (const word of wordsOf(sql)) {
    tokens.add(word)
    for (let at = word.indexOf('_'); at !== -1; at = word.indexOf('_', at + 1)) {
      if (at > 0 && at + 1 < word.length && word[at + 1] !== '_') tokens.add(word.slice(at + 1))
    }
  }
  return [...tokens].join(' ')
}

/** The token for a fact. A value's blanks, quotes and control characters are spelled out. */
export function factToken(key: FactKey, value: string): string {
  const folded = value.toLowerCase().slice(0, MAX_FACT_CHARS)
  const isPlain = PLAIN_FACT.test(folded)
  return `=${key}=${isPlain ? folded : folded.replace(/[\s'"%\p{C}]/gu, spellOut)}`
}

function spellOut(char: string): string {
  return `%${char.codePointAt(0)?.toString(16)}`
}
