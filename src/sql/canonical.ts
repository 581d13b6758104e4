import { isUtf8 } from 'node:buffer'

/*
 * PostgreSQL's lexer as far as it decides where a comment starts and ends, and nothing more. A mistake here would
 * let one approval cover another statement, so whatever two versions or settings of PostgreSQL could read
 * differently is "in doubt", and then nothing is removed.
 * Source: src/backend/parser/scan.l of PostgreSQL 15 and 18; the names of its rules stand at each step.
 */

const [TAB, LF, FF, CR, SPACE] = [0x09, 0x0a, 0x0c, 0x0d, 0x20]
const [QUOTE, DOUBLE_QUOTE, DOLLAR, BACKSLASH] = [0x27, 0x22, 0x24, 0x5c]
const [STAR, PLUS, MINUS, SLASH, SEMICOLON] = [0x2a, 0x2b, 0x2d, 0x2f, 0x3b]

/** What a step of the lexer returns instead of a position. */
const DOUBT = -1

/**
 * Returns the bytes two texts have in common if they are the same statement: without outer white space, leading and
 * trailing comments and one final semicolon. Byte for byte the same otherwise, and the same altogether where
 * anything about it is in doubt. Hints of extensions, in comments that start with a plus sign, stay.
 *
 * Ownership: a view into `text`.
 *
 * @param text in an encoding whose ASCII bytes are always ASCII characters, such as UTF-8
 */
export function canonicalText(text: Uint8Array): Uint8Array {
  if (text.includes(0) || !isUtf8(text)) return text
  const start = skipBlank(text, 0)
  if (start === DOUBT) return text
  // The ends of the last token, and of the last one before a semicolon that nothing follows.
  let end = start
  let beforeSemicolon: number | undefined
  for (let at = start; at < text.length; ) {
    const next = tokenEnd(text, at)
    if (next === DOUBT) return text
    beforeSemicolon = text[at] === SEMICOLON ? end : undefined
    end = next
    at = skipBlank(text, next)
    if (at === DOUBT) return text
  }
  return text.subarray(start, beforeSemicolon ?? end)
}

/** Where white space and comments end. {whitespace}, but no vertical tab, which is none before PostgreSQL 16. */
function skipBlank(text: Uint8Array, from: number): number {
  let at = from
  for (;;) {
    if (isSpace(text[at])) at++
    else if (text[at] === MINUS && text[at + 1] === MINUS) at = lineEnd(text, at)
    else if (text[at] === SLASH && text[at + 1] === STAR && text[at + 2] !== PLUS) {
      at = commentEnd(text, at)
      if (at === DOUBT) return DOUBT
    } else return at
  }
}

/** Where the token ends that starts at `at`, which is neither white space nor a comment, unless one that stays. */
function tokenEnd(text: Uint8Array, at: number): number {
  const byte = text[at] ?? 0
  if (byte === QUOTE) return plainStringEnd(text, at + 1)
  if (byte === DOUBLE_QUOTE) return quotedEnd(text, at + 1, DOUBLE_QUOTE)
  if (byte === DOLLAR) return dollarEnd(text, at)
  if (byte === SLASH && text[at + 1] === STAR) return commentEnd(text, at)
  if (isIdentifierStart(byte)) return wordEnd(text, at)
  if (isDigit(byte)) return beforeDollar(text, endOf(text, at, isDigit))
  return at + 1
}

/** {identifier}, {xestart}. The prefixes B, X, N and U& change nothing about where their strings end. */
function wordEnd(text: Uint8Array, at: number): number {
  const end = beforeDollar(
    text,
    endOf(text, at, byte => isIdentifierStart(byte) || isDigit(byte)),
  )
  const isE = end === at + 1 && (text[at] === 0x65 || text[at] === 0x45)
  return isE && text[end] === QUOTE ? escapeStringEnd(text, end + 1) : end
}

/**
 * {xq}, {xb}, {xh}, {xus}. A backslash before a quote is text, or escapes the quote with standard_conforming_strings
 * off: in doubt.
 */
function plainStringEnd(text: Uint8Array, from: number): number {
  const end = quotedEnd(text, from, QUOTE)
  for (let at = from; at < end; at++) {
    if (text[at] === QUOTE && at > from && text[at - 1] === BACKSLASH) return DOUBT
  }
  return end
}

/**
 * {xe}. Behind a line break a further part of it ({quotecontinue}) is read with backslashes as well; taken for a
 * plain string it ends in the same place, or is in doubt.
 */
function escapeStringEnd(text: Uint8Array, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === BACKSLASH) at++
    else if (text[at] === QUOTE && text[at + 1] === QUOTE) at++
    else if (text[at] === QUOTE) return at + 1
  }
  return DOUBT
}

/** Up to a quote that is not doubled. */
function quotedEnd(text: Uint8Array, from: number, quote: number): number {
  let at = text.indexOf(quote, from)
  while (at !== -1 && text[at + 1] === quote) at = text.indexOf(quote, at + 2)
  return at === -1 ? DOUBT : at + 1
}

/** {param}, {dolqdelim} and up to its next occurrence. */
function dollarEnd(text: Uint8Array, at: number): number {
  if (isDigit(text[at + 1] ?? 0)) {
    return beforeDollar(text, endOf(text, at + 1, isDigit))
  }
  const tagEnd = endOf(text, at + 1, byte => isIdentifierStart(byte) || isDigit(byte))
  if (text[tagEnd] !== DOLLAR) return DOUBT
  const delimiter = text.subarray(at, tagEnd + 1)
  const close = Buffer.from(text.buffer, text.byteOffset, text.length).indexOf(
    delimiter,
    tagEnd + 1,
  )
  return close === -1 ? DOUBT : close + delimiter.length
}

/**
 * A dollar sign behind a word belongs to it, behind a number it starts something, and versions differ on which of
 * the two `1_000` is: in doubt.
 */
function beforeDollar(text: Uint8Array, end: number): number {
  return text[end] === DOLLAR ? DOUBT : end
}

/** {xc}: they nest. */
function commentEnd(text: Uint8Array, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; ) {
    if (text[at] === SLASH && text[at + 1] === STAR) {
      depth++
      at += 2
    } else if (text[at] === STAR && text[at + 1] === SLASH) {
      depth--
      at += 2
      if (depth === 0) return at
    } else at++
  }
  return DOUBT
}

function lineEnd(text: Uint8Array, from: number): number {
  return endOf(text, from, byte => byte !== LF && byte !== CR)
}

function endOf(text: Uint8Array, from: number, goesOn: (byte: number) => boolean): number {
  let at = from
  while (at < text.length && goesOn(text[at] ?? 0)) at++
  return at
}

/** {space} of PostgreSQL 15. */
function isSpace(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB || byte === LF || byte === CR || byte === FF
}

/** {ident_start}: letters, underscore, and all that is not ASCII. */
function isIdentifierStart(byte: number): boolean {
  const letter = byte | 0x20
  return (letter >= 0x61 && letter <= 0x7a) || byte === 0x5f || byte >= 0x80
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}
