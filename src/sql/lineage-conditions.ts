import type { Node } from 'libpg-query'
import { literalOf } from './lineage-literals.ts'
import type { Level } from './lineage-names.ts'
import type { Trace } from './lineage-trace.ts'
import type { UsePlace } from './lineage-types.ts'
import type { Value } from './lineage-value.ts'
import { qualifiedName } from './walk.ts'

/** Notes what a condition decides by, each of its AND-ed parts by itself. */
export function traceCondition(node: Node, place: UsePlace, level: Level, trace: Trace): void {
  if ('BoolExpr' in node && node.BoolExpr.boolop === 'AND_EXPR') {
    for (const part of node.BoolExpr.args ?? []) traceCondition(part, place, level, trace)
    return
  }
  const { from } = trace.evaluate(node, level)
  const { isEquality, isJoin } = kindOf(node, level, trace)
  for (const origin of from) trace.decide(origin, place, isEquality, isJoin)
}

const NEITHER = { isEquality: false, isJoin: false }

/** `column = literal` or one of several, `column = column`, or neither. */
function kindOf(node: Node, level: Level, trace: Trace): { isEquality: boolean; isJoin: boolean } {
  if (!('A_Expr' in node)) return NEITHER
  const { kind, name, lexpr, rexpr } = node.A_Expr
  if (lexpr === undefined || rexpr === undefined || qualifiedName(name)[1] !== '=') return NEITHER
  if (kind === 'AEXPR_IN')
    return { isEquality: isInLiterals(lexpr, rexpr, level, trace), isJoin: false }
  if (kind !== 'AEXPR_OP') return NEITHER
  const left = columnOf(lexpr, level, trace)
  const right = columnOf(rexpr, level, trace)
  if (left !== undefined && right !== undefined) {
    return { isEquality: false, isJoin: JSON.stringify(lexpr) !== JSON.stringify(rexpr) }
  }
  const other = left === undefined ? lexpr : rexpr
  const isEquality =
    (left !== undefined || right !== undefined) && literalOf(other, trace) !== undefined
  return { isEquality, isJoin: false }
}

/** `column IN (literal, ...)`. */
function isInLiterals(column: Node, list: Node, level: Level, trace: Trace): boolean {
  if (columnOf(column, level, trace) === undefined || !('List' in list)) return false
  return (list.List.items ?? []).every(item => literalOf(item, trace) !== undefined)
}

/** The unchanged column that one side is. */
function columnOf(node: Node, level: Level, trace: Trace): Value | undefined {
  if ('TypeCast' in node) {
    const { arg } = node.TypeCast
    if (arg === undefined || !('ColumnRef' in arg)) return undefined
  } else if (!('ColumnRef' in node)) return undefined
  const value = trace.evaluate(node, level)
  return value.flow === 'same' ? value : undefined
}
