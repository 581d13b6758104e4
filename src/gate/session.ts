import type { Duplex } from 'node:stream'
import type { Approvals } from '../approval/index.ts'
import { asDbgateError, DbgateError } from '../errors.ts'
import type { Masks, Remembered } from '../mask/index.ts'
import { type Grant, isUnrestricted } from '../policy/index.ts'
import type { SessionLog } from '../record/index.ts'
import type { Analyser } from '../sql/index.ts'
import {
  BackendTag,
  decodeErrorFields,
  decodeParameterStatus,
  encodeErrorResponse,
  type Frame,
  FrameReader,
  FrontendTag,
  frontendName,
} from '../wire/index.ts'
import { Authorizer } from './authorize.ts'
import type { CatalogView } from './catalogs.ts'
import type { Resume } from './clearance.ts'
import { Exchange, type Relay } from './exchange.ts'
import { NOTHING } from './expected.ts'
import { endGently } from './farewell.ts'
import { Holding } from './holding.ts'
import { Names, nameOf } from './names.ts'
import { OutputRun } from './output-run.ts'
import type { Pace } from './pace.ts'
import { type Phase, type PhaseEffect, type PhaseEvent, step } from './phase.ts'
import type { Recorder } from './recorder.ts'
import { refusalOf } from './refusal.ts'
import { Router } from './router.ts'
import { RowLimit } from './row-limit.ts'
import { type Run, type RunEnd, rowsOf } from './run.ts'
import type { RunMask } from './run-mask.ts'
import { SessionScope } from './session-scope.ts'
import { Shield } from './shield.ts'
import type { Standing } from './standing.ts'
import { makesUnreadable } from './text.ts'
import { Stopwatch, tooSlow } from './time-limit.ts'
import { Turn } from './turn.ts'
import type { Upstream } from './upstream.ts'

export type SessionOptions = {
  readonly downstream: Duplex
  /** What was read from downstream beyond its StartupMessage. */
  readonly rest: Buffer
  readonly upstream: Upstream
  readonly standing: Standing
  readonly log: SessionLog
  /** Retells the session; undefined where nothing is recorded. */
  readonly recorder?: Recorder | undefined
  readonly analyser: Analyser
  readonly catalog: CatalogView
  readonly approvals: Approvals
  readonly masks: Masks | undefined
  readonly memory: () => readonly Remembered[]
  readonly parameters: 'masked' | 'full' | 'none'
  /** The version of the policy in force. */
  readonly policyId: () => string
  readonly database: string
  /** What the startup packet sets, by name. */
  readonly settings: ReadonlyMap<string, string>
  /** How many statements this principal has sent in this role. */
  readonly pace: Pace
  /** Asks the database how many rows a plan is about; undefined where it does not say. Never rejects. */
  readonly estimate?: ((explain: string) => Promise<number | undefined>) | undefined
  /** Has the database stop what it is doing for this session; settled once it has been told. */
  readonly cancel: () => Promise<void>
  /** Monotonic milliseconds. */
  readonly clock: () => number
  readonly maxFrameBytes: number
  readonly maxNames: number
  /** Called once, when both sides are closed. */
  readonly onClosed: (reason: string, cause: DbgateError | null) => void
}

/** Answers the server may owe before no more is sent to it. It holds back some 8 KiB of them by itself. */
const MAX_UNANSWERED = 65_536
/** Kept of what comes while a statement waits: a client that leaves must be noticed, so it is read. */
const MAX_KEPT_BYTES = 256 * 1024

/**
 * One session's relay: bytes from downstream become a turn that is judged, recorded and forwarded; bytes
 * from upstream go back in whole runs, each response held against the one expected.
 *
 * Both directions stop reading when the other side does not take more: memory stays bounded by the
 * sockets' buffers and one message of `maxFrameBytes`.
 */
export class Session {
  readonly #options: SessionOptions
  readonly #downstream: Duplex
  readonly #upstream: Upstream['socket']
  readonly #fromDownstream: FrameReader
  readonly #fromUpstream: FrameReader
  readonly #log: SessionLog
  readonly #recorder: Recorder | undefined
  readonly #authorizer: Authorizer
  readonly #shield: Shield
  readonly #exchange: Exchange
  readonly #router: Router
  readonly #scope: SessionScope
  readonly #holding: Holding
  readonly #turn = new Turn()
  readonly #input: OutputRun
  readonly #output: OutputRun
  #phase: Phase = { at: 'open' }
  #isExplained = false
  /** Part of a row has been passed on and the rest has not come. */
  #isMidRow = false
  readonly #stopwatch: Stopwatch
  readonly #rowLimit: RowLimit
  /** The client has asked the database to stop what is running. */
  #isCancelled = false
  /** Said by the gate in the middle of a row; it goes out behind it. */
  readonly #asides: Buffer[] = []

  constructor(options: SessionOptions) {
    this.#options = options
    this.#downstream = options.downstream
    this.#upstream = options.upstream.socket
    this.#log = options.log
    this.#recorder = options.recorder
    this.#fromDownstream = new FrameReader({
      nameOf: frontendName,
      maxFrameBytes: options.maxFrameBytes,
      streamed: [FrontendTag.CopyData],
    })
    this.#fromUpstream = options.upstream.reader
    const names = new Names()
    this.#scope = new SessionScope(
      names,
      options.upstream.settings.get('client_encoding') ?? 'UTF8',
      options.settings,
    )
    this.#holding = new Holding({
      approvals: options.approvals,
      policyId: options.policyId,
      recorder: options.recorder,
      session: options.log.id,
      database: options.database,
      standing: () => this.#authorizer.standing,
      tell: notice => this.#tell(notice),
    })
    this.#authorizer = new Authorizer({
      ...options,
      giveBack: taken => this.#holding.giveBack(taken),
      portal: name => names.portal(nameOf(name))?.judgement,
    })
    this.#shield = new Shield(this.#authorizer)
    this.#exchange = new Exchange(names, { finished: (run, end) => this.#finished(run, end) })
    this.#router = new Router({
      authorizer: this.#authorizer,
      exchange: this.#exchange,
      names,
      scope: this.#scope,
      holding: this.#holding,
      maxNames: options.maxNames,
      estimate: options.estimate,
    })
    this.#rowLimit = new RowLimit({
      exchange: this.#exchange,
      target: () => this.grant.target,
      stop: options.cancel,
      send: bytes => this.#sendOwn(bytes),
      stopping: over => this.#holdBack(over),
      told: () => {
        this.#goOn()
        if (!this.#downstream.writableNeedDrain) this.#upstream.resume()
      },
    })
    this.#stopwatch = new Stopwatch({
      clock: options.clock,
      limitMs: () => this.grant.limits.timeMs,
      underWay: () => this.#exchange.statements,
      onOver: () => void options.cancel(),
    })
    this.#input = new OutputRun(bytes => this.#upstream.write(bytes))
    this.#output = new OutputRun(bytes => this.#toDownstream(bytes))
  }

  get id(): string {
    return this.#log.id
  }

  /** Nothing runs for it in the database. */
  get isIdle(): boolean {
    return this.#exchange.isIdle
  }

  /** The encoding of its texts, by PostgreSQL's name. */
  get encoding(): string {
    return this.#scope.encoding
  }

  get grant(): Grant {
    return this.#authorizer.grant
  }

  /** Begins to relay. The person has had ReadyForQuery. */
  start(): void {
    const [down, up] = [this.#downstream, this.#upstream]
    up.on('data', (chunk: Buffer) => this.#onUpstream(chunk))
    up.on('end', () => this.#upstreamEnded())
    up.on('error', cause => this.#upstreamEnded(cause))
    up.on('close', () => this.#upstreamEnded())
    up.on('drain', () => this.#resumeDownstream())
    down.on('data', (chunk: Buffer) => this.#onDownstream(chunk))
    down.on('end', () => {
      // Somebody who waits for a person and says no more has left.
      this.#holding.hangUp('gone')
      this.#handle({ type: 'downstream-ended' })
    })
    down.on('error', () => this.#handle({ type: 'downstream-lost' }))
    down.on('close', () => this.#handle({ type: 'downstream-lost' }))
    down.on('drain', () => up.resume())
    if (this.#options.rest.length > 0) this.#onDownstream(this.#options.rest)
    up.resume()
    this.#resumeDownstream()
  }

  /** Another grant or policy is in force; every statement is decided anew. */
  regrant(standing: Standing): void {
    this.#authorizer.regrant(standing)
  }

  /** Ends the session as soon as nothing is running and no transaction is open. */
  leave(error: DbgateError): void {
    // Who waits hears first why what they sent does not run.
    const isHeld = this.#holding.hangUp('leaving')
    const isIdle = !isHeld && this.#isAtRest()
    this.#handle({ type: 'leave', error, isIdle })
  }

  /** Ends the session now. */
  end(error: DbgateError): void {
    this.#handle({ type: 'failed', error })
  }

  /**
   * The client wants what is running to stop. Ends the wait for a person, if the session is waiting for one, and
   * returns whether it was: if not, the database must be told.
   */
  cancelHeld(): boolean {
    if (this.#holding.hangUp('cancelled')) return true
    this.#isCancelled = !this.#exchange.isIdle
    return false
  }

  #isAtRest(): boolean {
    return this.#exchange.isIdle && this.#exchange.status === 'I' && this.#turn.isEmpty
  }

  // Downstream to upstream: judge what was read, put it on file in one write, forward it.

  #onDownstream(chunk: Buffer): void {
    if (!this.#isOver()) this.#fromDownstream.push(chunk)
    if (this.#phase.at !== 'judging') this.#advance()
    else if (this.#fromDownstream.bufferedBytes > MAX_KEPT_BYTES) this.#downstream.pause()
  }

  /** What comes behind a Terminate, or once the session has ended, means nothing. */
  #isOver(): boolean {
    return this.#phase.at === 'finishing' || this.#phase.at === 'closed'
  }

  #advance(): void {
    if (!this.#isOver()) this.#routeAll()
  }

  /** Routes what has been read. Returns false if something of it has to wait, and the rest with it. */
  #routeAll(): boolean {
    try {
      for (;;) {
        const frame = this.#fromDownstream.next()
        if (frame === null) break
        if (frame.tag === FrontendTag.CopyData)
          this.#recorder?.copyIn(this.#exchange.currentRun, frame)
        const later = this.#router.route(frame, this.#turn)
        if (later !== undefined) {
          this.#forwardTurn()
          this.#waitFor(later)
          return false
        }
        if (frame.tag === FrontendTag.Terminate) {
          this.#forwardTurn()
          this.#handle({ type: 'downstream-ended' })
          return true
        }
      }
      this.#forwardTurn()
    } catch (cause) {
      this.#failTurn(cause)
    }
    return true
  }

  /** Routes nothing more until a text has been read, or a person has decided. */
  #waitFor(later: Promise<Resume>): void {
    this.#handle({ type: 'judging' })
    later.then(
      resume => {
        const { over } = this.#rowLimit
        if (over === null) this.#resume(resume)
        else void over.then(() => this.#resume(resume))
      },
      cause => this.#fail(cause),
    )
  }

  /** Sends nothing more while a statement is being stopped. */
  #holdBack(over: Promise<void>): void {
    const { at } = this.#phase
    if (at === 'open' || at === 'leaving') this.#waitFor(over.then(() => () => undefined))
  }

  #resume(resume: Resume): void {
    const isOver = this.#phase.at === 'closed'
    try {
      const later = resume(isOver)
      if (isOver) return
      this.#forwardTurn()
      if (later !== undefined) {
        this.#waitFor(later)
        return
      }
    } catch (cause) {
      this.#failTurn(cause)
      return
    }
    // What came in the meantime was sent before the person said goodbye, if that came too.
    if (!this.#routeAll()) return
    this.#handle({ type: 'judged' })
    if (this.#phase.at === 'leaving' && this.#isAtRest()) this.#handle({ type: 'idle' })
  }

  /** Says something of the gate's own, between two messages of the server's. */
  #tell(notice: Buffer): void {
    if (this.#phase.at === 'closed') return
    this.#recorder?.message(undefined, null, notice)
    if (this.#isMidRow) this.#asides.push(notice)
    else this.#toDownstream(notice)
  }

  #forwardTurn(): void {
    if (this.#phase.at === 'closed') return
    try {
      this.#authorizer.commit(this.#turn.claims)
    } catch (cause) {
      this.#turn.refuse(asDbgateError(cause))
    }
    if (this.#turn.isEmpty) return
    // The database must not have begun before the clock has.
    this.#stopwatch.sent()
    this.#upstream.cork()
    this.#turn.forward(this.#exchange, this.#input)
    this.#upstream.uncork()
    if (this.#exchange.isIdle) this.#stopwatch.rest()
    if (!this.#isUpstreamReady()) this.#downstream.pause()
  }

  /** What stood before the failure in the same read is not sent, and the record says so. */
  #failTurn(cause: unknown): void {
    this.#authorizer.withdraw(this.#turn.claims)
    this.#turn.clear()
    try {
      this.#authorizer.commit([])
    } catch {
      // The log does not have them either, and says that by itself.
    }
    this.#fail(cause)
  }

  /** The upstream takes more: its buffer has room, and it is not too many answers behind. */
  #isUpstreamReady(): boolean {
    return !this.#upstream.writableNeedDrain && this.#exchange.depth < MAX_UNANSWERED
  }

  #resumeDownstream(): void {
    if (this.#phase.at !== 'judging' && this.#isUpstreamReady()) this.#downstream.resume()
  }

  // Upstream to downstream: count, check, and pass on in whole runs.

  #onUpstream(chunk: Buffer): void {
    this.#fromUpstream.push(chunk)
    this.#goOn()
  }

  /** Sends something of the gate's own upstream. Returns false where nothing can be sent any more. */
  #sendOwn(bytes: Buffer): boolean {
    if (this.#upstream.writableEnded) return false
    this.#upstream.write(bytes)
    return true
  }

  #goOn(): void {
    if (this.#phase.at === 'closed') return
    try {
      while (!this.#rowLimit.isWaiting) {
        const frame = this.#fromUpstream.next()
        if (frame === null) break
        if (frame.tag === BackendTag.DataRow || frame.tag === BackendTag.CopyData) {
          const run = this.#runOfRow()
          if (run.limit !== null && !this.#rowLimit.admits(run, run.limit, frame)) continue
          if (run.mask === null) this.#passRow(run, frame)
          else this.#passMasked(run, run.mask, frame)
        } else this.#passMessage(frame)
      }
      this.#output.flush()
    } catch (cause) {
      // What came before is the answer to what did run.
      this.#output.flush()
      if (cause instanceof DbgateError && cause.code === 'CHANGED') {
        this.#options.catalog.invalidate()
        void this.#options.cancel()
      }
      this.#fail(cause)
      return
    }
    if (this.#rowLimit.isWaiting) {
      this.#upstream.pause()
      return
    }
    if (!this.#isMidRow) for (const aside of this.#asides.splice(0)) this.#toDownstream(aside)
    if (this.#downstream.isPaused()) this.#resumeDownstream()
    this.#stopwatch.heard()
    this.#recorder?.flush()
    if (this.#exchange.isIdle) {
      this.#stopwatch.rest()
      this.#recorder?.rest()
      this.#isCancelled = false
    }
    if (!this.#isAtRest()) return
    this.#scope.transactionEnded()
    this.#authorizer.transactionStep(true)
    if (this.#phase.at === 'leaving') this.#handle({ type: 'idle' })
  }

  /** A row, or a piece of one, that goes on as it came. */
  #passRow(run: Run, frame: Frame): void {
    this.#countRow(run, frame, frame)
    this.#output.pass(frame)
    this.#isMidRow = frame.part === 'head' || frame.part === 'middle'
  }

  #passMasked(run: Run, mask: RunMask, frame: Frame): void {
    const sent = frame.tag === BackendTag.DataRow ? mask.row(frame) : mask.copyData(frame)
    if (sent === null) {
      this.#passRow(run, frame)
      return
    }
    if (sent.length === 0) return
    this.#countRow(run, frame, sent)
    this.#output.own(sent)
  }

  #passMessage(frame: Frame): void {
    const { head, currentRun } = this.#exchange
    const isMasked = this.#authorizer.confidential.isOn
    const before = this.#relay(frame)
    const relay =
      isMasked && before === 'pass' ? this.#shield.relay(frame, head, currentRun) : before
    this.#observe(frame)
    if (isMasked) this.#wantWhole()
    if (relay === NOTHING) {
      if (head?.kind === 'own-describe') this.#recorder?.described(head.portal, frame)
      return
    }
    if (isMasked && frame.tag === BackendTag.RowDescription && head?.kind === 'query') {
      for (const warning of this.#shield.warningsOf(currentRun)) {
        this.#recorder?.message(undefined, null, warning)
        this.#output.own(warning)
      }
    }
    this.#recorder?.message(head, currentRun, relay === 'pass' ? frame : relay)
    if (relay === 'pass') this.#output.pass(frame)
    else if (relay.length > 0) this.#output.own(relay)
  }

  /** A row that is rewritten must come in one piece. */
  #wantWhole(): void {
    const isWhole = this.#exchange.currentRun?.mask?.isRewriting === true
    this.#fromUpstream.stream(BackendTag.DataRow, !isWhole)
  }

  /** What becomes of a message: a statement that the database stopped at its limit says whose limit it was. */
  #relay(frame: Frame): Relay {
    const { timeMs } = this.grant.limits
    const isTimeout =
      timeMs !== undefined &&
      frame.tag === BackendTag.ErrorResponse &&
      !this.#isCancelled &&
      this.#stopwatch.isOver(timeMs) &&
      decodeErrorFields(frame).get('C') === '57014'
    const limited = this.#rowLimit.relay(frame)
    if (limited !== undefined) return limited
    const relay = this.#exchange.received(frame)
    return isTimeout && relay === 'pass' ? refusalOf(tooSlow(timeMs, this.grant.target)) : relay
  }

  #runOfRow(): Run {
    const run = this.#exchange.currentRun
    if (run !== null) return run
    throw new DbgateError('PROTOCOL', 'the database sent rows that no recorded statement asked for')
  }

  #countRow(run: Run, frame: Frame, sent: Frame | Buffer): void {
    if (frame.part === 'whole' || frame.part === 'head') run.rows += 1
    run.bytes += 'tag' in sent ? sent.end - sent.start : sent.length
    if (this.#recorder === undefined) return
    if (frame.tag === BackendTag.CopyData) this.#recorder.copyOut(run, sent)
    else this.#recorder.row(run, this.#exchange.head, sent)
  }

  /** What the server says about itself in passing. */
  #observe(frame: Frame): void {
    if (frame.tag === BackendTag.ParameterStatus)
      this.#settingChanged(...decodeParameterStatus(frame))
    else if (frame.tag === BackendTag.ReadyForQuery) this.#authorizer.transactionStep(false)
    else if (frame.tag === BackendTag.ErrorResponse) {
      this.#isExplained ||= (decodeErrorFields(frame).get('V') ?? 'FATAL') !== 'ERROR'
    }
  }

  /** Second line behind the judgement of SET: whatever changed it, text that can't be read safely ends the session. */
  #settingChanged(name: string, value: string): void {
    if (name === 'client_encoding') this.#scope.encoding = value
    if (isUnrestricted(this.#authorizer.grant) || !makesUnreadable(name, value)) return
    throw new DbgateError(
      'REVOKED',
      `dbgate: ${name} was changed to ${value}, under which statements can't be judged`,
    )
  }

  #toDownstream(bytes: Buffer): void {
    if (!this.#downstream.write(bytes)) this.#upstream.pause()
  }

  #finished(run: Run, ended: RunEnd): void {
    const end = this.#rowLimit.endOf(run, ended)
    const durationUs = Math.round((this.#options.clock() - run.startedAtMs) * 1000)
    const rows = rowsOf(run, end.tag)
    const masked = run.rows > 0 ? run.mask?.masked : undefined
    this.#log.complete(run.id, { ...end, rows, bytes: run.bytes, durationUs, masked })
    if (run.taken === null || end.outcome === 'not-run') return
    const { outcome, tag } = end
    this.#holding.ran(run.taken, run.id, { outcome, tag, rows, durationMs: durationUs / 1000 })
  }

  // The session's life.

  #upstreamEnded(cause?: unknown): void {
    const error = new DbgateError('UPSTREAM', 'dbgate: the connection to the database was lost', {
      cause,
    })
    this.#handle({ type: 'upstream-ended', isExplained: this.#isExplained, error })
  }

  #fail(cause: unknown): void {
    this.#handle({ type: 'failed', error: asDbgateError(cause) })
  }

  #handle(event: PhaseEvent): void {
    const { phase, effects } = step(this.#phase, event)
    this.#phase = phase
    for (const effect of effects) this.#carryOut(effect)
  }

  #carryOut(effect: PhaseEffect): void {
    switch (effect.do) {
      case 'resume-downstream':
        this.#resumeDownstream()
        return
      case 'end-upstream':
        this.#upstream.end()
        return
      case 'close':
        this.#close(effect.error)
        return
      default:
        effect satisfies never
    }
  }

  #close(error: DbgateError | null): void {
    const reason = this.#phase.at === 'closed' ? this.#phase.reason : 'end'
    this.#holding.hangUp('gone')
    this.#stopwatch.stop()
    this.#rowLimit.close()
    this.#exchange.abandon({ outcome: 'lost' })
    // In the middle of a row nothing can be said: the bytes would be taken for the row's.
    if (error !== null && !this.#isMidRow) {
      const farewell = encodeErrorResponse(error, { severity: 'FATAL' })
      this.#downstream.write(farewell)
      this.#recorder?.message(undefined, null, farewell)
    }
    this.#log.end(reason)
    endGently(this.#downstream)
    this.#upstream.destroy()
    this.#options.onClosed(reason, error)
  }
}
