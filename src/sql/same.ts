import type { A_Expr, ColumnRef, Node } from 'libpg-query'
import { lastName, nameInStatement, qualifierOf, type Target } from './columns.ts'

/** Takes away what does not change a value: casts, collations, `+ 0`, `* 1`, `|| ''`. */
export function stripCasts(node: Node): Node {
  let bare = node
  for (;;) {
    if ('TypeCast' in bare && bare.TypeCast.arg !== undefined) bare = bare.TypeCast.arg
    else if ('CollateClause' in bare && bare.CollateClause.arg !== undefined) {
      bare = bare.CollateClause.arg
    } else {
      const inner = 'A_Expr' in bare ? withoutNeutral(bare.A_Expr) : undefined
      if (inner === undefined) return bare
      bare = inner
    }
  }
}

/** `x + 0` is x. */
function withoutNeutral({ kind, name, lexpr, rexpr }: A_Expr): Node | undefined {
  const [symbol] = name ?? []
  if (kind !== 'AEXPR_OP' || symbol === undefined || !('String' in symbol)) return undefined
  if (rexpr === undefined || !('A_Const' in rexpr)) return undefined
  const { ival, sval } = rexpr.A_Const
  const operator = symbol.String.sval
  const isZero = ival !== undefined && (ival.ival ?? 0) === 0
  if ((operator === '+' || operator === '-') && isZero) return lexpr
  if ((operator === '*' || operator === '/') && ival?.ival === 1) return lexpr
  return operator === '||' && sval !== undefined && (sval.sval ?? '') === '' ? lexpr : undefined
}

/** Whether two expressions are the same text but for layout, casts and the target's own qualifier. */
export function same(a: Node | undefined, b: Node | undefined, target: Target): boolean {
  if (a === undefined || b === undefined) return false
  return equal(stripCasts(a), stripCasts(b), target)
}

function equal(a: unknown, b: unknown, target: Target): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false
    return a.every((item, i) => equal(item, b[i], target))
  }
  const right = new Map<string, unknown>(Object.entries(b))
  let count = 0
  for (const [key, value] of Object.entries(a)) {
    if (key === 'location') continue
    count += 1
    const other = right.get(key)
    if (key === 'ColumnRef' && isColumn(value) && isColumn(other)) {
      if (!sameColumn(value, other, target)) return false
    } else if (!right.has(key) || !equal(value, other, target)) return false
  }
  return count === right.size - (right.has('location') ? 1 : 0)
}

function isColumn(value: unknown): value is ColumnRef {
  return typeof value === 'object' && value !== null && 'fields' in value
}

function sameColumn(a: ColumnRef, b: ColumnRef, target: Target): boolean {
  const own = nameInStatement(target.relation)
  const qualified = (reference: ColumnRef): string =>
    qualifierOf(reference) ?? (target.others.size === 0 ? own : '')
  return lastName(a) === lastName(b) && qualified(a) === qualified(b)
}
