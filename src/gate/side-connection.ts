import { DbgateError } from '../errors.ts'
import {
  BackendTag,
  BodyReader,
  decodeErrorFields,
  encodeQuery,
  encodeTerminate,
  type Frame,
} from '../wire/index.ts'
import { Conversation } from './conversation.ts'
import type { Upstream } from './upstream.ts'

const HEADER_BYTES = 5

/**
 * A connection of the gate's own beside the sessions, for what it must know of the database. One query at
 * a time; nothing of a person's ever runs here.
 */
export class SideConnection {
  readonly #upstream: Upstream
  readonly #conversation: Conversation
  #isOpen = true

  constructor(upstream: Upstream) {
    this.#upstream = upstream
    this.#conversation = new Conversation(upstream.socket, upstream.reader, cause => {
      this.#isOpen = false
      return new DbgateError('UPSTREAM', 'the connection for the catalog was lost', { cause })
    })
    // Rows are read whole here, however many reads one takes.
    upstream.reader.stream(BackendTag.DataRow, false)
    upstream.socket.resume()
  }

  /** False once the connection is lost; it does not come back. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /**
   * Runs one statement and returns the first column of each row as text, null for SQL NULL.
   *
   * Throws: UPSTREAM (08006) when the connection is lost, the statement fails or it takes longer than
   * `timeoutMs`; the connection is closed then.
   */
  async query(sql: string, timeoutMs: number): Promise<readonly (string | null)[]> {
    const late = new DbgateError(
      'UPSTREAM',
      'the database did not answer the catalog query in time',
    )
    const timer = setTimeout(() => this.#conversation.fail(late), timeoutMs)
    try {
      this.#upstream.socket.write(encodeQuery(sql))
      return await this.#rows()
    } catch (cause) {
      this.close()
      throw cause
    } finally {
      clearTimeout(timer)
    }
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#upstream.socket.on('error', () => undefined)
    this.#upstream.socket.end(encodeTerminate())
    this.#upstream.socket.destroySoon()
  }

  async #rows(): Promise<readonly (string | null)[]> {
    const rows: (string | null)[] = []
    for (;;) {
      const frame = await this.#conversation.next()
      if (frame.tag === BackendTag.ReadyForQuery) return rows
      if (frame.tag === BackendTag.DataRow) rows.push(firstColumn(frame))
      else if (frame.tag === BackendTag.ErrorResponse) {
        const fields = decodeErrorFields(frame)
        throw new DbgateError('UPSTREAM', `a catalog query failed (${fields.get('C')})`, {
          cause: new Error(fields.get('M')),
        })
      }
    }
  }
}

function firstColumn(frame: Frame): string | null {
  const body = new BodyReader(frame.buf, frame.start + HEADER_BYTES, frame.end, 'DataRow')
  if (body.int16() < 1) return null
  const length = body.int32()
  return length < 0 ? null : body.bytes(length).toString('utf8')
}
