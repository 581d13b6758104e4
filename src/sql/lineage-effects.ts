import type { CatalogRelation } from './catalog.ts'
import { traceDefinition, traceExpressionText } from './lineage-texts.ts'
import type { Trace } from './lineage-trace.ts'
import { derived } from './lineage-value.ts'
import type { Command } from './raw.ts'

/** Notes what else happens when rows are changed: triggers, rules, and expressions that call code. */
export function noteEffects(
  relation: CatalogRelation,
  command: Command,
  trace: Trace,
  depth = 0,
): void {
  const spelledName = `${relation.schema}.${relation.name}`
  if (relation.rules.some(rule => rule.command === command))
    trace.refuse(`a rule of ${spelledName}`)
  if (relation.triggers.some(({ commands }) => commands.includes(command))) trace.runsCode = true
  noteExpressions(relation, command, trace)
  if (relation.definition === undefined) return
  // Changing a view changes the tables behind it.
  const behind = trace.once(`view ${relation.oid}`, [], inner =>
    traceDefinition(relation.definition ?? '', inner),
  )
  for (const oid of behind.relations) {
    const other = trace.catalog.relations.get(oid)
    if (other !== undefined && depth < 32 && other !== relation)
      noteEffects(other, command, trace, depth + 1)
  }
}

/** Policies, defaults, checks and indexes: what they compute is not shown, but code in them may tell. */
export function noteExpressions(relation: CatalogRelation, command: Command, trace: Trace): void {
  const texts = relation.expressions.filter(({ commands }) => commands.includes(command))
  if (texts.length === 0) return
  const traced = trace.once(`expressions ${relation.oid} ${command}`, [], inner => {
    const columns = relation.columns.map(column => ({
      name: column.name,
      value: derived(new Set([inner.shared.origins.of(relation.oid, column.number)])),
    }))
    for (const { text } of texts) traceExpressionText(text, columns, inner)
    return undefined
  })
  if (traced.runsCode || [...traced.unknown].length > 0) trace.runsCode = true
  for (const oid of traced.relations) trace.relations.add(oid)
}
