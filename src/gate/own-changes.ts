import type { MaskSet } from '../mask/index.ts'
import type { Catalog, CatalogRelation, Lineage, Statement } from '../sql/index.ts'

/**
 * What may run although the schema is not known in full: nobody but a session itself sees its temporary tables, and
 * nobody but a transaction what it has changed.
 */

/** True for what reads no relation and calls nothing but what PostgreSQL brings: no value can come of it. */
export function readsNothing(statement: Statement): boolean {
  const { relations, functions, needs, executes, fetches } = statement
  return (
    relations.every(({ access }) => access === 'write') &&
    functions.length === 0 &&
    executes.length === 0 &&
    fetches.length === 0 &&
    !needs.includes('ddl') &&
    !needs.includes('admin')
  )
}

/**
 * True for what is not understood only because it names tables that nobody else sees: temporary ones, and what this
 * transaction has made. They hold what this session has put there, and nothing masked is let into them. Besides,
 * it may name plain tables without code of their own in which nothing is masked.
 */
export function isOnlyOwn(
  statement: Statement,
  lineage: Lineage,
  catalog: Catalog,
  set: MaskSet,
): boolean {
  const { relations, unknownFunctions, actingFunctions, objects } = statement
  if (!lineage.unknown.every(why => UNKNOWN_NAME.test(why))) return false
  if (lineage.runsCode || lineage.statistics.length > 0 || set.detectors.length > 0) return false
  if (lineage.relations.some(relation => set.relations.has(relation))) return false
  if (unknownFunctions.length > 0 || actingFunctions.length > 0) return false
  if (objects.some(object => !PLAIN_OBJECTS.has(object))) return false
  return relations.every(({ schema, name }) => {
    // PostgreSQL's own, such as the overflow of every table in pg_toast, are none that a session makes.
    const isSystems =
      /^pg_/i.test(name) || /^(?:pg_(?!temp$)|information_schema$)/i.test(schema ?? '')
    if (isSystems || catalog.systemRelations.has(name)) return false
    return (catalog.relationsNamed.get(name) ?? []).every(each => isPlain(each, set))
  })
}

/** What the lineage says of names that it does not find. */
const UNKNOWN_NAME = /^(?:relation |column |the columns of )/
const PLAIN_OBJECTS = new Set(['TABLE', 'INDEX', 'SEQUENCE', 'COLUMN', 'TYPE', 'SCHEMA'])
const PLAIN_KINDS = new Set(['r', 'p', 'S', 'i', 'I'])

function isPlain({ oid, kind, rules, triggers }: CatalogRelation, set: MaskSet): boolean {
  return (
    PLAIN_KINDS.has(kind) && rules.length === 0 && triggers.length === 0 && !set.relations.has(oid)
  )
}
