import type { Judgement } from './authorize.ts'
import type { Run } from './run.ts'

/** What a client's Parse or PREPARE said under a name, and what was decided about it. */
export type Prepared = { readonly judgement: Judgement }

/**
 * A bound statement: what `Execute` of this name would run. `run` is its record in the audit log, `cycle`
 * the number of Syncs and Queries that had been sent before it.
 */
export type Portal = {
  readonly name: string
  readonly judgement: Judgement
  readonly run: Run | null
  readonly cycle: number
}

const UNNAMED = ''

/**
 * The names a session has made upstream: prepared statements and portals, as the server will have them
 * once everything sent so far is done.
 *
 * While a named Parse is on its way, the name may mean the old text or the new one (a duplicate is an error
 * upstream and keeps the old one), so both stand here until the answer: whoever asks gets all candidates
 * and has to be content with each. The unnamed statement is replaced at once, as the server does it.
 * Source: PostgreSQL's exec_parse_message and StorePreparedStatement.
 */
export class Names {
  readonly #statements = new Map<string, readonly Prepared[]>()
  readonly #portals = new Map<string, Portal>()

  /** Everything the name may stand for; empty if the session never made it. */
  candidates(name: string): readonly Prepared[] {
    return this.#statements.get(name) ?? []
  }

  /** How many prepared statements and portals stand here. */
  get size(): number {
    return this.#statements.size + this.#portals.size
  }

  /** A Parse or PREPARE has been sent. */
  prepare(name: string, prepared: Prepared): void {
    const before = name === UNNAMED ? [] : this.candidates(name)
    this.#statements.set(name, [...before, prepared])
  }

  /** The server took it: a duplicate would have failed, so nothing else bears the name. */
  confirm(name: string, prepared: Prepared): void {
    if (this.candidates(name).includes(prepared)) this.#statements.set(name, [prepared])
  }

  /** The server refused it, or skipped it. */
  withdraw(name: string, prepared: Prepared): void {
    const left = this.candidates(name).filter(candidate => candidate !== prepared)
    if (left.length === 0) this.#statements.delete(name)
    else this.#statements.set(name, left)
  }

  /** A Close of a statement has been sent. Returns what to hand to `restore` should it be skipped. */
  closeStatement(name: string): readonly Prepared[] {
    const closed = this.candidates(name)
    this.#statements.delete(name)
    return closed
  }

  /** The Close was skipped: what it named is still there, beside what came later. */
  restore(name: string, closed: readonly Prepared[]): void {
    if (closed.length > 0) this.#statements.set(name, [...closed, ...this.candidates(name)])
  }

  /** DEALLOCATE ALL or DISCARD ALL is done. */
  forgetStatements(): void {
    this.#statements.clear()
  }

  portal(name: string): Portal | undefined {
    return this.#portals.get(name)
  }

  /** A Bind has been sent. Returns the portal it replaces, which can't run any more. */
  bind(portal: Portal): Portal | undefined {
    const replaced = this.#portals.get(portal.name)
    this.#portals.set(portal.name, portal)
    return replaced
  }

  /** Removes one portal, if it is still the one bound under its name. */
  unbind(portal: Portal): void {
    if (this.#portals.get(portal.name) === portal) this.#portals.delete(portal.name)
  }

  /**
   * A transaction is over, and with it every portal bound before the Sync or Query that ended it.
   * Portals bound behind it in the pipeline live on. Returns those that are gone.
   */
  endTransaction(cycle: number): readonly Portal[] {
    if (this.#portals.size === 0) return []
    const gone = [...this.#portals.values()].filter(portal => portal.cycle < cycle)
    for (const portal of gone) this.#portals.delete(portal.name)
    return gone
  }
}
