import { DbgateError } from '../errors.ts'
import type { Command, Name } from './raw.ts'

export type CatalogFunction = Name & {
  readonly schema: string
  readonly oid: number
  readonly kind: 'f' | 'p' | 'a' | 'w'
  readonly language: string
  readonly isVolatile: boolean
  /** CREATE FUNCTION for a body that can be read, else undefined. */
  readonly definition: string | undefined
  /** The name of the C function behind one in `c` or `internal`. */
  readonly source: string
  /** Its own SET search_path, if it has one; `anywhere` where that depends on who calls. */
  readonly searchPath: readonly string[] | 'anywhere' | undefined
  /** For an aggregate: the functions it is made of. */
  readonly parts: readonly Name[]
}

export type CatalogTrigger = {
  readonly commands: readonly Command[]
  readonly function: Name & { readonly oid: number }
}

export type CatalogExpression = {
  readonly commands: readonly Command[]
  readonly text: string
  /** The number of the column that it fills; undefined for what only checks or finds. */
  readonly column: number | undefined
}

export type CatalogForeignKey = {
  readonly relation: number
  readonly columns: readonly string[]
  readonly keys: readonly string[]
  readonly onDelete: string
  readonly onUpdate: string
}

/** A column as pg_attribute has it; `number` is attnum. */
export type CatalogColumn = {
  readonly number: number
  readonly name: string
  readonly typeOid: number
  readonly typeModifier: number
  /** The expression of a generated column. */
  readonly generated: string | undefined
  readonly comment: string | undefined
  readonly notNull: boolean
}

/** One of PostgreSQL's own relations: what its columns are called, and the types of them. */
export type SystemRelation = Name & {
  readonly schema: string
  readonly oid: number
  readonly columns: readonly CatalogColumn[]
}

export type CatalogRelation = Name & {
  readonly schema: string
  readonly oid: number
  readonly kind: string
  /** In the order of their numbers, without dropped ones. */
  readonly columns: CatalogColumn[]
  /** The query of a view or materialized view. */
  readonly definition: string | undefined
  readonly notNull: Set<string>
  /**
   * Expressions that a command evaluates: defaults, generated columns, checks, indexes, policies.
   */
  readonly expressions: CatalogExpression[]
  readonly types: Name[]
  readonly triggers: CatalogTrigger[]
  readonly rules: { readonly command: Command; readonly definition: string }[]
  readonly parents: number[]
  readonly children: number[]
  /** Foreign keys of other relations that point here. */
  readonly referencedBy: CatalogForeignKey[]
}

export type CatalogType = Name & { readonly checks: readonly string[]; readonly base: Name }

/** What the gate knows of a database's schema: a value, whose identity is its version. */
export type Catalog = {
  /** The search path a session starts with, as current_schemas(true) gives it. */
  readonly path: readonly string[]
  readonly relations: ReadonlyMap<number, CatalogRelation>
  readonly relationsNamed: ReadonlyMap<string, readonly CatalogRelation[]>
  /** Those of pg_catalog and information_schema, which are none of `relations`. */
  readonly systemRelations: ReadonlyMap<string, readonly SystemRelation[]>
  /** Columns of PostgreSQL's own functions that give rows of more than one. */
  readonly systemRows: ReadonlyMap<string, readonly string[]>
  readonly functions: ReadonlyMap<number, CatalogFunction>
  readonly functionsNamed: ReadonlyMap<string, readonly CatalogFunction[]>
  /** Functions of one row, which `x.f` can call. */
  readonly rowFunctions: ReadonlySet<string>
  readonly operatorsNamed: ReadonlyMap<string, readonly (Name & { readonly function: Name })[]>
  readonly domainsNamed: ReadonlyMap<string, readonly CatalogType[]>
  readonly castsTo: ReadonlyMap<string, readonly Name[]>
  /** Functions of casts that happen without being written. */
  readonly implicitCasts: readonly Name[]
  /** Changing the schema runs code. */
  readonly hasEventTriggers: boolean
}

export type CatalogPart =
  | 'session'
  | 'relations'
  | 'columns'
  | 'expressions'
  | 'triggers'
  | 'rules'
  | 'inherits'
  | 'foreignKeys'
  | 'functions'
  | 'operators'
  | 'domains'
  | 'casts'
  | 'systemRelations'
  | 'systemRows'

/** Each part's rows, each row the JSON text of its query's one column. */
export type CatalogRows = ReadonlyMap<CatalogPart, readonly string[]>

type Row = Readonly<Record<string, unknown>>

const text = (row: Row, key: string): string => String(row[key] ?? '')
const optional = (row: Row, key: string): string | undefined =>
  typeof row[key] === 'string' ? row[key] : undefined
const number = (row: Row, key: string): number => Number(row[key])
const list = (row: Row, key: string): unknown[] => {
  const value = row[key]
  return Array.isArray(value) ? value : []
}
const texts = (row: Row, key: string): string[] => list(row, key).map(String)

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null
}

/** Shape: `[schema, name]`. */
function nameOf(value: unknown): Name {
  if (!Array.isArray(value)) throw new TypeError('not a name')
  return { schema: String(value[0]), name: String(value[1]) }
}

function isCommand(value: unknown): value is Command {
  return COMMANDS.has(String(value))
}

const COMMANDS = new Set(['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'])

const commands = (row: Row, key: string): Command[] => list(row, key).filter(isCommand)

/**
 * Builds a catalog from the rows of CATALOG_QUERIES.
 *
 * Throws: INTERNAL (XX000) when the rows are not what those queries give.
 */
export function buildCatalog(rows: CatalogRows): Catalog {
  try {
    return build(rows)
  } catch (thrown) {
    throw new DbgateError('INTERNAL', 'catalog could not be read', { cause: thrown })
  }
}

function build(rows: CatalogRows): Catalog {
  const read = (part: CatalogPart): Row[] =>
    partOf(rows, part).map(row => {
      const value: unknown = JSON.parse(row)
      if (!isRow(value)) throw new TypeError(`a row of ${part}`)
      return value
    })
  const [session] = read('session')
  if (session === undefined) throw new TypeError('no session')
  const relations = buildRelations(read)
  const functions = read('functions').map(buildFunction)
  const casts = read('casts').map(row => ({ row, function: nameOf(row.function) }))
  return {
    path: texts(session, 'path'),
    hasEventTriggers: session.hasEventTriggers === true,
    relations,
    relationsNamed: groupByName([...relations.values()]),
    systemRelations: groupByName(read('systemRelations').map(buildSystemRelation)),
    systemRows: new Map(read('systemRows').map(row => [text(row, 'name'), texts(row, 'columns')])),
    functions: new Map(functions.map(entry => [entry.oid, entry])),
    functionsNamed: groupByName(functions),
    rowFunctions: new Set(
      read('functions')
        .filter(row => row.takesRow === true)
        .map(row => text(row, 'name')),
    ),
    operatorsNamed: groupByName(
      read('operators').map(row => ({
        schema: text(row, 'schema'),
        name: text(row, 'name'),
        function: nameOf(row.function),
      })),
    ),
    domainsNamed: groupByName(
      read('domains').map(row => ({
        schema: text(row, 'schema'),
        name: text(row, 'name'),
        checks: texts(row, 'checks'),
        base: nameOf(row.base),
      })),
    ),
    castsTo: new Map(
      [...Map.groupBy(casts, cast => text(cast.row, 'target'))].map(([target, found]) => [
        target,
        found.map(cast => cast.function),
      ]),
    ),
    implicitCasts: casts
      .filter(cast => text(cast.row, 'context') !== 'e')
      .map(cast => cast.function),
  }
}

/**
 * A part that was not loaded is not an empty one: then nothing would be known of it, and all would
 * seem well.
 */
function partOf(rows: CatalogRows, part: CatalogPart): readonly string[] {
  const found = rows.get(part)
  if (found === undefined) throw new TypeError(`${part} is missing`)
  return found
}

function groupByName<T extends Name>(items: readonly T[]): ReadonlyMap<string, readonly T[]> {
  return Map.groupBy(items, item => item.name)
}

function buildFunction(row: Row): CatalogFunction {
  const kind = text(row, 'kind')
  if (kind !== 'f' && kind !== 'p' && kind !== 'a' && kind !== 'w') throw new TypeError(kind)
  return {
    oid: number(row, 'oid'),
    schema: text(row, 'schema'),
    name: text(row, 'name'),
    kind,
    language: text(row, 'language'),
    isVolatile: text(row, 'volatility') === 'v',
    definition: optional(row, 'definition'),
    source: text(row, 'source'),
    searchPath: row.searchPath === null ? undefined : pathOf(text(row, 'searchPath')),
    parts: list(row, 'parts').map(nameOf),
  }
}

/** Reads the value of search_path: names separated by commas, quoted where they need to be. */
function pathOf(value: string): string[] | 'anywhere' {
  const schemas = [...value.matchAll(/"((?:[^"]|"")*)"|([^",\s]+)/g)].map(
    match => match[1]?.replaceAll('""', '"') ?? (match[2] ?? '').toLowerCase(),
  )
  return schemas.includes('$user') ? 'anywhere' : schemas
}

function buildRelations(read: (part: CatalogPart) => Row[]): ReadonlyMap<number, CatalogRelation> {
  const relations = new Map(
    read('relations').map(row => [number(row, 'oid'), buildRelation(row)] as const),
  )
  /**
   * Rows of relations that are left out, such as temporary ones of other sessions, are left out
   * too.
   */
  const each = (part: CatalogPart, add: (relation: CatalogRelation, row: Row) => void): void => {
    for (const row of read(part)) {
      const relation = relations.get(number(row, 'relation'))
      if (relation !== undefined) add(relation, row)
    }
  }
  each('columns', (relation, row) => {
    if (row.notNull === true) relation.notNull.add(text(row, 'name'))
    if (row.type !== null) relation.types.push(nameOf(row.type))
    relation.columns.push({
      number: number(row, 'number'),
      name: text(row, 'name'),
      typeOid: number(row, 'typeOid'),
      typeModifier: number(row, 'typeModifier'),
      generated: optional(row, 'generated'),
      comment: optional(row, 'comment'),
      notNull: row.notNull === true,
    })
  })
  each('expressions', (relation, row) => {
    relation.expressions.push({
      commands: commands(row, 'commands'),
      text: text(row, 'text'),
      column: typeof row.column === 'number' ? row.column : undefined,
    })
  })
  each('triggers', (relation, row) => {
    const called = { ...nameOf(row.function), oid: number(row, 'functionOid') }
    relation.triggers.push({ commands: commands(row, 'commands'), function: called })
  })
  each('rules', (relation, row) => {
    const [command] = commands(row, 'commands')
    if (command === undefined) throw new TypeError('a rule without a command')
    relation.rules.push({ command, definition: text(row, 'definition') })
  })
  each('inherits', (relation, row) => {
    relation.parents.push(number(row, 'parent'))
    relations.get(number(row, 'parent'))?.children.push(relation.oid)
  })
  each('foreignKeys', (relation, row) => {
    relations.get(number(row, 'referenced'))?.referencedBy.push({
      relation: relation.oid,
      columns: texts(row, 'columns'),
      keys: texts(row, 'keys'),
      onDelete: text(row, 'onDelete'),
      onUpdate: text(row, 'onUpdate'),
    })
  })
  return relations
}

/** Shape: columns as [number, name, typeOid, typeModifier]. */
function buildSystemRelation(row: Row): SystemRelation {
  return {
    oid: number(row, 'oid'),
    schema: text(row, 'schema'),
    name: text(row, 'name'),
    columns: list(row, 'columns').map(column => {
      if (!Array.isArray(column)) throw new TypeError('not a column')
      return {
        number: Number(column[0]),
        name: String(column[1]),
        typeOid: Number(column[2]),
        typeModifier: Number(column[3]),
        generated: undefined,
        comment: undefined,
        notNull: false,
      }
    }),
  }
}

function buildRelation(row: Row): CatalogRelation {
  return {
    oid: number(row, 'oid'),
    schema: text(row, 'schema'),
    name: text(row, 'name'),
    kind: text(row, 'kind'),
    columns: [],
    definition: optional(row, 'definition'),
    notNull: new Set(),
    expressions: [],
    types: [],
    triggers: [],
    rules: [],
    parents: [],
    children: [],
    referencedBy: [],
  }
}
