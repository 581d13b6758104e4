import type { Node, SelectStmt } from 'libpg-query'
import type { Catalog, CatalogRelation } from './catalog.ts'
import type { CatalogLookup, SearchPath } from './catalog-lookup.ts'
import type { Level } from './lineage-names.ts'
import type { ColumnUse, LineageLiteral, Origin, Stored, UsePlace } from './lineage-types.ts'
import { type Column, NO_ORIGINS, type Origins, unionOf, type Value } from './lineage-value.ts'
import type { Scope } from './scope.ts'
import type { Statement } from './statement.ts'

/** What was found out about one text: a view's, a function's, or a statement's. */
export type Traced = {
  readonly columns: readonly Column[] | undefined
  readonly uses: Iterable<ColumnUse>
  readonly stored: readonly Stored[]
  readonly relations: Iterable<number>
  readonly statistics: Iterable<string>
  readonly runsCode: boolean
  readonly unknown: Iterable<string>
}

/** How each kind of node is read; handed in, because they are made of each other. */
export type Tracers = {
  readonly evaluate: (node: Node, level: Level, trace: Trace) => Value
  readonly star: (node: Node, level: Level, trace: Trace) => readonly Column[] | undefined
  readonly query: (node: Node, outer: Level | undefined, trace: Trace) => readonly Column[]
  readonly select: (
    select: SelectStmt,
    outer: Level | undefined,
    trace: Trace,
    onFirst?: (columns: readonly Column[]) => void,
  ) => readonly Column[]
  readonly statement: (
    node: Node,
    level: Level | undefined,
    trace: Trace,
  ) => readonly Column[] | undefined
}

/** What all texts of one catalog share. */
export type Shared = {
  readonly tracers: Tracers
  readonly catalog: Catalog
  /** Parses a text; undefined when it can't be. */
  readonly parse: (text: string) => readonly Node[] | undefined
  readonly lookup: CatalogLookup
  /** The search path that code runs with, unless it sets its own. */
  readonly running: SearchPath
  readonly origins: OriginTable
  /** The columns of tables. */
  readonly tables: Map<CatalogRelation, readonly Column[]>
  /** Views and functions that have been read, by oid and path. */
  readonly known: Map<string, Traced>
  readonly open: Set<string>
}

/** One object for each column, so that sets of them can be compared and joined. */
export class OriginTable {
  readonly #known = new Map<number, Map<number, Origin>>()

  of(relation: number, column: number): Origin {
    let columns = this.#known.get(relation)
    if (columns === undefined) {
      columns = new Map()
      this.#known.set(relation, columns)
    }
    const known = columns.get(column)
    if (known !== undefined) return known
    const origin = { relation, column }
    columns.set(column, origin)
    return origin
  }
}

/** More nodes than this, or deeper, and a statement is not understood. */
const MAX_STEPS = 300_000
const MAX_DEPTH = 400

/** Thrown where there is no point in looking on. */
export class TraceLimit extends Error {
  override readonly name = 'TraceLimit'
}

/** Collects what is found on the way through one text. */
export class Trace {
  readonly shared: Shared
  /** Where names without a schema are looked for; undefined: everywhere. */
  readonly path: SearchPath
  readonly scope: Scope | undefined
  /** What the statement was judged to do, where the text is one that was sent. */
  readonly judged: Statement | undefined
  /** Literals of texts that the client did not send have no place in its text. */
  readonly isOwnText: boolean
  readonly text: Buffer | undefined
  readonly stored: Stored[] = []
  readonly literals = new Map<string, LineageLiteral>()
  readonly relations = new Set<number>()
  readonly statistics = new Set<string>()
  readonly unknown = new Set<string>()
  /** Names that sub-selects have as outputs, for naming columns. */
  readonly names = new WeakMap<object, string>()
  runsCode = false
  isExplain = false
  readonly #uses = new Map<Origin, Map<string, ColumnUse>>()
  #control = new Set<Origin>()
  #steps = 0
  #depth = 0

  constructor(
    shared: Shared,
    path: SearchPath,
    text?: Buffer,
    scope?: Scope,
    statement?: Statement,
  ) {
    this.shared = shared
    this.path = path
    this.scope = scope
    this.judged = statement
    this.text = text
    this.isOwnText = text !== undefined
  }

  get catalog(): Catalog {
    return this.shared.catalog
  }

  /** Counts the work, so that no text takes forever. */
  step<T>(work: () => T): T {
    this.#steps += 1
    if (this.#steps > MAX_STEPS || this.#depth >= MAX_DEPTH) throw new TraceLimit('too large')
    this.#depth += 1
    try {
      return work()
    } finally {
      this.#depth -= 1
    }
  }

  /** What an expression is worth. */
  evaluate(node: Node, level: Level): Value {
    return this.step(() => this.shared.tracers.evaluate(node, level, this))
  }

  /** All origins of some expressions. */
  originsOf(nodes: readonly Node[] | undefined, level: Level): Origins {
    return nodes === undefined ? NO_ORIGINS : unionOf(nodes.map(node => this.evaluate(node, level)))
  }

  /** What a star in a list of outputs stands for; undefined when the node is no star. */
  star(node: Node, level: Level): readonly Column[] | undefined {
    return this.shared.tracers.star(node, level, this)
  }

  /** What a query, or a change that gives rows, returns. */
  query(node: Node, outer: Level | undefined): readonly Column[] {
    return this.step(() => this.shared.tracers.query(node, outer, this))
  }

  /** What a SELECT returns. `onFirst` gets the columns of the first arm of a set operation before the second is read. */
  select(
    select: SelectStmt,
    outer: Level | undefined,
    onFirst?: (columns: readonly Column[]) => void,
  ): readonly Column[] {
    return this.step(() => this.shared.tracers.select(select, outer, this, onFirst))
  }

  /** What a statement returns. */
  statement(node: Node, level: Level | undefined): readonly Column[] | undefined {
    return this.step(() => this.shared.tracers.statement(node, level, this))
  }

  refuse(why: string): void {
    this.unknown.add(why)
  }

  get uses(): ColumnUse[] {
    return [...this.#uses.values()].flatMap(uses => [...uses.values()])
  }

  decide(origin: Origin, place: UsePlace, isEquality = false, isJoin = false): void {
    this.#control.add(origin)
    let uses = this.#uses.get(origin)
    if (uses === undefined) {
      uses = new Map()
      this.#uses.set(origin, uses)
    }
    const key = `${place} ${isEquality} ${isJoin}`
    if (!uses.has(key)) uses.set(key, { origin, place, isEquality, isJoin })
  }

  decideAll(origins: Origins, place: UsePlace): void {
    for (const origin of origins) this.decide(origin, place)
  }

  /** Notes columns that are computed but may not be looked at: what can fail tells by failing. */
  decideByFailing(columns: readonly Column[]): void {
    for (const { value } of columns) {
      if (value.flow === 'derived' && value.row === undefined) this.decideAll(value.from, 'COLUMN')
    }
  }

  store(target: Origin | undefined, from: Origins, where: string): void {
    this.stored.push({ target, from: [...from], where })
  }

  /** Does something and says which columns decided what came of it. */
  controlled<T>(work: () => T): { readonly result: T; readonly control: Origins } {
    const outer = this.#control
    this.#control = new Set()
    const result = work()
    const control: Origins = this.#control.size === 0 ? NO_ORIGINS : this.#control
    for (const origin of this.#control) outer.add(origin)
    this.#control = outer
    return { result, control }
  }

  /** Adds what another text does, but not what it returns. */
  absorb(traced: Traced): void {
    for (const { origin, place, isEquality, isJoin } of traced.uses) {
      this.decide(origin, place, isEquality, isJoin)
    }
    this.stored.push(...traced.stored)
    for (const relation of traced.relations) this.relations.add(relation)
    for (const what of traced.statistics) this.statistics.add(what)
    for (const why of traced.unknown) this.unknown.add(why)
    if (traced.runsCode) this.runsCode = true
  }

  finish(columns: readonly Column[] | undefined): Traced {
    const { uses, stored, relations, statistics, runsCode, unknown } = this
    return { columns, uses, stored, relations, statistics, runsCode, unknown }
  }

  /**
   * Reads a text of the database once. What refers to itself adds nothing the second time round, and an inner
   * result that left something out is not kept.
   */
  once(
    key: string,
    path: SearchPath,
    read: (trace: Trace) => readonly Column[] | undefined,
  ): Traced {
    const { known, open } = this.shared
    const found = known.get(key)
    if (found !== undefined) return found
    const trace = new Trace(this.shared, path)
    if (open.has(key)) {
      trace.refuse('code that calls itself')
      return trace.finish([])
    }
    open.add(key)
    try {
      const traced = trace.finish(read(trace))
      if (!trace.unknown.has('code that calls itself')) known.set(key, traced)
      return traced
    } finally {
      open.delete(key)
    }
  }
}
