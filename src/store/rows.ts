/**
 * A statement as `dbgate audit search --json` prints it. What a statement without a completion does not
 * have (it is running, or the server died) is null.
 */
export type AuditRow = {
  readonly v: 1
  readonly n: number
  readonly id: string
  readonly t: string
  readonly user: string
  readonly via: string
  readonly target: string
  readonly role: string
  readonly session: string
  readonly class: string
  readonly kind: string
  readonly tables: readonly string[]
  readonly sql: string
  readonly sql_sha256: string
  readonly verdict: string
  readonly rule: string
  /** True for what a tool asks on its own account. */
  readonly background: boolean
  /** The request it was held for or let through by, its state, and who approved it. */
  readonly request: string | null
  readonly request_state: string | null
  readonly approved_by: readonly string[]
  /** Columns of the result that were masked. */
  readonly masked: readonly string[]
  readonly outcome: string | null
  readonly rows: number | null
  readonly bytes: number | null
  readonly ms: number | null
  readonly sqlstate: string | null
  /** `application_name` and address of the client; null where the session's start is not on record. */
  readonly client: string | null
  readonly ip: string | null
  /** Of the record. */
  readonly sha256: string
}

/** A session as `dbgate sessions --json` prints it. `ended_at` is null while it runs, or if nobody said. */
export type SessionRow = {
  readonly v: 1
  readonly id: string
  readonly user: string
  readonly via: string
  readonly target: string
  readonly role: string
  readonly database: string | null
  readonly client: string | null
  readonly ip: string | null
  readonly started_at: string
  readonly ended_at: string | null
  readonly reason: string | null
  readonly statements: number
  readonly denied: number
  readonly held: number
  readonly rows: number
}

/** Which statements: times in epoch ms, both ends included; the newest `limit` of them. */
export type SearchOptions = {
  readonly since?: number | undefined
  readonly until?: number | undefined
  readonly limit?: number | undefined
  /** Nobody's statements but this person's, whatever the query says. Names are not enough: two can share one. */
  readonly only?: { readonly issuer: string; readonly subject: string } | undefined
  /** Leaves out what tools ask on their own account, unless the query has `background:`. */
  readonly hideBackground?: boolean | undefined
  /** Only records after this one, and the oldest of them first: to go on where one has stopped. */
  readonly after?: number | undefined
}

/**
 * How many statements there are: `matches` that fit, `hidden` that would if it were not for `hideBackground`,
 * `total` in that time whatever the query. The first two are not counted further than `limit`.
 */
export type SearchCounts = {
  readonly matches: number
  readonly hidden: number
  readonly total: number
  readonly limit: number
}

/** Which sessions: those that were running between `since` and `until`. */
export type SessionFilter = SearchOptions & {
  readonly user?: string | undefined
  readonly target?: string | undefined
  /** The beginning of an id. */
  readonly id?: string | undefined
}

/** What the index holds. */
export type IndexStatus = {
  readonly statements: number
  readonly sessions: number
  /** The last record it knows; 0 for none. */
  readonly lastRecord: number
  /** Lines of the log that are no records, since the worker started. */
  readonly unreadable: number
}
