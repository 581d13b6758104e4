import type {
  DeleteStmt,
  InsertStmt,
  MergeStmt,
  MergeWhenClause,
  Node,
  OnConflictClause,
  RangeVar,
  ReturningClause,
  UpdateStmt,
} from 'libpg-query'
import type { CatalogTrigger } from './catalog.ts'
import { traceCondition } from './lineage-conditions.ts'
import { noteEffects, triggersOf } from './lineage-effects.ts'
import { traceFrom } from './lineage-from.ts'
import { triggerOrigins } from './lineage-functions.ts'
import { literalOf, noteLiterals } from './lineage-literals.ts'
import { both, type From, fromItem, type Item, type Level, NO_FROM } from './lineage-names.ts'
import { readRelation } from './lineage-relations.ts'
import { traceTargets } from './lineage-targets.ts'
import type { Trace } from './lineage-trace.ts'
import { carriedTo } from './lineage-triggers.ts'
import type { Origin } from './lineage-types.ts'
import {
  CONSTANT,
  type Column,
  depending,
  NO_ORIGINS,
  type Origins,
  union,
  type Value,
} from './lineage-value.ts'
import { withLevel } from './lineage-with.ts'
import type { Command } from './raw.ts'

/** The relation that is changed, and what is written to its columns. */
type Target = {
  readonly item: Item
  readonly name: string
  readonly written: Map<string, Value>
  readonly triggers: readonly CatalogTrigger[]
}

export type Changed = { readonly columns: readonly Column[] | undefined }

/** INSERT, UPDATE, DELETE and MERGE; undefined for any other node. */
export function traceChange(
  node: Node,
  outer: Level | undefined,
  trace: Trace,
): Changed | undefined {
  if ('InsertStmt' in node) return { columns: traceInsert(node.InsertStmt, outer, trace) }
  if ('UpdateStmt' in node) return { columns: traceUpdate(node.UpdateStmt, outer, trace) }
  if ('DeleteStmt' in node) return { columns: traceDelete(node.DeleteStmt, outer, trace) }
  if ('MergeStmt' in node) return { columns: traceMerge(node.MergeStmt, outer, trace) }
  return undefined
}

function openTarget(
  range: RangeVar | undefined,
  commands: readonly Command[],
  trace: Trace,
): Target {
  const relation = range ?? {}
  const found = readRelation(relation, trace)
  const alias = relation.alias?.aliasname ?? relation.relname ?? ''
  for (const command of commands) {
    for (const changed of found?.relations ?? []) noteEffects(changed, command, trace)
  }
  const item: Item = {
    alias,
    schema: relation.alias === undefined ? found?.schema : undefined,
    columns: found?.columns ?? [],
    open: found === undefined ? CONSTANT : undefined,
    relation: found?.relation,
  }
  const triggers = (found?.relations ?? []).flatMap(changed =>
    commands.flatMap(command => triggersOf(changed, command, trace)),
  )
  return { item, name: relation.relname ?? '', written: new Map(), triggers }
}

/** The columns behind a target column: through a view its own and that of the table. */
function originsOfTarget(column: Column): readonly Origin[] {
  const { value } = column
  return value.flow === 'same' ? [...value.from] : value.reported
}

/** Notes that a value is written to a column of the target. */
function write(
  target: Target,
  name: string,
  value: Value,
  source: Node | undefined,
  trace: Trace,
): void {
  const column = target.item.columns.find(found => found.name === name)
  const where = `column ${target.name}.${name}`
  const isTemporary = target.item.relation === 0
  const origins = column === undefined || isTemporary ? [undefined] : originsOfTarget(column)
  if (column === undefined && target.item.open === undefined) trace.refuse(where)
  for (const origin of origins) trace.store(origin, value.from, where)
  const literal = literalOf(source, trace)
  if (literal !== undefined) {
    noteLiterals(
      [literal],
      origins.flatMap(origin => origin ?? []),
      'written',
      trace,
    )
  }
  const before = target.written.get(name)
  target.written.set(name, before === undefined ? value : depending(before, value.from))
}

/** The target's row as it may be afterwards. */
function rowAfter(target: Target, trace: Trace): Item {
  const added = triggerOrigins(target.triggers, trace)
  const before = target.item.columns
  const columns = before.map(({ name, value }) => {
    const carried = carriedTo(name, target.triggers, before, trace)
    const from = union([target.written.get(name)?.from ?? NO_ORIGINS, added, carried])
    if (from.size === 0) return { name, value }
    return { name, value: { ...depending(value, from), reported: value.reported } }
  })
  return { ...target.item, columns }
}

function traceInsert(insert: InsertStmt, outer: Level | undefined, trace: Trace) {
  const isUpsert = insert.onConflictClause?.action === 'ONCONFLICT_UPDATE'
  const target = openTarget(insert.relation, isUpsert ? ['INSERT', 'UPDATE'] : ['INSERT'], trace)
  const level = withLevel(insert.withClause, outer, trace)
  const source = insert.selectStmt
  const columns = source === undefined ? [] : trace.query(source, level)
  const names =
    insert.cols === undefined
      ? target.item.columns.map(({ name }) => name)
      : assigned(insert.cols).map(({ name }) => name)
  const subscripts = (insert.cols ?? []).flatMap(node =>
    'ResTarget' in node ? (node.ResTarget.indirection ?? []) : [],
  )
  trace.decideAll(trace.originsOf(subscripts, level), 'COLUMN')
  const given: Column[] = []
  columns.forEach(({ value }, i) => {
    const name = names[i]
    if (name === undefined) return
    write(target, name, value, undefined, trace)
    given.push({ name, value: { ...value, reported: [] } })
  })
  noteValues(source, names, target, trace)
  const conflict = insert.onConflictClause
  if (conflict !== undefined) traceConflict(conflict, target, given, level, trace)
  return traceReturning(insert.returningClause, target, NO_FROM, level, trace)
}

/** Literals of VALUES, each with the column it is written to. */
function noteValues(
  source: Node | undefined,
  names: readonly string[],
  target: Target,
  trace: Trace,
): void {
  const rows =
    source !== undefined && 'SelectStmt' in source ? source.SelectStmt.valuesLists : undefined
  for (const row of rows ?? []) {
    const items = 'List' in row ? (row.List.items ?? []) : []
    items.forEach((item, i) => {
      const literal = literalOf(item, trace)
      const column = target.item.columns.find(({ name }) => name === names[i])
      if (literal === undefined || column === undefined) return
      noteLiterals([literal], originsOfTarget(column), 'written', trace)
    })
  }
}

function traceConflict(
  conflict: OnConflictClause,
  target: Target,
  given: readonly Column[],
  level: Level,
  trace: Trace,
): void {
  const { infer, targetList, whereClause } = conflict
  const own = fromItem(target.item)
  const inside = level.showing(own)
  if (infer?.indexElems === undefined) {
    // Whatever is unique decides.
    for (const { value } of target.item.columns) trace.decideAll(value.from, 'ON CONFLICT')
  }
  for (const element of infer?.indexElems ?? []) {
    if (!('IndexElem' in element)) trace.refuse('an unusual ON CONFLICT')
    else if (element.IndexElem.expr !== undefined) {
      trace.decideAll(trace.originsOf([element.IndexElem.expr], inside), 'ON CONFLICT')
    } else {
      const reference = {
        ColumnRef: { fields: [{ String: { sval: element.IndexElem.name ?? '' } }] },
      }
      trace.decideAll(trace.originsOf([reference], inside), 'ON CONFLICT')
    }
  }
  if (infer?.whereClause !== undefined)
    traceCondition(infer.whereClause, 'ON CONFLICT', inside, trace)
  const excluded: Item = {
    alias: 'excluded',
    schema: undefined,
    columns: target.item.columns.map(({ name, value }) => {
      const inserted = given.find(column => column.name === name)?.value
      // A default may take the place of what is not given.
      return { name, value: inserted ?? { ...value, reported: [] } }
    }),
    open: target.item.open,
    relation: target.item.relation,
  }
  const withExcluded = level.showing({ ...own, items: [...own.items, excluded] })
  assign(targetList, target, withExcluded, trace)
  if (whereClause !== undefined) traceCondition(whereClause, 'WHERE', withExcluded, trace)
}

type Assignment = { readonly name: string; readonly source: Node | undefined }

function assigned(targets: readonly Node[] | undefined): Assignment[] {
  return (targets ?? []).flatMap(node =>
    'ResTarget' in node ? [{ name: node.ResTarget.name ?? '', source: node.ResTarget.val }] : [],
  )
}

/** SET a = …, (b, c) = … */
function assign(
  targets: readonly Node[] | undefined,
  target: Target,
  level: Level,
  trace: Trace,
): void {
  for (const { name, source } of assigned(targets)) {
    const value = source === undefined ? CONSTANT : trace.evaluate(source, level)
    write(target, name, value, source, trace)
  }
  // Subscripts: SET a[x] = …
  for (const node of targets ?? []) {
    if (!('ResTarget' in node) || node.ResTarget.indirection === undefined) continue
    const { name = '', indirection } = node.ResTarget
    const from = trace.originsOf(indirection, level)
    if (from.size > 0) write(target, name, { ...CONSTANT, from }, undefined, trace)
  }
}

function traceUpdate(update: UpdateStmt, outer: Level | undefined, trace: Trace) {
  const target = openTarget(update.relation, ['UPDATE'], trace)
  const level = withLevel(update.withClause, outer, trace)
  const others = traceFrom(update.fromClause, level, trace)
  const inside = level.showing(both(fromItem(target.item), others))
  assign(update.targetList, target, inside, trace)
  if (update.whereClause !== undefined) traceCondition(update.whereClause, 'WHERE', inside, trace)
  return traceReturning(update.returningClause, target, others, level, trace)
}

function traceDelete(remove: DeleteStmt, outer: Level | undefined, trace: Trace) {
  const target = openTarget(remove.relation, ['DELETE'], trace)
  const level = withLevel(remove.withClause, outer, trace)
  const others = traceFrom(remove.usingClause, level, trace)
  const inside = level.showing(both(fromItem(target.item), others))
  if (remove.whereClause !== undefined) traceCondition(remove.whereClause, 'WHERE', inside, trace)
  return traceReturning(remove.returningClause, target, others, level, trace)
}

const ACTIONS: Readonly<Record<string, Command>> = {
  CMD_INSERT: 'INSERT',
  CMD_UPDATE: 'UPDATE',
  CMD_DELETE: 'DELETE',
}

function traceMerge(merge: MergeStmt, outer: Level | undefined, trace: Trace) {
  const clauses = (merge.mergeWhenClauses ?? []).flatMap(node =>
    'MergeWhenClause' in node ? [node.MergeWhenClause] : [],
  )
  const commands = clauses.flatMap(({ commandType }) => ACTIONS[commandType ?? ''] ?? [])
  const target = openTarget(merge.relation, commands, trace)
  const level = withLevel(merge.withClause, outer, trace)
  const source = merge.sourceRelation === undefined ? [] : [merge.sourceRelation]
  const others = traceFrom(source, level, trace)
  const inside = level.showing(both(fromItem(target.item), others))
  if (merge.joinCondition !== undefined) traceCondition(merge.joinCondition, 'JOIN', inside, trace)
  for (const clause of clauses) traceAction(clause, target, inside, trace)
  return traceReturning(merge.returningClause, target, others, level, trace, true)
}

function traceAction(clause: MergeWhenClause, target: Target, level: Level, trace: Trace): void {
  if (clause.condition !== undefined) traceCondition(clause.condition, 'WHERE', level, trace)
  if (clause.commandType !== 'CMD_INSERT') {
    assign(clause.targetList, target, level, trace)
    return
  }
  const names =
    clause.targetList === undefined
      ? target.item.columns.map(({ name }) => name)
      : assigned(clause.targetList).map(({ name }) => name)
  const values = clause.values ?? []
  values.forEach((node, i) => {
    const name = names[i]
    const value = trace.evaluate(node, level)
    if (name === undefined) trace.refuse('an unusual MERGE')
    else write(target, name, value, node, trace)
  })
}

/** RETURNING: the row as it is then, what it was joined with, and OLD and NEW. */
function traceReturning(
  clause: ReturningClause | undefined,
  target: Target,
  others: From,
  level: Level,
  trace: Trace,
  isTargetLast = false,
): readonly Column[] | undefined {
  if (clause === undefined) return undefined
  const row = rowAfter(target, trace)
  const own = fromItem(row)
  const from = isTargetLast ? both(others, own) : both(own, others)
  const versions = ['old', 'new'].map(version => versionName(clause, version))
  const items = versions.map(alias => ({ ...row, alias, schema: undefined }))
  const inside = level.showing({ ...from, items: [...from.items, ...items] })
  return traceTargets(clause.exprs, inside, trace)
}

function versionName(clause: ReturningClause, version: string): string {
  for (const node of clause.options ?? []) {
    if (!('ReturningOption' in node)) continue
    const { option, value } = node.ReturningOption
    if (option === `RETURNING_OPTION_${version.toUpperCase()}` && value !== undefined) return value
  }
  return version
}

/** All columns of a target, as when a whole table is copied into. */
export function writeAll(
  range: RangeVar,
  names: readonly string[] | undefined,
  from: Origins,
  trace: Trace,
): void {
  const target = openTarget(range, ['INSERT'], trace)
  const columns = names ?? target.item.columns.map(({ name }) => name)
  for (const name of columns) write(target, name, { ...CONSTANT, from }, undefined, trace)
}
