import type { Node, ResTarget, SubLink } from 'libpg-query'
import type { Level } from './lineage-names.ts'
import type { Trace } from './lineage-trace.ts'
import type { Column } from './lineage-value.ts'
import { qualifiedName } from './walk.ts'

/** The outputs of a SELECT or RETURNING list. */
export function traceTargets(
  targets: readonly Node[] | undefined,
  level: Level,
  trace: Trace,
): readonly Column[] {
  const columns: Column[] = []
  for (const node of targets ?? []) {
    const target: ResTarget | undefined = 'ResTarget' in node ? node.ResTarget : undefined
    if (target?.val === undefined) {
      trace.refuse('an unusual output')
      continue
    }
    const star = trace.star(target.val, level)
    if (star !== undefined) columns.push(...star)
    else {
      const value = trace.evaluate(target.val, level)
      columns.push({ name: target.name ?? outputName(target.val, trace) ?? '?column?', value })
    }
  }
  return columns
}

/** How well a name fits: a type's name only where there is nothing better. */
type Named = readonly [name: string, strength: 1 | 2]

/**
 * What PostgreSQL calls an output without AS.
 *
 * Source: FigureColnameInternal() in parser/parse_target.c.
 */
function outputName(node: Node, trace: Trace): string | undefined {
  return figureName(node, trace)?.[0]
}

const FIXED_NAMES: Readonly<Record<string, string>> = {
  GroupingFunc: 'grouping',
  MergeSupportFunc: 'merge_action',
  A_ArrayExpr: 'array',
  RowExpr: 'row',
  CoalesceExpr: 'coalesce',
  XmlSerialize: 'xmlserialize',
  JsonParseExpr: 'json',
  JsonScalarExpr: 'json_scalar',
  JsonSerializeExpr: 'json_serialize',
  JsonObjectConstructor: 'json_object',
  JsonArrayConstructor: 'json_array',
  JsonArrayQueryConstructor: 'json_array',
  JsonObjectAgg: 'json_objectagg',
  JsonArrayAgg: 'json_arrayagg',
}

const OPERATION_NAMES: Readonly<Record<string, string>> = {
  IS_GREATEST: 'greatest',
  IS_LEAST: 'least',
  IS_XMLCONCAT: 'xmlconcat',
  IS_XMLELEMENT: 'xmlelement',
  IS_XMLFOREST: 'xmlforest',
  IS_XMLPARSE: 'xmlparse',
  IS_XMLPI: 'xmlpi',
  IS_XMLROOT: 'xmlroot',
  JSON_EXISTS_OP: 'json_exists',
  JSON_QUERY_OP: 'json_query',
  JSON_VALUE_OP: 'json_value',
}

function figureName(node: Node, trace: Trace): Named | undefined {
  if ('ColumnRef' in node) return lastString(node.ColumnRef.fields)
  if ('A_Indirection' in node) {
    const { arg, indirection } = node.A_Indirection
    return lastString(indirection) ?? (arg === undefined ? undefined : figureName(arg, trace))
  }
  if ('FuncCall' in node) return lastString(node.FuncCall.funcname)
  if ('A_Expr' in node) return node.A_Expr.kind === 'AEXPR_NULLIF' ? ['nullif', 2] : undefined
  if ('TypeCast' in node) {
    const { arg, typeName } = node.TypeCast
    const inner = arg === undefined ? undefined : figureName(arg, trace)
    const [, type] = qualifiedName(typeName?.names)
    return inner?.[1] === 2 || type === undefined ? inner : [type, 1]
  }
  if ('CollateClause' in node) {
    const { arg } = node.CollateClause
    return arg === undefined ? undefined : figureName(arg, trace)
  }
  if ('SubLink' in node) return subLinkName(node.SubLink, trace)
  if ('CaseExpr' in node) {
    const { defresult } = node.CaseExpr
    const inner = defresult === undefined ? undefined : figureName(defresult, trace)
    return inner?.[1] === 2 ? inner : ['case', 1]
  }
  if ('SQLValueFunction' in node) {
    const name = (node.SQLValueFunction.op ?? '').replace(/^SVFOP_/, '').replace(/_N$/, '')
    return [name.toLowerCase(), 2]
  }
  return operationName(node)
}

function operationName(node: Node): Named | undefined {
  const [type = ''] = Object.keys(node)
  const fixed = FIXED_NAMES[type]
  if (fixed !== undefined) return [fixed, 2]
  const operation =
    'MinMaxExpr' in node
      ? node.MinMaxExpr.op
      : 'XmlExpr' in node
        ? node.XmlExpr.op
        : 'JsonFuncExpr' in node
          ? node.JsonFuncExpr.op
          : undefined
  const name = OPERATION_NAMES[operation ?? '']
  return name === undefined ? undefined : [name, 2]
}

function subLinkName(link: SubLink, trace: Trace): Named | undefined {
  if (link.subLinkType === 'EXISTS_SUBLINK') return ['exists', 2]
  if (link.subLinkType === 'ARRAY_SUBLINK') return ['array', 2]
  const name = trace.names.get(link)
  return link.subLinkType === 'EXPR_SUBLINK' && name !== undefined ? [name, 2] : undefined
}

function lastString(list: readonly Node[] | undefined): Named | undefined {
  for (const node of (list ?? []).toReversed()) {
    if ('String' in node) return [node.String.sval ?? '', 2]
  }
  return undefined
}
