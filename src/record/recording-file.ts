import { createHash } from 'node:crypto'
import { close, closeSync, fdatasync, ftruncate, openSync, unlinkSync, write } from 'node:fs'
import { promisify } from 'node:util'
import { systemCode } from '../errors.ts'
import type { CutEvent } from './recording.ts'
import { packMember } from './recording-members.ts'
import type { RecordingSeal } from './records.ts'

const writeAt = promisify(write)
const truncate = promisify(ftruncate)
const syncData = promisify(fdatasync)
const closeFile = promisify(close)

/** Memory that all recordings of a process share: what waits to be written, in characters. */
export type Backlog = { chars: number }

export type RecordingFileOptions = {
  readonly path: string
  /** As the seal names it. */
  readonly file: string
  readonly backlog: Backlog
  /** Monotonic milliseconds. */
  readonly clock: () => number
  /** Told, once, that nothing can be written at the moment. */
  readonly onFailure: (reason: string) => void
}

/** Written without waiting for the timer from this size on. */
const FLUSH_CHARS = 64 * 1024
const FLUSH_MS = 250
const RETRY_MS = 1000
/** Waiting for a slow disk: beyond the first, results are cut; beyond the second, everything is. */
const MAX_RESULT_CHARS = 16 * 1024 * 1024
const MAX_CHARS = 64 * 1024 * 1024
/** The same for one recording, so that one slow session does not cut all others. */
const MAX_OWN_RESULT_CHARS = 4 * 1024 * 1024

type Cut = { readonly what: CutEvent['what']; readonly why: CutEvent['why']; lost: number }

/**
 * One session's recording, open for writing. Events are kept in memory for a moment, packed off this thread,
 * and appended as a member. Memory is bounded: where the disk is too slow or takes nothing, results are left
 * out and a `cut` says so. A member that could not be written whole is cut off and written again later.
 */
export class RecordingFile {
  readonly file: string
  readonly #options: RecordingFileOptions
  readonly #startedAtMs: number
  readonly #hash = createHash('sha256')
  #fd: number | undefined
  #bytes = 0
  #lines: string[] = []
  #chars = 0
  /** Packed, and not on file yet. */
  #member: Buffer | undefined
  #memberChars = 0
  #flushing: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #failure: string | undefined
  #isReported = false
  #cut: Cut | undefined
  #wasCut: string | undefined
  #isEnded = false

  constructor(options: RecordingFileOptions) {
    this.file = options.file
    this.#options = options
    this.#startedAtMs = options.clock()
    this.#open()
  }

  /** The file is there: if it is missing later, somebody took it away. */
  get isOnDisk(): boolean {
    return this.#fd !== undefined
  }

  /** The session never began: nothing of it is kept. */
  discard(): void {
    this.#isEnded = true
    clearTimeout(this.#timer)
    this.#options.backlog.chars -= this.#chars + this.#memberChars
    if (this.#fd === undefined) return
    closeSync(this.#fd)
    unlinkSync(this.#options.path)
  }

  /** Why nothing can be written at the moment. */
  get failure(): string | undefined {
    return this.#failure
  }

  /**
   * Adds an event, given as its JSON from its kind on, without the brace: `"e":"rows",…}`. Results may be
   * left out for lack of room; then a `cut` stands in their place.
   */
  add(body: string, isResult: boolean): void {
    if (this.#isEnded) return
    if (!this.#hasRoom(body.length, isResult)) {
      this.#leaveOut(isResult ? 'results' : 'statements')
      return
    }
    const t = Math.max(0, Math.round(this.#options.clock() - this.#startedAtMs))
    this.#sayCut(t)
    this.#push(`{"t":${t},${body}\n`)
  }

  /** Writes all there is, forces it to disk and closes the file. Never rejects: the seal says what is missing. */
  async end(body: string): Promise<RecordingSeal> {
    this.add(body, false)
    this.#isEnded = true
    clearTimeout(this.#timer)
    await this.#flushing
    // What was added during the last flush, and what could not be written before.
    for (let left = 2; left > 0 && this.#hasMore; left--) await this.#flush()
    await this.#close()
    this.#options.backlog.chars -= this.#chars + this.#memberChars
    const missing = this.#hasMore ? (this.#failure ?? 'incomplete') : undefined
    const cut = missing ?? this.#failure ?? this.#wasCut
    return {
      file: this.file,
      bytes: this.#bytes,
      sha256: this.#hash.digest('hex'),
      ...(cut === undefined ? {} : { cut }),
    }
  }

  get #hasMore(): boolean {
    return this.#lines.length > 0 || this.#member !== undefined
  }

  #hasRoom(chars: number, isResult: boolean): boolean {
    const { backlog } = this.#options
    if (!isResult) return backlog.chars + chars <= MAX_CHARS
    return (
      backlog.chars + chars <= MAX_RESULT_CHARS &&
      this.#chars + this.#memberChars + chars <= MAX_OWN_RESULT_CHARS
    )
  }

  #leaveOut(what: Cut['what']): void {
    const why = this.#failure === undefined ? 'memory' : 'disk'
    this.#wasCut ??= this.#failure ?? why
    const lost = (this.#cut?.lost ?? 0) + 1
    this.#cut = { what: this.#cut?.what === 'statements' ? 'statements' : what, why, lost }
  }

  #sayCut(t: number): void {
    if (this.#cut === undefined) return
    const { what, why, lost } = this.#cut
    this.#cut = undefined
    this.#push(`{"t":${t},"e":"cut","what":"${what}","why":"${why}","lost":${lost}}\n`)
  }

  #push(line: string): void {
    this.#lines.push(line)
    this.#chars += line.length
    this.#options.backlog.chars += line.length
    if (this.#flushing !== undefined || this.#failure !== undefined) return
    if (this.#chars >= FLUSH_CHARS) void this.#flush()
    else this.#timer ??= setTimeout(() => void this.#flush(), FLUSH_MS).unref()
  }

  #flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#flushing ??= this.#write().finally(() => {
      this.#flushing = undefined
      if (this.#isEnded || !this.#hasMore) return
      const ms =
        this.#failure === undefined ? (this.#chars >= FLUSH_CHARS ? 0 : FLUSH_MS) : RETRY_MS
      this.#timer ??= setTimeout(() => void this.#flush(), ms).unref()
    })
    return this.#flushing
  }

  async #write(): Promise<void> {
    try {
      if (this.#member === undefined) await this.#pack()
      const member = this.#member
      if (member === undefined) return
      if (this.#fd === undefined && !this.#open()) return
      await this.#append(this.#fd ?? -1, member)
      this.#hash.update(member)
      this.#bytes += member.length
      this.#options.backlog.chars -= this.#memberChars
      this.#member = undefined
      this.#memberChars = 0
      this.#failure = undefined
    } catch (error) {
      this.#fail(systemCode(error) ?? String(error))
    }
  }

  async #pack(): Promise<void> {
    const lines = this.#lines
    if (lines.length === 0) return
    const chars = this.#chars
    this.#lines = []
    this.#chars = 0
    this.#memberChars = chars
    this.#member = await packMember(Buffer.from(lines.join('')))
  }

  /** Appends a member whole, or leaves the file as it was. */
  async #append(fd: number, member: Buffer): Promise<void> {
    try {
      let written = 0
      while (written < member.length) {
        const left = member.length - written
        const { bytesWritten } = await writeAt(fd, member, written, left, this.#bytes + written)
        if (bytesWritten === 0) throw new Error('wrote 0 bytes')
        written += bytesWritten
      }
    } catch (error) {
      await truncate(fd, this.#bytes)
      throw error
    }
  }

  #open(): boolean {
    try {
      this.#fd = openSync(this.#options.path, 'ax', 0o600)
      return true
    } catch (error) {
      this.#fail(systemCode(error) ?? String(error))
      return false
    }
  }

  #fail(reason: string): void {
    this.#failure = reason
    if (this.#isReported) return
    this.#isReported = true
    this.#options.onFailure(reason)
  }

  async #close(): Promise<void> {
    try {
      if (this.#fd === undefined) return
      await syncData(this.#fd)
      await closeFile(this.#fd)
    } catch (error) {
      this.#fail(systemCode(error) ?? String(error))
    }
  }
}
