import { statSync } from 'node:fs'
import { join } from 'node:path'
import { DbgateError } from '../errors.ts'
import { parseJson, segmentName } from './format.ts'
import { LineReader } from './lines.ts'
import type { AuditRecord, Stored } from './records.ts'
import { listSegments } from './repair.ts'

/** A place in the log's files: the start of a line. */
export type Position = { readonly segment: number; readonly offset: number }

/** A record with its line's hash, where its line starts and where the next one does. */
export type LogEntry = {
  readonly record: Stored<AuditRecord>
  readonly sha256: string
  readonly at: Position
  readonly next: Position
}

/**
 * `from`: where to start (the beginning without it). `onUnreadable`: told of a line that is no record,
 * which is then left out; without it such a line throws.
 */
export type ReadOptions = {
  readonly from?: Position | undefined
  readonly onUnreadable?: (at: Position) => void
}

/**
 * Yields the records of a log in order, up to its present end: whole lines only. It reads what is there and
 * checks no hashes; that is `verifyLog`'s business. Types of later versions are passed on as they are.
 *
 * Throws: INTEGRITY (XX001) a line is no record, unless `onUnreadable` takes it.
 */
export async function* readRecords(
  dir: string,
  options: ReadOptions = {},
): AsyncGenerator<LogEntry, void> {
  const from = options.from ?? { segment: 0, offset: 0 }
  const onUnreadable = options.onUnreadable ?? refuse
  for (const segment of listSegments(dir)) {
    if (segment < from.segment) continue
    const offset = segment === from.segment ? from.offset : 0
    const lines = await LineReader.open(join(dir, segmentName(segment)), offset)
    try {
      do {
        while (lines.advance()) {
          const entry = readEntry(lines, segment)
          if (entry === undefined) onUnreadable({ segment, offset: lines.offset })
          else if (entry !== 'header') yield entry
        }
      } while (await lines.fill())
    } finally {
      await lines.close()
    }
  }
}

/** The bytes of a log after a place, from the sizes of its files; 0 where there is no log. */
export function bytesAfter(dir: string, { segment: from, offset }: Position): number {
  let bytes = 0
  for (const segment of listSegments(dir)) {
    if (segment < from) continue
    const stat = statSync(join(dir, segmentName(segment)), { throwIfNoEntry: false })
    bytes += (stat?.size ?? 0) - (segment === from ? offset : 0)
  }
  return Math.max(bytes, 0)
}

function refuse({ segment, offset }: Position): never {
  throw new DbgateError(
    'INTEGRITY',
    `line at byte ${offset} of ${segmentName(segment)} is no record`,
  )
}

function readEntry(lines: LineReader, segment: number): LogEntry | 'header' | undefined {
  const sha256 = lines.statedHash()
  if (sha256 === undefined) return undefined
  const value = parseJson(lines.json())
  if (lines.offset === 0 && hasType(value) && value.type === 'segment') return 'header'
  if (!isRecord(value)) return undefined
  const next = { segment, offset: lines.offset + lines.end - lines.start + 1 }
  return { record: value, sha256, at: { segment, offset: lines.offset }, next }
}

function hasType(value: unknown): value is { type: unknown } {
  return typeof value === 'object' && value !== null && 'type' in value
}

/** Only our own writer makes lines of a log, so a record's frame is looked at and its contents are trusted. */
function isRecord(value: unknown): value is Stored<AuditRecord> {
  if (!hasType(value) || typeof value.type !== 'string') return false
  return 'n' in value && typeof value.n === 'number' && 't' in value && typeof value.t === 'string'
}
