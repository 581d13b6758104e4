import { DbgateError } from '../errors.ts'
import {
  BackendTag,
  backendName,
  decodeCommandComplete,
  decodeErrorFields,
  decodeReadyForQuery,
  type Frame,
  type TransactionStatus,
} from '../wire/index.ts'
import type { Names, Portal, Prepared } from './names.ts'
import type { Run, RunEnd } from './run.ts'

/**
 * One response that is still to come from upstream: one entry for each message sent that is answered.
 * `refusal` stands where a statement that fails for sure was sent in a refused one's place: it is the
 * ErrorResponse that the person gets instead of the server's.
 */
export type Expected = { readonly refusal: Buffer | null } & (
  | {
      readonly kind: 'query'
      /** One for each statement of the text, or one for all of it where it is not taken apart. */
      readonly runs: readonly Run[]
      readonly form: QueryForm
      readonly onDone: readonly OnDone[]
    }
  | { readonly kind: 'parse'; readonly name: string; readonly prepared: Prepared | null }
  | {
      readonly kind: 'bind'
      readonly portal: Portal | null
      /** The portal that this one replaces once it is done, and which ends then. */
      readonly retires: Portal | null
    }
  | { readonly kind: 'execute'; readonly portal: Portal | null; readonly onDone: OnDone }
  | {
      readonly kind: 'close'
      readonly name: string
      readonly closed: readonly Prepared[]
      readonly retires: Portal | null
      readonly onDone: OnDone
    }
  | { readonly kind: 'describe' | 'sync' | 'copy-end' }
)

/**
 * What a Query is answered by: results for each of its statements; results of who knows how many (a text
 * that was not understood, or an empty one); or the single value of a FunctionCall.
 */
export type QueryForm = 'statements' | 'opaque' | 'function-call'

/** What a statement changes in the session once the server says that it is done; null for most. */
export type OnDone = (() => void) | null

/** What the exchange tells whoever keeps the records. */
export type ExchangeSink = {
  readonly finished: (run: Run, end: RunEnd) => void
}

/** What becomes of one backend message: it goes on as it is, or this goes in its place. */
export type Relay = 'pass' | Buffer

type Kind = Expected['kind']

/**
 * The conversation with upstream: what was sent and has not been answered, and what each answer means.
 *
 * Deterministic and without I/O: `sent` and `received` are its only steps. Each response is held against
 * the one that must come next; one that can't come there is a violation and ends the session, because
 * from then on nobody could say which statement a row belongs to.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-flow.html; for what the server skips and
 * ignores, PostgresMain and SocketBackend in src/backend/tcop/postgres.c, CopyGetData in copyfromparse.c.
 */
export class Exchange {
  readonly #names: Names
  readonly #sink: ExchangeSink
  #queue: Expected[] = []
  #head = 0
  /** Index of the statement of the Query at the head whose results are arriving. */
  #statement = 0
  #status: TransactionStatus = 'I'
  #skipping = false
  #copyIn: 'no' | 'receiving' = 'no'
  #cyclesSent = 0
  #cyclesDone = 0
  #currentRun: Run | null = null

  constructor(names: Names, sink: ExchangeSink) {
    this.#names = names
    this.#sink = sink
  }

  /** Transaction status as of the last ReadyForQuery. */
  get status(): TransactionStatus {
    return this.#status
  }

  /** Nothing sent is unanswered. */
  get isIdle(): boolean {
    return this.#head === this.#queue.length && !this.#skipping
  }

  /** The server is skipping everything up to the next Sync, so nothing before it needs to be sent. */
  get isSkipping(): boolean {
    return this.#skipping
  }

  /** Syncs and Queries sent so far. */
  get cycle(): number {
    return this.#cyclesSent
  }

  /** Unanswered messages. */
  get depth(): number {
    return this.#queue.length - this.#head
  }

  /** The run whose rows arrive now, for the relay to count on without a call. */
  get currentRun(): Run | null {
    return this.#currentRun
  }

  /** A message that will be answered has been sent upstream. */
  sent(expected: Expected): void {
    if (expected.kind === 'sync' || expected.kind === 'query') this.#cyclesSent += 1
    if (this.#copyIn === 'receiving' && expected.kind !== 'sync') {
      this.#copyIn = 'no'
      this.#consumeUnanswered(expected)
      return
    }
    if (expected.kind === 'sync') this.#skipping = false
    this.#queue.push(expected)
    if (this.#queue.length - this.#head === 1) this.#enterHead()
  }

  /** CopyDone or CopyFail has been sent. */
  sentCopyEnd(): void {
    if (this.#copyIn === 'receiving') {
      this.#copyIn = 'no'
      this.#ignoreSyncsBehindHead()
    } else if (this.depth > 0) this.sent({ kind: 'copy-end', refusal: null })
  }

  /**
   * Takes one backend message that is neither a row nor copy data.
   *
   * Throws: PROTOCOL (08P01) for a response that can't come now.
   */
  received(frame: Frame): Relay {
    switch (frame.tag) {
      case BackendTag.CommandComplete:
        this.#statementDone('ok', decodeCommandComplete(frame))
        return 'pass'
      case BackendTag.EmptyQueryResponse:
        this.#statementDone('ok', '')
        return 'pass'
      case BackendTag.ReadyForQuery:
        this.#ready(decodeReadyForQuery(frame))
        return 'pass'
      case BackendTag.ErrorResponse:
        return this.#failed(frame)
      case BackendTag.ParseComplete:
      case BackendTag.BindComplete:
      case BackendTag.CloseComplete:
      case BackendTag.NoData:
      case BackendTag.PortalSuspended:
      case BackendTag.RowDescription:
      case BackendTag.ParameterDescription:
        this.#answered(frame.tag)
        return 'pass'
      case BackendTag.FunctionCallResponse:
        this.#functionReturned(frame)
        return 'pass'
      case BackendTag.CopyInResponse:
        this.#beginCopyIn()
        return 'pass'
      case BackendTag.CopyOutResponse:
      case BackendTag.CopyDone:
        this.#mustBeRunning(frame.tag)
        return 'pass'
      case BackendTag.NoticeResponse:
      case BackendTag.NotificationResponse:
      case BackendTag.ParameterStatus:
        return 'pass'
      default:
        throw outOfTurn(frame.tag, this.#peek())
    }
  }

  /** The session ends: everything unfinished ends with it. */
  abandon(end: RunEnd): void {
    for (const expected of this.#queue.slice(this.#head)) this.#finishAll(expected, end)
    for (const portal of this.#names.endTransaction(Number.POSITIVE_INFINITY))
      this.#closePortal(portal, end)
    this.#queue = []
    this.#head = 0
    this.#currentRun = null
  }

  #peek(): Expected | undefined {
    return this.#queue[this.#head]
  }

  #pop(): void {
    this.#head += 1
    if (this.#head === this.#queue.length) {
      this.#queue = []
      this.#head = 0
    } else if (this.#head > 1024) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
    this.#enterHead()
  }

  #enterHead(): void {
    this.#statement = 0
    let head = this.#peek()
    while (head?.kind === 'copy-end') {
      this.#head += 1
      head = this.#peek()
    }
    this.#currentRun = head === undefined ? null : runOf(head, 0)
  }

  #take<K extends Kind>(kind: K, tag: number): Extract<Expected, { kind: K }> {
    const head = this.#peek()
    if (head?.kind !== kind || head.refusal !== null) throw outOfTurn(tag, head)
    this.#pop()
    return head as Extract<Expected, { kind: K }>
  }

  #answered(tag: number): void {
    const head = this.#peek()
    switch (tag) {
      case BackendTag.ParseComplete: {
        const { name, prepared } = this.#take('parse', tag)
        if (prepared !== null) this.#names.confirm(name, prepared)
        return
      }
      case BackendTag.BindComplete:
        this.#retire(this.#take('bind', tag).retires)
        return
      case BackendTag.CloseComplete:
        this.#closed(this.#take('close', tag))
        return
      case BackendTag.PortalSuspended:
        this.#take('execute', tag)
        return
      case BackendTag.ParameterDescription:
        if (head?.kind !== 'describe') throw outOfTurn(tag, head)
        return
      case BackendTag.NoData:
        this.#take('describe', tag)
        return
      default:
        if (head?.refusal !== null) throw outOfTurn(tag, head)
        if (head.kind === 'describe') this.#pop()
        else if (head.kind !== 'query') throw outOfTurn(tag, head)
    }
  }

  #mustBeRunning(tag: number): void {
    const head = this.#peek()
    if (head?.kind !== 'query' && head?.kind !== 'execute') throw outOfTurn(tag, head)
  }

  #statementDone(outcome: 'ok', tag: string): void {
    const head = this.#peek()
    this.#copyIn = 'no'
    if (head?.kind === 'query' && head.refusal === null) {
      const run = head.runs[this.#statement]
      if (run !== undefined && head.form === 'statements') this.#finish(run, { outcome, tag })
      head.onDone[this.#statement]?.()
      if (head.form !== 'statements') return
      this.#statement += 1
      this.#currentRun = runOf(head, this.#statement)
      return
    }
    const { portal, onDone } = this.#take('execute', BackendTag.CommandComplete)
    if (portal?.run != null) this.#finish(portal.run, { outcome, tag })
    onDone?.()
  }

  #functionReturned(frame: Frame): void {
    const head = this.#peek()
    const run = this.#currentRun
    if (head?.kind !== 'query' || head.form !== 'function-call' || run === null) {
      throw outOfTurn(frame.tag, head)
    }
    run.rows += 1
    run.bytes += frame.end - frame.start
  }

  #ready(status: TransactionStatus): void {
    const head = this.#peek()
    if (head?.kind !== 'sync' && head?.kind !== 'query')
      throw outOfTurn(BackendTag.ReadyForQuery, head)
    const isWhole = head.kind === 'query' && head.form !== 'statements'
    this.#finishAll(head, { outcome: isWhole ? 'ok' : 'not-run' })
    this.#copyIn = 'no'
    this.#status = status
    this.#cyclesDone += 1
    this.#pop()
    if (status !== 'I') return
    for (const portal of this.#names.endTransaction(this.#cyclesDone)) {
      this.#closePortal(portal, { outcome: 'ok' })
    }
  }

  /** An error ends what is running; in the extended protocol the server skips everything up to Sync. */
  #failed(frame: Frame): Relay {
    const head = this.#peek()
    const fields = decodeErrorFields(frame)
    const isFatal = (fields.get('V') ?? fields.get('S')) !== 'ERROR'
    if (head === undefined) {
      if (isFatal) return 'pass'
      throw outOfTurn(BackendTag.ErrorResponse, head)
    }
    this.#copyIn = 'no'
    const sqlstate = fields.get('C') ?? 'XX000'
    if (head.kind === 'query') this.#failQuery(head, sqlstate)
    else if (head.kind !== 'sync') this.#failPipeline(head, sqlstate)
    return head.refusal === null || isFatal ? 'pass' : head.refusal
  }

  #failQuery(head: Extract<Expected, { kind: 'query' }>, sqlstate: string): void {
    const run = head.runs[this.#statement]
    if (run !== undefined) this.#finish(run, ended(sqlstate))
    this.#currentRun = null
  }

  #failPipeline(head: Expected, sqlstate: string): void {
    const run = runOf(head, 0)
    if (run !== null) this.#finish(run, ended(sqlstate))
    this.#drop(head, { outcome: 'skipped' })
    this.#head += 1
    for (let next = this.#peek(); next !== undefined; next = this.#peek()) {
      if (next.kind === 'sync') {
        this.#enterHead()
        return
      }
      this.#consumeUnanswered(next)
      this.#head += 1
    }
    this.#queue = []
    this.#head = 0
    this.#currentRun = null
    this.#skipping = true
  }

  /** The server never acted on this message: what it would have made or removed is put back. */
  #drop(expected: Expected, end: RunEnd): void {
    this.#finishAll(expected, end)
    switch (expected.kind) {
      case 'parse':
        if (expected.prepared !== null) this.#names.withdraw(expected.name, expected.prepared)
        return
      case 'bind':
        if (expected.portal !== null) this.#names.unbind(expected.portal)
        this.#retire(expected.retires)
        return
      case 'close':
        this.#retire(expected.retires)
        this.#names.restore(expected.name, expected.closed)
        return
      default:
    }
  }

  /**
   * The server takes copy data now. It ignores a Sync until the copy ends (drivers send one before they
   * know that the command is a COPY), and fails on anything else: that message is consumed unanswered.
   */
  #beginCopyIn(): void {
    this.#mustBeRunning(BackendTag.CopyInResponse)
    this.#ignoreSyncsBehindHead()
    const stopper = this.#queue[this.#head + 1]
    this.#copyIn = stopper === undefined ? 'receiving' : 'no'
    if (stopper === undefined) return
    this.#queue.splice(this.#head + 1, 1)
    this.#consumeUnanswered(stopper)
  }

  #ignoreSyncsBehindHead(): void {
    const behind = this.#head + 1
    while (this.#queue[behind]?.kind === 'sync') {
      this.#queue.splice(behind, 1)
      this.#cyclesDone += 1
    }
  }

  #consumeUnanswered(expected: Expected): void {
    if (expected.kind === 'query') this.#cyclesDone += 1
    this.#drop(expected, { outcome: 'skipped' })
  }

  #closed({ retires, onDone }: Extract<Expected, { kind: 'close' }>): void {
    this.#retire(retires)
    onDone?.()
  }

  #retire(portal: Portal | null): void {
    if (portal !== null) this.#closePortal(portal, { outcome: 'ok' })
  }

  #closePortal(portal: Portal, end: RunEnd): void {
    if (portal.run === null) return
    this.#finish(portal.run, portal.run.isExecuted ? end : { outcome: 'not-run' })
  }

  #finishAll(expected: Expected, end: RunEnd): void {
    if (expected.kind === 'query') for (const run of expected.runs) this.#finish(run, end)
    else if ('portal' in expected && expected.portal?.run != null)
      this.#finish(expected.portal.run, end)
  }

  #finish(run: Run, end: RunEnd): void {
    if (run.isFinished) return
    run.isFinished = true
    this.#sink.finished(run, end)
  }
}

function ended(sqlstate: string): RunEnd {
  return { outcome: sqlstate === '57014' ? 'cancelled' : 'error', sqlstate }
}

function runOf(expected: Expected, statement: number): Run | null {
  if (expected.refusal !== null) return null
  if (expected.kind === 'query') return expected.runs[statement] ?? null
  if (expected.kind === 'bind' || expected.kind === 'execute') return expected.portal?.run ?? null
  return null
}

function outOfTurn(tag: number, head: Expected | undefined): DbgateError {
  return new DbgateError('PROTOCOL', `the database sent ${backendName(tag)} out of turn`, {
    detail: `Expected next: ${head === undefined ? 'nothing' : `the answer to ${head.kind}`}.`,
  })
}
