import { connect, type Socket } from 'node:net'

/** One message as it came: its tag and its body without the length. */
export type RawFrame = { readonly tag: string; readonly body: Buffer }

/** A PostgreSQL client that says exactly the bytes it is told to. */
export class RawClient {
  readonly socket: Socket
  /** Everything received and not yet taken, as frames; bytes that are no whole frame stay in `rest`. */
  readonly frames: RawFrame[] = []
  rest: Buffer = Buffer.alloc(0)
  isClosed = false
  /** Some error codes the socket may end with say nothing more than "closed". */
  readonly closed: Promise<void>
  #wake = () => {}

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.rest = Buffer.concat([this.rest, chunk])
      this.#cut()
      this.#wake()
    })
    socket.on('error', () => {})
    this.closed = new Promise(resolve => {
      const end = () => {
        this.isClosed = true
        this.#wake()
        resolve()
      }
      socket.once('end', end)
      socket.once('close', end)
    })
  }

  /** Connects without saying anything. */
  static async dial(port: number): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new RawClient(socket)
  }

  /** Connects and starts a session with these parameters, up to the first ReadyForQuery. */
  static async open(
    port: number,
    parameters: Readonly<Record<string, string>>,
  ): Promise<RawClient> {
    const client = await RawClient.dial(port)
    client.send(startup(parameters))
    await client.until(frame => frame.tag === 'Z' || frame.tag === 'E')
    return client
  }

  send(...bytes: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(bytes))
  }

  /** Takes frames until one is `last` or the peer closes; throws when neither happens in time. */
  async until(last: (frame: RawFrame) => boolean, timeoutMs = 10_000): Promise<RawFrame[]> {
    const taken: RawFrame[] = []
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const frame = this.frames.shift()
      if (frame !== undefined) {
        taken.push(frame)
        if (last(frame)) return taken
        continue
      }
      if (this.isClosed) return taken
      const leftMs = deadline - Date.now()
      if (leftMs <= 0) {
        throw new Error(`nothing more in ${timeoutMs} ms after ${taken.map(f => f.tag).join('')}`)
      }
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  /** Says nothing more, and waits for the peer to close too. */
  async hangUp(timeoutMs = 10_000): Promise<RawFrame[]> {
    this.socket.end()
    const taken = await this.until(() => false, timeoutMs)
    this.socket.destroy()
    return taken
  }

  #cut(): void {
    while (this.rest.length >= 5) {
      const length = this.rest.readInt32BE(1)
      if (length < 4 || this.rest.length < 1 + length) return
      const tag = String.fromCharCode(this.rest[0] ?? 0)
      this.frames.push({ tag, body: this.rest.subarray(5, 1 + length) })
      this.rest = this.rest.subarray(1 + length)
    }
  }
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value & 0xffff)
  return bytes
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

export const cstring = (text: string) => Buffer.from(`${text}\0`)

/** A tagged frame; `length` lies if given. */
export function frame(
  tag: string,
  body: Buffer = Buffer.alloc(0),
  length = body.length + 4,
): Buffer {
  return Buffer.concat([Buffer.from(tag, 'latin1'), int32(length), body])
}

export function startup(parameters: Readonly<Record<string, string>>, version = 0x30000): Buffer {
  const pairs = Object.entries(parameters).flatMap(pair => pair.map(cstring))
  const body = Buffer.concat([int32(version), ...pairs, Buffer.alloc(1)])
  return Buffer.concat([int32(body.length + 4), body])
}

export const query = (sql: string) => frame('Q', cstring(sql))
export const parse = (sql: string, name = '', types: readonly number[] = []) =>
  frame('P', Buffer.concat([cstring(name), cstring(sql), int16(types.length), ...types.map(int32)]))
export const describe_ = (kind: 'S' | 'P', name = '') => frame('D', cstring(kind + name))
export const close = (kind: 'S' | 'P', name = '') => frame('C', cstring(kind + name))
export const execute = (portal = '', maxRows = 0) =>
  frame('E', Buffer.concat([cstring(portal), int32(maxRows)]))
export const sync = frame('S')
export const flush = frame('H')
export const copyData = (text: string) => frame('d', Buffer.from(text))
export const copyDone = frame('c')
export const copyFail = (why: string) => frame('f', cstring(why))
export const terminate = frame('X')

export function bind(values: readonly (string | null)[] = [], portal = '', statement = ''): Buffer {
  const parameters = values.map(value => {
    if (value === null) return int32(-1)
    const bytes = Buffer.from(value)
    return Buffer.concat([int32(bytes.length), bytes])
  })
  const head = [cstring(portal), cstring(statement), int16(0), int16(values.length)]
  return frame('B', Buffer.concat([...head, ...parameters, int16(0)]))
}

/** Fields of an ErrorResponse or NoticeResponse by their letter. */
export function fieldsOf({ body }: RawFrame): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const part of body.toString('utf8').split('\0')) {
    if (part !== '') fields[part.slice(0, 1)] = part.slice(1)
  }
  return fields
}
