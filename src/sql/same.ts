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

/** Whether two expressions are the same but for layout, casts and the target's own qualifier. */
export function same(a: Node | undefined, b: Node | undefined, target: Target): boolean {
  return a !== undefined && b !== undefined && keyOf(a, target) === keyOf(b, target)
}

/**
 * A text that two expressions share if they are the same but for layout, casts and the target's own
 * qualifier.
 */
export function keyOf(node: Node, target: Target): string {
  return render(stripCasts(node), target)
}

function render(value: unknown, target: Target): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(item => render(item, target)).join()}]`
  let text = '{'
  for (const [key, child] of Object.entries(value)) {
    if (key === 'location') continue
    text += key
    text += key === 'ColumnRef' ? renderColumn(child, target) : render(bare(child), target)
  }
  return `${text}}`
}

/** A field can hold a node in its wrapper, a list, or the inside of one. */
function bare(value: unknown): unknown {
  return isWrapped(value) ? stripCasts(value) : value
}

function isWrapped(value: unknown): value is Node {
  if (typeof value !== 'object' || value === null) return false
  return 'TypeCast' in value || 'CollateClause' in value || 'A_Expr' in value
}

function renderColumn(reference: ColumnRef, target: Target): string {
  const own = target.others.size === 0 ? nameInStatement(target.relation) : ''
  return JSON.stringify([qualifierOf(reference) ?? own, lastName(reference)])
}

/** A condition as a text and whether it is affirmed: `NOT a = b` is `a = b`, denied. */
export function polarity(node: Node, target: Target): { key: string; isAffirmed: boolean } {
  if ('BoolExpr' in node && node.BoolExpr.boolop === 'NOT_EXPR') {
    const [arg] = node.BoolExpr.args ?? []
    if (arg !== undefined) {
      const { key, isAffirmed } = polarity(arg, target)
      return { key, isAffirmed: !isAffirmed }
    }
  }
  if ('NullTest' in node && node.NullTest.arg !== undefined) {
    const isAffirmed = node.NullTest.nulltesttype === 'IS_NULL'
    return { key: `null ${keyOf(node.NullTest.arg, target)}`, isAffirmed }
  }
  if ('BooleanTest' in node && node.BooleanTest.arg !== undefined) {
    const test = node.BooleanTest.booltesttype ?? ''
    const key = `${test.replace('NOT_', '')} ${keyOf(node.BooleanTest.arg, target)}`
    return { key, isAffirmed: !test.includes('NOT_') }
  }
  if ('A_Expr' in node) return operatorPolarity(node.A_Expr, target)
  return { key: keyOf(node, target), isAffirmed: true }
}

/** Operators as another one, denied or with its sides changed. */
const AS_OTHER: Readonly<
  Record<string, readonly [operator: string, denied: boolean, swapped: boolean]>
> = {
  '<>': ['=', true, false],
  '>=': ['<', true, false],
  '>': ['<', false, true],
  '<=': ['<', true, true],
  '!~~': ['~~', true, false],
  '!~~*': ['~~*', true, false],
  '!~': ['~', true, false],
  '!~*': ['~*', true, false],
  'NOT BETWEEN': ['BETWEEN', true, false],
}

function operatorPolarity(
  { kind = 'AEXPR_OP', name, lexpr, rexpr }: A_Expr,
  target: Target,
): { key: string; isAffirmed: boolean } {
  const last = name?.at(-1)
  const symbol = last !== undefined && 'String' in last ? (last.String.sval ?? '') : ''
  const other = Object.hasOwn(AS_OTHER, symbol) ? AS_OTHER[symbol] : undefined
  const [operator, isDenied, isSwapped] = other ?? [symbol, false, false]
  const sides = [lexpr, rexpr].map(side => (side === undefined ? '' : keyOf(side, target)))
  if (isSwapped) sides.reverse()
  if (operator === '=' && kind === 'AEXPR_OP') sides.sort()
  const shape = kind.replace('NOT_', '')
  return {
    key: `${shape} ${operator} ${sides.join(' ')}`,
    isAffirmed: !isDenied && kind !== 'AEXPR_NOT_DISTINCT',
  }
}
