import { createServer, type Server, type Socket } from 'node:net'
import { CATALOG_QUERIES, CATALOG_VERSION_QUERY } from '../../src/sql/index.ts'
import {
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeParameterStatus,
  encodeReadyForQuery,
  readStartupPacket,
} from '../../src/wire/index.ts'
import { BACKEND } from './lab.ts'

/** What a scripted server knows of one connection of the gate. */
export class ServerSide {
  readonly socket: Socket
  readonly parameters: ReadonlyMap<string, string>
  #heard: Buffer = Buffer.alloc(0)
  #wake = () => {}
  isEnded = false

  constructor(socket: Socket, parameters: ReadonlyMap<string, string>, rest: Buffer) {
    this.socket = socket
    this.parameters = parameters
    this.#heard = rest
    socket.on('data', (chunk: Buffer) => {
      this.#heard = Buffer.concat([this.#heard, chunk])
      this.#wake()
    })
    const end = () => {
      this.isEnded = true
      this.#wake()
    }
    socket.on('end', end)
    socket.on('close', end)
  }

  /** Everything heard after the startup. */
  get heard(): Buffer {
    return this.#heard
  }

  say(...messages: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(messages))
  }

  /** Waits until exactly these bytes have come since the last `hears`, and takes them. */
  async hears(...messages: readonly Buffer[]): Promise<void> {
    const expected = Buffer.concat(messages)
    await this.#until(() => this.#heard.length >= expected.length)
    const heard = this.#heard.subarray(0, expected.length)
    if (!heard.equals(expected)) throw new Error(`heard ${heard.toString('latin1')}`)
    this.#heard = this.#heard.subarray(expected.length)
  }

  /** Waits until the gate hangs up. */
  ended(): Promise<void> {
    return this.#until(() => this.isEnded)
  }

  async #until(isSo: () => boolean, timeoutMs = 10_000): Promise<void> {
    const deadline = Date.now() + timeoutMs
    while (!isSo()) {
      const leftMs = deadline - Date.now()
      if (leftMs <= 0 || this.isEnded)
        throw new Error(`only ${this.#heard.length} bytes: ${this.#heard.toString('latin1')}`)
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
}

export type ScriptedServerOptions = {
  /** Parameters it reports at the start. */
  readonly settings?: Readonly<Record<string, string>>
  /** Called before a person's connection is let in. */
  readonly beforeReady?: () => Promise<void>
}

/** PID and cancel key of every connection. */
export const UPSTREAM_KEY = { pid: 4711, secret: Buffer.from('01020304', 'hex') } as const

/**
 * A server that lets everybody in and then says what the test says. It answers the gate's own questions
 * about the catalog by itself: there is one table, `public.t`.
 */
export class ScriptedServer {
  readonly port: number
  /** CancelRequests that came, as `pid:secret`. */
  readonly cancels: string[] = []
  readonly #server: Server
  readonly #sockets: Set<Socket>
  readonly #ready: ServerSide[] = []
  readonly #waiting: ((side: ServerSide) => void)[] = []

  private constructor(server: Server, port: number, sockets: Set<Socket>) {
    this.#server = server
    this.port = port
    this.#sockets = sockets
  }

  static async start(options: ScriptedServerOptions = {}): Promise<ScriptedServer> {
    const sockets = new Set<Socket>()
    const server = createServer({ noDelay: true, allowHalfOpen: true })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('not listening')
    const scripted = new ScriptedServer(server, address.port, sockets)
    server.on('connection', socket => {
      sockets.add(socket)
      socket.on('error', () => {})
      void scripted.#welcome(socket, options)
    })
    return scripted
  }

  /** The next connection that is not the gate's own. */
  next(): Promise<ServerSide> {
    const side = this.#ready.shift()
    return side === undefined
      ? new Promise(resolve => this.#waiting.push(resolve))
      : Promise.resolve(side)
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise(resolve => this.#server.close(resolve))
  }

  async #welcome(
    socket: Socket,
    { settings = {}, beforeReady }: ScriptedServerOptions,
  ): Promise<void> {
    const first = await new Promise<Buffer>(resolve => socket.once('data', resolve))
    const read = readStartupPacket(first)
    if (read === null) throw new Error('a startup packet in pieces')
    const { packet, bytes } = read
    if (packet.type === 'CancelRequest') {
      this.cancels.push(`${packet.pid}:${packet.secret.toString('hex')}`)
      socket.end()
      return
    }
    if (packet.type !== 'StartupMessage') throw new Error(packet.type)
    const { parameters } = packet.startup
    const isCatalog = parameters.get('application_name') === 'dbgate catalog'
    if (!isCatalog) await beforeReady?.()
    const reported = { client_encoding: 'UTF8', standard_conforming_strings: 'on', ...settings }
    socket.write(
      Buffer.concat([
        encodeAuthenticationOk(),
        ...Object.entries(reported).map(pair => encodeParameterStatus(...pair)),
        encodeBackendKeyData(UPSTREAM_KEY.pid, UPSTREAM_KEY.secret),
        encodeReadyForQuery('I'),
      ]),
    )
    if (isCatalog) {
      answerCatalog(socket)
      return
    }
    const side = new ServerSide(socket, parameters, first.subarray(bytes))
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#ready.push(side)
    else waiting(side)
  }
}

function answerCatalog(socket: Socket): void {
  socket.on('data', (chunk: Buffer) => {
    const text = chunk.toString('utf8', 5, chunk.length - 1)
    const part = CATALOG_QUERIES.find(({ sql }) => sql === text)?.part
    const rows =
      text === CATALOG_VERSION_QUERY
        ? ['1']
        : part === 'session'
          ? ['{"path":["pg_catalog","public"]}']
          : part === 'relations'
            ? ['{"oid":16384,"schema":"public","name":"t","kind":"r"}']
            : []
    socket.write(
      Buffer.concat([...rows.map(dataRow), BACKEND.complete('SELECT 1'), BACKEND.ready()]),
    )
  })
}

/** A row of one text column. */
export function dataRow(text: string): Buffer {
  const header = Buffer.alloc(11)
  header.write('D', 'latin1')
  header.writeInt32BE(10 + Buffer.byteLength(text), 1)
  header.writeInt16BE(1, 5)
  header.writeInt32BE(Buffer.byteLength(text), 7)
  return Buffer.concat([header, Buffer.from(text)])
}
