import { hash } from 'node:crypto'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { AuditRecord, Stored } from '../record/index.ts'
import type { Judged } from './shape.ts'

/** Keeps what became of requests on index, so that the statements they are about can tell. */
export class RequestRows {
  readonly #file: StatementSync
  readonly #find: StatementSync
  readonly #approvers: StatementSync
  readonly #approve: StatementSync
  readonly #settle: StatementSync

  constructor(db: DatabaseSync) {
    this.#file =
      db.prepare(`INSERT OR REPLACE INTO requests (id, state, session, text_sha256, approved_by)
      VALUES (?, ?, ?, ?, '[]')`)
    this.#find = db.prepare(`SELECT id FROM requests WHERE text_sha256 = ? AND session = ?
      ORDER BY number DESC LIMIT 1`)
    this.#approvers = db.prepare('SELECT approved_by FROM requests WHERE id = ?')
    this.#approve = db.prepare('UPDATE requests SET approved_by = ? WHERE id = ?')
    this.#settle = db.prepare('UPDATE requests SET state = ? WHERE id = ?')
  }

  /** Takes a `request.*` record in. False for one that has not the shape its type promises. */
  add(record: Stored<AuditRecord>): boolean {
    switch (record.type) {
      case 'request.filed': {
        const { id, state, session, text } = record
        if (!isText(id) || !isText(state)) return false
        const digest = isText(text) ? hash('sha256', text, 'hex') : null
        this.#file.run(id, state, isText(session) ? session : null, digest)
        return true
      }
      case 'request.voted': {
        const { id, vote, user } = record
        if (!isText(id) || !isText(user)) return false
        if (vote === 'approve') this.#addApprover(id, user)
        return true
      }
      case 'request.settled': {
        const { id, state } = record
        if (!isText(id) || !isText(state)) return false
        this.#settle.run(state, id)
        return true
      }
      default:
        return false
    }
  }

  /** The request that a statement was let through by, or that it was held for. */
  requestOf({ request, verdict, session, text }: Judged): string | undefined {
    if (request !== undefined) return request
    if (verdict !== 'hold') return undefined
    const found = this.#find.get(hash('sha256', text, 'hex'), session)?.id
    return typeof found === 'string' ? found : undefined
  }

  #addApprover(id: string, user: string): void {
    const known: unknown = JSON.parse(String(this.#approvers.get(id)?.approved_by ?? '[]'))
    const all = new Set(Array.isArray(known) ? [...known, user] : [user])
    this.#approve.run(JSON.stringify([...all]), id)
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}
