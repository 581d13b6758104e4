import type { A_Indirection, ColumnRef, Node } from 'libpg-query'
import { traceFunction } from './lineage-calls.ts'
import type { Item, Level } from './lineage-names.ts'
import { systemColumn } from './lineage-relations.ts'
import type { Trace } from './lineage-trace.ts'
import {
  CONSTANT,
  type Column,
  depending,
  derived,
  merge,
  rowOf,
  union,
  type Value,
} from './lineage-value.ts'

function namesOf(reference: ColumnRef): { names: string[]; isStar: boolean } {
  const fields = reference.fields ?? []
  const names = fields.flatMap(field => ('String' in field ? [field.String.sval ?? ''] : []))
  return { names, isStar: names.length < fields.length }
}

/** A whole row of something in FROM. */
function wholeRow(item: Item, trace: Trace): Value {
  const { columns, open } = item
  const row = rowOf(columns)
  if (open !== undefined) return { ...derived(union([row.from, open.from])), row: undefined }
  // A function that gives one value for a row goes by the name of its item.
  const [only] = columns
  const isScalar = columns.length === 1 && item.relation === undefined && item.alias !== undefined
  if (isScalar && only !== undefined && only.name === item.alias) return only.value
  if (item.relation === undefined) return row
  // The server reports a row of a relation as its column 0.
  return { ...row, reported: [trace.shared.origins.of(item.relation, 0)] }
}

/** A column, or a whole row. */
export function evaluateReference(reference: ColumnRef, level: Level, trace: Trace): Value {
  const { names, isStar } = namesOf(reference)
  if (isStar) {
    const columns = starColumns(names, level, trace)
    return columns === undefined ? CONSTANT : rowOf(columns)
  }
  const [first = '', second] = names
  if (second === undefined) return unqualified(first, level, trace)
  return qualified(names, level, trace)
}

function unqualified(name: string, level: Level, trace: Trace): Value {
  const { value, isCertain } = level.column(name)
  if (value !== undefined && isCertain) return value
  const item = level.item(name)
  if (item !== undefined) {
    const row = wholeRow(item, trace)
    return value === undefined ? row : merge([value, row])
  }
  if (value !== undefined) return value
  const system = systemOf(name, level, trace)
  if (system !== undefined) return system
  trace.refuse(`column ${name}`)
  return CONSTANT
}

/** `ctid` and the like, without a name before it. */
function systemOf(name: string, level: Level, trace: Trace): Value | undefined {
  for (let at: Level | undefined = level; at !== undefined; at = at.outer) {
    for (const item of at.from.items) {
      if (item.relation === undefined) continue
      const value = systemColumn(item.relation, name, trace)
      if (value !== undefined) return value
    }
  }
  return undefined
}

function qualified(names: readonly string[], level: Level, trace: Trace): Value {
  const field = names.at(-1) ?? ''
  const relation = names.at(-2) ?? ''
  const item = level.item(relation, names.at(-3))
  if (item === undefined || names.length > 4) {
    trace.refuse(`column ${names.join('.')}`)
    return CONSTANT
  }
  const found = item.columns.filter(column => column.name === field)
  if (found.length > 0) {
    const values = found.map(({ value }) => value)
    return values.length === 1 ? (values[0] ?? CONSTANT) : merge(values)
  }
  if (item.relation !== undefined) {
    const system = systemColumn(item.relation, field, trace)
    if (system !== undefined) return system
  }
  if (item.open !== undefined) return derived(item.open.from)
  // `x.f` is f(x) where x has no column f.
  return traceFunction({ schema: undefined, name: field }, [wholeRow(item, trace)], trace)
}

/** The columns that `*` or `x.*` stands for; undefined where they are not known, which is noted. */
function starColumns(
  names: readonly string[],
  level: Level,
  trace: Trace,
): readonly Column[] | undefined {
  const { from } = level
  const qualifier = names.at(-1)
  if (qualifier === undefined) {
    if (from.open.length > 0) trace.refuse('the columns of *')
    return from.columns
  }
  const item = level.item(qualifier, names.at(-2))
  if (item === undefined) {
    trace.refuse(`the columns of ${names.join('.')}.*`)
    return undefined
  }
  if (item.open !== undefined) trace.refuse(`the columns of ${names.join('.')}.*`)
  return item.columns
}

/** What a star in a list of outputs stands for; undefined when the node is no star. */
export function starOf(node: Node, level: Level, trace: Trace): readonly Column[] | undefined {
  if ('ColumnRef' in node) {
    const { names, isStar } = namesOf(node.ColumnRef)
    return isStar ? (starColumns(names, level, trace) ?? []) : undefined
  }
  if (!('A_Indirection' in node)) return undefined
  const { arg, indirection = [] } = node.A_Indirection
  const last = indirection.at(-1)
  if (last === undefined || !('A_Star' in last) || arg === undefined) return undefined
  const value = evaluateIndirection({ arg, indirection: indirection.slice(0, -1) }, level, trace)
  if (value.row === undefined) trace.refuse('the columns of a row')
  return (value.row ?? []).map(({ name, value: field }) => ({
    name,
    value: { ...field, reported: [] },
  }))
}

/** `(x).field`, `x[1]`. */
export function evaluateIndirection(
  { arg, indirection }: A_Indirection,
  level: Level,
  trace: Trace,
): Value {
  if (arg === undefined) return CONSTANT
  let value = trace.evaluate(arg, level)
  for (const step of indirection ?? []) {
    if ('String' in step) value = fieldOf(value, step.String.sval ?? '', trace)
    else if ('A_Star' in step) value = derived(value.from)
    else
      value = {
        ...depending(derived(value.from), trace.evaluate(step, level).from),
        row: value.row,
      }
  }
  return value
}

function fieldOf(value: Value, name: string, trace: Trace): Value {
  const found = value.row?.filter(field => field.name === name) ?? []
  trace.decideByFailing(value.row?.filter(field => field.name !== name) ?? [])
  if (found.length > 0) return { ...merge(found.map(field => field.value)), reported: [] }
  // A field of a row of unknown shape, or a function of the row.
  if (trace.catalog.rowFunctions.has(name)) {
    const called = traceFunction({ schema: undefined, name }, [value], trace)
    return depending(called, value.from)
  }
  return derived(value.from)
}
