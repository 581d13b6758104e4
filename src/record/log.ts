import { mkdirSync } from 'node:fs'
import { encodeCompletion, StatementEncoder } from './encode.ts'
import type { DirectoryLock } from './lock.ts'
import { lockDirectory } from './lock.ts'
import type { Owner } from './queue.ts'
import { Queue } from './queue.ts'
import type { AuditRecord, NoteRecord, SessionFacts } from './records.ts'
import { findEnd } from './repair.ts'
import type { SessionListener, Sink } from './session-log.ts'
import { SessionLog, unaudited } from './session-log.ts'
import type { ChainHead } from './writer.ts'
import { ChainWriter, WriteFailed } from './writer.ts'

/**
 * How the log is kept. `fsyncMs`: how long what was written may be missing after a power cut (a killed
 * process loses nothing either way); 0 puts every commit on disk before it returns. `flushMs`: how long
 * records that nobody waits for may stay in memory.
 */
export type AuditLogOptions = {
  readonly now: () => number
  readonly maxSegmentBytes?: number
  readonly fsyncMs?: number
  readonly flushMs?: number
}

/** Why the log cannot be written, and since when. */
export type LogFailure = { readonly reason: string; readonly since: number }

const SEGMENT_BYTES = 64 * 1024 * 1024
const FSYNC_MS = 200
const FLUSH_MS = 50
const HEAL_MS = 1000
/** Records that nobody waits for: written early beyond the first size, dropped and counted beyond the second. */
const FLUSH_CHARS = 256 * 1024
const MAX_PENDING_CHARS = 16 * 1024 * 1024

type Gap = { readonly reason: string; readonly since: number; refused: number; lost: number }

/**
 * The audit log of one server process: append-only, hash-chained, written before anything is forwarded.
 * `index.ts` describes the files.
 */
export class AuditLog {
  readonly #writer: ChainWriter
  readonly #lock: DirectoryLock
  readonly #now: () => number
  readonly #fsyncMs: number
  readonly #flushMs: number
  readonly #queue = new Queue()
  readonly #sink: Sink
  /** Open while the log cannot be written. */
  #gap: Gap | undefined
  #isClosed = false
  #flushTimer: NodeJS.Timeout | undefined
  #syncTimer: NodeJS.Timeout | undefined
  #healTimer: NodeJS.Timeout | undefined
  #stampedAt = Number.NaN
  #stamp = ''

  private constructor(writer: ChainWriter, lock: DirectoryLock, options: AuditLogOptions) {
    this.#writer = writer
    this.#lock = lock
    this.#now = options.now
    this.#fsyncMs = options.fsyncMs ?? FSYNC_MS
    this.#flushMs = options.flushMs ?? FLUSH_MS
    this.#sink = {
      statements: new StatementEncoder(),
      push: (body, owner, id) => this.#push(body, owner, id),
      commit: () => this.commit(),
      now: options.now,
    }
  }

  /**
   * Opens the log in a directory, which is made where it is missing, and takes it for this process. A last
   * line that a killed writer left unfinished is cut off, and that is put on record.
   *
   * Throws: IN_USE another process writes there; INTEGRITY (XX001) the last segment is of an unknown
   * format; file system errors as they come.
   */
  static async open(dir: string, options: AuditLogOptions): Promise<AuditLog> {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    const lock = lockDirectory(dir)
    try {
      const end = await findEnd(dir)
      const writer = new ChainWriter(
        dir,
        {
          now: options.now,
          maxSegmentBytes: options.maxSegmentBytes ?? SEGMENT_BYTES,
          syncEachWrite: options.fsyncMs === 0,
        },
        end,
      )
      const log = new AuditLog(writer, lock, options)
      for (const repaired of end.repairs) log.#push(bodyOf(repaired))
      return log
    } catch (error) {
      lock.release()
      throw error
    }
  }

  /**
   * Puts the start of a session on file and returns the session's own part of the log.
   *
   * Throws: UNAUDITED (58030) it could not be put on file: the session must not start.
   *
   * @param listener hears what is put on record, for the session's recording
   */
  begin(facts: SessionFacts, listener?: SessionListener): SessionLog {
    if (!/^[\w-]+$/.test(facts.id)) {
      throw new TypeError(`session id ${JSON.stringify(facts.id)} has other than word characters`)
    }
    const { id, ...rest } = facts
    this.#append([bodyOf({ type: 'session.start', session: id, ...rest })])
    return new SessionLog(facts, this.#sink, listener)
  }

  /**
   * Puts records on file before it returns.
   *
   * Throws: UNAUDITED (58030) they are not all on file.
   */
  append(...records: readonly NoteRecord[]): void {
    this.#append(records.map(bodyOf))
  }

  /** Puts something that happened on record, at the next commit or within the flush time. */
  note(record: NoteRecord): void {
    this.#push(bodyOf(record))
  }

  /**
   * Writes everything that is staged, in one write. Sessions that stage in one turn and commit in another
   * use `SessionLog.commit`, which also knows of a failure in between.
   *
   * Throws: UNAUDITED (58030) nothing of what was staged may be forwarded.
   */
  commit(): void {
    if (this.#isClosed) throw unaudited('the log is closed')
    if (this.#queue.texts.length > 0) this.#write()
  }

  /** Why nothing can be recorded at the moment; undefined while all is well. */
  get failure(): LogFailure | undefined {
    return this.#gap && { reason: this.#gap.reason, since: this.#gap.since }
  }

  /** The end of the chain on file: the last record's number and the last line's hash. */
  get head(): ChainHead {
    return this.#writer.head
  }

  /** Puts everything on disk, and returns where the log then ended; undefined where that can't be done now. */
  async settle(): Promise<ChainHead | undefined> {
    if (this.#isClosed) return undefined
    this.#flush()
    const { head } = this
    if (this.#gap !== undefined) return undefined
    const problem = await this.#writer.sync()
    if (problem === undefined) return head
    this.#openGap(problem)
    return undefined
  }

  /**
   * Writes what is still in memory, puts it on disk and lets go of the directory. Records that come later
   * are refused (staged ones) or dropped (all others).
   *
   * Throws: UNAUDITED (58030) something could not be written; the directory is free all the same.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return
    for (const timer of [this.#flushTimer, this.#syncTimer, this.#healTimer]) clearTimeout(timer)
    let problem: string | undefined
    try {
      if (this.#queue.texts.length > 0 || this.#gap !== undefined) this.#write()
    } finally {
      this.#isClosed = true
      problem = await this.#writer.close()
      this.#lock.release()
    }
    if (problem !== undefined) throw unaudited(problem)
  }

  #append(bodies: readonly string[]): void {
    let isRefused = false
    const owner: Owner = {
      refused: () => {
        isRefused = true
      },
    }
    for (const body of bodies) this.#push(body, owner)
    this.commit()
    if (isRefused) throw unaudited('an earlier write failed')
  }

  /** `body` is a record's JSON from its type on, without the opening brace. */
  #push(body: string, owner?: Owner, id?: string): void {
    if (this.#isClosed) {
      if (owner !== undefined) throw unaudited('the log is closed')
      return
    }
    if (owner === undefined) {
      if (this.#gap !== undefined && this.#queue.chars + body.length > MAX_PENDING_CHARS) {
        this.#gap.lost++
        return
      }
      this.#flushTimer ??= setTimeout(() => this.#flush(), this.#flushMs).unref()
    }
    this.#queue.push(`"t":"${this.#time()}",${body}`, owner, id)
    if (this.#queue.chars > FLUSH_CHARS && this.#gap === undefined) this.#flush()
  }

  /** The time for a record; formatting it costs more than the rest of a line, so once a millisecond. */
  #time(): string {
    const at = this.#now()
    if (at !== this.#stampedAt) {
      this.#stampedAt = at
      this.#stamp = new Date(at).toISOString()
    }
    return this.#stamp
  }

  #write(): void {
    const gap = this.#gap
    try {
      if (gap !== undefined) this.#writer.recover()
      const { texts } = this.#queue
      this.#writer.write(gap === undefined ? texts : [this.#gapText(gap), ...texts])
    } catch (error) {
      const failed = error instanceof WriteFailed ? error : new WriteFailed(0, error)
      this.#fail(failed, gap)
      throw unaudited(failed.reason, failed)
    }
    this.#gap = undefined
    this.#queue.clear()
    if (this.#fsyncMs > 0) {
      this.#syncTimer ??= setTimeout(() => this.#sync(), this.#fsyncMs).unref()
    }
  }

  #gapText(gap: Gap): string {
    const since = new Date(gap.since).toISOString()
    return `"t":"${this.#time()}",${bodyOf({ type: 'gap', ...gap, since })}`
  }

  /**
   * After a failed write everything staged counts as refused, even what is on file: such a statement's
   * record is completed as `not-run`.
   */
  #fail({ reason, onFile }: WriteFailed, gap: Gap | undefined): void {
    if (gap !== undefined && onFile > 0) this.#gap = undefined
    const settled = this.#queue.settle(gap === undefined ? onFile : onFile - 1)
    this.#openGap(reason).refused += settled.refused
    const notRun = { outcome: 'not-run', rows: 0, bytes: 0, durationUs: 0 } as const
    for (const id of settled.recorded) this.#push(encodeCompletion(id, notRun))
  }

  #openGap(reason: string): Gap {
    this.#gap ??= { reason, since: this.#now(), refused: 0, lost: 0 }
    this.#healTimer ??= setTimeout(() => this.#heal(), HEAL_MS).unref()
    return this.#gap
  }

  #flush(): void {
    clearTimeout(this.#flushTimer)
    this.#flushTimer = undefined
    if (this.#queue.texts.length > 0) this.#writeUnawaited()
  }

  /** Tries to end a gap while no statement comes by, so that health turns green by itself. */
  #heal(): void {
    this.#healTimer = undefined
    if (this.#gap === undefined || this.#isClosed) return
    this.#healTimer = setTimeout(() => this.#heal(), HEAL_MS).unref()
    this.#writeUnawaited()
  }

  /**
   * Writes records that nobody waits for. While something is staged they are left to its commit, which
   * must be the one to fail.
   */
  #writeUnawaited(): void {
    if (this.#isClosed || this.#queue.staged > 0) return
    try {
      this.#write()
    } catch {
      // The gap is open, `failure` reports it, #heal tries again, and the records are still in the queue.
    }
  }

  #sync(): void {
    this.#syncTimer = undefined
    this.#writer.sync().then(
      problem => problem !== undefined && this.#openGap(problem),
      error => this.#openGap(String(error)),
    )
  }
}

/** A record's JSON without its opening brace. */
function bodyOf(record: AuditRecord): string {
  return JSON.stringify(record).slice(1)
}
