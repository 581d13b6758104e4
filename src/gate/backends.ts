import type { TargetConfig } from '../config/index.ts'
import type { Upstream } from './upstream.ts'

type Server = Pick<TargetConfig, 'host' | 'port'>

/** The database tells of a backend for a moment after its connection has ended. */
const ENDED_KEPT_MS = 60_000

/**
 * The process ids of every connection the gate itself has to the databases: sessions, catalogs, checks.
 * Whatever else a database lists did not come through the gate.
 */
export class Backends {
  readonly #now: () => number
  readonly #open = new Map<string, Set<number>>()
  readonly #ended = new Map<string, Map<number, number>>()

  /** `now`: epoch milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Knows a connection until it has ended. Targets may be on one server: it is the server's process. */
  add(target: Server, { pid, socket }: Pick<Upstream, 'pid' | 'socket'>): void {
    const server = serverOf(target)
    const open = this.#open.get(server) ?? new Set()
    this.#open.set(server, open.add(pid))
    socket.once('close', () => {
      open.delete(pid)
      const ended = this.#ended.get(server) ?? new Map()
      this.#ended.set(server, ended.set(pid, this.#now()))
    })
  }

  /** The open ones by server, `host:port`, for whoever else asks on this machine. */
  list(): Readonly<Record<string, readonly number[]>> {
    return Object.fromEntries([...this.#open].map(([server, pids]) => [server, [...pids]]))
  }

  /** All that are the gate's, among them those that ended just now. */
  of(target: Server): ReadonlySet<number> {
    const server = serverOf(target)
    const ended = this.#ended.get(server) ?? new Map<number, number>()
    for (const [pid, at] of ended) if (this.#now() - at > ENDED_KEPT_MS) ended.delete(pid)
    return new Set([...(this.#open.get(server) ?? []), ...ended.keys()])
  }
}

/** The server of a target, as `list` names it. */
export function serverOf({ host, port }: Server): string {
  return `${host.toLowerCase()}:${port}`
}
