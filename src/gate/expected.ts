import { DbgateError } from '../errors.ts'
import { backendName } from '../wire/index.ts'
import type { Portal, Prepared } from './names.ts'
import type { Run, RunEnd } from './run.ts'

/**
 * One response that is still to come from upstream: one entry for each message sent that is answered.
 * `refusal` stands where a statement that fails for sure was sent in a refused one's place: it is the
 * ErrorResponse that the person gets instead of the server's.
 */
export type Expected = { readonly refusal: Buffer | null } & (
  | {
      readonly kind: 'query'
      /** One for each statement of the text, or one for all of it where it is not taken apart. */
      readonly runs: readonly Run[]
      readonly form: QueryForm
      readonly onDone: readonly OnDone[]
    }
  | {
      readonly kind: 'parse'
      readonly name: string
      readonly prepared: Prepared | null
      readonly onDone: OnDone
    }
  | { readonly kind: 'bind'; readonly portal: Portal | null }
  | { readonly kind: 'execute'; readonly portal: Portal | null; readonly onDone: OnDone }
  | { readonly kind: 'close'; readonly portal: Portal | null; readonly onDone: OnDone }
  | {
      readonly kind: 'describe'
      /** What was asked about; null where nobody can say. */
      readonly of: Prepared | Portal | null
    }
  /** The gate asks by itself what the rows of a portal will be: the person hears nothing of the answer. */
  | { readonly kind: 'own-describe'; readonly portal: Portal }
  | { readonly kind: 'sync' | 'copy-end' }
)

/**
 * What a Query is answered by: results for each of its statements; results of who knows how many (a text
 * that was not understood, or an empty one); or the single value of a FunctionCall.
 */
export type QueryForm = 'statements' | 'opaque' | 'function-call'

/** What a statement changes in the session once the server says that it is done; null for most. */
export type OnDone = ((portals: OpenPortals) => void) | null

/** What a statement may end besides itself: portals, by the name they were bound under. */
export type OpenPortals = {
  /** A transaction has ended inside a cycle: portals bound in it are gone. */
  endTransaction(): void
  /** A portal was closed by SQL, or all were (undefined). */
  closePortal(name: string | undefined): void
}

/** What becomes of one backend message: it goes on as it is, or this goes in its place. */
export type Relay = 'pass' | Buffer

/** Goes in the place of what the person does not get. */
export const NOTHING: Buffer = Buffer.alloc(0)

/** How a run ended that the server had an error for. */
export function ended(sqlstate: string): RunEnd {
  return { outcome: sqlstate === '57014' ? 'cancelled' : 'error', sqlstate }
}

/** Whose rows may come in answer to this, if anybody's. */
export function runOf(expected: Expected, statement: number): Run | null {
  if (expected.refusal !== null) return null
  if (expected.kind === 'query') return expected.runs[statement] ?? null
  if ('portal' in expected && expected.kind !== 'close') return expected.portal?.run ?? null
  return null
}

/** Nobody could say from then on which statement a row belongs to. */
export function outOfTurn(tag: number, head: Expected | undefined): DbgateError {
  return new DbgateError('PROTOCOL', `the database sent ${backendName(tag)} out of turn`, {
    detail: `Expected next: ${head === undefined ? 'nothing' : `the answer to ${head.kind}`}.`,
  })
}
