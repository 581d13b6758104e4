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
 * Says what a statement does, its names looked up. What prepared statements and cursors do is not
 * in it yet.
 */
export function conclude(raw: RawStatement, lookup: Lookup): Statement {
  return factsOf(raw, lookup).finish(raw, concludeSteps(raw, lookup))
}

/** Concludes statements of sessions, and remembers what they were concluded from. */
export class Concluder {
  readonly #raws = new WeakMap<Statement, RawStatement>()

  /**
   * Says what the statements of one text do, including the prepared statements they run and the
   * cursors they read.
   *
   * They run one after the other: what an earlier one prepares, a later one can execute. What was
   * prepared earlier is judged by what its names stand for now.
   */
  concludeAll(
    raws: readonly RawStatement[],
    lookupIn: (scope: Scope) => Lookup,
    scope: Scope,
  ): Statement[] {
    let current = scope
    return raws.map(raw => {
      const lookup = lookupIn(current)
      const facts = factsOf(raw, lookup)
      this.#addPrepared(raw, facts, current, lookup)
      const statement = facts.finish(raw, concludeSteps(raw, lookup))
      this.#remember(statement, raw)
      current = anticipate(current, statement)
      return statement
    })
  }

  #remember(statement: Statement, raw: RawStatement): void {
    this.#raws.set(statement, raw)
    statement.scope.forEach((step, i) => {
      const inner = raw.steps[i]
      if ('statement' in step && inner !== undefined && 'statement' in inner) {
        this.#raws.set(step.statement, inner.statement)
      }
    })
  }

  #again(statement: Statement, lookup: Lookup): Statement {
    const raw = this.#raws.get(statement)
    return raw === undefined ? statement : conclude(raw, lookup)
  }

  #addPrepared(raw: RawStatement, facts: Facts, scope: Scope, lookup: Lookup): void {
    for (const name of raw.executes) {
      const candidates = scope.prepared.get(name) ?? []
      if (candidates.length === 0) facts.refuse('a prepared statement this session has not made')
      for (const candidate of candidates) facts.absorb(this.#again(candidate, lookup))
    }
    for (const name of raw.fetches) {
      const candidates = scope.cursors.get(name)
      // A cursor nobody declared was opened by a function, whose call was judged; reading it is
      // reading.
      if (candidates?.length === 0) facts.refuse('a cursor that may stand for anything')
      for (const candidate of candidates ?? []) facts.absorb(this.#again(candidate, lookup))
    }
  }
}

function factsOf(raw: RawStatement, lookup: Lookup): Facts {
  const facts = new Facts()
  facts.start(raw)
  for (const name of raw.calls) lookup.call(name, facts)
  for (const name of raw.operators) lookup.operator(name, facts)
  for (const use of raw.uses) lookup.use(use, facts)
  for (const name of raw.types) lookup.type(name, facts)
  for (const name of raw.attributes) lookup.attribute(name, facts)
  if (raw.uses.length > 0) lookup.ambient(facts)
  if (raw.trivialIf.some(condition => lookup.isTrivial(condition))) facts.weaken('trivial')
  return facts
}

/** The text of a statement inside of another is the whole text: that is what people wrote. */
function concludeSteps(raw: RawStatement, lookup: Lookup): ScopeStep[] {
  const { text, fingerprint } = raw
  return raw.steps.map((step: RawStep): ScopeStep => {
    if (step.step !== 'prepare' && step.step !== 'declare') return step
    return { ...step, statement: conclude({ ...step.statement, text, fingerprint }, lookup) }
  })
}
