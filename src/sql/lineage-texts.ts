import { fromItem, Level, NO_FROM } from './lineage-names.ts'
import type { Trace } from './lineage-trace.ts'
import { CONSTANT, type Column, type Value } from './lineage-value.ts'

/** The query of a view, as PostgreSQL writes it. */
export function traceDefinition(text: string, trace: Trace): readonly Column[] | undefined {
  const nodes = trace.shared.parse(text)
  const [node] = nodes ?? []
  if (node === undefined || nodes?.length !== 1) return undefined
  return trace.query(node, undefined)
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
  return trace.evaluate(expression, level)
}
