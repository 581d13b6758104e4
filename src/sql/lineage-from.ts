import type { JoinExpr, Node, RangeSubselect, RangeVar } from 'libpg-query'
import { traceCondition } from './lineage-conditions.ts'
import { traceJsonTable, traceRangeFunction, traceTableFunction } from './lineage-from-functions.ts'
import { both, type From, fromItem, itemOf, type Level, NO_FROM } from './lineage-names.ts'
import { readRelation } from './lineage-relations.ts'
import type { Trace } from './lineage-trace.ts'
import { CONSTANT, type Column, derived, merge, union } from './lineage-value.ts'
import { cteColumns } from './lineage-with.ts'

/** What a FROM clause makes visible, item by item: later ones may see earlier ones. */
export function traceFrom(items: readonly Node[] | undefined, level: Level, trace: Trace): From {
  let from = NO_FROM
  for (const item of items ?? []) from = both(from, traceItem(item, from, level, trace))
  return from
}

/** `before` is what stands to the left of it. */
function traceItem(node: Node, before: From, level: Level, trace: Trace): From {
  return trace.step(() => {
    const lateral = () => level.showing(before)
    if ('RangeVar' in node) return traceRelation(node.RangeVar, level, trace)
    if ('JoinExpr' in node) return traceJoin(node.JoinExpr, before, level, trace)
    if ('RangeSubselect' in node) return traceSubselect(node.RangeSubselect, lateral, level, trace)
    if ('RangeFunction' in node) return traceRangeFunction(node.RangeFunction, lateral(), trace)
    if ('RangeTableFunc' in node) return traceTableFunction(node.RangeTableFunc, lateral(), trace)
    if ('JsonTable' in node) return traceJsonTable(node.JsonTable, lateral(), trace)
    if ('RangeTableSample' in node) {
      const { relation, args = [], repeatable } = node.RangeTableSample
      const used = trace.originsOf(
        [...args, ...(repeatable === undefined ? [] : [repeatable])],
        lateral(),
      )
      trace.decideAll(used, 'SAMPLE')
      return relation === undefined ? NO_FROM : traceItem(relation, before, level, trace)
    }
    trace.refuse(`${Object.keys(node).join()} in FROM`)
    return NO_FROM
  })
}

/** A WITH query before a relation; innermost first. */
function traceRelation(range: RangeVar, level: Level, trace: Trace): From {
  const { alias, relname: name = '', schemaname } = range
  const cte = schemaname === undefined ? level.cte(name) : undefined
  if (cte !== undefined) return fromItem(itemOf(alias, cteColumns(cte, trace), { name }))
  const found = readRelation(range, trace)
  if (found === undefined) return fromItem(itemOf(alias, [], { name, open: CONSTANT }))
  const { columns, relation, schema } = found
  return fromItem(itemOf(alias, columns, { name, relation, schema }))
}

function traceSubselect(
  { lateral, subquery, alias }: RangeSubselect,
  around: () => Level,
  level: Level,
  trace: Trace,
): From {
  if (subquery === undefined) return NO_FROM
  // Only LATERAL sees what stands beside it.
  const inner = lateral === true ? around() : level.bare
  const columns = trace.query(subquery, inner)
  trace.decideByFailing(columns)
  return fromItem(itemOf(alias, columns))
}

function traceJoin(join: JoinExpr, before: From, level: Level, trace: Trace): From {
  const { larg, rarg, quals, alias, isNatural, usingClause, join_using_alias: usingAlias } = join
  const left = larg === undefined ? NO_FROM : traceItem(larg, before, level, trace)
  const right = rarg === undefined ? NO_FROM : traceItem(rarg, both(before, left), level, trace)
  const together = both(left, right)
  if (quals !== undefined) traceCondition(quals, 'JOIN', level.showing(together), trace)
  const names = isNatural === true ? sharedNames(left, right) : namesOf(usingClause)
  if (isNatural === true && together.open.length > 0) trace.refuse('the columns of NATURAL JOIN')
  const merged = names.map(name => mergedColumn(name, left, right, join.jointype ?? '', trace))
  const isOther = (column: Column) => !names.includes(column.name)
  const columns =
    names.length === 0
      ? together.columns
      : [...merged, ...left.columns.filter(isOther), ...right.columns.filter(isOther)]
  const [open] =
    together.open.length === 0 ? [] : [derived(union(together.open.map(({ from }) => from)))]
  if (alias !== undefined) {
    // The tables behind a join's alias can't be named any more.
    return fromItem(itemOf(alias, columns, { open }))
  }
  const items = [...together.items]
  if (usingAlias !== undefined) items.push(itemOf(usingAlias, merged))
  return { items, columns, open: together.open }
}

function namesOf(list: readonly Node[] | undefined): string[] {
  return (list ?? []).flatMap(node => ('String' in node ? [node.String.sval ?? ''] : []))
}

function sharedNames(left: From, right: From): string[] {
  const names = new Set(right.columns.map(({ name }) => name))
  return [...new Set(left.columns.map(({ name }) => name))].filter(name => names.has(name))
}

/** A column of USING: either side's, and both are compared. */
function mergedColumn(name: string, left: From, right: From, type: string, trace: Trace): Column {
  const sides = [left, right].map(side => {
    const found = side.columns.filter(column => column.name === name).map(({ value }) => value)
    if (found.length === 0 && side.open.length === 0) trace.refuse(`column ${name} of a join`)
    return merge([...found, ...side.open])
  })
  for (const { from } of sides) for (const origin of from) trace.decide(origin, 'JOIN', false, true)
  const reported = type === 'JOIN_FULL' ? [] : sides.flatMap(side => side.reported)
  const all = [left, right].flatMap(side =>
    side.columns.filter(column => column.name === name).flatMap(({ value }) => value.reported),
  )
  return { name, value: { ...merge(sides), reported: type === 'JOIN_FULL' ? reported : all } }
}
