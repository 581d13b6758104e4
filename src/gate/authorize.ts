import { asDbgateError, DbgateError } from '../errors.ts'
import { type Grant, isUnrestricted, type Verdict } from '../policy/index.ts'
import {
  type RecordedParameter,
  recordedParameter,
  type SessionLog,
  type StatementFacts,
} from '../record/index.ts'
import {
  type Analyser,
  type Analysis,
  type Catalog,
  EMPTY_SCOPE,
  type Scope,
  type Statement,
} from '../sql/index.ts'
import type { Hold } from '../store/index.ts'
import type { Parameter } from '../wire/index.ts'
import type { CatalogView } from './catalogs.ts'
import { Confidential, type ConfidentialOptions } from './confidential.ts'
import { ESTIMATE_AGE_MS, type Estimate } from './estimate.ts'
import type { Judgement } from './judgement.ts'
import type { Pace } from './pace.ts'
import { runLimit } from './row-limit.ts'
import { type Run, startRun } from './run.ts'
import { type Standing, verdictOn } from './standing.ts'
import { decodeText, type RecordedText } from './text.ts'
import { refuseLifting } from './time-limit.ts'

/**
 * Proof that policy allowed this execution and that the audit log has it on file. Only `commit` of this
 * module mints one, and `spend` takes it back: one statement, one execution.
 */
export type Permit = { readonly runs: readonly Run[]; readonly taken: Hold | null }

/** A statement that is staged in the audit log but not on file yet: it may not be forwarded. */
export type Claim = Permit

/** What to add to the text of an EXECUTE: the text it stands for. */
export type Note = (statement: Statement) => string

const UNKNOWN: Analysis = unread('unknown statement')

/** A refused text is on record up to this many characters: it never ran, so its end matters less. */
const MAX_DENIED_CHARS = 1_000_000

const minted = new WeakSet<Permit>()

/** Uses a permit up. Throws: INTERNAL (XX000) for what is not a permit, or one already used: our bug. */
export function spend(permit: Permit): void {
  if (!minted.delete(permit)) {
    throw new DbgateError('INTERNAL', 'a statement was about to run without a permit')
  }
}

export type AuthorizerOptions = {
  readonly analyser: Analyser
  readonly log: SessionLog
  readonly standing: Standing
  readonly catalog: CatalogView
  /** Takes back the use of an approval: the statement was certainly not forwarded. */
  readonly giveBack: (taken: Hold) => void
  /** How many statements this principal has sent in this role. */
  readonly pace: Pace
  /** Monotonic milliseconds. */
  readonly clock: () => number
} & Omit<ConfidentialOptions, 'standing' | 'analyser'>

/**
 * Decides about the statements of one session. The order is always: parse → evaluate → record → permit.
 * What is not understood is not allowed, and what can't be recorded is refused (58030).
 */
export class Authorizer {
  readonly #analyser: Analyser
  readonly #log: SessionLog
  readonly #clock: () => number
  readonly #catalog: CatalogView
  readonly #giveBack: (taken: Hold) => void
  readonly #pace: Pace
  /** What the session's masks come to. */
  readonly confidential: Confidential
  #standing: Standing
  #isChangingSchema = false
  /** Verdicts by the identity of the analysis, which the analyser hands out again for a repeated text. */
  #verdicts = new WeakMap<Analysis, Verdict>()
  readonly #estimates = new WeakMap<Analysis, Estimate>()
  /** Runs that are staged but will not be forwarded: they go on file with the next commit. */
  #withdrawn: Run[] = []

  constructor(options: AuthorizerOptions) {
    this.#analyser = options.analyser
    this.#log = options.log
    this.#standing = options.standing
    this.#clock = options.clock
    this.#pace = options.pace
    this.#catalog = options.catalog
    this.#giveBack = options.giveBack
    this.confidential = new Confidential(options)
  }

  get standing(): Standing {
    return this.#standing
  }

  get grant(): Grant {
    return this.#standing.grant
  }

  /** Another grant or policy is in force from now on: everything is decided anew when it next wants to run. */
  regrant(standing: Standing): void {
    this.#standing = standing
    this.#verdicts = new WeakMap()
    this.confidential.regrant(standing)
  }

  /**
   * Analyses a text. Answers at once but for texts that must be read in the parser's own thread, and where
   * the catalog must be read again first; neither holds up anybody else.
   */
  judge(text: Buffer, encoding: string, scope: Scope): Judgement | Promise<Judgement> {
    const found = this.#analyse(text, scope)
    const bytes = Buffer.from(text)
    if (found instanceof Promise) {
      return found.then(settled => this.#judged(bytes, encoding, settled, scope))
    }
    const judgement = this.#judged(bytes, encoding, found, scope)
    if (!this.confidential.isDoubtful(judgement)) return judgement
    // What the masks do not know may be newer than the catalog.
    return this.#analyseFresh(bytes, scope).then(settled =>
      this.#judged(bytes, encoding, settled, scope),
    )
  }

  /** True for a judgement made with a catalog that may have changed since. */
  isStale(judgement: Judgement): boolean {
    return this.#needsCatalog && judgement.catalog !== this.#catalog.current
  }

  /** A transaction is over, or a statement in one: what was changed may be seen by others now. */
  transactionStep(isOver: boolean): void {
    if (!this.#isChangingSchema) return
    this.#catalog.invalidate()
    if (!isOver) return
    this.#isChangingSchema = false
    this.confidential.change = 'none'
  }

  #judged(bytes: Buffer, encoding: string, { analysis, catalog }: Found, scope: Scope): Judgement {
    const recorded = decodeText(bytes, encoding)
    // In a transaction that changes the schema masks go by what it was before.
    const before = this.confidential.isOn && analysis.ok ? this.#catalog.last : undefined
    return {
      bytes,
      catalog: catalog ?? before,
      recorded,
      analysis,
      scope,
      either: NOTHING_ELSE,
    }
  }

  get #needsCatalog(): boolean {
    return !isUnrestricted(this.#standing.grant)
  }

  #analyse(text: Buffer, scope: Scope): Found | Promise<Found> {
    if (!this.#needsCatalog || this.#isChangingSchema) {
      return this.#analyseWith(undefined, text, scope)
    }
    const catalog = this.#catalog.current
    if (catalog === undefined) return this.#analyseFresh(Buffer.from(text), scope)
    const found = this.#analyseWith(catalog, text, scope)
    if (found instanceof Promise || !isDoubtful(found.analysis)) return found
    return this.#analyseFresh(Buffer.from(text), scope)
  }

  #analyseWith(catalog: Catalog | undefined, text: Buffer, scope: Scope): Found | Promise<Found> {
    const conclude = (analysis: Analysis): Found => ({
      analysis: this.#isChangingSchema && this.#needsCatalog ? withoutOwnCode(analysis) : analysis,
      catalog,
    })
    const analysis = this.#analyser.analyse(text, scope, catalog)
    return analysis instanceof Promise ? analysis.then(conclude) : conclude(analysis)
  }

  /** What can't be looked up is not understood: letting it through would open a target when its catalog is out of reach. */
  async #analyseFresh(text: Buffer, scope: Scope): Promise<Found> {
    try {
      return await this.#analyseWith(await this.#catalog.fresh(), text, scope)
    } catch (cause) {
      if (asDbgateError(cause).code === 'INTERNAL') throw cause
      return { analysis: NO_CATALOG, catalog: undefined }
    }
  }

  /** How many rows a text is about by the database's own estimate; undefined before it was asked. */
  estimateOf({ analysis }: Judgement): Estimate | undefined {
    return this.#estimates.get(analysis)
  }

  /** Takes an estimate: what was decided without it is decided anew. */
  estimated({ analysis }: Judgement, rows: number | undefined): void {
    this.#estimates.set(analysis, { rows, at: this.#standing.now() })
    this.#verdicts.delete(analysis)
  }

  /** What the policy in force and its masks say of something judged before. */
  verdictOn(judgement: Judgement): Verdict {
    return this.confidential.join(this.#policyOn(judgement.analysis), judgement)
  }

  #policyOn(analysis: Analysis): Verdict {
    const known = this.#verdicts.get(analysis)
    if (known !== undefined && this.#standing.now() < known.validUntil) return known
    const verdict = this.#decided(analysis)
    this.#verdicts.set(analysis, verdict)
    return verdict
  }

  /** An estimate is taken for a while: what is decided by it is decided anew then. */
  #decided(analysis: Analysis): Verdict {
    const standing = this.#standing
    const estimate = this.#estimates.get(analysis)
    const until = (estimate?.at ?? 0) + ESTIMATE_AGE_MS
    if (estimate?.rows === undefined || standing.now() >= until)
      return verdictOn(standing, analysis)
    const verdict = verdictOn(standing, analysis, estimate.rows)
    return { ...verdict, validUntil: Math.min(verdict.validUntil, until) }
  }

  /**
   * Why a text may not run by the role's limits, or undefined: then it has been counted. Ending a transaction
   * never counts, nor does beginning one: who may not send more must still be able to leave.
   */
  limited({ analysis }: Judgement): DbgateError | undefined {
    const { limits, target } = this.#standing.grant
    const { timeMs, statementsPerMinute } = limits
    const statements = analysis.ok ? analysis.statements : []
    if (timeMs !== undefined) {
      const lifting = refuseLifting(statements, timeMs, target)
      if (lifting !== undefined) return lifting
    }
    if (statementsPerMinute === undefined) return undefined
    const count = analysis.ok ? statements.filter(each => each.class !== 'transaction').length : 1
    if (count === 0) return undefined
    const waitMs = this.#pace.take(count, statementsPerMinute, this.#clock())
    return waitMs === 0 ? undefined : tooFast(statementsPerMinute, count, waitMs, target)
  }

  /**
   * A judgement on something the gate knows by a description only, or by the statements behind it. Of what
   * nothing is known, everything is needed.
   */
  describe(
    text: string,
    statements?: readonly Statement[],
    scope: Scope = EMPTY_SCOPE,
    either: readonly Judgement[] = NOTHING_ELSE,
  ): Judgement {
    const analysis: Analysis = statements === undefined ? UNKNOWN : { ok: true, statements }
    const recorded = { text, base64: undefined }
    const catalog = this.confidential.isOn ? this.#catalog.last : undefined
    return { bytes: Buffer.from(text), catalog, recorded, analysis, scope, either }
  }

  /** As `describe`, with the schema as it is now where that makes a difference. */
  describeNow(
    text: string,
    statements: readonly Statement[],
    scope: Scope,
  ): Judgement | Promise<Judgement> {
    const judgement = this.describe(text, statements, scope)
    const isKnown = this.#isChangingSchema || this.#catalog.current !== undefined
    if (!this.confidential.isOn || isKnown) return judgement
    return this.#catalog.fresh().then(
      catalog => ({ ...judgement, catalog }),
      () => ({ ...judgement, catalog: undefined, analysis: NO_CATALOG }),
    )
  }

  /**
   * One judgement on something that may be any of these (at least one): it needs what each of them needs,
   * and all of them are on record.
   */
  anyOf(judgements: readonly Judgement[]): Judgement {
    const [first, ...others] = judgements
    if (first === undefined) return this.describe('')
    if (others.length === 0) return first
    const unread = judgements.find(({ analysis }) => !analysis.ok)?.analysis
    const statements = judgements.flatMap(({ analysis }) =>
      analysis.ok ? analysis.statements : [],
    )
    const text = judgements.map(each => this.shown(each).text).join('\n/* or */\n')
    const either = this.describe(text, statements, first.scope, judgements)
    return unread === undefined ? either : { ...either, analysis: unread }
  }

  /**
   * Prepares the record of everything in a simple Query: one for each statement, or a single one for a
   * text that was not understood or is empty.
   *
   * Throws: LIMIT (54000) the text is too long for a record; UNAUDITED (58030).
   *
   * @param taken the approval used up for it, if it took one
   */
  claimQuery(judgement: Judgement, note: Note, taken: Hold | null = null): Claim {
    const { analysis, recorded } = judgement
    const statements = analysis.ok ? analysis.statements : []
    if (statements.length <= 1)
      return this.#claim(judgement, taken, [
        this.#facts('simple', judgement, noted(this.shown(judgement), statements, note)),
      ])
    return this.#claim(
      judgement,
      taken,
      statements.map((statement, index) => {
        // Cut out of the text after decoding: the bytes of the whole stand with the first.
        const base64 = index === 0 ? recorded.base64 : undefined
        const shown = this.confidential.shown(judgement, { text: statement.text, base64 }, index)
        const own = noted(shown, [statement], note)
        return this.#facts('simple', judgement, own, [statement])
      }),
    )
  }

  /**
   * Prepares the record of one bound statement. Throws as `claimQuery`.
   *
   * @param parameters as they stand in Bind; the record copies them
   */
  claimBound(
    judgement: Judgement,
    parameters: readonly Parameter[],
    note: Note,
    taken: Hold | null = null,
  ): Claim {
    const { analysis } = judgement
    const statements = analysis.ok ? analysis.statements : []
    const facts = this.#facts('extended', judgement, noted(this.shown(judgement), statements, note))
    if (parameters.length === 0) return this.#claim(judgement, taken, [facts])
    const shown = this.confidential.shownParameters(judgement, parameters.map(recordParameter))
    return this.#claim(judgement, taken, [{ ...facts, parameters: shown }])
  }

  /**
   * Puts all claims on file in one write, which turns them into permits.
   *
   * Throws: UNAUDITED (58030): none of them may be forwarded.
   */
  commit(claims: readonly Claim[]): void {
    const withdrawn = this.#withdrawn
    if (claims.length === 0 && withdrawn.length === 0) return
    this.#withdrawn = []
    try {
      this.#log.commit()
    } catch (error) {
      this.#giveBackAll(claims)
      throw error
    }
    for (const claim of claims) minted.add(claim)
    for (const { id } of withdrawn) {
      this.#log.complete(id, { outcome: 'not-run', rows: 0, bytes: 0, durationUs: 0 })
    }
  }

  /** Puts a refusal on record and returns its id; of a text too long for a record, its beginning. */
  deny(
    judgement: Judgement,
    verdict: Pick<Verdict, 'rule'>,
    protocol: 'simple' | 'extended',
    outcome: 'deny' | 'hold' = 'deny',
    note: Note = () => '',
  ): string {
    const { analysis } = judgement
    const shown = noted(this.shown(judgement), analysis.ok ? analysis.statements : [], note)
    const { text } = shown
    const recorded =
      text.length <= MAX_DENIED_CHARS
        ? shown
        : {
            text: `${text.slice(0, MAX_DENIED_CHARS)} (and ${text.length - MAX_DENIED_CHARS} more characters)`,
            base64: undefined,
          }
    const facts = this.#facts(protocol, judgement, recorded)
    return this.#log.deny({ ...facts, verdict: outcome, rule: verdict.rule })
  }

  /** The text of a judgement as the audit log may have it. */
  shown(judgement: Judgement): RecordedText {
    return this.confidential.shown(judgement, judgement.recorded)
  }

  #claim(judgement: Judgement, taken: Hold | null, facts: readonly StatementFacts[]): Claim {
    // Before it counts as a change: it is one from then on.
    const maskings = facts.map((_, index) => this.confidential.maskingOf(judgement, index))
    if (mayChangeSchema(judgement.analysis)) {
      this.confidential.changing(judgement)
      this.#isChangingSchema = true
      this.#catalog.invalidate()
    }
    const startedAtMs = this.#clock()
    const runs: Run[] = []
    try {
      for (const [index, each] of facts.entries()) {
        const approved =
          taken === null ? each : { ...each, verdict: 'hold' as const, request: taken.id }
        const limit = runLimit(this.grant.limits.rows, each.statements)
        const id = this.#log.stage(approved)
        runs.push(startRun(id, startedAtMs, taken, maskings[index], limit))
      }
    } catch (error) {
      this.withdraw([{ runs, taken }])
      throw error
    }
    return { runs, taken }
  }

  /** Gives claims up that will not be forwarded: they are put on file, as not run, by the next commit. */
  withdraw(claims: readonly Claim[]): void {
    this.#giveBackAll(claims)
    for (const { runs } of claims) {
      for (const run of runs) run.isFinished = true
      this.#withdrawn.push(...runs)
    }
  }

  #giveBackAll(claims: readonly Claim[]): void {
    for (const { taken } of claims) if (taken !== null) this.#giveBack(taken)
  }

  #facts(
    protocol: 'simple' | 'extended',
    judgement: Judgement,
    recorded: RecordedText,
    statements: readonly Statement[] = judgement.analysis.ok ? judgement.analysis.statements : [],
  ): StatementFacts {
    const verdict = this.verdictOn(judgement)
    const facts: StatementFacts = {
      protocol,
      text: recorded.text,
      textBase64: recorded.base64,
      statements,
      verdict: 'allow',
      rule: verdict.rule,
    }
    if (verdict.outcome !== 'allow' || verdict.observed === undefined) return facts
    const { outcome, rule } = verdict.observed
    return { ...facts, observed: { outcome, rule } }
  }
}

/** An analysis with the catalog it rests on. */
type Found = { readonly analysis: Analysis; readonly catalog: Catalog | undefined }

const NOTHING_ELSE: readonly Judgement[] = []

const NO_CATALOG: Analysis = unread('the schema of the database could not be read')

/** A name that the catalog does not know may be newer than the catalog. */
function isDoubtful(analysis: Analysis): boolean {
  if (!analysis.ok) return false
  return analysis.statements.some(
    ({ unknownFunctions, notUnderstood }) =>
      unknownFunctions.length > 0 || notUnderstood.length > 0,
  )
}

/** Until a transaction that changes the schema is over, nobody else can see what its functions do. */
function withoutOwnCode(analysis: Analysis): Analysis {
  if (!analysis.ok || analysis.statements.every(each => each.unknownFunctions.length === 0)) {
    return analysis
  }
  return unread('it calls a function in a transaction that changes the schema')
}

function mayChangeSchema(analysis: Analysis): boolean {
  if (!analysis.ok) return true
  return analysis.statements.some(({ needs }) => needs.includes('ddl') || needs.includes('admin'))
}

function unread(message: string): Analysis {
  return { ok: false, error: { message, position: undefined, reason: 'parser-failed' } }
}

function noted(recorded: RecordedText, statements: readonly Statement[], note: Note): RecordedText {
  let { text } = recorded
  for (const statement of statements) {
    if (statement.executes.length > 0 || statement.fetches.length > 0) text += note(statement)
  }
  return text === recorded.text ? recorded : { ...recorded, text }
}

function tooFast(limit: number, count: number, waitMs: number, target: string): DbgateError {
  const next =
    count > limit ? 'send fewer at once' : `wait ${Math.max(1, Math.ceil(waitMs / 1000))} s`
  return new DbgateError(
    'LIMIT',
    `dbgate: limit, more than ${limit} statements a minute on ${target}. Not run. Next: ${next}.`,
  )
}

function recordParameter(parameter: Parameter): RecordedParameter {
  return recordedParameter(parameter.bytes, parameter.binary ? 'binary' : 'text')
}
