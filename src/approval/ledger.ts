import { DbgateError } from '../errors.ts'
import type { Principal } from '../identity/index.ts'
import type { NoteRecord } from '../record/index.ts'
import type { ApprovalRequest, HoldStore } from '../store/index.ts'
import { type ApprovalEvent, isWidening, recordOf } from './events.ts'
import { newId } from './ids.ts'
import { advance, type Cause, isDue, type Step } from './life.ts'

/** The time, epoch milliseconds, and a timer; `after` returns what cancels it. */
export type ApprovalClock = {
  readonly now: () => number
  readonly after: (ms: number, run: () => void) => () => void
}

/** The audit log as far as it is needed here. */
export type ApprovalLog = {
  readonly append: (...records: readonly NoteRecord[]) => void
  readonly note: (record: NoteRecord) => void
}

export type ApprovalOptions = {
  readonly store: HoldStore
  readonly clock: ApprovalClock
  readonly log: ApprovalLog
  /** Gives that many random bytes. */
  readonly random: (bytes: number) => Uint8Array
  /** Is told what has become true, such as for notifications. It should not throw. */
  readonly listener?: (event: ApprovalEvent) => void
  /** Is told what the listener threw: by then the change is made, and whoever made it must hear so. */
  readonly failed?: (error: unknown) => void
}

/** What one change may do; see `Ledger.write`. */
export type Draft = {
  readonly now: number
  readonly store: HoldStore
  /** A request as it is now: one whose time is over has expired, if nobody noticed before. */
  find(id: string): ApprovalRequest | undefined
  /** Expires it if its time is over. */
  settle<T extends ApprovalRequest>(request: T): T
  /** Makes a step that can happen. Throws: INTERNAL it can't, which is for the caller to check. */
  step<T extends ApprovalRequest>(request: T, step: Step, cause?: Omit<Cause, 'at'>): T
  /** Keeps a request that has changed. */
  put<T extends ApprovalRequest>(request: T): T
  insert<T extends ApprovalRequest>(request: T): T
  newId(prefix: 'h' | 'g'): string
  tell(event: ApprovalEvent): void
}

/** How often the time is put on file while nothing else is written. */
const SEE_MS = 10_000

const EVENTS = {
  approve: 'approved',
  deny: 'denied',
  expire: 'expired',
  withdraw: 'withdrawn',
  abandon: 'abandoned',
  end: 'ended',
} as const

/**
 * The store with time and record added: each change happens whole, once, and in this order: time → change →
 * audit log → disk → listeners. What only takes rights away is recorded after it is on disk, so that a log that
 * can't be written never keeps a right alive.
 */
export class Ledger {
  readonly store: HoldStore
  readonly clock: ApprovalClock
  readonly #options: ApprovalOptions
  readonly #listeners = new Set<(event: ApprovalEvent) => void>()
  #seen: number
  #seenOnFile: number

  constructor(options: ApprovalOptions) {
    this.store = options.store
    this.clock = options.clock
    this.#options = options
    this.#seen = this.store.seen()
    this.#seenOnFile = this.#seen
    this.now() // The clock may have been set back while nobody looked.
  }

  /** Has every event, before the options' listener. Returns what ends that. */
  listen(listener: (event: ApprovalEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * The time. If the clock was set back, everything alive ends that much earlier: what was left of an approval
   * is left, no more, and what had expired stays expired.
   */
  now(): number {
    const now = this.clock.now()
    if (now < this.#seen) return this.write(draft => draft.now)
    this.#seen = now
    return now
  }

  /** Puts the time on file if something alive depends on it, so that a restart knows of a clock set back. */
  keepTime(): void {
    if (this.now() - this.#seenOnFile >= SEE_MS && this.store.hasAlive())
      this.write(() => undefined)
  }

  /** A request as it is now. */
  find(id: string): ApprovalRequest | undefined {
    const request = this.store.find(id)
    if (request === undefined || !isDue(request, this.now())) return request
    return this.write(draft => draft.find(id))
  }

  /**
   * Makes a change. An error that it returns is thrown once the change is made; one that it throws undoes all.
   *
   * Throws: what `change` throws or returns; NO_STORE; UNAUDITED (58030): what widens rights is undone.
   */
  write<T>(change: (draft: Draft) => T | DbgateError): T {
    const events: ApprovalEvent[] = []
    let now = 0
    const result = this.store.transaction(() => {
      // Read under the lock: two processes then see times in the order of their changes.
      now = this.clock.now()
      const seen = Math.max(this.#seen, this.store.seen())
      if (now < seen) this.store.shorten(seen - now)
      this.store.see(now)
      const result = change(this.#draft(now, events))
      if (events.some(isWidening)) this.#options.log.append(...recordsOf(events))
      return result
    })
    this.#seen = now
    this.#seenOnFile = now
    if (!events.some(isWidening)) {
      for (const record of recordsOf(events)) this.#options.log.note(record)
    }
    for (const event of events) this.#tell(event)
    if (result instanceof DbgateError) throw result
    return result
  }

  /** Deletes up to `limit` requests that were over more than `keepMs` ago, on record. Returns how many. */
  deleteFinished(keepMs: number, limit: number): number {
    const time = this.now() - keepMs
    if (this.store.finishedBefore(time, 1).length === 0) return 0
    return this.store.transaction(() => {
      const ids = this.store.finishedBefore(time, limit)
      const finishedBefore = new Date(time).toISOString()
      if (ids.length > 0) this.#options.log.append({ type: 'request.deleted', ids, finishedBefore })
      this.store.delete(ids)
      return ids.length
    })
  }

  #draft(now: number, events: ApprovalEvent[]): Draft {
    const { store } = this
    const tell = (event: ApprovalEvent) => void events.push(event)
    const put = <T extends ApprovalRequest>(request: T): T => {
      store.replace(request)
      return request
    }
    const step: Draft['step'] = (request, step, cause = {}) => {
      const next = advance(request, step, { at: now, ...cause })
      if (next === undefined) throw new TypeError(`${request.id} is ${request.state}: no ${step}`)
      if (step !== 'use' && step !== 'giveBack') tell({ what: EVENTS[step], request: next })
      return put(next)
    }
    const settle: Draft['settle'] = request =>
      isDue(request, now) ? step(request, 'expire') : request
    return {
      ...{ now, store, tell, put, step, settle },
      find: id => {
        const request = store.find(id)
        return request === undefined ? undefined : settle(request)
      },
      insert: request => {
        store.insert(request)
        return request
      },
      newId: prefix => newId(prefix, this.#options.random, id => store.isSpent(id)),
    }
  }

  #tell(event: ApprovalEvent): void {
    for (const listener of this.#listeners) listener(event)
    try {
      this.#options.listener?.(event)
    } catch (error) {
      this.#options.failed?.(error)
    }
  }
}

/** Of one person's. Approvers who get too many stop reading them. */
const MAX_OPEN = 25

/** True if so many of somebody's requests are open that they may not file another. */
export function isFull(draft: Draft, { issuer, subject }: Pick<Principal, 'issuer' | 'subject'>) {
  return draft.store.countOpen(issuer, subject) >= MAX_OPEN
}

function recordsOf(events: readonly ApprovalEvent[]): readonly NoteRecord[] {
  return events.flatMap(event => recordOf(event) ?? [])
}
