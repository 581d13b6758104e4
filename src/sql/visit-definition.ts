import type { AlterTableStmt, CreateStmt, DropStmt, GrantStmt, Node } from 'libpg-query'
import type { Hazard, Need } from './statement.ts'
import { optionsOf } from './visit-function.ts'
import type { Visitors, Walk } from './walk.ts'

type Definition = readonly [kind: string, object: string, need: Need, hazard?: Hazard]

/**
 * Definitions whose kind and needs follow from the node alone. Their relations count as `schema`,
 * and the expressions and queries in them are walked like any other.
 */
const DEFINITIONS = {
  AlterCollationStmt: ['ALTER', 'COLLATION', 'ddl'],
  AlterDatabaseRefreshCollStmt: ['ALTER', 'DATABASE', 'admin', 'server'],
  AlterDatabaseStmt: ['ALTER', 'DATABASE', 'admin', 'server'],
  AlterDefaultPrivilegesStmt: ['ALTER', 'DEFAULT_PRIVILEGES', 'admin', 'roles'],
  AlterDomainStmt: ['ALTER', 'DOMAIN', 'ddl'],
  AlterEnumStmt: ['ALTER', 'TYPE', 'ddl'],
  AlterEventTrigStmt: ['ALTER', 'EVENT_TRIGGER', 'admin', 'server'],
  AlterExtensionContentsStmt: ['ALTER', 'EXTENSION', 'admin', 'extension'],
  AlterExtensionStmt: ['ALTER', 'EXTENSION', 'admin', 'extension'],
  AlterFdwStmt: ['ALTER', 'FDW', 'admin', 'network'],
  AlterForeignServerStmt: ['ALTER', 'FOREIGN_SERVER', 'admin', 'network'],
  AlterObjectDependsStmt: ['ALTER', 'DEPENDENCY', 'ddl'],
  AlterOpFamilyStmt: ['ALTER', 'OPFAMILY', 'admin'],
  AlterOperatorStmt: ['ALTER', 'OPERATOR', 'ddl'],
  AlterPolicyStmt: ['ALTER', 'POLICY', 'ddl'],
  AlterPublicationStmt: ['ALTER', 'PUBLICATION', 'admin', 'replication'],
  AlterSeqStmt: ['ALTER', 'SEQUENCE', 'ddl'],
  AlterStatsStmt: ['ALTER', 'STATISTICS', 'ddl'],
  AlterSubscriptionStmt: ['ALTER', 'SUBSCRIPTION', 'admin', 'replication'],
  AlterTSConfigurationStmt: ['ALTER', 'TSCONFIGURATION', 'ddl'],
  AlterTSDictionaryStmt: ['ALTER', 'TSDICTIONARY', 'ddl'],
  AlterTableMoveAllStmt: ['ALTER', 'TABLESPACE', 'admin', 'server'],
  AlterTableSpaceOptionsStmt: ['ALTER', 'TABLESPACE', 'admin', 'server'],
  AlterTypeStmt: ['ALTER', 'TYPE', 'ddl'],
  AlterUserMappingStmt: ['ALTER', 'USER_MAPPING', 'admin', 'network'],
  CompositeTypeStmt: ['CREATE', 'TYPE', 'ddl'],
  CreateAmStmt: ['CREATE', 'ACCESS_METHOD', 'admin', 'server'],
  CreateDomainStmt: ['CREATE', 'DOMAIN', 'ddl'],
  CreateEnumStmt: ['CREATE', 'TYPE', 'ddl'],
  CreateEventTrigStmt: ['CREATE', 'EVENT_TRIGGER', 'admin', 'server'],
  CreateExtensionStmt: ['CREATE', 'EXTENSION', 'admin', 'extension'],
  CreateFdwStmt: ['CREATE', 'FDW', 'admin', 'network'],
  CreateForeignServerStmt: ['CREATE', 'FOREIGN_SERVER', 'admin', 'network'],
  CreateForeignTableStmt: ['CREATE', 'FOREIGN_TABLE', 'admin', 'network'],
  CreateOpClassStmt: ['CREATE', 'OPCLASS', 'admin'],
  CreateOpFamilyStmt: ['CREATE', 'OPFAMILY', 'admin'],
  CreatePLangStmt: ['CREATE', 'LANGUAGE', 'admin', 'server'],
  CreatePolicyStmt: ['CREATE', 'POLICY', 'ddl'],
  CreatePublicationStmt: ['CREATE', 'PUBLICATION', 'admin', 'replication'],
  CreateRangeStmt: ['CREATE', 'TYPE', 'ddl'],
  CreateSchemaStmt: ['CREATE', 'SCHEMA', 'ddl'],
  CreateSeqStmt: ['CREATE', 'SEQUENCE', 'ddl'],
  CreateStatsStmt: ['CREATE', 'STATISTICS', 'ddl'],
  CreateStmt: ['CREATE', 'TABLE', 'ddl'],
  CreateSubscriptionStmt: ['CREATE', 'SUBSCRIPTION', 'admin', 'replication'],
  CreateTableSpaceStmt: ['CREATE', 'TABLESPACE', 'admin', 'server'],
  CreateTransformStmt: ['CREATE', 'TRANSFORM', 'admin', 'server'],
  CreateUserMappingStmt: ['CREATE', 'USER_MAPPING', 'admin', 'network'],
  CreatedbStmt: ['CREATE', 'DATABASE', 'admin', 'server'],
  CreateRoleStmt: ['CREATE', 'ROLE', 'admin', 'roles'],
  AlterRoleStmt: ['ALTER', 'ROLE', 'admin', 'roles'],
  DropRoleStmt: ['DROP', 'ROLE', 'admin', 'roles'],
  DropOwnedStmt: ['DROP', 'OWNED', 'admin'],
  DropSubscriptionStmt: ['DROP', 'SUBSCRIPTION', 'admin', 'replication'],
  DropTableSpaceStmt: ['DROP', 'TABLESPACE', 'admin', 'server'],
  DropUserMappingStmt: ['DROP', 'USER_MAPPING', 'admin', 'network'],
  DropdbStmt: ['DROP', 'DATABASE', 'admin'],
  GrantRoleStmt: ['GRANT', 'ROLE', 'admin', 'roles'],
  ImportForeignSchemaStmt: ['CREATE', 'FOREIGN_TABLE', 'admin', 'network'],
  IndexStmt: ['CREATE', 'INDEX', 'ddl'],
  ReassignOwnedStmt: ['ALTER', 'OWNER', 'admin', 'roles'],
  ViewStmt: ['CREATE', 'VIEW', 'ddl'],
} as const satisfies Record<string, Definition>

/** Object types that reach beyond the database's own tables and code. */
const OUTSIDE: Readonly<Record<string, Hazard>> = {
  ACCESS_METHOD: 'server',
  DATABASE: 'server',
  EVENT_TRIGGER: 'server',
  EXTENSION: 'extension',
  FDW: 'network',
  FOREIGN_SERVER: 'network',
  LANGUAGE: 'server',
  PARAMETER_ACL: 'server',
  PUBLICATION: 'replication',
  ROLE: 'roles',
  SUBSCRIPTION: 'replication',
  TABLESPACE: 'server',
  TRANSFORM: 'server',
  USER_MAPPING: 'network',
}

function define(walk: Walk, type: string, node: object, definition: Definition): void {
  const [kind, object, need, hazard] = definition
  walk.kind(kind)
  walk.found.objects.add(object)
  walk.need(need)
  walk.found.need(undefined, hazard)
  walk.using('schema', () => walk.children(type, node))
}

/** Notes what changing an object of a type takes. */
function needFor(walk: Walk, type: string | undefined): string {
  const object = type?.replace('OBJECT_', '') ?? ''
  const hazard = Object.hasOwn(OUTSIDE, object) ? OUTSIDE[object] : undefined
  walk.found.objects.add(object)
  walk.found.need(hazard === undefined ? 'ddl' : 'admin', hazard)
  return object
}

const PLAIN_CONSTRAINTS = new Set([
  'CONSTR_NOTNULL',
  'CONSTR_NULL',
  'CONSTR_PRIMARY',
  'CONSTR_UNIQUE',
])

/** A temporary table of plain columns: nothing in it computes, inherits or checks. */
function temporaryTable(
  create: CreateStmt,
): { readonly name: string; readonly columns: readonly string[] } | undefined {
  const { relation, tableElts = [], inhRelations, partbound, partspec, ofTypename } = create
  const isTemporary = relation?.relpersistence === 't' || relation?.schemaname === 'pg_temp'
  const others = [inhRelations, partbound, partspec, ofTypename]
  if (!isTemporary || others.some(other => other !== undefined)) return undefined
  const isPlain = (node: Node): boolean =>
    'Constraint' in node && PLAIN_CONSTRAINTS.has(node.Constraint.contype ?? '')
  const columns: string[] = []
  for (const node of tableElts) {
    if ('ColumnDef' in node && (node.ColumnDef.constraints ?? []).every(isPlain)) {
      columns.push(node.ColumnDef.colname ?? '')
    } else if (!isPlain(node)) return undefined
  }
  return { name: relation?.relname ?? '', columns }
}

const RELATION_OBJECTS = new Set(['TABLE', 'VIEW', 'MATVIEW', 'INDEX', 'SEQUENCE', 'FOREIGN_TABLE'])

/**
 * Objects named by their relation and one more name: the relation is what comes before the last.
 */
const WITHIN_RELATION = new Set(['TRIGGER', 'RULE', 'POLICY', 'COLUMN', 'TABCONSTRAINT'])

/** Notes the relation that a list of names in DROP, COMMENT and the like stands for. */
function noteNamed(walk: Walk, object: string, node: Node): void {
  if (!('List' in node)) {
    walk.using('schema', () => walk.node(node))
    return
  }
  const names = (node.List.items ?? []).map(item =>
    'String' in item ? (item.String.sval ?? '') : undefined,
  )
  const path = WITHIN_RELATION.has(object) ? names.slice(0, -1) : names
  if (!RELATION_OBJECTS.has(object) && !WITHIN_RELATION.has(object)) return
  const name = path.at(-1)
  if (name === undefined) walk.found.refuse(`a nameless ${object}`)
  else {
    const schema = path.at(-2)
    walk.found.use({ schema, name, access: 'schema', command: 'NONE', columns: [], isOnly: false })
  }
}

function visitDrop(drop: DropStmt, walk: Walk): void {
  walk.kind('DROP')
  const object = needFor(walk, drop.removeType)
  for (const node of drop.objects ?? []) noteNamed(walk, object, node)
}

function visitGrant(grant: GrantStmt, walk: Walk): void {
  walk.kind(grant.is_grant === true ? 'GRANT' : 'REVOKE')
  walk.found.objects.add(grant.objtype?.replace('OBJECT_', '') ?? '')
  walk.found.need('admin', 'roles')
  walk.using('schema', () => walk.children('GrantStmt', grant))
}

function visitAlterTable(alter: AlterTableStmt, walk: Walk): void {
  walk.kind('ALTER')
  needFor(walk, alter.objtype)
  for (const command of alter.cmds ?? []) {
    // Whoever owns a table holds every right on it.
    if ('AlterTableCmd' in command && command.AlterTableCmd.subtype === 'AT_ChangeOwner') {
      walk.found.need('admin', 'roles')
    }
  }
  walk.using('schema', () => walk.children('AlterTableStmt', alter))
}

const defined: Visitors = Object.fromEntries(
  Object.entries(DEFINITIONS).map(([type, definition]) => [
    type,
    (node: object, walk: Walk) => define(walk, type, node, definition),
  ]),
)

/** Statements that create, change and drop objects, and who may do what. */
export const DEFINITION_VISITORS: Visitors = {
  ...defined,
  DropStmt: visitDrop,
  GrantStmt: visitGrant,
  AlterTableStmt: visitAlterTable,

  CreateTableAsStmt(create, walk) {
    walk.kind('CREATE')
    walk.found.objects.add(create.objtype?.replace('OBJECT_', '') ?? 'TABLE')
    walk.need('ddl')
    walk.using('schema', () => walk.children('CreateTableAsStmt', create))
  },

  CreateTrigStmt(create, walk) {
    walk.kind('CREATE')
    walk.found.objects.add('TRIGGER')
    walk.found.need('ddl')
    walk.mention(create.funcname)
    walk.using('schema', () => walk.children('CreateTrigStmt', create, ['funcname']))
  },

  RuleStmt(rule, walk) {
    walk.kind('CREATE')
    walk.found.objects.add('RULE')
    walk.found.need('ddl')
    walk.using('schema', () => walk.children('RuleStmt', rule))
  },

  DefineStmt(define, walk) {
    walk.kind('CREATE')
    needFor(walk, define.kind)
    // An operator or aggregate runs the functions it is made of, under another name.
    for (const { arg } of optionsOf(define.definition)) {
      if (arg !== undefined && 'TypeName' in arg) walk.mention(arg.TypeName.names)
      else if (arg !== undefined && 'List' in arg) walk.mention(arg.List.items)
    }
    walk.using('schema', () => walk.children('DefineStmt', define, ['defnames']))
  },

  RenameStmt(rename, walk) {
    walk.kind('ALTER')
    needFor(walk, rename.renameType)
    walk.using('schema', () => walk.children('RenameStmt', rename))
  },

  AlterOwnerStmt(alter, walk) {
    walk.kind('ALTER')
    needFor(walk, alter.objectType)
    walk.found.need('admin', 'roles')
    walk.using('schema', () => walk.children('AlterOwnerStmt', alter))
  },

  AlterObjectSchemaStmt(alter, walk) {
    walk.kind('ALTER')
    needFor(walk, alter.objectType)
    walk.using('schema', () => walk.children('AlterObjectSchemaStmt', alter))
  },

  CommentStmt(comment, walk) {
    walk.kind('COMMENT')
    walk.found.need('ddl')
    const object = comment.objtype?.replace('OBJECT_', '') ?? ''
    walk.found.objects.add(object)
    if (comment.object !== undefined) noteNamed(walk, object, comment.object)
  },

  SecLabelStmt(label, walk) {
    walk.kind('SECURITY_LABEL')
    walk.found.need('admin', 'roles')
    const object = label.objtype?.replace('OBJECT_', '') ?? ''
    walk.found.objects.add(object)
    if (label.object !== undefined) noteNamed(walk, object, label.object)
  },

  CreateStmt(create, walk) {
    define(walk, 'CreateStmt', create, DEFINITIONS.CreateStmt)
    const table = temporaryTable(create)
    if (table !== undefined) walk.found.steps.push({ step: 'temporary', ...table })
  },

  AlterRoleSetStmt(alter, walk) {
    walk.kind('ALTER')
    walk.found.objects.add('ROLE')
    walk.found.need('admin', 'roles')
    walk.children('AlterRoleSetStmt', alter, ['setstmt'])
  },

  AlterDatabaseSetStmt(_alter, walk) {
    walk.kind('ALTER')
    walk.found.objects.add('DATABASE')
    walk.found.need('admin', 'settings')
  },

  CreateCastStmt(create, walk) {
    walk.mention(create.func?.objname)
    define(walk, 'CreateCastStmt', create, ['CREATE', 'CAST', 'ddl'])
  },

  CreateConversionStmt(create, walk) {
    walk.mention(create.func_name)
    define(walk, 'CreateConversionStmt', create, ['CREATE', 'CONVERSION', 'ddl'])
  },

  ReplicaIdentityStmt(identity, walk) {
    walk.children('ReplicaIdentityStmt', identity)
  },
}
