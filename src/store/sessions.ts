import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import type { SessionFilter, SessionRow } from './rows.ts'
import { hostOf, maybeText, text } from './search.ts'

const DEFAULT_LIMIT = 50

/** The newest sessions that fit, in the order they started in. */
export function listSessions(db: DatabaseSync, filter: SessionFilter): SessionRow[] {
  const conditions: string[] = []
  const values: (string | number)[] = []
  const add = (condition: string, value: string | number | undefined) => {
    if (value === undefined) return
    conditions.push(condition)
    values.push(value)
  }
  add('coalesce(ended_at, started_at) >= ?', filter.since)
  add('started_at <= ?', filter.until)
  add('issuer = ?', filter.only?.issuer)
  add('subject = ?', filter.only?.subject)
  add('user = ?', filter.user)
  add('target = ?', filter.target)
  add('instr(id, ?) = 1', filter.id)
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
  const sql = `SELECT * FROM sessions ${where} ORDER BY started_at DESC, number DESC LIMIT ?`
  const rows = db.prepare(sql).all(...values, filter.limit ?? DEFAULT_LIMIT)
  return rows.reverse().map(sessionRow)
}

function sessionRow(row: Record<string, SQLOutputValue>): SessionRow {
  return {
    v: 1,
    id: text(row, 'id'),
    user: text(row, 'user'),
    via: text(row, 'via'),
    target: text(row, 'target'),
    role: text(row, 'role'),
    database: maybeText(row, 'database'),
    client: maybeText(row, 'application'),
    ip: hostOf(maybeText(row, 'address')),
    started_at: new Date(Number(row.started_at)).toISOString(),
    ended_at: typeof row.ended_at === 'number' ? new Date(row.ended_at).toISOString() : null,
    reason: maybeText(row, 'reason'),
    statements: Number(row.statements),
    denied: Number(row.denied),
    held: Number(row.held),
    rows: Number(row.rows),
  }
}
