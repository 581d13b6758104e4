import type { A_Expr, ColumnRef, Node } from 'libpg-query'
import { columnOfTarget, lastName, nameInStatement, qualifierOf, type Target } from './columns.ts'
import { keyOf, same, stripCasts } from './same.ts'

/**
 * What a condition comes to for the rows of the changed table: `always` (or null, which only ever
 * excludes rows by accident), `never`, `fixed`: the same for every row but not known here, `row`:
 * it depends on the row.
 */
export type Outcome = 'always' | 'never' | 'fixed' | 'row'

/** The symbol of an operator, without its schema. */
export function operatorOf(expression: A_Expr): string | undefined {
  const last = expression.name?.at(-1)
  return last !== undefined && 'String' in last ? last.String.sval : undefined
}

/** Patterns that any text matches, of LIKE and of regular expressions. */
const LIKE_ALL = new Set(['%', '%%'])
const REGEX_ALL = new Set(['.*', '^', '$', '^.*', '.*$', '^.*$', ''])

/** Says what a comparison comes to. */
export function evaluateOperator(expression: A_Expr, node: Node, target: Target): Outcome {
  const { lexpr, rexpr, kind } = expression
  const operator = operatorOf(expression) ?? ''
  if (kind === 'AEXPR_IN' || kind === 'AEXPR_OP_ANY') {
    const holds = operator === '=' && includes(elementsOf(rexpr), lexpr, target)
    return holds ? 'always' : dependsOnRow(node, target)
  }
  if (kind === 'AEXPR_BETWEEN' || kind === 'AEXPR_BETWEEN_SYM') {
    const bounds = elementsOf(rexpr)
    const holds = bounds.length > 0 && bounds.every(bound => same(lexpr, bound, target))
    return holds ? 'always' : dependsOnRow(node, target)
  }
  const isLike = kind === 'AEXPR_LIKE' || kind === 'AEXPR_ILIKE'
  if (isLike || operator === '~' || operator === '~*') {
    const isAll = (isLike ? LIKE_ALL : REGEX_ALL).has(literalText(rexpr) ?? 'x')
    return isAll && !operator.startsWith('!') ? 'always' : dependsOnRow(node, target)
  }
  if (kind === 'AEXPR_NOT_DISTINCT' && same(lexpr, rexpr, target)) return 'always'
  if (kind === 'AEXPR_DISTINCT' && same(lexpr, rexpr, target)) return 'never'
  if (kind !== 'AEXPR_OP') return dependsOnRow(node, target)
  const compared = compareLiterals(operator, lexpr, rexpr)
  if (compared !== undefined) return compared
  if (
    same(lexpr, rexpr, target) ||
    joinsItself(lexpr, rexpr, target) ||
    fallsBack(lexpr, rexpr, target)
  ) {
    if (operator === '=' || operator === '<=' || operator === '>=') return 'always'
    if (operator === '<>' || operator === '<' || operator === '>') return 'never'
  }
  return dependsOnRow(node, target)
}

function includes(items: readonly Node[], tested: Node | undefined, target: Target): boolean {
  if (tested === undefined) return false
  const key = keyOf(tested, target)
  return items.some(item => keyOf(item, target) === key)
}

/** `id = coalesce(id, 0)`, either way round. */
function fallsBack(a: Node | undefined, b: Node | undefined, target: Target): boolean {
  return [a, b].some((side, i, sides) => {
    const args = side !== undefined && 'CoalesceExpr' in side ? (side.CoalesceExpr.args ?? []) : []
    return args.some(arg => same(arg, sides[1 - i], target))
  })
}

/** The items of `IN (a, b)`, `ARRAY[a, b]` and BETWEEN's bounds. */
function elementsOf(node: Node | undefined): readonly Node[] {
  if (node === undefined) return []
  if ('List' in node) return node.List.items ?? []
  if ('A_ArrayExpr' in node) return node.A_ArrayExpr.elements ?? []
  return []
}

function literalText(node: Node | undefined): string | undefined {
  const bare = node === undefined ? undefined : stripCasts(node)
  return bare !== undefined && 'A_Const' in bare ? bare.A_Const.sval?.sval : undefined
}

/** A literal as a number or text; `undefined` for anything else, NULL included. */
function literalValue(node: Node | undefined): number | string | undefined {
  const bare = node === undefined ? undefined : stripCasts(node)
  if (bare === undefined || !('A_Const' in bare)) return undefined
  const { ival, fval, sval, isnull } = bare.A_Const
  if (isnull === true) return undefined
  if (ival !== undefined) return ival.ival ?? 0
  if (fval !== undefined) return Number(fval.fval)
  return sval === undefined ? undefined : (sval.sval ?? '')
}

function compareLiterals(
  operator: string,
  lexpr: Node | undefined,
  rexpr: Node | undefined,
): Outcome | undefined {
  const [a, b] = [literalValue(lexpr), literalValue(rexpr)]
  if (a === undefined || b === undefined) return undefined
  if (operator === '=' && typeof a === typeof b) return a === b ? 'always' : 'never'
  if (operator === '<>' && typeof a === typeof b) return a === b ? 'never' : 'always'
  if (typeof a === 'string' || typeof b === 'string') return 'fixed'
  if (operator === '<') return a < b ? 'always' : 'never'
  if (operator === '<=') return a <= b ? 'always' : 'never'
  if (operator === '>') return a > b ? 'always' : 'never'
  if (operator === '>=') return a >= b ? 'always' : 'never'
  return 'fixed'
}

/** `a.id = b.id` where both are the changed table. */
function joinsItself(a: Node | undefined, b: Node | undefined, target: Target): boolean {
  if (a === undefined || b === undefined || !('ColumnRef' in a) || !('ColumnRef' in b)) return false
  const column = lastName(a.ColumnRef)
  if (column === undefined || column !== lastName(b.ColumnRef)) return false
  const isSame = (reference: ColumnRef): boolean => {
    const qualifier = qualifierOf(reference)
    if (qualifier === undefined) return false
    if (qualifier === nameInStatement(target.relation)) return true
    return target.others.get(qualifier)?.relname === target.relation.relname
  }
  return isSame(a.ColumnRef) && isSame(b.ColumnRef)
}

/**
 * Whether an expression looks at the row that is changed. Inside a sub-select only a qualified
 * reference counts: an unqualified one most likely names a column of the sub-select, and taking it
 * for ours would let `EXISTS (SELECT 1 FROM other WHERE x = 1)` pass as a filter.
 */
export function dependsOnRow(node: Node, target: Target): Outcome {
  return findsTarget(node, target, false) ? 'row' : 'fixed'
}

function findsTarget(value: unknown, target: Target, isNested: boolean): boolean {
  if (Array.isArray(value)) return value.some(item => findsTarget(item, target, isNested))
  if (typeof value !== 'object' || value === null) return false
  for (const [key, child] of Object.entries(value)) {
    if (key === 'ColumnRef') {
      const reference: ColumnRef = child
      if (isNested && qualifierOf(reference) === undefined) continue
      if (columnOfTarget(reference, target) !== undefined) return true
    } else if (key === 'CurrentOfExpr') {
      return true
    } else if (findsTarget(child, target, isNested || key === 'subselect')) {
      return true
    }
  }
  return false
}
