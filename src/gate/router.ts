import { DbgateError } from '../errors.ts'
import { type DenyVerdict, isUnrestricted } from '../policy/index.ts'
import type { Analysis, Statement } from '../sql/index.ts'
import {
  copyFrame,
  decodeFrontend,
  type Frame,
  type FrontendMessage,
  FrontendTag,
} from '../wire/index.ts'
import type { Authorizer, Claim, Judgement } from './authorize.ts'
import type { Exchange, OnDone } from './exchange.ts'
import { largeObjectCall } from './large-objects.ts'
import type { Names, Portal } from './names.ts'
import { FAILING_PARSE, FAILING_QUERY, refusalOf } from './refusal.ts'
import type { SessionScope } from './session-scope.ts'
import type { Ruling } from './standing.ts'
import type { Turn } from './turn.ts'

type Message<T extends FrontendMessage['type']> = Extract<FrontendMessage, { type: T }>
type ExtendedKind = 'parse' | 'bind' | 'execute'

export type RouterOptions = {
  readonly authorizer: Authorizer
  readonly exchange: Exchange
  readonly names: Names
  readonly scope: SessionScope
  /** Prepared statements and portals one session may have. */
  readonly maxNames: number
}

const CLOSE = {
  kind: 'close',
  refusal: null,
  name: '',
  closed: [],
  retires: null,
  onDone: null,
} as const

/** A statement that nothing is known of: what it needs is everything. */
const UNKNOWN: Analysis = {
  ok: false,
  error: { message: 'unknown statement', position: undefined, reason: 'parser-failed' },
}

/**
 * Decides what becomes of each frontend message: it joins the turn as it came, or a statement that fails
 * for sure joins it with the refusal to show instead. Nothing here sends anything.
 */
export class Router {
  readonly #authorizer: Authorizer
  readonly #exchange: Exchange
  readonly #names: Names
  readonly #scope: SessionScope
  readonly #maxNames: number

  constructor(options: RouterOptions) {
    this.#authorizer = options.authorizer
    this.#exchange = options.exchange
    this.#names = options.names
    this.#scope = options.scope
    this.#maxNames = options.maxNames
  }

  /**
   * Routes one message, at once or, for a text that takes long to parse, later: then no other message may
   * be routed before the promise is settled.
   *
   * Throws (or rejects with): PROTOCOL (08P01) for what no driver sends; the session ends.
   */
  route(frame: Frame, turn: Turn): undefined | Promise<void> {
    switch (frame.tag) {
      case FrontendTag.CopyData:
        turn.add(frame.buf, frame.start, frame.end, null)
        return
      case FrontendTag.CopyDone:
      case FrontendTag.CopyFail:
        turn.add(frame.buf, frame.start, frame.end, 'copy-end')
        return
      case FrontendTag.Sync:
        decodeFrontend(frame)
        turn.add(frame.buf, frame.start, frame.end, { kind: 'sync', refusal: null })
        return
      case FrontendTag.Terminate:
        turn.add(frame.buf, frame.start, frame.end, null)
        return
      case FrontendTag.PasswordMessage:
        throw new DbgateError('PROTOCOL', 'unexpected password message after authentication')
      default:
        // The server skips it as well; sending it would only make the two forget in step.
        if (this.#exchange.isSkipping && !turn.hasSync) return
        return this.#routeDecoded(decodeFrontend(frame), frame, turn)
    }
  }

  #routeDecoded(message: FrontendMessage, frame: Frame, turn: Turn): undefined | Promise<void> {
    switch (message.type) {
      case 'Query':
        return this.#judged(message.text, frame, (judgement, copy) =>
          this.#query(judgement, copy, turn),
        )
      case 'Parse':
        return this.#judged(message.text, frame, (judgement, copy) =>
          this.#parse(message.name, judgement, copy, turn),
        )
      case 'Bind':
        return this.#bind(message, frame, turn)
      case 'Execute':
        return this.#execute(message, frame, turn)
      case 'Describe':
        turn.add(frame.buf, frame.start, frame.end, { kind: 'describe', refusal: null })
        return
      case 'Close':
        return this.#close(message, frame, turn)
      case 'Flush':
        turn.add(frame.buf, frame.start, frame.end, null)
        return
      case 'FunctionCall':
        return this.#functionCall(message, frame, turn)
      default:
        throw new DbgateError('PROTOCOL', `unexpected ${message.type} message`)
    }
  }

  /** Has a text judged, and goes on with the frame: the same one, or a copy when it had to wait. */
  #judged(
    text: Buffer,
    frame: Frame,
    then: (judgement: Judgement, frame: Frame) => void,
  ): undefined | Promise<void> {
    const judgement = this.#authorizer.judge(text, this.#scope.encoding, this.#scope.current)
    if (!(judgement instanceof Promise)) {
      then(judgement, frame)
      return
    }
    const buf = copyFrame(frame)
    const copy: Frame = { tag: frame.tag, buf, start: 0, end: buf.length, part: 'whole' }
    return judgement.then(settled => then(settled, copy))
  }

  #query(judgement: Judgement, frame: Frame, turn: Turn): void {
    const claim = this.#claimOr(judgement, judgement.verdict, 'simple', () =>
      this.#authorizer.claimQuery(judgement),
    )
    if (claim instanceof DbgateError) {
      this.#refuseQuery(claim, judgement.analysis, turn)
      return
    }
    const statements = judgement.analysis.ok ? judgement.analysis.statements : []
    for (const run of claim.runs) run.isExecuted = true
    turn.add(
      frame.buf,
      frame.start,
      frame.end,
      {
        kind: 'query',
        refusal: null,
        runs: claim.runs,
        form: statements.length === 0 ? 'opaque' : 'statements',
        onDone: statements.map(statement => this.#scope.foresee(statement)),
      },
      claim,
    )
  }

  #parse(name: string, judgement: Judgement, frame: Frame, turn: Turn): void {
    if (this.#names.size >= this.#maxNames) {
      this.#refuse('parse', tooManyNames(this.#maxNames), undefined, turn)
      return
    }
    if (judgement.verdict.outcome === 'deny') {
      if (name === '') this.#names.closeStatement(name)
      this.#deny('parse', judgement, judgement.verdict, turn)
      return
    }
    const prepared = { judgement }
    this.#names.prepare(name, prepared)
    this.#scope.parsed(name, judgement.analysis)
    turn.add(frame.buf, frame.start, frame.end, { kind: 'parse', refusal: null, name, prepared })
  }

  /** A Bind is recorded, not only its Execute: planning it may already run code (immutable functions). */
  #bind(message: Message<'Bind'>, frame: Frame, turn: Turn): undefined | Promise<void> {
    const candidates = this.#names.candidates(message.statement)
    const judgement = candidates[0]?.judgement
    if (
      candidates.length === 1 &&
      judgement !== undefined &&
      (this.#scope.dependsOn(judgement.analysis) || this.#authorizer.isStale(judgement))
    ) {
      return this.#judged(judgement.bytes, frame, (fresh, copy) =>
        this.#bindJudged(message, [fresh], copy, turn),
      )
    }
    const known = [
      ...candidates.map(candidate => candidate.judgement),
      ...this.#scope
        .prepared(message.statement)
        .map(statement => this.#opaque(statement.text, statement)),
    ]
    if (known.length > 0) {
      this.#bindJudged(message, known, frame, turn)
      return
    }
    if (!isUnrestricted(this.#authorizer.grant)) {
      const error = new DbgateError('NO_STATEMENT', unknownStatement(message.statement))
      this.#refuse('bind', error, undefined, turn)
      return
    }
    this.#bindJudged(
      message,
      [this.#opaque(`Bind of statement "${message.statement}"`)],
      frame,
      turn,
    )
  }

  #bindJudged(
    message: Message<'Bind'>,
    candidates: readonly Judgement[],
    frame: Frame,
    turn: Turn,
  ): void {
    const strictest = this.#strictest(candidates)
    if (strictest === undefined) return
    const { judgement, verdict } = strictest
    const claim = this.#claimOr(judgement, verdict, 'extended', () =>
      this.#authorizer.claimBound(judgement, message.parameters),
    )
    if (claim instanceof DbgateError) {
      this.#refuse('bind', claim, judgement.analysis, turn)
      return
    }
    const run = claim.runs[0] ?? null
    const portal = {
      name: message.portal,
      judgement,
      run,
      cycle: this.#exchange.cycle + turn.cycles,
    }
    const retires = this.#names.bind(portal) ?? null
    turn.add(
      frame.buf,
      frame.start,
      frame.end,
      { kind: 'bind', refusal: null, portal, retires },
      claim,
    )
  }

  #execute(message: Message<'Execute'>, frame: Frame, turn: Turn): undefined {
    const portal = this.#names.portal(message.portal)
    if (portal === undefined) {
      this.#executeUnbound(message, frame, turn)
      return
    }
    // Time has passed since the Bind: what was allowed then may not be any more.
    const verdict = this.#authorizer.verdictOn(portal.judgement.analysis)
    if (verdict.outcome === 'deny') {
      this.#deny('execute', portal.judgement, verdict, turn)
      return
    }
    if (portal.run !== null) portal.run.isExecuted = true
    const statements = portal.judgement.analysis.ok ? portal.judgement.analysis.statements : []
    const [statement] = statements
    const onDone: OnDone = statement === undefined ? null : this.#scope.foresee(statement)
    turn.add(frame.buf, frame.start, frame.end, { kind: 'execute', refusal: null, portal, onDone })
  }

  /** A portal that no Bind made may still be a cursor of DECLARE, whose query has been judged and recorded. */
  #executeUnbound(message: Message<'Execute'>, frame: Frame, turn: Turn): void {
    const cursors = this.#scope.cursor(message.portal)
    if (cursors.length === 0 && !isUnrestricted(this.#authorizer.grant)) {
      const error = new DbgateError('NO_PORTAL', `portal "${message.portal}" does not exist`)
      this.#refuse('execute', error, undefined, turn)
      return
    }
    const text = `Execute of portal "${message.portal}"`
    const candidates =
      cursors.length === 0
        ? [this.#opaque(text)]
        : cursors.map(statement => this.#opaque(text, statement))
    const strictest = this.#strictest(candidates)
    if (strictest === undefined) return
    const { judgement, verdict } = strictest
    const claim = this.#claimOr(judgement, verdict, 'extended', () =>
      this.#authorizer.claimBound(judgement, []),
    )
    if (claim instanceof DbgateError) {
      this.#refuse('execute', claim, undefined, turn)
      return
    }
    const [run = null] = claim.runs
    if (run !== null) run.isExecuted = true
    const portal: Portal = { name: message.portal, judgement, run, cycle: this.#exchange.cycle }
    turn.add(
      frame.buf,
      frame.start,
      frame.end,
      { kind: 'execute', refusal: null, portal, onDone: null },
      claim,
    )
  }

  #close(message: Message<'Describe' | 'Close'>, frame: Frame, turn: Turn): undefined {
    const { name } = message
    if (message.kind === 'statement') {
      const closed = this.#names.closeStatement(name)
      const onDone = this.#scope.closed(name)
      turn.add(frame.buf, frame.start, frame.end, { ...CLOSE, name, closed, onDone })
      return
    }
    const retires = this.#names.portal(name) ?? null
    if (retires !== null) this.#names.unbind(retires)
    turn.add(frame.buf, frame.start, frame.end, { ...CLOSE, name, retires })
  }

  /**
   * The function call protocol has no text to judge. libpq's large object functions (psql's \lo_import,
   * pg_dump) need it, so those few are judged and recorded as the SELECT they amount to.
   */
  #functionCall(
    message: Message<'FunctionCall'>,
    frame: Frame,
    turn: Turn,
  ): undefined | Promise<void> {
    const text = largeObjectCall(message.functionOid, message.parameters.length)
    if (text !== undefined) {
      return this.#judged(Buffer.from(text), frame, (judgement, copy) =>
        this.#call(judgement, message, copy, turn),
      )
    }
    const judgement = this.#opaque(`FunctionCall of function ${message.functionOid}`)
    const error = new DbgateError(
      'UNSUPPORTED',
      'dbgate: the function call protocol is carried for large objects only. Not run. Next: call the function with SELECT.',
    )
    this.#authorizer.deny(judgement, { rule: 'function-call' }, 'simple')
    this.#refuseQuery(error, undefined, turn)
    return
  }

  #call(judgement: Judgement, message: Message<'FunctionCall'>, frame: Frame, turn: Turn): void {
    const claim = this.#claimOr(judgement, judgement.verdict, 'simple', () =>
      this.#authorizer.claimBound(judgement, message.parameters),
    )
    if (claim instanceof DbgateError) {
      this.#refuseQuery(claim, undefined, turn)
      return
    }
    for (const run of claim.runs) run.isExecuted = true
    const expected = { kind: 'query', refusal: null, form: 'function-call', onDone: [] } as const
    turn.add(frame.buf, frame.start, frame.end, { ...expected, runs: claim.runs }, claim)
  }

  /** The claim, or the error to refuse with: the policy's, or that the statement can't be recorded. */
  #claimOr(
    judgement: Judgement,
    verdict: Ruling,
    protocol: 'simple' | 'extended',
    claim: () => Claim,
  ): Claim | DbgateError {
    try {
      if (verdict.outcome === 'allow') return claim()
      this.#authorizer.deny(judgement, verdict, protocol)
      return verdict.error
    } catch (error) {
      if (error instanceof DbgateError && (error.code === 'LIMIT' || error.code === 'UNAUDITED'))
        return error
      throw error
    }
  }

  #deny(kind: ExtendedKind, judgement: Judgement, verdict: DenyVerdict, turn: Turn): void {
    this.#authorizer.deny(judgement, verdict, 'extended')
    this.#refuse(kind, verdict.error, judgement.analysis, turn)
  }

  #refuseQuery(error: DbgateError, analysis: Analysis | undefined, turn: Turn): void {
    const refusal = refusalOf(error, positionOf(error, analysis))
    turn.addOwn(FAILING_QUERY, { kind: 'query', refusal, runs: [], form: 'opaque', onDone: [] })
  }

  #refuse(
    kind: ExtendedKind,
    error: DbgateError,
    analysis: Analysis | undefined,
    turn: Turn,
  ): void {
    const refusal = refusalOf(error, positionOf(error, analysis))
    switch (kind) {
      case 'parse':
        turn.addOwn(FAILING_PARSE, { kind, refusal, name: '', prepared: null })
        return
      case 'bind':
        turn.addOwn(FAILING_PARSE, { kind, refusal, portal: null, retires: null })
        return
      case 'execute':
        turn.addOwn(FAILING_PARSE, { kind, refusal, portal: null, onDone: null })
        return
      default:
        kind satisfies never
    }
  }

  #strictest(
    candidates: readonly Judgement[],
  ): { readonly judgement: Judgement; readonly verdict: Ruling } | undefined {
    const judged = candidates.map(judgement => ({
      judgement,
      verdict: this.#authorizer.verdictOn(judgement.analysis),
    }))
    return judged.find(({ verdict }) => verdict.outcome === 'deny') ?? judged[0]
  }

  /** A judgement on something the gate knows by a description only, or by the statement behind it. */
  #opaque(text: string, statement?: Statement): Judgement {
    const analysis: Analysis =
      statement === undefined ? UNKNOWN : { ok: true, statements: [statement] }
    return {
      bytes: Buffer.from(text),
      recorded: { text, base64: undefined },
      catalog: undefined,
      analysis,
      verdict: this.#authorizer.verdictOn(analysis),
    }
  }
}

function positionOf(error: DbgateError, analysis: Analysis | undefined): number | undefined {
  return error.code === 'SYNTAX' && analysis?.ok === false ? analysis.error.position : undefined
}

function unknownStatement(name: string): string {
  return name === ''
    ? 'unnamed prepared statement does not exist'
    : `prepared statement "${name}" does not exist`
}

function tooManyNames(limit: number): DbgateError {
  return new DbgateError(
    'LIMIT',
    `dbgate: more than ${limit} prepared statements and portals in one session. Close some.`,
  )
}
