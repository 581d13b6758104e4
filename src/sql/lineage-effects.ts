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
  for (const member of familyOf(relation, trace)) noteExpressions(member, command, trace)
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

const ALL_OF_A_MOVE: readonly Command[] = ['INSERT', 'UPDATE', 'DELETE']

/**
 * The triggers that a command fires, on a table and on the children its rows may be in. An UPDATE that moves a row to
 * another partition deletes and inserts it there.
 */
export function triggersOf(
  relation: CatalogRelation,
  command: Command,
  trace: Trace,
): readonly CatalogTrigger[] {
  const isMove = command === 'UPDATE' && relation.kind === 'p'
  const fired = isMove ? ALL_OF_A_MOVE : [command]
  return familyOf(relation, trace).flatMap(({ triggers }) =>
    triggers.filter(({ commands }) => commands.some(each => fired.includes(each))),
  )
}

/** A relation and all that its rows may be in. */
function familyOf(relation: CatalogRelation, trace: Trace): readonly CatalogRelation[] {
  const found = new Map<number, CatalogRelation>()
  const pending = [relation.oid]
  for (let oid = pending.pop(); oid !== undefined; oid = pending.pop()) {
    const member = trace.catalog.relations.get(oid)
    if (member === undefined || found.has(oid)) continue
    found.set(oid, member)
    pending.push(...member.children)
  }
  return [...found.values()]
}

/**
 * Policies, defaults, checks and indexes: code in them may tell what it reads, and what fills a column stays there.
 */
export function noteExpressions(relation: CatalogRelation, command: Command, trace: Trace): void {
  const texts = relation.expressions.filter(({ commands }) => commands.includes(command))
  if (texts.length === 0) return
  const { origins } = trace.shared
  const traced = trace.once(`expressions ${relation.oid} ${command}`, [], inner => {
    const columns = relation.columns.map(column => ({
      name: column.name,
      value: derived(new Set([origins.of(relation.oid, column.number)])),
    }))
    return texts.flatMap(({ text, column }) => {
      const { from } = traceExpressionText(text, columns, inner)
      // What comes from the row itself is in the row already.
      const others = [...from].filter(origin => origin.relation !== relation.oid)
      const name = relation.columns.find(({ number }) => number === column)?.name
      return name === undefined ? [] : [{ name, value: derived(new Set(others)) }]
    })
  })
  if (traced.runsCode || [...traced.unknown].length > 0) trace.runsCode = true
  for (const oid of traced.relations) trace.relations.add(oid)
  for (const { name, value } of traced.columns ?? []) {
    const number = relation.columns.find(column => column.name === name)?.number
    const target = number === undefined ? undefined : origins.of(relation.oid, number)
    if (value.from.size > 0) trace.store(target, value.from, `column ${relation.name}.${name}`)
  }
}
