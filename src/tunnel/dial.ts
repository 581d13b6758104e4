import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import {
  checkAnswer,
  connectTls,
  readJson,
  type ServerAddress,
  serverName,
  type TlsSessions,
} from '../api/index.ts'
import { DbgateError } from '../errors.ts'

/** Where tunnels lead and on whose behalf. */
export type Route = {
  readonly server: ServerAddress
  readonly target: string
  /** The role asked for; without one the server takes the strongest that is granted. */
  readonly role?: string | undefined
  /** The tool at work as far as we can tell, for the record: psql, cursor, claude. */
  readonly agent?: string | undefined
}

export type DialerOptions = {
  readonly route: Route
  /** Returns a token that is valid now. */
  readonly token: () => Promise<string>
  readonly now: () => number
  readonly sessions: TlsSessions
  /** Connections kept ready at most; 0 turns keeping off. */
  readonly maxWarm?: number
  /** How long a connection is kept ready, in ms: below the server's own limit for a silent startup. */
  readonly warmForMs?: number
  /** Told when a connection could not be made ready; `dial` reports its own failures by throwing. */
  readonly onFillError?: (error: unknown) => void
}

/** A tunnel ready for the client's startup packet. `isWarm` says that it lay ready and may have died unseen. */
export type Upstream = { readonly socket: Socket; readonly isWarm: boolean }

const DEFAULT_MAX_WARM = 4
const DEFAULT_WARM_MS = 45_000
/** After this long without a client nothing is kept ready any more. */
const KEEP_WARM_MS = 5 * 60_000
const ANSWER_MS = 15_000
const UPGRADE = 'dbgate-postgres'
/** The server speaks only after a startup packet, so whatever happens on a connection kept ready is a farewell. */
const FAREWELLS = ['data', 'end', 'error', 'close'] as const

/** A connection that lies ready; `drop` takes it out and closes it. */
type Ready = { readonly socket: Socket; readonly drop: () => void; readonly expire: () => void }

/**
 * Makes tunnels to one target, each a TLS connection of its own, and keeps a few ready: a client that
 * connects then pays for no handshake. One is kept at first, one more each time none was left, fewer
 * again when they expire unused.
 */
export class Dialer {
  readonly #options: DialerOptions
  readonly #maxWarm: number
  readonly #warmForMs: number
  readonly #warm: Ready[] = []
  #wanted = 0
  #filling = 0
  #lastUsedAt = Number.NEGATIVE_INFINITY
  #isClosed = false

  constructor(options: DialerOptions) {
    this.#options = options
    this.#maxWarm = options.maxWarm ?? DEFAULT_MAX_WARM
    this.#warmForMs = options.warmForMs ?? DEFAULT_WARM_MS
  }

  /** Connections lying ready. */
  get warm(): number {
    return this.#warm.length
  }

  /**
   * Returns a tunnel: one that lies ready, or a new one.
   *
   * Ownership: the caller ends the socket; it is paused and has no listeners of ours.
   * Throws: UNREACHABLE (08001) and whatever the server answers: UNAUTHORIZED, NO_TARGET, TOO_MANY ….
   */
  async dial(): Promise<Upstream> {
    this.#lastUsedAt = this.#options.now()
    const ready = this.#warm.shift()
    this.#wanted = Math.min(
      this.#maxWarm,
      Math.max(1, this.#wanted + (ready === undefined ? 1 : 0)),
    )
    if (ready !== undefined) {
      this.fill()
      return { socket: release(ready), isWarm: true }
    }
    const socket = await this.dialCold()
    this.fill()
    return { socket, isWarm: false }
  }

  /** Returns a new tunnel even if one lies ready. Throws: as `dial`. */
  async dialCold(): Promise<Socket> {
    const { route, token, sessions } = this.#options
    const bearer = await token()
    const socket = await connectTls(route.server, { sessions, timeoutMs: ANSWER_MS })
    return upgrade(route, socket, bearer)
  }

  /** Makes the first connection and keeps it ready. Throws: as `dial`. */
  async warmUp(): Promise<void> {
    this.#lastUsedAt = this.#options.now()
    const socket = await this.dialCold()
    this.#wanted = Math.min(1, this.#maxWarm)
    if (this.#wanted > 0) this.#keep(socket)
    else discard(socket)
  }

  /** Makes what is missing of the connections kept ready, in the background. */
  fill(): void {
    if (this.#isClosed) return
    this.#wanted = Math.max(this.#wanted, Math.min(1, this.#maxWarm))
    while (this.#warm.length + this.#filling < this.#wanted) {
      this.#filling += 1
      this.dialCold().then(
        socket => {
          this.#filling -= 1
          this.#keep(socket)
        },
        error => {
          this.#filling -= 1
          this.#options.onFillError?.(error)
        },
      )
    }
  }

  /** Drops what lies ready, such as after the network changed or the token was refused. */
  drain(): void {
    for (const ready of this.#warm.splice(0)) ready.drop()
  }

  /** Keeps nothing ready from now on. */
  close(): void {
    this.#isClosed = true
    this.drain()
  }

  #keep(socket: Socket): void {
    if (this.#isClosed) {
      discard(socket)
      return
    }
    const drop = (): void => {
      const at = this.#warm.findIndex(ready => ready.socket === socket)
      if (at >= 0) this.#warm.splice(at, 1)
      discard(socket)
    }
    const expire = (): void => {
      drop()
      this.#expired()
    }
    for (const event of FAREWELLS) socket.on(event, drop)
    socket.setTimeout(this.#warmForMs, expire)
    socket.unref()
    this.#warm.push({ socket, drop, expire })
  }

  #expired(): void {
    if (this.#options.now() - this.#lastUsedAt > KEEP_WARM_MS) this.#wanted = 0
    else this.#wanted = Math.max(1, this.#wanted - 1)
    if (this.#wanted > 0) this.fill()
  }
}

/** Takes our listeners off a socket that lay ready and hands it out. */
function release({ socket, drop, expire }: Ready): Socket {
  for (const event of FAREWELLS) socket.off(event, drop)
  socket.setTimeout(0)
  socket.off('timeout', expire)
  socket.pause()
  return socket.ref()
}

function discard(socket: Socket): void {
  socket.on('error', () => {}) // A connection that nobody used may fail as it likes.
  socket.destroy()
}

/** Asks for the tunnel on a fresh TLS connection: HTTP/1.1 Upgrade, then raw PostgreSQL bytes. */
function upgrade(route: Route, socket: TLSSocket, token: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const outgoing = request(tunnelUrl(route), {
      createConnection: () => socket,
      headers: {
        connection: 'Upgrade',
        upgrade: UPGRADE,
        authorization: `Bearer ${token}`,
        ...(route.agent === undefined ? {} : { 'x-dbgate-agent': encodeURIComponent(route.agent) }),
        ...(route.role === undefined ? {} : { 'x-dbgate-role': encodeURIComponent(route.role) }),
      },
    })
    const fail = (error: unknown): void => {
      clearTimeout(timer)
      socket.destroy()
      reject(error)
    }
    const timer = setTimeout(() => fail(notAnswered(route, undefined)), ANSWER_MS)
    outgoing.on('error', cause => fail(notAnswered(route, cause)))
    outgoing.on('response', response => {
      refusalOf(route, response).then(fail, fail)
    })
    outgoing.on('upgrade', (response, _, head) => {
      if (response.headers.upgrade !== UPGRADE || head.length > 0) {
        fail(
          new DbgateError('PROTOCOL', `${serverName(route.server)} opened another kind of tunnel`),
        )
        return
      }
      clearTimeout(timer)
      socket.pause()
      resolve(socket)
    })
    outgoing.end()
  })
}

function tunnelUrl(route: Route): URL {
  return new URL(`/api/v1/targets/${encodeURIComponent(route.target)}/tunnel`, route.server.url)
}

/** The error in an answer that is not 101. Throws: the same, as `checkAnswer` does. */
async function refusalOf(route: Route, response: IncomingMessage): Promise<DbgateError> {
  const body = await readJson(route.server, response)
  checkAnswer(route.server, response.statusCode ?? 0, body)
  return new DbgateError('PROTOCOL', `${serverName(route.server)} did not open the tunnel`)
}

function notAnswered(route: Route, cause: unknown): DbgateError {
  return new DbgateError('UNREACHABLE', `${serverName(route.server)} did not open the tunnel`, {
    detail: 'The connection was lost, or it took too long.',
    ...(cause === undefined ? {} : { cause }),
  })
}
