import type { Node, SelectStmt, WindowDef } from 'libpg-query'
import { windowOf } from './lineage-calls.ts'
import { traceChange } from './lineage-change.ts'
import { traceCondition } from './lineage-conditions.ts'
import { traceFrom } from './lineage-from.ts'
import type { Level } from './lineage-names.ts'
import { traceTargets } from './lineage-targets.ts'
import type { Trace } from './lineage-trace.ts'
import type { UsePlace } from './lineage-types.ts'
import { type Column, mergeColumns, NO_ORIGINS, union, unionOf } from './lineage-value.ts'
import { withLevel } from './lineage-with.ts'

/** A query, or a change that gives rows: what it returns. */
export function traceQuery(node: Node, outer: Level | undefined, trace: Trace): readonly Column[] {
  if ('SelectStmt' in node) return traceSelect(node.SelectStmt, outer, trace)
  const changed = traceChange(node, outer, trace)
  if (changed !== undefined) return changed.columns ?? []
  trace.refuse(`query ${Object.keys(node).join()}`)
  return []
}

/** SELECT, VALUES and set operations. `onFirst` gets the columns of the first arm before the second is read. */
export function traceSelect(
  select: SelectStmt,
  outer: Level | undefined,
  trace: Trace,
  onFirst?: (columns: readonly Column[]) => void,
): readonly Column[] {
  const level = withLevel(select.withClause, outer, trace)
  if (select.larg !== undefined && select.rarg !== undefined) {
    return traceSetOperation(select, select.larg, select.rarg, level, trace, onFirst)
  }
  if (select.valuesLists !== undefined) return traceValues(select, level, trace)
  const inside = level.showing(traceFrom(select.fromClause, level, trace))
  traceWindows(select.windowClause, inside, trace)
  if (select.whereClause !== undefined) traceCondition(select.whereClause, 'WHERE', inside, trace)
  const columns = traceTargets(select.targetList, inside, trace)
  traceGroups(select, columns, inside, trace)
  traceOrder(select, columns, inside, trace)
  return columns
}

function traceSetOperation(
  select: SelectStmt,
  larg: SelectStmt,
  rarg: SelectStmt,
  level: Level,
  trace: Trace,
  onFirst: ((columns: readonly Column[]) => void) | undefined,
): readonly Column[] {
  const left = trace.select(larg, level)
  onFirst?.(left)
  const right = trace.select(rarg, level)
  if (left.length !== right.length) trace.refuse('a set operation of unlike queries')
  // All but UNION ALL compare rows: what is left says something of both sides.
  if (select.op !== 'SETOP_UNION' || select.all !== true) {
    for (const { value } of [...left, ...right]) trace.decideAll(value.from, 'UNION')
  }
  const columns = mergeColumns([left, right])
  traceOrder(select, columns, level, trace)
  return columns
}

function traceValues(select: SelectStmt, level: Level, trace: Trace): readonly Column[] {
  const rows = (select.valuesLists ?? []).map(row => {
    const values = 'List' in row ? (row.List.items ?? []) : []
    return values.map((value, i) => ({
      name: `column${i + 1}`,
      value: trace.evaluate(value, level),
    }))
  })
  const columns = mergeColumns(rows)
  traceOrder(select, columns, level, trace)
  return columns
}

function traceWindows(windows: readonly Node[] | undefined, level: Level, trace: Trace): void {
  for (const node of windows ?? []) {
    const window: WindowDef | undefined = 'WindowDef' in node ? node.WindowDef : undefined
    if (window?.name === undefined) trace.refuse('an unusual window')
    else level.windows.set(window.name, windowOf(window, level, trace))
  }
}

function traceGroups(
  select: SelectStmt,
  columns: readonly Column[],
  level: Level,
  trace: Trace,
): void {
  const pending = [...(select.groupClause ?? [])]
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if ('GroupingSet' in node) pending.push(...(node.GroupingSet.content ?? []))
    else if ('RowExpr' in node) pending.push(...(node.RowExpr.args ?? []))
    else traceKey(node, 'GROUP BY', columns, level, false, trace)
  }
  if (select.havingClause !== undefined) {
    traceCondition(select.havingClause, 'HAVING', level, trace)
  }
}

/** ORDER BY, DISTINCT and LIMIT. */
function traceOrder(
  select: SelectStmt,
  columns: readonly Column[],
  level: Level,
  trace: Trace,
): void {
  for (const node of select.sortClause ?? []) {
    const key = 'SortBy' in node ? node.SortBy.node : undefined
    if (key === undefined) trace.refuse('an unusual ORDER BY')
    else traceKey(key, 'ORDER BY', columns, level, true, trace)
  }
  if (select.distinctClause !== undefined) {
    const keys = select.distinctClause.filter(node => Object.keys(node).length > 0)
    for (const key of keys) traceKey(key, 'DISTINCT', columns, level, true, trace)
    if (keys.length === 0) {
      for (const { value } of columns) trace.decideAll(value.from, 'DISTINCT')
    }
  }
  for (const limit of [select.limitCount, select.limitOffset]) {
    if (limit !== undefined) trace.decideAll(trace.evaluate(limit, level).from, 'LIMIT')
  }
}

/** An item of GROUP BY, ORDER BY or DISTINCT ON: an output by its number or name, or an expression. */
function traceKey(
  node: Node,
  place: UsePlace,
  columns: readonly Column[],
  level: Level,
  isOutputFirst: boolean,
  trace: Trace,
): void {
  trace.decideAll(keyOrigins(node, columns, level, isOutputFirst, trace), place)
}

function keyOrigins(
  node: Node,
  columns: readonly Column[],
  level: Level,
  isOutputFirst: boolean,
  trace: Trace,
) {
  if ('A_Const' in node && node.A_Const.ival !== undefined) {
    const column = columns[(node.A_Const.ival.ival ?? 0) - 1]
    return column?.value.from ?? NO_ORIGINS
  }
  const [field, ...more] = 'ColumnRef' in node ? (node.ColumnRef.fields ?? []) : []
  if (field === undefined || more.length > 0 || !('String' in field)) {
    return trace.originsOf([node], level)
  }
  const name = field.String.sval ?? ''
  const outputs = columns.filter(column => column.name === name).map(({ value }) => value)
  const isInput = level.from.columns.some(column => column.name === name)
  if (outputs.length === 0 || (isInput && !isOutputFirst)) return trace.originsOf([node], level)
  const from = unionOf(outputs)
  // Where the names of both agree, both are taken to decide.
  return isInput ? union([from, trace.originsOf([node], level)]) : from
}
