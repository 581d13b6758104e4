/**
 * What the audit log holds: one type for each kind of record, spelled as on file.
 *
 * A record read from a file has `n` and `t` as well (`Stored`). Times are ISO 8601 in UTC, as the server's
 * clock had them: only `n` orders records, because a clock may be set back.
 */

/** What is on record for every line: its number, one higher than the line before, and the time it was made. */
export type Stored<R> = R & { readonly n: number; readonly t: string }

/** Who a session belongs to, from a verified token. */
export type RecordedPrincipal = {
  readonly issuer: string
  readonly subject: string
  readonly user: string
  readonly name: string
  readonly groups: readonly string[]
}

/** What is known of a session when it starts. `client` is the address the server sees, `host:port`. */
export type SessionFacts = {
  readonly id: string
  readonly principal: RecordedPrincipal
  /** The tool as the client end reports it, e.g. `psql` or `claude`: a claim, not a fact. */
  readonly agent: string
  readonly target: string
  readonly role: string
  readonly database: string
  readonly client: string
  /** `application_name` of the startup message. */
  readonly application: string
  readonly upstreamUser?: string | undefined
  readonly upstreamPid?: number | undefined
  /** The file of its recording, relative to the directory of all; it is there when this is on record. */
  readonly recording?: string | undefined
}

/**
 * One bound value: text as sent, bytes that are no UTF-8 (or in binary format) as base64, null for SQL NULL,
 * and for more than 64 KiB only its length and digest. `recordedParameter` makes it.
 */
export type RecordedParameter =
  | string
  | null
  | { readonly base64: string }
  | { readonly bytes: number; readonly sha256: string }

export type RecordedRelation = {
  readonly schema?: string | undefined
  readonly name: string
  readonly access: string
}

/** What the analysis made of one SQL statement of the text. */
export type RecordedAnalysis = {
  readonly kind: string
  readonly class: string
  readonly relations: readonly RecordedRelation[]
}

/** What the gate knows of a statement when it asks to run it. */
export type StatementFacts = {
  readonly protocol: 'simple' | 'extended'
  readonly text: string
  /** The bytes as sent, in base64, where `text` could not be decoded without loss. */
  readonly textBase64?: string | undefined
  readonly parameters?: readonly RecordedParameter[] | undefined
  readonly statements: readonly RecordedAnalysis[]
  readonly verdict: 'allow' | 'hold' | 'deny'
  /** The rule that decided. */
  readonly rule: string
  /** The approved request that was used up for it. */
  readonly request?: string | undefined
  /** On a target in mode observe: what the policy would have done, and by which rule. */
  readonly observed?: Observation | undefined
}

/** What mode observe kept from happening to a statement that ran. */
export type Observation = { readonly outcome: 'hold' | 'deny'; readonly rule: string }

/** A statement's id: its session's id, a dot and a counter, e.g. `s-8k2m4q.17`. */
export type StatementId = string

/**
 * How a statement ended. `skipped`: PostgreSQL skipped it up to Sync; `lost`: the connection ended first;
 * `not-run`: on record, but never forwarded.
 */
export type Outcome = 'ok' | 'error' | 'skipped' | 'cancelled' | 'lost' | 'not-run'

/** What the gate knows of a statement when it is over. Units: rows, bytes sent to the client, microseconds. */
export type Completion = {
  readonly outcome: Outcome
  readonly rows: number
  readonly bytes: number
  readonly durationUs: number
  readonly sqlstate?: string | undefined
  /** The command tag, e.g. `UPDATE 3`. */
  readonly tag?: string | undefined
  /** Columns whose values were masked on their way to the client, as `public.users.email`. */
  readonly masked?: readonly string[] | undefined
}

export type SessionStart = { readonly type: 'session.start' } & Omit<SessionFacts, 'id'> & {
    readonly session: string
  }

export type SessionEnd = {
  readonly type: 'session.end'
  readonly session: string
  readonly reason: string
  readonly statements: number
  readonly durationMs: number
  /** Its recording as it was finished: a change of the file or its absence shows. */
  readonly recording?: RecordingSeal | undefined
}

/** Which session a statement belongs to: repeated on each line, so that one line tells who did what. */
export type SessionLabel = {
  readonly session: string
  readonly user: string
  readonly agent: string
  readonly target: string
  readonly role: string
}

/** On file before the statement is forwarded. */
export type StatementRecord = {
  readonly type: 'statement'
  readonly id: StatementId
} & SessionLabel &
  StatementFacts

/** A statement that was refused: nothing of it was forwarded. */
export type DeniedRecord = { readonly type: 'denied'; readonly id: StatementId } & SessionLabel &
  StatementFacts

export type CompletedRecord = { readonly type: 'completed'; readonly id: StatementId } & Completion

/**
 * The log could not be written between `since` and this record. `refused` statements were refused for it;
 * `lost` records of things that did happen (completions, session ends) found no room in memory.
 */
export type GapRecord = {
  readonly type: 'gap'
  readonly reason: string
  readonly since: string
  readonly refused: number
  readonly lost: number
}

/**
 * What opening the log found at its end and did about it. `torn`: an unfinished line, cut off (a killed
 * writer). `damaged`: bytes no writer of ours leaves (a power cut), moved to the file `kept`.
 * `broken`: whole records that do not follow from those before them; left as they are for `audit verify`.
 */
export type RepairedRecord = {
  readonly type: 'repaired'
  readonly what: 'torn' | 'damaged' | 'broken'
  readonly segment: number
  readonly offset: number
  readonly bytes: number
  readonly sha256: string
  readonly kept?: string | undefined
}

/**
 * What became of a held statement (`h-…`) or of a request for a role (`g-…`), from `request.filed` on.
 * `expires` is the end of what it is in: of the wait, of the approval, of the role.
 */
export type RequestNote =
  | {
      readonly type: 'request.filed'
      readonly id: string
      readonly state: string
      readonly user: string
      readonly issuer: string
      readonly subject: string
      readonly agent: string
      readonly target: string
      readonly role: string
      readonly rule: string
      readonly by: readonly string[]
      readonly need: number
      readonly expires: string
      readonly reason?: string | undefined
      /** Of statements: exactly what would run. */
      readonly session?: string | undefined
      readonly database?: string | undefined
      readonly binding?: string | undefined
      readonly text?: string | undefined
      readonly textBase64?: string | undefined
      readonly parameters?: readonly RecordedParameter[] | undefined
      /** Of roles: for how long, and whether anybody was asked. */
      readonly forMs?: number | undefined
      readonly ticket?: string | undefined
      readonly from?: 'request' | 'break-glass' | 'admin' | undefined
      /** Who gave it, where an admin did. */
      readonly givenBy?: string | undefined
    }
  | {
      readonly type: 'request.voted'
      readonly id: string
      readonly vote: 'approve' | 'deny'
      readonly user: string
      readonly issuer: string
      readonly subject: string
      readonly presence: boolean
      readonly comment?: string | undefined
    }
  | {
      /** The policy had changed: this is what deciding takes now. */
      readonly type: 'request.judged'
      readonly id: string
      readonly policy: string
      readonly rule: string
      readonly by: readonly string[]
      readonly need: number
    }
  | {
      readonly type: 'request.settled'
      readonly id: string
      readonly state: string
      readonly user?: string | undefined
      readonly why?: string | undefined
      readonly expires?: string | undefined
    }
  | {
      readonly type: 'request.used'
      readonly id: string
      readonly session: string
      readonly statement?: string | undefined
    }
  | {
      /** It was not forwarded after all: the approval is as good as before. */
      readonly type: 'request.returned'
      readonly id: string
      readonly session: string
    }
  | {
      readonly type: 'request.reviewed'
      readonly id: string
      readonly user: string
      readonly comment: string
    }
  | {
      readonly type: 'request.deleted'
      readonly ids: readonly string[]
      readonly finishedBefore: string
    }

/** What a finished recording is known by in the audit log. `file` is relative to the directory of all. */
export type RecordingSeal = {
  readonly file: string
  readonly bytes: number
  readonly sha256: string
  /** Why something is missing at its end or from a place that it names, e.g. ENOSPC. */
  readonly cut?: string | undefined
}

/** What becomes of recordings after their session's end. */
export type RecordingNote =
  | ({
      /** The server was killed before it could finish this recording; it was brought to an end. */
      readonly type: 'recording.recovered'
      readonly session: string
    } & RecordingSeal)
  | ({
      /** The time to keep results is over: they were taken out, and this is what is left. */
      readonly type: 'recording.thinned'
      readonly session: string
      readonly keep: string
    } & RecordingSeal)
  | {
      /** The time to keep sessions is over. */
      readonly type: 'recording.deleted'
      readonly files: readonly string[]
      readonly keep: string
    }

/** What others report with `AuditLog.note` and `AuditLog.append`. */
export type NoteRecord =
  | RequestNote
  | RecordingNote
  | { readonly type: 'server.start'; readonly version: string; readonly pid: number }
  | { readonly type: 'server.stop'; readonly reason: string }
  | {
      readonly type: 'login'
      readonly outcome: 'ok' | 'refused'
      readonly user: string
      readonly issuer: string
      readonly client: string
      readonly reason?: string | undefined
    }
  | {
      /** A connection that never became a session: no grant, no such target, draining. */
      readonly type: 'session.refused'
      readonly user: string
      readonly agent: string
      readonly target: string
      readonly client: string
      readonly code: string
      readonly reason: string
    }
  | {
      /** Somebody had a session ended. */
      readonly type: 'session.ended-by'
      readonly session: string
      readonly user: string
      readonly issuer: string
      readonly subject: string
      readonly reason?: string | undefined
    }
  | {
      readonly type: 'config.reload'
      readonly outcome: 'ok' | 'refused'
      readonly policy?: string | undefined
      readonly reason?: string | undefined
    }
  | {
      /** What the database sent was not what had been checked; the session was ended before a row went on. */
      readonly type: 'masks.alarm'
      readonly session: string
      readonly user: string
      readonly target: string
      readonly why: string
    }
  | {
      /** A connection to the database that did not come through the gate, when it is first seen. */
      readonly type: 'bypass.seen'
      readonly target: string
      readonly pid: number
      readonly user: string
      readonly database: string
      readonly address: string
      /** A claim of the client. */
      readonly application: string
      readonly since: string
    }
  | {
      /** Someone looked into the log. */
      readonly type: 'audit.read'
      readonly user: string
      readonly action: string
      readonly query: string
      readonly matches: number
    }

export type AuditRecord =
  | SessionStart
  | SessionEnd
  | StatementRecord
  | DeniedRecord
  | CompletedRecord
  | GapRecord
  | RepairedRecord
  | NoteRecord
