import type { AuditEntry } from '../src/api/index.ts'
import { type Column, type Terminal, table, visible } from '../src/terminal.ts'
import { usage } from './report.ts'
import { clockTime, parseMoment } from './times.ts'

/** Entries of the audit log as lines, and what the commands about it share. */

export const DEFAULT_SINCE = '24h'

/** The lines of a table: on a screen as wide as that, in a pipe every statement whole. */
export function auditTable(
  terminal: Terminal,
  entries: readonly AuditEntry[],
  now: number,
): readonly string[] {
  const columns: Column[] = [
    { title: 'TIME' },
    { title: 'USER' },
    { title: 'ON' },
    {
      title: 'VERDICT',
      paint: (text: string, row: number) => paintVerdict(terminal, entries[row], text),
    },
    { title: 'SQL', flexible: true },
    { title: 'ROWS', align: 'right' },
  ]
  const width = terminal.isOutTTY ? terminal.columns : Number.MAX_SAFE_INTEGER
  const rows = entries.map(entry => auditCells(terminal, entry, now))
  return table(columns, rows, width)
}

/** Time, user, target, verdict, SQL in one line, and rows: all of it inert. */
export function auditCells(
  { marks }: Pick<Terminal, 'marks'>,
  entry: AuditEntry,
  now: number,
): readonly string[] {
  const user = shortName(entry.user)
  const isKnownAgent = entry.agent !== undefined && entry.agent !== 'unknown'
  return [
    clockTime(entry.at, now),
    isKnownAgent ? `${user}/${entry.agent}` : user,
    entry.target,
    verdictOf(marks, entry),
    entry.sql.replace(/\s+/g, ' ').trim(),
    entry.rows === undefined ? '-' : String(entry.rows),
  ].map(text => visible(text))
}

/** What was decided and, for what was allowed, what became of it. */
function verdictOf(marks: Terminal['marks'], entry: AuditEntry): string {
  const { verdict, rule, outcome, sqlstate, request, approvedBy } = entry
  if (verdict === 'deny') return `${marks.no} ${rule ?? 'denied'}`
  const isForwarded = outcome !== undefined
  if (verdict === 'hold' && !isForwarded) return `${marks.wait} held ${request ?? ''}`.trim()
  if (outcome === 'ok' && approvedBy.length > 0) {
    return `${marks.ok} approved by ${approvedBy.map(shortName).join(', ')}`
  }
  if (outcome === 'ok') return `${marks.ok} ran`
  if (outcome === undefined) return `${marks.wait} no end yet`
  const code = sqlstate === undefined ? '' : ` ${sqlstate}`
  return `${marks.note} ${outcome}${code}`
}

function paintVerdict({ paintOut }: Terminal, entry: AuditEntry | undefined, text: string): string {
  if (entry?.verdict === 'deny') return paintOut.red(text)
  return entry?.verdict === 'hold' && entry.outcome === undefined ? paintOut.yellow(text) : text
}

function shortName(user: string): string {
  return user.split('@')[0] ?? user
}

/** Throws: USAGE for what is neither a span back from now nor a time. */
export function momentOf(text: string, flag: string, command: string, now: number): number {
  const at = parseMoment(text, now)
  if (at !== undefined) return at
  const detail = 'Such as 15m, 24h, 7d or 2026-03-01T12:00Z.'
  throw usage(`--${flag} is not a time: ${text}`, command, detail)
}

/** A number as people read it, and as much as was counted. */
export function counted(value: number, limit: number): string {
  const digits = String(value).replace(/\B(?=(\d{3})+$)/g, ' ')
  return value >= limit ? `${digits} or more` : digits
}
