import type { JsonTable, Node, RangeFunction, RangeTableFunc } from 'libpg-query'
import { type Alias, type From, fromItem, itemOf, type Level } from './lineage-names.ts'
import { nodesIn } from './lineage-shapes.ts'
import type { Trace } from './lineage-trace.ts'
import { CONSTANT, type Column, derived, type Origins, type Value } from './lineage-value.ts'
import { qualifiedName } from './walk.ts'

/** Functions in FROM: their arguments also decide how many rows there are. */
export function traceRangeFunction(range: RangeFunction, level: Level, trace: Trace): From {
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
    const columns = args.map(arg => ({ name, value: derived(trace.evaluate(arg, level).from) }))
    for (const { value } of columns) trace.decideAll(value.from, 'COLUMN')
    return { columns, open: undefined }
  }
  const value = trace.evaluate(call, level)
  trace.decideAll(value.from, 'COLUMN')
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
export function traceTableFunction(table: RangeTableFunc, level: Level, trace: Trace): From {
  const { docexpr, rowexpr, namespaces = [], columns = [], alias } = table
  const definitions = columns.flatMap(node =>
    'RangeTableFuncCol' in node ? [node.RangeTableFuncCol] : [],
  )
  const inner = definitions.flatMap(({ colexpr, coldefexpr }) => [colexpr, coldefexpr])
  const parts = [docexpr, rowexpr, ...namespaces, ...inner].flatMap(node => node ?? [])
  const from = trace.originsOf(parts, level)
  trace.decideAll(from, 'COLUMN')
  const value = derived(from)
  return fromItem(
    itemOf(
      alias,
      definitions.map(({ colname = '' }) => ({ name: colname, value })),
      { name: 'xmltable' },
    ),
  )
}

/** JSON_TABLE: the same. */
export function traceJsonTable(table: JsonTable, level: Level, trace: Trace): From {
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
  const value = derived(trace.originsOf([...(parts ?? []), ...defaults], level))
  trace.decideAll(value.from, 'COLUMN')
  const columns = names.map(name => ({ name, value }))
  return fromItem(itemOf(table.alias, columns, { name: 'json_table' }))
}
