import type { A_Const, BoolExpr, Node, NullTest, SelectStmt, SubLink } from 'libpg-query'
import { columnOfTarget, lastName, nameInStatement, type Target, WHOLE_ROW } from './columns.ts'
import { dependsOnRow, evaluateOperator, type Outcome, operatorOf } from './comparison.ts'
import { same, stripCasts } from './same.ts'

/** How much a WHERE holds back: `trivial` is there but lets every row pass, or may do so by a parameter alone. */
export type WhereStrength = 'none' | 'missing' | 'trivial' | 'present'

const WEAKEST_FIRST: readonly WhereStrength[] = ['missing', 'trivial', 'present', 'none']

/** Returns the weaker of two. */
export function weaker(a: WhereStrength, b: WhereStrength): WhereStrength {
  return WEAKEST_FIRST.indexOf(a) <= WEAKEST_FIRST.indexOf(b) ? a : b
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

/** Never null. */
const SYSTEM_COLUMNS = new Set(['ctid', 'tableoid', 'xmin', 'xmax', 'cmin', 'cmax'])

function evaluateNullTest(test: NullTest, node: Node, target: Target): Outcome {
  const arg = test.arg === undefined ? undefined : stripCasts(test.arg)
  if (arg === undefined) return 'fixed'
  const isNotNullTest = test.nulltesttype === 'IS_NOT_NULL'
  if ('A_Const' in arg) {
    return (arg.A_Const.isnull === true) === isNotNullTest ? 'never' : 'always'
  }
  if ('ColumnRef' in arg) {
    const column = columnOfTarget(arg.ColumnRef, target)
    if (column !== undefined && (SYSTEM_COLUMNS.has(column) || target.isNotNull(column))) {
      return isNotNullTest ? 'always' : 'never'
    }
    // `t IS NOT NULL` looks at a whole row: whether that ever excludes one can't be told here.
    if (column === undefined || column === WHOLE_ROW) return 'fixed'
  }
  return dependsOnRow(node, target)
}

function evaluateSubLink(link: SubLink, node: Node, target: Target): Outcome {
  const [name] = link.operName ?? []
  const operator = name !== undefined && 'String' in name ? name.String.sval : undefined
  const select =
    link.subselect !== undefined && 'SelectStmt' in link.subselect
      ? link.subselect.SelectStmt
      : undefined
  if (link.subLinkType === 'EXISTS_SUBLINK' && select !== undefined) {
    return evaluateExists(select, node, target)
  }
  if (link.subLinkType === 'ANY_SUBLINK' && (operator ?? '=') === '=') {
    if (select !== undefined && selectsSameColumn(link.testexpr, select, target)) return 'always'
  }
  return dependsOnRow(node, target)
}

/** A sub-select that has its one row, or none, whatever the row outside; one that looks for the row itself finds it. */
function evaluateExists(select: SelectStmt, node: Node, target: Target): Outcome {
  const from = select.fromClause ?? []
  const others = new Map(target.others)
  for (const item of from) {
    if ('RangeVar' in item) others.set(nameInStatement(item.RangeVar), item.RangeVar)
  }
  const isPlain = select.op === 'SETOP_NONE' && select.limitCount === undefined
  if (!isPlain || select.havingClause !== undefined) return dependsOnRow(node, target)
  const outcome =
    select.whereClause === undefined
      ? 'always'
      : evaluate(select.whereClause, { ...target, others })
  if (outcome === 'never') return 'never'
  if (outcome === 'always') return from.length === 0 ? 'always' : 'fixed'
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
