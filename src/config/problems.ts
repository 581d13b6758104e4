/** What is wrong with a configuration file, said so that the person at the editor can fix it at once. */

import { DbgateError } from '../errors.ts'

/**
 * One thing wrong with one file.
 *
 * Shape: `line` and `column` count from 1, in characters; `path` is the key's way from the top
 * (`targets.prod.url`); `message` is one lower-case line that names keys and never a value; `excerpt` is the
 * offending line with anything that looks like a secret replaced by `•••`; `hint` is one more line, if it helps.
 */
export type Problem = {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly path: string
  readonly message: string
  readonly excerpt: string
  readonly hint?: string
}

/** All that is wrong with a configuration, in one throw. `problems` are in the order of `files`, then of lines. */
export class ConfigProblems extends DbgateError {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[], files: readonly string[]) {
    const sorted = sortProblems(problems, files)
    const named = [...new Set(sorted.map(problem => problem.file))]
    const count = sorted.length === 1 ? '1 problem' : `${sorted.length} problems`
    super('INVALID', `${count} in ${named.join(', ')}`, {
      detail: sorted.map(formatProblem).join('\n'),
      hint: 'Nothing was changed by this file.',
    })
    this.problems = sorted
  }
}

/** Problems in the order of the files, then by line and column. */
export function sortProblems(
  problems: readonly Problem[],
  files: readonly string[],
): readonly Problem[] {
  const rank = (problem: Problem) => files.indexOf(problem.file)
  return [...problems].sort(
    (a, b) => rank(a) - rank(b) || a.line - b.line || a.column - b.column || compare(a, b),
  )
}

function compare(a: Problem, b: Problem): number {
  return a.message < b.message ? -1 : a.message > b.message ? 1 : 0
}

/** One problem as lines for a terminal: `file:line:column  message`, the offending line, the hint. */
export function formatProblem(problem: Problem): string {
  const lines = [`${problem.file}:${problem.line}:${problem.column}  ${problem.message}`]
  if (problem.excerpt !== '') lines.push(`    ${problem.excerpt}`)
  if (problem.hint !== undefined) lines.push(`    ${problem.hint}`)
  return lines.join('\n')
}

const MAX_EXCERPT = 120
const SECRET_KEY =
  /(["']?[\w-]*(?:password|passwd|secret|token|pwd|webhook)["']?\s*:\s*)(?![{[|>&*\s]|$)([^,}\n]+)/gi
const ENV_NAME = /^[A-Z_][A-Z0-9_]*$/

/**
 * A line fit to be printed: trimmed, cut, and without secrets. People do paste passwords into the wrong place,
 * and the error that tells them so goes to logs and chat.
 */
export function excerptOf(line: string): string {
  const safe = line
    .replace(SECRET_KEY, (whole, key: string, value: string) =>
      ENV_NAME.test(value.trim()) ? whole : `${key}•••`,
    )
    .replace(/(:\/\/[^\s/@:]*):[^\s@]*@/g, '$1:•••@')
    .replace(/(:\/\/hooks\.[^\s/]+\/)[^\s"',}]+/gi, '$1•••')
    .replace(/([?&]\w*(?:password|secret|token)=)[^&\s"']+/gi, '$1•••')
    .trim()
  return safe.length > MAX_EXCERPT ? `${safe.slice(0, MAX_EXCERPT - 1)}…` : safe
}

/** The valid key nearest to what was typed, if any is near enough to be what was meant. */
export function nearest(typed: string, valid: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(typed.length / 3)) + 1
  for (const candidate of valid) {
    const distance = editDistance(typed.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Edits from one word to another; two neighbouring letters swapped count as one. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min(
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (same ? 0 : 1),
      )
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1)
      }
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}
