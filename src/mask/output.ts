/** A slab is handed on in ranges and forgotten when it is full; whoever writes its ranges keeps it alive. */
const SLAB_BYTES = 65_536
const FIRST_SLAB_BYTES = 4096

/**
 * Room for messages of our own, one after the other in the same memory, so that neighbours leave in one write and
 * a row costs no allocation.
 *
 * Invariant: bytes of a finished message are never written to again.
 */
export class Output {
  #slab: Buffer = Buffer.alloc(0)
  #next = 0
  /** Where the message begins that is being written, and what of it has been written. */
  #start = 0

  get buf(): Buffer {
    return this.#slab
  }

  /** Offset in `buf` of the message's first byte. */
  get start(): number {
    return this.#start
  }

  /** Offset in `buf` of the next byte to be written. */
  get at(): number {
    return this.#next
  }

  begin(bytes: number): void {
    this.#start = this.#next
    this.reserve(bytes)
  }

  /** Makes room for more bytes of the message; what was written of it moves along. */
  reserve(bytes: number): void {
    if (this.#slab.length - this.#next >= bytes) return
    const written = this.#next - this.#start
    const size = this.#slab.length === 0 ? FIRST_SLAB_BYTES : SLAB_BYTES
    const needed = written + bytes
    // A message that outgrows the slab has doubled room, or it would move for each of its cells.
    const slab = Buffer.allocUnsafe(needed <= size ? size : 2 * needed)
    this.#slab.copy(slab, 0, this.#start, this.#next)
    this.#slab = slab
    this.#start = 0
    this.#next = written
  }

  /** Appends `from[start..end)`. */
  copy(from: Buffer, start: number, end: number): void {
    if (end === start) return
    this.reserve(end - start)
    from.copy(this.#slab, this.#next, start, end)
    this.#next += end - start
  }

  byte(value: number): void {
    this.reserve(1)
    this.#slab[this.#next++] = value
  }

  int32(value: number): void {
    this.reserve(4)
    this.#next = this.#slab.writeInt32BE(value, this.#next)
  }

  /** Gives the message up that was begun. */
  drop(): Buffer {
    this.#next = this.#start
    return this.#slab.subarray(0, 0)
  }

  /** Writes the length of the message, which stands behind its tag. */
  finishMessage(): Buffer {
    this.#slab.writeInt32BE(this.#next - this.#start - 1, this.#start + 1)
    return this.#slab.subarray(this.#start, this.#next)
  }
}
