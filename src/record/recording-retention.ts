import { chmodSync, readdirSync, renameSync, rmdirSync, statSync, unlinkSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { DbgateError } from '../errors.ts'
import type { RecordingEvent } from './recording.ts'
import { packMember } from './recording-members.ts'
import { readRecording, recordedSession, recordingDays } from './recording-reader.ts'
import { digestOf } from './recording-recovery.ts'
import type { NoteRecord } from './records.ts'

/** How long recordings are kept, and the results in them. */
export type KeepTimes = { readonly sessionsMs: number; readonly resultsMs: number }

export type RetentionOptions = {
  readonly directory: string
  readonly keep: KeepTimes
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Puts records on file before it returns; throws where it can't. */
  readonly append: (...records: readonly NoteRecord[]) => void
  /** Told of a recording that could not be thinned. */
  readonly report: (session: string, reason: string) => void
}

const DAY_MS = 86_400_000
/** Read-only: its results have been taken out. */
const THINNED_MODE = 0o400
const WRITE_BITS = 0o222
const MEMBER_CHARS = 64 * 1024

/**
 * Takes out and deletes what has been kept for long enough. Each step stands in the audit log before it is
 * done, so that nobody takes it for tampering; a step that is cut short is done again.
 */
export class Retention {
  readonly #options: RetentionOptions
  /** Days that hold nothing to take out, by the directory's time of change. */
  readonly #done = new Map<string, number>()
  #running: Promise<void> | undefined

  constructor(options: RetentionOptions) {
    this.#options = options
  }

  /** Goes through all days. A call during another one joins it. Throws: UNAUDITED (58030). */
  sweep(): Promise<void> {
    this.#running ??= this.#sweep().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #sweep(): Promise<void> {
    const { directory, keep, now } = this.#options
    for (const day of recordingDays(directory)) {
      const ageMs = now() - Date.parse(`${day}T00:00:00Z`) - DAY_MS
      if (ageMs > keep.sessionsMs) this.#deleteDay(day)
      else if (ageMs > keep.resultsMs) await this.#thinDay(day)
    }
  }

  #deleteDay(day: string): void {
    const { directory, keep, append } = this.#options
    const names = readdirSync(join(directory, day))
    const files = names.filter(name => recordedSession(name) !== undefined)
    if (files.length > 0) {
      append({
        type: 'recording.deleted',
        files: files.map(name => `${day}/${name}`),
        keep: spelled(keep.sessionsMs),
      })
    }
    for (const name of files) unlinkSync(join(directory, day, name))
    // Files of others are not ours to delete.
    if (files.length === names.length) rmdirSync(join(directory, day))
  }

  async #thinDay(day: string): Promise<void> {
    const path = join(this.#options.directory, day)
    const { mtimeMs } = statSync(path)
    if (this.#done.get(day) === mtimeMs) return
    for (const name of readdirSync(path)) {
      const session = recordedSession(name)
      if (session === undefined || isThinned(join(path, name))) continue
      try {
        await this.#thin(session, day, name)
      } catch (error) {
        if (!(error instanceof DbgateError) || error.code !== 'INTEGRITY') throw error
        // What was tampered with is evidence: it stays as it is.
        this.#options.report(session, error.message)
      }
    }
    this.#done.set(day, statSync(path).mtimeMs)
  }

  async #thin(session: string, day: string, name: string): Promise<void> {
    const { directory, keep, append } = this.#options
    const path = join(directory, day, name)
    const thin = `${path}.thin`
    const file = await open(thin, 'w', THINNED_MODE)
    try {
      for await (const content of thinned(path)) await file.write(await packMember(content))
      await file.datasync()
    } finally {
      await file.close()
    }
    const digest = await digestOf(thin)
    append({
      type: 'recording.thinned',
      session,
      file: `${day}/${name}`,
      ...digest,
      keep: spelled(keep.resultsMs),
    })
    chmodSync(thin, THINNED_MODE)
    renameSync(thin, path)
  }
}

function isThinned(path: string): boolean {
  return (statSync(path).mode & WRITE_BITS) === 0
}

/** A recording without its rows and COPY data, in pieces; a `cut` says what is missing. */
async function* thinned(path: string): AsyncGenerator<Buffer> {
  const cut = new Set<string | undefined>()
  let lines: string[] = []
  let chars = 0
  for await (const event of readRecording(path)) {
    const kept = withoutResults(event, cut)
    if (kept === undefined) continue
    const line = `${JSON.stringify(kept)}\n`
    lines.push(line)
    chars += line.length
    if (chars < MEMBER_CHARS) continue
    yield Buffer.from(lines.join(''))
    lines = []
    chars = 0
  }
  if (lines.length > 0) yield Buffer.from(lines.join(''))
}

function withoutResults(
  event: RecordingEvent,
  cut: Set<string | undefined>,
): RecordingEvent | undefined {
  if (event.e !== 'rows' && event.e !== 'copy') return event
  const { t, id } = event
  if (cut.has(id)) return undefined
  cut.add(id)
  return { t, e: 'cut', ...(id === undefined ? {} : { id }), what: 'results', why: 'retention' }
}

/** A time to keep as the configuration spells it. */
function spelled(ms: number): string {
  if (ms % DAY_MS === 0) return `${ms / DAY_MS}d`
  return `${Math.round(ms / 3_600_000)}h`
}
