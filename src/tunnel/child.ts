import { constants } from 'node:os'
import { systemCode } from '../errors.ts'

/** What a child process of `connect` gets to reach the tunnel. */
export type ChildTunnel = {
  readonly url: string
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  readonly server: string
  readonly target: string
  readonly role: string
}

/** The part of `process` that child mode touches: signals arrive here. */
export type SignalSource = {
  on(signal: NodeJS.Signals, listener: () => void): unknown
  off(signal: NodeJS.Signals, listener: () => void): unknown
}

export type ChildOptions = {
  readonly file: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly signals: SignalSource
  /** How long a child may take after SIGTERM or SIGHUP before it is killed, in ms. */
  readonly graceMs?: number
}

/** Exit codes as a shell gives them. */
const NOT_EXECUTABLE = 126
const NOT_FOUND = 127
const SIGNAL_BASE = 128
const DEFAULT_GRACE_MS = 5_000
const FORWARDED = ['SIGTERM', 'SIGHUP'] as const

/**
 * Variables that would send a PostgreSQL client somewhere else than the tunnel, or make it ask for TLS
 * that a loopback port has not got; and our own token, which is nobody's business but ours.
 */
const REMOVED = [
  'DBGATE_TOKEN',
  'PGCHANNELBINDING',
  'PGGSSENCMODE',
  'PGHOSTADDR',
  'PGPASSFILE',
  'PGREQUIREAUTH',
  'PGREQUIRESSL',
  'PGSERVICE',
  'PGSERVICEFILE',
  'PGSSLCERT',
  'PGSSLKEY',
  'PGSSLNEGOTIATION',
  'PGSSLROOTCERT',
  'PGTARGETSESSIONATTRS',
]

/**
 * The environment of a child: the caller's own, pointed at the tunnel.
 *
 * @param urlNames variables that receive the URL, such as DATABASE_URL
 */
export function childEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  tunnel: ChildTunnel,
  urlNames: readonly string[],
  label: string,
): Record<string, string> {
  const kept = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !REMOVED.includes(entry[0]),
  )
  return {
    ...Object.fromEntries(kept),
    ...Object.fromEntries(urlNames.map(name => [name, tunnel.url])),
    PGHOST: tunnel.host,
    PGPORT: String(tunnel.port),
    PGUSER: tunnel.user,
    PGPASSWORD: tunnel.password,
    PGDATABASE: tunnel.database,
    PGSSLMODE: 'disable',
    PGAPPNAME: env.PGAPPNAME || label,
    DBGATE_SERVER: tunnel.server,
    DBGATE_TARGET: tunnel.target,
    DBGATE_ROLE: tunnel.role,
  }
}

/** How a command ended: its exit code as a shell gives it, and whether it ever started. */
export type ChildEnd = {
  readonly exitCode: number
  readonly notStarted?: 'command not found' | 'not executable'
}

/**
 * Runs a command with our own stdin, stdout and stderr until it ends.
 *
 * Shape: the child's own exit code; 128 and the signal's number if a signal ended it; 127 and 126 as a
 * shell says "not found" and "not executable".
 * SIGINT is the child's: in a terminal it has received it itself, and it decides what ^C means. SIGTERM and
 * SIGHUP are passed on; a child that is still there after the grace period is killed.
 */
export async function runChild(options: ChildOptions): Promise<ChildEnd> {
  const { execa } = await import('execa')
  const { signals, graceMs = DEFAULT_GRACE_MS } = options
  const child = execa(options.file, options.args, {
    stdio: 'inherit',
    env: options.env,
    extendEnv: false,
    reject: false,
    forceKillAfterDelay: false,
  })
  let killTimer: NodeJS.Timeout | undefined
  const forwards = FORWARDED.map(signal => {
    const forward = (): void => {
      child.kill(signal)
      killTimer ??= setTimeout(() => child.kill('SIGKILL'), graceMs)
    }
    return { signal, forward }
  })
  const leave = (): void => {}
  for (const { signal, forward } of forwards) signals.on(signal, forward)
  signals.on('SIGINT', leave)
  try {
    return endOf(await child)
  } finally {
    clearTimeout(killTimer)
    for (const { signal, forward } of forwards) signals.off(signal, forward)
    signals.off('SIGINT', leave)
  }
}

type Finished = {
  readonly exitCode?: number | undefined
  readonly signal?: string | undefined
  readonly cause?: unknown
}

function endOf(finished: Finished): ChildEnd {
  if (finished.exitCode !== undefined) return { exitCode: finished.exitCode }
  const number = Object.entries(constants.signals).find(([name]) => name === finished.signal)?.[1]
  if (number !== undefined) return { exitCode: SIGNAL_BASE + number }
  const isMissing = systemCode(finished.cause) === 'ENOENT'
  return isMissing
    ? { exitCode: NOT_FOUND, notStarted: 'command not found' }
    : { exitCode: NOT_EXECUTABLE, notStarted: 'not executable' }
}
