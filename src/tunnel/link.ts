import type { Socket } from 'node:net'
import { DbgateError } from '../errors.ts'
import type { Upstream } from './dial.ts'

/** Whether the server can be reached, as the panel and the log say it. Units: ms until the next attempt. */
export type LinkEvent =
  | { readonly type: 'reconnecting'; readonly attempt: number; readonly nextMs: number }
  | { readonly type: 'connected' }

export type LinkOptions = {
  readonly dial: () => Promise<Upstream>
  readonly dialCold: () => Promise<Socket>
  /** Gets a new token although the old one looked valid; throws UNAUTHORIZED where that is not possible. */
  readonly renew: () => Promise<void>
  readonly serverName: string
  readonly onEvent: (event: LinkEvent) => void
  /** How long a client waits for a server that is away, in ms. */
  readonly patienceMs?: number
}

const DEFAULT_PATIENCE_MS = 10_000
const FIRST_DELAY_MS = 250
const MAX_DELAY_MS = 10_000
/** Errors that say "not now" of a server that will be back; everything else is an answer. */
const AWAY: ReadonlySet<string> = new Set(['UNREACHABLE', 'STARTING', 'DRAINING'])

/**
 * The way to the server, whether it is there at the moment or not. While it is away one probe goes out at
 * a time, backing off, and clients wait for it together instead of knocking each by itself.
 */
export class Link {
  readonly #options: LinkOptions
  readonly #waiting = new Set<() => void>()
  #probe: NodeJS.Timeout | undefined
  #isDown = false
  #isClosed = false

  constructor(options: LinkOptions) {
    this.#options = options
  }

  /**
   * Returns a tunnel, waiting a while for a server that is away.
   *
   * Throws: STARTING (57P03) if it stays away; UNAUTHORIZED (28000) if the sign-in ended; what the server answers.
   */
  async open(): Promise<Upstream> {
    const deadline = AbortSignal.timeout(this.#options.patienceMs ?? DEFAULT_PATIENCE_MS)
    let isRenewed = false
    while (!deadline.aborted && !this.#isClosed) {
      if (this.#isDown) {
        await this.#up(deadline)
        continue
      }
      try {
        return await this.#options.dial()
      } catch (error) {
        if (isUnauthorized(error) && !isRenewed) {
          isRenewed = true
          await this.#renew()
        } else if (isAway(error)) this.lost()
        else throw isUnauthorized(error) ? signInEnded(error) : error
      }
    }
    throw new DbgateError(
      'STARTING',
      `dbgate: reconnecting to ${this.#options.serverName}, try again shortly`,
    )
  }

  /** Notes that the server is away and begins to look for it. */
  lost(): void {
    if (this.#isDown || this.#isClosed) return
    this.#isDown = true
    this.#schedule(1)
  }

  /** Stops looking; who waits is told at once. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#probe)
    this.#wake()
  }

  #schedule(attempt: number): void {
    const nextMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1))
    this.#options.onEvent({ type: 'reconnecting', attempt, nextMs })
    this.#probe = setTimeout(() => {
      this.#options.dialCold().then(
        socket => {
          socket.destroy()
          this.#found()
        },
        error => {
          if (isAway(error) && !this.#isClosed) this.#schedule(attempt + 1)
          else this.#found()
        },
      )
    }, nextMs)
  }

  #found(): void {
    if (this.#isClosed) return
    this.#isDown = false
    this.#options.onEvent({ type: 'connected' })
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  #up(deadline: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const wake = (): void => {
        deadline.removeEventListener('abort', wake)
        this.#waiting.delete(wake)
        resolve()
      }
      this.#waiting.add(wake)
      deadline.addEventListener('abort', wake)
    })
  }

  async #renew(): Promise<void> {
    try {
      await this.#options.renew()
    } catch (error) {
      throw isUnauthorized(error) ? signInEnded(error) : error
    }
  }
}

/** True for errors of a server that is away for now. */
export function isAway(error: unknown): boolean {
  return error instanceof DbgateError && AWAY.has(error.code)
}

function isUnauthorized(error: unknown): boolean {
  return error instanceof DbgateError && error.code === 'UNAUTHORIZED'
}

function signInEnded(cause: unknown): DbgateError {
  return new DbgateError('UNAUTHORIZED', 'dbgate: sign-in expired. Run: dbgate login', { cause })
}
