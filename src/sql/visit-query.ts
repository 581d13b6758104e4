import type { Node, RangeVar, SelectStmt } from 'libpg-query'
import { parseName } from './names.ts'
import type { Command } from './raw.ts'
import { settingEffect } from './settings.ts'
import type { Access } from './statement.ts'
import { qualifiedName, type Visitors, type Walk } from './walk.ts'

/** SELECT, VALUES, TABLE, set operations, and the queries of other statements. */
function visitSelect(select: SelectStmt, walk: Walk): void {
  const { larg, rarg, withClause, intoClause, lockingClause } = select
  // The rows of an INSERT are a SelectStmt too, but nothing is read for them.
  const isRows = select.valuesLists !== undefined && walk.found.kind !== ''
  if (!isRows) {
    walk.kind(intoClause === undefined ? 'SELECT' : 'SELECT_INTO')
    walk.found.need('read')
  }
  if (intoClause !== undefined) {
    walk.using('schema', () => walk.children('IntoClause', intoClause))
    walk.found.objects.add('TABLE')
    walk.need('ddl')
  }
  walk.with(withClause, () => {
    walk.using('read', () => {
      if (larg !== undefined) visitSelect(larg, walk)
      if (rarg !== undefined) visitSelect(rarg, walk)
      walk.children('SelectStmt', select, ['larg', 'rarg', 'withClause', 'intoClause'])
    })
    if (lockingClause === undefined) return
    walk.kind('SELECT_FOR_UPDATE')
    walk.need('write')
    for (const item of select.fromClause ?? []) lockRelations(item, walk)
  })
}

/** Row locks can reach every table of FROM; which of them `OF` picks does not matter here. */
function lockRelations(item: Node, walk: Walk): void {
  if ('RangeVar' in item) {
    const { schemaname, relname = '' } = item.RangeVar
    if (schemaname === undefined && walk.isCte(relname)) return
    walk.relation(item.RangeVar, 'lock', 'NONE')
  } else if ('JoinExpr' in item) {
    if (item.JoinExpr.larg !== undefined) lockRelations(item.JoinExpr.larg, walk)
    if (item.JoinExpr.rarg !== undefined) lockRelations(item.JoinExpr.rarg, walk)
  } else if ('RangeSubselect' in item) {
    const { subquery } = item.RangeSubselect
    if (subquery === undefined || !('SelectStmt' in subquery)) return
    for (const inner of subquery.SelectStmt.fromClause ?? []) lockRelations(inner, walk)
  }
}

const COMMAND_OF: Readonly<Record<Access, Command>> = {
  read: 'SELECT',
  write: 'TRUNCATE',
  schema: 'NONE',
  lock: 'NONE',
}

/** A relation in a plain field: what it is there for, the statement around it has said. */
function visitRelation(relation: RangeVar, walk: Walk): void {
  const { schemaname, relname = '' } = relation
  if (walk.access === 'read') {
    if (schemaname === undefined && walk.isCte(relname)) return
    walk.found.need('read')
  }
  walk.relation(relation, walk.access, COMMAND_OF[walk.access])
}

/** Functions whose first argument names a relation, and what they do to it. */
const RELATION_ARGUMENT: ReadonlyMap<string, Access> = new Map([
  ['nextval', 'write'],
  ['setval', 'write'],
  ['currval', 'read'],
  ['pg_indexes_size', 'read'],
  ['pg_relation_filenode', 'read'],
  ['pg_relation_filepath', 'read'],
  ['pg_relation_size', 'read'],
  ['pg_sequence_last_value', 'read'],
  ['pg_table_size', 'read'],
  ['pg_total_relation_size', 'read'],
  ['table_to_xml', 'read'],
  ['table_to_xml_and_xmlschema', 'read'],
  ['table_to_xmlschema', 'read'],
])

/** Functions that run the SQL in their first argument. */
const QUERY_ARGUMENT = new Set([
  'query_to_xml',
  'query_to_xml_and_xmlschema',
  'query_to_xmlschema',
  'ts_stat',
])

/**
 * What a function does to relations that its arguments name in literals. What isn't a literal stays
 * unseen.
 */
function visitArguments(name: string, args: readonly Node[], walk: Walk): void {
  const text = args[0] === undefined ? null : textLiteral(args[0])
  if (text === null) return
  const access = RELATION_ARGUMENT.get(name)
  if (access !== undefined) noteNamedRelation(text, access, walk)
  if (!QUERY_ARGUMENT.has(name)) return
  const statements = walk.around.parseBody(text)
  if (statements === undefined) walk.found.refuse(`the text given to ${name}()`)
  else walk.found.absorb(walk.within(statements))
}

function noteNamedRelation(text: string, access: Access, walk: Walk): void {
  const name = parseName(text)
  if (name === undefined) walk.found.refuse('a relation named in a string')
  else walk.found.use({ ...name, access, command: 'NONE', columns: [], isOnly: true })
}

/** set_config() is SET with an expression: only literals can be judged. */
function visitSetConfig(args: readonly Node[], walk: Walk): void {
  const [name, value] = args.map(textLiteral)
  const isLocal = args[2] !== undefined && 'A_Const' in args[2] && args[2].A_Const.boolval?.boolval
  if (typeof name !== 'string') {
    walk.found.need('admin', 'settings')
    return
  }
  const effect = settingEffect(name, value)
  walk.found.need(effect.need, effect.hazard)
  const setting = { name: name.toLowerCase(), value: value ?? undefined, local: isLocal === true }
  if (!walk.isExplained) walk.found.settings.push(setting)
}

/**
 * The text of a string literal; null for anything else. A cast is looked through only where it
 * can't change the text: `'role_'::varchar(4)` is not what it seems.
 */
export function textLiteral(node: Node): string | null {
  if ('TypeCast' in node && node.TypeCast.arg !== undefined) {
    const { typeName, arg } = node.TypeCast
    const [, type] = qualifiedName(typeName?.names)
    const isPlain = (type === 'text' || type === 'regclass') && typeName?.typmods === undefined
    return isPlain ? textLiteral(arg) : null
  }
  return 'A_Const' in node && node.A_Const.sval !== undefined
    ? (node.A_Const.sval.sval ?? '')
    : null
}

/** Where relations are read, functions called and operators used. */
export const QUERY_VISITORS: Visitors = {
  SelectStmt: visitSelect,
  RangeVar: visitRelation,

  FuncCall(call, walk) {
    const [schema, name = ''] = qualifiedName(call.funcname)
    if (name === 'set_config' && (schema === undefined || schema === 'pg_catalog')) {
      walk.found.judged.add(name)
      visitSetConfig(call.args ?? [], walk)
    } else {
      walk.call(call.funcname)
      visitArguments(name, call.args ?? [], walk)
    }
    walk.children('FuncCall', call)
  },

  TypeCast(cast, walk) {
    const [, type] = qualifiedName(cast.typeName?.names)
    const text = cast.arg === undefined ? null : textLiteral(cast.arg)
    // An OID in a string names nothing.
    if (type === 'regclass' && text !== null && !/^\d+$/.test(text)) {
      noteNamedRelation(text, 'read', walk)
    }
    walk.children('TypeCast', cast)
  },

  TypeName(type, walk) {
    const [schema, name] = qualifiedName(type.names)
    if (name !== undefined && schema !== 'pg_catalog') walk.found.type({ schema, name })
    walk.children('TypeName', type, ['names'])
  },

  ColumnRef(reference, walk) {
    const fields = reference.fields ?? []
    const last = fields.at(-1)
    if (fields.length > 1 && last !== undefined && 'String' in last) {
      walk.found.attributes.add(last.String.sval ?? '')
    }
  },

  A_Indirection(indirection, walk) {
    for (const step of indirection.indirection ?? []) {
      if ('String' in step) walk.found.attributes.add(step.String.sval ?? '')
    }
    walk.children('A_Indirection', indirection)
  },

  A_Expr(expression, walk) {
    walk.operator(expression.name)
    walk.children('A_Expr', expression, ['name'])
  },

  SubLink(link, walk) {
    walk.operator(link.operName)
    walk.children('SubLink', link, ['operName'])
  },

  SortBy(sort, walk) {
    walk.operator(sort.useOp)
    walk.children('SortBy', sort, ['useOp'])
  },

  CurrentOfExpr(current, walk) {
    if (current.cursor_name !== undefined) walk.found.fetches.add(current.cursor_name)
    else walk.found.refuse('WHERE CURRENT OF a parameter')
  },

  // Leaves: read by their parents where they matter.
  A_Const() {},
  ParamRef() {},
  String() {},
}
