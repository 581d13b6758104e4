import { DbgateError, traced } from '../errors.ts'
import { isUnrestricted } from '../policy/index.ts'
import type { Analysis, Statement } from '../sql/index.ts'
import type { Hold } from '../store/index.ts'
import {
  decodeFrontend,
  encodeDescribePortal,
  type Frame,
  type FrontendMessage,
  FrontendTag,
} from '../wire/index.ts'
import type { Authorizer, Claim } from './authorize.ts'
import {
  type Binding,
  Clearance,
  kept,
  ownParameters,
  type Resume,
  refusedBy,
  SIMPLE,
  statementsOf,
  UNBOUND,
} from './clearance.ts'
import type { Exchange, OnDone } from './exchange.ts'
import type { Holding } from './holding.ts'
import type { Judgement } from './judgement.ts'
import { largeObjectCall } from './large-objects.ts'
import { type Names, nameOf, type Portal, type Prepared } from './names.ts'
import { FAILING_PARSE, FAILING_QUERY, FAILING_UNNAMED_PARSE, refusalOf } from './refusal.ts'
import type { SessionScope } from './session-scope.ts'
import type { Turn } from './turn.ts'

type Message<T extends FrontendMessage['type']> = Extract<FrontendMessage, { type: T }>

export type RouterOptions = {
  readonly authorizer: Authorizer
  readonly exchange: Exchange
  readonly names: Names
  readonly scope: SessionScope
  readonly holding: Holding
  /** Prepared statements and portals one session may have. */
  readonly maxNames: number
  /** See ClearanceOptions. */
  readonly estimate?: ((explain: string) => Promise<number | undefined>) | undefined
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
  readonly #clearance: Clearance
  readonly #maxNames: number

  constructor(options: RouterOptions) {
    this.#authorizer = options.authorizer
    this.#exchange = options.exchange
    this.#names = options.names
    this.#scope = options.scope
    this.#clearance = new Clearance(options)
    this.#maxNames = options.maxNames
  }

  /**
   * Routes one message, at once or, for a text that takes long to parse, later: then no other message may
   * be routed before the promise is settled and what it brings has been called.
   *
   * Throws (or rejects with): PROTOCOL (08P01) for what no driver sends; the session ends.
   */
  route(frame: Frame, turn: Turn): undefined | Promise<Resume> {
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
        if (this.#clearance.isSkipped(turn)) return
        return this.#routeDecoded(frame, turn)
    }
  }

  #routeDecoded(frame: Frame, turn: Turn): undefined | Promise<Resume> {
    const message = this.#decoded(frame, turn)
    if (message === undefined) return
    switch (message.type) {
      case 'Query':
        return this.#judged(message.text, frame, turn, (judgement, copy) =>
          this.#query(judgement, copy, turn),
        )
      case 'Parse':
        return this.#judged(message.text, frame, turn, (judgement, copy) =>
          this.#clearance.estimated(judgement, mayHaveParameters(judgement), copy, turn, own => {
            this.#parse(message, judgement, own, turn)
            return undefined
          }),
        )
      case 'Bind':
        return this.#bind(message, frame, turn)
      case 'Execute':
        return this.#execute(message, frame, turn)
      case 'Describe':
        this.#describe(message, frame, turn)
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

  /** The message; undefined for one whose names mean one thing here and another upstream: it is refused. */
  #decoded(frame: Frame, turn: Turn): FrontendMessage | undefined {
    try {
      return decodeFrontend(frame)
    } catch (error) {
      if (!(error instanceof DbgateError) || error.code !== 'UNSUPPORTED') throw error
      this.#refuse(error, undefined, turn)
      return
    }
  }

  /** Has a text judged, and goes on with the frame: the same one, or a copy when it had to wait. */
  #judged(text: Buffer, frame: Frame, turn: Turn, then: Next): undefined | Promise<Resume> {
    return this.#whenJudged([this.#judge(text)], frame, turn, then)
  }

  #judge(text: Buffer): Judgement | Promise<Judgement> {
    return this.#authorizer.judge(text, this.#scope.encoding, this.#scope.current)
  }

  #whenJudged(
    judgements: readonly (Judgement | Promise<Judgement>)[],
    frame: Frame,
    turn: Turn,
    then: Next,
  ): undefined | Promise<Resume> {
    if (judgements.every(isSettled)) return then(this.#authorizer.anyOf(judgements), frame)
    const copy = kept(frame)
    return Promise.all(judgements).then(settled => isOver => {
      // In the meantime the server may have begun to skip.
      if (isOver || this.#clearance.isSkipped(turn)) return
      return then(this.#authorizer.anyOf(settled), copy)
    })
  }

  #query(judgement: Judgement, frame: Frame, turn: Turn): undefined | Promise<Resume> {
    return this.#clearance.release(judgement, SIMPLE, frame, turn, {
      go: (own, taken) => this.#sendQuery(judgement, own, turn, taken),
      refuse: error => this.#refuseQuery(error, judgement.analysis, turn),
    })
  }

  #sendQuery(judgement: Judgement, frame: Frame, turn: Turn, taken: Hold | null): void {
    const claim = this.#clearance.claimOr(judgement, 'simple', taken, () =>
      this.#authorizer.claimQuery(judgement, this.#note, taken),
    )
    if (claim instanceof DbgateError) {
      this.#refuseQuery(claim, judgement.analysis, turn)
      return
    }
    const statements = statementsOf(judgement)
    const cycle = this.#cycleOf(turn)
    turn.add(
      frame.buf,
      frame.start,
      frame.end,
      {
        kind: 'query',
        refusal: null,
        runs: claim.runs,
        form: statements.length === 0 ? 'opaque' : 'statements',
        onDone: statements.map(statement => this.#scope.foresee(statement, cycle)),
      },
      claim,
    )
  }

  /** What needs somebody's word may be parsed: it is its values as well that are approved, at Bind. */
  #parse(
    { name, parameterTypes }: Message<'Parse'>,
    judgement: Judgement,
    frame: Frame,
    turn: Turn,
  ): void {
    const { analysis } = judgement
    const verdict = this.#authorizer.verdictOn(judgement)
    if (name !== '' && this.#names.size >= this.#maxNames) {
      this.#refuseParse(name, tooManyNames(this.#maxNames), undefined, turn)
      return
    }
    if (verdict.outcome === 'deny') {
      const id = this.#authorizer.deny(judgement, verdict, 'extended')
      this.#refuseParse(name, traced(verdict.error, verdict.rule, id), analysis, turn)
      return
    }
    const prepared = { judgement, parameterTypes, cycle: this.#cycleOf(turn) }
    this.#names.prepare(name, prepared)
    const onDone = this.#scope.parsed(name, analysis)
    const expected = { kind: 'parse', refusal: null, name, prepared, onDone } as const
    turn.add(frame.buf, frame.start, frame.end, expected)
  }

  #bind(message: Message<'Bind'>, frame: Frame, turn: Turn): undefined | Promise<Resume> {
    const possible = this.#possible(message.statement, this.#cycleOf(turn))
    if (message.portal !== '' && this.#names.size >= this.#maxNames) {
      this.#refuse(tooManyNames(this.#maxNames), undefined, turn)
      return
    }
    if (possible.length === 0) {
      if (!isUnrestricted(this.#authorizer.grant)) {
        this.#refuse(noStatement(message.statement), undefined, turn)
        return
      }
      possible.push(this.#authorizer.describe(`Bind of statement "${message.statement}"`))
    }
    return this.#whenJudged(possible, frame, turn, (judgement, bound) => {
      // What was decoded before waiting points into a buffer that is gone.
      const again = bound === frame ? message : decodeFrontend(bound)
      return again.type === 'Bind' ? this.#bindJudged(again, judgement, bound, turn) : undefined
    })
  }

  /**
   * What a Bind in this cycle may find under a name: a protocol Parse, or a PREPARE. More than one while it
   * is not known whether what was sent before takes effect.
   */
  #possible(name: string, cycle: number): (Judgement | Promise<Judgement>)[] {
    const parsed = distinct(this.#names.candidates(name, cycle))
    const prepared =
      parsed.length === 0
        ? this.#scope.prepared(name)
        : this.#scope.preparing(name, this.#exchange.cyclesDone)
    return [
      ...parsed.map(one => (this.#isOutdated(one) ? this.#judge(one.bytes) : one)),
      ...prepared.map(statement =>
        this.#authorizer.describeNow(statement.text, [statement], this.#scope.current),
      ),
    ]
  }

  #isOutdated(judgement: Judgement): boolean {
    return this.#scope.dependsOn(judgement.analysis) || this.#authorizer.isStale(judgement)
  }

  /** A Bind is recorded, not only its Execute: planning it may already run code (immutable functions). */
  #bindJudged(
    message: Message<'Bind'>,
    judgement: Judgement,
    frame: Frame,
    turn: Turn,
  ): undefined | Promise<Resume> {
    const [prepared, ...others] = this.#names.candidates(message.statement, this.#cycleOf(turn))
    const { parameters } = message
    const parameterTypes = prepared?.parameterTypes ?? []
    const bound: Binding = { protocol: 'extended', parameters, parameterTypes }
    // An approval is for one statement: of two that the name may stand for, nobody could say which it covers.
    const verdict = this.#clearance.verdictOn(judgement)
    if (verdict.outcome === 'hold' && others.length > 0) {
      this.#authorizer.deny(judgement, verdict, 'extended', 'hold')
      this.#refuse(unsettled(message.statement), undefined, turn)
      return
    }
    return this.#clearance.release(judgement, bound, frame, turn, {
      go: (own, taken) => this.#sendBind(judgement, own, turn, taken),
      refuse: error => this.#refuse(error, judgement.analysis, turn),
    })
  }

  #sendBind(judgement: Judgement, frame: Frame, turn: Turn, taken: Hold | null): void {
    const message = decodeFrontend(frame)
    if (message.type !== 'Bind') return
    const claim = this.#clearance.claimOr(
      judgement,
      'extended',
      taken,
      () => this.#authorizer.claimBound(judgement, message.parameters, this.#note, taken),
      this.#authorizer.confidential.checkParameters(judgement, message.parameters),
    )
    if (claim instanceof DbgateError) {
      this.#refuse(claim, judgement.analysis, turn)
      return
    }
    const { resultFormats: formats } = message
    const prepared = this.#names.candidates(message.statement, this.#cycleOf(turn))[0] ?? null
    const bare = portalOf(message.portal, judgement, claim)
    const parameters = message.portal === '' ? [] : ownParameters(message.parameters)
    const portal: Portal = { ...bare, prepared, formats, parameters }
    this.#names.bind(portal)
    turn.add(frame.buf, frame.start, frame.end, { kind: 'bind', refusal: null, portal }, claim)
    describeOwn(portal, turn)
  }

  #execute(message: Message<'Execute'>, frame: Frame, turn: Turn): undefined | Promise<Resume> {
    const portal = this.#names.portal(message.portal)
    const cursors = this.#scope.cursor(message.portal)
    if (portal === undefined || cursors.length > 0) {
      return this.#executeCursor(message.portal, cursors, portal, frame, turn)
    }
    // Time has passed since the Bind: what was allowed then may not be any more.
    const { judgement } = portal
    const verdict = this.#clearance.verdictOn(judgement)
    const { masking } = this.#authorizer.confidential
    const isOutdated = portal.run !== null && portal.run.masking !== masking
    const refused =
      refusedBy(verdict, portal.run?.taken ?? null) ?? (isOutdated ? remasked() : undefined)
    if (refused !== undefined) {
      const id = this.#authorizer.deny(judgement, verdict, 'extended')
      this.#refuse(traced(refused, verdict.rule, id), judgement.analysis, turn)
      return
    }
    const onDone = this.#foresee(judgement, turn)
    turn.add(frame.buf, frame.start, frame.end, { kind: 'execute', refusal: null, portal, onDone })
  }

  /** A portal that no Bind made may still be a cursor of DECLARE, whose query has been judged and recorded. */
  #executeCursor(
    name: string,
    cursors: readonly Statement[],
    portal: Portal | undefined,
    frame: Frame,
    turn: Turn,
  ): undefined | Promise<Resume> {
    const text = `Execute of portal "${name}"`
    const possible = cursors.map(statement =>
      this.#authorizer.describe(
        `${text}${executes(statement.text)}`,
        [statement],
        this.#scope.current,
      ),
    )
    if (portal !== undefined) possible.push(portal.judgement)
    if (possible.length === 0) {
      if (!isUnrestricted(this.#authorizer.grant)) {
        this.#refuse(noPortal(name), undefined, turn)
        return
      }
      possible.push(this.#authorizer.describe(text))
    }
    const judgement = this.#authorizer.anyOf(possible)
    return this.#clearance.release(judgement, UNBOUND, frame, turn, {
      go: (own, taken) => this.#sendCursor(name, judgement, own, turn, taken),
      refuse: error => this.#refuse(error, undefined, turn),
    })
  }

  #sendCursor(
    name: string,
    judgement: Judgement,
    frame: Frame,
    turn: Turn,
    taken: Hold | null,
  ): void {
    const claim = this.#clearance.claimOr(judgement, 'extended', taken, () =>
      this.#authorizer.claimBound(judgement, [], this.#note, taken),
    )
    if (claim instanceof DbgateError) {
      this.#refuse(claim, undefined, turn)
      return
    }
    const cursor = portalOf(name, judgement, claim)
    describeOwn(cursor, turn)
    const expected = { kind: 'execute', refusal: null, portal: cursor, onDone: null } as const
    turn.add(frame.buf, frame.start, frame.end, expected, claim)
  }

  #describe({ kind, name }: Message<'Describe' | 'Close'>, frame: Frame, turn: Turn): void {
    const of =
      kind === 'portal'
        ? this.#names.portal(name)
        : this.#names.candidates(name, this.#cycleOf(turn))[0]
    const expected = { kind: 'describe', refusal: null, of: of ?? null } as const
    turn.add(frame.buf, frame.start, frame.end, expected)
  }

  #close(message: Message<'Describe' | 'Close'>, frame: Frame, turn: Turn): undefined {
    const { name } = message
    const isPortal = message.kind === 'portal'
    const portal = isPortal ? (this.#names.portal(name) ?? null) : null
    const onDone = isPortal ? null : this.#scope.closed(name)
    turn.add(frame.buf, frame.start, frame.end, { kind: 'close', refusal: null, portal, onDone })
  }

  /**
   * The function call protocol has no text to judge. libpq's large object functions (psql's \lo_import,
   * pg_dump) need it, so those few are judged and recorded as the SELECT they amount to.
   */
  #functionCall(
    message: Message<'FunctionCall'>,
    frame: Frame,
    turn: Turn,
  ): undefined | Promise<Resume> {
    const text = largeObjectCall(message.functionOid, message.parameters.length)
    if (text !== undefined) {
      return this.#judged(Buffer.from(text), frame, turn, (judgement, called) => {
        const again = called === frame ? message : decodeFrontend(called)
        if (again.type !== 'FunctionCall') return
        const bound: Binding = { ...UNBOUND, protocol: 'simple', parameters: again.parameters }
        return this.#clearance.release(judgement, bound, called, turn, {
          go: (own, taken) => this.#sendCall(judgement, own, turn, taken),
          refuse: error => this.#refuseQuery(error, undefined, turn),
        })
      })
    }
    const judgement = this.#authorizer.describe(`FunctionCall of function ${message.functionOid}`)
    const error = new DbgateError(
      'UNSUPPORTED',
      'dbgate: the function call protocol is carried for large objects only. Not run. Next: call the function with SELECT.',
    )
    this.#authorizer.deny(judgement, { rule: 'function-call' }, 'simple')
    this.#refuseQuery(error, undefined, turn)
    return
  }

  #sendCall(judgement: Judgement, frame: Frame, turn: Turn, taken: Hold | null): void {
    const message = decodeFrontend(frame)
    if (message.type !== 'FunctionCall') return
    const claim = this.#clearance.claimOr(judgement, 'simple', taken, () =>
      this.#authorizer.claimBound(judgement, message.parameters, this.#note, taken),
    )
    if (claim instanceof DbgateError) {
      this.#refuseQuery(claim, undefined, turn)
      return
    }
    const expected = { kind: 'query', refusal: null, form: 'function-call', onDone: [] } as const
    turn.add(frame.buf, frame.start, frame.end, { ...expected, runs: claim.runs }, claim)
  }

  /**
   * EXECUTE names a text; what Parse put under the name is on record nowhere else. FETCH names a portal, whose
   * Bind is on record far from it.
   */
  readonly #note = (statement: Statement): string => {
    const names = statement.executes.map(nameOf)
    const executed = names
      .flatMap(name => this.#names.candidates(name, Number.NaN))
      .map(({ judgement }) => executes(this.#authorizer.shown(judgement).text))
    return [...executed, this.#clearance.noteOf(statement)].join('')
  }

  #foresee(judgement: Judgement, turn: Turn): OnDone {
    const cycle = this.#cycleOf(turn)
    const foreseen = statementsOf(judgement).map(one => this.#scope.foresee(one, cycle))
    // Of several texts only one runs: what the others would remove is still there.
    return foreseen.length === 1 ? (foreseen[0] ?? null) : null
  }

  /** The cycle that the next message of the turn belongs to. */
  #cycleOf(turn: Turn): number {
    return this.#exchange.cycle + turn.cycles
  }

  #refuseQuery(error: DbgateError, analysis: Analysis | undefined, turn: Turn): void {
    const refusal = refusalOf(error, positionOf(error, analysis))
    turn.addOwn(FAILING_QUERY, { kind: 'query', refusal, runs: [], form: 'opaque', onDone: [] })
  }

  /** A Parse that fails takes the unnamed statement before it along. */
  #refuseParse(name: string, error: DbgateError, analysis: Analysis | undefined, turn: Turn): void {
    const refusal = refusalOf(error, positionOf(error, analysis))
    const bytes = name === '' ? FAILING_UNNAMED_PARSE : FAILING_PARSE
    turn.addOwn(bytes, { kind: 'parse', refusal, name, prepared: null, onDone: null })
  }

  /** Refuses any other message of the extended protocol. */
  #refuse(error: DbgateError, analysis: Analysis | undefined, turn: Turn): void {
    const refusal = refusalOf(error, positionOf(error, analysis))
    turn.addOwn(FAILING_PARSE, { kind: 'bind', refusal, portal: null })
  }
}

/** Goes on with a judged message. */
type Next = (judgement: Judgement, frame: Frame) => undefined | Promise<Resume>

/** What is masked is held against what the server says of the rows before they come. */
function describeOwn(portal: Portal, turn: Turn): void {
  if (portal.run?.mask == null) return
  const expected = { kind: 'own-describe', refusal: null, portal } as const
  turn.addOwn(encodeDescribePortal(portal.name), expected)
}

function remasked(): DbgateError {
  return new DbgateError(
    'HELD',
    'dbgate: what is masked has changed since this was bound. Not run. Next: send it again.',
  )
}

function unsettled(name: string): DbgateError {
  return new DbgateError(
    'HELD',
    `dbgate: statement "${name}" needs approval and is just being replaced. Not run. Next: send it again once that is answered.`,
  )
}

function executes(text: string): string {
  return `\n/* executes: ${text} */`
}

/** Parse says nothing of how many there are; a text with a dollar sign and a digit may have some. */
function mayHaveParameters({ recorded }: Judgement): boolean {
  return /\$\d/.test(recorded.text)
}

function isSettled(judgement: Judgement | Promise<Judgement>): judgement is Judgement {
  return !(judgement instanceof Promise)
}

function portalOf(name: string, judgement: Judgement, { runs }: Claim): Portal {
  const run = runs[0] ?? null
  const unknown = { prepared: null, formats: [], parameters: [] }
  return { name, judgement, run, ...unknown, state: 'sent', replaces: null }
}

/** Without those that say the same. */
function distinct(candidates: readonly Prepared[]): readonly Judgement[] {
  const judgements = candidates.map(({ judgement }) => judgement)
  if (judgements.length < 2) return judgements
  return judgements.filter(
    (one, index) => judgements.findIndex(other => other.bytes.equals(one.bytes)) === index,
  )
}

function positionOf(error: DbgateError, analysis: Analysis | undefined): number | undefined {
  return error.code === 'SYNTAX' && analysis?.ok === false ? analysis.error.position : undefined
}

function noStatement(name: string): DbgateError {
  return new DbgateError(
    'NO_STATEMENT',
    name === ''
      ? 'unnamed prepared statement does not exist'
      : `prepared statement "${name}" does not exist`,
  )
}

function noPortal(name: string): DbgateError {
  return new DbgateError('NO_PORTAL', `portal "${name}" does not exist`)
}

function tooManyNames(limit: number): DbgateError {
  return new DbgateError(
    'LIMIT',
    `dbgate: more than ${limit} prepared statements and portals in one session. Close some.`,
  )
}
