/**
 * Entries of the audit log in the formats of `dbgate audit export`. An entry is what `audit search --json`
 * prints; what it does not have is null.
 */
export type ExportFormat = 'jsonl' | 'csv' | 'ocsf'
export const EXPORT_FORMATS: readonly ExportFormat[] = ['jsonl', 'csv', 'ocsf']

type Entry = Readonly<Record<string, unknown>>

const CSV_COLUMNS = [
  ...['t', 'id', 'n', 'user', 'via', 'target', 'role', 'session', 'verdict', 'rule', 'request'],
  ...['approved_by', 'class', 'kind', 'tables', 'masked', 'sql', 'outcome', 'sqlstate', 'rows'],
  ...['bytes', 'ms', 'background', 'client', 'ip', 'sql_sha256', 'sha256'],
]

/** What stands before the first entry. */
export function headerOf(format: ExportFormat): string {
  return format === 'csv' ? `${CSV_COLUMNS.join(',')}\r\n` : ''
}

/** One entry with its line's end. `version` is dbgate's own. */
export function lineOf(format: ExportFormat, entry: Entry, version: string): string {
  switch (format) {
    case 'jsonl':
      return `${JSON.stringify(entry)}\n`
    case 'csv':
      return `${CSV_COLUMNS.map(name => csvCell(entry[name])).join(',')}\r\n`
    case 'ocsf':
      return `${JSON.stringify(ocsfOf(entry, version))}\n`
    default:
      return format satisfies never
  }
}

/**
 * A cell as RFC 4180 has it. What a spreadsheet would take for a formula gets an apostrophe before it:
 * statements are written by people who may want to be run by whoever reads about them.
 */
function csvCell(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  const text = Array.isArray(value) ? value.map(String).join(' ') : String(value)
  const inert = /^[\s\0]*[=+\-@\t\r\n|%＝＋－＠]/.test(text) ? `'${text}` : text
  return /[",\r\n\0]/.test(inert) || inert !== text ? `"${inert.replaceAll('"', '""')}"` : inert
}

const CLASS = 6005
const VERSION = '1.3.0'

/**
 * An entry as Datastore Activity of the Open Cybersecurity Schema Framework. What the schema has no place
 * for stands under `unmapped`, as we call it; nothing is guessed.
 *
 * Source: https://schema.ocsf.io/1.3.0/classes/datastore_activity
 */
export function ocsfOf(entry: Entry, version: string): Entry {
  const activity = activityOf(entry)
  const isDenied = entry.verdict === 'deny'
  const at = Date.parse(String(entry.t))
  const unmapped = Object.fromEntries(UNMAPPED.map(name => [name, entry[name]]))
  return {
    ...{ class_uid: CLASS, class_name: 'Datastore Activity' },
    ...{ category_uid: 6, category_name: 'Application Activity' },
    ...{ activity_id: activity.id, activity_name: activity.name },
    type_uid: CLASS * 100 + activity.id,
    type_id: 1,
    time: at,
    ...severityOf(entry),
    ...statusOf(entry),
    ...(isDenied ? { status_detail: `denied by ${entry.rule}` } : {}),
    ...(typeof entry.sqlstate === 'string' ? { status_code: entry.sqlstate } : {}),
    ...(typeof entry.ms === 'number' ? { duration: Math.round(entry.ms) } : {}),
    metadata: {
      version: VERSION,
      product: { name: 'dbgate', vendor_name: 'dbgate', version },
      ...{ uid: entry.id, sequence: entry.n, original_time: entry.t },
    },
    actor: {
      user: { name: entry.user, ...emailOf(entry.user) },
      session: { uid: entry.session },
      ...(typeof entry.client === 'string' ? { app_name: entry.client } : {}),
    },
    src_endpoint: typeof entry.ip === 'string' ? { ip: entry.ip } : { name: 'unknown' },
    dst_endpoint: { name: entry.target },
    database: { name: entry.target, type: 'Relational', type_id: 1 },
    query_info: { query_string: entry.sql, uid: entry.id },
    unmapped,
  }
}

const UNMAPPED = [
  ...['via', 'role', 'verdict', 'rule', 'request', 'approved_by', 'class', 'kind', 'tables'],
  ...['masked', 'outcome', 'rows', 'bytes', 'background', 'sql_sha256', 'sha256'],
]

function emailOf(user: unknown): Entry {
  return typeof user === 'string' && user.includes('@') ? { email_addr: user } : {}
}

/** By the strongest part of the statement. */
function activityOf({ kind, class: effect }: Entry): { id: number; name: string } {
  if (kind === 'SELECT' || kind === 'COPY_TO') return { id: 4, name: 'Query' }
  if (kind === 'UPDATE' || kind === 'MERGE') return { id: 2, name: 'Update' }
  if (kind === 'INSERT' || kind === 'COPY_FROM') return { id: 5, name: 'Write' }
  if (kind === 'DELETE' || kind === 'TRUNCATE') return { id: 7, name: 'Delete' }
  return { id: 99, name: [effect, kind].filter(part => part !== '').join(' ') || 'Other' }
}

function statusOf({ verdict, outcome }: Entry): Entry {
  if (outcome === 'ok') return { status_id: 1, status: 'Success' }
  const isFailure = verdict === 'deny' || (outcome !== null && outcome !== undefined)
  return isFailure ? { status_id: 2, status: 'Failure' } : { status_id: 0, status: 'Unknown' }
}

function severityOf({ verdict }: Entry): Entry {
  return verdict === 'deny'
    ? { severity_id: 2, severity: 'Low' }
    : { severity_id: 1, severity: 'Informational' }
}
