/** A column of a table as the catalog knows it: pg_class.oid and pg_attribute.attnum. */
export type Origin = { readonly relation: number; readonly column: number }

/**
 * What became of the values on their way to an output.
 *
 * - `same` the unchanged value of one base column, or NULL; through views the columns of the views are origins too
 * - `merged` unchanged values of several columns, or of a column and literals: UNION, COALESCE, JOIN USING
 * - `total` through string functions that can't fail, so that no error tells anything
 * - `counted` only the count() of it
 * - `tested` only whether the unchanged value of one base column is NULL
 * - `derived` anything else; also where there are no origins
 */
export type Flow = 'same' | 'merged' | 'total' | 'counted' | 'tested' | 'derived'

export type LineageColumn = {
  readonly name: string
  /** Every column whose value this output may hold or depend on. Views, CTEs and functions are seen through. */
  readonly from: readonly Origin[]
  readonly flow: Flow
  /** What PostgreSQL may report in RowDescription as table oid and attnum for it; empty where it reports 0. */
  readonly reported: readonly Origin[]
  /** For `same`: the column's type. */
  readonly type: { readonly oid: number; readonly modifier: number } | undefined
}

export type UsePlace =
  | 'WHERE'
  | 'JOIN'
  | 'GROUP BY'
  | 'HAVING'
  | 'ORDER BY'
  | 'DISTINCT'
  | 'LIMIT'
  | 'WINDOW'
  | 'UNION'
  | 'LOCK'
  | 'ON CONFLICT'
  | 'SAMPLE'
  | 'CURSOR'
  | 'INDEX'
  | 'COLUMN'

/**
 * A column that decides which rows there are, how many, in what order, which branch is taken, or whether an error
 * appears.
 */
export type ColumnUse = {
  readonly origin: Origin
  readonly place: UsePlace
  /** `column = literal or parameter`, by itself or AND-ed. */
  readonly isEquality: boolean
  /** `column = column of another relation`. */
  readonly isJoin: boolean
}

/** What is stored where. `target` is undefined where it is no column of the catalog. */
export type Stored = {
  readonly target: Origin | undefined
  readonly from: readonly Origin[]
  /** Words for an error: `CREATE TABLE AS`, `column public.notes.body`. */
  readonly where: string
}

/** A literal or parameter that is compared with a column or written to it. */
export type LineageLiteral = {
  readonly origin: Origin
  readonly role: 'compared' | 'written'
  /** Units: bytes of Statement.text, from 0; a parameter by its number, from 1. */
  readonly at: { readonly offset: number; readonly length: number } | { readonly parameter: number }
  /** The value as text; undefined for parameters. */
  readonly value: string | undefined
}

/** Where everything that a statement returns, decides by and stores comes from. */
export type Lineage = {
  /** Undefined: it returns no rows. */
  readonly columns: readonly LineageColumn[] | undefined
  readonly uses: readonly ColumnUse[]
  readonly stored: readonly Stored[]
  readonly literals: readonly LineageLiteral[]
  /** Every relation read or written, after views, functions, inheritance, and triggers where they can be read. */
  readonly relations: readonly number[]
  /** Relations, columns and functions of PostgreSQL's own that show other people's data. */
  readonly statistics: readonly string[]
  /** User functions, triggers, rules: errors and notices may hold anything they can read. */
  readonly runsCode: boolean
  readonly isExplain: boolean
  /** Why it is not understood. Not empty means: it may hold anything. */
  readonly unknown: readonly string[]
}

/** The lineage of what is not understood. */
export function unknownLineage(why: string): Lineage {
  return {
    columns: undefined,
    uses: [],
    stored: [],
    literals: [],
    relations: [],
    statistics: [],
    runsCode: true,
    isExplain: false,
    unknown: [why],
  }
}
