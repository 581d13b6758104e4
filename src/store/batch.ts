import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { CompletedRecord, LogEntry, SessionStart } from '../record/index.ts'
import { isBackground } from './background.ts'
import { FactMaker } from './facts.ts'
import { RequestRows } from './request-rows.ts'
import { isCompletion, isJudged, isSessionStart, type Judged } from './shape.ts'
import { EVERY, factToken, textTokens } from './tokens.ts'

/** A statement of the batch, and how it ended if that is in the batch as well. */
type Row = {
  readonly record: Judged
  readonly sha256: string
  readonly at: number
  readonly session: number
  readonly counter: number
  completion: CompletedRecord | undefined
}

type Label = Pick<Judged, 'session' | 'user' | 'agent' | 'target' | 'role'>

/** What a batch adds to a session. */
type Sum = { statements: number; denied: number; held: number; rows: number }

/** Statements in one row of `spans`, at least: fewer rows to look through, for a range less exact. */
const SPAN_STATEMENTS = 1000

/**
 * Puts records into the index. A batch is one transaction that moves the position as well, so that a
 * process killed at any moment leaves an index that ends at some record and has all before it.
 */
export class BatchWriter {
  readonly #db: DatabaseSync
  readonly #sql: ReturnType<typeof prepareAll>
  #numbers = new Map<string, number>()
  #rows: Row[] = []
  #rowsById = new Map<string, Row>()
  #known = new Set<number>()
  #sums = new Map<number, Sum>()
  /** By text: tools repeat themselves. */
  #textTokens = new Map<string, string>()
  readonly #facts = new FactMaker()
  readonly #requests: RequestRows
  /** The last record on index: what follows it can't be there yet. */
  #lastN = 0

  constructor(db: DatabaseSync) {
    this.#db = db
    this.#sql = prepareAll(db)
    this.#requests = new RequestRows(db)
    this.#lastN = Number(db.prepare('SELECT max(n) AS n FROM position').get()?.n ?? 0)
  }

  /** Puts all entries in, or none. Returns how many of them could not be understood. */
  write(entries: readonly LogEntry[]): number {
    const last = entries.at(-1)
    if (last === undefined) return 0
    let unreadable = 0
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      for (const entry of entries) if (!this.#add(entry)) unreadable++
      for (const row of this.#rows) this.#insert(row)
      for (const [session, { statements, denied, held, rows }] of this.#sums) {
        this.#sql.addToSession.run(statements, denied, held, rows, session)
      }
      this.#addSpan()
      const { at, record, sha256 } = last
      this.#sql.setPosition.run(at.segment, at.offset, sha256, record.n)
      this.#db.exec('COMMIT')
      this.#lastN = Math.max(this.#lastN, record.n)
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw error
    } finally {
      // Also the numbers: after a rollback they would be of sessions that are not there.
      this.#numbers = new Map()
      this.#rows = []
      this.#rowsById = new Map()
      this.#known = new Set()
      this.#sums = new Map()
      this.#textTokens = new Map()
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
        this.#sql.endSession.run(at, String(record.reason), record.session)
        return true
      case 'statement':
      case 'denied':
        return isJudged(record) && this.#addStatement(record, at, sha256)
      case 'completed':
        return isCompletion(record) && this.#addCompletion(record)
      case 'request.filed':
      case 'request.voted':
      case 'request.settled':
        return this.#requests.add(record)
      default:
        return true
    }
  }

  #addSession(record: SessionStart, at: number): boolean {
    const { principal, session, agent, target, role, database, client, application } = record
    const { user, name, issuer, subject } = principal
    const label = { session, user, agent, target, role }
    this.#sql.noteSession.run(
      ...[name, issuer, subject, database, client, application],
      this.#makeNumber(label, at),
    )
    return true
  }

  /** The number of the session with this label. Its first statement makes one where the start is gone. */
  #number(label: Label, at: number): number {
    const key = keyOf(label)
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    const { session, user, agent, target, role } = label
    const found = this.#sql.findSession.get(session, user, agent, target, role)?.number
    if (typeof found !== 'number') return this.#makeNumber(label, at)
    this.#numbers.set(key, found)
    return found
  }

  #makeNumber(label: Label, at: number): number {
    const { session, user, agent, target, role } = label
    const made = this.#sql.insertSession.run(session, user, agent, target, role, at)
    const number = Number(made.lastInsertRowid)
    this.#numbers.set(keyOf(label), number)
    return number
  }

  #sum(session: number): Sum {
    const known = this.#sums.get(session)
    if (known !== undefined) return known
    const sum = { statements: 0, denied: 0, held: 0, rows: 0 }
    this.#sums.set(session, sum)
    return sum
  }

  /** A record that stands twice is on index once. */
  #addStatement(record: Judged, at: number, sha256: string): boolean {
    const { n, id, verdict } = record
    const counter = counterOf(id, record.session)
    if (counter === undefined || this.#known.has(n)) return false
    if (n <= this.#lastN && this.#sql.findStatement.get(n) !== undefined) return false
    const session = this.#number(record, at)
    const row: Row = { record, sha256, at, session, counter, completion: undefined }
    this.#rows.push(row)
    this.#rowsById.set(id, row)
    this.#known.add(n)
    const sum = this.#sum(session)
    sum.statements++
    if (verdict === 'deny') sum.denied++
    if (verdict === 'hold') sum.held++
    return true
  }

  #addCompletion(record: CompletedRecord): boolean {
    const row = this.#rowsById.get(record.id)
    if (row !== undefined) {
      row.completion = record
      this.#sum(row.session).rows += record.rows
      return true
    }
    const session = record.id.slice(0, record.id.lastIndexOf('.'))
    const found = this.#sql.findById.get(session, counterOf(record.id, session) ?? -1)
    if (found === undefined) return false
    this.#sum(Number(found.session)).rows += record.rows
    this.#sql.complete.run(...endOf(record), Number(found.n))
    return true
  }

  #insert({ record, sha256, at, session, counter, completion }: Row): void {
    const { n, verdict, rule, text } = record
    const request = this.#requests.requestOf(record) ?? null
    const { class: effect, kind, tables, tokens } = this.#facts.factsOf(record)
    const background = isBackground(record) ? 1 : 0
    const digest = Buffer.from(sha256, 'hex')
    this.#sql.insertStatement.run(
      ...[
        n,
        session,
        counter,
        at,
        verdict,
        rule,
        effect,
        kind,
        tables,
        background,
        request,
        digest,
      ],
      ...endOf(completion),
      text,
    )
    const words = this.#textTokens.get(text) ?? textTokens(text)
    this.#textTokens.set(text, words)
    const asked = request === null ? '' : ` ${factToken('request', request)}`
    this.#sql.insertTokens.run(n, `${EVERY} ${tokens}${asked} ${words}`)
  }

  #addSpan(): void {
    const rows = this.#rows
    if (rows.length === 0) return
    const numbers = rows.map(row => row.record.n)
    const times = rows.map(row => row.at)
    const [firstN, lastN] = [Math.min(...numbers), Math.max(...numbers)]
    const [minT, maxT] = [Math.min(...times), Math.max(...times)]
    const last = this.#sql.lastSpan.get()
    if (last === undefined || Number(last.count) >= SPAN_STATEMENTS) {
      this.#sql.insertSpan.run(firstN, lastN, rows.length, minT, maxT)
    } else {
      this.#sql.growSpan.run(lastN, rows.length, minT, maxT, Number(last.first_n))
    }
  }
}

function prepareAll(db: DatabaseSync) {
  const prepare = (sql: string): StatementSync => db.prepare(sql)
  return {
    insertSession: prepare(`INSERT INTO sessions (id, user, via, target, role, started_at)
      VALUES (?, ?, ?, ?, ?, ?)`),
    noteSession: prepare(`UPDATE sessions SET name = ?, issuer = ?, subject = ?, database = ?,
      address = ?, application = ? WHERE number = ?`),
    endSession: prepare(`UPDATE sessions SET ended_at = ?, reason = ?
      WHERE number = (SELECT max(number) FROM sessions WHERE id = ?)`),
    findSession: prepare(`SELECT max(number) AS number FROM sessions
      WHERE id = ? AND user = ? AND via = ? AND target = ? AND role = ?`),
    addToSession: prepare(`UPDATE sessions SET statements = statements + ?, denied = denied + ?,
      held = held + ?, rows = rows + ? WHERE number = ?`),
    findStatement: prepare('SELECT 1 FROM statements WHERE n = ?'),
    findById: prepare(`SELECT n, session FROM statements
      WHERE session IN (SELECT number FROM sessions WHERE id = ?) AND counter = ?
      ORDER BY n DESC LIMIT 1`),
    insertStatement: prepare(`INSERT INTO statements
      (n, session, counter, t, verdict, rule, class, kind, tables, background, request, sha256,
       outcome, rows, bytes, duration_us, sqlstate, tag, masked, sql)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    insertTokens: prepare('INSERT INTO words (rowid, tokens) VALUES (?, ?)'),
    complete: prepare(`UPDATE statements SET outcome = ?, rows = ?, bytes = ?, duration_us = ?,
      sqlstate = ?, tag = ?, masked = ? WHERE n = ?`),
    setPosition: prepare('INSERT OR REPLACE INTO position VALUES (1, ?, ?, ?, ?)'),
    lastSpan: prepare('SELECT first_n, count FROM spans ORDER BY first_n DESC LIMIT 1'),
    growSpan: prepare(`UPDATE spans SET last_n = ?, count = count + ?,
      min_t = min(min_t, ?), max_t = max(max_t, ?) WHERE first_n = ?`),
    insertSpan: prepare('INSERT INTO spans VALUES (?, ?, ?, ?, ?)'),
  }
}

/** The columns a completion fills: outcome, rows, bytes, duration, SQLSTATE, tag, masked columns. */
function endOf(completion: CompletedRecord | undefined): (string | number | null)[] {
  if (completion === undefined) return [null, null, null, null, null, null, null]
  const { outcome, rows, bytes, durationUs, sqlstate = null, tag = null } = completion
  return [outcome, rows, bytes, durationUs, sqlstate, tag, maskedOf(completion)]
}

function maskedOf(completion: CompletedRecord): string | null {
  const masked: unknown = 'masked' in completion ? completion.masked : undefined
  return Array.isArray(masked) && masked.length > 0 ? JSON.stringify(masked.map(String)) : null
}

function keyOf({ session, user, agent, target, role }: Label): string {
  return `${session}\n${user}\n${agent}\n${target}\n${role}`
}

function counterOf(id: string, session: string): number | undefined {
  const digits = id.startsWith(`${session}.`) ? id.slice(session.length + 1) : ''
  return /^\d{1,15}$/.test(digits) ? Number(digits) : undefined
}
