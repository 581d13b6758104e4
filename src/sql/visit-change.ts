import type {
  DeleteStmt,
  InsertStmt,
  MergeStmt,
  MergeWhenClause,
  Node,
  RangeVar,
  SelectStmt,
  UpdateStmt,
} from 'libpg-query'
import { nameInStatement, type Target } from './columns.ts'
import type { Visitors, Walk } from './walk.ts'
import { isEffective, whereStrength } from './where.ts'

/** Relations in FROM by the name they go by, for telling the target's columns from others'. */
function relationsIn(items: readonly Node[]): Map<string, RangeVar> {
  const found = new Map<string, RangeVar>()
  const pending = [...items]
  for (let item = pending.pop(); item !== undefined; item = pending.pop()) {
    if ('RangeVar' in item) found.set(nameInStatement(item.RangeVar), item.RangeVar)
    else if ('RangeSubselect' in item) {
      found.set(item.RangeSubselect.alias?.aliasname ?? '', {})
    } else if ('RangeFunction' in item) {
      found.set(item.RangeFunction.alias?.aliasname ?? '', {})
    } else if ('JoinExpr' in item) {
      pending.push(...[item.JoinExpr.larg, item.JoinExpr.rarg].flatMap(side => side ?? []))
    }
  }
  return found
}

function targetOf(relation: RangeVar | undefined, from: readonly Node[] = []): Target {
  return { relation: relation ?? {}, others: relationsIn(from), isNotNull: () => false }
}

/** More columns than this in IS NOT NULL tests are only tried all together. */
const MAX_TRIED_ALONE = 6

/**
 * Notes how strong a condition is, and what would make it worthless: that is for the catalog to
 * know.
 */
function weaken(walk: Walk, condition: Node | undefined, target: Target): void {
  if (walk.isExplained) return
  const asked = new Set<string>()
  const isNotNull = (column: string): boolean => {
    asked.add(column)
    return false
  }
  const strength = whereStrength(condition, { ...target, isNotNull })
  walk.found.weaken(strength)
  if (strength !== 'present' || asked.size === 0) return
  const all = [...asked]
  const { schemaname, relname = '' } = target.relation
  for (const columns of [...all.slice(0, MAX_TRIED_ALONE).map(column => [column]), all]) {
    const assumed = { ...target, isNotNull: (column: string) => columns.includes(column) }
    if (whereStrength(condition, assumed) === 'present') continue
    walk.found.trivialIf.push({ relation: { schema: schemaname, name: relname }, columns })
  }
}

/** Columns that SET assigns to. */
function assigned(targets: readonly Node[] | undefined): string[] {
  return (targets ?? []).flatMap(target =>
    'ResTarget' in target ? [target.ResTarget.name ?? ''] : [],
  )
}

function visitInsert(insert: InsertStmt, walk: Walk): void {
  walk.kind('INSERT')
  walk.need('write')
  walk.relation(insert.relation, 'write', 'INSERT')
  if (insert.returningClause !== undefined) walk.found.need('read')
  walk.with(insert.withClause, () => {
    walk.using('read', () => walk.children('InsertStmt', insert, ['relation', 'withClause']))
  })
  const conflict = insert.onConflictClause
  if (conflict?.action !== 'ONCONFLICT_UPDATE') return
  walk.kind('UPDATE')
  walk.relation(insert.relation, 'write', 'UPDATE', assigned(conflict.targetList))
  // An upsert changes as many rows as its source has: a list of values bounds it, and so does a
  // filter on either side.
  const source = insert.selectStmt
  const select = source !== undefined && 'SelectStmt' in source ? source.SelectStmt : undefined
  const target = targetOf(insert.relation)
  if (select === undefined || isBounded(select)) weaken(walk, ONE_ROW, target)
  else if (isEffective(conflict.whereClause, target)) weaken(walk, conflict.whereClause, target)
  else weaken(walk, select.whereClause, targetOf(firstRelation(select)))
}

/** A condition that picks one row: what an upsert of a list of rows counts as. */
const ONE_ROW: Node = { CurrentOfExpr: {} }

function isBounded(select: SelectStmt): boolean {
  if (select.limitCount !== undefined || select.valuesLists !== undefined) return true
  return select.fromClause === undefined && select.op === 'SETOP_NONE'
}

function firstRelation(select: SelectStmt): RangeVar {
  const [first] = select.fromClause ?? []
  return first !== undefined && 'RangeVar' in first ? first.RangeVar : {}
}

function visitUpdate(update: UpdateStmt, walk: Walk): void {
  walk.kind('UPDATE')
  walk.need('write')
  walk.relation(update.relation, 'write', 'UPDATE', assigned(update.targetList))
  if (update.returningClause !== undefined) walk.found.need('read')
  weaken(walk, update.whereClause, targetOf(update.relation, update.fromClause))
  walk.with(update.withClause, () => {
    walk.using('read', () => walk.children('UpdateStmt', update, ['relation', 'withClause']))
  })
}

function visitDelete(remove: DeleteStmt, walk: Walk): void {
  walk.kind('DELETE')
  walk.need('write')
  walk.relation(remove.relation, 'write', 'DELETE')
  if (remove.returningClause !== undefined) walk.found.need('read')
  weaken(walk, remove.whereClause, targetOf(remove.relation, remove.usingClause))
  walk.with(remove.withClause, () => {
    walk.using('read', () => walk.children('DeleteStmt', remove, ['relation', 'withClause']))
  })
}

function visitMerge(merge: MergeStmt, walk: Walk): void {
  walk.kind('MERGE')
  walk.need('write')
  if (merge.returningClause !== undefined) walk.found.need('read')
  const source = merge.sourceRelation === undefined ? [] : [merge.sourceRelation]
  const target = targetOf(merge.relation, source)
  // Even one whose actions are all DO NOTHING locks its target.
  walk.relation(merge.relation, 'write', 'NONE')
  for (const clause of merge.mergeWhenClauses ?? []) {
    if ('MergeWhenClause' in clause) visitAction(clause.MergeWhenClause, merge, target, walk)
    else walk.found.refuse('an unusual MERGE')
  }
  walk.with(merge.withClause, () => {
    walk.using('read', () => walk.children('MergeStmt', merge, ['relation', 'withClause']))
  })
}

function visitAction(action: MergeWhenClause, merge: MergeStmt, target: Target, walk: Walk): void {
  const command = action.commandType?.replace('CMD_', '')
  if (command === 'NOTHING') return
  if (command !== 'INSERT' && command !== 'UPDATE' && command !== 'DELETE') {
    walk.found.refuse(`MERGE action ${command}`)
    return
  }
  walk.kind(command)
  walk.relation(merge.relation, 'write', command, assigned(action.targetList))
  if (command === 'INSERT') return
  // Rows without a partner in the source are all others: the join condition does not bound them.
  const isJoined = action.matchKind === 'MERGE_WHEN_MATCHED'
  const isBound = isJoined && isEffective(merge.joinCondition, target)
  weaken(walk, isBound ? merge.joinCondition : action.condition, target)
}

/** Where rows are changed. */
export const CHANGE_VISITORS: Visitors = {
  InsertStmt: visitInsert,
  UpdateStmt: visitUpdate,
  DeleteStmt: visitDelete,
  MergeStmt: visitMerge,
}
