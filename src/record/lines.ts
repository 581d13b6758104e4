import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import { DbgateError } from '../errors.ts'
import { LEAD_BYTES, MAX_LINE_BYTES } from './format.ts'

const CHUNK_BYTES = 256 * 1024
const NEWLINE = 10

/**
 * Walks the lines of a segment in constant memory: `advance` steps to the next line in the buffer, `fill`
 * reads more of the file. After `fill` returned false, `rest` bytes without a newline are left.
 *
 * Ownership: the line is `buf` from `start` to `end` (its newline excluded), valid until the next `fill`.
 */
export class LineReader {
  buf: Buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  start = 0
  end = -1
  /** Offset of the line in the file. */
  offset: number
  readonly #file: FileHandle
  readonly #path: string
  #filled = 0

  private constructor(file: FileHandle, path: string, offset: number) {
    this.#file = file
    this.#path = path
    this.offset = offset
  }

  static async open(path: string, offset = 0): Promise<LineReader> {
    return new LineReader(await open(path, 'r'), path, offset)
  }

  /** Steps to the next whole line in the buffer; false when more of the file is needed. */
  advance(): boolean {
    const next = this.end + 1
    const newline = this.buf.subarray(0, this.#filled).indexOf(NEWLINE, next)
    this.offset += next - this.start
    this.start = next
    if (newline === -1) {
      // The next call has to look at the same place again, with more bytes.
      this.end = next - 1
      return false
    }
    this.end = newline
    return true
  }

  /**
   * Reads on from the first byte that is not yet in a whole line; false at the end of the file.
   * An unfinished line is read again from its start rather than continued: a writer that failed half-way
   * cuts it off and writes another one in its place.
   *
   * Throws: INTEGRITY (XX001) a line longer than any writer leaves.
   */
  async fill(): Promise<boolean> {
    const had = this.rest
    if (had === this.buf.length) {
      if (had >= MAX_LINE_BYTES) {
        throw new DbgateError(
          'INTEGRITY',
          `line at byte ${this.offset} of ${this.#path} is too long`,
        )
      }
      this.buf = Buffer.allocUnsafe(this.buf.length * 2)
    }
    const { bytesRead } = await this.#file.read(this.buf, 0, this.buf.length, this.offset)
    this.start = 0
    this.end = -1
    this.#filled = bytesRead
    return bytesRead > had || this.buf.subarray(0, bytesRead).includes(NEWLINE)
  }

  /** Bytes in the buffer after the last whole line. */
  get rest(): number {
    return this.#filled - this.end - 1
  }

  /** A copy of those bytes. */
  copyRest(): Buffer {
    return Buffer.from(this.buf.subarray(this.end + 1, this.#filled))
  }

  /** The hash a line states, or undefined where the line cannot be one of ours. */
  statedHash(): string | undefined {
    if (this.end - this.start <= LEAD_BYTES || this.buf[this.start + 64] !== 0x20) return undefined
    const hex = this.buf.toString('latin1', this.start, this.start + 64)
    return /^[0-9a-f]{64}$/.test(hex) ? hex : undefined
  }

  /** The line's JSON text. */
  json(): string {
    return this.buf.toString('utf8', this.start + LEAD_BYTES, this.end)
  }

  /** The first bytes of the line's JSON, enough for its number, time and type. */
  jsonHead(): string {
    const from = this.start + LEAD_BYTES
    return this.buf.toString('latin1', from, Math.min(this.end, from + 120))
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}
