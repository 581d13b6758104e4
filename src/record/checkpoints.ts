import { open, readFile } from 'node:fs/promises'
import { systemCode } from '../errors.ts'
import { type CheckpointKey, decodeCheckpoints, encodeCheckpoint } from './checkpoint.ts'
import type { ChainHead } from './writer.ts'

export type CheckpointsOptions = {
  /** The file, which should lie where this server cannot change what it has written. */
  readonly to: string
  readonly everyMs: number
  readonly key: CheckpointKey
  /** The end of the chain, once everything up to it is on disk; undefined where that can't be had. */
  readonly head: () => Promise<ChainHead | undefined>
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Told of a checkpoint that could not be written, once until one can; it is tried again. */
  readonly report: (reason: string) => void
  /** Told at the start that the log has not what the last checkpoint saw. */
  readonly behind: (message: string) => void
}

/** Writes checkpoints at intervals, and a last one at the end. Nothing is written where nothing is new. */
export class Checkpoints {
  readonly #options: CheckpointsOptions
  #timer: NodeJS.Timeout | undefined
  #sequence: number | undefined
  #lastSha256: string | undefined
  #writing: Promise<void> = Promise.resolve()
  #isFailing = false

  private constructor(options: CheckpointsOptions) {
    this.#options = options
  }

  /** Begins to write checkpoints. Never rejects: a place out of reach is reported and tried again. */
  static async open(options: CheckpointsOptions): Promise<Checkpoints> {
    const checkpoints = new Checkpoints(options)
    await checkpoints.write()
    checkpoints.#timer = setInterval(() => void checkpoints.write(), options.everyMs).unref()
    return checkpoints
  }

  /** Writes one now, if the log has grown since the last. */
  write(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write())
    return this.#writing
  }

  /** Writes the last one, of a log that has been closed. */
  async close(head: ChainHead): Promise<void> {
    clearInterval(this.#timer)
    this.#writing = this.#writing.then(() => this.#write(head))
    await this.#writing
  }

  async #write(last?: ChainHead): Promise<void> {
    try {
      const head = last ?? (await this.#options.head())
      if (head === undefined || head.n === 0) return
      this.#sequence ??= await this.#resume(head)
      if (head.sha256 === this.#lastSha256) return
      await this.#append(head, this.#sequence + 1)
      this.#sequence += 1
      this.#lastSha256 = head.sha256
      this.#isFailing = false
    } catch (error) {
      if (!this.#isFailing) this.#options.report(systemCode(error) ?? String(error))
      this.#isFailing = true
    }
  }

  /** The number of the last checkpoint in the file; 0 for a new one. */
  async #resume(head: ChainHead): Promise<number> {
    const { to, behind } = this.#options
    let text: string
    try {
      text = await readFile(to, 'utf8')
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return 0
      throw error
    }
    const last = decodeCheckpoints(text, undefined).at(-1)
    if (last === undefined) return 0
    this.#lastSha256 = last.sha256
    if (last.n > head.n) {
      behind(
        `checkpoint ${last.sequence} of ${last.t} saw record ${last.n}, but the log ends at record ${head.n}`,
      )
    }
    return last.sequence
  }

  async #append(head: ChainHead, sequence: number): Promise<void> {
    const { to, key, now } = this.#options
    const t = new Date(now()).toISOString()
    const line = encodeCheckpoint({ sequence, n: head.n, sha256: head.sha256, t }, key)
    const file = await open(to, 'a+', 0o644)
    try {
      const { size } = await file.stat()
      await file.appendFile((await endsWithNewline(file, size)) ? line : `\n${line}`)
      await file.datasync()
    } finally {
      await file.close()
    }
  }
}

/** A process killed while it wrote leaves part of a line behind. */
async function endsWithNewline(
  file: Awaited<ReturnType<typeof open>>,
  size: number,
): Promise<boolean> {
  if (size === 0) return true
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
  return buffer[0] === 0x0a
}
