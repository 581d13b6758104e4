import type { AuditRecord, LogEntry, Stored } from '../record/index.ts'

/** An event as sinks get it: the record with its line's hash, by which a receiver knows repetitions. */
export type ExportedEvent = {
  readonly sha256: string
  readonly record: Stored<AuditRecord>
}

/** What is sent of an entry. The values of a statement are left out, and their number told, unless `parameters`. */
export function exportedEvent({ record, sha256 }: LogEntry, parameters: boolean): ExportedEvent {
  if (parameters || !('parameters' in record) || record.parameters === undefined) {
    return { record, sha256 }
  }
  const { parameters: left, ...rest } = record
  const sent = { ...rest, parametersLeftOut: Array.isArray(left) ? left.length : 0 }
  return { record: sent, sha256 }
}

/** The event as one line of JSON, ASCII only: no receiver guesses its encoding, no line has a control character. */
export function eventJson({ record, sha256 }: ExportedEvent): string {
  return asciiJson({ ...record, sha256 })
}

/** Whether a sink wants records of this type. */
export function isWanted(type: string, events: readonly string[]): boolean {
  return events.some(event =>
    event.endsWith('*') ? type.startsWith(event.slice(0, -1)) : event === type,
  )
}

export type Severity = 'error' | 'warning' | 'info'

/** How much an event calls for somebody to look. */
export function severityOf({ record }: ExportedEvent): Severity {
  if (record.type === 'gap' || record.type === 'bypass.seen') return 'error'
  return record.type === 'denied' || record.type === 'repaired' ? 'warning' : 'info'
}

function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
