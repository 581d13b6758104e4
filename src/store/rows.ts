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
  /** Nobody's statements but this user's, whatever the query says. */
  readonly onlyUser?: string | undefined
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
