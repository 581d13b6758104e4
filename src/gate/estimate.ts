import type { Statement } from '../sql/index.ts'

/** What the database's planner expects; `rows` is undefined where it could not be asked. Units: `at` is epoch milliseconds. */
export type Estimate = { readonly rows: number | undefined; readonly at: number }

/** How long an estimate is taken for. */
export const ESTIMATE_AGE_MS = 30_000

const PLANNED = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE']
/** Settings of a session under which a text still means the same rows, near enough for an estimate. */
const HARMLESS = [
  'client_encoding',
  'datestyle',
  'intervalstyle',
  'timezone',
  'extra_float_digits',
  'application_name',
  'bytea_output',
  'standard_conforming_strings',
  'statement_timeout',
]

/**
 * The EXPLAIN to ask for an estimate of a text, or undefined where it must not be asked: planning evaluates
 * functions, so that what is not known to be harmless is not planned before somebody has agreed to it; and where
 * names may mean something else in the session, the answer would be about something else. It never has ANALYZE.
 */
export function explainFor(
  statements: readonly Statement[],
  hasParameters: boolean,
  settings: Readonly<Record<string, string>>,
  format: 'JSON' | 'TEXT' = 'JSON',
): string | undefined {
  const [statement, ...others] = statements
  if (statement === undefined || others.length > 0) return undefined
  const { kind, hazards, unknownFunctions, notUnderstood } = statement
  const isHarmless =
    PLANNED.includes(kind) &&
    hazards.length === 0 &&
    unknownFunctions.length === 0 &&
    notUnderstood.length === 0
  const isPlain = Object.keys(settings).every(name => HARMLESS.includes(name.toLowerCase()))
  if (!isHarmless || !isPlain) return undefined
  return `EXPLAIN (${hasParameters ? 'GENERIC_PLAN, ' : ''}FORMAT ${format}) ${statement.text}`
}

/**
 * How many rows a plan is about: those that it returns or changes, whichever is more. Undefined for what is no plan.
 * Source: https://www.postgresql.org/docs/current/sql-explain.html, FORMAT JSON.
 */
export function rowsOfPlan(json: string): number | undefined {
  let read: unknown
  try {
    read = JSON.parse(json)
  } catch {
    return undefined
  }
  const [first] = Array.isArray(read) ? read : []
  const plan = field(first, 'Plan')
  if (typeof field(plan, 'Plan Rows') !== 'number') return undefined
  return mostOf(plan)
}

function mostOf(plan: unknown): number {
  return Math.max(rowsAt(plan), ...changesIn(plan))
}

/** What each change of a plan is about: the rows of what it is fed with. */
function changesIn(node: unknown): readonly number[] {
  const below = inputsOf(node)
  const here =
    field(node, 'Node Type') === 'ModifyTable'
      ? below.reduce<number>((sum, one) => sum + rowsAt(one), 0)
      : 0
  return [here, ...below.flatMap(changesIn)]
}

function inputsOf(node: unknown): readonly unknown[] {
  const plans = field(node, 'Plans')
  return Array.isArray(plans) ? plans : []
}

function rowsAt(node: unknown): number {
  const rows = field(node, 'Plan Rows')
  return typeof rows === 'number' ? rows : 0
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return Object.entries(value).find(([key]) => key === name)?.[1]
}
