import { DbgateError } from '../errors.ts'

/** How much of a message a frame holds: all of it, or a piece of a message too long for one read. */
export type FramePart = 'whole' | 'head' | 'middle' | 'tail'

/**
 * One protocol message as bytes: `buf[start..end)` from its tag to its last byte.
 *
 * Ownership: the reader hands out one object again and again, pointing into the chunk that was read.
 * Both are valid until the next `next()` or `push()`; what must live longer is taken by `copyFrame`.
 * Pieces (`part` other than 'whole') occur only for tags that the reader was told to stream; the head
 * starts with the five-byte header, the others are body bytes only.
 */
export type Frame = {
  tag: number
  buf: Buffer
  start: number
  end: number
  part: FramePart
}

export type FrameReaderOptions = {
  /** The name of a tag, or undefined for a byte that no message starts with. */
  readonly nameOf: (tag: number) => string | undefined
  /** Largest message that is assembled in memory, header included, in bytes. */
  readonly maxFrameBytes: number
  /** Tags whose messages are handed on piece by piece when they do not fit the read. */
  readonly streamed: readonly number[]
}

const HEADER_BYTES = 5
const EMPTY = Buffer.alloc(0)

/**
 * Cuts a stream of bytes into frames, synchronously and without copying: a message that lies whole in
 * one chunk is a range of that chunk. Only a message split over reads is put together, once.
 *
 * Shape: tag 1 byte, length int32 big-endian that counts itself but not the tag.
 * Source: https://www.postgresql.org/docs/current/protocol-overview.html
 */
export class FrameReader {
  readonly #nameOf: (tag: number) => string | undefined
  readonly #maxFrameBytes: number
  readonly #streamed: Uint8Array
  readonly #frame: Frame = { tag: 0, buf: EMPTY, start: 0, end: 0, part: 'whole' }
  #chunk: Buffer = EMPTY
  #at = 0
  /** The beginning of a message whose end has not been read yet. */
  #partial: Buffer = EMPTY
  #partialBytes = 0
  /** Body bytes of a streamed message that are still to come. */
  #streamLeft = 0

  constructor(options: FrameReaderOptions) {
    this.#nameOf = options.nameOf
    this.#maxFrameBytes = options.maxFrameBytes
    this.#streamed = new Uint8Array(256)
    for (const tag of options.streamed) this.#streamed[tag] = 1
  }

  /** Bytes kept of a message that is not complete, in bytes. */
  get bufferedBytes(): number {
    return this.#partialBytes + (this.#chunk.length - this.#at)
  }

  /** True between messages: nothing begun is waiting for its end. */
  get isAtBoundary(): boolean {
    return this.#partialBytes === 0 && this.#streamLeft === 0 && this.#at === this.#chunk.length
  }

  /** Tells whether messages of this tag may come in pieces from now on; a message already begun is not affected. */
  stream(tag: number, enabled: boolean): void {
    this.#streamed[tag] = enabled ? 1 : 0
  }

  /**
   * Takes the next chunk. Every frame of the chunk before must have been taken with `next` until null.
   * Ownership: the chunk must not be written to until it has been read to its end.
   */
  push(chunk: Buffer): void {
    if (this.#at < this.#chunk.length) {
      // Frames were left behind on purpose (a held statement): they come first.
      chunk = Buffer.concat([this.#chunk.subarray(this.#at), chunk])
    }
    this.#chunk = chunk
    this.#at = 0
  }

  /**
   * Returns the next frame, or null when more bytes are needed.
   *
   * Throws: PROTOCOL (08P01) for an unknown tag or a length below 4; TOO_LARGE (54000) for a message over
   * the limit, before its body is buffered. The reader is unusable afterwards.
   */
  next(): Frame | null {
    if (this.#streamLeft > 0) return this.#continueStream()
    if (this.#partialBytes > 0) return this.#completePartial()
    const chunk = this.#chunk
    const start = this.#at
    const available = chunk.length - start
    if (available < HEADER_BYTES) return this.#keep(available)
    const tag = chunk[start] ?? 0
    const total = 1 + this.#lengthOf(chunk, start, tag)
    if (total <= available) {
      this.#at = start + total
      return this.#hand(tag, chunk, start, start + total, 'whole')
    }
    if (this.#streamed[tag] === 1) {
      this.#at = chunk.length
      this.#streamLeft = total - available
      return this.#hand(tag, chunk, start, chunk.length, 'head')
    }
    this.#refuseOversize(tag, total)
    return this.#keep(available)
  }

  #hand(tag: number, buf: Buffer, start: number, end: number, part: FramePart): Frame {
    const frame = this.#frame
    frame.tag = tag
    frame.buf = buf
    frame.start = start
    frame.end = end
    frame.part = part
    return frame
  }

  #continueStream(): Frame | null {
    const start = this.#at
    const available = this.#chunk.length - start
    if (available === 0) return null
    const end = start + Math.min(available, this.#streamLeft)
    this.#streamLeft -= end - start
    this.#at = end
    return this.#hand(
      this.#frame.tag,
      this.#chunk,
      start,
      end,
      this.#streamLeft === 0 ? 'tail' : 'middle',
    )
  }

  /** Sets the rest of the chunk aside until more arrives; copied, because the chunk belongs to its reader. */
  #keep(available: number): null {
    if (available > 0) this.#take(available)
    return null
  }

  #completePartial(): Frame | null {
    const available = this.#chunk.length - this.#at
    if (available === 0) return null
    if (this.#partialBytes < HEADER_BYTES) {
      this.#take(Math.min(HEADER_BYTES - this.#partialBytes, available))
      if (this.#partialBytes < HEADER_BYTES) return null
    }
    const tag = this.#partial[0] ?? 0
    const total = 1 + this.#lengthOf(this.#partial, 0, tag)
    if (this.#streamed[tag] === 1 && total > this.#partialBytes) {
      this.#streamLeft = total - this.#partialBytes
      return this.#handPartial(tag, 'head')
    }
    this.#refuseOversize(tag, total)
    this.#take(Math.min(total - this.#partialBytes, this.#chunk.length - this.#at))
    return this.#partialBytes < total ? null : this.#handPartial(tag, 'whole')
  }

  /**
   * Moves bytes from the chunk into the partial message. The room doubles as bytes really arrive: a
   * header that only claims a large body costs nothing, and neither does one byte a packet.
   */
  #take(bytes: number): void {
    const needed = this.#partialBytes + bytes
    if (needed > this.#partial.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#partial.length))
      this.#partial.copy(larger, 0, 0, this.#partialBytes)
      this.#partial = larger
    }
    this.#chunk.copy(this.#partial, this.#partialBytes, this.#at, this.#at + bytes)
    this.#partialBytes = needed
    this.#at += bytes
  }

  #handPartial(tag: number, part: FramePart): Frame {
    const buf = this.#partial
    const end = this.#partialBytes
    this.#partial = EMPTY
    this.#partialBytes = 0
    return this.#hand(tag, buf, 0, end, part)
  }

  #lengthOf(buf: Buffer, start: number, tag: number): number {
    const name = this.#nameOf(tag)
    if (name === undefined) {
      throw new DbgateError('PROTOCOL', `invalid message type ${tag}`)
    }
    const length = buf.readInt32BE(start + 1)
    if (length < 4) throw new DbgateError('PROTOCOL', `invalid length ${length} of ${name} message`)
    return length
  }

  #refuseOversize(tag: number, total: number): void {
    if (total <= this.#maxFrameBytes) return
    throw new DbgateError(
      'TOO_LARGE',
      `${this.#nameOf(tag)} message of ${total} bytes exceeds the limit of ${this.#maxFrameBytes} bytes`,
    )
  }
}

/** The frame's bytes as a buffer of their own, for what must outlive the next read. */
export function copyFrame(frame: Frame): Buffer {
  return Buffer.from(frame.buf.subarray(frame.start, frame.end))
}
