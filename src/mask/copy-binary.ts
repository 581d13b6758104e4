import type { CellMask } from './cell.ts'
import { type CopyRows, malformedCopy } from './copy.ts'
import { isSame } from './copy-text.ts'
import { maskCells } from './rows.ts'

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
/** The signature, flags, and the length of the header's extension. */
const HEADER_BYTES = SIGNATURE.length + 8
/** Bits that change what follows for everyone who does not know them. */
const CRITICAL_FLAGS = 0xffff0000
const TRAILER = -1

/**
 * Rows of COPY's binary format, each like the body of a DataRow; a header stands in front of the first, a count of
 * -1 behind the last.
 * Source: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
export function binaryRows(cells: readonly (CellMask | null)[]): CopyRows {
  let at: 'header' | 'rows' | 'done' = 'header'
  return {
    endOf: (buf, start, _resumeAt, end) => {
      if (at === 'header') return endOfHeader(buf, start, end)
      if (end - start < 2) return -1
      const count = buf.readInt16BE(start)
      if (at === 'done') throw malformedCopy('goes on behind its end')
      if (count === TRAILER) return start + 2
      if (count !== cells.length) throw malformedCopy('unexpected columns')
      return endOfValues(buf, start + 2, end, count)
    },
    mask: (buf, start, end, output) => {
      if (at === 'rows' && buf.readInt16BE(start) !== TRAILER) {
        return maskCells(cells, buf, start + 2, start, end, output)
      }
      at = at === 'header' ? 'rows' : 'done'
      output.copy(buf, start, end)
      return 0
    },
    finish: () => {
      if (at !== 'done') throw malformedCopy('has no end')
    },
  }
}

function endOfHeader(buf: Buffer, start: number, end: number): number {
  if (end - start < HEADER_BYTES) return -1
  if (!isSame(buf, start, start + SIGNATURE.length, SIGNATURE)) throw malformedCopy('no signature')
  if ((buf.readUInt32BE(start + SIGNATURE.length) & CRITICAL_FLAGS) !== 0) {
    throw malformedCopy('unknown flags')
  }
  const behind = start + HEADER_BYTES + buf.readUInt32BE(start + HEADER_BYTES - 4)
  return behind > end ? -1 : behind
}

function endOfValues(buf: Buffer, start: number, end: number, count: number): number {
  let at = start
  for (let left = count; left > 0; left--) {
    if (at + 4 > end) return -1
    const length = buf.readInt32BE(at)
    if (length < -1) throw malformedCopy('length of a value')
    at += 4 + Math.max(length, 0)
  }
  return at > end ? -1 : at
}
