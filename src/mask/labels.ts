const LABELS = /@dbgate[ \t]+([\p{L}\p{N}_:.,-]+)/gu

/** The labels in a comment: `Where receipts go. @dbgate pii:email,contact` has two. */
export function labelsIn(comment: string | undefined): readonly string[] {
  if (comment === undefined) return []
  const found = [...comment.matchAll(LABELS)].flatMap(([, list = '']) => list.split(','))
  return [...new Set(found.map(label => label.replace(/[.:-]+$/, '')).filter(isThere))]
}

function isThere(label: string): boolean {
  return label !== ''
}

const SPECIAL = /[.+?^${}()|[\]\\]/g

/** A pattern in which `*` stands for any run of characters, compared without case. */
export function globOf(pattern: string): RegExp {
  const source = pattern.replaceAll(SPECIAL, '\\$&').replaceAll('*', '.*')
  return new RegExp(`^${source}$`, 'isu')
}

/** A column by its name. */
export type ColumnName = {
  readonly schema: string
  readonly relation: string
  readonly column: string
}

/** Whether a column is meant: `schema.table.column`, or `table.column` in every schema. `*` crosses no dot. */
export function columnPattern(pattern: string): (name: ColumnName) => boolean {
  const parts = pattern.split('.').map(globOf)
  const [schema, relation, column] = parts.length === 3 ? parts : [undefined, ...parts]
  return name =>
    (schema === undefined || schema.test(name.schema)) &&
    relation?.test(name.relation) === true &&
    column?.test(name.column) === true
}

/** A column as people write it; `public` goes without saying. */
export function spelled({ schema, relation, column }: ColumnName): string {
  return `${schema === 'public' ? '' : `${schema}.`}${relation}.${column}`
}
