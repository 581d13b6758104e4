import type { Duplex } from 'node:stream'
import type { DbgateError } from '../errors.ts'
import type { Frame, FrameReader } from '../wire/index.ts'

/**
 * Reads one frame after the other from a socket that is not being relayed yet. At the end `release` hands
 * the reader on, with whatever was read beyond the last frame still inside.
 */
export class Conversation {
  readonly reader: FrameReader
  readonly #socket: Duplex
  readonly #lost: (cause?: unknown) => DbgateError
  #wake: (() => void) | null = null
  #failure: DbgateError | null = null

  /** @param lost makes the error for a socket that ends or fails in the middle */
  constructor(socket: Duplex, reader: FrameReader, lost: (cause?: unknown) => DbgateError) {
    this.reader = reader
    this.#socket = socket
    this.#lost = lost
    socket.on('data', this.#onChunk)
    socket.on('error', this.#onError)
    socket.on('close', this.#onEnd)
    socket.on('end', this.#onEnd)
    // Whoever had it before may have paused it, and a listener alone does not undo that.
    socket.resume()
  }

  /**
   * Returns the next frame. Ownership: valid until the next call.
   *
   * Throws: PROTOCOL (08P01), TOO_LARGE (54000); the error of `lost` when the socket ends; the reason of `fail`.
   */
  async next(): Promise<Frame> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure
      const frame = this.reader.next()
      if (frame !== null) return frame
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  /** Ends whoever waits in `next` with this error: a timeout, a shutdown. */
  fail(error: DbgateError): void {
    this.#failure ??= error
    this.#wake?.()
  }

  /** Stops listening and pauses the socket; the reader goes to whoever relays from now on. */
  release(): FrameReader {
    this.#socket.pause()
    this.#socket.off('data', this.#onChunk)
    this.#socket.off('error', this.#onError)
    this.#socket.off('close', this.#onEnd)
    this.#socket.off('end', this.#onEnd)
    return this.reader
  }

  readonly #onChunk = (chunk: Buffer): void => {
    this.reader.push(chunk)
    this.#wake?.()
  }

  readonly #onError = (cause: unknown): void => this.fail(this.#lost(cause))

  readonly #onEnd = (): void => this.fail(this.#lost())
}
