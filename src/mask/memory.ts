import type { Catalog, CatalogRelation } from '../sql/index.ts'
import { type ColumnName, labelsIn } from './labels.ts'

/**
 * What a column was once seen to have: a name or a label by which a policy may mask it. Whoever can change the
 * schema could take either away, so what is remembered goes on masking until somebody accepts that it is gone.
 *
 * Invariant: only what masks something is worth remembering; what no policy asks about changes nothing.
 */
export type Remembered = {
  readonly relation: number
  readonly column: number
  readonly name: ColumnName
  readonly label: string | undefined
}

/** Nothing is remembered. One value, so that its identity can be asked for. */
export const NO_MEMORY: readonly Remembered[] = Object.freeze([])

/** What a catalog has of what a memory may hold: every label, with the column it stands at. */
export function labelsOf(catalog: Catalog): readonly Remembered[] {
  return columnsOf(catalog).flatMap(({ relation, number, name, comment }) =>
    labelsIn(comment).map(label => ({ relation: relation.oid, column: number, name, label })),
  )
}

/** What is remembered of a column and is no more: a label that its comment lost, a name that it had. */
export function driftOf(catalog: Catalog, memory: readonly Remembered[]): readonly Remembered[] {
  return memory.filter(one => {
    const relation = relationOf(catalog, one)
    const column = relation?.columns.find(each =>
      relation.oid === one.relation ? each.number === one.column : each.name === one.name.column,
    )
    if (relation === undefined || column === undefined) return false
    if (one.label !== undefined) return !labelsIn(column.comment).includes(one.label)
    return !isSameName(one.name, nameOf(relation, column.name))
  })
}

/** What is to be remembered that is not yet. */
export function newIn(
  seen: readonly Remembered[],
  memory: readonly Remembered[],
): readonly Remembered[] {
  const known = new Set(memory.map(keyOf))
  return seen.filter(one => !known.has(keyOf(one)))
}

/** One string for each thing there is to remember. */
export function keyOf({ relation, column, name, label }: Remembered): string {
  return JSON.stringify([relation, column, name.schema, name.relation, name.column, label ?? null])
}

/** The relation that is meant: by its oid, or the one that took its place under the same name. */
function relationOf(catalog: Catalog, { relation, name }: Remembered): CatalogRelation | undefined {
  return (
    catalog.relations.get(relation) ??
    catalog.relationsNamed.get(name.relation)?.find(({ schema }) => schema === name.schema)
  )
}

/** Names and labels by which a column may be masked: those it has, and those it had. */
export type Known = { readonly names: readonly ColumnName[]; readonly labels: readonly string[] }

/** Looks up what is known of columns, now and from before. */
export function recall(
  catalog: Catalog,
  memory: readonly Remembered[],
): (relation: CatalogRelation, column: CatalogRelation['columns'][number]) => Known {
  const byOrigin = Map.groupBy(memory, ({ relation, column }) => `${relation}.${column}`)
  const gone = memory.filter(({ relation }) => !catalog.relations.has(relation))
  const byName = Map.groupBy(gone, ({ name }) => nameKey(name))
  return (relation, column) => {
    const name = nameOf(relation, column.name)
    const before = [
      ...(byOrigin.get(`${relation.oid}.${column.number}`) ?? []),
      ...(byName.get(nameKey(name)) ?? []),
    ]
    return {
      names: [name, ...before.map(one => one.name)],
      labels: [
        ...new Set([...labelsIn(column.comment), ...before.flatMap(({ label }) => label ?? [])]),
      ],
    }
  }
}

function columnsOf(catalog: Catalog): readonly {
  relation: CatalogRelation
  number: number
  name: ColumnName
  comment: string | undefined
}[] {
  return [...catalog.relations.values()].flatMap(relation =>
    relation.columns.map(({ number, name, comment }) => ({
      relation,
      number,
      name: nameOf(relation, name),
      comment,
    })),
  )
}

function nameOf({ schema, name }: CatalogRelation, column: string): ColumnName {
  return { schema, relation: name, column }
}

function nameKey({ schema, relation, column }: ColumnName): string {
  return JSON.stringify([schema, relation, column])
}

function isSameName(a: ColumnName, b: ColumnName): boolean {
  return nameKey(a) === nameKey(b)
}
