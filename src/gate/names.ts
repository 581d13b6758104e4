import type { Parameter } from '../wire/index.ts'
import type { Judgement } from './judgement.ts'
import type { Run } from './run.ts'

/**
 * What a client's Parse put under a name, and what was decided about it. `cycle` is the number of Syncs and
 * Queries that had been sent before it.
 */
export type Prepared = {
  readonly judgement: Judgement
  readonly cycle: number
  /** OIDs of the parameters' types as Parse declared them. */
  readonly parameterTypes: readonly number[]
}

/** A bound statement: what `Execute` of this name would run. `run` is its record in the audit log. */
export type Portal = {
  readonly name: string
  readonly judgement: Judgement
  readonly run: Run | null
  /** What it was bound from; null where that is not known for sure. */
  readonly prepared: Prepared | null
  /** Of the result's columns as Bind asks for them: none for text, one for all, or one for each. */
  readonly formats: readonly number[]
  /** What it was bound with, as its own; of the unnamed one, which no SQL can name, nothing. */
  readonly parameters: readonly Parameter[]
  /** `bound` once the server has said so, until it is closed, replaced, or its transaction ends. */
  state: 'sent' | 'bound' | 'gone'
  /** What bore the name before, until this one is bound or has failed. */
  replaces: Portal | null
}

const UNNAMED = ''

/**
 * The names a session has made upstream, by what the server has answered, and what is on its way to it.
 *
 * Whether a Parse that is under way takes effect is known only when it is answered: it may fail, be
 * skipped, or be a duplicate, which leaves the old text under the name. A Parse in the same cycle as the
 * message that uses it is certain: if it fails, that message is skipped with it.
 * Source: PostgreSQL's exec_parse_message, StorePreparedStatement and CreatePortal.
 */
export class Names {
  readonly #statements = new Map<string, Prepared>()
  /** Parses that are not answered yet, oldest first. */
  readonly #underway = new Map<string, Prepared[]>()
  /** By name, the one that was sent last. */
  readonly #portals = new Map<string, Portal>()
  readonly #bound = new Set<Portal>()

  /** How many prepared statements and portals stand here. */
  get size(): number {
    return this.#statements.size + this.#underway.size + this.#portals.size
  }

  /** Everything the name may stand for when a message of this cycle is carried out, the likeliest first. */
  candidates(name: string, cycle: number): readonly Prepared[] {
    const settled = this.#statements.get(name)
    const underway = this.#underway.get(name)
    if (underway === undefined) return settled === undefined ? [] : [settled]
    const newest = underway.at(-1)
    if (newest?.cycle === cycle) return [newest]
    return [...underway.toReversed(), ...(settled === undefined ? [] : [settled])]
  }

  /** A Parse has been sent. */
  prepare(name: string, prepared: Prepared): void {
    const underway = this.#underway.get(name)
    if (underway === undefined) this.#underway.set(name, [prepared])
    else underway.push(prepared)
  }

  /** The server took it: nothing else bears the name. */
  confirm(name: string, prepared: Prepared): void {
    this.withdraw(name, prepared)
    this.#statements.set(name, prepared)
  }

  /** The server refused it. What was unnamed is gone all the same; a name keeps what it had. */
  refuse(name: string, prepared: Prepared | null): void {
    if (prepared !== null) this.withdraw(name, prepared)
    if (name === UNNAMED) this.#statements.delete(name)
  }

  /** The server skipped it. */
  withdraw(name: string, prepared: Prepared): void {
    const underway = this.#underway.get(name)
    const at = underway?.indexOf(prepared) ?? -1
    if (underway === undefined || at < 0) return
    underway.splice(at, 1)
    if (underway.length === 0) this.#underway.delete(name)
  }

  /** A Close or DEALLOCATE is done, or a PREPARE, which takes a name that no Parse has. */
  forget(name: string): void {
    this.#statements.delete(name)
  }

  /** DEALLOCATE ALL or DISCARD ALL is done. */
  forgetStatements(): void {
    this.#statements.clear()
  }

  portal(name: string): Portal | undefined {
    return this.#portals.get(name)
  }

  /** The portals that SQL names, as FETCH, MOVE and CURRENT OF do. */
  portalsOf(identifiers: readonly string[]): readonly Portal[] {
    return [...new Set(identifiers)].flatMap(
      identifier => this.#portals.get(nameOf(identifier)) ?? [],
    )
  }

  /** A Bind has been sent. What had the name is kept until the answer. */
  bind(portal: Portal): void {
    portal.replaces = this.#portals.get(portal.name) ?? null
    this.#portals.set(portal.name, portal)
  }

  /** The server made the portal. Returns what it replaced, which can't run any more. */
  bound(portal: Portal): readonly Portal[] {
    const replaced = before(portal)
    for (const one of replaced) this.#end(one)
    portal.replaces = null
    portal.state = 'bound'
    this.#bound.add(portal)
    return replaced
  }

  /** The server did not make the portal, or has closed it: the name is back to what it was. */
  unbind(portal: Portal): void {
    this.#end(portal)
    if (this.#portals.get(portal.name) !== portal) return
    const left = before(portal).find(({ state }) => state !== 'gone')
    if (left === undefined) this.#portals.delete(portal.name)
    else this.#portals.set(portal.name, left)
  }

  /** A transaction is over, and with it every portal bound in it. Returns those that are gone. */
  endTransaction(): readonly Portal[] {
    if (this.#bound.size === 0) return []
    const gone = [...this.#bound]
    for (const portal of gone) this.unbind(portal)
    return gone
  }

  /** The session is over. Returns every portal it still had. */
  clear(): readonly Portal[] {
    const all = [...this.#portals.values()].flatMap(portal => [portal, ...before(portal)])
    this.#portals.clear()
    this.#bound.clear()
    this.#statements.clear()
    this.#underway.clear()
    return all
  }

  #end(portal: Portal): void {
    portal.state = 'gone'
    this.#bound.delete(portal)
  }
}

/** What a portal replaces, should it be bound: one for each Bind of its name that is not answered yet. */
function before(portal: Portal): readonly Portal[] {
  const replaced: Portal[] = []
  for (let one = portal.replaces; one !== null; one = one.replaces) replaced.push(one)
  return replaced
}

/** A name as SQL has it, of a name as the wire has it (latin1, one character a byte). */
export function identifierOf(name: string): string {
  return Buffer.from(name, 'latin1').toString('utf8')
}

/** A name as the wire has it, of a name as SQL has it. */
export function nameOf(identifier: string): string {
  return Buffer.from(identifier, 'utf8').toString('latin1')
}
