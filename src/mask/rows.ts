import { DbgateError } from '../errors.ts'
import { BackendTag, type Frame } from '../wire/index.ts'
import type { CellMask } from './cell.ts'
import { Output } from './output.ts'

const HEADER_BYTES = 5

/** What was masked so far. A NULL stays NULL and is not counted. */
export type MaskCounts = { readonly rows: number; readonly values: number }

/**
 * Masks cells of rows. One pass: what stands between two masked cells is copied as it is, nothing is decoded.
 *
 * Shape: DataRow is a count int16, then for each column a length int32, -1 for NULL, and that many bytes.
 */
export class RowMasker {
  readonly #cells: readonly (CellMask | null)[]
  readonly #output = new Output()
  #rows = 0
  #values = 0

  /** @param cells one for each column; null where it is shown */
  constructor(cells: readonly (CellMask | null)[]) {
    this.#cells = cells
  }

  get counts(): MaskCounts {
    return { rows: this.#rows, values: this.#values }
  }

  /**
   * One whole DataRow message with its cells masked.
   *
   * Ownership: the bytes are the caller's and never written to again.
   * Throws: PROTOCOL (08P01) for a row that has not these columns or does not end where it says; INTERNAL
   * (XX000) for a piece of a row. Nothing of it may go on then.
   */
  mask(frame: Frame): Buffer {
    if (frame.part !== 'whole') throw new DbgateError('INTERNAL', 'row to be masked in pieces')
    if (frame.tag !== BackendTag.DataRow || frame.end - frame.start < HEADER_BYTES + 2) {
      throw malformed('no row')
    }
    const { buf } = frame
    let at = frame.start + HEADER_BYTES
    if (buf.readUInt16BE(at) !== this.#cells.length) throw malformed('unexpected columns')
    at += 2
    const output = this.#output
    output.begin(frame.end - frame.start)
    this.#values += maskCells(this.#cells, buf, at, frame.start, frame.end, output)
    this.#rows += 1
    return output.finishMessage()
  }
}

/**
 * Copies `buf[from..end)` to the output with cells masked that begin at `at`, in the shape of DataRow. Returns how
 * many were masked.
 */
export function maskCells(
  cells: readonly (CellMask | null)[],
  buf: Buffer,
  at: number,
  from: number,
  end: number,
  output: Output,
): number {
  let copied = from
  let masked = 0
  for (let index = 0; index < cells.length; index++) {
    if (at + 4 > end) throw malformed('too short')
    const length = buf.readInt32BE(at)
    if (length === -1) {
      at += 4
      continue
    }
    const value = at + 4
    const next = value + length
    if (length < 0 || next > end) throw malformed('length of a value')
    const replacement = cells[index]?.(buf, value, next)
    if (replacement !== undefined) {
      output.copy(buf, copied, at)
      output.int32(replacement === null ? -1 : replacement.length)
      if (replacement !== null) output.copy(replacement, 0, replacement.length)
      copied = next
      masked += 1
    }
    at = next
  }
  if (at !== end) throw malformed('trailing bytes')
  output.copy(buf, copied, end)
  return masked
}

function malformed(what: string): DbgateError {
  return new DbgateError('PROTOCOL', `malformed DataRow message: ${what}`)
}
