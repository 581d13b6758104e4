import type { ErrorCode } from '../errors.ts'
import type { SearchOptions, SessionFilter } from './rows.ts'

/** What the worker is started with. */
export type WorkerOptions = { readonly logDir: string; readonly file: string }

/** What the worker is asked, in the order of the asking. */
export type Question =
  | { readonly ask: 'search'; readonly query: string; readonly options: SearchOptions }
  | { readonly ask: 'count'; readonly query: string; readonly options: SearchOptions }
  | { readonly ask: 'sessions'; readonly filter: SessionFilter }
  | { readonly ask: 'status' }
  | { readonly ask: 'rebuild' }
  | { readonly ask: 'close' }

export type Asked = { readonly number: number; readonly question: Question }

/** An error's parts, because a class does not cross threads. */
export type Told = {
  readonly code: ErrorCode
  readonly message: string
  readonly detail: string | undefined
  readonly hint: string | undefined
  readonly next: readonly string[]
  /** The stack of what was not a DbgateError. */
  readonly cause: string | undefined
}

export type Answer =
  | { readonly number: number; readonly value: unknown }
  | { readonly number: number; readonly error: Told }
