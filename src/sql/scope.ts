import type { ScopeStep, Statement } from './statement.ts'

/**
 * The names a session has made, as far as they change what a later statement means.
 *
 * A value: every change makes a new one, and its identity is its version. A name maps to every
 * statement it may stand for, because whether a PREPARE or DEALLOCATE took effect is known only
 * when the server has answered; running the name is judged as running all of them.
 */
export type Scope = {
  readonly prepared: ReadonlyMap<string, readonly Statement[]>
  readonly cursors: ReadonlyMap<string, readonly Statement[]>
  /**
   * `moved`: the session has set search_path, or may have. From then on an unqualified name means
   * every relation and function of that name, because a ROLLBACK can move the path back unseen.
   */
  readonly searchPath: 'initial' | 'moved'
  /** Temporary tables that it may have made, by their columns; undefined where several of one name differ. */
  readonly temporary?: ReadonlyMap<string, readonly string[] | undefined>
}

/** A session that has made nothing yet. */
export const EMPTY_SCOPE: Scope = {
  prepared: new Map(),
  cursors: new Map(),
  searchPath: 'initial',
}

/**
 * More names, or more candidates for one name, than this and the name is unknown: running it needs
 * 'admin'.
 */
const MAX_NAMES = 4096
const MAX_CANDIDATES = 32

/**
 * Returns the scope a later statement must be judged in while this one is on its way: what it adds
 * may be there, what it removes may still be there.
 */
export function anticipate(scope: Scope, statement: Statement): Scope {
  const moves = statement.settings.some(({ name }) => name === 'search_path' || name === 'all')
  const moved: Scope =
    moves && scope.searchPath === 'initial' ? { ...scope, searchPath: 'moved' } : scope
  return statement.scope.reduce(add, moved)
}

/**
 * Returns the scope after the server has said that a statement succeeded. What failed or was
 * skipped must not be given: its DEALLOCATE has removed nothing.
 */
export function settle(scope: Scope, statement: Statement): Scope {
  return statement.scope.reduce(remove, anticipate(scope, statement))
}

/**
 * Returns a scope whose search path is not the one the catalog was loaded with, as of a session whose
 * startup packet sets search_path.
 */
export function withMovedPath(scope: Scope): Scope {
  return { ...scope, searchPath: 'moved' }
}

/**
 * Returns a scope in which a name stands for one more statement, as after a Parse message with that
 * name.
 */
export function withPrepared(scope: Scope, name: string, statement: Statement): Scope {
  return { ...scope, prepared: withCandidate(scope.prepared, name, statement) }
}

/** Returns a scope without a prepared name, or without all of them, as after a Close message. */
export function withoutPrepared(scope: Scope, name: string | undefined): Scope {
  return { ...scope, prepared: without(scope.prepared, name) }
}

/** Returns a scope in which a cursor or portal stands for one more statement. */
export function withCursor(scope: Scope, name: string, statement: Statement): Scope {
  return { ...scope, cursors: withCandidate(scope.cursors, name, statement) }
}

/** Returns a scope without a cursor, or without all of them, as at the end of a transaction. */
export function withoutCursors(scope: Scope, name: string | undefined): Scope {
  return { ...scope, cursors: without(scope.cursors, name) }
}

function add(scope: Scope, step: ScopeStep): Scope {
  if (step.step === 'prepare') return withPrepared(scope, step.name, step.statement)
  if (step.step === 'declare') return withCursor(scope, step.name, step.statement)
  if (step.step === 'temporary') return withTemporary(scope, step.name, step.columns)
  return scope
}

function withTemporary(scope: Scope, name: string, columns: readonly string[]): Scope {
  const before = scope.temporary ?? new Map<string, readonly string[] | undefined>()
  if (before.size >= MAX_NAMES && !before.has(name)) return scope
  const known = before.get(name)
  const isNew = !before.has(name)
  const isSame = known !== undefined && JSON.stringify(known) === JSON.stringify(columns)
  if (isSame) return scope
  return { ...scope, temporary: new Map(before).set(name, isNew ? columns : undefined) }
}

function remove(scope: Scope, step: ScopeStep): Scope {
  switch (step.step) {
    case 'deallocate':
      return withoutPrepared(scope, step.name)
    case 'close':
      return withoutCursors(scope, step.name)
    case 'discard':
      return step.what === 'all' ? { ...EMPTY_SCOPE, searchPath: 'moved' } : scope
    default:
      return scope
  }
}

type Candidates = ReadonlyMap<string, readonly Statement[]>

function withCandidate(names: Candidates, name: string, statement: Statement): Candidates {
  const before = names.get(name) ?? []
  if (before.includes(statement)) return names
  const after = new Map(names)
  // An empty list is a name that can stand for anything.
  const isFull = before.length >= MAX_CANDIDATES || (names.has(name) && before.length === 0)
  if (names.size >= MAX_NAMES && !names.has(name)) return names
  after.set(name, isFull ? [] : [...before, statement])
  return after
}

function without(names: Candidates, name: string | undefined): Candidates {
  if (name === undefined) return names.size === 0 ? names : new Map()
  if (!names.has(name)) return names
  const after = new Map(names)
  after.delete(name)
  return after
}
