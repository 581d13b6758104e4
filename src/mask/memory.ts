import type { MaskRule } from '../policy/index.ts'
import type { Catalog, CatalogRelation } from '../sql/index.ts'
import { type ColumnName, columnPattern, labelsIn } from './labels.ts'

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

/** What a memory is of: oids mean something in one database only. */
export function placeOf(target: string, database: string): string {
  return `${target}/${database}`
}

/** What a catalog has that is worth remembering: every label, and every name that a mask of `rules` goes by. */
export function seenIn(rules: readonly MaskRule[], catalog: Catalog): readonly Remembered[] {
  const patterns = rules.flatMap(({ columns }) => columns).map(columnPattern)
  return columnsOf(catalog).flatMap(({ relation, number, name, comment }) => {
    const seen = { relation: relation.oid, column: number, name }
    const labels = labelsIn(comment).map(label => ({ ...seen, label }))
    const isNamed = patterns.some(matches => matches(name))
    return isNamed ? [...labels, { ...seen, label: undefined }] : labels
  })
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
