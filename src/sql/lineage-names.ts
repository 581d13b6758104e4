import type { CommonTableExpr, Node } from 'libpg-query'
import { type Column, merge, type Origins, type Value } from './lineage-value.ts'

/** Something in FROM that columns can be named of. */
export type Item = {
  /** The name it goes by; undefined for a join without one. */
  readonly alias: string | undefined
  /** For a relation without an alias: `schema.relation.column` means it too. */
  readonly schema: string | undefined
  readonly columns: readonly Column[]
  /** What any other column of it is worth, where not all are known. */
  readonly open: Value | undefined
  /** pg_class.oid of a relation: it has system columns. */
  readonly relation: number | undefined
}

/** What a piece of FROM makes visible: by qualified name, and without. */
export type From = {
  readonly items: readonly Item[]
  readonly columns: readonly Column[]
  readonly open: readonly Value[]
}

export const NO_FROM: From = { items: [], columns: [], open: [] }

/** Both sides, one after the other. */
export function both(a: From, b: From): From {
  if (a === NO_FROM) return b
  return {
    items: [...a.items, ...b.items],
    columns: [...a.columns, ...b.columns],
    open: [...a.open, ...b.open],
  }
}

/** What one item makes visible. */
export function fromItem(item: Item): From {
  return {
    items: [item],
    columns: item.columns,
    open: item.open === undefined ? [] : [item.open],
  }
}

/** A WITH query, read when it is first asked for. */
export type Cte = {
  readonly node: CommonTableExpr
  /** Where its text stands. */
  readonly level: Level
  readonly isRecursive: boolean
  state: 'new' | 'open' | 'done'
  columns: readonly Column[] | undefined
}

/** The names visible at one level of a query; those of the levels around it are visible too. */
export class Level {
  readonly from: From
  readonly outer: Level | undefined
  readonly ctes: ReadonlyMap<string, Cte> | undefined
  /** What windows of the WINDOW clause depend on. */
  readonly windows: Map<string, Origins> = new Map()

  constructor(
    from: From,
    outer: Level | undefined,
    ctes: ReadonlyMap<string, Cte> | undefined = undefined,
  ) {
    this.from = from
    this.outer = outer
    this.ctes = ctes
  }

  /** The same level with columns to be seen. */
  showing(from: From): Level {
    return new Level(from, this.outer, this.ctes)
  }

  /** The level that a sub-query in FROM stands in: nothing beside it is visible. */
  get bare(): Level {
    return this.from === NO_FROM ? this : new Level(NO_FROM, this.outer, this.ctes)
  }

  cte(name: string): Cte | undefined {
    for (let level: Level | undefined = this; level !== undefined; level = level.outer) {
      const found = level.ctes?.get(name)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** The column that an unqualified name means. Where several may be meant it depends on all of them. */
  column(name: string): { readonly value: Value | undefined; readonly isCertain: boolean } {
    const possible: Value[] = []
    for (let level: Level | undefined = this; level !== undefined; level = level.outer) {
      const found = level.from.columns.filter(column => column.name === name)
      if (found.length > 0) {
        const [only] = found
        if (found.length === 1 && possible.length === 0) {
          return { value: only?.value, isCertain: true }
        }
        return { value: merge([...possible, ...found.map(({ value }) => value)]), isCertain: true }
      }
      possible.push(...level.from.open)
    }
    return { value: possible.length === 0 ? undefined : merge(possible), isCertain: false }
  }

  /** The item that a name means, the innermost. */
  item(name: string, schema?: string): Item | undefined {
    for (let level: Level | undefined = this; level !== undefined; level = level.outer) {
      for (const item of level.from.items) {
        if (item.alias === name && (schema === undefined || item.schema === schema)) return item
      }
    }
    return undefined
  }
}

export type Alias = { readonly aliasname?: string; readonly colnames?: Node[] } | undefined

/** Gives columns the names of an alias list, from the left. */
export function renamed(
  columns: readonly Column[],
  names: readonly Node[] | undefined,
): readonly Column[] {
  if (names === undefined || names.length === 0) return columns
  return columns.map((column, i) => {
    const name = names[i]
    return name !== undefined && 'String' in name
      ? { name: name.String.sval ?? '', value: column.value }
      : column
  })
}

/** Something in FROM under its alias, or else under its own name. */
export function itemOf(
  alias: Alias,
  columns: readonly Column[],
  more: Partial<Pick<Item, 'open' | 'relation' | 'schema'>> & {
    readonly name?: string | undefined
  } = {},
): Item {
  const { open, relation, schema, name } = more
  return {
    alias: alias?.aliasname ?? name,
    schema: alias === undefined ? schema : undefined,
    columns: renamed(columns, alias?.colnames),
    open,
    relation,
  }
}
