import type {
  AlterTableStmt,
  CopyStmt,
  CreateTableAsStmt,
  Node,
  RangeVar,
  SelectStmt,
} from 'libpg-query'
import { traceCall } from './lineage-calls.ts'
import { traceChange, writeAll } from './lineage-change.ts'
import { traceCondition } from './lineage-conditions.ts'
import { readAll } from './lineage-functions.ts'
import { fromItem, type Item, Level, NO_FROM } from './lineage-names.ts'
import { readRelation } from './lineage-relations.ts'
import { Trace } from './lineage-trace.ts'
import {
  CONSTANT,
  type Column,
  derived,
  mergeColumns,
  type Origins,
  union,
  unionOf,
} from './lineage-value.ts'
import type { Statement } from './statement.ts'

type Columns = readonly Column[] | undefined

/** Statements that neither show nor move what is in tables. */
const HARMLESS = new Set(
  `TransactionStmt VariableSetStmt DeallocateStmt DiscardStmt ListenStmt UnlistenStmt NotifyStmt ClosePortalStmt
  ConstraintsSetStmt CheckPointStmt LoadStmt LockStmt TruncateStmt VacuumStmt ReindexStmt ClusterStmt
  RefreshMatViewStmt DropStmt DropRoleStmt DropOwnedStmt DropdbStmt DropTableSpaceStmt DropSubscriptionStmt
  DropUserMappingStmt CommentStmt SecLabelStmt GrantStmt GrantRoleStmt AlterOwnerStmt AlterRoleStmt
  AlterRoleSetStmt CreateRoleStmt AlterDefaultPrivilegesStmt CreateSchemaStmt CreateSeqStmt AlterSeqStmt
  CreateEnumStmt AlterEnumStmt CompositeTypeStmt CreateDomainStmt CreateExtensionStmt CreateStmt PrepareStmt
  AlterSystemStmt AlterDatabaseSetStmt`.split(/\s+/),
)

/** What a statement returns; everything else it does is noted. */
export function traceStatement(node: Node, level: Level | undefined, trace: Trace): Columns {
  if ('SelectStmt' in node) return traceSelection(node, node.SelectStmt, level, trace)
  const changed = traceChange(node, level, trace)
  if (changed !== undefined) return changed.columns
  return traceCommand(node, level, trace)
}

function traceCommand(node: Node, level: Level | undefined, trace: Trace): Columns {
  if ('CopyStmt' in node) return traceCopy(node.CopyStmt, level, trace)
  if ('ExplainStmt' in node) return traceExplain(node.ExplainStmt.query, level, trace)
  if ('ExecuteStmt' in node) {
    const { params, name = '' } = node.ExecuteStmt
    const given = trace.originsOf(params, level ?? new Level(NO_FROM, undefined))
    if (given.size > 0) trace.refuse('a parameter of EXECUTE that is read from tables')
    return traceNamed(trace.scope?.prepared.get(name), 'prepared statement', trace)
  }
  if ('FetchStmt' in node) {
    const { portalname = '', ismove } = node.FetchStmt
    const columns = traceNamed(trace.scope?.cursors.get(portalname), 'cursor', trace)
    return ismove === true ? undefined : columns
  }
  if ('DeclareCursorStmt' in node) {
    if (node.DeclareCursorStmt.query === undefined) trace.refuse('DECLARE of nothing')
    else trace.query(node.DeclareCursorStmt.query, level)
    return undefined
  }
  if ('CreateTableAsStmt' in node) return traceTableAs(node.CreateTableAsStmt, level, trace)
  if ('ViewStmt' in node) {
    const { query } = node.ViewStmt
    if (query === undefined) trace.refuse('CREATE VIEW of nothing')
    else keep(trace.query(query, level), 'CREATE VIEW', trace)
    return undefined
  }
  if ('CallStmt' in node) {
    const call = node.CallStmt.funccall ?? {}
    const value = traceCall(call, level ?? new Level(NO_FROM, undefined), trace)
    if (value.row !== undefined) return value.row
    return value.from.size === 0 ? undefined : [{ name: '', value }]
  }
  if ('VariableShowStmt' in node) {
    const names = node.VariableShowStmt.name === 'all' ? ['name', 'setting', 'description'] : ['']
    return names.map(name => ({
      name: name || (node.VariableShowStmt.name ?? ''),
      value: CONSTANT,
    }))
  }
  if ('ReturnStmt' in node && node.ReturnStmt.returnval !== undefined) {
    const from = trace.originsOf(
      [node.ReturnStmt.returnval],
      level ?? new Level(NO_FROM, undefined),
    )
    return [{ name: '', value: derived(from) }]
  }
  traceDefinitions(node, trace)
  return undefined
}

function keep(columns: readonly Column[], where: string, trace: Trace): void {
  for (const { value } of columns) trace.store(undefined, value.from, where)
}

/** SELECT, which with INTO stores what it would have returned. */
function traceSelection(
  node: Node,
  select: SelectStmt,
  level: Level | undefined,
  trace: Trace,
): Columns {
  const columns = trace.query(node, level)
  let first: SelectStmt | undefined = select
  while (first?.larg !== undefined) first = first.larg
  if (first?.intoClause === undefined) return columns
  keep(columns, 'SELECT INTO', trace)
  return undefined
}

function traceTableAs(create: CreateTableAsStmt, level: Level | undefined, trace: Trace): Columns {
  const { query, objtype } = create
  const columns = query === undefined ? undefined : trace.statement(query, level)
  if (columns === undefined) trace.refuse('CREATE TABLE AS of no query')
  const isView = objtype === 'OBJECT_MATVIEW'
  keep(columns ?? [], isView ? 'CREATE MATERIALIZED VIEW' : 'CREATE TABLE AS', trace)
  return undefined
}

function traceCopy(copy: CopyStmt, level: Level | undefined, trace: Trace): Columns {
  const { relation, query, is_from: isFrom, attlist, filename, is_program: isProgram } = copy
  const names = attlist?.flatMap(node => ('String' in node ? [node.String.sval ?? ''] : []))
  if (isFrom === true) {
    if (relation !== undefined) writeAll(relation, names, new Set(), trace)
    traceCopyCondition(relation, copy.whereClause, trace)
    return undefined
  }
  const columns =
    query !== undefined ? trace.statement(query, level) : copiedColumns(relation, names, trace)
  if (columns === undefined) trace.refuse('COPY of a statement that returns nothing')
  if (filename === undefined && isProgram !== true) return columns
  keep(columns ?? [], 'COPY TO a file or program', trace)
  return undefined
}

function traceCopyCondition(
  relation: RangeVar | undefined,
  condition: Node | undefined,
  trace: Trace,
): void {
  if (relation === undefined || condition === undefined) return
  const found = readRelation(relation, trace)
  const columns = (found?.columns ?? []).map(({ name }) => ({ name, value: CONSTANT }))
  const item = {
    alias: relation.relname,
    schema: undefined,
    columns,
    open: undefined,
    relation: undefined,
  }
  traceCondition(condition, 'WHERE', new Level(fromItem(item), undefined), trace)
}

/** COPY of a table: generated columns are left out. */
function copiedColumns(
  relation: RangeVar | undefined,
  names: readonly string[] | undefined,
  trace: Trace,
): Columns {
  const found = relation === undefined ? undefined : readRelation(relation, trace)
  if (found === undefined) return []
  if (names === undefined) {
    const generated = new Set(
      found.relations.flatMap(({ columns }) =>
        columns.filter(column => column.generated !== undefined).map(column => column.name),
      ),
    )
    return found.columns.filter(({ name }) => !generated.has(name))
  }
  return names.map(name => {
    const column = found.columns.find(candidate => candidate.name === name)
    if (column === undefined) trace.refuse(`column ${name}`)
    return column ?? { name, value: CONSTANT }
  })
}

/** A plan shows literals and guesses at how many rows there are: it depends on all that the statement does. */
function traceExplain(query: Node | undefined, level: Level | undefined, trace: Trace): Columns {
  trace.isExplain = true
  const { result, control } = trace.controlled(() =>
    query === undefined ? undefined : trace.statement(query, level),
  )
  if (query === undefined) trace.refuse('EXPLAIN of nothing')
  const from: Origins = union([control, unionOf((result ?? []).map(({ value }) => value))])
  return [{ name: 'QUERY PLAN', value: derived(from) }]
}

/** What a name of the session stands for: any of these. */
function traceNamed(found: readonly Statement[] | undefined, what: string, trace: Trace): Columns {
  if (found === undefined || found.length === 0) {
    trace.refuse(`a ${what} that this session has not made`)
    return []
  }
  const all = found.map(statement => traceAgain(statement, trace))
  const arms = all.flatMap(columns => (columns === undefined ? [] : [columns]))
  if (arms.length === 0) return undefined
  const [first = []] = arms
  if (arms.length < all.length || arms.some(arm => arm.length !== first.length)) {
    trace.refuse(`which ${what} is meant`)
  }
  return arms.length === 1 ? first : mergedArms(arms)
}

/** Each may be the one: what each may report is fine. */
function mergedArms(arms: readonly (readonly Column[])[]): readonly Column[] {
  return mergeColumns(arms).map(({ name, value }, i) => ({
    name,
    value: { ...value, reported: arms.flatMap(arm => arm[i]?.value.reported ?? []) },
  }))
}

/** A statement of another text. */
function traceAgain(statement: Statement, trace: Trace): Columns {
  const nodes = trace.shared.parse(statement.text)
  const [node] = nodes ?? []
  if (node === undefined || nodes?.length !== 1) {
    trace.refuse('a statement that was sent before')
    return []
  }
  const inner = new Trace(trace.shared, trace.path, undefined, trace.scope, statement)
  const columns = inner.statement(innerOf(node, statement), undefined)
  trace.absorb(inner.finish(columns))
  return columns
}

/** What PREPARE prepares and DECLARE declares has their text. */
export function innerOf(node: Node, statement: Statement): Node {
  if ('PrepareStmt' in node && statement.kind !== 'PREPARE') return node.PrepareStmt.query ?? node
  if ('DeclareCursorStmt' in node && statement.kind !== 'DECLARE') {
    return node.DeclareCursorStmt.query ?? node
  }
  return node
}

/** ALTER TABLE that leaves what is in the table where it is, and under its name. */
const HARMLESS_CHANGES = new Set(
  `AT_ColumnDefault AT_DropColumn AT_DropConstraint AT_DropNotNull AT_ChangeOwner AT_SetStatistics AT_SetStorage
  AT_SetCompression AT_SetRelOptions AT_ResetRelOptions AT_ReplicaIdentity AT_EnableRowSecurity
  AT_ForceRowSecurity AT_ClusterOn AT_SetTableSpace`.split(/\s+/),
)

function isHarmlessChange(alter: AlterTableStmt): boolean {
  return (alter.cmds ?? []).every(node => {
    if (!('AlterTableCmd' in node)) return false
    const { subtype = '', def } = node.AlterTableCmd
    if (HARMLESS_CHANGES.has(subtype)) return true
    if (subtype !== 'AT_AddColumn' || def === undefined || !('ColumnDef' in def)) return false
    return (def.ColumnDef.constraints ?? []).every(
      constraint =>
        'Constraint' in constraint &&
        ['CONSTR_NOTNULL', 'CONSTR_NULL', 'CONSTR_DEFAULT'].includes(
          constraint.Constraint.contype ?? '',
        ),
    )
  })
}

/** Defaults and checks are computed for rows: what code in them reads may be kept with the rows. */
function noteDefaults(elements: readonly Node[] | undefined, trace: Trace): void {
  const item: Item = {
    alias: undefined,
    schema: undefined,
    columns: [],
    open: CONSTANT,
    relation: undefined,
  }
  const level = new Level(fromItem(item), undefined)
  const pending = [...(elements ?? [])]
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    let expression: Node | undefined
    if ('ColumnDef' in node) pending.push(...(node.ColumnDef.constraints ?? []))
    else if ('Constraint' in node) expression = node.Constraint.raw_expr
    else if ('AlterTableCmd' in node) {
      const { subtype, def } = node.AlterTableCmd
      if (def !== undefined && subtype === 'AT_ColumnDefault') expression = def
      else if (def !== undefined) pending.push(def)
    }
    if (expression === undefined) continue
    const from = trace.originsOf([expression], level)
    if (from.size > 0) trace.store(undefined, from, 'DEFAULT')
  }
}

/** Definitions: whatever they touch may end up under another name, or in the text of an error. */
function traceDefinitions(node: Node, trace: Trace): void {
  const [type = ''] = Object.keys(node)
  if ('CreateStmt' in node) noteDefaults(node.CreateStmt.tableElts, trace)
  if ('AlterTableStmt' in node) noteDefaults(node.AlterTableStmt.cmds, trace)
  if (HARMLESS.has(type)) return
  if ('AlterTableStmt' in node && isHarmlessChange(node.AlterTableStmt)) return
  if (type === 'DoStmt' || !type.endsWith('Stmt') || trace.judged === undefined) {
    trace.refuse(`statement ${type}`)
    return
  }
  const isIndex = type === 'IndexStmt' || type === 'CreateStatsStmt'
  const { kind, objects } = trace.judged
  const what = [kind, ...objects].join(' ')
  const from = isIndex ? indexed(node, trace) : readAll(trace.judged, what, trace)
  if (isIndex) trace.decideAll(from, 'INDEX')
  else if (from.size > 0) trace.store(undefined, from, what)
}

/** The columns that an index or statistics are made of. */
function indexed(node: Node, trace: Trace): Origins {
  const relations = 'IndexStmt' in node ? [node.IndexStmt.relation] : []
  const others = 'CreateStatsStmt' in node ? (node.CreateStatsStmt.relations ?? []) : []
  const ranges = [
    ...relations,
    ...others.map(item => ('RangeVar' in item ? item.RangeVar : undefined)),
  ]
  const columns = ranges.flatMap(range =>
    range === undefined ? [] : (readRelation(range, trace)?.columns ?? []),
  )
  const item = {
    alias: undefined,
    schema: undefined,
    columns,
    open: undefined,
    relation: undefined,
  }
  const level = new Level(fromItem(item), undefined)
  const elements =
    'IndexStmt' in node
      ? [...(node.IndexStmt.indexParams ?? []), ...(node.IndexStmt.indexIncludingParams ?? [])]
      : 'CreateStatsStmt' in node
        ? (node.CreateStatsStmt.exprs ?? [])
        : []
  const expressions = elements.flatMap(element => {
    const { name, expr } =
      'IndexElem' in element ? element.IndexElem : 'StatsElem' in element ? element.StatsElem : {}
    if (expr !== undefined) return [expr]
    return name === undefined ? [] : [{ ColumnRef: { fields: [{ String: { sval: name } }] } }]
  })
  const where = 'IndexStmt' in node ? node.IndexStmt.whereClause : undefined
  return trace.originsOf(where === undefined ? expressions : [...expressions, where], level)
}
