import { createApiClient, type ServerAddress, serverName, type TlsSessions } from '../api/index.ts'
import { DbgateError } from '../errors.ts'
import { Dialer } from './dial.ts'
import { isAway, Link, type LinkEvent } from './link.ts'
import { Listener, type ListenerEvent, type LocalClient } from './listen.ts'
import { createLocalAccount } from './login.ts'
import { type Greeting, greet } from './query.ts'
import { type SignIn, type SignInEvent, TokenKeeper } from './sign-in.ts'

/** Everything that happens to an open tunnel. */
export type TunnelEvent = LinkEvent | ListenerEvent | SignInEvent

export type TunnelOptions = {
  readonly server: ServerAddress
  readonly target: string
  readonly role: string | undefined
  readonly agent: string | undefined
  readonly signIn: SignIn
  /** The name that clients sign in with at the local port, and its password. */
  readonly user: string
  readonly password: string
  readonly database: string
  readonly host: string
  readonly port: number
  /** Takes another port if `port` is taken, instead of failing. */
  readonly anyPort: boolean
  readonly now: () => number
  readonly random: (bytes: number) => Buffer
  readonly onEvent: (event: TunnelEvent) => void
}

/** An open local port that leads to a target. */
export type Tunnel = {
  readonly host: string
  readonly port: number
  /** The whole connection URL; it carries the password. */
  readonly url: string
  /** Clients that are connected now. */
  readonly clients: readonly LocalClient[]
  /** When the sign-in ends unless it is renewed. Units: epoch ms. */
  readonly signedInUntil: number | undefined
  /**
   * Opens a session of our own and leaves at once: whether the database behind the gate answers.
   * Throws: StatementFailed with its reason; as `Dialer.dial`.
   */
  greet(): Promise<Greeting>
  /** Closes the port and every connection. */
  close(): Promise<void>
}

/** Ports tried after the one that was asked for, before any free one is taken. */
const NEARBY_PORTS = 10

/**
 * Opens the local end of a tunnel: the port, the way to the server, and the sign-in that is kept alive.
 * The port stays while the server restarts, the network goes or the sign-in ends.
 *
 * Throws: PORT if the port is taken; UNREACHABLE, UNAUTHORIZED or NO_TARGET if not even the first tunnel
 * can be made: a port that leads nowhere would only move the error into every client.
 */
export async function openTunnel(options: TunnelOptions): Promise<Tunnel> {
  const { server, onEvent } = options
  const sessions: TlsSessions = new Map()
  const api = createApiClient({ server, sessions, token: () => keeper.token() })
  const keeper = new TokenKeeper({
    signIn: options.signIn,
    announce: () => api.renew(),
    now: options.now,
    onEvent,
  })
  const dialer = new Dialer({
    route: { server, target: options.target, role: options.role, agent: options.agent },
    token: () => keeper.token(),
    now: options.now,
    sessions,
    onFillError: error => {
      if (isAway(error)) link.lost()
    },
  })
  const link = new Link({
    dial: () => dialer.dial(),
    dialCold: () => dialer.dialCold(),
    renew: () => keeper.renew(),
    serverName: serverName(server),
    onEvent,
  })
  const listener = await openListener(options, dialer, link)
  try {
    await dialer.warmUp()
  } catch (error) {
    dialer.close()
    link.close()
    await listener.close()
    throw error
  }
  keeper.start()
  return {
    host: options.host,
    port: listener.port,
    url: connectionUrl(options, listener.port),
    get clients() {
      return listener.clients
    },
    get signedInUntil() {
      return keeper.expiresAt
    },
    greet: async () => {
      const { socket } = await dialer.dial()
      return greet(socket, { ...options, application: 'dbgate connect' })
    },
    async close() {
      keeper.stop()
      dialer.close()
      link.close()
      await listener.close()
    },
  }
}

/** `postgresql://user:password@host:port/database`, each part escaped. */
export function connectionUrl(
  account: Pick<TunnelOptions, 'user' | 'password' | 'host' | 'database'>,
  port: number,
): string {
  const host = account.host.includes(':') ? `[${account.host}]` : account.host
  const credentials = `${encodeURIComponent(account.user)}:${encodeURIComponent(account.password)}`
  return `postgresql://${credentials}@${host}:${port}/${encodeURIComponent(account.database)}`
}

async function openListener(options: TunnelOptions, dialer: Dialer, link: Link): Promise<Listener> {
  const account = createLocalAccount(options.user, options.password, options.random)
  const open = (port: number): Promise<Listener> =>
    Listener.open({
      host: options.host,
      port,
      account,
      random: options.random,
      open: () => link.open(),
      openCold: () => dialer.dialCold(),
      serverName: serverName(options.server),
      onEvent: event => {
        // A tunnel that broke may mean a server that is gone: what lay ready is gone with it then.
        if (event.type === 'client-lost') {
          dialer.drain()
          dialer.fill()
        }
        options.onEvent(event)
      },
    })
  const { port, anyPort } = options
  const others = Array.from({ length: NEARBY_PORTS }, (_, index) => port + 1 + index)
  const candidates = anyPort && port > 0 ? [port, ...others.filter(one => one < 65_536), 0] : [port]
  let taken: unknown
  for (const candidate of candidates) {
    try {
      return await open(candidate)
    } catch (error) {
      if (!(error instanceof DbgateError && error.code === 'PORT')) throw error
      taken ??= error
    }
  }
  throw taken
}
