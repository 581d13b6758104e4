import type { PolicyLimit } from '../config/index.ts'

/** What bounds a session or its statements; undefined is no bound. */
export type Limits = {
  readonly rows: { readonly max: number; readonly over: 'error' | 'cut' } | undefined
  readonly timeMs: number | undefined
  readonly connections: number | undefined
  readonly statementsPerMinute: number | undefined
}

export const NO_LIMITS: Limits = Object.freeze({
  rows: undefined,
  timeMs: undefined,
  connections: undefined,
  statementsPerMinute: undefined,
})

/** The limits of a role on a target: of all that apply the smallest, and failing before cutting. */
export function limitsFor(limits: readonly PolicyLimit[], target: string, role: string): Limits {
  const applying = limits.filter(
    ({ on, roles }) =>
      (on.includes('*') || on.includes(target)) && (roles === undefined || roles.includes(role)),
  )
  if (applying.length === 0) return NO_LIMITS
  return {
    rows: applying.map(({ rows }) => rows).reduce(fewerRows, undefined),
    timeMs: smallest(applying.map(({ timeMs }) => timeMs)),
    connections: smallest(applying.map(({ connections }) => connections)),
    statementsPerMinute: smallest(applying.map(limit => limit.statementsPerMinute)),
  }
}

function fewerRows(a: Limits['rows'], b: Limits['rows']): Limits['rows'] {
  if (a === undefined || b === undefined) return a ?? b
  if (a.max !== b.max) return a.max < b.max ? a : b
  return a.over === 'error' ? a : b
}

function smallest(values: readonly (number | undefined)[]): number | undefined {
  const given = values.filter(value => value !== undefined)
  return given.length === 0 ? undefined : Math.min(...given)
}
