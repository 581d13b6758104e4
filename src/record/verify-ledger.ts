import { parseJson } from './format.ts'
import type { LineReader } from './lines.ts'
import { recordedSession } from './recording-reader.ts'
import type { AuditRecord } from './records.ts'

/** Where a record stands. */
export type RecordPlace = {
  readonly segment: number
  readonly line: number
  readonly offset: number
  readonly n: number
  readonly t: string
}

/** A recording as the log tells of it. */
export type ToldRecording = {
  readonly session: string
  readonly user: string
  file: string
  /** Of the record that told of it last. */
  place: RecordPlace
  /** What it may look like: one seal, or several if it was thinned since. Empty while its session runs. */
  digests: string[]
  bytes: number
  /** Its server is gone, and none has brought it to an end since. */
  isAbandoned: boolean
}

/** What a walk along the log collects, to be held against checkpoints and recordings afterwards. */
export type Ledger = {
  /** Numbers of records whose hashes are asked for, and those found. */
  readonly wanted: Set<number>
  readonly hashes: Map<number, string[]>
  readonly recordings: Map<string, ToldRecording>
  /** Sessions whose recording is not finished. */
  readonly open: Set<string>
}

export function startLedger(wanted: readonly number[]): Ledger {
  return { wanted: new Set(wanted), hashes: new Map(), recordings: new Map(), open: new Set() }
}

/** A line of the log by its number and hash; a segment's first line has the number of the record before. */
export function noteHash(ledger: Ledger, n: number, sha256: string): void {
  if (!ledger.wanted.has(n)) return
  const found = ledger.hashes.get(n)
  if (found === undefined) ledger.hashes.set(n, [sha256])
  else found.push(sha256)
}

const TOLD = new Set([
  'server.start',
  'session.start',
  'session.end',
  'recording.recovered',
  'recording.thinned',
  'recording.deleted',
])

/** Notes what a record says of recordings: the reader's current line, which is of this type. */
export function note(ledger: Ledger, type: string, place: RecordPlace, lines: LineReader): void {
  if (!TOLD.has(type)) return
  const record = parseJson(lines.json())
  if (isRecord(record)) noteRecord(ledger, record, place)
}

function noteRecord(ledger: Ledger, record: AuditRecord, place: RecordPlace): void {
  switch (record.type) {
    case 'server.start':
      // Whoever starts has brought everything to an end before it says so.
      for (const session of ledger.open) {
        const told = ledger.recordings.get(session)
        if (told !== undefined) told.isAbandoned = true
      }
      ledger.open.clear()
      return
    case 'session.start':
      if (record.recording === undefined) return
      ledger.open.add(record.session)
      ledger.recordings.set(record.session, {
        session: record.session,
        user: record.principal.user,
        file: record.recording,
        place,
        digests: [],
        bytes: 0,
        isAbandoned: false,
      })
      return
    case 'session.end':
      if (record.recording !== undefined) seal(ledger, record.session, record.recording, place)
      return
    case 'recording.recovered':
    case 'recording.thinned':
      seal(ledger, record.session, record, place)
      return
    case 'recording.deleted':
      for (const file of record.files) {
        const session = recordedSession(file.slice(file.lastIndexOf('/') + 1))
        if (session !== undefined) ledger.recordings.delete(session)
      }
      return
    default:
  }
}

type Sealed = { readonly file: string; readonly bytes: number; readonly sha256: string }

function seal(
  ledger: Ledger,
  session: string,
  { file, bytes, sha256 }: Sealed,
  place: RecordPlace,
): void {
  ledger.open.delete(session)
  const told = ledger.recordings.get(session)
  if (told === undefined) {
    const fresh = { session, user: '', file, place, digests: [sha256], bytes, isAbandoned: false }
    ledger.recordings.set(session, fresh)
    return
  }
  told.file = file
  told.place = place
  told.bytes = bytes
  told.isAbandoned = false
  told.digests.push(sha256)
}

/** Only our own writer makes lines of a log: a record's type is looked at and its contents are trusted. */
function isRecord(value: unknown): value is AuditRecord {
  if (typeof value !== 'object' || value === null || !('type' in value)) return false
  return typeof value.type === 'string' && hasShape(value)
}

function hasShape(value: object): boolean {
  if ('files' in value) return Array.isArray(value.files)
  if ('recording' in value && typeof value.recording === 'object') return value.recording !== null
  return true
}
