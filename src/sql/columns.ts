import type { ColumnRef, RangeVar } from 'libpg-query'

/** The changed table, what else is in FROM, and what is known of its columns. */
export type Target = {
  readonly relation: RangeVar
  /** Relations beside the target by the name they have in the statement. */
  readonly others: ReadonlyMap<string, RangeVar>
  readonly isNotNull: (column: string) => boolean
}

/** What a reference to a whole row counts as. */
export const WHOLE_ROW = '*'

/** The name a relation goes by within its statement. */
export function nameInStatement(relation: RangeVar): string {
  return relation.alias?.aliasname ?? relation.relname ?? ''
}

function fieldNames(reference: ColumnRef): readonly string[] {
  return (reference.fields ?? []).map(field =>
    'String' in field ? (field.String.sval ?? '') : WHOLE_ROW,
  )
}

/** The column's own name. */
export function lastName(reference: ColumnRef): string | undefined {
  return fieldNames(reference).at(-1)
}

/** The relation's name before the column's, if there is one. */
export function qualifierOf(reference: ColumnRef): string | undefined {
  return fieldNames(reference).at(-2)
}

/**
 * The target's column that a reference at the statement's own level names, or undefined for
 * another's.
 */
export function columnOfTarget(reference: ColumnRef, target: Target): string | undefined {
  const column = lastName(reference)
  const qualifier = qualifierOf(reference)
  if (qualifier !== undefined) {
    return qualifier === nameInStatement(target.relation) ? column : undefined
  }
  if (column === nameInStatement(target.relation)) return WHOLE_ROW
  return column !== undefined && target.others.has(column) ? undefined : column
}
