import { DbgateError } from '../errors.ts'
import { type HoldVerdict, isUnrestricted, type Verdict } from '../policy/index.ts'
import { recordedParameter } from '../record/index.ts'
import type { Analysis, Statement } from '../sql/index.ts'
import type { Hold } from '../store/index.ts'
import {
  copyFrame,
  decodeFrontend,
  type Frame,
  type FrontendMessage,
  FrontendTag,
  type Parameter,
} from '../wire/index.ts'
import type { Authorizer, Claim, Judgement } from './authorize.ts'
import type { Exchange, OnDone } from './exchange.ts'
import type { Answer, Holding, Wanted } from './holding.ts'
import { largeObjectCall } from './large-objects.ts'
import { type Names, nameOf, type Portal, type Prepared } from './names.ts'
import { FAILING_PARSE, FAILING_QUERY, FAILING_UNNAMED_PARSE, refusalOf } from './refusal.ts'
import type { SessionScope } from './session-scope.ts'
import { makesUnreadable } from './text.ts'
import type { Turn } from './turn.ts'

type Message<T extends FrontendMessage['type']> = Extract<FrontendMessage, { type: T }>

/**
 * What is left to do with a message that had to wait: it may have to wait once more. If the session is over by
 * then, all that is left is to give back what was taken for it.
 */
export type Resume = (isOver: boolean) => undefined | Promise<Resume>

export type RouterOptions = {
  readonly authorizer: Authorizer
  readonly exchange: Exchange
  readonly names: Names
  readonly scope: SessionScope
  readonly holding: Holding
  /** Prepared statements and portals one session may have. */
  readonly maxNames: number
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
  readonly #holding: Holding
  readonly #maxNames: number

  constructor(options: RouterOptions) {
    this.#authorizer = options.authorizer
    this.#exchange = options.exchange
    this.#names = options.names
    this.#scope = options.scope
    this.#holding = options.holding
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
        if (this.#isSkipped(turn)) return
        return this.#routeDecoded(frame, turn)
    }
  }

  #isSkipped(turn: Turn): boolean {
    return this.#exchange.isSkipping && !turn.hasSync
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
        return this.#judged(message.text, frame, turn, (judgement, copy) => {
          this.#parse(message, judgement, copy, turn)
          return undefined
        })
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
      if (isOver || this.#isSkipped(turn)) return
      return then(this.#authorizer.anyOf(settled), copy)
    })
  }

  /**
   * Goes on with a statement, at once or once a person has let it through: then an approval was used up for
   * it, which is given back should it not be sent after all.
   */
  #released(
    judgement: Judgement,
    bound: Binding,
    frame: Frame,
    turn: Turn,
    end: { go: (frame: Frame, taken: Hold | null) => void; refuse: (error: DbgateError) => void },
  ): undefined | Promise<Resume> {
    const verdict = this.#verdictOn(judgement)
    if (verdict.outcome !== 'hold') {
      end.go(frame, null)
      return
    }
    const settle = (answer: Answer, own: Frame): undefined => {
      if (answer.outcome === 'run') end.go(own, answer.taken)
      else {
        this.#denyHeld(judgement, verdict, bound.protocol)
        end.refuse(answer.error)
      }
    }
    const answer = this.#holding.ask(this.#wanted(judgement, verdict, bound))
    if (!(answer instanceof Promise)) return settle(answer, frame)
    const copy = kept(frame)
    return answer.then(settled => isOver => {
      if (!isOver && !this.#isSkipped(turn)) return settle(settled, copy)
      if (settled.outcome === 'run') this.#holding.giveBack(settled.taken)
      return
    })
  }

  #wanted(judgement: Judgement, verdict: HoldVerdict, bound: Binding): Wanted {
    const statements = statementsOf(judgement)
    const { parameterTypes } = bound
    // They are looked at again after the wait, when the message they stand in is gone.
    const parameters = bound.parameters.map(({ bytes, binary }) => ({
      bytes: bytes === null ? null : Buffer.from(bytes),
      binary,
    }))
    return {
      verdict,
      bound: {
        text: judgement.bytes,
        parameters,
        parameterTypes,
        scope: this.#scope.meaningOf(statements),
      },
      text: judgement.recorded.text,
      textBase64: judgement.recorded.base64,
      parameters: parameters.map(each =>
        recordedParameter(each.bytes, each.binary ? 'binary' : 'text'),
      ),
      statements,
      inTransaction: this.#exchange.status !== 'I',
    }
  }

  /** A statement that waited in vain is on record like one that was refused; too long a text is cut there. */
  #denyHeld(judgement: Judgement, verdict: HoldVerdict, protocol: 'simple' | 'extended'): void {
    this.#authorizer.deny(judgement, verdict, protocol, 'hold')
  }

  #query(judgement: Judgement, frame: Frame, turn: Turn): undefined | Promise<Resume> {
    return this.#released(judgement, SIMPLE, frame, turn, {
      go: (own, taken) => this.#sendQuery(judgement, own, turn, taken),
      refuse: error => this.#refuseQuery(error, judgement.analysis, turn),
    })
  }

  #sendQuery(judgement: Judgement, frame: Frame, turn: Turn, taken: Hold | null): void {
    const claim = this.#claimOr(judgement, 'simple', taken, () =>
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
    const verdict = this.#authorizer.verdictOn(analysis)
    if (name !== '' && this.#names.size >= this.#maxNames) {
      this.#refuseParse(name, tooManyNames(this.#maxNames), undefined, turn)
      return
    }
    if (verdict.outcome === 'deny') {
      this.#authorizer.deny(judgement, verdict, 'extended')
      this.#refuseParse(name, verdict.error, analysis, turn)
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
      ...prepared.map(statement => this.#authorizer.describe(statement.text, [statement])),
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
    const verdict = this.#verdictOn(judgement)
    if (verdict.outcome === 'hold' && others.length > 0) {
      this.#denyHeld(judgement, verdict, 'extended')
      this.#refuse(unsettled(message.statement), undefined, turn)
      return
    }
    return this.#released(judgement, bound, frame, turn, {
      go: (own, taken) => this.#sendBind(judgement, own, turn, taken),
      refuse: error => this.#refuse(error, judgement.analysis, turn),
    })
  }

  #sendBind(judgement: Judgement, frame: Frame, turn: Turn, taken: Hold | null): void {
    const message = decodeFrontend(frame)
    if (message.type !== 'Bind') return
    const claim = this.#claimOr(judgement, 'extended', taken, () =>
      this.#authorizer.claimBound(judgement, message.parameters, this.#note, taken),
    )
    if (claim instanceof DbgateError) {
      this.#refuse(claim, judgement.analysis, turn)
      return
    }
    const portal = portalOf(message.portal, judgement, claim)
    this.#names.bind(portal)
    turn.add(frame.buf, frame.start, frame.end, { kind: 'bind', refusal: null, portal }, claim)
  }

  #execute(message: Message<'Execute'>, frame: Frame, turn: Turn): undefined | Promise<Resume> {
    const portal = this.#names.portal(message.portal)
    const cursors = this.#scope.cursor(message.portal)
    if (portal === undefined || cursors.length > 0) {
      return this.#executeCursor(message.portal, cursors, portal, frame, turn)
    }
    // Time has passed since the Bind: what was allowed then may not be any more.
    const { judgement } = portal
    const verdict = this.#verdictOn(judgement)
    const refused = refusedBy(verdict, portal.run?.taken ?? null)
    if (refused !== undefined) {
      this.#authorizer.deny(judgement, verdict, 'extended')
      this.#refuse(refused, judgement.analysis, turn)
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
      this.#authorizer.describe(`${text}${executes(statement.text)}`, [statement]),
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
    return this.#released(judgement, UNBOUND, frame, turn, {
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
    const claim = this.#claimOr(judgement, 'extended', taken, () =>
      this.#authorizer.claimBound(judgement, [], this.#note, taken),
    )
    if (claim instanceof DbgateError) {
      this.#refuse(claim, undefined, turn)
      return
    }
    const cursor = portalOf(name, judgement, claim)
    const expected = { kind: 'execute', refusal: null, portal: cursor, onDone: null } as const
    turn.add(frame.buf, frame.start, frame.end, expected, claim)
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
        return this.#released(judgement, bound, called, turn, {
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
    const claim = this.#claimOr(judgement, 'simple', taken, () =>
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
   * The claim, or the error to refuse with: the policy's, or that the statement can't be recorded. What was
   * taken for a claim that is not made is given back.
   */
  #claimOr(
    judgement: Judgement,
    protocol: 'simple' | 'extended',
    taken: Hold | null,
    claim: () => Claim,
  ): Claim | DbgateError {
    const refused = this.#claimRefused(judgement, protocol, taken)
    if (refused !== undefined) {
      if (taken !== null) this.#holding.giveBack(taken)
      return refused
    }
    try {
      return claim()
    } catch (error) {
      if (isRefusable(error)) return error
      throw error
    }
  }

  #claimRefused(
    judgement: Judgement,
    protocol: 'simple' | 'extended',
    taken: Hold | null,
  ): DbgateError | undefined {
    const verdict = this.#verdictOn(judgement)
    const refused = refusedBy(verdict, taken)
    const blinding = this.#blinding(judgement)
    const error = refused ?? blinding ?? this.#authorizer.limited(judgement)
    if (error === undefined) return undefined
    const rule =
      refused !== undefined ? verdict.rule : blinding === undefined ? 'limit' : 'unreadable'
    try {
      this.#authorizer.deny(judgement, { rule }, protocol)
      return error
    } catch (thrown) {
      if (isRefusable(thrown)) return thrown
      throw thrown
    }
  }

  /** FETCH runs what a Bind has put under the cursor's name, so that must be allowed still. */
  #verdictOn(judgement: Judgement): Verdict {
    for (const { fetches } of statementsOf(judgement)) {
      for (const name of fetches) {
        const portal = this.#names.portal(nameOf(name))
        if (portal === undefined) continue
        const verdict = this.#authorizer.verdictOn(portal.judgement.analysis)
        if (verdict.outcome === 'deny') return verdict
        if (verdict.outcome === 'hold' && portal.run?.taken == null) return verdict
      }
    }
    return this.#authorizer.verdictOn(judgement.analysis)
  }

  /**
   * What would make the server read the next text otherwise than the gate does. That text may be on its way
   * already when the server reports the change, so it is too late to end the session then.
   */
  #blinding(judgement: Judgement): DbgateError | undefined {
    if (isUnrestricted(this.#authorizer.grant)) return
    for (const { settings } of statementsOf(judgement)) {
      for (const { name, value } of settings) {
        if (value === undefined || !makesUnreadable(name, value)) continue
        return new DbgateError(
          'UNSUPPORTED',
          `dbgate: under ${name} ${value} statements can't be judged. Not run. Next: leave it as it is.`,
        )
      }
    }
    return
  }

  /** EXECUTE names a text; what Parse put under the name is on record nowhere else. */
  readonly #note = (statement: Statement): string => {
    const names = statement.executes.map(nameOf)
    return names
      .flatMap(name => this.#names.candidates(name, Number.NaN))
      .map(({ judgement }) => executes(judgement.recorded.text))
      .join('')
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

/** What an approval covers beside the text. */
type Binding = {
  readonly protocol: 'simple' | 'extended'
  readonly parameters: readonly Parameter[]
  readonly parameterTypes: readonly number[]
}

const UNBOUND: Binding = { protocol: 'extended', parameters: [], parameterTypes: [] }
const SIMPLE: Binding = { ...UNBOUND, protocol: 'simple' }

/** The frame as its own, for when its turn comes later. */
function kept(frame: Frame): Frame {
  const buf = copyFrame(frame)
  return { tag: frame.tag, buf, start: 0, end: buf.length, part: 'whole' }
}

/** Why what was let through before may not run any more, if it may not. */
function refusedBy(verdict: Verdict, taken: Hold | null): DbgateError | undefined {
  if (verdict.outcome === 'deny') return verdict.error
  if (verdict.outcome === 'allow' || taken !== null) return undefined
  return new DbgateError(
    'HELD',
    `dbgate: held by rule ${verdict.rule} since a moment ago. Not run. Next: send it again.`,
  )
}

function unsettled(name: string): DbgateError {
  return new DbgateError(
    'HELD',
    `dbgate: statement "${name}" needs approval and is just being replaced. Not run. Next: send it again once that is answered.`,
  )
}

function isRefusable(error: unknown): error is DbgateError {
  return error instanceof DbgateError && (error.code === 'LIMIT' || error.code === 'UNAUDITED')
}

function executes(text: string): string {
  return `\n/* executes: ${text} */`
}

function isSettled(judgement: Judgement | Promise<Judgement>): judgement is Judgement {
  return !(judgement instanceof Promise)
}

function statementsOf({ analysis }: Judgement): readonly Statement[] {
  return analysis.ok ? analysis.statements : []
}

function portalOf(name: string, judgement: Judgement, { runs }: Claim): Portal {
  return { name, judgement, run: runs[0] ?? null, state: 'sent', replaces: null }
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
