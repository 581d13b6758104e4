import { DbgateError } from '../errors.ts'
import { type Frame, HEADER_BYTES } from './frames.ts'

const EMPTY = Buffer.alloc(0)

/**
 * Reads fields of one message body: never past its end, and `finish` refuses what is left over, so that
 * two readers of the same bytes can't disagree on what they say.
 *
 * Throws: PROTOCOL (08P01) from every method, naming the message.
 */
export class BodyReader {
  readonly #buf: Buffer
  readonly #end: number
  readonly #message: string
  #at: number

  constructor(buf: Buffer, start: number, end: number, message: string) {
    this.#buf = buf
    this.#at = start
    this.#end = end
    this.#message = message
  }

  /** The offset in the buffer of the next unread byte. */
  get offset(): number {
    return this.#at
  }

  get remaining(): number {
    return this.#end - this.#at
  }

  byte(): number {
    return this.#buf[this.#advance(1)] ?? 0
  }

  int16(): number {
    return this.#buf.readInt16BE(this.#advance(2))
  }

  int32(): number {
    return this.#buf.readInt32BE(this.#advance(4))
  }

  uint32(): number {
    return this.#buf.readUInt32BE(this.#advance(4))
  }

  /** The bytes of a NUL-terminated string, without the NUL. Ownership: a view into the message. */
  cstringBytes(): Buffer {
    if (this.#at < this.#end && this.#buf[this.#at] === 0) {
      this.#at += 1
      return EMPTY
    }
    const nul = this.#buf.indexOf(0, this.#at)
    // A NUL beyond the end belongs to another message.
    if (nul < 0 || nul >= this.#end) throw this.#violation('unterminated string')
    const bytes = this.#buf.subarray(this.#at, nul)
    this.#at = nul + 1
    return bytes
  }

  /** A NUL-terminated string decoded as UTF-8. */
  cstring(): string {
    return this.cstringBytes().toString('utf8')
  }

  /** The next `length` bytes. Ownership: a view into the message. */
  bytes(length: number): Buffer {
    const from = this.#advance(length)
    return this.#buf.subarray(from, from + length)
  }

  /** A count that says how many items of at least `itemBytes` follow; a lie is refused before anything is allocated. */
  count(itemBytes: number): number {
    const count = this.int16() & 0xffff
    if (count * itemBytes > this.remaining)
      throw this.#violation(`count ${count} exceeds the message`)
    return count
  }

  /** Items that follow a count of their own, each of at least `itemBytes`. */
  list<Item>(itemBytes: number, read: () => Item): Item[] {
    const items: Item[] = []
    for (let left = this.count(itemBytes); left > 0; left--) items.push(read())
    return items
  }

  finish(): void {
    if (this.#at !== this.#end) throw this.#violation(`${this.#end - this.#at} trailing bytes`)
  }

  #advance(bytes: number): number {
    const from = this.#at
    if (bytes < 0 || from + bytes > this.#end)
      throw this.#violation('insufficient data left in message')
    this.#at = from + bytes
    return from
  }

  #violation(what: string): DbgateError {
    return new DbgateError('PROTOCOL', `malformed ${this.#message} message: ${what}`)
  }
}

/**
 * The body of a whole frame. A piece of a message says nothing by itself: decoding one is a bug of ours.
 *
 * Throws: INTERNAL (XX000) for a piece.
 */
export function bodyOf(frame: Frame, message: string): BodyReader {
  if (frame.part !== 'whole') {
    throw new DbgateError('INTERNAL', `${frame.part} of a ${message} message cannot be decoded`)
  }
  return new BodyReader(frame.buf, frame.start + HEADER_BYTES, frame.end, message)
}
