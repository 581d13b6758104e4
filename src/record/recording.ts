/**
 * A session's recording: what a person sent and was shown, in order, with its timing.
 *
 * # The file, version 1
 *
 * `<state>/recordings/YYYY-MM-DD/s-….dbgr` by the UTC day the session began, mode 0600; while the session
 * lives, `<state>/recordings/open/s-….dbgr` (`findRecording` knows both). It is a row of gzip members, each
 * complete in itself (`recording-members.ts`), so that it can be read while it is written, and a crash costs
 * at most what had not been flushed. `zcat FILE | jq` reads it.
 *
 * Inside stands NDJSON: one event a line, starting with `t`, whole milliseconds since the session began by a
 * clock that never steps back, and `e`, its kind. The first event is `start`, which has the version; the
 * last is `end`, unless the session still runs. A reader passes over kinds and keys it does not know, and
 * refuses a `v` it does not know.
 *
 * It holds what went to the person: after masking, and with the refusals in the words they were shown in.
 * `id` is the statement's id in the audit log; what has none belongs to no statement in particular. Results
 * are recorded up to the configured rows and bytes for each statement; what is missing beyond them is said
 * by a `cut`, and `complete` counts all that was sent. Text is foreign text: show it through `visible()`.
 */
import type { Observation, Outcome, RecordedParameter, RecordedPrincipal } from './records.ts'

/** The version in every recording's first event. A reader refuses what it does not know. */
export const RECORDING_VERSION = 1

/** How a statement's values are put on record. */
export type ParameterMode = 'masked' | 'full' | 'none'

/**
 * One value of a row as it was sent: text, null for SQL NULL, and for values in binary format the text that
 * PostgreSQL would have sent where the type is a simple one, else the bytes.
 */
export type RecordedCell = string | null | { readonly base64: string }

/** A column as RowDescription has it. `type` is the type's OID, `table` and `column` its origin (0: none). */
export type RecordedColumn = {
  readonly name: string
  readonly type: number
  readonly modifier?: number
  readonly table?: number
  readonly column?: number
}

/** What an error or a notice says; `gate` where it is dbgate's own, with the code of ours. */
export type RecordedMessage = {
  readonly severity: string
  readonly sqlstate: string
  readonly message: string
  readonly detail?: string
  readonly hint?: string
  /** 1-based, in characters of the text. */
  readonly position?: number
  readonly where?: string
  readonly schema?: string
  readonly table?: string
  readonly column?: string
  readonly constraint?: string
  readonly gate?: string
}

export type StartEvent = {
  readonly e: 'start'
  readonly v: number
  readonly session: string
  /** When the session began, ISO 8601 in UTC: the time that `t` counts from. */
  readonly at: string
  readonly principal: RecordedPrincipal
  readonly agent: string
  readonly target: string
  readonly role: string
  readonly database: string
  readonly client: string
  readonly application: string
  /** How much of each statement's results is recorded; 0 rows: counts only. */
  readonly results: { readonly rows: number; readonly bytes: number }
  readonly parameters: ParameterMode
}

/**
 * A statement as it stands in the audit log. `refused`: nothing of it was forwarded; an `error` with the
 * same id says what the person was told.
 */
export type StatementEvent = {
  readonly e: 'statement'
  readonly id: string
  readonly protocol: 'simple' | 'extended'
  readonly text: string
  readonly textBase64?: string
  readonly parameters?: readonly RecordedParameter[]
  /** What it does: the kinds of its statements, e.g. `['DELETE']`, and the strongest class among them. */
  readonly kinds: readonly string[]
  readonly class: string
  readonly verdict: 'allow' | 'hold' | 'deny'
  readonly rule: string
  readonly request?: string
  readonly observed?: Observation
  readonly refused?: true
}

/** The shape of the rows that follow for this statement, until the next one. */
export type ColumnsEvent = {
  readonly e: 'columns'
  readonly id?: string
  readonly columns: readonly RecordedColumn[]
}

export type RowsEvent = {
  readonly e: 'rows'
  readonly id: string
  readonly rows: readonly (readonly RecordedCell[])[]
}

/** COPY data as it passed, in pieces that need not end with a row. */
export type CopyEvent = {
  readonly e: 'copy'
  readonly id?: string
  readonly direction: 'in' | 'out'
  readonly data: string | { readonly base64: string }
}

/** How a statement ended; `rows` and `bytes` are all that was sent, recorded or not. */
export type CompleteEvent = {
  readonly e: 'complete'
  readonly id: string
  readonly outcome: Outcome
  readonly rows: number
  readonly bytes: number
  readonly durationUs: number
  readonly sqlstate?: string
  readonly tag?: string
  /** Masked columns that it showed, e.g. `users.email`. */
  readonly masked?: readonly string[]
}

/** `text`: what could not even be prepared, which has no statement of its own. */
export type ErrorEvent = {
  readonly e: 'error'
  readonly id?: string
  readonly text?: string
} & RecordedMessage
export type NoticeEvent = { readonly e: 'notice'; readonly id?: string } & RecordedMessage

export type NotificationEvent = {
  readonly e: 'notification'
  readonly channel: string
  readonly payload: string
  readonly pid: number
}

/** A statement waits for a person's word, for up to `waitMs` on the line (0: it was refused for now). */
export type HeldEvent = {
  readonly e: 'held'
  readonly request: string
  readonly rule: string
  /** Empty in a session with masks: the `statement` that follows has it as the audit log does. */
  readonly text: string
  readonly waitMs: number
}

/** What became of the wait. `run`: the statement goes on, and its `statement` follows. */
export type DecidedEvent = {
  readonly e: 'decided'
  readonly request: string
  readonly outcome: 'run' | 'refused'
  /** What the gate says of it; of an approval and a denial by whom, and in which words. */
  readonly state: string
  readonly by?: string
  readonly comment?: string
}

/** A setting that the server reports to the person, such as `TimeZone`, has changed. */
export type SettingEvent = { readonly e: 'setting'; readonly name: string; readonly value: string }

/** Whether a transaction is open (T), has failed (E) or neither (I), where that has changed. */
export type TransactionEvent = { readonly e: 'transaction'; readonly status: 'I' | 'T' | 'E' }

/**
 * Something that was shown is missing here. `rows`, `bytes`: the configured limit for one statement;
 * `private`: COPY data that a mask may cover; `memory`: the disk was too slow; `disk`: it took nothing;
 * `retention`: the time to keep results is over. `lost` counts events, where that is known.
 */
export type CutEvent = {
  readonly e: 'cut'
  readonly id?: string
  readonly what: 'results' | 'statements'
  readonly why: 'rows' | 'bytes' | 'private' | 'memory' | 'disk' | 'retention'
  readonly lost?: number
}

/** The session is over. `recovered`: the server was killed, and this was written when it started again. */
export type EndEvent = {
  readonly e: 'end'
  readonly reason: string
  readonly recovered?: true
}

export type RecordingEvent = { readonly t: number } & RecordedHappening

/** An event without its time. */
export type RecordedHappening =
  | StartEvent
  | StatementEvent
  | ColumnsEvent
  | RowsEvent
  | CopyEvent
  | CompleteEvent
  | ErrorEvent
  | NoticeEvent
  | NotificationEvent
  | HeldEvent
  | DecidedEvent
  | SettingEvent
  | TransactionEvent
  | CutEvent
  | EndEvent
