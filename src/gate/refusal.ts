import type { DbgateError } from '../errors.ts'
import { encodeErrorResponse, encodeParse, encodeQuery } from '../wire/index.ts'

/**
 * Denying without lying: in a refused statement's place goes one that fails for sure, so that PostgreSQL
 * itself aborts the transaction and skips the pipeline, and upstream and client stay in agreement. The text
 * is no SQL: it fails in the scanner's first token, before names, privileges or transaction state matter,
 * and tells whoever reads the database's own log where to look.
 */
const FAILING_TEXT = 'dbgate refused a statement here; its audit log says which'

/** A name that no failed Parse ever takes: the text is refused before the name is looked at. */
const FAILING_NAME = 'dbgate_refused'

/** Stands in for a simple Query (or a FunctionCall): answered by one error and ReadyForQuery. */
export const FAILING_QUERY: Buffer = encodeQuery(FAILING_TEXT)

/** Stands in for any extended-protocol message: answered by one error, and all is skipped up to Sync. */
export const FAILING_PARSE: Buffer = encodeParse(FAILING_NAME, FAILING_TEXT)

/** Stands in for an unnamed Parse: like that, it drops the unnamed statement before it fails. */
export const FAILING_UNNAMED_PARSE: Buffer = encodeParse('', FAILING_TEXT)

/** What the person gets instead of the failing statement's error. The id makes the refusal findable. */
export function refusalOf(error: DbgateError, position?: number): Buffer {
  return encodeErrorResponse(error, position === undefined ? {} : { position })
}
