import type { DbgateError } from '../errors.ts'
import type { ColumnUse, Lineage } from '../sql/index.ts'
import { looksMasked } from './looks-masked.ts'
import * as refusal from './refusals.ts'
import type { MaskedColumn, MaskSet } from './select.ts'
import type { HoldTerms } from './strictest.ts'

/** How many values a statement may compare a column with that is under `filters: equality`. */
const MAX_VALUES = 5

/**
 * Checks what decides which rows there are, in what order, or whether an error appears: `WHERE ssn LIKE '9%'` shows
 * no masked column and tells all of it.
 */
export function checkUses(
  masks: MaskSet,
  lineage: Lineage,
  ask: (terms: HoldTerms, reason: string) => void,
): DbgateError | undefined {
  for (const use of lineage.uses) {
    const column = masks.of(use.origin)
    if (column === undefined) continue
    const { filters } = column
    if (use.place === 'COLUMN' && column.derived === 'redact') continue
    switch (filters.does) {
      case 'allow':
        break
      case 'approve':
        ask(filters.terms, `uses ${column.name} in ${use.place}`)
        break
      case 'deny':
        return refusal.uses(column, use.place)
      case 'equality':
        if (!isEquality(masks, lineage, use, column))
          return refusal.usesOtherwise(column, use.place)
        break
      default:
        return filters satisfies never
    }
  }
  return checkCompared(masks, lineage)
}

/** What `filters: equality` lets pass: one of few values, the same value elsewhere, groups of the same value. */
function isEquality(
  masks: MaskSet,
  lineage: Lineage,
  use: ColumnUse,
  column: MaskedColumn,
): boolean {
  switch (use.place) {
    case 'GROUP BY':
    case 'DISTINCT':
      return true
    case 'WHERE':
    case 'JOIN':
    case 'HAVING':
      if (use.isJoin) return isJoinOfDomain(masks, lineage, column)
      return use.isEquality && valuesFor(lineage, use) <= MAX_VALUES
    case 'ON CONFLICT':
      return valuesFor(lineage, use) <= MAX_VALUES
    default:
      return false
  }
}

/**
 * Joined with a column that is not masked alike, a list of guesses would tell every value. Which column is joined
 * with which is not known here, so that every join of the statement must be of the one domain.
 */
function isJoinOfDomain(masks: MaskSet, lineage: Lineage, { mask }: MaskedColumn): boolean {
  if (mask.kind !== 'token') return false
  return lineage.uses.every(({ isJoin, origin }) => {
    if (!isJoin) return true
    const other = masks.of(origin)?.mask
    return other?.kind === 'token' && other.domain === mask.domain
  })
}

function valuesFor({ literals }: Lineage, { origin }: ColumnUse): number {
  return literals.filter(
    literal =>
      literal.origin.relation === origin.relation && literal.origin.column === origin.column,
  ).length
}

/** A token compared with the column it came from finds nothing, which would be taken for an answer. */
function checkCompared(masks: MaskSet, { literals }: Lineage): DbgateError | undefined {
  for (const { role, value, origin } of literals) {
    if (role !== 'compared' || value === undefined || !looksMasked(value)) continue
    const column = masks.of(origin)
    if (column !== undefined) return refusal.comparesMaskedValue(column.name)
  }
  return undefined
}
