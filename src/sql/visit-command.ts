import type { CopyStmt, ExplainStmt, Node, VacuumStmt } from 'libpg-query'
import type { Access } from './statement.ts'
import { needWrite, noteKind } from './visit-query.ts'
import { booleanOption } from './visit-session.ts'
import { qualifiedName, type Visitors, type Walk } from './walk.ts'

/** Among duplicate options the last one wins, as in PostgreSQL: `EXPLAIN (ANALYZE off, ANALYZE)` runs the statement. */
function lastOption(options: readonly Node[] | undefined, name: string): boolean | undefined {
  let found: boolean | undefined = false
  for (const option of options ?? []) {
    if ('DefElem' in option && option.DefElem.defname === name) {
      found = booleanOption(option.DefElem)
    }
  }
  return found
}

function visitExplain(explain: ExplainStmt, walk: Walk): void {
  noteKind(walk, 'EXPLAIN')
  walk.facts.need('read')
  const query = explain.query
  if (query === undefined) {
    walk.facts.refuse('EXPLAIN of nothing')
    return
  }
  // A value that is not a boolean is an error in PostgreSQL; taking it for true is the safe side.
  const isRun = lastOption(explain.options, 'analyze') ?? true
  const before = walk.isExplained
  walk.isExplained = before || !isRun
  walk.node(query)
  walk.isExplained = before
  walk.children('ExplainStmt', explain, ['query'])
}

function visitCopy(copy: CopyStmt, walk: Walk): void {
  const isFrom = copy.is_from === true
  noteKind(walk, copy.is_program === true ? 'COPY_PROGRAM' : isFrom ? 'COPY_FROM' : 'COPY_TO')
  if (isFrom) needWrite(walk)
  else walk.facts.need('read')
  if (copy.is_program === true) walk.facts.need('admin', 'program')
  else if (copy.filename !== undefined) walk.facts.need('admin', 'files')
  walk.relation(copy.relation, isFrom ? 'write' : 'read')
  walk.children('CopyStmt', copy, ['relation'])
}

function visitVacuum(vacuum: VacuumStmt, walk: Walk): void {
  const isVacuum = vacuum.is_vacuumcmd === true
  const isFull = isVacuum && lastOption(vacuum.options, 'full') !== false
  noteKind(walk, isVacuum ? (isFull ? 'VACUUM_FULL' : 'VACUUM') : 'ANALYZE')
  walk.facts.need(isFull ? 'ddl' : 'write')
  const access: Access = isFull ? 'schema' : isVacuum ? 'lock' : 'read'
  walk.using(access, () => walk.children('VacuumStmt', vacuum))
}

/** ACCESS SHARE is what every SELECT takes, and what pg_dump asks for by name. Source: storage/lockdefs.h. */
const ACCESS_SHARE = 1

/** Statements that act on tables as a whole, or on the server. */
export const COMMAND_VISITORS: Visitors = {
  ExplainStmt: visitExplain,
  CopyStmt: visitCopy,
  VacuumStmt: visitVacuum,

  TruncateStmt(truncate, walk) {
    noteKind(walk, 'TRUNCATE')
    walk.facts.need('write')
    walk.using('write', () => walk.children('TruncateStmt', truncate))
  },

  LockStmt(lock, walk) {
    noteKind(walk, 'LOCK')
    walk.facts.need(lock.mode === ACCESS_SHARE ? 'read' : 'write')
    walk.using('lock', () => walk.children('LockStmt', lock))
  },

  ClusterStmt(cluster, walk) {
    noteKind(walk, 'CLUSTER')
    walk.facts.need('ddl')
    walk.using('schema', () => walk.children('ClusterStmt', cluster))
  },

  ReindexStmt(reindex, walk) {
    noteKind(walk, 'REINDEX')
    walk.facts.objects.add(reindex.kind?.replace('REINDEX_OBJECT_', '') ?? '')
    walk.facts.need('ddl')
    walk.using('schema', () => walk.children('ReindexStmt', reindex))
  },

  RefreshMatViewStmt(refresh, walk) {
    noteKind(walk, 'REFRESH')
    walk.facts.objects.add('MATVIEW')
    walk.facts.need('write')
    walk.relation(refresh.relation, 'write')
  },

  DoStmt(block, walk) {
    noteKind(walk, 'DO')
    walk.facts.need('admin', 'code')
    walk.children('DoStmt', block, ['args'])
  },

  CallStmt(call, walk) {
    noteKind(walk, 'CALL')
    walk.facts.need('read')
    const procedure = call.funccall
    if (procedure === undefined) {
      walk.facts.refuse('CALL of nothing')
      return
    }
    const [schema, name = ''] = qualifiedName(procedure.funcname)
    walk.call(schema, name)
    walk.children('FuncCall', procedure)
  },

  CheckPointStmt(_checkpoint, walk) {
    noteKind(walk, 'CHECKPOINT')
    walk.facts.need('admin', 'server')
  },

  LoadStmt(_load, walk) {
    noteKind(walk, 'LOAD')
    walk.facts.need('admin', 'server')
  },

  AlterSystemStmt(_alter, walk) {
    noteKind(walk, 'ALTER_SYSTEM')
    walk.facts.need('admin', 'server')
  },
}
