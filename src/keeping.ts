import { join } from 'node:path'
import type { ServerConfig } from './config/index.ts'
import { asDbgateError } from './errors.ts'
import {
  type AuditLog,
  type CheckpointKey,
  Checkpoints,
  loadCheckpointKey,
  Recordings,
  Retention,
  readCheckpoints,
  type Verification,
  verifyLog,
} from './record/index.ts'

/** What a server does for its records besides writing them: checkpoints elsewhere, and deletion in time. */

const HOUR_MS = 3_600_000
/** Not while everything starts. */
const FIRST_SWEEP_MS = 60_000

/** What it needs of its server. */
export type KeepingOptions = {
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Monotonic milliseconds. */
  readonly clock: () => number
  readonly randomBytes: (count: number) => Buffer
  readonly log: (event: {
    readonly level: 'info' | 'warn' | 'error'
    readonly event: string
    readonly message: string
    readonly fields: Readonly<Record<string, string>>
  }) => void
}

/**
 * Opens the recordings, and brings to an end what a killed server left open. That goes on record before the
 * start of this one: what is not brought to an end by then was taken away. Undefined where none are made.
 */
export async function openRecordings(
  { now, clock, log }: KeepingOptions,
  { stateDir, recording }: ServerConfig,
  audit: AuditLog,
): Promise<Recordings | undefined> {
  const { results, parameters, isRequired } = recording
  const recordings = await Recordings.open(
    {
      directory: join(stateDir, 'recordings'),
      results,
      parameters,
      isRequired,
      now,
      clock,
      report: (session, reason) =>
        log({
          level: 'warn',
          event: 'recording.failed',
          message: `the recording of ${session} can't be written: ${reason}`,
          fields: { session, reason },
        }),
    },
    audit,
  )
  return recording.statements === 'none' ? undefined : recordings
}

/** Checkpoints and retention of one running server. */
export class Keeping {
  readonly #config: ServerConfig
  readonly #log: KeepingOptions['log']
  readonly #audit: AuditLog
  readonly #key: CheckpointKey
  readonly #retention: Retention
  readonly #timers: NodeJS.Timeout[]
  #checkpoints: Checkpoints | undefined

  private constructor(options: KeepingOptions, config: ServerConfig, audit: AuditLog) {
    this.#config = config
    this.#log = options.log
    this.#audit = audit
    this.#key = loadCheckpointKey(config.stateDir, options.randomBytes)
    this.#retention = new Retention({
      directory: join(config.stateDir, 'recordings'),
      keep: config.recording.keep,
      now: options.now,
      append: (...records) => audit.append(...records),
      report: (session, reason) => this.#warn('recording.kept', reason, { session }),
    })
    this.#timers = [
      setTimeout(() => void this.sweep(), FIRST_SWEEP_MS).unref(),
      setInterval(() => void this.sweep(), HOUR_MS).unref(),
    ]
  }

  /** Begins. A place for checkpoints that is out of reach is reported and tried again. */
  static async open(
    options: KeepingOptions,
    config: ServerConfig,
    audit: AuditLog,
  ): Promise<Keeping> {
    const keeping = new Keeping(options, config, audit)
    const { checkpoint } = config.recording.audit
    if (checkpoint === undefined) return keeping
    keeping.#checkpoints = await Checkpoints.open({
      ...checkpoint,
      key: keeping.#key,
      head: () => audit.settle(),
      now: options.now,
      report: reason =>
        keeping.#warn('checkpoint.failed', `no checkpoint in ${checkpoint.to}: ${reason}`, {}),
      behind: message => keeping.#warn('audit.cut-off', message, {}, 'error'),
    })
    options.log({
      level: 'info',
      event: 'checkpoint.key',
      message: `checkpoints are signed by key ${keeping.#key.fingerprint}`,
      fields: { key: keeping.#key.fingerprint, file: join(config.stateDir, 'checkpoint.pub') },
    })
    return keeping
  }

  /** Takes out and deletes what has been kept for long enough. */
  async sweep(): Promise<void> {
    try {
      await this.#retention.sweep()
    } catch (cause) {
      this.#warn('retention.failed', asDbgateError(cause).message, {})
    }
  }

  /** Verifies the log against its recordings and its checkpoints. Throws: NOT_FOUND those are out of reach. */
  async verify(): Promise<Verification> {
    const { stateDir, recording } = this.#config
    const { checkpoint } = recording.audit
    const checkpoints =
      checkpoint === undefined
        ? undefined
        : await readCheckpoints(checkpoint.to, this.#key.publicKey)
    await this.#audit.settle()
    return verifyLog(join(stateDir, 'audit'), {
      checkpoints,
      recordings: join(stateDir, 'recordings'),
    })
  }

  /** Ends with a last checkpoint, which covers all that closing the log writes. */
  async closeAround(close: () => Promise<void>): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer)
    await close()
    await this.#checkpoints?.close(this.#audit.head)
  }

  #warn(
    event: string,
    message: string,
    fields: Readonly<Record<string, string>>,
    level: 'warn' | 'error' = 'warn',
  ): void {
    this.#log({ level, event, message, fields })
  }
}
