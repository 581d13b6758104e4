import type { CopyStmt, ExplainStmt, Node, VacuumStmt } from 'libpg-query'
import type { Access } from './statement.ts'
import { booleanOption, literalOf } from './visit-session.ts'
import type { Visitors, Walk } from './walk.ts'

/**
 * Among duplicate options the last one wins, as in PostgreSQL: `EXPLAIN (ANALYZE off, ANALYZE)`
 * runs the statement.
 */
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
  walk.kind('EXPLAIN')
  walk.found.need('read')
  const query = explain.query
  if (query === undefined) {
    walk.found.refuse('EXPLAIN of nothing')
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
  walk.kind(copy.is_program === true ? 'COPY_PROGRAM' : isFrom ? 'COPY_FROM' : 'COPY_TO')
  if (isFrom) walk.need('write')
  else walk.found.need('read')
  if (copy.is_program === true) walk.found.need('admin', 'program')
  else if (copy.filename !== undefined) walk.found.need('admin', 'files')
  walk.found.copyOptions = (copy.options ?? []).flatMap(option => {
    if (!('DefElem' in option)) return []
    const { defname = '', arg } = option.DefElem
    return [{ name: defname, value: arg === undefined ? 'true' : (literalOf(arg) ?? undefined) }]
  })
  walk.relation(copy.relation, isFrom ? 'write' : 'read', isFrom ? 'COPY' : 'SELECT')
  walk.children('CopyStmt', copy, ['relation'])
}

function visitVacuum(vacuum: VacuumStmt, walk: Walk): void {
  const isVacuum = vacuum.is_vacuumcmd === true
  const isFull = isVacuum && lastOption(vacuum.options, 'full') !== false
  walk.kind(isVacuum ? (isFull ? 'VACUUM_FULL' : 'VACUUM') : 'ANALYZE')
  walk.found.need(isFull ? 'ddl' : 'write')
  const access: Access = isFull ? 'schema' : isVacuum ? 'lock' : 'read'
  walk.using(access, () => walk.children('VacuumStmt', vacuum))
}

/**
 * ACCESS SHARE is what every SELECT takes, and what pg_dump asks for by name. Source:
 * storage/lockdefs.h.
 */
const ACCESS_SHARE = 1

/** Statements that act on tables as a whole, or on the server. */
export const COMMAND_VISITORS: Visitors = {
  ExplainStmt: visitExplain,
  CopyStmt: visitCopy,
  VacuumStmt: visitVacuum,

  TruncateStmt(truncate, walk) {
    walk.kind('TRUNCATE')
    walk.found.need('write')
    walk.using('write', () => walk.children('TruncateStmt', truncate))
  },

  LockStmt(lock, walk) {
    walk.kind('LOCK')
    walk.found.need(lock.mode === ACCESS_SHARE ? 'read' : 'write')
    walk.using('lock', () => walk.children('LockStmt', lock))
  },

  ClusterStmt(cluster, walk) {
    walk.kind('CLUSTER')
    walk.found.need('ddl')
    walk.using('schema', () => walk.children('ClusterStmt', cluster))
  },

  ReindexStmt(reindex, walk) {
    walk.kind('REINDEX')
    walk.found.objects.add(reindex.kind?.replace('REINDEX_OBJECT_', '') ?? '')
    walk.found.need('ddl')
    walk.using('schema', () => walk.children('ReindexStmt', reindex))
  },

  RefreshMatViewStmt(refresh, walk) {
    walk.kind('REFRESH')
    walk.found.objects.add('MATVIEW')
    walk.found.need('write')
    // Its query runs again: as good as reading it.
    walk.relation(refresh.relation, 'write', 'NONE')
    walk.relation(refresh.relation, 'read', 'SELECT')
  },

  CheckPointStmt(_checkpoint, walk) {
    walk.kind('CHECKPOINT')
    walk.found.need('admin', 'server')
  },

  LoadStmt(_load, walk) {
    walk.kind('LOAD')
    walk.found.need('admin', 'server')
  },

  AlterSystemStmt(_alter, walk) {
    walk.kind('ALTER_SYSTEM')
    walk.found.need('admin', 'server')
  },
}
