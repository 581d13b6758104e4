import type { Node } from 'libpg-query'
import type { Catalog } from './catalog.ts'
import type { CatalogLookup } from './catalog-lookup.ts'
import { traceFunction } from './lineage-calls.ts'
import { evaluate } from './lineage-expression.ts'
import { traceQuery, traceSelect } from './lineage-query.ts'
import { starOf } from './lineage-references.ts'
import { innerOf, traceStatement } from './lineage-statement.ts'
import { OriginTable, type Shared, Trace, TraceLimit, type Tracers } from './lineage-trace.ts'
import { type Lineage, type LineageColumn, type Stored, unknownLineage } from './lineage-types.ts'
import type { Column } from './lineage-value.ts'
import type { Scope } from './scope.ts'
import type { Statement } from './statement.ts'
import { ParserMissing } from './stored.ts'

/** Larger texts are not worked out: it would hold up everybody else. */
const MAX_TEXT_LENGTH = 128 * 1024

const TRACERS: Tracers = {
  evaluate,
  star: starOf,
  query: traceQuery,
  select: traceSelect,
  statement: traceStatement,
}

type Known = {
  readonly catalog: Catalog
  readonly searchPath: Scope['searchPath']
  readonly scope: Scope
  readonly lineage: Lineage
}

export type LineageSources = {
  /** Parses a text; undefined when it can't be. Throws ParserMissing when there is no parser at the moment. */
  readonly parse: (text: string) => readonly Node[] | undefined
  readonly lookup: (catalog: Catalog, scope: Scope) => CatalogLookup
}

/** Works out lineages, each once for a statement and a catalog. */
export class Lineages {
  readonly #sources: LineageSources
  readonly #known = new WeakMap<Statement, Known>()
  readonly #shared = new WeakMap<Catalog, Map<Scope['searchPath'], Shared>>()

  constructor(sources: LineageSources) {
    this.#sources = sources
  }

  /** Returns the lineage; of what is not understood, one that says so. */
  of(statement: Statement, scope: Scope, catalog: Catalog): Lineage {
    const { searchPath } = scope
    const isScoped =
      statement.executes.length > 0 ||
      statement.fetches.length > 0 ||
      statement.unknownRelations.length > 0
    const known = this.#known.get(statement)
    if (known?.catalog === catalog && known.searchPath === searchPath) {
      // Only what names prepared statements or cursors depends on more of the session than its path.
      if (!isScoped || known.scope === scope) return known.lineage
    }
    if (statement.text.length > MAX_TEXT_LENGTH) {
      return unknownLineage(`a statement of more than ${MAX_TEXT_LENGTH} characters`)
    }
    try {
      const lineage = this.#trace(statement, scope, this.#share(catalog, scope))
      this.#keep(statement, catalog, scope, lineage)
      return lineage
    } catch (thrown) {
      const lineage = unknownLineage(reasonOf(thrown))
      // What breaks a parser or a stack would do so again.
      if (!(thrown instanceof ParserMissing)) this.#keep(statement, catalog, scope, lineage)
      return lineage
    }
  }

  #keep(statement: Statement, catalog: Catalog, scope: Scope, lineage: Lineage): void {
    this.#known.set(statement, { catalog, searchPath: scope.searchPath, scope, lineage })
  }

  #share(catalog: Catalog, scope: Scope): Shared {
    const known = this.#shared.get(catalog) ?? new Map<Scope['searchPath'], Shared>()
    this.#shared.set(catalog, known)
    const shared = known.get(scope.searchPath)
    if (shared !== undefined) return shared
    const made: Shared = {
      tracers: TRACERS,
      catalog,
      parse: this.#sources.parse,
      lookup: this.#sources.lookup(catalog, scope),
      running: scope.searchPath === 'moved' ? undefined : catalog.path,
      origins: new OriginTable(),
      tables: new Map(),
      known: new Map(),
      open: new Set(),
    }
    known.set(scope.searchPath, made)
    return made
  }

  #trace(statement: Statement, scope: Scope, shared: Shared): Lineage {
    const nodes = shared.parse(statement.text)
    const [node] = nodes ?? []
    if (node === undefined || nodes?.length !== 1) return unknownLineage('the text')
    const text = Buffer.from(statement.text)
    const trace = new Trace(shared, shared.running, text, scope, statement)
    const columns = trace.statement(innerOf(node, statement), undefined)
    noteAmbient(trace)
    for (const why of statement.notUnderstood) trace.refuse(why)
    noteRelations(statement, trace)
    return lineageOf(columns, trace)
  }
}

function reasonOf(thrown: unknown): string {
  if (thrown instanceof ParserMissing) return 'there is no parser at the moment'
  if (thrown instanceof TraceLimit || thrown instanceof RangeError)
    return 'a statement this large or deep'
  return 'the statement could not be traced'
}

/** Casts that happen without being written: a function that shows something can be in any statement. */
function noteAmbient(trace: Trace): void {
  for (const cast of trace.catalog.implicitCasts) {
    if (traceFunction(cast, [], trace).from.size > 0) trace.refuse(`the cast ${cast.name}()`)
  }
}

/** What triggers, rules and cascades touch has been found when the statement was judged. */
function noteRelations(statement: Statement, trace: Trace): void {
  for (const { schema, name } of statement.relations) {
    for (const relation of trace.catalog.relationsNamed.get(name) ?? []) {
      if (relation.schema === schema) trace.relations.add(relation.oid)
    }
  }
}

function lineageOf(columns: readonly Column[] | undefined, trace: Trace): Lineage {
  return {
    columns: columns?.map(columnOf),
    uses: trace.uses,
    stored: distinct(trace.stored),
    literals: [...trace.literals.values()],
    relations: [...trace.relations],
    statistics: [...trace.statistics],
    runsCode: trace.runsCode,
    isExplain: trace.isExplain,
    unknown: [...trace.unknown],
  }
}

function columnOf({ name, value }: Column): LineageColumn {
  const flow = value.flow === 'constant' || value.flow === 'null' ? 'derived' : value.flow
  return {
    name,
    from: [...value.from],
    flow,
    reported: value.reported,
    type: flow === 'same' ? value.type : undefined,
  }
}

/** Recursion reads some parts more than once. */
function distinct(stored: readonly Stored[]): readonly Stored[] {
  const found = new Map<string, Stored>()
  for (const entry of stored) {
    const from = entry.from.map(({ relation, column }) => `${relation}.${column}`).join(' ')
    const target =
      entry.target === undefined ? '' : `${entry.target.relation}.${entry.target.column}`
    found.set(`${entry.where}\0${target}\0${from}`, entry)
  }
  return [...found.values()]
}
