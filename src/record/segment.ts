import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  openSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { systemCode } from '../errors.ts'
import { segmentName } from './format.ts'

const syncData = promisify(fdatasync)
const syncAll = promisify(fsync)

/** A write that failed; `written` bytes of it reached the file before. */
export class ShortWrite extends Error {
  override readonly name = 'ShortWrite'
  readonly written: number

  constructor(written: number, cause: unknown) {
    super(`write failed after ${written} bytes`, { cause })
    this.written = written
  }
}

/** One segment file, open for appending. `bytes` is where its last whole line ends. */
export class SegmentFile {
  readonly number: number
  readonly path: string
  bytes: number
  readonly #fd: number
  readonly #inode: number
  #entrySynced: boolean
  #syncing: Promise<void> | undefined
  #isRetired = false

  private constructor(dir: string, number: number, fd: number, isNew: boolean) {
    const { ino, size } = fstatSync(fd)
    this.number = number
    this.path = join(dir, segmentName(number))
    this.bytes = size
    this.#fd = fd
    this.#inode = ino
    this.#entrySynced = !isNew
  }

  /** Makes the segment with its first line; nothing is left behind where that fails. */
  static create(dir: string, number: number, header: Buffer): SegmentFile {
    const path = join(dir, segmentName(number))
    const fd = openSync(path, 'ax', 0o600)
    try {
      const segment = new SegmentFile(dir, number, fd, true)
      segment.write(header, header.length)
      segment.bytes = header.length
      return segment
    } catch (error) {
      closeSync(fd)
      unlinkSync(path)
      // A short write is one of the records' only.
      throw error instanceof ShortWrite ? error.cause : error
    }
  }

  /** Opens an existing segment, whose last line must be whole. */
  static reopen(dir: string, number: number): SegmentFile {
    return new SegmentFile(dir, number, openSync(join(dir, segmentName(number)), 'a'), false)
  }

  /**
   * Appends the first `length` bytes of `buf`; the caller moves `bytes` on.
   *
   * Throws: ShortWrite saying how many bytes came through (disk full, file size limit, I/O error).
   */
  write(buf: Buffer, length: number): void {
    let written = 0
    while (written < length) {
      let count: number
      try {
        count = writeSync(this.#fd, buf, written, length - written)
      } catch (cause) {
        if (systemCode(cause) === 'EINTR') continue
        throw new ShortWrite(written, cause)
      }
      // A regular file never takes nothing: not to loop for ever on one that does.
      if (count === 0) throw new ShortWrite(written, new Error('wrote 0 bytes'))
      written += count
    }
  }

  /** Cuts off what a failed write left after the last whole line. */
  cutBack(): void {
    ftruncateSync(this.#fd, this.bytes)
  }

  /** Puts everything written on disk before it returns. */
  syncNow(): void {
    fdatasyncSync(this.#fd)
    if (this.#entrySynced) return
    const dir = openSync(dirname(this.path), 'r')
    try {
      fsyncSync(dir)
    } finally {
      closeSync(dir)
    }
    this.#entrySynced = true
  }

  /** Puts everything written so far on disk, off this thread; a call during another one joins it. */
  sync(): Promise<void> {
    this.#syncing ??= this.#sync().finally(() => {
      this.#syncing = undefined
    })
    return this.#syncing
  }

  async #sync(): Promise<void> {
    if (this.#isRetired) return
    await syncData(this.#fd)
    if (this.#entrySynced) return
    const dir = openSync(dirname(this.path), 'r')
    try {
      await syncAll(dir)
    } finally {
      closeSync(dir)
    }
    this.#entrySynced = true
  }

  /** False when the file is no longer at its path: removed or moved by someone else. */
  async isInPlace(): Promise<boolean> {
    try {
      return (await stat(this.path)).ino === this.#inode
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return false
      throw error
    }
  }

  /** Syncs and closes the file. A descriptor is never closed under a running sync. */
  async retire(): Promise<void> {
    await this.#syncing?.catch(() => undefined) // reported to the one who started it
    try {
      await this.#sync()
    } finally {
      if (!this.#isRetired) closeSync(this.#fd)
      this.#isRetired = true
    }
  }
}
