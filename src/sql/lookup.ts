import type { Facts } from './facts.ts'
import { builtinEffect, isBuiltinOperator } from './functions.ts'
import type { Name, NotNullCondition, Use } from './raw.ts'
import type { Hazard } from './statement.ts'

/** Says what the names in a statement stand for, by adding to its facts. */
export type Lookup = {
  readonly call: (name: Name, facts: Facts) => void
  readonly operator: (name: Name, facts: Facts) => void
  readonly use: (use: Use, facts: Facts) => void
  readonly type: (name: Name, facts: Facts) => void
  readonly attribute: (name: string, facts: Facts) => void
  /** What any statement may set off without naming it. */
  readonly ambient: (facts: Facts) => void
  /** Whether all columns of a condition are NOT NULL, so that it holds nothing back. */
  readonly isTrivial: (condition: NotNullCondition) => boolean
}

/** A name as people write it. */
export function spelled({ schema, name }: Name): string {
  return schema === undefined ? name : `${schema}.${name}`
}

/** Notes a called function and what it may do. */
export function noteCall(name: Name, facts: Facts): void {
  const effect = builtinEffect(name.schema, name.name)
  const text = spelled(name)
  facts.functions.add(text)
  if (effect.need !== 'read' || !effect.known) facts.actingFunctions.add(text)
  if (!effect.known) facts.unknownFunctions.add(text)
  // Reading is what the query around it does.
  facts.need(effect.need === 'read' ? undefined : effect.need, effect.hazard)
}

/** Notes an operator that nobody described: behind it is a function that may write. */
export function noteUnknownOperator(name: Name, facts: Facts): void {
  const text = spelled(name)
  facts.functions.add(text)
  facts.actingFunctions.add(text)
  facts.unknownFunctions.add(text)
  facts.need('write')
}

/**
 * System relations that show secrets of the server: password verifiers, connection strings, its
 * files.
 */
const SECRETS: ReadonlyMap<string, Hazard> = new Map<string, Hazard>([
  ['pg_authid', 'roles'],
  ['pg_shadow', 'roles'],
  ['pg_user_mapping', 'roles'],
  ['pg_user_mappings', 'roles'],
  ['pg_subscription', 'replication'],
  ['pg_file_settings', 'files'],
  ['pg_hba_file_rules', 'files'],
  ['pg_ident_file_mappings', 'files'],
])

/**
 * Whether a name means one of PostgreSQL's own relations: those stand before any other on the
 * search path.
 */
export function isSystemRelation({ schema, name }: Name): boolean {
  if (schema === undefined) return name.startsWith('pg_')
  return schema === 'pg_catalog' || schema === 'information_schema' || schema === 'pg_toast'
}

/**
 * Notes what using one of PostgreSQL's own relations takes. `UPDATE pg_settings` is SET by another
 * name.
 */
export function noteSystemRelation(use: Use, facts: Facts): void {
  if (!isSystemRelation(use)) return
  if (use.access === 'write') facts.need('admin', 'server')
  if (SECRETS.has(use.name)) facts.need('admin', SECRETS.get(use.name))
}

/** What PostgreSQL's own names say, without a catalog. */
export const BUILTIN_LOOKUP: Lookup = {
  call: noteCall,
  operator(name, facts) {
    if (!isBuiltinOperator(name.schema, name.name)) noteUnknownOperator(name, facts)
  },
  use(use, facts) {
    facts.relation(use.schema, use.name, use.access)
    noteSystemRelation(use, facts)
  },
  type() {},
  attribute() {},
  ambient() {},
  isTrivial: () => false,
}
