import type { ApprovalRequest } from '../store/index.ts'
import type { Ledger } from './ledger.ts'
import { isAlive } from './life.ts'

/**
 * How long to wait, and for what: `decided` ends when it is open no more, `ran` also waits for the approved
 * statement to be over. `signal` ends it at once.
 */
export type WaitOptions = {
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  readonly for?: 'decided' | 'ran'
}

/** A timer takes 24.8 days at most. */
const MAX_TIMER_MS = 3_600_000

/** Those who wait for a decision, in this process. */
export class Waiting {
  readonly #ledger: Ledger
  readonly #byId = new Map<string, Set<() => void>>()

  constructor(ledger: Ledger) {
    this.#ledger = ledger
    ledger.listen(({ request }) => this.#look(request.id))
  }

  /** Lets everybody look again: another process may have decided. */
  lookAgain(): void {
    for (const id of [...this.#byId.keys()]) this.#look(id)
  }

  /**
   * Returns the request once it is settled, or as it is when the time is up or the signal comes. Undefined if
   * there is none of that id, or no longer.
   *
   * Throws: NO_STORE.
   */
  wait(id: string, options: WaitOptions): Promise<ApprovalRequest | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<ApprovalRequest | undefined>()
    const { signal } = options
    let isOver = false
    let cancelExpiry = () => {}
    const stop = () => {
      cancelExpiry()
      cancelTimeout()
      signal?.removeEventListener('abort', end)
      this.#remove(id, look)
    }
    const look = () => {
      cancelExpiry()
      try {
        const request = this.#ledger.find(id)
        if (request === undefined || isOver || isSettled(request, options.for ?? 'decided')) {
          stop()
          resolve(request)
          return
        }
        if (!isAlive(request)) return
        const leftMs = Math.max(1, request.expiresAt - this.#ledger.now())
        cancelExpiry = this.#ledger.clock.after(Math.min(leftMs, MAX_TIMER_MS), look)
      } catch (error) {
        stop()
        reject(error)
      }
    }
    const end = () => {
      isOver = true
      look()
    }
    const cancelTimeout = this.#after(options.timeoutMs, end)
    signal?.addEventListener('abort', end)
    this.#add(id, look)
    if (signal?.aborted === true) end()
    else look()
    return promise
  }

  /** A timer of any length. Returns what cancels it. */
  #after(ms: number, run: () => void): () => void {
    let cancel = () => {}
    const start = (leftMs: number) => {
      const isLast = leftMs <= MAX_TIMER_MS
      const next = isLast ? run : () => start(leftMs - MAX_TIMER_MS)
      cancel = this.#ledger.clock.after(isLast ? leftMs : MAX_TIMER_MS, next)
    }
    start(ms)
    return () => cancel()
  }

  #look(id: string): void {
    for (const look of [...(this.#byId.get(id) ?? [])]) look()
  }

  #add(id: string, look: () => void): void {
    const looks = this.#byId.get(id) ?? new Set()
    this.#byId.set(id, looks.add(look))
  }

  #remove(id: string, look: () => void): void {
    const looks = this.#byId.get(id)
    looks?.delete(look)
    if (looks?.size === 0) this.#byId.delete(id)
  }
}

function isSettled(request: ApprovalRequest, what: 'decided' | 'ran'): boolean {
  if (request.state === 'open') return false
  if (what === 'decided' || request.kind === 'access') return true
  return request.state === 'used' ? request.use?.ran !== undefined : request.state !== 'approved'
}
