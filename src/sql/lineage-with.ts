import type { CommonTableExpr, WithClause } from 'libpg-query'
import { type Cte, Level, NO_FROM, renamed } from './lineage-names.ts'
import type { Trace } from './lineage-trace.ts'
import { type Column, derived, isStable, mergeColumns, unionOf } from './lineage-value.ts'

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
  if (!isRecursive || !isUnion) cte.columns = finished(trace.query(query, level))
  else {
    const onFirst = (columns: readonly Column[]) => {
      cte.columns ??= finished(columns)
    }
    for (let round = 0; ; round += 1) {
      const columns = finished(trace.select(query.SelectStmt, level, onFirst))
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
  trace.decideByFailing(cte.columns ?? [])
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
