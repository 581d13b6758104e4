import type { CellMask } from './cell.ts'
import { type CopyFormat, type CopyRows, malformedCopy } from './copy.ts'

const NEWLINE = 0x0a
const BACKSLASH = 0x5c
/** What a letter behind a backslash stands for, and the other way round. */
const UNESCAPED: ReadonlyMap<number, number> = new Map(
  [...'bfnrtv'].map((letter, index) => [letter.charCodeAt(0), '\b\f\n\r\t\v'.charCodeAt(index)]),
)
const ESCAPED: ReadonlyMap<number, number> = new Map([...UNESCAPED].map(([to, from]) => [from, to]))

/**
 * Rows of COPY's text format: a line each, values between delimiters, a backslash in front of what would mean
 * something else.
 * Source: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
export function textRows(cells: readonly (CellMask | null)[], format: CopyFormat): CopyRows {
  const delimiter = format.delimiter.charCodeAt(0)
  const nothing = Buffer.from(format.null, 'utf8')
  let isHeader = format.header
  return {
    endOf: (buf, _start, resumeAt, end) => {
      const newline = buf.indexOf(NEWLINE, resumeAt)
      return newline < 0 || newline >= end ? -1 : newline + 1
    },
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
        const behind = endOfValue(buf, at, end - 1, delimiter)
        const isLast = index === cells.length - 1
        if (isLast !== (behind === end - 1)) throw malformedCopy('unexpected columns')
        const replacement = isSame(buf, at, behind, nothing)
          ? undefined
          : replace(cells[index], buf, at, behind)
        if (replacement !== undefined) {
          const text = replacement === null ? nothing : withEscapes(replacement, delimiter)
          output.copy(buf, copied, at)
          output.copy(text, 0, text.length)
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

function endOfValue(buf: Buffer, start: number, end: number, delimiter: number): number {
  for (let at = start; at < end; at++) {
    if (buf[at] === delimiter) return at
    if (buf[at] === BACKSLASH) at += 1
  }
  return end
}

function replace(
  cell: CellMask | null | undefined,
  buf: Buffer,
  start: number,
  end: number,
): Buffer | null | undefined {
  if (cell === null || cell === undefined) return undefined
  const backslash = buf.indexOf(BACKSLASH, start)
  if (backslash < 0 || backslash >= end) return cell(buf, start, end)
  const value = withoutEscapes(buf, start, end)
  return cell(value, 0, value.length)
}

function withoutEscapes(buf: Buffer, start: number, end: number): Buffer {
  const value = Buffer.allocUnsafe(end - start)
  let length = 0
  for (let at = start; at < end; at++) {
    let byte = buf[at] ?? 0
    if (byte === BACKSLASH) {
      at += 1
      if (at === end) throw malformedCopy('backslash at the end of a value')
      byte = buf[at] ?? 0
      const control = UNESCAPED.get(byte)
      // PostgreSQL reads octal and hexadecimal escapes too, but never writes them.
      if (control === undefined && isAlphanumeric(byte)) throw malformedCopy('unknown escape')
      byte = control ?? byte
    }
    value[length++] = byte
  }
  return value.subarray(0, length)
}

function isAlphanumeric(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a)
}

function withEscapes(value: Buffer, delimiter: number): Buffer {
  const escaped = Buffer.allocUnsafe(2 * value.length)
  let length = 0
  for (const byte of value) {
    const letter = ESCAPED.get(byte)
    if (letter !== undefined || byte === BACKSLASH || byte === delimiter) {
      escaped[length++] = BACKSLASH
    }
    escaped[length++] = letter ?? byte
  }
  return escaped.subarray(0, length)
}

/** True if `buf[start..end)` are exactly these bytes. */
export function isSame(buf: Buffer, start: number, end: number, bytes: Buffer): boolean {
  return end - start === bytes.length && buf.compare(bytes, 0, bytes.length, start, end) === 0
}
