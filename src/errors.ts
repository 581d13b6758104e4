/**
 * Every way dbgate can say no, in one table: the SQLSTATE a PostgreSQL client gets and the exit code a
 * terminal gets. Nothing else in the project maps a code to either.
 *
 * The wording follows PostgreSQL's error style guide: the message is one lower-case line without a
 * period, factual, and complete by itself, because most drivers pass on nothing else.
 * Source: https://www.postgresql.org/docs/current/error-style-guide.html and errcodes.txt.
 */

type Severity = 'ERROR' | 'FATAL'

/**
 * Shape: severity and SQLSTATE on the wire, exit code in a terminal.
 * No invented SQLSTATE class, and 40001 only where sending it again is right: clients do so by themselves.
 */
const TABLE = {
  DENIED: ['ERROR', '42501', 5],
  REJECTED: ['ERROR', '42501', 5],
  READ_ONLY: ['ERROR', '25006', 5],
  HELD: ['ERROR', '55000', 8],
  HOLD_EXPIRED: ['ERROR', '57014', 9],
  STALE: ['ERROR', '55000', 9],
  PRESENCE: ['ERROR', '42501', 4],
  SYNTAX: ['ERROR', '42601', 2],
  UNSUPPORTED: ['ERROR', '0A000', 5],
  NO_STATEMENT: ['ERROR', '26000', 6],
  NO_PORTAL: ['ERROR', '34000', 6],
  LIMIT: ['ERROR', '54000', 5],
  TOO_SLOW: ['ERROR', '57014', 5],
  UNAUDITED: ['ERROR', '58030', 1],
  UNRECORDED: ['FATAL', '58030', 1],
  NO_STORE: ['ERROR', '58030', 1],
  IN_USE: ['FATAL', '55006', 3],
  NOT_FOUND: ['ERROR', '42704', 6],
  UNAUTHORIZED: ['FATAL', '28000', 4],
  BAD_PASSWORD: ['FATAL', '28P01', 4],
  NO_TARGET: ['FATAL', '3D000', 6],
  REVOKED: ['FATAL', '57P01', 5],
  CHANGED: ['FATAL', '40001', 7],
  DRAINING: ['FATAL', '57P01', 7],
  STARTING: ['FATAL', '57P03', 7],
  PROTOCOL: ['FATAL', '08P01', 1],
  TOO_LARGE: ['FATAL', '54000', 1],
  TOO_MANY: ['FATAL', '53300', 7],
  UPSTREAM: ['FATAL', '08006', 7],
  UNREACHABLE: ['FATAL', '08001', 7],
  USAGE: ['ERROR', '22023', 2],
  INVALID: ['ERROR', 'F0000', 3],
  PORT: ['ERROR', '58000', 10],
  INTEGRITY: ['ERROR', 'XX001', 11],
  INTERNAL: ['FATAL', 'XX000', 1],
} as const satisfies Record<string, readonly [Severity, string, number]>

export type ErrorCode = keyof typeof TABLE

/** True for a code of the table, such as one that another dbgate sent. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(TABLE, text)
}

/** The exit code that goes with a code another dbgate sent, or undefined for one that this version has not. */
export function exitCodeOf(code: string): number | undefined {
  return isErrorCode(code) ? TABLE[code][2] : undefined
}

/**
 * What an error says besides its message: `detail` and `hint` are whole sentences, `next` a command to type, `rule`
 * what of the policy it comes from.
 */
export type ErrorMore = {
  readonly detail?: string
  readonly hint?: string
  readonly next?: readonly string[]
  readonly rule?: string
  readonly cause?: unknown
}

/**
 * The one error class. Secrets never stand in message, detail or hint: name the parameter, not the value.
 */
export class DbgateError extends Error {
  override readonly name = 'DbgateError'
  readonly code: ErrorCode
  readonly detail: string | undefined
  readonly hint: string | undefined
  readonly next: readonly string[]
  readonly rule: string | undefined

  constructor(code: ErrorCode, message: string, more: ErrorMore = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause })
    this.code = code
    this.detail = more.detail
    this.hint = more.hint
    this.next = more.next ?? []
    this.rule = more.rule
  }

  /** The five-character SQLSTATE a PostgreSQL client receives. */
  get sqlstate(): string {
    return TABLE[this.code][1]
  }

  /** FATAL ends the session, ERROR does not. */
  get severity(): Severity {
    return TABLE[this.code][0]
  }

  /** The exit code of a command that ends with this error. */
  get exitCode(): number {
    return TABLE[this.code][2]
  }
}

/**
 * The same error, traced to the rule it comes from and to its record, which says more to whoever asks. What is no
 * SQL is answered as PostgreSQL does.
 */
export function traced(error: DbgateError, rule: string, record: string): DbgateError {
  if (error.code === 'SYNTAX') return error
  const { code, message, detail, next, cause } = error
  const hint = error.hint ?? `See why: dbgate policy explain ${record}`
  const more = { hint, next, rule, cause, ...(detail === undefined ? {} : { detail }) }
  return new DbgateError(code, message, more)
}

/** Any thrown value as a DbgateError; what is not one of ours becomes INTERNAL, its text kept only as the cause. */
export function asDbgateError(thrown: unknown): DbgateError {
  if (thrown instanceof DbgateError) return thrown
  return new DbgateError('INTERNAL', 'internal error', { cause: thrown })
}

/** The `code` of a Node system error (ECONNREFUSED, ENOSPC …), or undefined. */
export function systemCode(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined
  return typeof thrown.code === 'string' ? thrown.code : undefined
}
