import { DbgateError } from '../errors.ts'
import {
  checkParameters,
  type GuardPlan,
  type MaskSet,
  type Plan,
  planMasks,
  type Remembered,
  selectMasks,
} from '../mask/index.ts'
import type { MaskRule } from '../policy/index.ts'
import type { Analyser, Catalog, Lineage, Scope, Statement } from '../sql/index.ts'
import { anticipate } from '../sql/index.ts'
import { copyFormatOf, oddCopy } from './copy-form.ts'
import { isOnlyOwn, readsNothing } from './own-changes.ts'

/** How one statement is run under masks, and what its rows are held against. */
export type Planned = {
  readonly plan: Plan
  /** Undefined where nothing is known of the schema. */
  readonly set: MaskSet | undefined
  /** Undefined where the plan is that of other statements. */
  readonly lineage: Lineage | undefined
  /** What may be said of it: errors and notices can hold values unless it is clear and brings no checks forward. */
  readonly isPrivate: boolean
}

/** What a text is planned by: what its names stand for in the session and in the database. */
export type Meaning = {
  readonly scope: Scope
  readonly catalog: Catalog | undefined
  /** The transaction has changed the schema, so that `catalog` is how it was before. */
  readonly change: 'none' | 'elsewhere' | 'masked'
}

export type MaskingOptions = {
  readonly analyser: Analyser
  readonly rules: readonly MaskRule[]
  /** What columns had before, see Remembered. */
  readonly memory: () => readonly Remembered[]
}

/**
 * How statements are run under the masks of one grant.
 *
 * Invariant: a statement whose lineage is not known, or that may stand for several, runs only if all it may be
 * is run in the same way.
 */
export class Masking {
  readonly #options: MaskingOptions
  /** What a cursor is made of stays as it was when it was declared, whatever becomes of the schema. */
  readonly #declaredUnder = new WeakMap<Statement, Catalog>()
  /** Portals whose plan is being made. */
  readonly #lookedAt = new Set<string>()
  readonly #portal: (name: string) => readonly Planned[] | undefined

  /** @param portal the plans of what a Bind has put under a name */
  constructor(
    options: MaskingOptions,
    portal: (name: string) => readonly Planned[] | undefined = () => undefined,
  ) {
    this.#options = options
    this.#portal = portal
  }

  /** One plan for each statement of a text, which run one after the other. */
  planAll(statements: readonly Statement[], meaning: Meaning): readonly Planned[] {
    let { scope } = meaning
    return statements.map((statement, index) => {
      const planned = this.#plan(statement, { ...meaning, scope })
      scope = anticipate(scope, statement)
      const isLast = index === statements.length - 1
      return !isLast && changesMeaning(statement) ? refused(sendApart(statement)) : planned
    })
  }

  /** One plan for something that may be any of these. */
  agree(candidates: readonly Planned[]): Planned {
    const [first, ...others] = candidates
    if (first === undefined) return refused(unknownName())
    for (const outcome of ['deny', 'approve'] as const) {
      const found = candidates.find(({ plan }) => plan.outcome === outcome)
      if (found !== undefined && others.length > 0) {
        return outcome === 'deny' ? found : refused(ambiguous())
      }
    }
    if (others.every(other => isSame(first.plan, other.plan))) return first
    return refused(ambiguous())
  }

  /** Why values that come with a Bind may not be written or compared, if they may not. */
  checkParameters(
    planned: readonly Planned[],
    values: readonly (string | undefined)[],
  ): DbgateError | undefined {
    for (const { lineage, set } of planned) {
      if (lineage === undefined || set === undefined) continue
      const error = checkParameters(set, lineage, values)
      if (error !== undefined) return error
    }
    return undefined
  }

  #plan(statement: Statement, meaning: Meaning): Planned {
    const { scope, catalog } = meaning
    if (statement.kind === 'FETCH' || statement.kind === 'MOVE') {
      return this.agree(statement.fetches.flatMap(name => this.#cursor(name, meaning)))
    }
    if (statement.kind === 'EXECUTE') {
      const found = statement.executes.flatMap(name => scope.prepared.get(name) ?? [])
      const prepared = this.agree(found.map(each => this.#trace(each, meaning)))
      // Its arguments may read something too.
      const own = this.#trace(statement, meaning)
      return own.plan.outcome === 'deny' ? own : prepared
    }
    for (const step of statement.scope) {
      if (step.step === 'declare' && catalog !== undefined) {
        this.#declaredUnder.set(step.statement, catalog)
      }
    }
    return this.#trace(statement, meaning)
  }

  #cursor(name: string, meaning: Meaning): readonly Planned[] {
    const declared = (meaning.scope.cursors.get(name) ?? []).map(each =>
      this.#trace(each, { ...meaning, change: 'none' }),
    )
    return [...declared, ...this.#portalOf(name)]
  }

  /** What a portal fetches from can be the portal itself, which then stands for nothing. */
  #portalOf(name: string): readonly Planned[] {
    if (this.#lookedAt.has(name)) return []
    this.#lookedAt.add(name)
    try {
      return this.#portal(name) ?? []
    } finally {
      this.#lookedAt.delete(name)
    }
  }

  #trace(statement: Statement, { scope, catalog: now, change }: Meaning): Planned {
    const catalog = this.#declaredUnder.get(statement) ?? now
    if (catalog === undefined) {
      return readsNothing(statement) ? CLEAR : refused(unreadable())
    }
    const { analyser, rules, memory } = this.#options
    const set = selectMasks(rules, catalog, memory())
    const lineage = analyser.lineage(statement, scope, catalog)
    const plan = planMasks(set, lineage, catalog)
    if (isOddCopy(statement, plan, set)) return { ...refused(oddCopy()), set, lineage }
    const isHarmless =
      readsNothing(statement) && (lineage.columns === undefined || statement.relations.length === 0)
    if (change === 'masked' && !isHarmless) {
      return refused(inOwnChange())
    }
    if (lineage.unknown.length > 0 && isOnlyOwn(statement, lineage, catalog, set)) {
      return { ...CLEAR, set, lineage }
    }
    const isPrivate =
      plan.outcome !== 'clear' ||
      checksEarlier(statement) ||
      (catalog.hasEventTriggers && changesSchema(statement))
    return { plan, set, lineage, isPrivate }
  }
}

/** A COPY that is masked, written in a way that values can't be told apart in. */
function isOddCopy(statement: Statement, plan: Plan, set: MaskSet): boolean {
  if (statement.kind !== 'COPY_TO') return false
  const columns = guardOf(plan)?.columns
  const isMasked = set.detectors.length > 0 || columns?.some(({ mask }) => mask !== null) === true
  return columns !== undefined && isMasked && copyFormatOf(statement) === undefined
}

const CLEAR: Planned = Object.freeze<Planned>({
  plan: { outcome: 'clear' },
  set: undefined,
  lineage: undefined,
  isPrivate: true,
})

/** The plan of what may not run for a reason that no mask has. */
export function refused(error: DbgateError): Planned {
  return {
    plan: { outcome: 'deny', rule: 'mask', error },
    set: undefined,
    lineage: undefined,
    isPrivate: true,
  }
}

/** What rows are masked by: of a statement that a person has to agree to, what holds once one has. */
export function guardOf(plan: Plan): GuardPlan | undefined {
  if (plan.outcome === 'guard') return plan
  return plan.outcome === 'approve' ? plan.guard : undefined
}

/** What earlier statements have put off is checked, and may say what they wrote. */
function checksEarlier({ transaction, kind }: Statement): boolean {
  return transaction === 'commit' || transaction === 'prepare' || kind === 'SET_CONSTRAINTS'
}

/** It may fire event triggers; those see temporary tables as well. */
function changesSchema({ needs, objects }: Statement): boolean {
  return objects.length > 0 || needs.includes('ddl') || needs.includes('admin')
}

/** After this the rest of a text may mean something else, and nobody looks at it in between. */
function changesMeaning({ needs, settings }: Statement): boolean {
  return (
    needs.includes('ddl') ||
    needs.includes('admin') ||
    settings.some(({ name }) => name === 'search_path' || name === 'all' || name === 'role')
  )
}

function isSame(one: Plan, other: Plan): boolean {
  if (one.outcome === 'clear' || other.outcome === 'clear') return one.outcome === other.outcome
  const [left, right] = [guardOf(one)?.columns, guardOf(other)?.columns]
  if (left === undefined || right === undefined) return left === right
  return JSON.stringify(left.map(outline)) === JSON.stringify(right.map(outline))
}

function outline({ mask, reported, from }: NonNullable<GuardPlan['columns']>[number]): unknown {
  return [mask, reported, from]
}

const NOT_RUN = 'Not run. Next:'

function sendApart({ kind }: Statement): DbgateError {
  return new DbgateError(
    'UNSUPPORTED',
    `dbgate: what stands behind ${kind.replaceAll('_', ' ')} can't be judged before that has run, and confidential columns are masked here. ${NOT_RUN} send one statement at a time.`,
  )
}

function ambiguous(): DbgateError {
  return new DbgateError(
    'UNSUPPORTED',
    `dbgate: this name may stand for statements that are masked differently. ${NOT_RUN} use another name.`,
  )
}

function unknownName(): DbgateError {
  return new DbgateError(
    'UNSUPPORTED',
    `dbgate: nobody can say what this name stands for, and confidential columns are masked here. ${NOT_RUN} send the statement itself.`,
  )
}

function unreadable(): DbgateError {
  return new DbgateError(
    'UNSUPPORTED',
    `dbgate: the schema of the database could not be read, so that nobody can say what is confidential. ${NOT_RUN} send it again in a moment.`,
  )
}

function inOwnChange(): DbgateError {
  return new DbgateError(
    'UNSUPPORTED',
    `dbgate: this transaction changes a table with confidential columns, so that nobody can say what this would show. ${NOT_RUN} send it once the transaction is over.`,
  )
}
