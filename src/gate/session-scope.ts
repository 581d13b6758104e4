import {
  type Analysis,
  anticipate,
  EMPTY_SCOPE,
  type Scope,
  type ScopeStep,
  type Statement,
  settle,
  withMovedPath,
  withoutCursors,
  withoutPrepared,
  withPrepared,
} from '../sql/index.ts'
import type { OnDone, OpenPortals } from './expected.ts'
import { identifierOf, type Names, nameOf } from './names.ts'

/** Settings that no statement's meaning depends on. */
const NO_MEANING = new Set([
  'application_name',
  'statement_timeout',
  'lock_timeout',
  'client_encoding',
])

function textsOf(statements: readonly Statement[]): string {
  return JSON.stringify(statements.map(({ text }) => text))
}

/**
 * What the session has made that changes what a later text means: SQL-level prepared statements and
 * cursors (in one name space with the protocol's), and the encoding of its text.
 *
 * What a statement adds counts as soon as it is sent; what it removes, only once the server has said so.
 */
export class SessionScope {
  readonly #names: Names
  #scope: Scope = EMPTY_SCOPE
  readonly #heldCursors = new Set<string>()
  /** PREPAREs that were sent, by the cycle they belong to. */
  #preparing: { readonly name: string; readonly statement: Statement; readonly cycle: number }[] =
    []
  readonly #settings = new Map<string, string>()
  /** client_encoding as the server last reported it. */
  encoding: string

  /** @param settings what the session's startup packet sets, by name */
  constructor(
    names: Names,
    encoding: string,
    settings: ReadonlyMap<string, string> = new Map<string, string>(),
  ) {
    this.#names = names
    this.encoding = encoding
    for (const [name, value] of settings) this.#settings.set(name.toLowerCase(), value)
    if (this.#settings.has('search_path')) this.#scope = withMovedPath(this.#scope)
  }

  /** The scope to analyse the next text in. */
  get current(): Scope {
    return this.#scope
  }

  /**
   * A statement is about to be sent, in this cycle. Returns what to do once the server says that it is done.
   */
  foresee(statement: Statement, cycle: number): OnDone {
    if (endsTransaction(statement)) return transactionDone
    if (statement.scope.length === 0 && statement.settings.length === 0) return null
    this.#scope = anticipate(this.#scope, statement)
    for (const { name, value } of statement.settings) {
      this.#settings.set(name.toLowerCase(), value ?? 'as at the start')
    }
    if (statement.scope.length === 0) return null
    for (const step of statement.scope) {
      if (step.step === 'prepare') this.#preparing.push({ ...step, cycle })
    }
    return portals => {
      this.#scope = settle(this.#scope, statement)
      for (const step of statement.scope) this.#settleNames(step, portals)
    }
  }

  /**
   * What besides the text decides what a statement means: every setting the session has made, whether or not
   * it is still in force, and the texts behind the names that the statement uses.
   */
  meaningOf(statements: readonly Statement[]): Readonly<Record<string, string>> {
    const meaning: Record<string, string> = { client_encoding: this.encoding }
    for (const [name, value] of this.#settings) {
      if (!NO_MEANING.has(name)) meaning[name] = value
    }
    for (const { executes, fetches } of statements) {
      for (const name of executes)
        meaning[`prepared ${name}`] = textsOf(this.prepared(nameOf(name)))
      for (const name of fetches) meaning[`cursor ${name}`] = textsOf(this.cursor(nameOf(name)))
    }
    return meaning
  }

  /** True for a text whose meaning depends on names that may have changed since it was parsed. */
  dependsOn(analysis: Analysis): boolean {
    if (!analysis.ok) return false
    return analysis.statements.some(
      statement => statement.executes.length > 0 || statement.fetches.length > 0,
    )
  }

  /**
   * A Parse message has been sent: SQL can EXECUTE what it names. Returns what to do once it is done: what
   * was sent before it may have emptied the name in the meantime.
   */
  parsed(name: string, analysis: Analysis): OnDone {
    const [statement] = analysis.ok ? analysis.statements : []
    if (name === '' || statement === undefined) return null
    const identifier = identifierOf(name)
    const add = (): void => {
      this.#scope = withPrepared(this.#scope, identifier, statement)
    }
    add()
    return add
  }

  /** A Close message has been sent. Returns what to do once it is done. */
  closed(name: string): OnDone {
    return () => {
      this.#names.forget(name)
      this.#scope = withoutPrepared(this.#scope, identifierOf(name))
    }
  }

  /** What PREPARE or Parse may have put under a name; empty when that is unknown. */
  prepared(name: string): readonly Statement[] {
    return this.#scope.prepared.get(identifierOf(name)) ?? []
  }

  /**
   * What PREPAREs that are still under way may put under a name. Older ones are settled: the name is either
   * theirs alone, or was never theirs.
   */
  preparing(name: string, cyclesDone: number): readonly Statement[] {
    if (this.#preparing.length === 0) return []
    this.#preparing = this.#preparing.filter(({ cycle }) => cycle >= cyclesDone)
    const identifier = identifierOf(name)
    return this.#preparing.filter(one => one.name === identifier).map(one => one.statement)
  }

  /** What DECLARE may have put under a name; empty when that is unknown. */
  cursor(name: string): readonly Statement[] {
    return this.#scope.cursors.get(identifierOf(name)) ?? []
  }

  /** No transaction is open and nothing is on its way: cursors without HOLD are gone. */
  transactionEnded(): void {
    this.#preparing = []
    for (const name of this.#scope.cursors.keys()) {
      if (!this.#heldCursors.has(name)) this.#scope = withoutCursors(this.#scope, name)
    }
    for (const name of this.#heldCursors) {
      if (!this.#scope.cursors.has(name)) this.#heldCursors.delete(name)
    }
  }

  /** PREPARE, DEALLOCATE and DISCARD act on the protocol's prepared statements too, CLOSE on its portals. */
  #settleNames(step: ScopeStep, portals: OpenPortals): void {
    switch (step.step) {
      case 'prepare':
        this.#names.forget(nameOf(step.name))
        return
      case 'deallocate':
        if (step.name === undefined) this.#names.forgetStatements()
        else this.#names.forget(nameOf(step.name))
        return
      case 'discard':
        if (step.what !== 'all') return
        this.#names.forgetStatements()
        portals.closePortal(undefined)
        this.#heldCursors.clear()
        return
      case 'declare':
        if (step.hold) this.#heldCursors.add(step.name)
        return
      case 'close':
        portals.closePortal(step.name === undefined ? undefined : nameOf(step.name))
        if (step.name === undefined) this.#heldCursors.clear()
        else this.#heldCursors.delete(step.name)
        return
      case 'temporary':
        // It is part of the scope; no name of the protocol's is.
        return
      default:
        step satisfies never
    }
  }
}

function endsTransaction({ transaction }: Statement): boolean {
  return transaction === 'commit' || transaction === 'rollback' || transaction === 'prepare'
}

const transactionDone = (portals: OpenPortals): void => portals.endTransaction()
