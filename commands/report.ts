import { asDbgateError, DbgateError } from '../src/errors.ts'
import { type Terminal, visible } from '../src/terminal.ts'

/**
 * How a command says that it failed: four lines at most on stderr, or one JSON object on stdout. What
 * happened; why; what to type; the code, which is a contract.
 */

/** Codes that a second try may cure without anybody doing anything. */
const RETRYABLE: ReadonlySet<string> = new Set(['STARTING', 'DRAINING', 'TOO_MANY', 'UNREACHABLE'])
const MIN_WIDTH = 40

/** Prints the error and returns the exit code. `exit` replaces the table's, as for a child that never started. */
export function reportError(
  terminal: Terminal,
  thrown: unknown,
  options: {
    readonly isJson: boolean
    readonly isVerbose?: boolean
    readonly exit?: number | undefined
  },
): number {
  const error = asDbgateError(thrown)
  const exit = options.exit ?? error.exitCode
  if (options.isJson) {
    terminal.out(JSON.stringify({ v: 1, ok: false, error: errorBody(error, exit) }))
    return exit
  }
  const { marks, paint } = terminal
  terminal.say(`${paint.red(marks.no)} ${visible(error.message)}`)
  // A configuration's problems are a list of their own; every other detail is one sentence.
  for (const line of (error.detail ?? error.hint ?? '').split('\n')) {
    for (const part of wrap(visible(line), terminal.columns - 2)) terminal.say(`  ${part}`)
  }
  for (const next of error.next) terminal.say(`  ${marks.next} ${visible(next)}`)
  if (options.isVerbose === true) {
    for (const cause of causesOf(error)) terminal.say(`  because: ${visible(cause)}`)
  }
  terminal.say(paint.dim(`  ${error.code.toLowerCase()} ${marks.dot} exit ${exit}`))
  return exit
}

/** What led to an error, nearest first: messages only, never a stack. */
function causesOf(error: Error): readonly string[] {
  const { cause } = error
  if (!(cause instanceof Error)) return []
  return [cause.message, ...causesOf(cause)]
}

function errorBody(error: DbgateError, exit: number): object {
  return {
    code: error.code.toLowerCase(),
    message: error.message,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    next: error.next,
    exit,
    retryable: RETRYABLE.has(error.code),
  }
}

/** Breaks text at spaces into lines of at most `width` columns; a longer word stays whole. */
export function wrap(text: string, width: number): readonly string[] {
  const room = Math.max(MIN_WIDTH, width)
  if (text === '' || text.length <= room) return text === '' ? [] : [text]
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

/** The name of `known` that was most likely meant, if one is near. */
export function nearest(given: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map(name => ({ name, distance: editDistance(given, name) }))
    .toSorted((left, right) => left.distance - right.distance)
  const best = ranked[0]
  if (best === undefined) return undefined
  return best.distance <= Math.max(1, Math.floor(best.name.length / 3)) ? best.name : undefined
}

/** Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours. */
function editDistance(left: string, right: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= right.length; column += 1) {
      const cost = left[row - 1] === right[column - 1] ? 0 : 1
      const isSwap = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]
      current[column] = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + cost,
        isSwap && row > 1 && column > 1 ? (beforeLast[column - 2] ?? 0) + 1 : Number.MAX_VALUE,
      )
    }
    beforeLast = last
    last = current
  }
  return last[right.length] ?? 0
}

/** A usage error with the help page to read. */
export function usage(message: string, command: string, detail?: string): DbgateError {
  return new DbgateError('USAGE', message, {
    ...(detail === undefined ? {} : { detail }),
    next: [`dbgate ${command} --help`.replace('  ', ' ')],
  })
}
