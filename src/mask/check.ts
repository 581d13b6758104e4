import type { MaskRule } from '../policy/index.ts'
import type { Catalog, CatalogRelation } from '../sql/index.ts'
import { fits } from './kinds.ts'
import { columnPattern, globOf, labelsIn, spelled } from './labels.ts'
import type { MaskedColumn, MaskSet } from './select.ts'

/** What may not be meant, with the place in the policy, or undefined for what no mask is about. */
export type MaskWarning = { readonly at: string | undefined; readonly message: string }

/** Words that columns of people's data are called by, in the languages that schemas are mostly written in. */
const CONFIDENTIAL =
  /(^|_)(e_?mail|phone|mobile|ssn|social_?security|passport|tax_?id|iban|bic|pan|cvv|cvc|card_?(number|no)|credit_?card|salary|dob|birth_?(date|day)|date_?of_?birth|password|passwd|pwd|secret|api_?key|token|pin|address|street|first_?name|last_?name|surname|national_?id|licen[cs]e_?(number|no))s?(_|$|hash|digest)/i

/** Of a kind of warning that may be about many. */
const MAX_LISTED = 5

/** Holds masks against a schema: what matches nothing, what shows nothing but NULL, and what has no mask. */
export function checkMasks(
  rules: readonly MaskRule[],
  set: MaskSet,
  catalog: Catalog,
): readonly MaskWarning[] {
  const columns = [...catalog.relations.values()].flatMap(relation =>
    relation.columns.map(column => ({
      name: { schema: relation.schema, relation: relation.name, column: column.name },
      labels: labelsIn(column.comment),
      relation,
      column,
    })),
  )
  const unmatched = rules.flatMap(({ at, columns: patterns, labels }): MaskWarning[] => [
    ...patterns.flatMap(pattern => {
      const matches = columnPattern(pattern)
      if (columns.some(({ name }) => matches(name))) return []
      return [{ at, message: `"${pattern}" matches no column` }]
    }),
    ...labels.flatMap(({ label }) => {
      const matches = globOf(label)
      if (columns.some(each => each.labels.some(one => matches.test(one)))) return []
      return [{ at, message: `no column is labelled "${label}"` }]
    }),
  ])
  const unmapped = columns.flatMap(({ name, labels }) =>
    labels.flatMap(label => {
      const isMapped = rules.some(rule => rule.labels.some(one => globOf(one.label).test(label)))
      if (isMapped) return []
      return [
        { at: undefined, message: `${spelled(name)} is labelled "${label}", which masks nothing` },
      ]
    }),
  )
  const bare = columns.flatMap(({ name, relation, column }) =>
    isBare(set, relation, column.number) && CONFIDENTIAL.test(name.column) ? [spelled(name)] : [],
  )
  return [...unmatched, ...unmapped, ...unfit(set), ...looksBare(bare)]
}

function isBare(set: MaskSet, { oid, kind }: CatalogRelation, column: number): boolean {
  return kind !== 'v' && set.of({ relation: oid, column }) === undefined
}

function unfit(set: MaskSet): readonly MaskWarning[] {
  const found = set.columns.filter(
    ({ mask, typeOid, isOfView }) => !isOfView && !fits(mask, typeOid),
  )
  return found.map(({ name, mask, rule }: MaskedColumn) => ({
    at: rule.at,
    message: `${name} is of a type that ${mask.kind === 'token' ? 'hash' : mask.kind} does not fit: it shows NULL`,
  }))
}

function looksBare(names: readonly string[]): readonly MaskWarning[] {
  if (names.length === 0) return []
  const more = names.length > MAX_LISTED ? ` and ${names.length - MAX_LISTED} more` : ''
  const listed = names.slice(0, MAX_LISTED).join(', ')
  return [{ at: undefined, message: `looks confidential and has no mask: ${listed}${more}` }]
}
