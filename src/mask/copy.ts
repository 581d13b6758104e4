import { DbgateError } from '../errors.ts'
import { BackendTag, type Frame } from '../wire/index.ts'
import { Output } from './output.ts'
import type { MaskCounts } from './rows.ts'

const HEADER_BYTES = 5
const EMPTY = Buffer.alloc(0)

/** How COPY TO STDOUT writes rows: everything that PostgreSQL lets one choose, resolved. */
export type CopyFormat = {
  readonly format: 'text' | 'csv' | 'binary'
  readonly delimiter: string
  readonly quote: string
  readonly escape: string
  readonly null: string
  /** The first row says the columns' names. */
  readonly header: boolean
}

/** One format: where its rows end, and how they are masked. */
export type CopyRows = {
  /**
   * The offset behind the row that begins at `start`, or -1 if more bytes are needed. `resumeAt` is how far it was
   * looked at before, when it was not whole.
   */
  readonly endOf: (buf: Buffer, start: number, resumeAt: number, end: number) => number
  /** Appends a whole row, masked. Returns how many values were. */
  readonly mask: (buf: Buffer, start: number, end: number, output: Output) => number
  /** Throws PROTOCOL if more would have to come. */
  readonly finish: () => void
}

/**
 * Masks what COPY TO STDOUT sends. Rows may be cut across messages at any byte; what is given out are whole rows,
 * one message for each that made a row whole, as PostgreSQL sends them.
 */
export class CopyMasker {
  readonly #format: CopyRows
  readonly #output = new Output()
  /** The beginning of a row that is not whole yet, and the room it has. */
  #kept = EMPTY
  #keptBytes = 0
  /** How much of it was looked at. */
  #looked = 0
  #rows = 0
  #values = 0

  constructor(format: CopyRows) {
    this.#format = format
  }

  get counts(): MaskCounts {
    return { rows: this.#rows, values: this.#values }
  }

  /**
   * The CopyData message to send in place of this one, or of this piece of one; empty while no row is whole.
   *
   * Ownership: the bytes are the caller's and never written to again.
   * Throws: PROTOCOL (08P01) for what is no row of these columns. Nothing of it may go on then.
   */
  data(frame: Frame): Buffer {
    if (frame.tag !== BackendTag.CopyData) throw malformedCopy('no data')
    const isHead = frame.part === 'whole' || frame.part === 'head'
    const start = frame.start + (isHead ? HEADER_BYTES : 0)
    if (this.#keptBytes === 0) return this.#rowsOf(frame.buf, start, 0, frame.end)
    this.#keep(frame.buf, start, frame.end)
    const buf = this.#kept
    const end = this.#keptBytes
    this.#keptBytes = 0
    return this.#rowsOf(buf, 0, this.#looked, end)
  }

  /** The copy is over. Throws: PROTOCOL (08P01) if a row was not. */
  end(): Buffer {
    if (this.#keptBytes > 0) throw malformedCopy('ends within a row')
    this.#format.finish()
    return EMPTY
  }

  #rowsOf(buf: Buffer, start: number, looked: number, end: number): Buffer {
    const output = this.#output
    output.begin(end - start + HEADER_BYTES)
    output.byte(BackendTag.CopyData)
    output.int32(0)
    const before = this.#rows
    let at = start
    let resumeAt = start + looked
    while (at < end) {
      const behind = this.#format.endOf(buf, at, resumeAt, end)
      if (behind < 0) break
      this.#values += this.#format.mask(buf, at, behind, output)
      this.#rows += 1
      at = behind
      resumeAt = behind
    }
    if (at < end) {
      this.#looked = end - at
      this.#keptBytes = 0
      this.#keep(buf, at, end)
    }
    return this.#rows === before ? output.drop() : output.finishMessage()
  }

  #keep(buf: Buffer, start: number, end: number): void {
    const needed = this.#keptBytes + end - start
    if (needed > this.#kept.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * needed, 4096))
      this.#kept.copy(larger, 0, 0, this.#keptBytes)
      this.#kept = larger
    }
    buf.copy(this.#kept, this.#keptBytes, start, end)
    this.#keptBytes = needed
  }
}

/** What the upstream sends is no copy of these columns. */
export function malformedCopy(what: string): DbgateError {
  return new DbgateError('PROTOCOL', `malformed CopyData message: ${what}`)
}
