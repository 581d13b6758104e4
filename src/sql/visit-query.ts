import type {
  InsertStmt,
  MergeStmt,
  MergeWhenClause,
  Node,
  RangeVar,
  SelectStmt,
} from 'libpg-query'
import { settingEffect } from './settings.ts'
import { qualifiedName, type Visitors, type Walk } from './walk.ts'
import { isEffective, nameInStatement, type Target, whereStrength } from './where.ts'

/** Notes a kind at the top of the statement or inside of it, unless it is only explained. */
export function noteKind(walk: Walk, kind: string): void {
  if (walk.facts.kind === '') walk.facts.kind = kind
  if (!walk.isExplained || kind === 'EXPLAIN') walk.facts.kinds.add(kind)
}

/** Notes what changing rows takes; explaining it takes the right to read. */
export function needWrite(walk: Walk): void {
  walk.facts.need(walk.isExplained ? 'read' : 'write')
}

/** SELECT, VALUES, TABLE, set operations and queries of DML, DDL and cursors. */
function visitSelect(select: SelectStmt, walk: Walk): void {
  const { larg, rarg, withClause, intoClause, lockingClause } = select
  // The rows of an INSERT are a SelectStmt too, but nothing is read for them.
  const isRows = select.valuesLists !== undefined && walk.facts.kind !== ''
  if (!isRows) {
    noteKind(walk, intoClause === undefined ? 'SELECT' : 'SELECT_INTO')
    walk.facts.need('read')
  }
  if (intoClause !== undefined) {
    walk.using('schema', () => walk.children('IntoClause', intoClause))
    walk.facts.objects.add('TABLE')
    walk.facts.need(walk.isExplained ? 'read' : 'ddl')
  }
  walk.with(withClause, () => {
    walk.using('read', () => {
      if (larg !== undefined) visitSelect(larg, walk)
      if (rarg !== undefined) visitSelect(rarg, walk)
      walk.children('SelectStmt', select, ['larg', 'rarg', 'withClause', 'intoClause'])
    })
  })
  if (lockingClause === undefined) return
  noteKind(walk, 'SELECT_FOR_UPDATE')
  needWrite(walk)
  for (const item of select.fromClause ?? []) lockRelations(item, walk)
}

/** Row locks reach every table of FROM; naming all of them is enough, which `OF` picks does not matter. */
function lockRelations(item: Node, walk: Walk): void {
  if ('RangeVar' in item) {
    const { schemaname, relname = '' } = item.RangeVar
    if (schemaname !== undefined || !walk.isCte(relname)) {
      walk.facts.relation(schemaname, relname, walk.isExplained ? 'read' : 'lock')
    }
  } else if ('JoinExpr' in item) {
    if (item.JoinExpr.larg !== undefined) lockRelations(item.JoinExpr.larg, walk)
    if (item.JoinExpr.rarg !== undefined) lockRelations(item.JoinExpr.rarg, walk)
  }
}

/** Relations in FROM by the name they go by, for telling the target's columns from others'. */
function relationsIn(items: readonly Node[] | undefined, found = new Map<string, RangeVar>()) {
  for (const item of items ?? []) {
    if ('RangeVar' in item) found.set(nameInStatement(item.RangeVar), item.RangeVar)
    else if ('RangeSubselect' in item) {
      found.set(item.RangeSubselect.alias?.aliasname ?? '', {})
    } else if ('RangeFunction' in item) found.set(item.RangeFunction.alias?.aliasname ?? '', {})
    else if ('JoinExpr' in item) {
      relationsIn(
        [item.JoinExpr.larg, item.JoinExpr.rarg].flatMap(side => side ?? []),
        found,
      )
    }
  }
  return found
}

function targetOf(relation: RangeVar | undefined, from: readonly Node[], walk: Walk): Target {
  const target = relation ?? {}
  return {
    relation: target,
    others: relationsIn(from),
    isNotNull: column => walk.around.names.isNotNull(target, column),
  }
}

function weaken(walk: Walk, condition: Node | undefined, target: Target): void {
  if (!walk.isExplained) walk.facts.weaken(whereStrength(condition, target))
}

function visitInsert(insert: InsertStmt, walk: Walk): void {
  noteKind(walk, 'INSERT')
  needWrite(walk)
  walk.relation(insert.relation, 'write')
  if (insert.returningClause !== undefined) walk.facts.need('read')
  walk.with(insert.withClause, () => {
    walk.using('read', () => walk.children('InsertStmt', insert, ['relation', 'withClause']))
  })
  const conflict = insert.onConflictClause
  if (conflict?.action !== 'ONCONFLICT_UPDATE') return
  noteKind(walk, 'UPDATE')
  // An upsert changes as many rows as its source has: a list of values bounds it, and so does a filter on either side.
  const select =
    insert.selectStmt !== undefined && 'SelectStmt' in insert.selectStmt
      ? insert.selectStmt.SelectStmt
      : undefined
  const target = targetOf(insert.relation, [], walk)
  const isBounded =
    select === undefined ||
    (select.fromClause === undefined && select.op === 'SETOP_NONE') ||
    select.limitCount !== undefined
  if (isBounded) weaken(walk, CERTAIN_ROW, target)
  else if (isEffective(conflict.whereClause, target)) weaken(walk, conflict.whereClause, target)
  else weaken(walk, select.whereClause, targetOf(fromTarget(select), [], walk))
}

/** A condition that names one row: what a bounded upsert counts as. */
const CERTAIN_ROW: Node = { CurrentOfExpr: {} }

function fromTarget(select: SelectStmt): RangeVar {
  const [first] = select.fromClause ?? []
  return first !== undefined && 'RangeVar' in first ? first.RangeVar : {}
}

function visitMerge(merge: MergeStmt, walk: Walk): void {
  noteKind(walk, 'MERGE')
  needWrite(walk)
  walk.relation(merge.relation, 'write')
  if (merge.returningClause !== undefined) walk.facts.need('read')
  const source = merge.sourceRelation === undefined ? [] : [merge.sourceRelation]
  const target = targetOf(merge.relation, source, walk)
  for (const clause of merge.mergeWhenClauses ?? []) {
    if ('MergeWhenClause' in clause) visitMergeAction(clause.MergeWhenClause, merge, target, walk)
  }
  walk.with(merge.withClause, () => {
    walk.using('read', () => walk.children('MergeStmt', merge, ['relation', 'withClause']))
  })
}

function visitMergeAction(
  action: MergeWhenClause,
  merge: MergeStmt,
  target: Target,
  walk: Walk,
): void {
  const kind = action.commandType?.replace('CMD_', '') ?? ''
  if (kind === 'NOTHING') return
  if (kind === 'INSERT' || kind === 'UPDATE' || kind === 'DELETE') noteKind(walk, kind)
  else walk.facts.refuse(`MERGE action ${kind}`)
  if (kind === 'INSERT') return
  // Rows without a partner in the source are all others: the join condition does not bound them.
  const isJoined = action.matchKind === 'MERGE_WHEN_MATCHED'
  if (isJoined && isEffective(merge.joinCondition, target)) {
    weaken(walk, merge.joinCondition, target)
  } else weaken(walk, action.condition, target)
}

/** Where relations are read and rows are changed, in queries and in everything built of them. */
export const QUERY_VISITORS: Visitors = {
  SelectStmt: visitSelect,
  InsertStmt: visitInsert,
  MergeStmt: visitMerge,

  UpdateStmt(update, walk) {
    noteKind(walk, 'UPDATE')
    needWrite(walk)
    walk.relation(update.relation, 'write')
    if (update.returningClause !== undefined) walk.facts.need('read')
    weaken(walk, update.whereClause, targetOf(update.relation, update.fromClause ?? [], walk))
    walk.with(update.withClause, () => {
      walk.using('read', () => walk.children('UpdateStmt', update, ['relation', 'withClause']))
    })
  },

  DeleteStmt(remove, walk) {
    noteKind(walk, 'DELETE')
    needWrite(walk)
    walk.relation(remove.relation, 'write')
    if (remove.returningClause !== undefined) walk.facts.need('read')
    weaken(walk, remove.whereClause, targetOf(remove.relation, remove.usingClause ?? [], walk))
    walk.with(remove.withClause, () => {
      walk.using('read', () => walk.children('DeleteStmt', remove, ['relation', 'withClause']))
    })
  },

  RangeVar(relation, walk) {
    const { schemaname, relname = '' } = relation
    walk.children('RangeVar', relation)
    if (walk.access === 'read') {
      if (schemaname === undefined && walk.isCte(relname)) return
      walk.facts.need('read')
    }
    walk.facts.relation(schemaname, relname, walk.access)
  },

  FuncCall(call, walk) {
    const [schema, name = ''] = qualifiedName(call.funcname)
    if (name === 'set_config') visitSetConfig(schema, call.args ?? [], walk)
    else walk.call(schema, name)
    walk.children('FuncCall', call)
  },

  A_Expr(expression, walk) {
    walk.operator(expression.name)
    walk.children('A_Expr', expression, ['name'])
  },

  SubLink(link, walk) {
    walk.operator(link.operName)
    walk.children('SubLink', link, ['operName'])
  },

  SortBy(sort, walk) {
    walk.operator(sort.useOp)
    walk.children('SortBy', sort, ['useOp'])
  },

  CurrentOfExpr(current, walk) {
    if (current.cursor_name !== undefined) walk.facts.fetches.add(current.cursor_name)
    else walk.facts.refuse('WHERE CURRENT OF a parameter')
  },

  // Leaves: read by their parents where they matter.
  A_Const() {},
  ParamRef() {},
  ColumnRef() {},
  String() {},
}

/** set_config() is SET with an expression: only literals can be judged. */
function visitSetConfig(schema: string | undefined, args: readonly Node[], walk: Walk): void {
  walk.facts.functions.add(schema === undefined ? 'set_config' : `${schema}.set_config`)
  const [name, value] = args.map(literal)
  const isLocal = args[2] !== undefined && 'A_Const' in args[2] && args[2].A_Const.boolval?.boolval
  if (typeof name !== 'string') {
    walk.facts.need('admin', 'settings')
    walk.facts.actingFunctions.add('set_config')
    return
  }
  const effect = settingEffect(name, value)
  // It is a function in a query all the same, and a query takes the right to read.
  walk.facts.need(effect.need ?? 'read', effect.hazard)
  walk.facts.settings.push({
    name: name.toLowerCase(),
    value: value ?? undefined,
    local: isLocal === true,
  })
}

/** The text of a string literal; null for anything else. */
function literal(node: Node): string | null {
  if ('TypeCast' in node && node.TypeCast.arg !== undefined) return literal(node.TypeCast.arg)
  return 'A_Const' in node && node.A_Const.sval !== undefined
    ? (node.A_Const.sval.sval ?? '')
    : null
}
