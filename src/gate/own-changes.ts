import type { MaskSet } from '../mask/index.ts'
import type { Catalog, CatalogRelation, Statement } from '../sql/index.ts'

/**
 * What may run in a transaction that has changed the schema: nobody but the transaction itself sees what it has
 * made, so that what is known of the schema is how it was before.
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
 * True for what names tables only that hold nothing masked: new ones, which can hold only what this transaction has
 * put there, and plain ones from before without code of their own.
 */
export function isOnlyNew(statement: Statement, catalog: Catalog, set: MaskSet): boolean {
  const { relations, unknownFunctions, actingFunctions, objects } = statement
  if (unknownFunctions.length > 0 || actingFunctions.length > 0) return false
  if (objects.some(object => !PLAIN_OBJECTS.has(object))) return false
  return relations.every(({ name }) => {
    if (catalog.systemRelations.has(name)) return false
    return (catalog.relationsNamed.get(name) ?? []).every(each => isPlain(each, set))
  })
}

const PLAIN_OBJECTS = new Set(['TABLE', 'INDEX', 'SEQUENCE', 'COLUMN', 'TYPE', 'SCHEMA'])
const PLAIN_KINDS = new Set(['r', 'p', 'S', 'i', 'I'])

function isPlain({ oid, kind, rules, triggers }: CatalogRelation, set: MaskSet): boolean {
  return (
    PLAIN_KINDS.has(kind) && rules.length === 0 && triggers.length === 0 && !set.relations.has(oid)
  )
}
