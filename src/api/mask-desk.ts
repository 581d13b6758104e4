import type { ColumnPlan, Plan, Remembered } from '../mask/index.ts'
import type { Grant } from '../policy/index.ts'
import type { Analysis, Catalog, Lineage, Origin, Statement } from '../sql/index.ts'

/** The schema of a database, and what is remembered of its columns. */
export type Schema = { readonly catalog: Catalog; readonly memory: readonly Remembered[] }

/** Says where what a statement shows comes from. */
export type Trace = (statement: Statement, catalog: Catalog) => Lineage

/** One column of a result, for people to read. `mask` is undefined for what is shown. */
export type ExplainedColumn = {
  readonly name: string
  /** The columns it comes from, as `public.users.email`. */
  readonly from: readonly string[]
  /** `email`, `keep 0 4`; undefined: it is shown. */
  readonly mask: string | undefined
  readonly why: string
  readonly at: string | undefined
}

/** What masks make of a text. `columns` are those of the last statement that returns rows. */
export type ExplainedMasks = {
  readonly plan: Plan
  readonly columns: readonly ExplainedColumn[]
  readonly masked: number
}

/** Says what masks make of a text: of several statements the strictest answer, over all of them. */
export async function explainMasks(
  { masks }: Grant,
  agent: string | undefined,
  analysis: Analysis,
  { catalog, memory }: Schema,
  trace: Trace,
): Promise<ExplainedMasks | undefined> {
  const { bindMasks } = await import('../policy/index.ts')
  const { planMasks, selectMasks } = await import('../mask/index.ts')
  const rules = bindMasks(masks, agent)
  if (rules.length === 0 || !analysis.ok) return undefined
  const set = selectMasks(rules, catalog, memory)
  const traced = analysis.statements.map(statement => {
    const lineage = trace(statement, catalog)
    return { lineage, plan: planMasks(set, lineage, catalog) }
  })
  const last = traced.findLast(({ lineage }) => (lineage.columns?.length ?? 0) > 0)
  const strictest = traced.toSorted((a, b) => ORDER[a.plan.outcome] - ORDER[b.plan.outcome])[0]
  const columns = last === undefined ? [] : columnsOf(last, catalog)
  return {
    plan: strictest?.plan ?? { outcome: 'clear' },
    columns,
    masked: columns.filter(({ mask }) => mask !== undefined).length,
  }
}

const ORDER = { deny: 0, approve: 1, guard: 2, clear: 3 } as const

type Traced = { readonly lineage: Lineage; readonly plan: Plan }

/** What is refused shows nothing, and what is clear shows all there is. */
function columnsOf({ lineage, plan }: Traced, catalog: Catalog): readonly ExplainedColumn[] {
  if (plan.outcome === 'deny') return []
  const guard = plan.outcome === 'approve' ? plan.guard : plan
  if (guard.outcome === 'guard') return (guard.columns ?? []).map(one => planned(one, catalog))
  return (lineage.columns ?? []).map(({ name, from }) => {
    const why = 'no mask matches'
    return { name, from: namesOf(catalog, from), mask: undefined, why, at: undefined }
  })
}

function planned({ name, from, mask, why, at }: ColumnPlan, catalog: Catalog): ExplainedColumn {
  const more = mask === null ? [] : Object.entries(mask).filter(([key]) => key !== 'kind')
  const spelled = mask && [mask.kind, ...more.map(([, value]) => String(value))].join(' ')
  return { name, from: namesOf(catalog, from), mask: spelled ?? undefined, why, at }
}

/** A view passes on what tables hold: those are named, unless there are only views. */
function namesOf(catalog: Catalog, from: readonly Origin[]): readonly string[] {
  const found = from.flatMap(({ relation, column }) => {
    const known = catalog.relations.get(relation)
    const name = known?.columns.find(({ number }) => number === column)?.name
    if (known === undefined || name === undefined) return []
    return { name: `${known.schema}.${known.name}.${name}`, isView: known.kind === 'v' }
  })
  const tables = found.filter(({ isView }) => !isView)
  return [...new Set((tables.length > 0 ? tables : found).map(({ name }) => name))]
}
