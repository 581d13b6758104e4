/**
 * True for text that psql might not pass on as it is: a backslash outside of quotes begins a command of
 * psql's own (`\!` runs a program), and what is inside of quotes depends on `standard_conforming_strings`. So
 * it must be inert under both readings.
 *
 * Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html and psql's `psqlscan.l`.
 */
export function hasStraySlash(sql: string): boolean {
  if (!sql.includes('\\')) return false
  return isStray(sql, true) || isStray(sql, false)
}

const DOLLAR = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/uy
const WORD = /[\p{L}\p{N}_$]/u

function isStray(sql: string, isStandard: boolean): boolean {
  let at = 0
  while (at < sql.length) {
    const character = sql[at]
    const next = sql[at + 1]
    if (character === '\\') return true
    if (character === "'") {
      const before = sql[at - 1] ?? ''
      const isEscape = /[eE]/.test(before) && !WORD.test(sql[at - 2] ?? '')
      at = endOfQuote(sql, at, "'", isEscape || !isStandard)
    } else if (character === '"') at = endOfQuote(sql, at, '"', false)
    else if (character === '-' && next === '-') at = endOfLine(sql, at)
    else if (character === '/' && next === '*') at = endOfComment(sql, at)
    else if (character === '$' && !WORD.test(sql[at - 1] ?? '')) at = endOfDollar(sql, at)
    else at += 1
    if (at < 0) return true
  }
  return false
}

/** All of these return where the text goes on, or -1 where it ends within. */
function endOfQuote(sql: string, start: number, quote: string, hasEscapes: boolean): number {
  for (let at = start + 1; at < sql.length; at += 1) {
    if (hasEscapes && sql[at] === '\\') at += 1
    else if (sql[at] === quote) {
      if (sql[at + 1] !== quote) return at + 1
      at += 1
    }
  }
  return -1
}

function endOfLine(sql: string, start: number): number {
  const found = /[\r\n]/g
  found.lastIndex = start
  return found.exec(sql)?.index ?? sql.length
}

function endOfComment(sql: string, start: number): number {
  let depth = 0
  for (let at = start; at < sql.length; at += 1) {
    if (sql.startsWith('/*', at)) {
      depth += 1
      at += 1
    } else if (sql.startsWith('*/', at)) {
      depth -= 1
      at += 1
      if (depth === 0) return at + 1
    }
  }
  return -1
}

function endOfDollar(sql: string, start: number): number {
  DOLLAR.lastIndex = start
  const tag = DOLLAR.exec(sql)?.[0]
  if (tag === undefined) return start + 1
  const end = sql.indexOf(tag, start + tag.length)
  return end < 0 ? -1 : end + tag.length
}
