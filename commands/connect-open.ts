import { DbgateError } from '../src/errors.ts'
import { type Terminal, visible } from '../src/terminal.ts'
import {
  announce,
  type ChildTunnel,
  openTunnel,
  type Registration,
  type RunningTunnel,
  StatementFailed,
  type Tunnel,
  type TunnelEvent,
} from '../src/tunnel/index.ts'
import type { Io } from './io.ts'
import type { SignedIn, UsableTarget } from './signed-in.ts'

export type ConnectionOptions = {
  readonly io: Io
  readonly terminal: Terminal
  readonly signedIn: SignedIn
  readonly target: UsableTarget
  /** Where running tunnels are announced. */
  readonly directory: string
  readonly role: string | undefined
  readonly database: string | undefined
  readonly host: string
  /** Strictly this one; without it the target's own or one nearby. */
  readonly port: number | undefined
  readonly agent: string | undefined
}

/** What is known of an open tunnel. Units: epoch ms. */
export type Facts = ChildTunnel & {
  readonly environment: string | undefined
  /** Of PostgreSQL behind the gate, where it was asked. */
  readonly version: string | undefined
  readonly startedAt: number
}

/** An open tunnel, on the list of those that run here. */
export type Connection = {
  readonly facts: Facts
  readonly signedInUntil: number
  /** Sends every event from now on to `listener`. */
  readonly hear: (listener: (event: TunnelEvent) => void) => void
  /** Resolves when another dbgate asked this tunnel to close. */
  readonly stopped: Promise<void>
  close(): Promise<void>
}

/**
 * Opens the tunnel, makes sure that the database behind the gate answers, and puts it on the list.
 *
 * Throws: as `openTunnel`; UPSTREAM if the gate is there and the database is not.
 */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const { io, signedIn, target } = options
  const password = await signedIn.localPassword()
  const database = options.database ?? target.database
  let tell = (_event: TunnelEvent): void => {}
  const tunnel = await openTunnel({
    server: signedIn.server,
    target: target.name,
    role: options.role,
    agent: options.agent,
    signIn: signedIn.signIn,
    user: target.user,
    password,
    database,
    host: options.host,
    port: options.port ?? target.localPort,
    anyPort: options.port === undefined,
    now: io.now,
    random: io.random,
    onEvent: event => tell(event),
  })
  let stop = (): void => {}
  const stopped = new Promise<void>(resolve => {
    stop = resolve
  })
  try {
    const version = await greeting(tunnel, signedIn.name, target.name)
    warnOfPort(options, tunnel.port)
    const facts: Facts = {
      url: tunnel.url,
      host: tunnel.host,
      port: tunnel.port,
      user: target.user,
      password,
      database,
      server: signedIn.name,
      target: target.name,
      role: options.role ?? target.role,
      environment: target.environment,
      version,
      startedAt: io.now(),
    }
    const registration = await register(options, facts, tunnel, stop)
    return {
      facts,
      signedInUntil: tunnel.signedInUntil ?? 0,
      hear: listener => {
        tell = listener
      },
      stopped,
      close: async () => {
        await registration?.close()
        await tunnel.close()
      },
    }
  } catch (error) {
    await tunnel.close()
    throw error
  }
}

async function greeting(
  tunnel: Tunnel,
  server: string,
  target: string,
): Promise<string | undefined> {
  try {
    return (await tunnel.greet()).serverVersion
  } catch (error) {
    if (!(error instanceof StatementFailed)) throw error
    const detail = error.fields.get('D')
    const reason = error.message.replace(/^dbgate: /, '')
    throw new DbgateError('UPSTREAM', `${server} answers, but ${target} does not: ${reason}`, {
      ...(detail === undefined ? {} : { detail }),
      cause: error,
    })
  }
}

function warnOfPort({ port, target, terminal }: ConnectionOptions, actual: number): void {
  if (port !== undefined || actual === target.localPort) return
  const mark = terminal.paint.yellow(terminal.marks.note)
  terminal.say(
    `${mark} ${target.localPort} is used by another program. Using ${actual} for now; saved settings in other tools will not match.`,
  )
}

/** Being on the list is a convenience: where that fails there is a tunnel all the same, and a word about it. */
async function register(
  { io, terminal, directory }: ConnectionOptions,
  facts: Facts,
  tunnel: Tunnel,
  stop: () => void,
): Promise<Registration | undefined> {
  const { server, target, role, user, database, host, port, startedAt } = facts
  const describe = (): RunningTunnel => ({
    ...{ pid: io.pid, server, target, role, user, database, host, port, startedAt },
    clients: tunnel.clients.map(client => client.application),
  })
  try {
    return await announce(directory, describe, stop)
  } catch (error) {
    const why = error instanceof Error ? error.message : 'unknown reason'
    terminal.say(`${terminal.marks.note} dbgate status will not show this tunnel: ${visible(why)}`)
    return undefined
  }
}
