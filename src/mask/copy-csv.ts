import type { CellMask } from './cell.ts'
import { type CopyFormat, type CopyRows, malformedCopy } from './copy.ts'
import { isSame } from './copy-text.ts'

const NEWLINE = 0x0a
const RETURN = 0x0d

/** The bytes that mean something. */
type Marks = {
  readonly delimiter: number
  readonly quote: number
  readonly escapeBy: number
  readonly nothing: Buffer
}

/**
 * Rows of COPY's CSV format: values may stand in quotes, and only there may they hold delimiters, quotes and line
 * ends. What stands unquoted for NULL is NULL.
 */
export function csvRows(cells: readonly (CellMask | null)[], format: CopyFormat): CopyRows {
  const marks: Marks = {
    delimiter: format.delimiter.charCodeAt(0),
    quote: format.quote.charCodeAt(0),
    escapeBy: format.escape.charCodeAt(0),
    nothing: Buffer.from(format.null, 'utf8'),
  }
  const lines = lineEnds(marks)
  let isHeader = format.header
  return {
    endOf: lines,
    mask: (buf, start, end, output) => {
      if (isHeader) {
        isHeader = false
        output.copy(buf, start, end)
        return 0
      }
      let at = start
      let copied = start
      let masked = 0
      for (let index = 0; index < cells.length; index++) {
        const behind = endOfValue(buf, at, end - 1, marks)
        const isLast = index === cells.length - 1
        if (isLast !== (behind === end - 1)) throw malformedCopy('unexpected columns')
        const replacement = replace(cells[index], buf, at, behind, marks)
        if (replacement !== undefined) {
          output.copy(buf, copied, at)
          output.copy(replacement, 0, replacement.length)
          copied = behind
          masked += 1
        }
        at = behind + 1
      }
      if (cells.length === 0 && end - start > 1) throw malformedCopy('unexpected columns')
      output.copy(buf, copied, end)
      return masked
    },
    finish: () => {},
  }
}

/** Finds line ends outside quotes; remembers whether a row that is not whole stopped within them. */
function lineEnds({ quote, escapeBy }: Marks): CopyRows['endOf'] {
  let isQuoted = false
  let isEscaped = false
  return (buf, _start, resumeAt, end) => {
    for (let at = resumeAt; at < end; at++) {
      const byte = buf[at]
      if (isEscaped) isEscaped = false
      else if (isQuoted && escapeBy !== quote && byte === escapeBy) isEscaped = true
      else if (byte === quote) isQuoted = !isQuoted
      else if (byte === NEWLINE && !isQuoted) return at + 1
    }
    return -1
  }
}

/** Quotes stand around a whole value or nowhere: anything else would leave open where the value ends. */
function endOfValue(buf: Buffer, start: number, end: number, marks: Marks): number {
  const { delimiter, quote, escapeBy } = marks
  let at = start
  if (buf[at] !== quote || at === end) {
    for (; at < end && buf[at] !== delimiter; at++) {
      if (buf[at] === quote) throw malformedCopy('quote within a value')
    }
    return at
  }
  for (at += 1; at < end; at++) {
    if (escapeBy !== quote && buf[at] === escapeBy) at += 1
    else if (buf[at] === quote) {
      if (escapeBy !== quote || buf[at + 1] !== quote) break
      at += 1
    }
  }
  if (at >= end || (at + 1 < end && buf[at + 1] !== delimiter)) throw malformedCopy('open quote')
  return at + 1
}

function replace(
  cell: CellMask | null | undefined,
  buf: Buffer,
  start: number,
  end: number,
  marks: Marks,
): Buffer | undefined {
  if (cell === null || cell === undefined) return undefined
  const isQuoted = start < end && buf[start] === marks.quote
  if (!isQuoted && isSame(buf, start, end, marks.nothing)) return undefined
  const value = isQuoted ? unquote(buf, start + 1, end - 1, marks) : null
  const replacement = value === null ? cell(buf, start, end) : cell(value, 0, value.length)
  if (replacement === undefined) return undefined
  if (replacement === null) return marks.nothing
  return isQuoted || mustBeQuoted(replacement, marks) ? quote(replacement, marks) : replacement
}

function unquote(buf: Buffer, start: number, end: number, marks: Marks): Buffer {
  const value = Buffer.allocUnsafe(end - start)
  let length = 0
  for (let at = start; at < end; at++) {
    const isEscape = buf[at] === marks.escapeBy && at + 1 < end
    if (isEscape && (buf[at + 1] === marks.quote || buf[at + 1] === marks.escapeBy)) at += 1
    value[length++] = buf[at] ?? 0
  }
  return value.subarray(0, length)
}

function mustBeQuoted(value: Buffer, { delimiter, quote, nothing }: Marks): boolean {
  if (isSame(value, 0, value.length, nothing)) return true
  return value.some(
    byte => byte === delimiter || byte === quote || byte === NEWLINE || byte === RETURN,
  )
}

function quote(value: Buffer, { quote, escapeBy }: Marks): Buffer {
  const quoted = Buffer.allocUnsafe(2 * value.length + 2)
  let length = 0
  quoted[length++] = quote
  for (const byte of value) {
    if (byte === quote || byte === escapeBy) quoted[length++] = escapeBy
    quoted[length++] = byte
  }
  quoted[length++] = quote
  return quoted.subarray(0, length)
}
