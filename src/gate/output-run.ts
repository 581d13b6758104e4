/** Bytes `buf[start..end)`. */
export type Range = { readonly buf: Buffer; readonly start: number; readonly end: number }

/**
 * Collects what goes to one socket and writes neighbouring ranges of one buffer in one piece: a read whose
 * messages all pass as they came leaves in one write, without a copy.
 */
export class OutputRun {
  readonly #write: (bytes: Buffer) => void
  #buf: Buffer | null = null
  #start = 0
  #end = 0

  constructor(write: (bytes: Buffer) => void) {
    this.#write = write
  }

  /** Adds a range; its buffer must stay as it is until `flush`. */
  pass(range: Range): void {
    if (range.buf === this.#buf && range.start === this.#end) {
      this.#end = range.end
      return
    }
    this.flush()
    this.#buf = range.buf
    this.#start = range.start
    this.#end = range.end
  }

  /** Adds bytes of our own. */
  own(bytes: Buffer): void {
    this.flush()
    this.#write(bytes)
  }

  /** Writes what is left. To be called before the frames' buffer is reused. */
  flush(): void {
    const buf = this.#buf
    this.#buf = null
    if (buf === null) return
    const isWhole = this.#start === 0 && this.#end === buf.length
    this.#write(isWhole ? buf : buf.subarray(this.#start, this.#end))
  }
}
