/**
 * The store: what is kept to be looked up, in two SQLite files.
 *
 * The index of the audit log: sessions, statements and what became of them, with full-text search over the SQL.
 * Its one invariant: it holds nothing that is not in the log, so it may be lost at any moment. It ends at
 * some record and has everything before; it is brought up to the log's end before each answer. A worker
 * thread does all of it (`index-worker.ts`), in the order query → catch up → search.
 *
 * Source: https://www.sqlite.org/fts5.html for the full-text index; `tokens.ts` says what is in it.
 *
 * The holds (`holds.ts`): what waits for a person's decision, approvals that were not used yet, roles given for a
 * while. Written by the thread that serves, in small transactions that are on disk when they return; they cannot
 * be built anew, and if they are lost, everything has to be asked for again.
 */
export { AuditIndex } from './audit-index.ts'
export { HoldStore } from './holds.ts'
export type {
  AccessRequest,
  ApprovalRequest,
  HeldStatement,
  Hold,
  Mark,
  Person,
  Ran,
  RequestFilter,
  RequestState,
  ShownParameter,
  Terms,
  Use,
  Vote,
} from './holds-rows.ts'
export { MaskMemory, type SeenColumn } from './mask-memory.ts'
export { parseQuery } from './query.ts'
export type {
  AuditRow,
  IndexStatus,
  SearchCounts,
  SearchOptions,
  SessionFilter,
  SessionRow,
} from './rows.ts'
