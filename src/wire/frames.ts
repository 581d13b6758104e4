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
  readonly tag: number
  readonly buf: Buffer
  readonly start: number
  readonly end: number
  readonly part: FramePart
}

export type FrameReaderOptions = {
  /** The name of a tag, or undefined for a byte that no message starts with. */
  readonly nameOf: (tag: number) => string | undefined
  /** Largest message of a tag that is not streamed, header included, in bytes. */
  readonly maxFrameBytes: number
  /** Tags whose messages are handed on piece by piece when they do not fit the read. */
  readonly streamed: readonly number[]
}

/** The tag and the length of every message after startup. */
export const HEADER_BYTES = 5
const EMPTY = Buffer.alloc(0)
/** Room for a message that began in one read and most likely ends in the next. */
const PARTIAL_BYTES = 4096

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
  readonly #streamed = new Uint8Array(256)
  readonly #frame: { -readonly [key in keyof Frame]: Frame[key] } = {
    tag: 0,
    buf: EMPTY,
    start: 0,
    end: 0,
    part: 'whole',
  }
  #chunk: Buffer = EMPTY
  #at = 0
  /** The beginning of a message whose end has not been read yet. */
  #partial: Buffer = EMPTY
  #partialBytes = 0
  /** Length of that message, header included; 0 while its header is not complete. */
  #partialTotal = 0
  /** Body bytes of a streamed message that are still to come, and its tag. */
  #streamLeft = 0
  #streamTag = 0

  constructor(options: FrameReaderOptions) {
    this.#nameOf = options.nameOf
    this.#maxFrameBytes = options.maxFrameBytes
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

  /**
   * Tells whether messages of this tag may come in pieces from now on. A message whose header has been
   * read goes on as it began.
   */
  stream(tag: number, enabled: boolean): void {
    this.#streamed[tag] = enabled ? 1 : 0
  }

  /**
   * Takes the next chunk. Frames of the chunk before that were not taken yet come first.
   * Ownership: the chunk must not be written to until `next` has returned null.
   */
  push(chunk: Buffer): void {
    if (this.#at < this.#chunk.length) {
      // Frames were left behind on purpose (a held statement).
      chunk = Buffer.concat([this.#chunk.subarray(this.#at), chunk])
    }
    this.#chunk = chunk
    this.#at = 0
  }

  /**
   * Returns the next frame, or null when more bytes are needed.
   *
   * Throws: PROTOCOL (08P01) for an unknown tag or a length below 4; TOO_LARGE (54000) for a message over
   * the limit, before its body is buffered. The reader is unusable afterwards: it throws the same again.
   */
  next(): Frame | null {
    if (this.#streamLeft > 0) return this.#continueStream()
    if (this.#partialBytes > 0) return this.#completePartial()
    const chunk = this.#chunk
    const start = this.#at
    const available = chunk.length - start
    if (available < HEADER_BYTES) return this.#beginPartial(available, 0)
    const tag = chunk[start] ?? 0
    const total = this.#totalOf(chunk, start)
    if (total <= available) {
      this.#at = start + total
      return this.#hand(tag, chunk, start, start + total, 'whole')
    }
    if (this.#streamed[tag] !== 1) return this.#beginPartial(available, total)
    this.#at = chunk.length
    this.#streamTag = tag
    this.#streamLeft = total - available
    return this.#hand(tag, chunk, start, chunk.length, 'head')
  }

  /**
   * Takes out what has not been handed out yet, for another reader to go on with. Ownership: a copy.
   *
   * Throws: INTERNAL (XX000) in the middle of a message in pieces, whose body another reader would take
   * for the header of the next.
   */
  takeRest(): Buffer {
    if (this.#streamLeft > 0) throw new DbgateError('INTERNAL', 'rest of a message in pieces')
    const rest = Buffer.concat([
      this.#partial.subarray(0, this.#partialBytes),
      this.#chunk.subarray(this.#at),
    ])
    this.#partialBytes = 0
    this.#partialTotal = 0
    this.#chunk = EMPTY
    this.#at = 0
    return rest
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

  /** The chunk has been read to its end: nothing of it is kept, an idle session holds no read buffer. */
  #exhausted(): null {
    this.#chunk = EMPTY
    this.#at = 0
    this.#frame.buf = EMPTY
    return null
  }

  #continueStream(): Frame | null {
    const start = this.#at
    const end = Math.min(this.#chunk.length, start + this.#streamLeft)
    if (end === start) return this.#exhausted()
    this.#streamLeft -= end - start
    this.#at = end
    const part = this.#streamLeft === 0 ? 'tail' : 'middle'
    return this.#hand(this.#streamTag, this.#chunk, start, end, part)
  }

  /** Sets the rest of the chunk aside until more arrives; copied, because the chunk belongs to its reader. */
  #beginPartial(available: number, total: number): null {
    if (available > 0) {
      // One byte is enough to tell that this is no PostgreSQL.
      if (total === 0) this.#refuseUnknown(this.#chunk[this.#at] ?? 0)
      this.#partialTotal = total
      this.#take(available)
    }
    return this.#exhausted()
  }

  #completePartial(): Frame | null {
    if (this.#partialTotal === 0) {
      this.#take(Math.min(HEADER_BYTES - this.#partialBytes, this.#chunk.length - this.#at))
      if (this.#partialBytes < HEADER_BYTES) return this.#exhausted()
      const total = this.#totalOf(this.#partial, 0)
      const tag = this.#partial[0] ?? 0
      if (total > HEADER_BYTES && this.#streamed[tag] === 1) {
        this.#streamTag = tag
        this.#streamLeft = total - HEADER_BYTES
        return this.#handPartial('head')
      }
      this.#partialTotal = total
    }
    const missing = this.#partialTotal - this.#partialBytes
    this.#take(Math.min(missing, this.#chunk.length - this.#at))
    return this.#partialBytes < this.#partialTotal ? this.#exhausted() : this.#handPartial('whole')
  }

  /**
   * Moves bytes from the chunk into the partial message. The room doubles as bytes really arrive: a
   * header that only claims a large body costs nothing, and neither does one byte a packet.
   */
  #take(bytes: number): void {
    const needed = this.#partialBytes + bytes
    if (needed > this.#partial.length) {
      const room = Math.min(this.#partialTotal || HEADER_BYTES, Math.max(2 * needed, PARTIAL_BYTES))
      const larger = Buffer.allocUnsafe(room)
      this.#partial.copy(larger, 0, 0, this.#partialBytes)
      this.#partial = larger
    }
    this.#chunk.copy(this.#partial, this.#partialBytes, this.#at, this.#at + bytes)
    this.#partialBytes = needed
    this.#at += bytes
  }

  #handPartial(part: FramePart): Frame {
    const buf = this.#partial
    const end = this.#partialBytes
    this.#partial = EMPTY
    this.#partialBytes = 0
    this.#partialTotal = 0
    return this.#hand(buf[0] ?? 0, buf, 0, end, part)
  }

  /** The length of the message that starts here, header included: checked before a byte of its body is kept. */
  #totalOf(buf: Buffer, start: number): number {
    const tag = buf[start] ?? 0
    this.#refuseUnknown(tag)
    const length = buf.readInt32BE(start + 1)
    if (length < 4) {
      throw new DbgateError('PROTOCOL', `invalid length ${length} of ${this.#nameOf(tag)} message`)
    }
    const total = 1 + length
    // Also when it lies whole in the chunk: what is refused must not depend on how the bytes arrived.
    if (total > this.#maxFrameBytes && this.#streamed[tag] !== 1) {
      throw new DbgateError(
        'TOO_LARGE',
        `${this.#nameOf(tag)} message of ${total} bytes exceeds the limit of ${this.#maxFrameBytes} bytes`,
      )
    }
    return total
  }

  #refuseUnknown(tag: number): void {
    if (this.#nameOf(tag) !== undefined) return
    throw new DbgateError('PROTOCOL', `invalid message type ${tag}`)
  }
}

/** The frame's bytes as a buffer of their own, for what must outlive the next read. */
export function copyFrame(frame: Frame): Buffer {
  return Buffer.from(frame.buf.subarray(frame.start, frame.end))
}
