import type {
  JoinExpr,
  JsonTable,
  Node,
  RangeFunction,
  RangeSubselect,
  RangeTableFunc,
} from 'libpg-query'
import { traceCondition } from './lineage-conditions.ts'
import { evaluate, originsOf } from './lineage-expression.ts'
import { both, type From, fromItem, type Item, type Level, NO_FROM } from './lineage-names.ts'
import { cteColumns, traceQuery } from './lineage-query.ts'
import { readRelation } from './lineage-relations.ts'
import { nodesIn } from './lineage-shapes.ts'
import type { Trace } from './lineage-trace.ts'
import {
  CONSTANT,
  type Column,
  derived,
  merge,
  type Origins,
  union,
  type Value,
} from './lineage-value.ts'
import { qualifiedName } from './walk.ts'

type Alias = { readonly aliasname?: string; readonly colnames?: Node[] } | undefined

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
      const used = originsOf(
        [...args, ...(repeatable === undefined ? [] : [repeatable])],
        lateral(),
        trace,
      )
      trace.useAll(used, 'SAMPLE')
      return relation === undefined ? NO_FROM : traceItem(relation, before, level, trace)
    }
    trace.refuse(`${Object.keys(node).join()} in FROM`)
    return NO_FROM
  })
}

/** Gives columns the names of an alias list, from the left. */
export function renamed(
  columns: readonly Column[],
  names: readonly Node[] | undefined,
): readonly Column[] {
  if (names === undefined || names.length === 0) return columns
  return columns.map((column, i) => {
    const name = names[i]
    return name !== undefined && 'String' in name
      ? { name: name.String.sval ?? '', value: column.value }
      : column
  })
}

function itemOf(
  alias: Alias,
  columns: readonly Column[],
  more: Partial<Pick<Item, 'open' | 'relation' | 'schema'>> & {
    readonly name?: string | undefined
  } = {},
): Item {
  const { open, relation, schema, name } = more
  return {
    alias: alias?.aliasname ?? name,
    schema: alias === undefined ? schema : undefined,
    columns: renamed(columns, alias?.colnames),
    open,
    relation,
  }
}

/** A WITH query before a relation; innermost first. */
function traceRelation(
  range: Extract<Node, { RangeVar: unknown }>['RangeVar'],
  level: Level,
  trace: Trace,
): From {
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
  return fromItem(itemOf(alias, traceQuery(subquery, inner, trace)))
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
  for (const { from } of sides) for (const origin of from) trace.use(origin, 'JOIN', false, true)
  const reported = type === 'JOIN_FULL' ? [] : sides.flatMap(side => side.reported)
  const all = [left, right].flatMap(side =>
    side.columns.filter(column => column.name === name).flatMap(({ value }) => value.reported),
  )
  return { name, value: { ...merge(sides), reported: type === 'JOIN_FULL' ? reported : all } }
}

/** Functions in FROM: their arguments also decide how many rows there are. */
function traceRangeFunction(range: RangeFunction, level: Level, trace: Trace): From {
  const { functions = [], alias, ordinality, coldeflist } = range
  const columns: Column[] = []
  let open: Value | undefined
  let name: string | undefined
  for (const node of functions) {
    const [call, definitions] = 'List' in node ? (node.List.items ?? []) : [node]
    if (call === undefined || !('FuncCall' in call || Object.keys(call).length === 1)) {
      trace.refuse('a function in FROM')
      continue
    }
    const defined =
      definitions !== undefined && 'List' in definitions ? definitions.List.items : coldeflist
    name ??= callName(call)
    const found = functionColumns(
      call,
      defined,
      functions.length === 1 ? alias : undefined,
      level,
      trace,
    )
    columns.push(...found.columns)
    open ??= found.open
  }
  if (ordinality === true) columns.push({ name: 'ordinality', value: CONSTANT })
  return fromItem(itemOf(alias, columns, { open, name }))
}

function callName(call: Node): string {
  if ('FuncCall' in call) return qualifiedName(call.FuncCall.funcname)[1] ?? ''
  if ('SQLValueFunction' in call) {
    return (call.SQLValueFunction.op ?? '')
      .replace(/^SVFOP_/, '')
      .replace(/_N$/, '')
      .toLowerCase()
  }
  return ''
}

type FunctionColumns = { readonly columns: readonly Column[]; readonly open: Value | undefined }

function functionColumns(
  call: Node,
  definitions: readonly Node[] | undefined,
  alias: Alias,
  level: Level,
  trace: Trace,
): FunctionColumns {
  const name = callName(call)
  const args = 'FuncCall' in call ? (call.FuncCall.args ?? []) : []
  // unnest(a, b) is one unnest for each.
  if (name === 'unnest' && args.length > 1) {
    const columns = args.map(arg => ({ name, value: derived(evaluate(arg, level, trace).from) }))
    for (const { value } of columns) trace.useAll(value.from, 'COLUMN')
    return { columns, open: undefined }
  }
  const value = evaluate(call, level, trace)
  trace.useAll(value.from, 'COLUMN')
  if (definitions !== undefined && definitions.length > 0) {
    return { columns: definedColumns(definitions, value.from), open: undefined }
  }
  if (value.row !== undefined) return { columns: value.row.map(unreported), open: undefined }
  const names = trace.catalog.functionsNamed.has(name)
    ? undefined
    : trace.catalog.systemRows.get(name)
  if (names !== undefined && names.length > 1) {
    return {
      columns: names.map(column => ({ name: column, value: derived(value.from) })),
      open: undefined,
    }
  }
  const own = { name: alias?.aliasname ?? names?.[0] ?? name, value: derived(value.from) }
  if (names?.[0] !== undefined && alias?.colnames === undefined) {
    // One OUT parameter: it goes by its name, whatever the alias is.
    return { columns: [{ ...own, name: names[0] }], open: undefined }
  }
  // A function nobody knows the columns of may have others than this one.
  const isOpen = MANY_COLUMNS.has(name) || hasUserRows(name, trace)
  return { columns: isOpen ? [] : [own], open: isOpen ? derived(value.from) : undefined }
}

/** Give rows whose shape the call alone does not show. */
const MANY_COLUMNS = new Set(
  `json_populate_record jsonb_populate_record json_populate_recordset jsonb_populate_recordset json_to_record
  jsonb_to_record json_to_recordset jsonb_to_recordset`.split(/\s+/),
)

/** Whether a function of the database may give more than one column. */
function hasUserRows(name: string, trace: Trace): boolean {
  return (trace.catalog.functionsNamed.get(name) ?? []).some(
    ({ definition, language }) => definition === undefined && language !== 'internal',
  )
}

function unreported({ name, value }: Column): Column {
  return { name, value: { ...value, reported: [] } }
}

function definedColumns(definitions: readonly Node[], from: Origins): Column[] {
  return definitions.flatMap(node =>
    'ColumnDef' in node ? [{ name: node.ColumnDef.colname ?? '', value: derived(from) }] : [],
  )
}

/** XMLTABLE: every column may hold anything of the document. */
function traceTableFunction(table: RangeTableFunc, level: Level, trace: Trace): From {
  const { docexpr, rowexpr, namespaces = [], columns = [], alias } = table
  const definitions = columns.flatMap(node =>
    'RangeTableFuncCol' in node ? [node.RangeTableFuncCol] : [],
  )
  const inner = definitions.flatMap(({ colexpr, coldefexpr }) => [colexpr, coldefexpr])
  const parts = [docexpr, rowexpr, ...namespaces, ...inner].flatMap(node => node ?? [])
  const from = originsOf(parts, level, trace)
  trace.useAll(from, 'COLUMN')
  const value = derived(from)
  return fromItem(
    itemOf(
      alias,
      definitions.map(({ colname = '' }) => ({ name: colname, value })),
      { name: 'xmltable' },
    ),
  )
}

function traceJsonTable(table: JsonTable, level: Level, trace: Trace): From {
  const parts = nodesIn('JsonTable', table, ['alias', 'columns'])
  if (parts === undefined) trace.refuse('a field of JsonTable')
  const names: string[] = []
  const defaults: Node[] = []
  const pending = [...(table.columns ?? [])]
  for (let node = pending.shift(); node !== undefined; node = pending.shift()) {
    if (!('JsonTableColumn' in node)) {
      trace.refuse('a column of JSON_TABLE')
      continue
    }
    const { name, columns, on_empty: onEmpty, on_error: onError } = node.JsonTableColumn
    if (columns !== undefined) pending.unshift(...columns)
    else if (name !== undefined) names.push(name)
    for (const behavior of [onEmpty, onError]) {
      if (behavior !== undefined) defaults.push({ JsonBehavior: behavior })
    }
  }
  const value = derived(originsOf([...(parts ?? []), ...defaults], level, trace))
  trace.useAll(value.from, 'COLUMN')
  const columns = names.map(name => ({ name, value }))
  return fromItem(itemOf(table.alias, columns, { name: 'json_table' }))
}
