import type { CatalogRelation } from '../sql/index.ts'

/** The two roles of the second line in the database itself. */
export const PLAIN = 'dbgate_plain'
export const FULL = 'dbgate_full'

/** What one relation is to the script. */
export type HardenedRelation = {
  readonly relation: CatalogRelation
  /** Numbers of its masked columns. */
  readonly masked: ReadonlySet<number>
  /** A view that shows or goes by what is masked: it reads with its owner's rights. */
  readonly isDerived: boolean
  /** What the login that people come through may do with it. */
  readonly privileges: readonly string[]
}

export type Script = { readonly apply: readonly string[]; readonly undo: readonly string[] }

/**
 * The statements that set the roles up, and those that take them away. Each list is to run in one transaction.
 *
 * `dbgate_full` may what the login may; `dbgate_plain` too, but it reads no masked column and nothing that is made
 * of one. Nobody else's rights are touched, so that taking the roles away leaves all as it was.
 */
export function scriptFor(
  relations: readonly HardenedRelation[],
  sequences: readonly string[],
): Script {
  const granted = relations.filter(({ privileges }) => privileges.length > 0)
  const schemas = [...new Set(granted.map(({ relation }) => relation.schema))].sort().map(quoted)
  const both = `${PLAIN}, ${FULL}`
  const revoke = schemas.flatMap(schema => [
    `REVOKE ALL ON ALL TABLES IN SCHEMA ${schema} FROM ${both}`,
    `REVOKE ALL ON ALL SEQUENCES IN SCHEMA ${schema} FROM ${both}`,
  ])
  return {
    apply: [
      ...[PLAIN, FULL].map(createRole),
      ...revoke,
      ...schemas.map(schema => `GRANT USAGE ON SCHEMA ${schema} TO ${both}`),
      ...granted.flatMap(grants),
      ...sequences.map(sequence => `GRANT USAGE, SELECT ON SEQUENCE ${sequence} TO ${both}`),
    ],
    undo: [
      ...revoke,
      ...schemas.map(schema => `REVOKE USAGE ON SCHEMA ${schema} FROM ${both}`),
      ...[PLAIN, FULL].map(dropRole),
    ],
  }
}

function grants({ relation, masked, isDerived, privileges }: HardenedRelation): string[] {
  const name = `${quoted(relation.schema)}.${quoted(relation.name)}`
  const all = `GRANT ${privileges.join(', ')} ON ${name} TO`
  if (masked.size === 0 && !isDerived) return [`${all} ${PLAIN}, ${FULL}`]
  const writing = privileges.filter(privilege => privilege !== 'SELECT')
  const shown = relation.columns.filter(({ number }) => !masked.has(number))
  const mayRead = privileges.includes('SELECT') && !isDerived && shown.length > 0
  const columns = shown.map(column => quoted(column.name)).join(', ')
  return [
    `${all} ${FULL}`,
    ...(mayRead ? [`GRANT SELECT (${columns}) ON ${name} TO ${PLAIN}`] : []),
    ...(writing.length > 0 ? [`GRANT ${writing.join(', ')} ON ${name} TO ${PLAIN}`] : []),
  ]
}

function createRole(role: string): string {
  return `DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${role}') THEN CREATE ROLE ${role} NOLOGIN; END IF; END $$`
}

/** A role of the whole cluster may have rights in other databases: then it stays. */
function dropRole(role: string): string {
  return `DO $$ BEGIN DROP ROLE IF EXISTS ${role}; EXCEPTION WHEN dependent_objects_still_exist THEN RAISE NOTICE '${role} is used elsewhere and stays'; END $$`
}

/** A name as it stands in SQL. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
