import { createServer, type Server, type Socket } from 'node:net'
import { asDbgateError, DbgateError, systemCode } from '../errors.ts'
import { encodeErrorResponse } from '../wire/index.ts'
import type { Upstream } from './dial.ts'
import { type LocalAccount, LocalLogin, type LoginStep } from './login.ts'
import { join } from './pipe.ts'

/** One client of the local port, as it named itself. */
export type LocalClient = { readonly id: number; readonly application: string }

/** What happens at the local port. `refused` carries the error the client was given. */
export type ListenerEvent =
  | { readonly type: 'client-opened' | 'client-closed'; readonly client: LocalClient }
  | { readonly type: 'client-lost'; readonly client: LocalClient }
  | { readonly type: 'refused'; readonly error: DbgateError }

export type ListenerOptions = {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  readonly account: LocalAccount
  readonly random: (bytes: number) => Buffer
  /** Opens a tunnel; may wait, may hand out one that lay ready. */
  readonly open: () => Promise<Upstream>
  /** Opens a new tunnel, for when one that lay ready turns out dead. */
  readonly openCold: () => Promise<Socket>
  readonly serverName: string
  readonly onEvent: (event: ListenerEvent) => void
  /** How long a client may take to sign in, in ms. */
  readonly startupMs?: number
}

const DEFAULT_STARTUP_MS = 30_000
/** Connections that have not signed in; another local user's flood must not use up our file descriptors. */
const MAX_SIGNING_IN = 512
/** A cancel needs no password, so few may run at a time. */
const MAX_CANCELS = 16
const KEEPALIVE_MS = 60_000
const LINGER_MS = 2_000

/**
 * The local end: a port that speaks enough PostgreSQL to ask for the password, and after that joins each
 * client to a tunnel of its own. It does not look at what passes.
 */
export class Listener {
  readonly #options: ListenerOptions
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #clients = new Map<number, LocalClient>()
  #signingIn = 0
  #cancels = 0
  #nextId = 1

  private constructor(options: ListenerOptions) {
    this.#options = options
    this.#server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS },
      socket => this.#accept(socket),
    )
  }

  /** Opens the port. Throws: PORT if it is taken or not allowed. */
  static async open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options)
    const server = listener.#server
    await new Promise<void>((resolve, reject) => {
      server.once('error', cause => reject(portError(options, cause)))
      server.listen({ host: options.host, port: options.port, exclusive: true }, resolve)
    })
    server.removeAllListeners('error')
    // Accepting can fail for want of file descriptors; the port stays, the next client may be luckier.
    server.on('error', cause => options.onEvent({ type: 'refused', error: asDbgateError(cause) }))
    return listener
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : this.#options.port
  }

  /** Clients that are signed in. */
  get clients(): readonly LocalClient[] {
    return [...this.#clients.values()]
  }

  /** Closes the port and every connection. Resolves when all are closed. */
  async close(): Promise<void> {
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => {}) // Always followed by 'close'.
    socket.once('close', () => this.#sockets.delete(socket))
    if (this.#signingIn >= MAX_SIGNING_IN) {
      this.#refuse(socket, new DbgateError('TOO_MANY', 'too many clients are signing in'))
      return
    }
    this.#signingIn += 1
    const login = new LocalLogin(this.#options.account, this.#options.random)
    const timer = setTimeout(() => socket.destroy(), this.#options.startupMs ?? DEFAULT_STARTUP_MS)
    const settle = (): void => {
      this.#signingIn -= 1
      clearTimeout(timer)
      socket.off('data', onData)
      socket.off('end', onEnd)
      socket.off('close', settle)
      socket.pause()
    }
    const onData = (chunk: Buffer | string): void => {
      if (typeof chunk === 'string') return // Never: no encoding is set.
      for (const step of login.push(chunk)) {
        if (step.do === 'reply') socket.write(step.bytes)
        else if (step.do !== 'read') {
          settle()
          this.#proceed(socket, step).catch(error => this.#refuse(socket, asDbgateError(error)))
        }
      }
    }
    const onEnd = (): void => socket.destroySoon()
    socket.on('data', onData)
    socket.on('end', onEnd)
    socket.on('close', settle)
  }

  async #proceed(socket: Socket, step: LoginStep): Promise<void> {
    switch (step.do) {
      case 'open':
        return this.#open(socket, step)
      case 'cancel':
        return this.#cancel(socket, step.packet)
      case 'refuse':
        return this.#refuse(socket, step.error)
      case 'drop':
        socket.destroy()
        return
      case 'read':
      case 'reply':
        return
    }
  }

  async #open(socket: Socket, step: Extract<LoginStep, { do: 'open' }>): Promise<void> {
    socket.write(step.reply)
    const opening = step.rest.length === 0 ? step.startup : Buffer.concat([step.startup, step.rest])
    const upstream = await this.#firstAnswer(socket, opening)
    if (upstream === undefined) return
    const application = step.message.parameters.get('application_name') ?? ''
    const client = { id: this.#nextId++, application }
    this.#clients.set(client.id, client)
    this.#options.onEvent({ type: 'client-opened', client })
    join(socket, upstream, lostMessage(this.#options.serverName), end => {
      this.#clients.delete(client.id)
      const type = end === 'upstream-lost' ? 'client-lost' : 'client-closed'
      this.#options.onEvent({ type, client })
    })
  }

  /**
   * Sends the client's opening through a tunnel and waits until the server answers it. A tunnel that lay
   * ready can be dead without our knowing; since nothing came back, the same opening may go out once more.
   */
  async #firstAnswer(socket: Socket, opening: Buffer): Promise<Socket | undefined> {
    const { socket: ready, isWarm } = await this.#options.open()
    if (await answers(socket, ready, opening)) return ready
    if (socket.destroyed) return undefined
    if (isWarm) {
      const fresh = await this.#options.openCold()
      if (await answers(socket, fresh, opening)) return fresh
      if (socket.destroyed) return undefined
    }
    throw new DbgateError(
      'STARTING',
      `dbgate: connection to ${this.#options.serverName} lost; reconnect in a few seconds`,
    )
  }

  async #cancel(socket: Socket, packet: Buffer): Promise<void> {
    if (this.#cancels >= MAX_CANCELS) {
      socket.destroy()
      return
    }
    this.#cancels += 1
    try {
      const { socket: upstream } = await this.#options.open()
      // The server closes without an answer once the request is under way; so do we then.
      await new Promise<void>(resolve => {
        upstream.on('error', () => {})
        upstream.once('close', resolve)
        socket.once('close', () => upstream.destroySoon())
        upstream.resume()
        upstream.end(packet)
      })
    } finally {
      this.#cancels -= 1
      socket.destroySoon()
    }
  }

  #refuse(socket: Socket, error: DbgateError): void {
    this.#options.onEvent({ type: 'refused', error })
    if (socket.destroyed) return
    // Read on while the message travels: a socket closed with unread bytes resets, and the message is lost.
    socket.resume()
    socket.end(encodeErrorResponse(error))
    const timer = setTimeout(() => socket.destroy(), LINGER_MS)
    socket.once('end', () => socket.destroySoon())
    socket.once('close', () => clearTimeout(timer))
  }
}

/**
 * Sends `opening` upstream. True when the first bytes came back: they stay in the socket, which is left
 * paused without listeners. False when either end closed before.
 */
function answers(downstream: Socket, upstream: Socket, opening: Buffer): Promise<boolean> {
  return new Promise(resolve => {
    const settle = (isAnswered: boolean): void => {
      upstream.off('readable', onReadable)
      upstream.off('end', onClose)
      upstream.off('close', onClose)
      downstream.off('close', onClose)
      if (!isAnswered) upstream.destroy()
      resolve(isAnswered)
    }
    const onReadable = (): void => {
      if (upstream.readableLength > 0) settle(true)
      else upstream.read(0) // Lets the stream say that this was its end.
    }
    const onClose = (): void => settle(false)
    upstream.on('error', () => {}) // Always followed by 'close'.
    if (upstream.destroyed || downstream.destroyed) {
      settle(false)
      return
    }
    upstream.on('readable', onReadable)
    upstream.on('end', onClose)
    upstream.on('close', onClose)
    downstream.on('close', onClose)
    upstream.write(opening)
  })
}

function lostMessage(serverName: string): Buffer {
  const message = `dbgate: connection to ${serverName} lost; reconnect in a few seconds`
  return encodeErrorResponse(new DbgateError('DRAINING', message))
}

function portError(options: ListenerOptions, cause: unknown): DbgateError {
  const code = systemCode(cause)
  const reason =
    code === 'EADDRINUSE'
      ? 'is used by another program'
      : code === 'EACCES'
        ? 'is not allowed'
        : code
  return new DbgateError('PORT', `port ${options.port} on ${options.host} ${reason}`, { cause })
}
