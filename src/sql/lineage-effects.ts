import type { CatalogRelation, CatalogTrigger } from './catalog.ts'
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
  if (triggersOf(relation, command, trace).length > 0) trace.runsCode = true
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

/** The triggers that a command fires, on a table and on the children its rows may be in. */
export function triggersOf(
  relation: CatalogRelation,
  command: Command,
  trace: Trace,
): readonly CatalogTrigger[] {
  const found: CatalogTrigger[] = []
  const seen = new Set<number>()
  const pending = [relation.oid]
  for (let oid = pending.pop(); oid !== undefined; oid = pending.pop()) {
    const member = trace.catalog.relations.get(oid)
    if (member === undefined || seen.has(oid)) continue
    seen.add(oid)
    pending.push(...member.children)
    found.push(...member.triggers.filter(({ commands }) => commands.includes(command)))
  }
  return found
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
