import { DbgateError, traced } from '../errors.ts'
import { type HoldVerdict, isUnrestricted, type Verdict } from '../policy/index.ts'
import { recordedParameter } from '../record/index.ts'
import type { Statement } from '../sql/index.ts'
import type { Hold } from '../store/index.ts'
import { copyFrame, type Frame, type Parameter } from '../wire/index.ts'
import type { Authorizer, Claim } from './authorize.ts'
import { ESTIMATE_AGE_MS, explainFor } from './estimate.ts'
import type { Exchange } from './exchange.ts'
import type { Answer, Holding, Wanted } from './holding.ts'
import type { Judgement } from './judgement.ts'
import { type Names, nameOf } from './names.ts'
import type { SessionScope } from './session-scope.ts'
import { makesUnreadable } from './text.ts'
import type { Turn } from './turn.ts'

/**
 * What is left to do with a message that had to wait: it may have to wait once more. If the session is over by
 * then, all that is left is to give back what was taken for it.
 */
export type Resume = (isOver: boolean) => undefined | Promise<Resume>

/** What an approval covers beside the text. */
export type Binding = {
  readonly protocol: 'simple' | 'extended'
  readonly parameters: readonly Parameter[]
  readonly parameterTypes: readonly number[]
}

export const UNBOUND: Binding = { protocol: 'extended', parameters: [], parameterTypes: [] }
export const SIMPLE: Binding = { ...UNBOUND, protocol: 'simple' }

export type ClearanceOptions = {
  readonly authorizer: Authorizer
  readonly exchange: Exchange
  readonly names: Names
  readonly scope: SessionScope
  readonly holding: Holding
  /** Asks the database how many rows a plan is about; undefined where it does not say. Never rejects. */
  readonly estimate?: ((explain: string) => Promise<number | undefined>) | undefined
}

/**
 * Whether a judged statement may go on now: what the policy says of it and of what it runs, what a person has
 * to say, and its claim in the audit log.
 */
export class Clearance {
  readonly #authorizer: Authorizer
  readonly #exchange: Exchange
  readonly #names: Names
  readonly #scope: SessionScope
  readonly #holding: Holding
  readonly #ask: ClearanceOptions['estimate']

  constructor(options: ClearanceOptions) {
    this.#authorizer = options.authorizer
    this.#exchange = options.exchange
    this.#names = options.names
    this.#scope = options.scope
    this.#holding = options.holding
    this.#ask = options.estimate
  }

  /** True while the server skips everything up to a Sync that the turn does not bring. */
  isSkipped(turn: Turn): boolean {
    return this.#exchange.isSkipping && !turn.hasSync
  }

  /**
   * Goes on with a statement, at once or once a person has let it through: then an approval was used up for
   * it, which is given back should it not be sent after all.
   */
  release(
    judgement: Judgement,
    bound: Binding,
    frame: Frame,
    turn: Turn,
    end: { go: (frame: Frame, taken: Hold | null) => void; refuse: (error: DbgateError) => void },
  ): undefined | Promise<Resume> {
    const { length } = bound.parameters
    return this.estimated(judgement, length > 0, frame, turn, own =>
      this.#release(judgement, bound, own, turn, end),
    )
  }

  /**
   * Goes on with a statement once it is known how many rows it is about, if that matters: a rule asks for it, or
   * whoever has to agree wants to know.
   */
  estimated(
    judgement: Judgement,
    hasParameters: boolean,
    frame: Frame,
    turn: Turn,
    then: (frame: Frame) => undefined | Promise<Resume>,
  ): undefined | Promise<Resume> {
    const asked = this.#estimate(judgement, hasParameters)
    if (asked === undefined) return then(frame)
    const copy = kept(frame)
    return asked.then(rows => isOver => {
      this.#authorizer.estimated(judgement, rows)
      return isOver || this.isSkipped(turn) ? undefined : then(copy)
    })
  }

  #estimate(judgement: Judgement, hasParameters: boolean): Promise<number | undefined> | undefined {
    if (this.#ask === undefined) return undefined
    const known = this.#authorizer.estimateOf(judgement)
    const statements = statementsOf(judgement)
    const explain = () =>
      this.#scope.current.searchPath === 'initial'
        ? explainFor(statements, hasParameters, this.#scope.meaningOf(statements))
        : undefined
    // The session has changed what its names mean: it is not known any more how many rows that is.
    if (known?.rows !== undefined && explain() === undefined) {
      this.#authorizer.estimated(judgement, undefined)
      return undefined
    }
    const verdict = this.verdictOn(judgement)
    if (verdict.outcome !== 'hold' && !verdict.wantsEstimate) return undefined
    const ageMs = this.#authorizer.standing.now() - (known?.at ?? Number.NEGATIVE_INFINITY)
    const asked = ageMs < ESTIMATE_AGE_MS ? undefined : explain()
    return asked === undefined ? undefined : this.#ask(asked)
  }

  #release(
    judgement: Judgement,
    bound: Binding,
    frame: Frame,
    turn: Turn,
    end: { go: (frame: Frame, taken: Hold | null) => void; refuse: (error: DbgateError) => void },
  ): undefined | Promise<Resume> {
    const verdict = this.verdictOn(judgement)
    if (verdict.outcome !== 'hold') {
      end.go(frame, null)
      return
    }
    const settle = (answer: Answer, own: Frame): undefined => {
      if (answer.outcome === 'run') end.go(own, answer.taken)
      else {
        const { protocol } = bound
        const id = this.#authorizer.deny(judgement, verdict, protocol, 'hold', this.noteOf)
        end.refuse(traced(answer.error, verdict.rule, id))
      }
    }
    const answer = this.#holding.ask(this.#wanted(judgement, verdict, bound))
    if (!(answer instanceof Promise)) return settle(answer, frame)
    const copy = kept(frame)
    return answer.then(settled => isOver => {
      if (!isOver && !this.isSkipped(turn)) return settle(settled, copy)
      if (settled.outcome === 'run') this.#holding.giveBack(settled.taken)
      return
    })
  }

  /** What the cursors run that a statement names and a Bind made: their own records are far from its. */
  readonly noteOf = ({ fetches }: Statement): string =>
    this.#names
      .portalsOf(fetches)
      .map(({ judgement }) => cursorNote(this.#authorizer.shown(judgement).text))
      .join('')

  #wanted(judgement: Judgement, verdict: HoldVerdict, bound: Binding): Wanted {
    const statements = statementsOf(judgement)
    const { parameterTypes } = bound
    // They are looked at again after the wait, when the message they stand in is gone.
    const own = ownParameters(bound.parameters)
    // FETCH says nothing of what it runs: whoever agrees to it agrees to what was bound, with its values.
    const portals = this.#names.portalsOf(statements.flatMap(statement => statement.fetches))
    const parameters = [...own, ...portals.flatMap(portal => portal.parameters)]
    const fetched = portals.map(portal => portal.judgement.recorded.text)
    const meaning = portals.map(({ name }, index) => [`portal ${name}`, fetched[index] ?? ''])
    return {
      verdict,
      bound: {
        text: judgement.bytes,
        parameters,
        parameterTypes,
        scope: { ...this.#scope.meaningOf(statements), ...Object.fromEntries(meaning) },
      },
      text: [judgement.recorded.text, ...fetched.map(cursorNote)].join(''),
      textBase64: judgement.recorded.base64,
      parameters: parameters.map(each =>
        recordedParameter(each.bytes, each.binary ? 'binary' : 'text'),
      ),
      statements,
      inTransaction: this.#exchange.status !== 'I',
      rowsEstimate: this.#authorizer.estimateOf(judgement)?.rows,
    }
  }

  /**
   * The claim, or the error to refuse with: the policy's, or that the statement can't be recorded. What was
   * taken for a claim that is not made is given back. `confidential` is why its values may not be bound.
   */
  claimOr(
    judgement: Judgement,
    protocol: 'simple' | 'extended',
    taken: Hold | null,
    claim: () => Claim,
    confidential?: DbgateError,
  ): Claim | DbgateError {
    const refused = this.#claimRefused(judgement, protocol, taken, confidential)
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
    confidential: DbgateError | undefined,
  ): DbgateError | undefined {
    const verdict = this.verdictOn(judgement)
    const refused = refusedBy(verdict, taken)
    if (refused === undefined && confidential !== undefined) {
      const id = this.#authorizer.deny(judgement, { rule: 'mask' }, protocol)
      return traced(confidential, 'mask', id)
    }
    const blinding = this.#blinding(judgement)
    const error = refused ?? blinding ?? this.#authorizer.limited(judgement)
    if (error === undefined) return undefined
    const rule =
      refused !== undefined ? verdict.rule : blinding === undefined ? 'limit' : 'unreadable'
    try {
      const id = this.#authorizer.deny(judgement, { rule }, protocol, 'deny', this.noteOf)
      return traced(error, rule, id)
    } catch (thrown) {
      if (isRefusable(thrown)) return thrown
      throw thrown
    }
  }

  /** FETCH runs what a Bind has put under the cursor's name, so that must be allowed still. */
  verdictOn(judgement: Judgement): Verdict {
    for (const { fetches } of statementsOf(judgement)) {
      for (const name of fetches) {
        const portal = this.#names.portal(nameOf(name))
        if (portal === undefined) continue
        const verdict = this.#authorizer.verdictOn(portal.judgement)
        if (verdict.outcome === 'deny') return verdict
        if (verdict.outcome === 'hold' && portal.run?.taken == null) return verdict
      }
    }
    return this.#authorizer.verdictOn(judgement)
  }

  /**
   * What would make the server read the next text otherwise than the gate does. That text may be on its way
   * already when the server reports the change, so it is too late to end the session then.
   */
  #blinding(judgement: Judgement): DbgateError | undefined {
    if (isUnrestricted(this.#authorizer.grant)) return
    for (const { settings } of statementsOf(judgement)) {
      for (const { name, value } of settings) {
        const { isOn } = this.#authorizer.confidential
        if (isOn && ROLES.has(name)) return otherRole()
        if (value === undefined) continue
        if (!(isOn && isOtherEncoding(name, value)) && !makesUnreadable(name, value)) continue
        return new DbgateError(
          'UNSUPPORTED',
          `dbgate: under ${name} ${value} statements can't be judged. Not run. Next: leave it as it is.`,
        )
      }
    }
    return
  }
}

/** Parameters as their own, for when the message they stand in is gone. */
export function ownParameters(parameters: readonly Parameter[]): readonly Parameter[] {
  return parameters.map(({ bytes, binary }) => ({
    bytes: bytes === null ? null : Buffer.from(bytes),
    binary,
  }))
}

/** What a cursor runs that a text names, put after it for people to read. */
function cursorNote(text: string): string {
  return `\n/* cursor: ${text} */`
}

/** The frame as its own, for when its turn comes later. */
export function kept(frame: Frame): Frame {
  const buf = copyFrame(frame)
  return { tag: frame.tag, buf, start: 0, end: buf.length, part: 'whole' }
}

/** Why what was let through before may not run any more, if it may not. */
export function refusedBy(verdict: Verdict, taken: Hold | null): DbgateError | undefined {
  if (verdict.outcome === 'deny') return verdict.error
  if (verdict.outcome === 'allow' || taken !== null) return undefined
  return new DbgateError(
    'HELD',
    `dbgate: held by rule ${verdict.rule} since a moment ago. Not run. Next: send it again.`,
  )
}

/** Who one is decides what "$user" in search_path stands for, and what names mean was looked up as who logged in. */
const ROLES = new Set(['role', 'session_authorization'])

function otherRole(): DbgateError {
  return new DbgateError(
    'UNSUPPORTED',
    'dbgate: as another role names may mean something else, and confidential columns are masked here. Not run. Next: connect with another role: dbgate connect --role',
  )
}

/** Values are masked in UTF-8. */
function isOtherEncoding(name: string, value: string): boolean {
  return (name === 'client_encoding' || name === 'names') && !/^(?:utf-?8|unicode)$/i.test(value)
}

function isRefusable(error: unknown): error is DbgateError {
  return error instanceof DbgateError && (error.code === 'LIMIT' || error.code === 'UNAUDITED')
}

export function statementsOf({ analysis }: Judgement): readonly Statement[] {
  return analysis.ok ? analysis.statements : []
}
