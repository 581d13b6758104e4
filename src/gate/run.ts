import type { Completion, StatementId } from '../record/index.ts'

/**
 * One execution of one recorded statement, from the moment it is forwarded to its last response.
 * Units: `bytes` counts the row messages sent to the person, headers included; `startedAtMs` is monotonic.
 */
export type Run = {
  readonly id: StatementId
  readonly startedAtMs: number
  rows: number
  bytes: number
  /** An Execute or Query that runs it has been sent; a portal may be bound and never executed. */
  isExecuted: boolean
  isFinished: boolean
}

/** How a run ended, apart from what the run itself counted. */
export type RunEnd = Pick<Completion, 'outcome' | 'sqlstate' | 'tag'>

/** A run that has produced nothing yet. */
export function startRun(id: StatementId, startedAtMs: number): Run {
  return { id, startedAtMs, rows: 0, bytes: 0, isExecuted: false, isFinished: false }
}

/**
 * The number of rows a command tag claims: the last word of `SELECT 3`, `INSERT 0 3`, `UPDATE 3`, `COPY 3`;
 * undefined for a tag that counts nothing, such as `CREATE TABLE`.
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html, CommandComplete.
 */
export function rowsOfTag(tag: string): number | undefined {
  const lastSpace = tag.lastIndexOf(' ')
  if (lastSpace < 0) return undefined
  const count = Number(tag.slice(lastSpace + 1))
  return Number.isInteger(count) ? count : undefined
}
