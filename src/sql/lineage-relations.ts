import type { RangeVar } from 'libpg-query'
import type { CatalogColumn, CatalogRelation, SystemRelation } from './catalog.ts'
import type { SearchPath } from './catalog-lookup.ts'
import { noteExpressions } from './lineage-effects.ts'
import { traceDefinition, traceExpressionText } from './lineage-texts.ts'
import type { Trace } from './lineage-trace.ts'
import {
  type Column,
  derived,
  isTextType,
  mergeColumns,
  NO_ORIGINS,
  union,
  type Value,
} from './lineage-value.ts'
import type { Name } from './raw.ts'

/** Columns of PostgreSQL's own relations that show what other people wrote or have; undefined: all of them. */
const REVEALING: ReadonlyMap<string, readonly string[] | undefined> = new Map([
  ['pg_authid', undefined],
  ['pg_shadow', undefined],
  ['pg_file_settings', undefined],
  ['pg_hba_file_rules', undefined],
  ['pg_ident_file_mappings', undefined],
  ['pg_largeobject', undefined],
  ['pg_stat_activity', ['query']],
  ['pg_stat_statements', ['query']],
  ['pg_statistic', undefined],
  ['pg_statistic_ext_data', undefined],
  ['pg_stats', undefined],
  ['pg_stats_ext', undefined],
  ['pg_stats_ext_exprs', undefined],
  ['pg_subscription', ['subconninfo']],
  ['pg_user_mapping', undefined],
  ['pg_user_mappings', undefined],
  ['user_mapping_options', undefined],
  ['_pg_user_mappings', undefined],
])

/** System columns by their numbers. Source: access/sysattr.h. */
const SYSTEM_COLUMNS: ReadonlyMap<string, number> = new Map([
  ['ctid', -1],
  ['xmin', -2],
  ['cmin', -3],
  ['xmax', -4],
  ['cmax', -5],
  ['tableoid', -6],
])

/** The value of a system column, which is nobody's data. */
export function systemColumn(relation: number, name: string, trace: Trace): Value | undefined {
  const column = SYSTEM_COLUMNS.get(name)
  if (column === undefined) return undefined
  return { ...derived(NO_ORIGINS), reported: [trace.shared.origins.of(relation, column)] }
}

/** Every entry that a name may mean, along the path; all there are where the path is not known. */
export function candidates<T extends Name>(
  named: ReadonlyMap<string, readonly T[]>,
  { schema, name }: Name,
  path: SearchPath,
): readonly T[] {
  const entries = named.get(name)
  if (entries === undefined) return []
  if (schema !== undefined) return entries.filter(entry => entry.schema === schema)
  return path === undefined ? entries : entries.filter(entry => path.includes(entry.schema ?? ''))
}

/** The relations of the catalog that a name may mean; more than one only where the path is not known. */
export function relationsNamed(name: Name, trace: Trace): readonly CatalogRelation[] {
  const entries = candidates(trace.catalog.relationsNamed, name, trace.path)
  if (name.schema !== undefined || trace.path === undefined || entries.length < 2) return entries
  const first = trace.path.find(schema => entries.some(entry => entry.schema === schema))
  return entries.filter(entry => entry.schema === first)
}

/** PostgreSQL's own relations stand before all others, unless the path says otherwise. */
function systemRelationsNamed({ schema, name }: Name, trace: Trace): readonly SystemRelation[] {
  const entries = trace.catalog.systemRelations.get(name) ?? []
  if (schema !== undefined) return entries.filter(entry => entry.schema === schema)
  // Unknown path: information_schema may be on it.
  if (trace.path === undefined) return entries
  return entries.filter(
    entry => entry.schema === 'pg_catalog' || trace.path?.includes(entry.schema) === true,
  )
}

export type Found = {
  readonly columns: readonly Column[]
  readonly relation: number
  readonly schema: string
  readonly relations: readonly CatalogRelation[]
}

/** The columns of the relation that a RangeVar means; undefined where that is not known, which is noted. */
export function readRelation(range: RangeVar, trace: Trace): Found | undefined {
  const name: Name = { schema: range.schemaname, name: range.relname ?? '' }
  const isOnly = range.inh !== true
  const temporary = readTemporary(name, trace)
  if (temporary !== undefined) return temporary
  const users = relationsNamed(name, trace)
  const system = systemRelationsNamed(name, trace)
  const [user] = users
  if (system.length > 0 && (user === undefined || trace.path !== undefined)) {
    const [first] = system
    if (first !== undefined && users.length === 0) return readSystem(first, trace)
  }
  if (user === undefined || (system.length > 0 && users.length > 0)) {
    trace.refuse(`relation ${spelled(name)}`)
    return undefined
  }
  const columns = users.map(relation => readColumns(relation, isOnly, trace))
  const [own = []] = columns
  if (users.length === 1) {
    return { columns: own, relation: user.oid, schema: user.schema, relations: users }
  }
  // The path is not known: any of them, if they look alike.
  if (!columns.every(other => hasSameNames(own, other))) {
    trace.refuse(`which relation ${spelled(name)} means`)
    return undefined
  }
  const merged = mergeColumns(columns).map(({ name, value }, i) => ({
    name,
    value: { ...value, reported: columns.flatMap(other => other[i]?.value.reported ?? []) },
  }))
  return { columns: merged, relation: user.oid, schema: user.schema, relations: users }
}

/** The only relation of that name is one that the session has made: it holds what the session put in. */
function readTemporary({ schema, name }: Name, trace: Trace): Found | undefined {
  if (schema !== undefined && schema !== 'pg_temp') return undefined
  const columns = trace.scope?.temporary?.get(name)
  const isElsewhere =
    trace.catalog.relationsNamed.has(name) || trace.catalog.systemRelations.has(name)
  if (columns === undefined || isElsewhere) return undefined
  // Its number is not known; 0 stands for a relation that the catalog does not have.
  const reported = [trace.shared.origins.of(0, 0)]
  const value = { ...derived(NO_ORIGINS), reported }
  return {
    columns: columns.map(column => ({ name: column, value })),
    schema: 'pg_temp',
    relation: 0,
    relations: [],
  }
}

function hasSameNames(a: readonly Column[], b: readonly Column[]): boolean {
  return a.length === b.length && a.every(({ name }, i) => b[i]?.name === name)
}

function spelled({ schema, name }: Name): string {
  return schema === undefined ? name : `${schema}.${name}`
}

function readSystem(relation: SystemRelation, trace: Trace): Found {
  const columns = relation.columns.map(column => ({
    name: column.name,
    value: {
      ...derived(NO_ORIGINS, 'derived', isTextType(column.typeOid)),
      reported: [trace.shared.origins.of(relation.oid, column.number)],
    },
  }))
  const found = { relation: relation.oid, schema: relation.schema, relations: [] }
  if (!REVEALING.has(relation.name)) {
    return { ...found, columns }
  }
  const revealing = REVEALING.get(relation.name)
  if (revealing === undefined) trace.statistics.add(relation.name)
  return {
    ...found,
    columns: columns.map(column => watched(relation.name, column, revealing, trace)),
  }
}

/** A column whose use is noted: reading the value is using it. */
function watched(
  relation: string,
  column: Column,
  revealing: readonly string[] | undefined,
  trace: Trace,
): Column {
  if (revealing?.includes(column.name) !== true) return column
  return {
    get name() {
      return column.name
    },
    get value() {
      trace.statistics.add(`${relation}.${column.name}`)
      return column.value
    },
  }
}

/** A relation's columns, and what reading it reads. */
export function readColumns(
  relation: CatalogRelation,
  isOnly: boolean,
  trace: Trace,
): readonly Column[] {
  noteFamily(relation, isOnly, trace)
  noteExpressions(relation, 'SELECT', trace)
  if (relation.definition !== undefined) return readView(relation, relation.definition, trace)
  if (relation.kind === 'f') trace.runsCode = true
  const { tables } = trace.shared
  const known = tables.get(relation)
  if (known !== undefined) return known
  const columns = relation.columns.map(column => ({
    name: column.name,
    value: columnValue(relation, column, trace),
  }))
  // What generated columns compute is to be noted each time.
  if (relation.columns.every(({ generated }) => generated === undefined)) {
    tables.set(relation, columns)
  }
  return columns
}

function noteFamily(relation: CatalogRelation, isOnly: boolean, trace: Trace): void {
  trace.relations.add(relation.oid)
  if (isOnly || relation.children.length === 0) return
  const pending = [...relation.children]
  for (let oid = pending.pop(); oid !== undefined; oid = pending.pop()) {
    if (trace.relations.has(oid)) continue
    trace.relations.add(oid)
    pending.push(...(trace.catalog.relations.get(oid)?.children ?? []))
  }
}

function columnValue(relation: CatalogRelation, column: CatalogColumn, trace: Trace): Value {
  const origin = trace.shared.origins.of(relation.oid, column.number)
  const isText = isTextType(column.typeOid)
  if (column.generated !== undefined) {
    const computed = generatedValue(relation, column.generated, trace)
    const from = union([new Set([origin]), computed.from])
    const flow = computed.flow === 'total' || computed.from.size === 0 ? 'total' : 'derived'
    return { ...derived(from, flow, isText), reported: [origin] }
  }
  return {
    from: new Set([origin]),
    flow: 'same',
    reported: [origin],
    type: { oid: column.typeOid, modifier: column.typeModifier },
    isText,
    row: undefined,
  }
}

function generatedValue(relation: CatalogRelation, text: string, trace: Trace): Value {
  const columns = relation.columns
    .filter(column => column.generated === undefined)
    .map(column => ({ name: column.name, value: columnValue(relation, column, trace) }))
  return traceExpressionText(text, columns, trace)
}

/** A view's own columns, with those that they come from. */
function readView(view: CatalogRelation, definition: string, trace: Trace): readonly Column[] {
  const traced = trace.once(`view ${view.oid}`, [], inner => traceDefinition(definition, inner))
  trace.absorb(traced)
  const { columns } = traced
  if (columns === undefined || columns.length !== view.columns.length) {
    trace.refuse(`the definition of view ${view.schema}.${view.name}`)
  }
  return view.columns.map((column, i) => {
    const origin = trace.shared.origins.of(view.oid, column.number)
    const inner = columns?.[i]?.value ?? derived(NO_ORIGINS)
    const isText = isTextType(column.typeOid)
    const flow = inner.flow === 'constant' || inner.flow === 'null' ? 'derived' : inner.flow
    const value: Value = {
      from: union([new Set([origin]), inner.from]),
      flow,
      reported: [origin],
      type: flow === 'same' ? { oid: column.typeOid, modifier: column.typeModifier } : undefined,
      isText,
      row: inner.row,
    }
    return { name: column.name, value }
  })
}
