import { systemCode } from '../errors.ts'
import { encodeHeader, FORMAT_VERSION } from './format.ts'
import type { LogEnd } from './repair.ts'
import { Sealer } from './sealer.ts'
import { SegmentFile, ShortWrite } from './segment.ts'

/** Where the chain stands: the last record on file and the hash of the last line. */
export type ChainHead = { readonly n: number; readonly sha256: string }

export type WriterOptions = {
  readonly now: () => number
  readonly maxSegmentBytes: number
  readonly syncEachWrite: boolean
}

/** A write that failed; the first `onFile` records of it are on file all the same. */
export class WriteFailed extends Error {
  override readonly name = 'WriteFailed'
  readonly onFile: number
  readonly reason: string

  constructor(onFile: number, cause: unknown) {
    const reason = reasonOf(cause)
    super(reason, { cause })
    this.onFile = onFile
    this.reason = reason
  }
}

/** How much further a segment grows before another attempt to follow it with a new one. */
const ROTATE_RETRY_BYTES = 1024 * 1024
/** More than any segment's first line. */
const HEADER_ROOM_BYTES = 4096

/** Appends lines to the chain, segment after segment. It knows bytes, not what the records mean. */
export class ChainWriter {
  readonly #dir: string
  readonly #options: WriterOptions
  readonly #sealer = new Sealer()
  readonly #retiring = new Set<Promise<void>>()
  #segment: SegmentFile
  #n: number
  #hash: string
  #rotateAt: number
  #isSyncBroken = false

  /** Goes on from the end of the log in `dir`. */
  constructor(dir: string, options: WriterOptions, end: LogEnd) {
    this.#dir = dir
    this.#options = options
    this.#n = end.n
    this.#hash = end.sha256
    this.#rotateAt = options.maxSegmentBytes
    this.#segment =
      end.append === undefined ? this.#create(end.segment + 1) : SegmentFile.reopen(dir, end.append)
  }

  get head(): ChainHead {
    return { n: this.#n, sha256: this.#hash }
  }

  /**
   * Appends records, each given as its JSON without brace and number, in one write.
   *
   * Throws: WriteFailed; whole lines that came through stay, since a reader may have seen them.
   */
  write(texts: readonly string[]): void {
    let onFile = 0
    try {
      this.#rotateIfDue()
      this.#seal(texts)
      this.#segment.write(this.#sealer.bytes, this.#sealer.length)
      onFile = texts.length
      if (this.#options.syncEachWrite) this.#segment.syncNow()
    } catch (error) {
      if (error instanceof ShortWrite) onFile = this.#sealer.wholeLines(error.written)
      this.#advance(onFile)
      this.#giveUpIfFull(error)
      throw new WriteFailed(onFile, error)
    }
    this.#advance(onFile)
  }

  /**
   * Makes the file ready for a write after one that failed.
   *
   * Throws: WriteFailed it still is not.
   */
  recover(): void {
    try {
      this.#segment.cutBack()
      if (this.#isSyncBroken) this.#segment.syncNow()
      this.#isSyncBroken = false
    } catch (error) {
      throw new WriteFailed(0, error)
    }
  }

  /**
   * Puts everything written so far on disk, off this thread, and returns what is wrong, if anything is. A
   * file that was removed or moved away is given up for a new segment, or everything after would be lost.
   */
  async sync(): Promise<string | undefined> {
    const segment = this.#segment
    try {
      await segment.sync()
    } catch (error) {
      this.#isSyncBroken = true
      return `fsync: ${reasonOf(error)}`
    }
    try {
      if ((await segment.isInPlace()) || segment !== this.#segment) return undefined
    } catch (error) {
      return `stat: ${reasonOf(error)}`
    }
    this.#rotateAt = 0
    return 'the segment file was removed'
  }

  /** Puts everything on disk and closes the files; returns what is wrong, if anything is. */
  async close(): Promise<string | undefined> {
    this.#retire(this.#segment)
    const outcomes = await Promise.allSettled(this.#retiring)
    const failed = outcomes.find(outcome => outcome.status === 'rejected')
    return failed && `fsync: ${reasonOf(failed.reason)}`
  }

  #seal(texts: readonly string[]): void {
    this.#sealer.reset()
    let n = this.#n
    let sha256 = this.#hash
    for (const text of texts) sha256 = this.#sealer.add(++n, text, sha256)
  }

  #advance(lines: number): void {
    if (lines === 0) return
    this.#n += lines
    this.#hash = this.#sealer.hashOf(lines)
    this.#segment.bytes += this.#sealer.endOf(lines)
  }

  /** A file that may not grow any more (EFBIG) has room for nothing; the next one has, if this one had. */
  #giveUpIfFull(error: unknown): void {
    if (reasonOf(error) === 'EFBIG' && this.#segment.bytes > HEADER_ROOM_BYTES) this.#rotateAt = 0
  }

  /** Goes on in a new segment. Where none can be made, the old one still serves, unless it was given up. */
  #rotateIfDue(): void {
    const old = this.#segment
    if (old.bytes < this.#rotateAt) return
    try {
      this.#segment = this.#create(old.number + 1)
    } catch (error) {
      if (this.#rotateAt === 0) throw error
      this.#rotateAt = old.bytes + ROTATE_RETRY_BYTES
      return
    }
    this.#rotateAt = this.#options.maxSegmentBytes
    this.#retire(old)
  }

  #create(segment: number): SegmentFile {
    const { line, sha256 } = encodeHeader({
      type: 'segment',
      v: FORMAT_VERSION,
      segment,
      first: this.#n + 1,
      continues: this.#hash,
      t: new Date(this.#options.now()).toISOString(),
    })
    const file = SegmentFile.create(this.#dir, segment, line)
    this.#hash = sha256
    return file
  }

  /** A segment whose retirement failed stays in the set, and `close` reports it. */
  #retire(segment: SegmentFile): void {
    const done = segment.retire()
    this.#retiring.add(done)
    done.then(
      () => this.#retiring.delete(done),
      () => {
        this.#isSyncBroken = true
      },
    )
  }
}

function reasonOf(thrown: unknown): string {
  const cause = thrown instanceof ShortWrite ? thrown.cause : thrown
  return systemCode(cause) ?? (cause instanceof Error ? cause.message : String(cause))
}
