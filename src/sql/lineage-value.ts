import type { Flow, Origin } from './lineage-types.ts'

export type Origins = ReadonlySet<Origin>

export type ValueType = { readonly oid: number; readonly modifier: number }

/** What an expression is worth to somebody who looks for where it comes from. */
export type Value = {
  readonly from: Origins
  /** `constant` and `null` depend on no column. */
  readonly flow: Flow | 'constant' | 'null'
  readonly reported: readonly Origin[]
  readonly type: ValueType | undefined
  /** Whether it is known to be of a string type. */
  readonly isText: boolean
  /** The fields of a row whose shape is known. */
  readonly row: readonly Column[] | undefined
}

export type Column = { readonly name: string; readonly value: Value }

export const NO_ORIGINS: Origins = new Set()

const plain = { reported: [], type: undefined, isText: false, row: undefined }

/** A value that depends on no column. */
export const CONSTANT: Value = { ...plain, from: NO_ORIGINS, flow: 'constant' }
export const TEXT_CONSTANT: Value = { ...CONSTANT, isText: true }
export const NULL: Value = { ...plain, from: NO_ORIGINS, flow: 'null', isText: true }

/** Source: catalog/pg_type.dat: text, varchar, bpchar, name. */
const TEXT_TYPES = new Set([25, 1043, 1042, 19])

/** Whether values of a type are strings. */
export function isTextType(oid: number): boolean {
  return TEXT_TYPES.has(oid)
}

/** A value computed from origins. */
export function derived(from: Origins, flow: Flow = 'derived', isText = false): Value {
  if (from.size === 0) return isText ? TEXT_CONSTANT : CONSTANT
  return { ...plain, from, flow, isText }
}

/** A row of columns. */
export function rowOf(columns: readonly Column[]): Value {
  const values = columns.map(column => column.value)
  return { ...derived(unionOf(values), values.every(isTotal) ? 'total' : 'derived'), row: columns }
}

/** All origins of some values. */
export function unionOf(values: readonly Value[]): Origins {
  return union(values.map(value => value.from))
}

/** All origins of some sets; shares a set where it can. */
export function union(sets: readonly Origins[]): Origins {
  let result: Origins = NO_ORIGINS
  let own: Set<Origin> | undefined
  for (const set of sets) {
    if (set.size === 0 || set === result) continue
    if (result.size === 0) {
      result = set
      continue
    }
    own ??= new Set(result)
    for (const origin of set) own.add(origin)
    result = own
  }
  return result
}

/** The value with more origins: what also depends on something else. */
export function depending(value: Value, on: Origins): Value {
  if (on.size === 0) return value
  return {
    ...derived(union([value.from, on])),
    row: value.row?.map(field => dependingField(field, on)),
  }
}

function dependingField({ name, value }: Column, on: Origins): Column {
  return { name, value: depending(value, on) }
}

function isEqual(a: Origins, b: Origins): boolean {
  return a === b || (a.size === b.size && [...a].every(origin => b.has(origin)))
}

const UNCHANGED = new Set<Value['flow']>(['same', 'merged', 'constant', 'null'])

/** Whether a value is one of a column's or a literal, as it is. */
export function isUnchanged(value: Value): boolean {
  return UNCHANGED.has(value.flow)
}

/** Whether nothing about a value can have failed on the way. */
export function isTotal(value: Value): boolean {
  return value.flow === 'total' || isUnchanged(value)
}

/** A value that is one of several: the arms of a UNION, the arguments of COALESCE. */
export function merge(values: readonly Value[]): Value {
  const [first, ...others] = values.filter(value => value.flow !== 'null')
  if (first === undefined) return values[0] ?? NULL
  if (others.length === 0) return { ...first, reported: [] }
  const isText = values.every(value => value.isText)
  const row = mergeRows(values)
  if (values.every(value => value.from.size === 0))
    return { ...derived(NO_ORIGINS, 'derived', isText), row }
  if (first.flow === 'same' && others.every(other => isSame(first, other))) {
    return { ...first, reported: [] }
  }
  const flow = values.every(isUnchanged) ? 'merged' : values.every(isTotal) ? 'total' : 'derived'
  return { ...derived(unionOf(values), flow, isText), row }
}

function isSame(a: Value, b: Value): boolean {
  return (
    b.flow === 'same' &&
    isEqual(a.from, b.from) &&
    a.type?.oid === b.type?.oid &&
    a.type?.modifier === b.type?.modifier
  )
}

/** Rows of one shape keep it; of several, it is not known. */
function mergeRows(values: readonly Value[]): readonly Column[] | undefined {
  const [first, ...others] = values.flatMap(({ row }) => (row === undefined ? [] : [row]))
  if (first === undefined) return undefined
  if (others.some(other => other.length !== first.length)) return undefined
  return mergeColumns([first, ...others])
}

/** Merges the columns of the arms of a set operation, by position, under the names of the first. */
export function mergeColumns(arms: readonly (readonly Column[])[]): Column[] {
  const [first = []] = arms
  return first.map(({ name }, i) => ({
    name,
    value: merge(arms.map(arm => arm[i]?.value ?? NULL)),
  }))
}

/** Whether two lists of columns say the same, so that nothing more is to be found. */
export function isStable(before: readonly Column[], after: readonly Column[]): boolean {
  return after.every(({ value }, i) => {
    const other = before[i]?.value
    return other !== undefined && other.flow === value.flow && isEqual(other.from, value.from)
  })
}
