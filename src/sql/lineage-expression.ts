import type { A_Expr, A_Indirection, ColumnRef, Node, SubLink, TypeCast } from 'libpg-query'
import { traceCall, traceConversion, traceFunction, traceOperator } from './lineage-calls.ts'
import { literalsIn, noteLiterals } from './lineage-literals.ts'
import { fromItem, type Item, Level, NO_FROM } from './lineage-names.ts'
import { traceQuery } from './lineage-query.ts'
import { readColumns, relationsNamed, systemColumn } from './lineage-relations.ts'
import { nodesIn } from './lineage-shapes.ts'
import type { Trace } from './lineage-trace.ts'
import {
  CONSTANT,
  type Column,
  depending,
  derived,
  isTotal,
  merge,
  NO_ORIGINS,
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
  `A_ArrayExpr A_Indices BoolExpr BooleanTest NullTest CaseExpr CaseWhen RowExpr NamedArgExpr XmlExpr XmlSerialize
  MinMaxExpr List SQLValueFunction SetToDefault GroupingFunc GroupingSet ResTarget MergeSupportFunc CurrentOfExpr
  JsonFuncExpr JsonArgument JsonValueExpr JsonFormat JsonOutput JsonReturning JsonBehavior JsonIsPredicate
  JsonObjectConstructor JsonArrayConstructor JsonKeyValue JsonParseExpr JsonScalarExpr JsonSerializeExpr
  JsonObjectAgg JsonArrayAgg JsonAggConstructor JsonTablePathSpec TypeName SortBy
  String Integer Float Boolean BitString A_Star`.split(/\s+/),
)

/** What an expression is worth. */
export function evaluate(node: Node, level: Level, trace: Trace): Value {
  return trace.step(() => evaluateNode(node, level, trace))
}

function evaluateNode(node: Node, level: Level, trace: Trace): Value {
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
    return merge((node.CoalesceExpr.args ?? []).map(arg => evaluate(arg, level, trace)))
  }
  if ('CollateClause' in node && node.CollateClause.arg !== undefined) {
    return { ...evaluate(node.CollateClause.arg, level, trace), reported: [] }
  }
  if ('RowExpr' in node) return evaluateRow(node.RowExpr.args ?? [], level, trace)
  if ('MultiAssignRef' in node && node.MultiAssignRef.source !== undefined) {
    const { source, colno = 1 } = node.MultiAssignRef
    const row = evaluate(source, level, trace)
    return row.row?.[colno - 1]?.value ?? derived(row.from)
  }
  if ('JsonArrayQueryConstructor' in node) {
    const { query } = node.JsonArrayQueryConstructor
    if (query === undefined) return CONSTANT
    const columns = traceQuery(query, level, trace)
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
  return parts.map(part => evaluate(part, level, trace))
}

/** Expressions of which only the origins matter. */
export function originsOf(
  nodes: readonly Node[] | undefined,
  level: Level,
  trace: Trace,
): Value['from'] {
  if (nodes === undefined) return NO_ORIGINS
  return unionOf(nodes.map(node => evaluate(node, level, trace)))
}

function evaluateRow(args: readonly Node[], level: Level, trace: Trace): Value {
  const fields: Column[] = []
  for (const arg of args) {
    const star = starOf(arg, level, trace)
    if (star !== undefined) fields.push(...star)
    else fields.push({ name: `f${fields.length + 1}`, value: evaluate(arg, level, trace) })
  }
  return { ...rowOf(fields), row: fields.map(({ value }, i) => ({ name: `f${i + 1}`, value })) }
}

function namesOf(reference: ColumnRef): { names: string[]; isStar: boolean } {
  const fields = reference.fields ?? []
  const names = fields.flatMap(field => ('String' in field ? [field.String.sval ?? ''] : []))
  return { names, isStar: names.length < fields.length }
}

/** A whole row of something in FROM. */
function wholeRow(item: Item): Value {
  const { columns, open } = item
  const row = rowOf(columns)
  if (open !== undefined) return { ...derived(union([row.from, open.from])), row: undefined }
  // A function that gives one value for a row goes by the name of its item.
  const [only] = columns
  const isScalar = columns.length === 1 && item.relation === undefined && item.alias !== undefined
  if (isScalar && only !== undefined && only.name === item.alias) return only.value
  return row
}

function evaluateReference(reference: ColumnRef, level: Level, trace: Trace): Value {
  const { names, isStar } = namesOf(reference)
  if (isStar) {
    const columns = starColumns(names, level, trace)
    return columns === undefined ? CONSTANT : rowOf(columns)
  }
  const [first = '', second] = names
  if (second === undefined) return unqualified(first, level, trace)
  return qualified(names, level, trace)
}

function unqualified(name: string, level: Level, trace: Trace): Value {
  const { value, isCertain } = level.column(name)
  if (value !== undefined && isCertain) return value
  const item = level.item(name)
  if (item !== undefined) {
    const row = wholeRow(item)
    return value === undefined ? row : merge([value, row])
  }
  if (value !== undefined) return value
  const system = systemOf(name, level, trace)
  if (system !== undefined) return system
  trace.refuse(`column ${name}`)
  return CONSTANT
}

/** `ctid` and the like, without a name before it. */
function systemOf(name: string, level: Level, trace: Trace): Value | undefined {
  for (let at: Level | undefined = level; at !== undefined; at = at.outer) {
    for (const item of at.from.items) {
      if (item.relation === undefined) continue
      const value = systemColumn(item.relation, name, trace)
      if (value !== undefined) return value
    }
  }
  return undefined
}

function qualified(names: readonly string[], level: Level, trace: Trace): Value {
  const field = names.at(-1) ?? ''
  const relation = names.at(-2) ?? ''
  const item = level.item(relation, names.at(-3))
  if (item === undefined || names.length > 4) {
    trace.refuse(`column ${names.join('.')}`)
    return CONSTANT
  }
  const found = item.columns.filter(column => column.name === field)
  if (found.length > 0) {
    const values = found.map(({ value }) => value)
    return values.length === 1 ? (values[0] ?? CONSTANT) : merge(values)
  }
  if (item.relation !== undefined) {
    const system = systemColumn(item.relation, field, trace)
    if (system !== undefined) return system
  }
  if (item.open !== undefined) return derived(item.open.from)
  // `x.f` is f(x) where x has no column f.
  return traceFunction({ schema: undefined, name: field }, [wholeRow(item)], trace)
}

/** The columns that `*` or `x.*` stands for; undefined where they are not known, which is noted. */
function starColumns(
  names: readonly string[],
  level: Level,
  trace: Trace,
): readonly Column[] | undefined {
  const { from } = level
  const qualifier = names.at(-1)
  if (qualifier === undefined) {
    if (from.open.length > 0) trace.refuse('the columns of *')
    return from.columns
  }
  const item = level.item(qualifier, names.at(-2))
  if (item === undefined) {
    trace.refuse(`the columns of ${names.join('.')}.*`)
    return undefined
  }
  if (item.open !== undefined) trace.refuse(`the columns of ${names.join('.')}.*`)
  return item.columns
}

/** What a star in a list of outputs stands for; undefined when the node is no star. */
export function starOf(node: Node, level: Level, trace: Trace): readonly Column[] | undefined {
  if ('ColumnRef' in node) {
    const { names, isStar } = namesOf(node.ColumnRef)
    return isStar ? (starColumns(names, level, trace) ?? []) : undefined
  }
  if (!('A_Indirection' in node)) return undefined
  const { arg, indirection = [] } = node.A_Indirection
  const last = indirection.at(-1)
  if (last === undefined || !('A_Star' in last) || arg === undefined) return undefined
  const value = evaluateIndirection({ arg, indirection: indirection.slice(0, -1) }, level, trace)
  if (value.row === undefined) trace.refuse('the columns of a row')
  return (value.row ?? []).map(({ name, value: field }) => ({
    name,
    value: { ...field, reported: [] },
  }))
}

/** `(x).field`, `x[1]`. */
function evaluateIndirection(
  { arg, indirection }: A_Indirection,
  level: Level,
  trace: Trace,
): Value {
  if (arg === undefined) return CONSTANT
  let value = evaluate(arg, level, trace)
  for (const step of indirection ?? []) {
    if ('String' in step) value = fieldOf(value, step.String.sval ?? '', trace)
    else if ('A_Star' in step) value = derived(value.from)
    else
      value = {
        ...depending(derived(value.from), evaluate(step, level, trace).from),
        row: value.row,
      }
  }
  return value
}

function fieldOf(value: Value, name: string, trace: Trace): Value {
  const found = value.row?.filter(field => field.name === name) ?? []
  if (found.length > 0) return { ...merge(found.map(field => field.value)), reported: [] }
  // A field of a row of unknown shape, or a function of the row.
  if (trace.catalog.rowFunctions.has(name)) {
    const called = traceFunction({ schema: undefined, name }, [value], trace)
    return depending(called, value.from)
  }
  return derived(value.from)
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
  const values = operands.map(side => evaluate(side, level, trace))
  if (!COMPARISONS.has(kind)) trace.refuse(`operator ${kind}`)
  const [left, right] = values
  if (lexpr !== undefined && rexpr !== undefined && left !== undefined && right !== undefined) {
    if (left.from.size > 0) noteLiterals(literalsIn(rexpr, trace), left.from, 'compared', trace)
    if (right.from.size > 0) noteLiterals(literalsIn(lexpr, trace), right.from, 'compared', trace)
  }
  const [schema, operator = ''] = qualifiedName(name)
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
  const value = arg === undefined ? CONSTANT : evaluate(arg, level, trace)
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
  const tested = testexpr === undefined ? CONSTANT : evaluate(testexpr, level, trace)
  if (subselect === undefined) return CONSTANT
  const { result: columns, control } = trace.controlled(() => traceQuery(subselect, level, trace))
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

/** An expression that the database keeps, over the columns of its relation. */
export function traceExpressionText(text: string, columns: readonly Column[], trace: Trace): Value {
  const [node] = trace.shared.parse(`SELECT ${text}`) ?? []
  const target =
    node !== undefined && 'SelectStmt' in node ? node.SelectStmt.targetList?.[0] : undefined
  const expression =
    target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined
  if (expression === undefined) {
    trace.refuse('an expression in the database')
    return CONSTANT
  }
  const item = {
    alias: undefined,
    schema: undefined,
    columns,
    open: undefined,
    relation: undefined,
  }
  const level = new Level(columns.length === 0 ? NO_FROM : fromItem(item), undefined)
  return evaluate(expression, level, trace)
}
