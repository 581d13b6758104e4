import type {
  A_Const,
  BoolExpr,
  BooleanTest,
  CaseExpr,
  Node,
  NullTest,
  SelectStmt,
  SubLink,
} from 'libpg-query'
import { columnOfTarget, lastName, nameInStatement, type Target, WHOLE_ROW } from './columns.ts'
import { dependsOnRow, evaluateOperator, type Outcome } from './comparison.ts'
import { polarity, stripCasts } from './same.ts'

/**
 * How much a WHERE holds back: `trivial` is there but lets every row pass, or may do so by a
 * parameter alone.
 */
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
  if ('BooleanTest' in node) return evaluateBooleanTest(node.BooleanTest, node, target)
  if ('CoalesceExpr' in node) {
    const outcomes = new Set((node.CoalesceExpr.args ?? []).map(arg => evaluate(arg, target)))
    return unanimous(outcomes) ?? 'fixed'
  }
  if ('CaseExpr' in node) return evaluateCase(node.CaseExpr, target)
  return dependsOnRow(node, target)
}

function evaluateBooleanTest(test: BooleanTest, node: Node, target: Target): Outcome {
  const { arg, booltesttype } = test
  if (arg === undefined || booltesttype?.endsWith('UNKNOWN') === true) {
    return dependsOnRow(node, target)
  }
  const inner = evaluate(arg, target)
  if (booltesttype === 'IS_TRUE') return inner
  if (booltesttype === 'IS_NOT_FALSE') return inner === 'never' ? 'row' : inner
  return negate(inner)
}

function evaluateCase(choice: CaseExpr, target: Target): Outcome {
  const arms = (choice.args ?? []).flatMap(arm => ('CaseWhen' in arm ? [arm.CaseWhen] : []))
  const results = [...arms.map(arm => arm.result), choice.defresult]
  const outcomes = new Set(
    // Without ELSE it is null, which lets no row pass.
    results.map(result => (result === undefined ? 'never' : evaluate(result, target))),
  )
  const agreed = unanimous(outcomes)
  if (agreed !== undefined) return agreed
  // Whichever arm is taken, it lets the row pass or may do so.
  if (!outcomes.has('never')) return 'fixed'
  const conditions = [choice.arg, ...arms.map(arm => arm.expr)].flatMap(part => part ?? [])
  const isByRow = conditions.some(condition => dependsOnRow(condition, target) === 'row')
  return isByRow ? 'row' : 'fixed'
}

/**
 * All branches come to the same: then so does the whole, whichever is taken. One by the row makes
 * it depend on the row.
 */
function unanimous(outcomes: ReadonlySet<Outcome>): Outcome | undefined {
  const [only] = outcomes
  if (outcomes.size === 1) return only
  return outcomes.has('row') ? 'row' : undefined
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
  const parts = flatten(bool)
  const outcomes = parts.map(part => evaluate(part, target))
  if (bool.boolop === 'AND_EXPR') {
    if (outcomes.includes('never') || hasOpposites(parts, target)) return 'never'
    if (outcomes.includes('row')) return 'row'
    return outcomes.includes('fixed') ? 'fixed' : 'always'
  }
  if (outcomes.includes('always') || hasOpposites(parts, target)) return 'always'
  if (outcomes.includes('fixed')) return 'fixed'
  return outcomes.includes('row') ? 'row' : 'never'
}

/** The parts of an AND or OR, those of the same within it among them. */
function flatten(bool: BoolExpr): readonly Node[] {
  const parts: Node[] = []
  const pending = [...(bool.args ?? [])].reverse()
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    if ('BoolExpr' in part && part.BoolExpr.boolop === bool.boolop) {
      pending.push(...[...(part.BoolExpr.args ?? [])].reverse())
    } else parts.push(part)
  }
  return parts
}

/** Whether one part says what another denies, as in `x IS NULL OR x IS NOT NULL`. */
function hasOpposites(parts: readonly Node[], target: Target): boolean {
  const seen = new Map<string, boolean>()
  return parts.some(part => {
    const { key, isAffirmed } = polarity(part, target)
    const before = seen.get(key)
    seen.set(key, isAffirmed)
    return before !== undefined && before !== isAffirmed
  })
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

/**
 * A sub-select that has its one row, or none, whatever the row outside; one that looks for the row
 * itself finds it.
 */
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
