import type { Node, RangeVar, WithClause } from 'libpg-query'
import { builtinEffect } from './functions.ts'
import { GRAMMAR } from './grammar.ts'
import type { PlpgsqlBody } from './plpgsql.ts'
import { type Command, Findings, type RawStatement } from './raw.ts'
import type { Access, Need } from './statement.ts'

/** One field of a node: scalars have no type and are not walked. */
export type Field = { readonly type: string | undefined; readonly isList: boolean }

export type Shape = ReadonlyMap<string, Field>

export const SHAPES = readGrammar(GRAMMAR)

/** Reads the grammar's lines into a shape for each node. */
function readGrammar(text: string): ReadonlyMap<string, Shape> {
  const shapes = new Map<string, Shape>()
  for (const line of text.trim().split('\n')) {
    const [name, ...fields] = line.split(' ')
    const shape = new Map<string, Field>()
    for (const field of fields) {
      const [key = '', type] = field.split(':')
      const isList = type?.endsWith('*') ?? false
      shape.set(key, { type: isList ? type?.slice(0, -1) : type, isList })
    }
    shapes.set(name ?? '', shape)
  }
  return shapes
}

/** Names of the WITH queries visible at a place, innermost first. */
type Ctes = { readonly names: ReadonlySet<string>; readonly outer: Ctes } | undefined

type NodeName = Node extends infer N ? (N extends N ? keyof N : never) : never

type NodeOf<K extends NodeName> = Extract<Node, Record<K, unknown>>[K]

/** What is done at nodes with a meaning of their own; a visitor walks the children itself. */
export type Visitors = { readonly [K in NodeName]?: (node: NodeOf<K>, walk: Walk) => void }

/** What a walk needs from outside. */
export type Surroundings = {
  readonly visitors: Visitors
  /** Parses the body of a function; undefined when it can't be read. */
  readonly parseBody: (text: string) => readonly Node[] | undefined
  /** Reads the statement being walked as a PL/pgSQL function; undefined when it can't be read. */
  readonly parsePlpgsql: () => PlpgsqlBody | undefined
}

type Visit = (node: unknown, walk: Walk) => void

/**
 * Walks a raw parse tree and notes what it does.
 *
 * Every object in the tree must be a node the grammar knows, in a field the grammar knows; anything
 * else is noted as not understood, which needs 'admin'. Nodes with a meaning of their own have a
 * visitor, all others are walked through.
 */
export class Walk {
  readonly found: Findings
  readonly around: Surroundings
  /** How a relation met in a plain field is used: the statement around it decides. */
  access: Access = 'read'
  /** Inside EXPLAIN without ANALYZE nothing is run: tables are read, not changed. */
  isExplained = false
  #ctes: Ctes

  constructor(found: Findings, around: Surroundings) {
    this.found = found
    this.around = around
  }

  /** Walks a node in its wrapper, as in `{"SelectStmt": {…}}`. */
  node(node: unknown): void {
    const [type, ...more] = typeof node === 'object' && node !== null ? Object.keys(node) : []
    if (typeof node !== 'object' || node === null || more.length > 0) this.#odd(node)
    // A list item that is left out is written as {}.
    else if (type !== undefined) this.typed(type, Reflect.get(node, type))
  }

  /** Walks a list of nodes in their wrappers. */
  nodes(nodes: readonly unknown[] | undefined): void {
    if (nodes !== undefined) for (const node of nodes) this.node(node)
  }

  /** Walks a node whose type is known from where it stands. */
  typed(type: string, value: unknown): void {
    // The name comes from the same tree as the value, so that the visitor gets the node it is
    // declared for.
    const visit = Reflect.get(this.around.visitors, type) as Visit | undefined
    if (visit !== undefined) visit(value, this)
    else if (type.endsWith('Stmt')) this.found.refuse(`statement ${type}`)
    else this.children(type, value)
  }

  /** Walks all fields of a node except those the caller has dealt with. */
  children(type: string, value: unknown, except: readonly string[] = []): void {
    const shape = SHAPES.get(type)
    if (shape === undefined) this.found.refuse(`node ${type}`)
    else if (shape.size > 0) this.#fields(type, shape, value, except)
  }

  #fields(type: string, shape: Shape, value: unknown, except: readonly string[]): void {
    if (typeof value !== 'object' || value === null) {
      this.#odd(value)
      return
    }
    for (const key in value) {
      const field = shape.get(key)
      if (field === undefined) this.found.refuse(`field ${type}.${key}`)
      else if (field.type !== undefined && !except.includes(key)) {
        this.#field(field, Reflect.get(value, key))
      }
    }
  }

  #field(field: Field, value: unknown): void {
    if (!field.isList) this.#item(field, value)
    else if (Array.isArray(value)) for (const item of value) this.#item(field, item)
    else this.#odd(value)
  }

  #item(field: Field, value: unknown): void {
    if (field.type === 'Node') this.node(value)
    else this.typed(field.type ?? '', value)
  }

  #odd(value: unknown): void {
    this.found.refuse(`a ${typeof value} where a node should be`)
  }

  /** Walks with another access for relations in plain fields. */
  using(access: Access, walk: () => void): void {
    const before = this.access
    this.access = access
    walk()
    this.access = before
  }

  /** Walks with the queries of a WITH clause visible; they are walked first. */
  with(clause: WithClause | undefined, walk: () => void): void {
    const before = this.#ctes
    if (clause !== undefined) this.#with(clause)
    walk()
    this.#ctes = before
  }

  /**
   * Without RECURSIVE a query sees the ones before it only: its own name means the table of that
   * name.
   */
  #with(clause: WithClause): void {
    const queries = (clause.ctes ?? []).flatMap(cte =>
      'CommonTableExpr' in cte ? [cte.CommonTableExpr] : [],
    )
    if (queries.length !== clause.ctes?.length) this.found.refuse('an unusual WITH')
    if (clause.recursive === true) {
      this.#show(queries.map(query => query.ctename ?? ''))
    }
    for (const query of queries) {
      this.children('CommonTableExpr', query)
      this.#show([query.ctename ?? ''])
    }
  }

  #show(names: readonly string[]): void {
    this.#ctes = { names: new Set(names), outer: this.#ctes }
  }

  /** Whether an unqualified name means a WITH query here. */
  isCte(name: string): boolean {
    for (let ctes = this.#ctes; ctes !== undefined; ctes = ctes.outer) {
      if (ctes.names.has(name)) return true
    }
    return false
  }

  /** Notes a kind, the first as the statement's own. What is only explained is not done. */
  kind(kind: string): void {
    if (this.found.kind === '') this.found.kind = kind
    if (!this.isExplained || kind === 'EXPLAIN') this.found.kinds.add(kind)
  }

  /** Notes what doing something takes; explaining it takes the right to read. */
  need(need: Need): void {
    this.found.need(this.isExplained ? 'read' : need)
  }

  /** Notes a relation in a place where a WITH query can't stand. Explaining a change only reads. */
  relation(
    relation: RangeVar | undefined,
    access: Access,
    command: Command,
    columns: readonly string[] = [],
  ): void {
    if (relation === undefined) return
    const isPlanned = this.isExplained && access !== 'read'
    this.found.use({
      schema: relation.schemaname,
      name: relation.relname ?? '',
      access: isPlanned ? 'read' : access,
      command: isPlanned ? 'SELECT' : command,
      columns,
      isOnly: relation.inh !== true,
    })
    this.children('RangeVar', relation)
  }

  /** Notes the call of a function. */
  call(list: readonly Node[] | undefined): void {
    const [schema, name] = qualifiedName(list)
    if (name === undefined) this.found.refuse('a function without a name')
    else this.found.call({ schema, name })
  }

  /**
   * Notes a function that an object is made of: calling the object later will call it under another
   * name.
   */
  mention(list: readonly Node[] | undefined): void {
    const [schema, name] = qualifiedName(list)
    const effect = name === undefined ? undefined : builtinEffect(schema, name)
    if (effect?.known === true && effect.need !== 'read') {
      this.found.need(effect.need, effect.hazard)
    }
  }

  /** Notes the use of an operator. */
  operator(list: readonly Node[] | undefined): void {
    const [schema, name] = qualifiedName(list)
    if (name !== undefined) this.found.operator({ schema, name })
  }

  /** Walks a statement that is part of another into findings of its own. */
  within(nodes: readonly Node[]): RawStatement {
    const inner = new Walk(new Findings(), this.around)
    inner.nodes(nodes)
    return inner.found.raw('', '')
  }
}

/**
 * Reads a possibly qualified name from a list of String nodes. A catalog name in front is dropped.
 */
export function qualifiedName(
  list: readonly Node[] | undefined,
): [schema: string | undefined, name: string | undefined] {
  const names = (list ?? []).map(item => ('String' in item ? (item.String.sval ?? '') : undefined))
  return [names.at(-2), names.at(-1)]
}
