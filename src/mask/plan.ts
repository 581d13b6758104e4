import type { DbgateError } from '../errors.ts'
import type { Approval } from '../policy/index.ts'
import type { Catalog, Lineage, LineageColumn, Origin } from '../sql/index.ts'
import { alwaysHasToken, type Mask } from './kinds.ts'
import { looksMasked } from './looks-masked.ts'
import * as refusal from './refusals.ts'
import type { MaskedColumn, MaskSet } from './select.ts'
import { combineTerms, type HoldTerms, MASK_RULE, rankOf } from './strictest.ts'
import { checkUses } from './uses.ts'

/** What becomes of one column of a result. `reported`, `from` and `type` are what the analysis foresaw of it. */
export type ColumnPlan = {
  readonly name: string
  /** Null: it is shown as it is. */
  readonly mask: Mask | null
  /** Why, in words: `users.email: label pii:email`. */
  readonly why: string
  /** The mask's place in the policy. */
  readonly at: string | undefined
  /** The masked columns that it comes from, as people write them. */
  readonly sources: readonly string[]
  readonly reported: readonly Origin[]
  readonly from: readonly Origin[]
  readonly type: LineageColumn['type']
}

/** It touches what is masked: results are held against `columns` and masked, errors and notices sanitised. */
export type GuardPlan = {
  readonly outcome: 'guard'
  /** Undefined: it returns no rows, and any that come all the same must not go on. */
  readonly columns: readonly ColumnPlan[] | undefined
  /** The masked columns in the result, as `users.email`, for the record. */
  readonly masked: readonly string[]
  readonly lineage: Lineage
}

/**
 * How a statement is run under masks.
 *
 * - `clear` it provably touches nothing that is masked: nothing has to be looked at
 * - `guard` see GuardPlan
 * - `deny` it must not run: it would show, or let be found out, what is masked
 * - `approve` a person has to agree first; then it runs as `guard` says
 */
export type Plan =
  | { readonly outcome: 'clear' }
  | GuardPlan
  | { readonly outcome: 'deny'; readonly rule: string; readonly error: DbgateError }
  | ApprovePlan

export type ApprovePlan = Omit<HoldTerms, 'approve'> & {
  readonly outcome: 'approve'
  readonly rule: string
  readonly approve: Approval
  /** Why, in words for a detail line. */
  readonly reason: string
  readonly guard: GuardPlan
}

const CLEAR: Plan = Object.freeze({ outcome: 'clear' })

/**
 * Decides how a statement is run under masks: pure, synchronous, total.
 *
 * Two sets count. What an output may hold is masked, or the statement is refused. What decides which rows there
 * are, their order, or whether there is an error tells as much as the value itself, so that it is refused unless the
 * column's `filters` say otherwise. What is not understood is refused.
 */
export function planMasks(masks: MaskSet, lineage: Lineage, _catalog: Catalog): Plan {
  if (masks.columns.length === 0 && masks.detectors.length === 0) return CLEAR
  if (lineage.unknown.length > 0) return deny(refusal.unproven(lineage.unknown))
  if (lineage.statistics.length > 0) return deny(refusal.statistics(lineage.statistics))
  const back = lineage.literals.find(
    ({ role, value }) => role === 'written' && value !== undefined && looksMasked(value),
  )
  if (back !== undefined) return deny(refusal.writesMaskedValue(masks.of(back.origin)?.name))
  if (!touches(masks, lineage)) {
    const isSeen = lineage.runsCode || (masks.detectors.length > 0 && lineage.columns !== undefined)
    return isSeen
      ? guard(
          lineage,
          lineage.columns?.map(column => shown(column)),
        )
      : CLEAR
  }
  const terms: HoldTerms[] = []
  const reasons: string[] = []
  const ask = (more: HoldTerms, reason: string) => {
    terms.push(more)
    reasons.push(reason)
  }
  const columns = lineage.columns?.map(column => planColumn(masks, column))
  const error =
    checkExplain(masks, lineage) ??
    checkUses(masks, lineage, ask) ??
    columns?.find(planned => 'error' in planned)?.error ??
    checkStored(masks, lineage) ??
    checkWrites(masks, lineage, ask)
  if (error !== undefined) return deny(error)
  const plan = guard(
    lineage,
    columns?.flatMap(planned => ('error' in planned ? [] : [planned])),
  )
  const combined = combineTerms(terms)
  if (combined === undefined) return plan
  const reason = [...new Set(reasons)].join('; ')
  return { ...combined, outcome: 'approve', rule: MASK_RULE, reason, guard: plan }
}

/**
 * Whether values that come with a Bind may be written or compared: what a mask made stands for nothing in the
 * database. `values` are the parameters as text, from $1; undefined where one is NULL or no text.
 */
export function checkParameters(
  masks: MaskSet,
  lineage: Lineage,
  values: readonly (string | undefined)[],
): DbgateError | undefined {
  for (const { origin, role, at } of lineage.literals) {
    if (!('parameter' in at)) continue
    const value = values[at.parameter - 1]
    if (value === undefined || !looksMasked(value)) continue
    const name = masks.of(origin)?.name
    if (role === 'written') return refusal.writesMaskedValue(name)
    if (name !== undefined) return refusal.comparesMaskedValue(name)
  }
  return undefined
}

function deny(error: DbgateError): Plan {
  return { outcome: 'deny', rule: MASK_RULE, error }
}

function guard(lineage: Lineage, columns: readonly ColumnPlan[] | undefined): GuardPlan {
  const names = (columns ?? []).flatMap(({ mask, sources }) => (mask === null ? [] : sources))
  return { outcome: 'guard', columns, masked: [...new Set(names)].sort(), lineage }
}

function touches(masks: MaskSet, lineage: Lineage): boolean {
  const isMasked = (origin: Origin) => masks.of(origin) !== undefined
  return (
    lineage.relations.some(relation => masks.relations.has(relation)) ||
    lineage.columns?.some(({ from }) => from.some(isMasked)) === true ||
    lineage.uses.some(({ origin }) => isMasked(origin)) ||
    lineage.literals.some(({ origin }) => isMasked(origin)) ||
    lineage.stored.some(
      ({ target, from }) => (target !== undefined && isMasked(target)) || from.some(isMasked),
    )
  )
}

function shown(column: LineageColumn, why = 'no mask matches'): ColumnPlan {
  const { name, reported, from, type } = column
  return { name, mask: null, why, at: undefined, sources: [], reported, from, type }
}

function planColumn(
  masks: MaskSet,
  column: LineageColumn,
): ColumnPlan | { readonly error: DbgateError } {
  const found = column.from.flatMap(origin => masks.of(origin) ?? [])
  const strict = strictestOf(found)
  if (strict === undefined) return shown(column)
  if (column.flow === 'counted') return shown(column, 'only counted')
  if (column.flow === 'tested' && found.every(keepsNull)) {
    return shown(column, 'only whether it is NULL, which its token tells')
  }
  const as = (mask: Mask, why: string): ColumnPlan => ({
    ...shown(column),
    mask,
    why,
    at: strict.rule.at,
    sources: [...new Set(tablesFirst(found).map(({ name }) => name))],
  })
  const because = `${strict.name}: ${strict.why}`
  if (column.flow === 'same' || isViewsOwn(column, found)) return as(strict.mask, because)
  if (column.flow === 'merged') {
    return as(mergedMask(found, strict.mask), `${because}, together with other values`)
  }
  const nothing: Mask = { kind: 'nullify' }
  if (column.flow === 'total') return as(nothing, `${because}, computed`)
  const denying = found.find(({ derived }) => derived === 'deny')
  if (denying !== undefined) return { error: refusal.computes(denying, column.name) }
  return as(nothing, `${because}, computed (derived: redact)`)
}

/** Whether what is shown of a column is NULL where its value is, and nowhere else. */
function keepsNull({ mask, typeOid }: MaskedColumn): boolean {
  return mask.kind === 'token' && alwaysHasToken(typeOid)
}

/** What a view computes and a mask of the view's own column names, with nothing done to it since. */
function isViewsOwn({ reported }: LineageColumn, found: readonly MaskedColumn[]): boolean {
  return found.every(
    ({ isOfView, origin }) =>
      isOfView &&
      reported.some(one => one.relation === origin.relation && one.column === origin.column),
  )
}

/** A token of a chosen value would tell which token is which, so that what is merged has none. */
function mergedMask(found: readonly MaskedColumn[], strict: Mask): Mask {
  return found.some(({ mask }) => mask.kind === 'token') ? { kind: 'nullify' } : strict
}

/** The strictest mask; of several of the same the one of a table, since a view's only passes it on. */
function strictestOf(found: readonly MaskedColumn[]): MaskedColumn | undefined {
  return found.toSorted(
    (a, b) => rankOf(a.mask) - rankOf(b.mask) || Number(a.isOfView) - Number(b.isOfView),
  )[0]
}

/** What a view passes on is named by the table it comes from. */
function tablesFirst(found: readonly MaskedColumn[]): readonly MaskedColumn[] {
  const tables = found.filter(({ isOfView }) => !isOfView)
  return tables.length > 0 ? tables : found
}

/** Plans show estimates, and those of a condition answer it. */
function checkExplain(masks: MaskSet, lineage: Lineage): DbgateError | undefined {
  if (!lineage.isExplain) return undefined
  const seen = [
    ...(lineage.columns?.flatMap(({ from }) => from) ?? []),
    ...lineage.uses.map(({ origin }) => origin),
    ...lineage.stored.flatMap(({ from }) => from),
  ]
  for (const origin of seen) {
    const column = masks.of(origin)
    if (column !== undefined) return refusal.explains(column)
  }
  return undefined
}

/** A masked value may only go where it is masked as strictly. */
function checkStored(masks: MaskSet, lineage: Lineage): DbgateError | undefined {
  for (const { target, from, where } of lineage.stored) {
    const there = target && masks.of(target)
    for (const origin of from) {
      const column = masks.of(origin)
      if (column !== undefined && !isKept(column, there)) return refusal.stores(column, where)
    }
  }
  return undefined
}

function isKept(column: MaskedColumn, there: MaskedColumn | undefined): boolean {
  if (there === undefined || rankOf(there.mask) > rankOf(column.mask)) return false
  if (there.origin === column.origin) return true
  // A token of another domain would be a second name for the same value; filters may be milder there.
  const isSameToken =
    column.mask.kind !== 'token' ||
    there.mask.kind !== 'token' ||
    column.mask.domain === there.mask.domain
  return isSameToken && there.filters.does === column.filters.does
}

/** Writing of masked columns, by what they say of it. */
function checkWrites(
  masks: MaskSet,
  lineage: Lineage,
  ask: (terms: HoldTerms, reason: string) => void,
): DbgateError | undefined {
  const written = [
    ...lineage.stored.flatMap(({ target }) => target ?? []),
    ...lineage.literals.flatMap(({ role, origin }) => (role === 'written' ? [origin] : [])),
  ]
  for (const origin of written) {
    const column = masks.of(origin)
    if (column === undefined) continue
    if (column.writes.does === 'deny') return refusal.writes(column)
    if (column.writes.does === 'approve') ask(column.writes.terms, `writes ${column.name}`)
  }
  return undefined
}
