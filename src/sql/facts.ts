import {
  type Access,
  type Hazard,
  NEEDS,
  type Need,
  type Relation,
  type ScopeStep,
  type Setting,
  type Statement,
  type StatementClass,
  type TransactionStep,
} from './statement.ts'
import { type WhereStrength, weaker } from './where.ts'

/** Collects what the walk over one statement finds. Sets keep the order of discovery. */
export class Facts {
  kind = ''
  /** What the statement is when it needs nothing. */
  idle: 'session' | 'transaction' = 'session'
  where: WhereStrength = 'none'
  transaction: TransactionStep | undefined
  chain = false
  readonly kinds = new Set<string>()
  readonly needs = new Set<Need>()
  readonly objects = new Set<string>()
  readonly hazards = new Set<Hazard>()
  readonly notUnderstood = new Set<string>()
  readonly functions = new Set<string>()
  readonly actingFunctions = new Set<string>()
  readonly unknownFunctions = new Set<string>()
  readonly executes = new Set<string>()
  readonly fetches = new Set<string>()
  readonly scope: ScopeStep[] = []
  readonly settings: Setting[] = []
  readonly #relations = new Map<string, Relation>()

  /** Starts from a finished statement, to add to it. */
  static from(statement: Statement): Facts {
    const facts = new Facts()
    facts.kind = statement.kind
    facts.idle = statement.transaction === undefined ? 'session' : 'transaction'
    facts.transaction = statement.transaction
    facts.chain = statement.chain
    facts.scope.push(...statement.scope)
    for (const name of statement.executes) facts.executes.add(name)
    for (const name of statement.fetches) facts.fetches.add(name)
    facts.absorb(statement)
    return facts
  }

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

  /** Notes the strength of the condition of an UPDATE, DELETE or the like. */
  weaken(where: WhereStrength): void {
    this.where = weaker(this.where, where)
  }

  /** Adds all that another statement does, except what it does to the session's names. */
  absorb(statement: Statement): void {
    for (const kind of statement.kinds) this.kinds.add(kind)
    for (const need of statement.needs) this.needs.add(need)
    for (const hazard of statement.hazards) this.hazards.add(hazard)
    for (const object of statement.objects) this.objects.add(object)
    for (const what of statement.notUnderstood) this.notUnderstood.add(what)
    for (const name of statement.functions) this.functions.add(name)
    for (const name of statement.actingFunctions) this.actingFunctions.add(name)
    for (const name of statement.unknownFunctions) this.unknownFunctions.add(name)
    for (const relation of statement.relations) {
      this.relation(relation.schema, relation.name, relation.access)
    }
    this.settings.push(...statement.settings)
    this.weaken(statement.where)
  }

  /** Makes the statement. */
  finish(text: string, fingerprint: string): Statement {
    const needs = NEEDS.filter(need => this.needs.has(need))
    const strongest: StatementClass = needs.at(-1) ?? this.idle
    return {
      text,
      kind: this.kind,
      class: strongest,
      needs,
      kinds: [...this.kinds],
      objects: [...this.objects],
      relations: [...this.#relations.values()],
      functions: [...this.functions],
      actingFunctions: [...this.actingFunctions],
      unknownFunctions: [...this.unknownFunctions],
      where: this.where,
      hazards: [...this.hazards],
      notUnderstood: [...this.notUnderstood],
      fingerprint,
      transaction: this.transaction,
      chain: this.chain,
      scope: this.scope.map(step =>
        'statement' in step
          ? { ...step, statement: { ...step.statement, text, fingerprint } }
          : step,
      ),
      executes: [...this.executes],
      fetches: [...this.fetches],
      settings: this.settings,
    }
  }
}
