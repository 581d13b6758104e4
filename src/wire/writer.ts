import { DbgateError } from '../errors.ts'

/**
 * Builds one message. Strings are refused if they hold a NUL: the reader at the other end would take
 * what follows for the next field ("x\0user\0admin" in a startup packet logs in as admin).
 */
export class MessageWriter {
  readonly #parts: Buffer[] = []
  readonly #tag: number | undefined
  readonly #message: string
  #bytes = 0

  /** @param tag the tag byte, or undefined for the untagged packets of startup */
  constructor(message: string, tag?: number) {
    this.#message = message
    this.#tag = tag
  }

  byte(value: number): this {
    return this.raw(Buffer.from([value]))
  }

  int32(value: number): this {
    const bytes = Buffer.allocUnsafe(4)
    bytes.writeInt32BE(value | 0)
    return this.raw(bytes)
  }

  /** A NUL-terminated UTF-8 string; `field` names it in the error, which never shows the value. */
  cstring(value: string, field: string): this {
    if (value.includes('\0')) {
      throw new DbgateError('PROTOCOL', `${field} of ${this.#message} contains a NUL byte`)
    }
    return this.raw(Buffer.from(`${value}\0`, 'utf8'))
  }

  raw(bytes: Buffer): this {
    this.#parts.push(bytes)
    this.#bytes += bytes.length
    return this
  }

  /** The finished message, header included. */
  end(): Buffer {
    const header = Buffer.allocUnsafe(this.#tag === undefined ? 4 : 5)
    if (this.#tag !== undefined) header[0] = this.#tag
    header.writeInt32BE(this.#bytes + 4, header.length - 4)
    return Buffer.concat([header, ...this.#parts])
  }
}
