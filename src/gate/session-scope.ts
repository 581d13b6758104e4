import {
  type Analysis,
  anticipate,
  EMPTY_SCOPE,
  type Scope,
  type ScopeStep,
  type Statement,
  settle,
  withoutCursors,
  withoutPrepared,
  withPrepared,
} from '../sql/index.ts'
import type { OnDone } from './exchange.ts'
import type { Names } from './names.ts'

/**
 * What the session has made that changes what a later text means: SQL-level prepared statements and
 * cursors (in one name space with the protocol's), and the encoding of its text.
 *
 * What a statement adds counts as soon as it is sent; what it removes, only once the server has said so.
 */
export class SessionScope {
  readonly #names: Names
  #scope: Scope = EMPTY_SCOPE
  #heldCursors = new Set<string>()
  /** client_encoding as the server last reported it. */
  encoding: string

  constructor(names: Names, encoding: string) {
    this.#names = names
    this.encoding = encoding
  }

  /** The scope to analyse the next text in. */
  get current(): Scope {
    return this.#scope
  }

  /** A statement is about to be sent. Returns what to do once the server says that it is done. */
  foresee(statement: Statement): OnDone {
    if (statement.scope.length === 0) return null
    this.#scope = anticipate(this.#scope, statement)
    return () => {
      this.#scope = settle(this.#scope, statement)
      for (const step of statement.scope) this.#settleNames(step)
    }
  }

  /** True for a text whose meaning depends on names that may have changed since it was parsed. */
  dependsOn(analysis: Analysis): boolean {
    if (!analysis.ok) return false
    return analysis.statements.some(
      statement => statement.executes.length > 0 || statement.fetches.length > 0,
    )
  }

  /** A Parse message has been sent: SQL can EXECUTE what it names. */
  parsed(name: string, analysis: Analysis): void {
    const [statement] = analysis.ok ? analysis.statements : []
    if (name === '' || statement === undefined) return
    this.#scope = withPrepared(this.#scope, identifierOf(name), statement)
  }

  /** A Close message has been sent. Returns what to do once it is done. */
  closed(name: string): OnDone {
    const identifier = identifierOf(name)
    if (!this.#scope.prepared.has(identifier)) return null
    return () => {
      this.#scope = withoutPrepared(this.#scope, identifier)
    }
  }

  /** What PREPARE or Parse may have put under a name; empty when that is unknown. */
  prepared(name: string): readonly Statement[] {
    return this.#scope.prepared.get(identifierOf(name)) ?? []
  }

  /** What DECLARE may have put under a name; empty when that is unknown. */
  cursor(name: string): readonly Statement[] {
    return this.#scope.cursors.get(identifierOf(name)) ?? []
  }

  /** No transaction is open and nothing is on its way: cursors without HOLD are gone. */
  transactionEnded(): void {
    for (const name of this.#scope.cursors.keys()) {
      if (!this.#heldCursors.has(name)) this.#scope = withoutCursors(this.#scope, name)
    }
  }

  /** PREPARE, DEALLOCATE and DISCARD act on the protocol's prepared statements too. */
  #settleNames(step: ScopeStep): void {
    switch (step.step) {
      case 'prepare':
        this.#names.closeStatement(nameOf(step.name))
        return
      case 'deallocate':
        if (step.name === undefined) this.#names.forgetStatements()
        else this.#names.closeStatement(nameOf(step.name))
        return
      case 'discard':
        if (step.what === 'all') this.#names.forgetStatements()
        return
      case 'declare':
        if (step.hold) this.#heldCursors.add(step.name)
        return
      case 'close':
        if (step.name === undefined) this.#heldCursors = new Set()
        else this.#heldCursors.delete(step.name)
        return
      default:
        step satisfies never
    }
  }
}

/** A name as SQL has it, of a name as the wire has it (latin1, one character a byte). */
function identifierOf(name: string): string {
  return Buffer.from(name, 'latin1').toString('utf8')
}

function nameOf(identifier: string): string {
  return Buffer.from(identifier, 'utf8').toString('latin1')
}
