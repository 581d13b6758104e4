import {
  BackendTag,
  decodeCommandComplete,
  decodeErrorFields,
  decodeReadyForQuery,
  type Frame,
  type TransactionStatus,
} from '../wire/index.ts'
import { type Expected, ended, NOTHING, outOfTurn, type Relay, runOf } from './expected.ts'
import type { Names, Portal } from './names.ts'
import type { Run, RunEnd } from './run.ts'
import { changed } from './run-mask.ts'

export type { Expected, OnDone, QueryForm, Relay } from './expected.ts'

/** What the exchange tells whoever keeps the records. */
export type ExchangeSink = {
  readonly finished: (run: Run, end: RunEnd) => void
}

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
  /** A response to the Query at the head has come: its ReadyForQuery may come too. */
  #isBegun = false
  /** The server takes copy data: until it has been told that there is no more, or something else stops it. */
  #copyIn: 'no' | 'receiving' | 'stopped' = 'no'
  /** Syncs sent into a copy that goes on: the server ignores them, unless it fails before it reads them. */
  #syncsInCopy = 0
  /** Syncs sent into a copy that failed, each of which is answered or was ignored: nobody can tell before. */
  #doubtfulSyncs = 0
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

  /** Syncs and Queries sent so far: the number of the cycle that the next message belongs to. */
  get cycle(): number {
    return this.#cyclesSent
  }

  /** Cycles that are over: every message of an earlier one has been answered or skipped. */
  get cyclesDone(): number {
    return this.#cyclesDone
  }

  /** Unanswered messages. */
  get depth(): number {
    return this.#queue.length - this.#head
  }

  /** Statements that are running or will, as far as it has been sent. */
  get statements(): number {
    let count = 0
    for (const expected of this.#queue.slice(this.#head)) {
      if (expected.kind === 'query') count += Math.max(1, expected.runs.length)
      else if (expected.kind === 'bind' || expected.kind === 'execute') count += 1
    }
    return count
  }

  /** What the next response answers. */
  get head(): Expected | undefined {
    return this.#queue[this.#head]
  }

  /**
   * What is still to come in the cycle under way: nothing that matters before its end (`sync`), nothing at all as
   * far as it has been sent (`none`), or something that does matter.
   */
  get rest(): 'sync' | 'none' | 'other' {
    const { head } = this
    if (head?.kind === 'query') return this.#statement >= head.runs.length ? 'sync' : 'other'
    const next = this.#queue
      .slice(this.#head)
      .find(expected => expected.kind !== 'close' || expected.portal === null)
    return next === undefined ? 'none' : next.kind === 'sync' ? 'sync' : 'other'
  }

  /** The run whose rows arrive now, for the relay to count on without a call. */
  get currentRun(): Run | null {
    return this.#currentRun
  }

  /** A message that will be answered has been sent upstream. */
  sent(expected: Expected): void {
    const isSync = expected.kind === 'sync'
    if (isSync || expected.kind === 'query') this.#cyclesSent += 1
    if (this.#skipping && !isSync) {
      this.#skipped(expected)
      return
    }
    this.#skipping = false
    if (this.#copyIn === 'receiving') {
      if (isSync) {
        this.#syncsInCopy += 1
        this.#cyclesDone += 1
        return
      }
      this.#copyIn = 'stopped'
    }
    this.#queue.push(expected)
    if (this.#queue.length - this.#head === 1) this.#enterHead()
  }

  /** CopyDone or CopyFail has been sent. */
  sentCopyEnd(): void {
    if (this.#copyIn === 'receiving') this.#copyIn = 'stopped'
    else if (this.depth > 0) this.#queue.push({ kind: 'copy-end', refusal: null })
  }

  /**
   * Takes one backend message that is neither a row nor copy data.
   *
   * Throws: PROTOCOL (08P01) for a response that can't come now.
   */
  received(frame: Frame): Relay {
    switch (frame.tag) {
      case BackendTag.NoticeResponse:
      case BackendTag.NotificationResponse:
      case BackendTag.ParameterStatus:
        return 'pass'
      case BackendTag.ReadyForQuery:
        this.#ready(decodeReadyForQuery(frame))
        return 'pass'
      default:
    }
    this.#isBegun = true
    // What answers a later message comes after the answers of all Syncs before it.
    this.#doubtfulSyncs = 0
    switch (frame.tag) {
      case BackendTag.CommandComplete:
        this.#statementDone('ok', decodeCommandComplete(frame))
        return 'pass'
      case BackendTag.EmptyQueryResponse:
        this.#statementDone('ok', '')
        return 'pass'
      case BackendTag.ErrorResponse:
        return this.#failed(frame)
      case BackendTag.FunctionCallResponse:
        this.#functionReturned(frame)
        return 'pass'
      case BackendTag.CopyInResponse:
        this.#beginCopyIn()
        return 'pass'
      case BackendTag.CopyOutResponse:
        this.#mustBeRunning(frame.tag)
        this.#currentRun?.mask?.copyOut(frame)
        return 'pass'
      case BackendTag.CopyDone:
        this.#mustBeRunning(frame.tag)
        return withRest(this.#currentRun?.mask?.copyDone() ?? null, frame)
      case BackendTag.NoData:
      case BackendTag.RowDescription:
        return this.#described(frame)
      case BackendTag.ParseComplete:
      case BackendTag.BindComplete:
      case BackendTag.CloseComplete:
      case BackendTag.PortalSuspended:
      case BackendTag.ParameterDescription:
        this.#answered(frame.tag)
        return 'pass'
      default:
        throw outOfTurn(frame.tag, this.#peek())
    }
  }

  /** A transaction has ended inside a cycle: portals bound in it are gone. */
  endTransaction(): void {
    for (const portal of this.#names.endTransaction()) this.#closePortal(portal, { outcome: 'ok' })
  }

  /** A portal was closed by SQL, or all were (undefined). */
  closePortal(name: string | undefined): void {
    if (name === undefined) {
      this.endTransaction()
      return
    }
    const portal = this.#names.portal(name)
    if (portal?.state !== 'bound') return
    this.#names.unbind(portal)
    this.#closePortal(portal, { outcome: 'ok' })
  }

  /** The session ends: everything unfinished ends with it. */
  abandon(end: RunEnd): void {
    for (const expected of this.#queue.slice(this.#head)) this.#finishAll(expected, end)
    for (const portal of this.#names.clear()) this.#closePortal(portal, end)
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
    this.#isBegun = false
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
        const { name, prepared, onDone } = this.#take('parse', tag)
        if (prepared !== null) this.#names.confirm(name, prepared)
        onDone?.(this)
        return
      }
      case BackendTag.BindComplete: {
        const { portal } = this.#take('bind', tag)
        if (portal === null) return
        for (const one of this.#names.bound(portal)) this.#closePortal(one, { outcome: 'ok' })
        return
      }
      case BackendTag.CloseComplete: {
        const { portal, onDone } = this.#take('close', tag)
        if (portal !== null) {
          this.#names.unbind(portal)
          this.#closePortal(portal, { outcome: 'ok' })
        }
        onDone?.(this)
        return
      }
      case BackendTag.PortalSuspended: {
        const { portal } = this.#take('execute', tag)
        // A cursor of DECLARE is no portal of ours: each Execute of it is a run by itself.
        if (portal !== null && this.#names.portal(portal.name) !== portal)
          this.#closePortal(portal, { outcome: 'ok' })
        return
      }
      default:
        if (head?.kind !== 'describe') throw outOfTurn(tag, head)
    }
  }

  /** What rows will be: of a Describe, or of a Query whose rows come next. */
  #described(frame: Frame): Relay {
    const head = this.#peek()
    if (head === undefined || head.refusal !== null) throw outOfTurn(frame.tag, head)
    const hasRows = frame.tag === BackendTag.RowDescription
    switch (head.kind) {
      case 'describe':
        this.#pop()
        return 'pass'
      case 'own-describe':
        if (hasRows) head.portal.run?.mask?.described(frame)
        this.#pop()
        return NOTHING
      case 'query':
        if (!hasRows) throw outOfTurn(frame.tag, head)
        this.#currentRun?.mask?.described(frame)
        return 'pass'
      default:
        throw outOfTurn(frame.tag, head)
    }
  }

  #mustBeRunning(tag: number): void {
    const head = this.#peek()
    if (head?.kind !== 'query' && head?.kind !== 'execute') throw outOfTurn(tag, head)
  }

  #statementDone(outcome: 'ok', tag: string): void {
    const head = this.#peek()
    this.#copyEnded()
    if (head?.kind === 'query' && head.refusal === null) {
      const run = head.runs[this.#statement]
      if (run !== undefined && head.form === 'statements') this.#finish(run, { outcome, tag })
      head.onDone[this.#statement]?.(this)
      if (head.form !== 'statements') return
      this.#statement += 1
      this.#currentRun = runOf(head, this.#statement)
      return
    }
    const { portal, onDone } = this.#take('execute', BackendTag.CommandComplete)
    if (portal !== null) this.#closePortal(portal, { outcome, tag })
    onDone?.(this)
  }

  #functionReturned(frame: Frame): void {
    const head = this.#peek()
    const run = this.#currentRun
    if (head?.kind !== 'query' || head.form !== 'function-call' || run === null) {
      throw outOfTurn(frame.tag, head)
    }
    if (run.mask !== null) throw changed('value')
    run.rows += 1
    run.bytes += frame.end - frame.start
  }

  #ready(status: TransactionStatus): void {
    const head = this.#peek()
    const isAnswer = head?.kind === 'sync' || (head?.kind === 'query' && this.#isBegun)
    if (isAnswer) {
      const isWhole = head.kind === 'query' && head.form !== 'statements'
      this.#finishAll(head, { outcome: isWhole ? 'ok' : 'not-run' })
      this.#cyclesDone += 1
      this.#copyEnded()
      this.#pop()
    } else {
      if (this.#doubtfulSyncs === 0) throw outOfTurn(BackendTag.ReadyForQuery, head)
      this.#doubtfulSyncs -= 1
      this.#skipping = false
    }
    this.#status = status
    if (status === 'I') this.endTransaction()
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
    if (this.#copyIn !== 'no') this.#copyFailed()
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
    if (head.kind === 'parse') this.#names.refuse(head.name, head.prepared)
    else if (head.kind === 'bind' && head.portal !== null) this.#names.unbind(head.portal)
    this.#head += 1
    for (let next = this.#peek(); next !== undefined; next = this.#peek()) {
      if (next.kind === 'sync') {
        this.#enterHead()
        return
      }
      this.#skipped(next)
      this.#head += 1
    }
    this.#queue = []
    this.#head = 0
    this.#currentRun = null
    this.#skipping = true
  }

  /** The server never acts on this message: what it would have made is taken back. */
  #skipped(expected: Expected): void {
    this.#finishAll(expected, { outcome: 'skipped' })
    if (expected.kind === 'query') this.#cyclesDone += 1
    else if (expected.kind === 'parse' && expected.prepared !== null)
      this.#names.withdraw(expected.name, expected.prepared)
    else if (expected.kind === 'bind' && expected.portal !== null)
      this.#names.unbind(expected.portal)
  }

  /**
   * The server takes copy data now. It ignores a Sync until the copy ends (drivers send one before they
   * know that the command is a COPY); anything else that is no copy data stops it.
   */
  #beginCopyIn(): void {
    this.#mustBeRunning(BackendTag.CopyInResponse)
    const behind = this.#head + 1
    let at = behind
    while (this.#queue[at]?.kind === 'sync') at += 1
    const stopper = this.#queue[at]
    this.#copyIn = stopper === undefined ? 'receiving' : 'stopped'
    // Somebody who sends a further message expects the Sync before it to be answered, and it is if the
    // copy fails before it reads anything. If it does not, the server ends the connection.
    if (stopper !== undefined && stopper.kind !== 'copy-end') return
    this.#syncsInCopy += at - behind
    this.#cyclesDone += at - behind
    this.#queue.splice(behind, at - behind + (stopper === undefined ? 0 : 1))
  }

  #copyEnded(): void {
    this.#copyIn = 'no'
    this.#syncsInCopy = 0
  }

  #copyFailed(): void {
    this.#doubtfulSyncs += this.#syncsInCopy
    this.#copyEnded()
  }

  #closePortal({ run }: Portal, end: RunEnd): void {
    if (run !== null) this.#finish(run, end)
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

/** What a mask has kept back, before the end of the copy. */
function withRest(rest: Buffer | null, frame: Frame): Relay {
  if (rest === null || rest.length === 0) return 'pass'
  return Buffer.concat([rest, frame.buf.subarray(frame.start, frame.end)])
}
