import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite'
import { DbgateError } from '../errors.ts'
import type { ApprovalRequest, Hold, RequestFilter } from './holds-rows.ts'
import { openHolds } from './holds-schema.ts'

/** How long another process may keep us waiting, at most: the thread that serves waits too. */
const BUSY_MS = 250
const LIST_LIMIT = 200

type Row = Record<string, SQLOutputValue>

/**
 * Held statements, requests for access and grants, in a SQLite file of their own that several processes may use.
 * Nothing here knows who may do what: `transaction` makes a change one that happens once and whole, and is on
 * disk when it returns.
 *
 * Throws: NO_STORE (58030) from every call: the file can't be read or written, or is locked for too long.
 */
export class HoldStore {
  readonly #db: DatabaseSync
  readonly #sql: ReturnType<typeof prepareAll>
  #dataVersion: unknown

  private constructor(db: DatabaseSync) {
    this.#db = db
    this.#sql = prepareAll(db)
    this.#dataVersion = this.#sql.dataVersion.get()?.data_version
  }

  /** Opens the file, or makes it. Throws as `openHolds`. */
  static open(file: string, options: { readonly busyMs?: number } = {}): HoldStore {
    return new HoldStore(openHolds(file, options.busyMs ?? BUSY_MS))
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close()
  }

  /**
   * Runs `change` while no other connection can write: what it reads stays true until it is done. What it throws
   * undoes all of it. Not to be nested, and not to be waited in.
   */
  transaction<T>(change: () => T): T {
    guard(() => this.#db.exec('BEGIN IMMEDIATE'))
    try {
      const result = change()
      guard(() => this.#db.exec('COMMIT'))
      return result
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw error
    }
  }

  insert(request: ApprovalRequest): void {
    guard(() => this.#sql.insert.run(request.id, ...columnsOf(request)))
  }

  /** Puts the request in the place of the one with its id. */
  replace(request: ApprovalRequest): void {
    const { changes } = guard(() => this.#sql.replace.run(...columnsOf(request), request.id))
    if (Number(changes) !== 1) throw new TypeError(`no request ${request.id} to replace`)
  }

  find(id: string): ApprovalRequest | undefined {
    return guard(() => optional(this.#sql.find.get(id)))
  }

  /** Those whose id starts with `prefix`, `limit` at most. */
  findByPrefix(prefix: string, limit: number): readonly ApprovalRequest[] {
    return guard(() => this.#sql.findByPrefix.all(prefix, `${prefix}\u{10ffff}`, limit)).map(
      requestOf,
    )
  }

  /** Holds of this binding that stand in the way of another: open, approved or denied. Newest first. */
  holdsOf(binding: string): readonly Hold[] {
    return guard(() => this.#sql.holdsOf.all(binding))
      .map(requestOf)
      .filter(isHold)
  }

  /** True for an id that is in use, or was. */
  isSpent(id: string): boolean {
    return guard(() => this.#sql.isSpent.get(id, id)) !== undefined
  }

  list(filter: RequestFilter): readonly ApprovalRequest[] {
    const { conditions, values } = conditionsOf(filter)
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
    return guard(() =>
      this.#db
        .prepare(`SELECT * FROM requests ${where} ORDER BY filed_at DESC, rowid DESC LIMIT ?`)
        .all(...values, filter.limit ?? LIST_LIMIT),
    ).map(requestOf)
  }

  /** How many of the principal's are open. */
  countOpen(issuer: string, subject: string): number {
    return Number(guard(() => this.#sql.countOpen.get(issuer, subject))?.count)
  }

  /** Open and approved requests whose time is over at `now`, those that ended first before the others. */
  due(now: number, limit: number): readonly ApprovalRequest[] {
    return guard(() => this.#sql.due.all(now, limit)).map(requestOf)
  }

  /** True if anything is open or approved. */
  hasAlive(): boolean {
    return guard(() => this.#sql.hasAlive.get()) !== undefined
  }

  /** Ids of what was finished before `time`, the oldest first. */
  finishedBefore(time: number, limit: number): readonly string[] {
    return guard(() => this.#sql.finishedBefore.all(time, limit)).map(({ id }) => String(id))
  }

  /** Deletes requests for good; their ids are never given out again. */
  delete(ids: readonly string[]): void {
    guard(() => {
      for (const id of ids) {
        this.#sql.spend.run(id)
        this.#sql.delete.run(id)
      }
    })
  }

  /** The latest time that `see` was told. */
  seen(): number {
    return Number(guard(() => this.#sql.seen.get())?.seen)
  }

  see(now: number): void {
    guard(() => this.#sql.see.run(now))
  }

  /** Brings the end of all that can still expire nearer: what was used may be given back. */
  shorten(ms: number): void {
    guard(() => this.#sql.shorten.run(ms))
  }

  /** True if another connection has written since the last time this was asked. */
  hasChangedElsewhere(): boolean {
    const version = guard(() => this.#sql.dataVersion.get())?.data_version
    const hasChanged = version !== this.#dataVersion
    this.#dataVersion = version
    return hasChanged
  }
}

function prepareAll(db: DatabaseSync) {
  const prepare = (sql: string): StatementSync => db.prepare(sql)
  const alive = "state IN ('open', 'approved')"
  return {
    insert: prepare('INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'),
    replace: prepare(`UPDATE requests SET kind = ?, state = ?, issuer = ?, subject = ?, target = ?,
      binding = ?, filed_at = ?, expires_at = ?, finished_at = ?, body = ? WHERE id = ?`),
    find: prepare('SELECT * FROM requests WHERE id = ?'),
    findByPrefix: prepare('SELECT * FROM requests WHERE id >= ? AND id < ? LIMIT ?'),
    holdsOf: prepare(`SELECT * FROM requests WHERE binding = ?
      AND state IN ('open', 'approved', 'denied') ORDER BY filed_at DESC, rowid DESC`),
    isSpent: prepare(
      'SELECT 1 FROM requests WHERE id = ? UNION ALL SELECT 1 FROM spent WHERE id = ?',
    ),
    countOpen: prepare(`SELECT count(*) AS count FROM requests
      WHERE issuer = ? AND subject = ? AND state = 'open'`),
    due: prepare(`SELECT * FROM requests WHERE ${alive} AND expires_at <= ?
      ORDER BY expires_at LIMIT ?`),
    hasAlive: prepare(`SELECT 1 FROM requests WHERE ${alive} LIMIT 1`),
    finishedBefore: prepare(`SELECT id FROM requests WHERE finished_at < ?
      ORDER BY finished_at LIMIT ?`),
    spend: prepare('INSERT OR IGNORE INTO spent VALUES (?)'),
    delete: prepare('DELETE FROM requests WHERE id = ?'),
    seen: prepare('SELECT seen FROM clock'),
    see: prepare('UPDATE clock SET seen = ?'),
    shorten: prepare(`UPDATE requests SET expires_at = expires_at - ?
      WHERE state IN ('open', 'approved', 'used')`),
    dataVersion: prepare('PRAGMA data_version'),
  }
}

function conditionsOf(filter: RequestFilter): {
  readonly conditions: readonly string[]
  readonly values: readonly SQLInputValue[]
} {
  const { states, kind, requester, target } = filter
  const conditions: string[] = []
  const values: SQLInputValue[] = []
  const add = (condition: string, ...given: readonly SQLInputValue[]) => {
    conditions.push(condition)
    values.push(...given)
  }
  if (states !== undefined) add(`state IN (${states.map(() => '?').join(', ')})`, ...states)
  if (kind !== undefined) add('kind = ?', kind)
  if (requester !== undefined) {
    add('issuer = ? AND subject = ?', requester.issuer, requester.subject)
  }
  if (target !== undefined) add('target = ?', target)
  return { conditions, values }
}

/** The columns after the id. */
function columnsOf(request: ApprovalRequest): SQLInputValue[] {
  const { id: _, kind, state, target, filedAt, expiresAt, ...body } = request
  const { issuer, subject } = request.requester
  const binding = request.kind === 'statement' ? request.binding : null
  const times = [filedAt, expiresAt, request.finished?.at ?? null]
  return [kind, state, issuer, subject, target, binding, ...times, JSON.stringify(body)]
}

function requestOf(row: Row): ApprovalRequest {
  const { id, kind, state, target, filed_at: filedAt, expires_at: expiresAt, body } = row
  // What `columnsOf` wrote: nobody else writes to this file.
  return { ...JSON.parse(String(body)), id, kind, state, target, filedAt, expiresAt }
}

function optional(row: Row | undefined): ApprovalRequest | undefined {
  return row === undefined ? undefined : requestOf(row)
}

function isHold(request: ApprovalRequest): request is Hold {
  return request.kind === 'statement'
}

/** What SQLite throws, as an error of ours that a session survives. */
function guard<T>(run: () => T): T {
  try {
    return run()
  } catch (cause) {
    if (!(cause instanceof Error && 'errcode' in cause)) throw cause
    throw new DbgateError('NO_STORE', `the store of held statements fails: ${cause.message}`, {
      hint: 'Allowed statements go on; what needs approval is refused until it is back.',
      cause,
    })
  }
}
