import { chainHashInPlace, LEAD_BYTES } from './format.ts'

const START_BYTES = 64 * 1024
const KEEP_BYTES = 1024 * 1024

/**
 * Makes lines of record texts and chains them, in one buffer that is used again for each commit.
 *
 * A record's text comes without its number, which is only known when it is written: `"t":…}`.
 */
export class Sealer {
  bytes: Buffer = Buffer.allocUnsafeSlow(START_BYTES)
  length = 0
  readonly #ends: number[] = []

  /** Forgets the lines of the last commit. */
  reset(): void {
    this.length = 0
    this.#ends.length = 0
    if (this.bytes.length > KEEP_BYTES) this.bytes = Buffer.allocUnsafeSlow(START_BYTES)
  }

  /** Appends one record's line and returns its hash. */
  add(n: number, text: string, previous: string): string {
    const head = `{"n":${n},`
    this.#reserve(head.length + text.length, text)
    const start = this.length
    let end = start + LEAD_BYTES
    end += this.bytes.write(head, end, 'latin1')
    end += this.bytes.write(text, end, 'utf8')
    const sha256 = chainHashInPlace(previous, this.bytes, start, end)
    this.bytes.write(sha256, start, 'latin1')
    this.bytes[start + 64] = 0x20
    this.bytes[end] = 0x0a
    this.length = end + 1
    this.#ends.push(this.length)
    return sha256
  }

  /** How many lines are whole within the first `written` bytes. */
  wholeLines(written: number): number {
    let lines = 0
    while (lines < this.#ends.length && (this.#ends[lines] ?? 0) <= written) lines++
    return lines
  }

  /** Where line number `lines` ends; 0 for none. */
  endOf(lines: number): number {
    return lines === 0 ? 0 : (this.#ends[lines - 1] ?? 0)
  }

  /** The hash of line number `lines` (counting from 1). */
  hashOf(lines: number): string {
    const start = this.endOf(lines - 1)
    return this.bytes.toString('latin1', start, start + 64)
  }

  /** Three bytes a UTF-16 unit is the most UTF-8 needs; counting exactly pays only for large texts. */
  #reserve(chars: number, text: string): void {
    const room = this.bytes.length - this.length - LEAD_BYTES - 1
    if (chars * 3 <= room) return
    const need = this.length + LEAD_BYTES + 1 + 32 + Buffer.byteLength(text)
    if (need <= this.bytes.length) return
    const bytes = Buffer.allocUnsafeSlow(Math.max(need, this.bytes.length * 2))
    this.bytes.copy(bytes, 0, 0, this.length)
    this.bytes = bytes
  }
}
