import type { Completion, StatementId } from '../record/index.ts'
import type { Hold } from '../store/index.ts'

/**
 * One execution of one recorded statement, from the moment it is forwarded to its last response.
 * Units: `bytes` counts the row messages sent to the person, headers included; `startedAtMs` is monotonic.
 */
export type Run = {
  readonly id: StatementId
  readonly startedAtMs: number
  /** The approval that was used up for it. */
  readonly taken: Hold | null
  rows: number
  bytes: number
  isFinished: boolean
}

/** How a run ended, apart from what the run itself counted. */
export type RunEnd = Pick<Completion, 'outcome' | 'sqlstate' | 'tag'>

/** A run that has produced nothing yet. */
export function startRun(id: StatementId, startedAtMs: number, taken: Hold | null = null): Run {
  return { id, startedAtMs, taken, rows: 0, bytes: 0, isFinished: false }
}

/**
 * The number of rows of a run: what was passed on, or what the command tag claims (`INSERT 0 3`, `UPDATE 3`)
 * where that is more. Of a COPY the tag alone counts: header and trailer of its binary form are no rows.
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html, CommandComplete.
 */
export function rowsOf({ rows }: Run, tag: string | undefined): number {
  const claimed = Number(tag?.slice(tag.lastIndexOf(' ') + 1) || Number.NaN)
  if (!Number.isInteger(claimed)) return rows
  return tag?.startsWith('COPY ') === true ? claimed : Math.max(rows, claimed)
}
