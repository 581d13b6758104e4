import { DbgateError } from '../errors.ts'
import type { Masks, Remembered } from '../mask/index.ts'
import { bindMasks, type MaskRule, type Verdict } from '../policy/index.ts'
import type { RecordedParameter } from '../record/index.ts'
import type { Analyser, Analysis } from '../sql/index.ts'
import type { Parameter } from '../wire/index.ts'
import type { Judgement } from './judgement.ts'
import { guardOf, Masking, type Meaning, type Planned, refused } from './masking.ts'
import { type RunMasking, UNMASKED } from './run.ts'
import { RunMask } from './run-mask.ts'
import type { Standing } from './standing.ts'
import type { RecordedText } from './text.ts'
import { joined } from './verdict-under-masks.ts'
import { isWithheld, WITHHELD, withoutValues } from './withheld.ts'

export type ConfidentialOptions = {
  readonly analyser: Analyser
  readonly standing: Standing
  /** Undefined where the server has no key for masks: then nothing may run that a mask is about. */
  readonly masks: Masks | undefined
  /** What columns had before, see Remembered. */
  readonly memory: () => readonly Remembered[]
  /** What a Bind has put under a name. */
  readonly portal: (name: string) => Judgement | undefined
  /** What the audit log is to have of values that are masked. */
  readonly parameters: 'masked' | 'full' | 'none'
}

/** What is remembered of a text's plans, and what they rest on. */
type Known = Omit<Meaning, 'scope'> & {
  readonly memory: readonly Remembered[]
  readonly plans: readonly Planned[]
}

const NO_PLANS: readonly Planned[] = []

/**
 * What a session's masks come to for each statement: its verdict, what its rows are held against, and what the
 * audit log may have of it. A session without masks pays for a look at `isOn`.
 */
export class Confidential {
  readonly #options: ConfidentialOptions
  #rules: readonly MaskRule[]
  #masking: Masking | null
  #known = new WeakMap<Analysis, Known>()
  /** What the open transaction has changed of the schema. */
  change: Meaning['change'] = 'none'

  constructor(options: ConfidentialOptions) {
    this.#options = options
    this.#rules = rulesOf(options.standing)
    this.#masking = this.#masks()
  }

  /** Something is masked in this session. */
  get isOn(): boolean {
    return this.#masking !== null
  }

  /** What statements are planned by now; null where nothing is masked. */
  get masking(): Masking | null {
    return this.#masking
  }

  /** Another grant is in force: what was planned holds no more, unless the masks are the same. */
  regrant(standing: Standing): void {
    const rules = rulesOf(standing)
    if (JSON.stringify(rules) === JSON.stringify(this.#rules)) return
    this.#rules = rules
    this.#masking = this.#masks()
    this.#known = new WeakMap()
  }

  /** How each statement of a text is run; one for all where it may be any of several. */
  plansOf(judgement: Judgement): readonly Planned[] {
    const masking = this.#masking
    if (masking === null) return NO_PLANS
    const { either, analysis, scope, catalog } = judgement
    if (either.length > 0) return [masking.agree(either.flatMap(one => this.plansOf(one)))]
    if (!analysis.ok) return [refused(unread(analysis))]
    if (this.#options.masks === undefined) return analysis.statements.map(() => refused(noKey()))
    const { change } = this
    const memory = this.#options.memory()
    const known = this.#known.get(analysis)
    if (known?.catalog === catalog && known?.change === change && known?.memory === memory) {
      return known.plans
    }
    const plans = masking.planAll(analysis.statements, { scope, catalog, change })
    // What stands behind a portal's name may change at any time.
    if (analysis.statements.every(({ fetches }) => fetches.length === 0)) {
      this.#known.set(analysis, { catalog, change, memory, plans })
    }
    return plans
  }

  /** Something in it is not known: with a newer catalog it might be. */
  isDoubtful(judgement: Judgement): boolean {
    if (this.#masking === null || this.change !== 'none') return false
    return this.plansOf(judgement).some(({ lineage }) => (lineage?.unknown.length ?? 0) > 0)
  }

  /** The policy's verdict on a text together with that of the masks. */
  join(verdict: Verdict, judgement: Judgement): Verdict {
    if (this.#masking === null || verdict.outcome === 'deny') return verdict
    return joined(
      verdict,
      this.plansOf(judgement).map(({ plan }) => plan),
    )
  }

  /** A statement that changes the schema is on its way; what the rest of its transaction shows, nobody knows. */
  changing(judgement: Judgement): void {
    if (this.#masking === null) return
    const isClear = this.plansOf(judgement).every(({ plan }) => plan.outcome === 'clear')
    if (!isClear) this.change = 'masked'
    else if (this.change === 'none') this.change = 'elsewhere'
  }

  /** What the rows of the statement at this place of a text are held against. */
  maskingOf(judgement: Judgement, index: number): RunMasking {
    const masking = this.#masking
    const { masks } = this.#options
    if (masking === null || masks === undefined) return UNMASKED
    const planned = this.plansOf(judgement)[index]
    if (planned?.plan.outcome === 'clear') {
      return { mask: null, masking, isPrivate: planned.isPrivate }
    }
    const { analysis, catalog } = judgement.either[0] ?? judgement
    const statement = analysis.ok ? analysis.statements[index] : undefined
    const guard = planned === undefined ? undefined : guardOf(planned.plan)
    const mask = new RunMask({ guard, set: planned?.set, catalog, masks, statement })
    return { mask, masking, isPrivate: true }
  }

  /** Why these values may not be bound, if they may not. */
  checkParameters(judgement: Judgement, parameters: readonly Parameter[]): DbgateError | undefined {
    if (this.#masking === null || parameters.length === 0) return undefined
    const values = parameters.map(({ bytes }) => bytes?.toString('utf8'))
    return this.#masking.checkParameters(this.plansOf(judgement), values)
  }

  /** The text of a judgement, or of one statement of it, as the audit log may have it. */
  shown(judgement: Judgement, recorded: RecordedText, index?: number): RecordedText {
    if (this.#masking === null || this.#options.parameters === 'full') return recorded
    const plans = this.plansOf(judgement)
    const { analysis } = judgement
    const statements = analysis.ok ? analysis.statements : []
    const parts = statements.flatMap((statement, at) => {
      const planned = plans[at] ?? plans[0]
      const isMeant = index === undefined || index === at
      return planned !== undefined && isMeant ? [{ statement, planned }] : []
    })
    return withoutValues(recorded, parts)
  }

  /** Bound values as the audit log may have them. */
  shownParameters(
    judgement: Judgement,
    parameters: readonly RecordedParameter[],
  ): readonly RecordedParameter[] | undefined {
    const { parameters: how } = this.#options
    if (how === 'none') return undefined
    if (this.#masking === null || how === 'full') return parameters
    const plans = this.plansOf(judgement)
    return parameters.map((value, index) =>
      value !== null && plans.some(planned => isWithheld(planned, index + 1)) ? WITHHELD : value,
    )
  }

  #masks(): Masking | null {
    if (this.#rules.length === 0) return null
    const { analyser, memory, portal } = this.#options
    return new Masking({ analyser, rules: this.#rules, memory }, name => {
      const judgement = portal(name)
      return judgement === undefined ? undefined : this.plansOf(judgement)
    })
  }
}

function rulesOf({ grant, agent }: Standing): readonly MaskRule[] {
  return grant.masks.length === 0 ? grant.masks : bindMasks(grant.masks, agent)
}

function noKey(): DbgateError {
  return new DbgateError(
    'UNSUPPORTED',
    'dbgate: there is no key for masks on this server. Not run.',
  )
}

function unread(analysis: Extract<Analysis, { readonly ok: false }>): DbgateError {
  const { message, reason } = analysis.error
  if (reason === 'syntax') return new DbgateError('SYNTAX', message)
  return new DbgateError(
    'UNSUPPORTED',
    `dbgate: statement could not be proven safe (${message}). Not run, since confidential columns might be read. Next: write it more simply.`,
  )
}
