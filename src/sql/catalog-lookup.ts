import type { Catalog, CatalogFunction, CatalogRelation } from './catalog.ts'
import { conclude } from './conclude.ts'
import { Effects, NOTHING, refused } from './effects.ts'
import type { Facts } from './facts.ts'
import {
  builtinEffect,
  isBuiltinName,
  isBuiltinOperator,
  isHarmlessExtension,
} from './functions.ts'
import {
  isSystemRelation,
  type Lookup,
  noteCall,
  noteSystemRelation,
  noteUnknownOperator,
  spelled,
} from './lookup.ts'
import type { Command, Name, NotNullCondition, Use } from './raw.ts'
import type { StoredTexts } from './read.ts'
import type { Statement } from './statement.ts'

/**
 * Schemas in order; undefined when the session may have moved its path: then every schema counts.
 */
export type SearchPath = readonly string[] | undefined

/**
 * In texts that the database writes for us every name that is not PostgreSQL's own is qualified.
 */
const QUALIFIED: SearchPath = []

type Shared = {
  readonly catalog: Catalog
  readonly texts: StoredTexts
  readonly effects: Effects
  readonly members: Map<string, CatalogLookup>
}

/**
 * What names stand for in one database: views are read through, functions and triggers by their
 * bodies, rules by their actions, tables with their parents, children and cascades.
 *
 * Everything is worked out when it is first asked for and kept for as long as the catalog. What
 * refers to itself adds nothing the second time round.
 */
export class CatalogLookup implements Lookup {
  /** Where names without a schema are looked for in the text at hand. */
  readonly #path: SearchPath
  /** The path in force while it runs: what bodies of functions see, whatever text calls them. */
  readonly #running: SearchPath
  readonly #shared: Shared
  readonly #catalog: Catalog

  private constructor(path: SearchPath, running: SearchPath, shared: Shared) {
    this.#path = path
    this.#running = running
    this.#shared = shared
    this.#catalog = shared.catalog
  }

  /** Opens a catalog, as a session with that search path sees it. */
  static open(catalog: Catalog, path: SearchPath, texts: StoredTexts): CatalogLookup {
    const members = new Map<string, CatalogLookup>()
    const shared = { catalog, texts, effects: new Effects(), members }
    return new CatalogLookup(path, path, shared)
  }

  /** The same catalog as a session with another search path sees it. */
  along(path: SearchPath): CatalogLookup {
    return this.#member(path, path)
  }

  /** The same session, for a text that PostgreSQL wrote. */
  #qualified(): CatalogLookup {
    return this.#member(QUALIFIED, this.#running)
  }

  #member(path: SearchPath, running: SearchPath): CatalogLookup {
    const key = `${keyOf(path)} ${keyOf(running)}`
    const known = this.#shared.members.get(key)
    const member = known ?? new CatalogLookup(path, running, this.#shared)
    if (known === undefined) this.#shared.members.set(key, member)
    return member
  }

  call(name: Name, facts: Facts): void {
    const candidates = this.#all(this.#catalog.functionsNamed, name)
    // PostgreSQL picks by argument types, and a user's function can fit better than a built-in one
    // of the same name.
    if (candidates.length === 0 || isBuiltinName(name)) noteCall(name, facts)
    for (const candidate of candidates) this.#noteFunction(candidate, facts)
  }

  operator(name: Name, facts: Facts): void {
    const candidates = this.#all(this.#catalog.operatorsNamed, name)
    for (const candidate of candidates) this.call(candidate.function, facts)
    if (candidates.length > 0 || isBuiltinOperator(name.schema, name.name)) return
    noteUnknownOperator(name, facts)
  }

  type(name: Name, facts: Facts): void {
    for (const domain of this.#all(this.#catalog.domainsNamed, name)) {
      for (const check of domain.checks) facts.absorb(this.#expression(check))
      this.type(domain.base, facts)
    }
    for (const cast of this.#catalog.castsTo.get(name.name) ?? []) this.call(cast, facts)
  }

  attribute(name: string, facts: Facts): void {
    if (this.#catalog.rowFunctions.has(name)) this.call({ schema: undefined, name }, facts)
  }

  ambient(facts: Facts): void {
    for (const name of this.#catalog.implicitCasts) this.call(name, facts)
  }

  isTrivial({ relation, columns }: NotNullCondition): boolean {
    return this.#relationsOf(relation).some(found =>
      columns.every(column => found.notNull.has(column)),
    )
  }

  use(use: Use, facts: Facts): void {
    const found = this.#relationsOf(use)
    if (found.length === 0) {
      facts.relation(use.schema, use.name, use.access)
      noteSystemRelation(use, facts)
      const isRows = use.access === 'read' || use.access === 'write'
      if (isRows && !isSystemRelation(use)) facts.unknownRelations.add(spelled(use))
    }
    for (const relation of found) {
      this.#noteRelation(relation, use, facts)
      if (use.command === 'UPDATE') this.#cascadeUpdate(relation, use.columns, facts, new Set())
    }
  }

  /**
   * Every entry a name may mean. A name without a schema means those on the path, or all where the
   * path is not known.
   */
  #all<T extends Name>(named: ReadonlyMap<string, readonly T[]>, name: Name): readonly T[] {
    const entries = named.get(name.name) ?? []
    if (name.schema !== undefined) return entries.filter(entry => entry.schema === name.schema)
    if (this.#path === undefined) return entries
    const path = this.#path
    return entries.filter(entry => path.includes(entry.schema ?? ''))
  }

  /** Relations have no overloads: the first on the path is meant. */
  #relationsOf(name: Name): readonly CatalogRelation[] {
    const entries = this.#all(this.#catalog.relationsNamed, name)
    if (name.schema !== undefined || this.#path === undefined || entries.length < 2) return entries
    const first = this.#path.find(schema => entries.some(entry => entry.schema === schema))
    return entries.filter(entry => entry.schema === first)
  }

  #noteFunction(called: CatalogFunction, facts: Facts): void {
    const effect = this.#functionEffect(called)
    const name = spelled(called)
    facts.functions.add(name)
    if (effect.needs.some(need => need !== 'read') || effect.hazards.length > 0) {
      facts.actingFunctions.add(name)
    }
    facts.absorb(effect)
  }

  #functionEffect(called: CatalogFunction): Statement {
    return this.#once(`function ${called.oid}`, facts => {
      if (called.kind === 'a') for (const part of called.parts) this.call(part, facts)
      else if (called.definition !== undefined) this.#noteBody(called, called.definition, facts)
      else noteOpaque(called, facts)
    })
  }

  #once(what: string, note: (facts: Facts) => void): Statement {
    return this.#shared.effects.once(`${keyOf(this.#running)} ${what}`, note)
  }

  #noteBody(called: CatalogFunction, definition: string, facts: Facts): void {
    const raw = this.#shared.texts.functionBody(definition)
    const path = called.searchPath ?? this.#running
    const lookup = this.along(path === 'anywhere' ? undefined : path)
    if (raw === undefined) facts.need('write', 'code')
    else facts.absorb(conclude(raw, lookup))
  }

  /** A relation, and what else is read or written with it. */
  #noteRelation(relation: CatalogRelation, use: Use, facts: Facts): void {
    const family = [...this.#kin(relation, 'parents')]
    if (!use.isOnly) family.push(...this.#kin(relation, 'children'))
    for (const { schema, name } of [relation, ...family]) facts.relation(schema, name, use.access)
    // Locking a view locks what it reads.
    const command = use.access === 'lock' ? 'SELECT' : use.command
    for (const member of [relation, ...(use.isOnly ? [] : this.#kin(relation, 'children'))]) {
      facts.absorb(this.#relationEffect(member, command))
    }
  }

  /** Parents or children to any depth. Rows of a child are rows of its parents. */
  #kin(relation: CatalogRelation, direction: 'parents' | 'children'): Set<CatalogRelation> {
    const found = new Set<CatalogRelation>()
    const pending = [...relation[direction]]
    for (let oid = pending.pop(); oid !== undefined; oid = pending.pop()) {
      const member = this.#catalog.relations.get(oid)
      if (member === undefined || found.has(member)) continue
      found.add(member)
      pending.push(...member[direction])
    }
    return found
  }

  #relationEffect(relation: CatalogRelation, command: Command): Statement {
    if (command === 'NONE') return NOTHING
    return this.#once(`${command} ${relation.oid}`, facts => {
      this.#noteCommand(relation, command, facts)
    })
  }

  #noteCommand(relation: CatalogRelation, command: Command, facts: Facts): void {
    const event = command === 'COPY' ? 'INSERT' : command
    if (relation.definition !== undefined) this.#noteView(relation.definition, event, facts)
    for (const { commands, text } of relation.expressions) {
      if (commands.includes(event)) facts.absorb(this.#expression(text))
    }
    if (event === 'INSERT' || event === 'UPDATE') {
      for (const type of relation.types) this.#qualified().type(type, facts)
    }
    this.#noteTriggers(relation, event, facts)
    // COPY passes rules by.
    for (const rule of relation.rules) {
      if (rule.command === command) facts.absorb(this.#stored(rule.definition))
    }
    if (event === 'DELETE' || event === 'TRUNCATE') this.#cascadeDelete(relation, event, facts)
  }

  /**
   * A view's query is read; changing a view that has no rule or trigger for it changes what it
   * reads.
   */
  #noteView(definition: string, event: Command, facts: Facts): void {
    const raw = this.#shared.texts.statements(definition)
    const lookup = this.#qualified()
    if (raw === undefined) {
      facts.refuse('the definition of a view')
      return
    }
    facts.absorb(conclude(raw, lookup))
    if (event === 'SELECT') return
    for (const use of raw.uses) {
      if (use.access === 'read') lookup.use({ ...use, access: 'write', command: event }, facts)
    }
  }

  #noteTriggers(relation: CatalogRelation, event: Command, facts: Facts): void {
    for (const trigger of relation.triggers) {
      if (!trigger.commands.includes(event)) continue
      const called = this.#catalog.functions.get(trigger.function.oid)
      if (called !== undefined) this.#noteFunction(called, facts)
      else if (trigger.function.schema !== 'pg_catalog') noteCall(trigger.function, facts)
    }
  }

  #cascadeDelete(relation: CatalogRelation, event: 'DELETE' | 'TRUNCATE', facts: Facts): void {
    for (const { relation: oid, columns, onDelete } of relation.referencedBy) {
      const other = this.#catalog.relations.get(oid)
      // TRUNCATE takes referencing tables along or fails.
      const command = event === 'TRUNCATE' ? event : CASCADES[onDelete]
      if (other !== undefined && command !== undefined) {
        this.#qualified().use(writeOf(other, command, columns), facts)
      }
    }
  }

  #cascadeUpdate(
    relation: CatalogRelation,
    updated: readonly string[],
    facts: Facts,
    seen: Set<number>,
  ): void {
    if (seen.has(relation.oid)) return
    seen.add(relation.oid)
    for (const { relation: oid, columns, keys, onUpdate } of relation.referencedBy) {
      const other = this.#catalog.relations.get(oid)
      if (other === undefined || CASCADES[onUpdate] === undefined) continue
      if (!keys.some(key => updated.includes(key))) continue
      this.#noteRelation(other, writeOf(other, 'UPDATE', columns), facts)
      this.#cascadeUpdate(other, columns, facts, seen)
    }
  }

  #expression(text: string): Statement {
    const raw = this.#shared.texts.expression(text)
    return raw === undefined ? UNREAD : conclude(raw, this.#qualified())
  }

  #stored(text: string): Statement {
    const raw = this.#shared.texts.statements(text)
    return raw === undefined ? UNREAD : withoutDefinition(conclude(raw, this.#qualified()))
  }
}

/**
 * What a foreign key does to the rows that refer: cascade, set null, set default. Source:
 * catalog/pg_constraint.h.
 */
const CASCADES: Readonly<Record<string, Command>> = { c: 'DELETE', n: 'UPDATE', d: 'UPDATE' }

/** A text of the database's own making that our parser does not take. */
const UNREAD: Statement = refused('a definition in the database')

function keyOf(path: SearchPath): string {
  return path === undefined ? '' : JSON.stringify(path)
}

function writeOf(relation: CatalogRelation, command: Command, columns: readonly string[]): Use {
  const { schema, name } = relation
  return { schema, name, access: 'write', command, columns, isOnly: false }
}

/** A rule's actions without the CREATE RULE around them. */
function withoutDefinition(statement: Statement): Statement {
  return {
    ...statement,
    kinds: statement.kinds.filter(kind => kind !== 'CREATE'),
    needs: statement.needs.filter(need => need !== 'ddl'),
    objects: [],
    relations: statement.relations.filter(({ access }) => access !== 'schema'),
  }
}

/**
 * Code that can't be read. An extension's C function that says it is not volatile is believed:
 * installing it took a superuser. Other languages can do anything whatever they say.
 */
function noteOpaque(called: CatalogFunction, facts: Facts): void {
  const named = builtinEffect(undefined, called.name)
  if (named.known && named.need === 'admin') facts.need(named.need, named.hazard)
  else if (called.language === 'internal') {
    const behind = builtinEffect('pg_catalog', called.source)
    facts.need(behind.need, behind.hazard)
  } else if (called.language !== 'c') facts.need('write', 'code')
  else if (called.isVolatile && !isHarmlessExtension(called.name)) facts.need('write')
}
