import type {
  A_Const,
  A_Expr,
  BoolExpr,
  ColumnRef,
  Node,
  NullTest,
  RangeVar,
  SelectStmt,
  SubLink,
} from 'libpg-query'

/** How much a WHERE holds back: `trivial` is there but lets every row pass, or may do so by a parameter alone. */
export type WhereStrength = 'none' | 'missing' | 'trivial' | 'present'

const WEAKEST_FIRST: readonly WhereStrength[] = ['missing', 'trivial', 'present', 'none']

/** Returns the weaker of two. */
export function weaker(a: WhereStrength, b: WhereStrength): WhereStrength {
  return WEAKEST_FIRST.indexOf(a) <= WEAKEST_FIRST.indexOf(b) ? a : b
}

/**
 * What a condition comes to for the rows of the changed table: `always` (or null, which only ever excludes rows by
 * accident), `never`, `fixed`: the same for every row but not known here, `row`: it depends on the row.
 */
type Outcome = 'always' | 'never' | 'fixed' | 'row'

/** The changed table, what else is in FROM, and what a catalog knows of its columns. */
export type Target = {
  readonly relation: RangeVar
  /** Relations beside the target by the name they have in the statement. */
  readonly others: ReadonlyMap<string, RangeVar>
  readonly isNotNull: (column: string) => boolean
}

/** Says how strong a condition on a target is; `undefined` is a condition that is not there. */
export function whereStrength(condition: Node | undefined, target: Target): WhereStrength {
  if (condition === undefined) return 'missing'
  const outcome = evaluate(condition, target)
  return outcome === 'always' || outcome === 'fixed' ? 'trivial' : 'present'
}

/** Whether a condition may be true for every row, taking `undefined` as true. */
export function isEffective(condition: Node | undefined, target: Target): boolean {
  return whereStrength(condition, target) === 'present'
}

function evaluate(node: Node, target: Target): Outcome {
  if ('A_Const' in node) return constantTruth(node.A_Const)
  if ('BoolExpr' in node) return evaluateBool(node.BoolExpr, target)
  if ('A_Expr' in node) return evaluateOperator(node.A_Expr, node, target)
  if ('NullTest' in node) return evaluateNullTest(node.NullTest, node, target)
  if ('SubLink' in node) return evaluateSubLink(node.SubLink, node, target)
  if ('TypeCast' in node && node.TypeCast.arg !== undefined) {
    return evaluate(node.TypeCast.arg, target)
  }
  if ('BooleanTest' in node && node.BooleanTest.arg !== undefined) {
    const inner = evaluate(node.BooleanTest.arg, target)
    switch (node.BooleanTest.booltesttype) {
      case 'IS_TRUE':
        return inner
      case 'IS_NOT_FALSE':
        return inner === 'never' ? 'row' : inner
      case 'IS_FALSE':
      case 'IS_NOT_TRUE':
        return negate(inner)
      default:
        return dependsOnRow(node, target)
    }
  }
  if ('CoalesceExpr' in node) return agree(node.CoalesceExpr.args ?? [], node, target)
  if ('CaseExpr' in node) {
    const results = (node.CaseExpr.args ?? []).flatMap(arm =>
      'CaseWhen' in arm && arm.CaseWhen.result !== undefined ? [arm.CaseWhen.result] : [],
    )
    if (node.CaseExpr.defresult === undefined) return dependsOnRow(node, target)
    return agree([...results, node.CaseExpr.defresult], node, target)
  }
  return dependsOnRow(node, target)
}

/** All branches come to the same: then so does the whole, whichever is taken. */
function agree(branches: readonly Node[], whole: Node, target: Target): Outcome {
  const outcomes = new Set(branches.map(branch => evaluate(branch, target)))
  const [only] = outcomes
  if (outcomes.size === 1 && (only === 'always' || only === 'never')) return only
  return dependsOnRow(whole, target)
}

function negate(outcome: Outcome): Outcome {
  if (outcome === 'always') return 'never'
  return outcome === 'never' ? 'always' : outcome
}

function constantTruth(constant: A_Const): Outcome {
  if (constant.isnull === true) return 'never'
  if (constant.boolval !== undefined) return constant.boolval.boolval === true ? 'always' : 'never'
  if (constant.ival !== undefined) return (constant.ival.ival ?? 0) === 0 ? 'never' : 'always'
  const text = constant.sval?.sval?.trim().toLowerCase()
  if (text === undefined || text === '') return 'fixed'
  if ('true'.startsWith(text) || 'yes'.startsWith(text) || text === 'on' || text === '1') {
    return 'always'
  }
  if ('false'.startsWith(text) || 'no'.startsWith(text) || text === 'off' || text === '0') {
    return 'never'
  }
  return 'fixed'
}

function evaluateBool(bool: BoolExpr, target: Target): Outcome {
  const args = bool.args ?? []
  if (bool.boolop === 'NOT_EXPR') {
    const [arg] = args
    return arg === undefined ? 'fixed' : negate(evaluate(arg, target))
  }
  const outcomes = args.map(arg => evaluate(arg, target))
  if (bool.boolop === 'AND_EXPR') {
    if (outcomes.includes('never')) return 'never'
    if (outcomes.includes('row')) return 'row'
    return outcomes.includes('fixed') ? 'fixed' : 'always'
  }
  if (outcomes.includes('always') || hasComplements(args, target)) return 'always'
  if (outcomes.includes('fixed')) return 'fixed'
  return outcomes.includes('row') ? 'row' : 'never'
}

const NEGATED: Readonly<Record<string, string>> = {
  '=': '<>',
  '<>': '=',
  '<': '>=',
  '>=': '<',
  '>': '<=',
  '<=': '>',
}

/** Comparing every pair is quadratic: more alternatives than this are not compared. */
const MAX_COMPARED = 24

/** Whether two alternatives of an OR are each other's opposite, as in `x IS NULL OR x IS NOT NULL`. */
function hasComplements(args: readonly Node[], target: Target): boolean {
  if (args.length > MAX_COMPARED) return false
  return args.some((a, i) => args.slice(i + 1).some(b => areComplements(a, b, target)))
}

function areComplements(a: Node, b: Node, target: Target): boolean {
  if ('NullTest' in a && 'NullTest' in b) {
    return (
      a.NullTest.nulltesttype !== b.NullTest.nulltesttype &&
      same(a.NullTest.arg, b.NullTest.arg, target)
    )
  }
  for (const [one, other] of [
    [a, b],
    [b, a],
  ]) {
    if (one !== undefined && 'BoolExpr' in one && one.BoolExpr.boolop === 'NOT_EXPR') {
      return same(one.BoolExpr.args?.[0], other, target)
    }
  }
  if (!('A_Expr' in a && 'A_Expr' in b)) return false
  const [left, right] = [operatorOf(a.A_Expr), operatorOf(b.A_Expr)]
  return (
    a.A_Expr.kind === 'AEXPR_OP' &&
    b.A_Expr.kind === 'AEXPR_OP' &&
    left !== undefined &&
    NEGATED[left] === right &&
    same(a.A_Expr.lexpr, b.A_Expr.lexpr, target) &&
    same(a.A_Expr.rexpr, b.A_Expr.rexpr, target)
  )
}

function operatorOf(expression: A_Expr): string | undefined {
  const last = expression.name?.at(-1)
  return last !== undefined && 'String' in last ? last.String.sval : undefined
}

/** Patterns that any text matches. */
const MATCHES_ALL = new Set(['%', '%%', '.*', '^', '$', '^.*', '.*$', '^.*$', ''])

function evaluateOperator(expression: A_Expr, node: Node, target: Target): Outcome {
  const { lexpr, rexpr, kind } = expression
  const operator = operatorOf(expression) ?? ''
  if (kind === 'AEXPR_IN' || kind === 'AEXPR_OP_ANY') {
    const items = elementsOf(rexpr)
    const holds = operator === '=' && items.some(item => same(lexpr, item, target))
    return holds ? 'always' : dependsOnRow(node, target)
  }
  if (kind === 'AEXPR_BETWEEN' || kind === 'AEXPR_BETWEEN_SYM') {
    const bounds = elementsOf(rexpr)
    const holds = bounds.length > 0 && bounds.every(bound => same(lexpr, bound, target))
    return holds ? 'always' : dependsOnRow(node, target)
  }
  if (kind === 'AEXPR_LIKE' || kind === 'AEXPR_ILIKE' || operator === '~' || operator === '~*') {
    const isAll = !operator.startsWith('!') && MATCHES_ALL.has(literalText(rexpr) ?? 'x')
    return isAll ? 'always' : dependsOnRow(node, target)
  }
  if (kind === 'AEXPR_NOT_DISTINCT' && same(lexpr, rexpr, target)) return 'always'
  if (kind === 'AEXPR_DISTINCT' && same(lexpr, rexpr, target)) return 'never'
  if (kind !== 'AEXPR_OP') return dependsOnRow(node, target)
  const compared = compareLiterals(operator, lexpr, rexpr)
  if (compared !== undefined) return compared
  if (same(lexpr, rexpr, target) || joinsItself(lexpr, rexpr, target)) {
    if (operator === '=' || operator === '<=' || operator === '>=') return 'always'
    if (operator === '<>' || operator === '<' || operator === '>') return 'never'
  }
  return dependsOnRow(node, target)
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

function evaluateNullTest(test: NullTest, node: Node, target: Target): Outcome {
  const arg = test.arg === undefined ? undefined : stripCasts(test.arg)
  if (arg === undefined) return 'fixed'
  const isNotNullTest = test.nulltesttype === 'IS_NOT_NULL'
  if ('A_Const' in arg) {
    return (arg.A_Const.isnull === true) === isNotNullTest ? 'never' : 'always'
  }
  if ('ColumnRef' in arg) {
    const column = columnOfTarget(arg.ColumnRef, target)
    if (column !== undefined && target.isNotNull(column)) return isNotNullTest ? 'always' : 'never'
    // `t IS NOT NULL` looks at a whole row: whether that ever excludes one can't be told here.
    if (column === undefined || column === WHOLE_ROW) return 'fixed'
  }
  return dependsOnRow(node, target)
}

function evaluateSubLink(link: SubLink, node: Node, target: Target): Outcome {
  const select =
    link.subselect !== undefined && 'SelectStmt' in link.subselect
      ? link.subselect.SelectStmt
      : undefined
  if (link.subLinkType === 'EXISTS_SUBLINK') {
    const isBare =
      select !== undefined &&
      select.fromClause === undefined &&
      select.whereClause === undefined &&
      select.limitCount === undefined &&
      select.op === 'SETOP_NONE'
    return isBare ? 'always' : dependsOnRow(node, target)
  }
  if (link.subLinkType === 'ANY_SUBLINK' && link.operName === undefined) {
    if (select !== undefined && selectsSameColumn(link.testexpr, select, target)) return 'always'
  }
  return dependsOnRow(node, target)
}

/** `id IN (SELECT id FROM t)` over the changed table itself, unfiltered. */
function selectsSameColumn(tested: Node | undefined, select: SelectStmt, target: Target): boolean {
  const [from] = select.fromClause ?? []
  const [output] = select.targetList ?? []
  if (select.whereClause !== undefined || select.limitCount !== undefined) return false
  if (select.fromClause?.length !== 1 || from === undefined || !('RangeVar' in from)) return false
  if (from.RangeVar.relname !== target.relation.relname) return false
  if (output === undefined || !('ResTarget' in output) || tested === undefined) return false
  const value = output.ResTarget.val
  return (
    value !== undefined &&
    'ColumnRef' in tested &&
    'ColumnRef' in value &&
    lastName(tested.ColumnRef) !== undefined &&
    lastName(tested.ColumnRef) === lastName(value.ColumnRef)
  )
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

const WHOLE_ROW = '*'

/** The name a relation goes by within its statement. */
export function nameInStatement(relation: RangeVar): string {
  return relation.alias?.aliasname ?? relation.relname ?? ''
}

function fieldNames(reference: ColumnRef): readonly string[] {
  return (reference.fields ?? []).map(field =>
    'String' in field ? (field.String.sval ?? '') : WHOLE_ROW,
  )
}

function lastName(reference: ColumnRef): string | undefined {
  return fieldNames(reference).at(-1)
}

function qualifierOf(reference: ColumnRef): string | undefined {
  return fieldNames(reference).at(-2)
}

/** The target's column that a reference at the statement's own level names, or undefined for another's. */
function columnOfTarget(reference: ColumnRef, target: Target): string | undefined {
  const column = lastName(reference)
  const qualifier = qualifierOf(reference)
  if (qualifier !== undefined) {
    return qualifier === nameInStatement(target.relation) ? column : undefined
  }
  if (column === nameInStatement(target.relation)) return WHOLE_ROW
  return column !== undefined && target.others.has(column) ? undefined : column
}

/**
 * Whether an expression looks at the row that is changed. Inside a sub-select only a qualified reference counts: an
 * unqualified one most likely names a column of the sub-select, and taking it for ours would let
 * `EXISTS (SELECT 1 FROM other WHERE x = 1)` pass as a filter.
 */
function dependsOnRow(node: Node, target: Target): Outcome {
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

function stripCasts(node: Node): Node {
  let bare = node
  for (;;) {
    if ('TypeCast' in bare && bare.TypeCast.arg !== undefined) bare = bare.TypeCast.arg
    else if ('CollateClause' in bare && bare.CollateClause.arg !== undefined) {
      bare = bare.CollateClause.arg
    } else return bare
  }
}

/** Whether two expressions are the same text but for layout, casts and the target's own qualifier. */
function same(a: Node | undefined, b: Node | undefined, target: Target): boolean {
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
