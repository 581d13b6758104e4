import type { DatabaseSync } from 'node:sqlite'
import { bytesAfter, type LogEntry, type Position, readRecords } from '../record/index.ts'
import { BatchWriter } from './batch.ts'
import type {
  AuditRow,
  IndexStatus,
  SearchCounts,
  SearchOptions,
  SessionFilter,
  SessionRow,
} from './rows.ts'
import { isDamage, isUnusable, openDatabase, removeDatabase } from './schema.ts'
import { count, prepareSearch, search } from './search.ts'
import { listSessions } from './sessions.ts'

/** A batch is as much as is lost to a kill -9, and as much as is kept in memory. */
const BATCH_RECORDS = 2000
const BATCH_CHARS = 16 * 1024 * 1024

/** The index with what keeps it up with the log. Everything here blocks: it lives in a worker. */
export class Indexer {
  readonly #logDir: string
  readonly #file: string
  #db: DatabaseSync
  #writer: BatchWriter
  #unreadable = 0

  constructor(logDir: string, file: string) {
    this.#logDir = logDir
    this.#file = file
    const { db, writer } = open(file)
    this.#db = db
    this.#writer = writer
  }

  /** Searches the log up to its present end. */
  search(query: string, options: SearchOptions): Promise<AuditRow[]> {
    return this.#upToDate(db => search(db, query, options))
  }

  /** Counts what `search` would find without its limit. */
  count(query: string, options: SearchOptions): Promise<SearchCounts> {
    return this.#upToDate(db => count(db, query, options))
  }

  /** Lists sessions up to the log's present end. */
  sessions(filter: SessionFilter): Promise<SessionRow[]> {
    return this.#upToDate(db => listSessions(db, filter))
  }

  status(): Promise<IndexStatus> {
    return this.#upToDate(db => {
      const one = (sql: string) => Number(db.prepare(sql).get()?.value ?? 0)
      return {
        statements: one('SELECT coalesce(sum(count), 0) AS value FROM spans'),
        sessions: one('SELECT count(*) AS value FROM sessions'),
        lastRecord: one('SELECT max(n) AS value FROM position'),
        unreadable: this.#unreadable,
      }
    })
  }

  /** Brings the index up to the log's end; a damaged index is built anew. */
  async catchUp(): Promise<void> {
    await this.#upToDate(() => undefined)
  }

  /** Bytes of the log that are not on index yet: roughly, and 0 if it cannot be told. */
  behindBytes(): number {
    const at = this.#position()?.at ?? { segment: 0, offset: 0 }
    return bytesAfter(this.#logDir, at)
  }

  /** Builds the index anew from the log alone. */
  async rebuild(): Promise<void> {
    this.#startOver()
    await this.#feed()
  }

  close(): void {
    this.#db.close()
  }

  async #upToDate<T>(ask: (db: DatabaseSync) => T): Promise<T> {
    try {
      await this.#feed()
      return ask(this.#db)
    } catch (error) {
      if (!isDamage(error)) throw error
    }
    await this.rebuild()
    return ask(this.#db)
  }

  #startOver(): void {
    this.#db.close()
    removeDatabase(this.#file)
    const { db, writer } = open(this.#file)
    this.#db = db
    this.#writer = writer
    this.#unreadable = 0
  }

  /**
   * Reads on from the last record the index knows. Where that record is not at its place any more, the log
   * is another one: an index of both would be of neither.
   */
  async #feed(): Promise<void> {
    const known = this.#position()
    if (known !== undefined && !(await this.#isInPlace(known))) {
      this.#startOver()
      await this.#readFrom(undefined)
      return
    }
    await this.#readFrom(known?.at)
  }

  async #readFrom(at: Position | undefined): Promise<void> {
    let batch: LogEntry[] = []
    let chars = 0
    let isFirst = at !== undefined
    const write = () => {
      this.#unreadable += this.#writer.write(batch)
      batch = []
      chars = 0
    }
    const onUnreadable = () => {
      this.#unreadable++
    }
    for await (const entry of readRecords(this.#logDir, { from: at, onUnreadable })) {
      if (isFirst) {
        isFirst = false
        continue
      }
      batch.push(entry)
      chars += 'text' in entry.record ? (entry.record.text?.length ?? 0) : 0
      if (batch.length >= BATCH_RECORDS || chars > BATCH_CHARS) write()
    }
    write()
  }

  #position(): { at: Position; sha256: string } | undefined {
    const row = this.#db.prepare('SELECT * FROM position').get()
    if (row === undefined) return undefined
    const at = { segment: Number(row.segment), offset: Number(row.byte) }
    return { at, sha256: String(row.sha256) }
  }

  async #isInPlace({ at, sha256 }: { at: Position; sha256: string }): Promise<boolean> {
    for await (const entry of readRecords(this.#logDir, { from: at, onUnreadable: () => {} })) {
      return (
        entry.at.segment === at.segment && entry.at.offset === at.offset && entry.sha256 === sha256
      )
    }
    return false
  }
}

/** Opens the index with all that is asked of it; a file that cannot do that is replaced, once. */
function open(file: string): { db: DatabaseSync; writer: BatchWriter } {
  try {
    return prepare(openDatabase(file))
  } catch (error) {
    if (!isUnusable(error)) throw error
  }
  removeDatabase(file)
  return prepare(openDatabase(file))
}

function prepare(db: DatabaseSync): { db: DatabaseSync; writer: BatchWriter } {
  try {
    prepareSearch(db)
    return { db, writer: new BatchWriter(db) }
  } catch (error) {
    db.close()
    throw error
  }
}
