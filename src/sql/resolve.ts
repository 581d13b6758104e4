import { Facts } from './facts.ts'
import { anticipate, type Scope } from './scope.ts'
import type { Statement } from './statement.ts'

/** Whether what a statement does depends on names the session has made. */
export function dependsOnScope(statement: Statement): boolean {
  return statement.executes.length > 0 || statement.fetches.length > 0
}

/**
 * Adds to each statement what the prepared statements it runs and the cursors it reads do.
 *
 * Statements of one text run one after the other: what an earlier one prepares, a later one can execute.
 */
export function resolveNames(statements: readonly Statement[], scope: Scope): Statement[] {
  let current = scope
  return statements.map(statement => {
    const resolved = dependsOnScope(statement) ? resolveOne(statement, current) : statement
    current = anticipate(current, resolved)
    return resolved
  })
}

function resolveOne(statement: Statement, scope: Scope): Statement {
  const facts = Facts.from(statement)
  for (const name of statement.executes) {
    const candidates = scope.prepared.get(name) ?? []
    if (candidates.length === 0)
      facts.refuse(`EXECUTE of a statement that this session did not prepare`)
    for (const candidate of candidates) facts.absorb(candidate)
  }
  for (const name of statement.fetches) {
    const candidates = scope.cursors.get(name)
    // A cursor nobody declared was opened by a function, whose call was judged; reading it is reading.
    if (candidates?.length === 0) facts.refuse('a cursor that may stand for anything')
    for (const candidate of candidates ?? []) facts.absorb(candidate)
  }
  return facts.finish(statement.text, statement.fingerprint)
}
