import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { DbgateError, systemCode } from '../errors.ts'
import type { ParameterMode } from './recording.ts'
import { RECORDING_VERSION } from './recording.ts'
import type { Backlog } from './recording-file.ts'
import { RecordingFile } from './recording-file.ts'
import { OPEN_DIRECTORY, recordedSession, recordingName } from './recording-reader.ts'
import { recoverRecording } from './recording-recovery.ts'
import type { NoteRecord, RecordingSeal, SessionFacts } from './records.ts'

export type RecordingsOptions = {
  /** `<state>/recordings`. */
  readonly directory: string
  /** How much of each statement's results is recorded. */
  readonly results: { readonly rows: number; readonly bytes: number }
  readonly parameters: ParameterMode
  /** A session that can't be recorded ends. */
  readonly isRequired: boolean
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Monotonic milliseconds. */
  readonly clock: () => number
  /** Told when a session's recording can't be written. */
  readonly report: (session: string, reason: string) => void
}

/** Where records about recordings go: the audit log, which has them on file when it returns. */
export type RecordSink = { append(...records: readonly NoteRecord[]): void }

/** One session's recording while it is made. */
export type Recording = {
  /** As the audit log names it, relative to the directory of all; undefined while it can't be made. */
  readonly file: string | undefined
  readonly results: { readonly rows: number; readonly bytes: number }
  /** As `RecordingFile.add`. */
  add(body: string, isResult: boolean): void
  /** Ends it; afterwards `sealed` must be called. */
  end(reason: string): Promise<RecordingSeal>
  /** The session never began. */
  discard(): void
  /** The seal is on file in the audit log: puts the recording in its place. */
  sealed(): void
}

/** The recordings of one server process, and those that earlier ones left behind. */
export class Recordings {
  readonly #options: RecordingsOptions
  readonly #backlog: Backlog = { chars: 0 }
  readonly #ending = new Set<Promise<unknown>>()

  private constructor(options: RecordingsOptions) {
    this.#options = options
  }

  /**
   * Opens the directory, which is made where it is missing. Recordings that a killed server left open are
   * brought to an end, and their digests are put on record.
   *
   * Throws: UNAUDITED (58030) that could not be put on record; file system errors as they come.
   */
  static async open(options: RecordingsOptions, log: RecordSink): Promise<Recordings> {
    const { directory } = options
    mkdirSync(join(directory, OPEN_DIRECTORY), { recursive: true, mode: 0o700 })
    for (const name of readdirSync(join(directory, OPEN_DIRECTORY))) {
      const session = recordedSession(name)
      if (session === undefined) continue
      const seal = await recoverRecording(join(directory, OPEN_DIRECTORY, name), session)
      log.append({ type: 'recording.recovered', session, ...seal })
      moveToDay(directory, name, seal.file)
    }
    return new Recordings(options)
  }

  get options(): RecordingsOptions {
    return this.#options
  }

  /**
   * Begins a session's recording. `onFailure` is told once if it can't be written later.
   *
   * Throws: UNRECORDED (58030) it can't be made, where recordings are required.
   */
  begin(facts: SessionFacts, onFailure: (error: DbgateError) => void): Recording {
    const { directory, results, parameters, isRequired, now, clock } = this.#options
    const at = new Date(now()).toISOString()
    const name = recordingName(facts.id)
    let hasBegun = false
    const file = new RecordingFile({
      path: join(directory, OPEN_DIRECTORY, name),
      file: `${at.slice(0, 10)}/${name}`,
      backlog: this.#backlog,
      clock,
      onFailure: reason => {
        this.#options.report(facts.id, reason)
        if (isRequired && hasBegun) onFailure(cannotRecord(reason))
      },
    })
    hasBegun = true
    if (isRequired && file.failure !== undefined) {
      file.discard()
      throw cannotRecord(file.failure)
    }
    const { id: session, principal, agent, target, role, database, client, application } = facts
    const { issuer, subject, user, name: called, groups } = principal
    const who = { issuer, subject, user, name: called, groups }
    const start = {
      ...{ e: 'start', v: RECORDING_VERSION, session, at, principal: who, agent, target, role },
      ...{ database, client, application, results, parameters },
    }
    file.add(JSON.stringify(start).slice(1), false)
    return {
      file: file.isOnDisk ? file.file : undefined,
      results,
      add: (body, isResult) => file.add(body, isResult),
      end: reason => this.#track(file.end(`"e":"end","reason":${JSON.stringify(reason)}}`)),
      discard: () => file.discard(),
      sealed: () => this.#sealed(name, file.file, session),
    }
  }

  /** Waits until every recording that has been ended is on file. */
  async close(): Promise<void> {
    while (this.#ending.size > 0) await Promise.allSettled(this.#ending)
  }

  /** Counted until whoever waits for the seal has put it on record. */
  #track(ended: Promise<RecordingSeal>): Promise<RecordingSeal> {
    const settled = ended.then(() => new Promise(resolve => setImmediate(resolve)))
    this.#ending.add(settled)
    void settled.finally(() => this.#ending.delete(settled))
    return ended
  }

  #sealed(name: string, file: string, session: string): void {
    try {
      moveToDay(this.#options.directory, name, file)
    } catch (error) {
      this.#options.report(session, systemCode(error) ?? String(error))
    }
  }
}

/** A recording that was never written has no file to move. */
function moveToDay(directory: string, name: string, file: string): void {
  const from = join(directory, OPEN_DIRECTORY, name)
  const to = join(directory, file)
  mkdirSync(join(directory, file.slice(0, 10)), { recursive: true, mode: 0o700 })
  if (existsSync(from)) renameSync(from, to)
}

function cannotRecord(reason: string): DbgateError {
  return new DbgateError('UNRECORDED', `dbgate: this session can't be recorded (${reason})`, {
    detail: 'The server is set up to end sessions that it cannot record.',
    hint: 'Tell whoever runs the dbgate server; it recovers by itself once recordings can be written.',
  })
}
