import type { CommonTableExpr, Node, SelectStmt, WindowDef, WithClause } from 'libpg-query'
import { windowOf } from './lineage-calls.ts'
import { traceChange } from './lineage-change.ts'
import { traceCondition } from './lineage-conditions.ts'
import { evaluate, originsOf } from './lineage-expression.ts'
import { renamed, traceFrom } from './lineage-from.ts'
import { type Cte, Level, NO_FROM } from './lineage-names.ts'
import { traceTargets } from './lineage-targets.ts'
import type { Trace } from './lineage-trace.ts'
import type { UsePlace } from './lineage-types.ts'
import {
  type Column,
  derived,
  isStable,
  mergeColumns,
  NO_ORIGINS,
  union,
  unionOf,
} from './lineage-value.ts'

/** A query, or a change that gives rows: what it returns. */
export function traceQuery(node: Node, outer: Level | undefined, trace: Trace): readonly Column[] {
  return trace.step(() => {
    if ('SelectStmt' in node) return traceSelect(node.SelectStmt, outer, trace)
    const changed = traceChange(node, outer, trace)
    if (changed !== undefined) return changed.columns ?? []
    trace.refuse(`query ${Object.keys(node).join()}`)
    return []
  })
}

/** The query of a view, as PostgreSQL writes it. */
export function traceDefinition(text: string, trace: Trace): readonly Column[] | undefined {
  const nodes = trace.shared.parse(text)
  const [node] = nodes ?? []
  if (node === undefined || nodes?.length !== 1) return undefined
  return traceQuery(node, undefined, trace)
}

/** The level in which the queries of a WITH clause are visible. */
export function withLevel(
  clause: WithClause | undefined,
  outer: Level | undefined,
  trace: Trace,
): Level {
  if (clause === undefined) return new Level(NO_FROM, outer)
  const nodes = (clause.ctes ?? []).flatMap(cte =>
    'CommonTableExpr' in cte ? [cte.CommonTableExpr] : [],
  )
  if (nodes.length !== clause.ctes?.length) trace.refuse('an unusual WITH')
  const ctes: Cte[] = []
  let level = new Level(NO_FROM, outer)
  if (clause.recursive === true) {
    const all = new Map<string, Cte>()
    level = new Level(NO_FROM, outer, all)
    for (const node of nodes) {
      const cte = newCte(node, level, true)
      all.set(node.ctename ?? '', cte)
      ctes.push(cte)
    }
  } else {
    for (const node of nodes) {
      const cte = newCte(node, level, false)
      ctes.push(cte)
      level = new Level(NO_FROM, level, new Map([[node.ctename ?? '', cte]]))
    }
  }
  // Also those that nobody reads: the ones that change something run all the same.
  for (const cte of ctes) cteColumns(cte, trace)
  return new Level(NO_FROM, level)
}

function newCte(node: CommonTableExpr, level: Level, isRecursive: boolean): Cte {
  return { node, level, isRecursive, state: 'new', columns: undefined }
}

/** The columns of a WITH query. While it is being read: what is known of them so far. */
export function cteColumns(cte: Cte, trace: Trace): readonly Column[] {
  if (cte.state === 'open') {
    if (cte.columns === undefined) trace.refuse('a WITH query that begins with itself')
    return (cte.columns ?? []).map(({ name, value }) => ({
      name,
      value: { ...value, reported: [] },
    }))
  }
  if (cte.state === 'new') readCte(cte, trace)
  return cte.columns ?? []
}

/** More rounds than there are flows and columns can't be needed. */
const MAX_ROUNDS = 200

function readCte(cte: Cte, trace: Trace): void {
  const { node, level, isRecursive } = cte
  const query = node.ctequery
  if (query === undefined) {
    trace.refuse('a WITH query without a query')
    cte.state = 'done'
    cte.columns = []
    return
  }
  cte.state = 'open'
  const finished = (columns: readonly Column[]) =>
    extended(renamed(columns, node.aliascolnames), node)
  const isUnion = 'SelectStmt' in query && query.SelectStmt.larg !== undefined
  if (!isRecursive || !isUnion) cte.columns = finished(traceQuery(query, level, trace))
  else {
    const onFirst = (columns: readonly Column[]) => {
      cte.columns ??= finished(columns)
    }
    for (let round = 0; ; round += 1) {
      const columns = finished(traceSelect(query.SelectStmt, level, trace, onFirst))
      const before = cte.columns ?? []
      const merged = round === 0 ? columns : mergeColumns([columns, before])
      const isDone = before.length === merged.length && isStable(before, merged)
      cte.columns = merged
      if (isDone) break
      if (round > MAX_ROUNDS) {
        trace.refuse('a recursive query')
        break
      }
    }
  }
  cte.state = 'done'
}

/** The columns that SEARCH and CYCLE add depend on the ones they are made of, and so on all. */
function extended(columns: readonly Column[], node: CommonTableExpr): readonly Column[] {
  const { search_clause: search, cycle_clause: cycle } = node
  const names = [
    search?.search_seq_column,
    cycle?.cycle_mark_column,
    cycle?.cycle_path_column,
  ].flatMap(name => name ?? [])
  if (names.length === 0) return columns
  const value = derived(unionOf(columns.map(column => column.value)))
  return [...columns, ...names.map(name => ({ name, value }))]
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
  const left = trace.step(() => traceSelect(larg, level, trace))
  onFirst?.(left)
  const right = trace.step(() => traceSelect(rarg, level, trace))
  if (left.length !== right.length) trace.refuse('a set operation of unlike queries')
  // All but UNION ALL compare rows: what is left says something of both sides.
  if (select.op !== 'SETOP_UNION' || select.all !== true) {
    for (const { value } of [...left, ...right]) trace.useAll(value.from, 'UNION')
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
      value: evaluate(value, level, trace),
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
      for (const { value } of columns) trace.useAll(value.from, 'DISTINCT')
    }
  }
  for (const limit of [select.limitCount, select.limitOffset]) {
    if (limit !== undefined) trace.useAll(evaluate(limit, level, trace).from, 'LIMIT')
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
  trace.useAll(keyOrigins(node, columns, level, isOutputFirst, trace), place)
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
    return originsOf([node], level, trace)
  }
  const name = field.String.sval ?? ''
  const outputs = columns.filter(column => column.name === name).map(({ value }) => value)
  const isInput = level.from.columns.some(column => column.name === name)
  if (outputs.length === 0 || (isInput && !isOutputFirst)) return originsOf([node], level, trace)
  const from = unionOf(outputs)
  // Where the names of both agree, both are taken to decide.
  return isInput ? union([from, originsOf([node], level, trace)]) : from
}
