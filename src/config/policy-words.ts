/** The closed lists a policy's conditions choose from, and how people may spell their entries. */

import { nearest } from './problems.ts'

/** What a role may do. */
export const NEEDS = ['read', 'write', 'ddl', 'admin'] as const

/** What a statement can be classed as. */
export const CLASSES = [...NEEDS, 'session', 'transaction'] as const

/** Where a role comes from: given for good, asked for, or taken in an emergency. */
export const GRANTS = ['policy', 'request', 'break-glass'] as const

/** How much an UPDATE's or DELETE's condition holds back. */
export const WHERES = ['missing', 'trivial', 'present'] as const

/** What makes a statement worse than its class says. */
export const HAZARDS = [
  'files',
  'program',
  'code',
  'roles',
  'settings',
  'server',
  'replication',
  'extension',
  'network',
  'sleep',
  'advisory-lock',
  'sequence',
  'large-object',
  'unknown',
] as const

/** What a mask can look for in texts. */
export const DETECTORS = ['card-number', 'email', 'national-id'] as const

const words = (text: string): readonly string[] => text.trim().split(/\s+/)

/** Kinds of statement, as the analysis names them. */
export const KINDS = words(`
  SELECT SELECT_INTO SELECT_FOR_UPDATE INSERT UPDATE DELETE MERGE TRUNCATE COPY_FROM COPY_TO
  COPY_PROGRAM CREATE ALTER DROP GRANT REVOKE COMMENT SECURITY_LABEL DO CALL EXPLAIN LOCK CLUSTER
  REINDEX REFRESH VACUUM VACUUM_FULL ANALYZE CHECKPOINT LOAD ALTER_SYSTEM SET RESET SHOW
  SET_CONSTRAINTS DISCARD PREPARE EXECUTE DEALLOCATE DECLARE FETCH MOVE CLOSE LISTEN UNLISTEN NOTIFY
  BEGIN COMMIT ROLLBACK SAVEPOINT RELEASE ROLLBACK_TO PREPARE_TRANSACTION COMMIT_PREPARED
  ROLLBACK_PREPARED`)

/** Kinds that are said for several at once. */
const FAMILIES = ['COPY']

/** Kinds that act on a named type of object, so that `DROP TABLE` is a kind too. */
const OBJECT_KINDS = words('CREATE ALTER DROP GRANT REVOKE COMMENT SECURITY_LABEL REINDEX REFRESH')

/** Types of object, as the analysis names them. */
export const OBJECTS = words(`
  ACCESS_METHOD AGGREGATE CAST COLLATION COLUMN CONVERSION DATABASE DEFAULT_PRIVILEGES DEPENDENCY
  DOMAIN DOMCONSTRAINT EVENT_TRIGGER EXTENSION FDW FOREIGN_SERVER FOREIGN_TABLE FUNCTION INDEX
  LANGUAGE LARGEOBJECT MATVIEW OPCLASS OPERATOR OPFAMILY OWNED OWNER PARAMETER_ACL POLICY PROCEDURE
  PUBLICATION ROLE ROUTINE RULE SCHEMA SEQUENCE STATISTICS SUBSCRIPTION SYSTEM TABCONSTRAINT TABLE
  TABLESPACE TRANSFORM TRIGGER TSCONFIGURATION TSDICTIONARY TSPARSER TSTEMPLATE TYPE USER_MAPPING
  VIEW`)

/** How SQL spells what the analysis names otherwise. */
const SYNONYMS: Readonly<Record<string, string>> = {
  CONSTRAINT: 'TABCONSTRAINT',
  FOREIGN_DATA_WRAPPER: 'FDW',
  GROUP: 'ROLE',
  LARGE_OBJECT: 'LARGEOBJECT',
  MATERIALIZED_VIEW: 'MATVIEW',
  OPERATOR_CLASS: 'OPCLASS',
  OPERATOR_FAMILY: 'OPFAMILY',
  SERVER: 'FOREIGN_SERVER',
  TEXT_SEARCH_CONFIGURATION: 'TSCONFIGURATION',
  TEXT_SEARCH_DICTIONARY: 'TSDICTIONARY',
  TEXT_SEARCH_PARSER: 'TSPARSER',
  TEXT_SEARCH_TEMPLATE: 'TSTEMPLATE',
  USER: 'ROLE',
}

/**
 * Reads a kind of statement in any spelling: `drop`, `DROP TABLE`, `copy program`, `SELECT FOR UPDATE`.
 *
 * Shape: the kind, and behind a blank the type of object if one was named (`DROP TABLE`); underscores within
 * each. Undefined for what is no kind.
 */
export function readKind(typed: string): string | undefined {
  const parts = typed.toUpperCase().split(/[\s_]+/)
  for (let length = parts.length; length > 0; length -= 1) {
    const kind = parts.slice(0, length).join('_')
    if (!KINDS.includes(kind) && !FAMILIES.includes(kind)) continue
    if (length === parts.length) return kind
    const object = objectOf(parts.slice(length).join('_'))
    if (object !== undefined && OBJECT_KINDS.includes(kind)) return `${kind} ${object}`
  }
  return undefined
}

function objectOf(typed: string): string | undefined {
  if (Object.hasOwn(SYNONYMS, typed)) return SYNONYMS[typed]
  return OBJECTS.includes(typed) ? typed : undefined
}

/** The kind that was probably meant, spelled as in SQL. */
export function nearestKind(typed: string): string | undefined {
  const [first = '', ...rest] = typed.toUpperCase().split(/[\s_]+/)
  const verb = OBJECT_KINDS.includes(first) ? first : nearest(first, OBJECT_KINDS)
  if (rest.length > 0 && verb !== undefined) {
    const spelled = rest.join(' ')
    const objects = [...OBJECTS, ...Object.keys(SYNONYMS)].map(spell)
    const object = objects.includes(spelled) ? spelled : nearest(spelled, objects)
    if (object !== undefined) return `${verb} ${object}`
  }
  return nearest(typed.toUpperCase().replaceAll('_', ' '), [...KINDS, ...FAMILIES].map(spell))
}

function spell(name: string): string {
  return name.replaceAll('_', ' ')
}
