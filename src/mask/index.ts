/**
 * What is not shown, and what is shown instead: which columns a policy masks, how a statement is run under its
 * masks, and what becomes of values.
 *
 * Invariants: what is not understood is refused. A plan follows from the statement and the catalog, never from
 * values. Masks are bound to relations and columns, so that no name a statement makes up matters.
 */
export { checkMasks, type MaskWarning } from './check.ts'
export { type CopyFormat, CopyMasker } from './copy.ts'
export { type Sanitising, sanitised } from './errors.ts'
export { type CellField, type CellType, fits, type Mask } from './kinds.ts'
export { type ColumnName, labelsIn, spelled } from './labels.ts'
export { looksMasked } from './looks-masked.ts'
export { type ColumnType, type CopyOptions, type Masks, openMasks } from './masks.ts'
export { driftOf, NO_MEMORY, placeOf, type Remembered, seenIn } from './memory.ts'
export {
  type ApprovePlan,
  type ColumnPlan,
  checkParameters,
  type GuardPlan,
  type Plan,
  planMasks,
} from './plan.ts'
export { type MaskCounts, RowMasker } from './rows.ts'
export { type DetectorMask, type MaskedColumn, type MaskSet, selectMasks } from './select.ts'
export type { HoldTerms } from './strictest.ts'
