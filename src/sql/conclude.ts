import { Facts } from './facts.ts'
import type { Lookup } from './lookup.ts'
import type { RawStatement, RawStep } from './raw.ts'
import { anticipate, type Scope } from './scope.ts'
import type { ScopeStep, Statement } from './statement.ts'

/** Whether what a statement does depends on names the session has made. */
export function dependsOnScope(raw: RawStatement): boolean {
  return raw.executes.length > 0 || raw.fetches.length > 0
}

/**
 * Says what a statement does, its names looked up. What prepared statements and cursors do is not in it yet.
 */
export function conclude(raw: RawStatement, lookup: Lookup): Statement {
  return factsOf(raw, lookup).finish(raw, concludeSteps(raw, lookup))
}

/**
 * Says what the statements of one text do, including the prepared statements they run and the cursors they read.
 *
 * They run one after the other: what an earlier one prepares, a later one can execute. `again` judges a statement that was
 * prepared earlier by what its names stand for now.
 */
export function concludeAll(
  raws: readonly RawStatement[],
  lookupIn: (scope: Scope) => Lookup,
  scope: Scope,
  again: (statement: Statement) => Statement,
): Statement[] {
  let current = scope
  return raws.map(raw => {
    const lookup = lookupIn(current)
    const facts = factsOf(raw, lookup)
    addPrepared(raw, facts, current, again)
    const statement = facts.finish(raw, concludeSteps(raw, lookup))
    current = anticipate(current, statement)
    return statement
  })
}

function factsOf(raw: RawStatement, lookup: Lookup): Facts {
  const facts = new Facts()
  facts.start(raw)
  for (const name of raw.calls) lookup.call(name, facts)
  for (const name of raw.operators) lookup.operator(name, facts)
  for (const use of raw.uses) lookup.use(use, facts)
  for (const name of raw.types) lookup.type(name, facts)
  for (const name of raw.attributes) lookup.attribute(name, facts)
  if (raw.trivialIf.some(lookup.isTrivial)) facts.weaken('trivial')
  return facts
}

function addPrepared(
  raw: RawStatement,
  facts: Facts,
  scope: Scope,
  again: (statement: Statement) => Statement,
): void {
  for (const name of raw.executes) {
    const candidates = scope.prepared.get(name) ?? []
    if (candidates.length === 0) facts.refuse('a prepared statement this session has not made')
    for (const candidate of candidates) facts.absorb(again(candidate))
  }
  for (const name of raw.fetches) {
    const candidates = scope.cursors.get(name)
    // A cursor nobody declared was opened by a function, whose call was judged; reading it is reading.
    if (candidates?.length === 0) facts.refuse('a cursor that may stand for anything')
    for (const candidate of candidates ?? []) facts.absorb(again(candidate))
  }
}

/** The text of a statement inside of another is the whole text: that is what people wrote. */
function concludeSteps(raw: RawStatement, lookup: Lookup): ScopeStep[] {
  const { text, fingerprint } = raw
  return raw.steps.map((step: RawStep): ScopeStep => {
    if (step.step !== 'prepare' && step.step !== 'declare') return step
    return { ...step, statement: conclude({ ...step.statement, text, fingerprint }, lookup) }
  })
}
