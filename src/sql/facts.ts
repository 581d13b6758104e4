import type { RawStatement } from './raw.ts'
import {
  type Access,
  type Hazard,
  NEEDS,
  type Need,
  type Relation,
  type ScopeStep,
  type Setting,
  type Statement,
} from './statement.ts'
import { type WhereStrength, weaker } from './where.ts'

/**
 * Collects what a statement comes to once its names are looked up. Sets keep the order of
 * discovery.
 */
export class Facts {
  readonly kinds = new Set<string>()
  readonly needs = new Set<Need>()
  readonly objects = new Set<string>()
  readonly hazards = new Set<Hazard>()
  readonly notUnderstood = new Set<string>()
  readonly functions = new Set<string>()
  readonly actingFunctions = new Set<string>()
  readonly unknownFunctions = new Set<string>()
  readonly unknownRelations = new Set<string>()
  readonly settings: Setting[] = []
  #where: WhereStrength = 'none'
  readonly #relations = new Map<string, Relation>()

  /** Notes that the statement needs something, and optionally what makes it worse than that. */
  need(need: Need | undefined, hazard?: Hazard): void {
    if (need !== undefined) this.needs.add(need)
    if (hazard !== undefined) this.hazards.add(hazard)
  }

  /** Notes something that is not understood: it needs the most there is. */
  refuse(what: string): void {
    this.notUnderstood.add(what)
    this.need('admin', 'unknown')
  }

  /** Notes a relation, once for each kind of access. */
  relation(schema: string | undefined, name: string, access: Access): void {
    this.#relations.set(`${access}\0${schema ?? ''}\0${name}`, { schema, name, access })
  }

  weaken(where: WhereStrength): void {
    this.#where = weaker(this.#where, where)
  }

  /** Adds what a statement says by itself. */
  start(raw: RawStatement): void {
    for (const kind of raw.kinds) this.kinds.add(kind)
    for (const need of raw.needs) this.needs.add(need)
    for (const object of raw.objects) this.objects.add(object)
    for (const hazard of raw.hazards) this.hazards.add(hazard)
    for (const what of raw.notUnderstood) this.notUnderstood.add(what)
    for (const name of raw.judged) this.functions.add(name)
    this.settings.push(...raw.settings)
    this.weaken(raw.where)
  }

  /** Adds all that another statement does. */
  absorb(statement: Statement): void {
    for (const kind of statement.kinds) this.kinds.add(kind)
    for (const need of statement.needs) this.needs.add(need)
    for (const hazard of statement.hazards) this.hazards.add(hazard)
    for (const object of statement.objects) this.objects.add(object)
    for (const what of statement.notUnderstood) this.notUnderstood.add(what)
    for (const name of statement.functions) this.functions.add(name)
    for (const name of statement.actingFunctions) this.actingFunctions.add(name)
    for (const name of statement.unknownFunctions) this.unknownFunctions.add(name)
    for (const name of statement.unknownRelations) this.unknownRelations.add(name)
    for (const { schema, name, access } of statement.relations) this.relation(schema, name, access)
    this.settings.push(...statement.settings)
    this.weaken(statement.where)
  }

  /** Makes the statement. */
  finish(raw: RawStatement, scope: readonly ScopeStep[]): Statement {
    const needs = NEEDS.filter(need => this.needs.has(need))
    return {
      text: raw.text,
      kind: raw.kind,
      class: needs.at(-1) ?? raw.idle,
      needs,
      kinds: [...this.kinds],
      objects: [...this.objects],
      relations: [...this.#relations.values()],
      functions: [...this.functions],
      actingFunctions: [...this.actingFunctions],
      unknownFunctions: [...this.unknownFunctions],
      unknownRelations: [...this.unknownRelations],
      where: this.#where,
      hazards: [...this.hazards],
      notUnderstood: [...this.notUnderstood],
      fingerprint: raw.fingerprint,
      transaction: raw.transaction,
      chain: raw.chain,
      scope,
      executes: raw.executes,
      fetches: raw.fetches,
      settings: this.settings,
      ...(raw.copyOptions === undefined ? {} : { copyOptions: raw.copyOptions }),
    }
  }
}
