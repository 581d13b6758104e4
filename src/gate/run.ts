import type { Completion, StatementId } from '../record/index.ts'
import type { Hold } from '../store/index.ts'
import type { Masking } from './masking.ts'
import type { RunMask } from './run-mask.ts'

/**
 * One execution of one recorded statement, from the moment it is forwarded to its last response.
 * Units: `bytes` counts the row messages sent to the person, headers included; `startedAtMs` is monotonic.
 */
export type Run = {
  readonly id: StatementId
  readonly startedAtMs: number
  /** The approval that was used up for it. */
  readonly taken: Hold | null
  /** What its rows are held against; null where they pass as they are. */
  readonly mask: RunMask | null
  /** What it was planned by; null where nothing is masked. */
  readonly masking: Masking | null
  /** Errors and notices may hold what is masked. */
  readonly isPrivate: boolean
  /** How many rows it may bring; null for any number. */
  readonly limit: RunLimit | null
  rows: number
  /** Rows over the limit, which do not go on. */
  dropped: number
  bytes: number
  isFinished: boolean
}

/** How many rows a run may bring. What has changed something is only ever cut: it has happened. */
export type RunLimit = { readonly max: number; readonly over: 'error' | 'cut' }

/** How a run ended, apart from what the run itself counted. */
export type RunEnd = Pick<Completion, 'outcome' | 'sqlstate' | 'tag'>

/** How a run is masked. */
export type RunMasking = Pick<Run, 'mask' | 'masking' | 'isPrivate'>

/** Of a session in which nothing is masked. */
export const UNMASKED: RunMasking = Object.freeze({ mask: null, masking: null, isPrivate: false })

/** A run that has produced nothing yet. */
export function startRun(
  id: StatementId,
  startedAtMs: number,
  taken: Hold | null = null,
  { mask, masking, isPrivate }: RunMasking = UNMASKED,
  limit: RunLimit | null = null,
): Run {
  const counted = { rows: 0, bytes: 0, dropped: 0, isFinished: false }
  return { id, startedAtMs, taken, mask, masking, isPrivate, limit, ...counted }
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
