import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { CompletedRecord, LogEntry, SessionStart } from '../record/index.ts'
import { isCompletion, isJudged, isSessionStart, type Judged } from './shape.ts'
import { EVERY, factToken, textTokens } from './tokens.ts'

/** Effects from the strongest to the weakest: a text of several statements goes by its strongest. */
const CLASSES = ['admin', 'ddl', 'write', 'read', 'session', 'transaction']

/**
 * Puts records into the index. A batch is one transaction that moves the position as well, so that a
 * process killed at any moment leaves an index that ends at some record and has all before it.
 */
export class BatchWriter {
  readonly #db: DatabaseSync
  readonly #insertSession: StatementSync
  readonly #noteSession: StatementSync
  readonly #endSession: StatementSync
  readonly #findSession: StatementSync
  readonly #countStatement: StatementSync
  readonly #insertStatement: StatementSync
  readonly #insertTokens: StatementSync
  readonly #complete: StatementSync
  readonly #countRows: StatementSync
  readonly #setPosition: StatementSync
  readonly #lastSpan: StatementSync
  readonly #growSpan: StatementSync
  readonly #insertSpan: StatementSync

  constructor(db: DatabaseSync) {
    this.#db = db
    this.#insertSession = db.prepare(`INSERT INTO sessions
      (id, user, via, target, role, started_at) VALUES (?, ?, ?, ?, ?, ?) RETURNING number`)
    this.#noteSession = db.prepare(`UPDATE sessions SET user = ?, via = ?, target = ?, role = ?,
      name = ?, issuer = ?, subject = ?, database = ?, address = ?, application = ?, started_at = ?
      WHERE number = ?`)
    this.#endSession = db.prepare('UPDATE sessions SET ended_at = ?, reason = ? WHERE id = ?')
    this.#findSession = db.prepare('SELECT number FROM sessions WHERE id = ?')
    this.#countStatement = db.prepare(`UPDATE sessions SET statements = statements + 1,
      denied = denied + ?, held = held + ? WHERE number = ?`)
    this.#insertStatement = db.prepare(`INSERT OR IGNORE INTO statements
      (n, session, counter, t, verdict, rule, class, kind, tables, sha256, sql)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
    this.#insertTokens = db.prepare('INSERT INTO words (rowid, tokens) VALUES (?, ?)')
    this.#complete = db.prepare(`UPDATE statements SET outcome = ?, rows = ?, bytes = ?,
      duration_us = ?, sqlstate = ?, tag = ? WHERE session = ? AND counter = ?`)
    this.#countRows = db.prepare('UPDATE sessions SET rows = rows + ? WHERE number = ?')
    this.#setPosition = db.prepare('INSERT OR REPLACE INTO position VALUES (1, ?, ?, ?)')
    this.#lastSpan = db.prepare('SELECT * FROM spans ORDER BY first_n DESC LIMIT 1')
    this.#growSpan = db.prepare(`UPDATE spans SET last_n = ?, count = count + 1,
      min_t = min(min_t, ?), max_t = max(max_t, ?) WHERE first_n = ?`)
    this.#insertSpan = db.prepare('INSERT INTO spans VALUES (?, ?, 1, ?, ?)')
  }

  /** Puts all entries in, or none. Returns how many of them could not be understood. */
  write(entries: readonly LogEntry[]): number {
    const last = entries.at(-1)
    if (last === undefined) return 0
    let unreadable = 0
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      for (const entry of entries) if (!this.#add(entry)) unreadable++
      this.#setPosition.run(last.at.segment, last.at.offset, last.sha256)
      this.#db.exec('COMMIT')
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw error
    }
    return unreadable
  }

  /** False for a record that has not the shape its type promises: somebody edited the file. */
  #add({ record, sha256 }: LogEntry): boolean {
    const at = Date.parse(record.t)
    if (Number.isNaN(at)) return false
    switch (record.type) {
      case 'session.start':
        return isSessionStart(record) && this.#addSession(record, at)
      case 'session.end':
        if (typeof record.session !== 'string') return false
        this.#endSession.run(at, String(record.reason), record.session)
        return true
      case 'statement':
      case 'denied':
        return isJudged(record) && this.#addStatement(record, at, sha256)
      case 'completed':
        return isCompletion(record) && this.#addCompletion(record)
      default:
        return true
    }
  }

  #addSession(record: SessionStart, at: number): boolean {
    const { principal, session, agent, target, role, database, client, application } = record
    const number = this.#session(session, principal.user, agent, target, role, at)
    const { user, name, issuer, subject } = principal
    this.#noteSession.run(
      ...[user, agent, target, role, name, issuer, subject, database, client, application, at],
      number,
    )
    return true
  }

  /** A session's number. Its statements come first where the record of its start is gone. */
  #session(
    id: string,
    user: string,
    via: string,
    target: string,
    role: string,
    at: number,
  ): number {
    const known =
      this.#findSession.get(id) ?? this.#insertSession.get(id, user, via, target, role, at)
    return Number(known?.number)
  }

  #addStatement(record: Judged, at: number, sha256: string): boolean {
    const { n, session, user, agent, target, role, id, verdict, rule, text } = record
    const counter = counterOf(id, session)
    if (counter === undefined) return false
    const number = this.#session(session, user, agent, target, role, at)
    const facts = factsOf(record)
    const { class: effect, kind, tables } = facts
    const inserted = this.#insertStatement.run(
      ...[n, number, counter, at, verdict, rule, effect, kind, JSON.stringify(tables), sha256],
      text,
    )
    // A record that stands twice is on index once.
    if (inserted.changes === 0) return false
    this.#insertTokens.run(n, `${EVERY} ${facts.tokens} ${textTokens(text)}`)
    this.#countStatement.run(verdict === 'deny' ? 1 : 0, verdict === 'hold' ? 1 : 0, number)
    this.#addToSpan(n, at)
    return true
  }

  #addCompletion(record: CompletedRecord): boolean {
    const session = record.id.slice(0, record.id.lastIndexOf('.'))
    const counter = counterOf(record.id, session)
    const number = this.#findSession.get(session)?.number
    if (counter === undefined || number === undefined) return false
    const { outcome, rows, bytes, durationUs, sqlstate = null, tag = null } = record
    this.#complete.run(outcome, rows, bytes, durationUs, sqlstate, tag, number, counter)
    if (rows > 0) this.#countRows.run(rows, number)
    return true
  }

  #addToSpan(n: number, at: number): void {
    const last = this.#lastSpan.get()
    if (last === undefined || Number(last.count) >= SPAN_STATEMENTS) {
      this.#insertSpan.run(n, n, at, at)
    } else {
      this.#growSpan.run(n, at, at, Number(last.first_n))
    }
  }
}

const SPAN_STATEMENTS = 1000

function counterOf(id: string, session: string): number | undefined {
  const digits = id.startsWith(`${session}.`) ? id.slice(session.length + 1) : ''
  return /^\d{1,15}$/.test(digits) ? Number(digits) : undefined
}

type Facts = { class: string; kind: string; tables: string[]; tokens: string }

function factsOf(record: Judged): Facts {
  const { user, agent, target, role, session, verdict, rule } = record
  const tokens = new Set([
    factToken('user', user),
    factToken('user', user.split('@')[0] ?? user),
    factToken('via', agent),
    factToken('target', target),
    factToken('role', role),
    factToken('session', session),
    factToken('verdict', verdict),
    factToken('rule', rule),
  ])
  const tables = new Set<string>()
  let strongest = CLASSES.length
  let kind = ''
  for (const statement of record.statements) {
    tokens.add(factToken('class', statement.class))
    tokens.add(factToken('kind', statement.kind))
    const rank = CLASSES.indexOf(statement.class)
    if (kind === '' || (rank !== -1 && rank < strongest)) {
      strongest = rank === -1 ? strongest : rank
      kind = statement.kind
    }
    for (const { schema, name } of statement.relations) {
      const full = schema === undefined ? name : `${schema}.${name}`
      tables.add(full)
      tokens.add(factToken('table', full)).add(factToken('table', name))
    }
  }
  const effect = CLASSES[strongest] ?? record.statements[0]?.class ?? ''
  return { class: effect, kind, tables: [...tables], tokens: [...tokens].join(' ') }
}
