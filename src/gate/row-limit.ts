import { DbgateError } from '../errors.ts'
import type { Limits } from '../policy/index.ts'
import {
  BackendTag,
  decodeCommandComplete,
  decodeErrorFields,
  decodeReadyForQuery,
  encodeCommandComplete,
  encodeFlush,
  encodeNotice,
  type Frame,
} from '../wire/index.ts'
import type { Exchange, Relay } from './exchange.ts'
import { FAILING_PARSE, FAILING_QUERY, refusalOf } from './refusal.ts'
import type { Run, RunEnd, RunLimit } from './run.ts'

type Kind = { readonly kind: string; readonly class: string }

/** The limit on a run of these statements, by what the role has; null for none. */
export function runLimit(rows: Limits['rows'], statements: readonly Kind[]): RunLimit | null {
  if (rows === undefined) return null
  const isRead = isOnlyRead(statements)
  // Half a COPY is no file: one that can't fail is let through as it is.
  if (statements.some(({ kind }) => kind === 'COPY_TO')) {
    return isRead ? { max: rows.max, over: 'error' } : null
  }
  return { max: rows.max, over: isRead ? rows.over : 'cut' }
}

const HARMLESS = ['SHOW', 'EXPLAIN', 'FETCH']

function isOnlyRead(statements: readonly Kind[]): boolean {
  return (
    statements.length > 0 &&
    statements.every(each => each.class === 'read' || HARMLESS.includes(each.kind))
  )
}

export type RowLimitOptions = {
  readonly exchange: Exchange
  readonly target: () => string
  /** Has the database stop what it is doing; settled once it has been told. */
  readonly stop: () => Promise<void>
  /** Sends something of the gate's own upstream; false where nothing can be sent any more. */
  readonly send: (bytes: Buffer) => boolean
  /** A statement is being stopped: nothing may be sent before the promise is settled, or it would be stopped instead. */
  readonly stopping: (over: Promise<void>) => void
  /** The database has been told: what it said meanwhile may go on. */
  readonly told: () => void
}

/** A run that is being stopped. */
type Over = {
  readonly run: Run
  readonly error: DbgateError
  readonly released: Promise<void>
  readonly release: () => void
  /** The database has been told to stop. */
  isTold: boolean
  /** What came of it: not known yet; it failed; or it was complete before it could be stopped. */
  came: 'nothing' | 'failed' | 'late'
}

const NOTHING = Buffer.alloc(0)
const CANCELLED = '57014'

/**
 * Holds a session to its limit of rows.
 *
 * Over it, rows are dropped and the client is told (`cut`), or the statement is stopped and fails (`error`).
 * A statement may be complete before the database hears of the stop. Then a read that stands alone fails for the
 * client only; in an open transaction, a statement that fails for sure is sent behind it, so that the transaction
 * is aborted on both sides. Where neither is true, the session ends: better no answer than a wrong one.
 */
export class RowLimit {
  readonly #options: RowLimitOptions
  #over: Over | null = null
  /** Since the last ReadyForQuery something has run that is no read. */
  #isUnsafe = false

  constructor(options: RowLimitOptions) {
    this.#options = options
  }

  /** Settled once the statement that is being stopped is answered; null while none is. */
  get over(): Promise<void> | null {
    return this.#over?.released ?? null
  }

  /** The answer of a stopped statement has come, but not yet the word that the database has heard of the stop. */
  get isWaiting(): boolean {
    return this.#over !== null && !this.#over.isTold && this.#over.came !== 'nothing'
  }

  /** True for a row, or a piece of one, that goes on. Asked only for runs that have a limit. */
  admits(run: Run, limit: RunLimit, frame: Frame): boolean {
    if (frame.part === 'middle' || frame.part === 'tail') return run.dropped === 0
    // The header or the trailer of a COPY is no row.
    const max = frame.tag === BackendTag.CopyData ? limit.max + 1 : limit.max
    if (run.rows < max && run.dropped === 0) return true
    run.dropped += 1
    if (run.dropped === 1 && limit.over === 'error' && this.#over === null) this.#stop(run, limit)
    return false
  }

  /** What becomes of a message that is no row; undefined for one that is none of its business. */
  relay(frame: Frame): Relay | undefined {
    const over = this.#over
    const run = this.#options.exchange.currentRun
    if (over !== null) return this.#relayOver(over, run, frame)
    if (run !== null && run.dropped > 0) return this.#relayCut(run, frame)
    if (frame.tag === BackendTag.ReadyForQuery) this.#isUnsafe = false
    return undefined
  }

  /** How the record says a run ended. */
  endOf(run: Run, end: RunEnd): RunEnd {
    if (run.limit?.over !== 'error') this.#isUnsafe = true
    const isStopped =
      this.#over?.run === run && (end.outcome === 'ok' || end.sqlstate === CANCELLED)
    return isStopped ? { outcome: 'error', sqlstate: this.#over?.error.sqlstate } : end
  }

  /** The session has ended. */
  close(): void {
    this.#over?.release()
    this.#over = null
  }

  #stop(run: Run, { max }: RunLimit): void {
    let release = () => {}
    const released = new Promise<void>(resolve => {
      release = resolve
    })
    const over: Over = {
      run,
      error: tooMany(max, this.#options.target()),
      released,
      release,
      isTold: false,
      came: 'nothing',
    }
    this.#over = over
    // What it has to say may lie in the database's buffer, and nobody can send the Sync that would bring it out.
    if (this.#options.exchange.head?.kind !== 'query') this.#options.send(encodeFlush())
    this.#options.stopping(released)
    void this.#options.stop().finally(() => {
      over.isTold = true
      if (this.#over !== over) return
      if (over.came === 'failed') this.#done(over)
      this.#options.told()
    })
  }

  #done(over: Over): void {
    this.#over = null
    over.release()
  }

  #relayOver(over: Over, run: Run | null, frame: Frame): Relay | undefined {
    if (over.came === 'failed') return undefined
    if (over.came === 'late') return this.#relayLate(over, frame)
    if (run !== over.run) return undefined
    const { exchange } = this.#options
    switch (frame.tag) {
      case BackendTag.ErrorResponse: {
        const fields = decodeErrorFields(frame)
        if ((fields.get('V') ?? fields.get('S')) !== 'ERROR') return undefined
        const relay = exchange.received(frame)
        over.came = 'failed'
        if (over.isTold) this.#done(over)
        return fields.get('C') === CANCELLED && relay === 'pass' ? refusalOf(over.error) : relay
      }
      case BackendTag.CommandComplete:
      case BackendTag.PortalSuspended:
        over.came = 'late'
        exchange.received(frame)
        this.#expectRest(over)
        return NOTHING
      default:
        return undefined
    }
  }

  /** What is still to come has to be answers that a client does not miss after an error. */
  #expectRest({ error }: Over): void {
    const { exchange, send } = this.#options
    const rest = exchange.rest
    if (rest === 'sync') return
    if (rest === 'other') throw error
    // The client has not said Sync yet: all up to it is skipped, on both sides.
    exchange.sent({ kind: 'bind', refusal: refusalOf(error), portal: null })
    if (!send(FAILING_PARSE)) throw error
  }

  #relayLate(over: Over, frame: Frame): Relay | undefined {
    const { exchange, send } = this.#options
    switch (frame.tag) {
      case BackendTag.CloseComplete:
        exchange.received(frame)
        return NOTHING
      case BackendTag.ErrorResponse:
        this.#done(over)
        return undefined
      case BackendTag.ReadyForQuery: {
        const status = decodeReadyForQuery(frame)
        exchange.received(frame)
        if (status === 'T') {
          if (exchange.depth > 0) throw over.error
          const refusal = refusalOf(over.error)
          exchange.sent({ kind: 'query', refusal, runs: [], form: 'opaque', onDone: [] })
          if (!send(FAILING_QUERY)) throw over.error
          this.#done(over)
          return NOTHING
        }
        if (this.#isUnsafe) throw over.error
        this.#done(over)
        return Buffer.concat([refusalOf(over.error), frame.buf.subarray(frame.start, frame.end)])
      }
      default:
        return undefined
    }
  }

  /** Says what was left out, and how many rows there are without that. */
  #relayCut(run: Run, frame: Frame): Relay | undefined {
    const isSuspended = frame.tag === BackendTag.PortalSuspended
    if (frame.tag !== BackendTag.CommandComplete && !isSuspended) return undefined
    const { exchange, target } = this.#options
    const max = run.limit?.max ?? 0
    const tag = isSuspended ? `SELECT ${max}` : tagOf(decodeCommandComplete(frame), run.dropped)
    run.dropped = 0
    const own = encodeCommandComplete(tag)
    const relay = exchange.received(isSuspended ? frame : wholeFrame(own))
    if (relay !== 'pass') return relay
    const notice = `dbgate: limit, only the first ${max} rows are shown (limit on ${target()}).`
    return Buffer.concat([encodeNotice(notice, { hint: 'Add a LIMIT or an aggregate.' }), own])
  }
}

/** `SELECT 5` of which 2 were dropped is `SELECT 3`; what changed rows has changed them all. */
function tagOf(tag: string, dropped: number): string {
  const [, word, count] = /^(SELECT|FETCH) (\d+)$/.exec(tag) ?? []
  return word === undefined ? tag : `${word} ${Math.max(0, Number(count) - dropped)}`
}

function wholeFrame(buf: Buffer): Frame {
  return { tag: buf[0] ?? 0, buf, start: 0, end: buf.length, part: 'whole' }
}

function tooMany(max: number, target: string): DbgateError {
  return new DbgateError(
    'LIMIT',
    `dbgate: limit, more than ${max} rows (limit on ${target}). Next: add a LIMIT or an aggregate.`,
  )
}
