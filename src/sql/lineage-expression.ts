import type { A_Expr, Node, SubLink, TypeCast } from 'libpg-query'
import { traceCall, traceConversion, traceOperator, windowOf } from './lineage-calls.ts'
import { literalsIn, noteLiterals } from './lineage-literals.ts'
import type { Level } from './lineage-names.ts'
import { evaluateIndirection, evaluateReference } from './lineage-references.ts'
import { readColumns, relationsNamed } from './lineage-relations.ts'
import { nodesIn } from './lineage-shapes.ts'
import type { Trace } from './lineage-trace.ts'
import {
  CONSTANT,
  type Column,
  depending,
  derived,
  isTotal,
  merge,
  NULL,
  rowOf,
  TEXT_CONSTANT,
  union,
  unionOf,
  type Value,
} from './lineage-value.ts'
import { qualifiedName } from './walk.ts'

/** Nodes whose worth is that of all in them. Any other node is not understood. */
const UNIONS = new Set(
  `A_ArrayExpr A_Indices BoolExpr BooleanTest CaseExpr CaseWhen RowExpr NamedArgExpr XmlExpr XmlSerialize
  MinMaxExpr List SQLValueFunction SetToDefault GroupingFunc GroupingSet ResTarget MergeSupportFunc CurrentOfExpr
  JsonFuncExpr JsonArgument JsonValueExpr JsonFormat JsonOutput JsonReturning JsonBehavior JsonIsPredicate
  JsonObjectConstructor JsonArrayConstructor JsonKeyValue JsonParseExpr JsonScalarExpr JsonSerializeExpr
  JsonObjectAgg JsonArrayAgg JsonAggConstructor JsonTablePathSpec TypeName SortBy
  String Integer Float Boolean BitString A_Star`.split(/\s+/),
)

/** What an expression is worth. */
export function evaluate(node: Node, level: Level, trace: Trace): Value {
  if ('ColumnRef' in node) return evaluateReference(node.ColumnRef, level, trace)
  if ('A_Const' in node) {
    if (node.A_Const.isnull === true) return NULL
    return node.A_Const.sval === undefined ? CONSTANT : TEXT_CONSTANT
  }
  if ('ParamRef' in node) return TEXT_CONSTANT
  if ('A_Expr' in node) return evaluateOperator(node.A_Expr, level, trace)
  if ('FuncCall' in node) return traceCall(node.FuncCall, level, trace)
  if ('TypeCast' in node) return evaluateCast(node.TypeCast, level, trace)
  if ('SubLink' in node) return evaluateSubLink(node.SubLink, level, trace)
  if ('A_Indirection' in node) return evaluateIndirection(node.A_Indirection, level, trace)
  if ('CoalesceExpr' in node) {
    return merge((node.CoalesceExpr.args ?? []).map(arg => trace.evaluate(arg, level)))
  }
  if ('CollateClause' in node && node.CollateClause.arg !== undefined) {
    return { ...trace.evaluate(node.CollateClause.arg, level), reported: [] }
  }
  if ('RowExpr' in node) return evaluateRow(node.RowExpr.args ?? [], level, trace)
  if ('MultiAssignRef' in node && node.MultiAssignRef.source !== undefined) {
    const { source, colno = 1 } = node.MultiAssignRef
    const row = trace.evaluate(source, level)
    return row.row?.[colno - 1]?.value ?? derived(row.from)
  }
  if ('NullTest' in node && node.NullTest.arg !== undefined) {
    const { from, flow, row } = trace.evaluate(node.NullTest.arg, level)
    // Of a row it tells whether any of its fields is NULL.
    return derived(from, flow === 'same' && row === undefined ? 'tested' : 'derived')
  }
  if ('WindowDef' in node) return derived(windowOf(node.WindowDef, level, trace))
  if ('JsonArrayQueryConstructor' in node) {
    const { query } = node.JsonArrayQueryConstructor
    if (query === undefined) return CONSTANT
    const columns = trace.query(query, level)
    return derived(unionOf(columns.map(({ value }) => value)))
  }
  return evaluateParts(node, level, trace)
}

/** Everything in a node, in whatever field it stands. */
function evaluateParts(node: Node, level: Level, trace: Trace): Value {
  const [type, ...more] = Object.keys(node)
  if (type === undefined) return CONSTANT
  if (more.length > 0 || !UNIONS.has(type)) {
    trace.refuse(`node ${type}`)
    return CONSTANT
  }
  return derived(union(partsOf(node, type, level, trace).map(value => value.from)))
}

function partsOf(node: Node, type: string, level: Level, trace: Trace): Value[] {
  const parts = nodesIn(type, Reflect.get(node, type))
  if (parts === undefined) {
    trace.refuse(`a field of ${type}`)
    return []
  }
  return parts.map(part => trace.evaluate(part, level))
}

function evaluateRow(args: readonly Node[], level: Level, trace: Trace): Value {
  const fields: Column[] = []
  for (const arg of args) {
    const star = trace.star(arg, level)
    if (star !== undefined) fields.push(...star)
    else fields.push({ name: `f${fields.length + 1}`, value: trace.evaluate(arg, level) })
  }
  return { ...rowOf(fields), row: fields.map(({ value }, i) => ({ name: `f${i + 1}`, value })) }
}

const COMPARISONS = new Set([
  'AEXPR_OP',
  'AEXPR_OP_ANY',
  'AEXPR_OP_ALL',
  'AEXPR_IN',
  'AEXPR_DISTINCT',
  'AEXPR_NOT_DISTINCT',
  'AEXPR_NULLIF',
  'AEXPR_LIKE',
  'AEXPR_ILIKE',
  'AEXPR_SIMILAR',
  'AEXPR_BETWEEN',
  'AEXPR_NOT_BETWEEN',
  'AEXPR_BETWEEN_SYM',
  'AEXPR_NOT_BETWEEN_SYM',
])

function evaluateOperator(expression: A_Expr, level: Level, trace: Trace): Value {
  const { kind = '', name, lexpr, rexpr } = expression
  const operands = [lexpr, rexpr].flatMap(side => side ?? [])
  const values = operands.map(side => trace.evaluate(side, level))
  if (!COMPARISONS.has(kind)) trace.refuse(`operator ${kind}`)
  const [left, right] = values
  const [schema, operator = ''] = qualifiedName(name)
  if (lexpr !== undefined && rexpr !== undefined && left && right && operator !== '||') {
    if (left.from.size > 0) noteLiterals(literalsIn(rexpr, trace), left.from, 'compared', trace)
    if (right.from.size > 0) noteLiterals(literalsIn(lexpr, trace), right.from, 'compared', trace)
  }
  const called = traceOperator({ schema, name: operator }, values, trace)
  const from = union([unionOf(values), called.from])
  if (operator === '||' && called.from.size === 0 && called.flow === 'total') {
    const isText = values.every(value => value.isText)
    if (isText && values.every(isTotal)) return derived(from, 'total', true)
  }
  return derived(from)
}

/** Source: names of types in catalog/pg_type.dat. */
const TEXT_NAMES = new Set(['text', 'varchar', 'bpchar', 'name'])

const TEXT_OID = 25
const VARCHAR_OID = 1043

function evaluateCast({ arg, typeName }: TypeCast, level: Level, trace: Trace): Value {
  const value = arg === undefined ? CONSTANT : trace.evaluate(arg, level)
  const [schema, name = ''] = qualifiedName(typeName?.names)
  const isArray = typeName?.arrayBounds !== undefined
  const isBuiltin = !hasUserType(name, trace)
  if (isBuiltin && !isArray && TEXT_NAMES.has(name)) {
    return castToText(value, name, typeName?.typmods !== undefined)
  }
  if (isBuiltin && schema === 'pg_catalog') return derived(value.from)
  const converted = traceConversion({ schema, name }, value, trace)
  const from = union([value.from, converted])
  const [relation] = isArray ? [] : relationsNamed({ schema, name }, trace)
  if (relation === undefined) return derived(from)
  // A row of a table's own type.
  const row = readColumns(relation, true, trace).map(column => ({
    name: column.name,
    value: derived(from),
  }))
  return { ...derived(from), row }
}

function hasUserType(name: string, trace: Trace): boolean {
  return trace.catalog.domainsNamed.has(name) || trace.catalog.castsTo.has(name)
}

function castToText(value: Value, name: string, isLimited: boolean): Value {
  if (value.from.size === 0) return value.flow === 'null' ? NULL : TEXT_CONSTANT
  const { type } = value
  const isString = type?.oid === TEXT_OID || type?.oid === VARCHAR_OID
  if (value.flow === 'same' && isString && !isLimited && (name === 'text' || name === 'varchar')) {
    const oid = name === 'text' ? TEXT_OID : VARCHAR_OID
    return { ...value, type: { oid, modifier: -1 } }
  }
  // Cutting a string to size can't fail; what was no string may fail to become one.
  const canFail = !(value.isText && isTotal(value))
  return { ...derived(value.from, canFail ? 'derived' : 'total', true), reported: value.reported }
}

function evaluateSubLink(link: SubLink, level: Level, trace: Trace): Value {
  const { testexpr, operName, subselect, subLinkType } = link
  const tested = testexpr === undefined ? CONSTANT : trace.evaluate(testexpr, level)
  if (subselect === undefined) return CONSTANT
  const { result: columns, control } = trace.controlled(() => trace.query(subselect, level))
  const [first] = columns
  if (subLinkType === 'EXPR_SUBLINK') {
    if (first !== undefined) trace.names.set(link, first.name)
    // What decides which row it is has been noted as used.
    return columns.length === 1 && first !== undefined
      ? { ...first.value, reported: [] }
      : rowOf(columns)
  }
  const inner = depending(columnsAsValue(columns), control)
  const [schema, name] = qualifiedName(operName)
  const called =
    name === undefined ? CONSTANT : traceOperator({ schema, name }, [tested, inner], trace)
  const result = derived(union([tested.from, inner.from, called.from]))
  return subLinkType === 'ARRAY_SUBLINK' ? { ...result, row: inner.row } : result
}

/** The columns of a sub-query as one value. */
function columnsAsValue(columns: readonly Column[]): Value {
  const [first] = columns
  return columns.length === 1 && first !== undefined ? first.value : rowOf(columns)
}
