import { existsSync, readdirSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { DbgateError } from '../errors.ts'
import { parseJson } from './format.ts'
import type { RecordingEvent } from './recording.ts'
import { RECORDING_VERSION } from './recording.ts'
import { memberLength, unpackMember } from './recording-members.ts'

/** Where recordings of running sessions lie, within the directory of all. */
export const OPEN_DIRECTORY = 'open'

const SUFFIX = '.dbgr'
const DAY = /^\d{4}-\d{2}-\d{2}$/
const SESSION = /^s-[\w-]{1,64}$/
const CHUNK_BYTES = 64 * 1024
const POLL_MS = 200

/** The file name of a session's recording. */
export function recordingName(session: string): string {
  return `${session}${SUFFIX}`
}

/** The session whose recording a file name is, or undefined for any other file. */
export function recordedSession(name: string): string | undefined {
  const session = name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : ''
  return SESSION.test(session) ? session : undefined
}

/** The days that recordings are kept of, oldest first. */
export function recordingDays(directory: string): string[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory)
    .filter(name => DAY.test(name))
    .sort()
}

/** A session's recording, and whether it is still being written. */
export type FoundRecording = { readonly path: string; readonly isOpen: boolean }

/**
 * Finds a session's recording in the directory of all (`<state>/recordings`), or returns undefined: there is
 * none, or it was deleted when its time was over.
 */
export function findRecording(directory: string, session: string): FoundRecording | undefined {
  if (!SESSION.test(session)) return undefined
  const name = recordingName(session)
  // A session may end while it is looked for, so its open file is looked for first and last.
  for (const attempt of [0, 1]) {
    const path = join(directory, OPEN_DIRECTORY, name)
    if (existsSync(path)) return { path, isOpen: true }
    if (attempt === 1) break
    for (const day of recordingDays(directory).reverse()) {
      const closed = join(directory, day, name)
      if (existsSync(closed)) return { path: closed, isOpen: false }
    }
  }
  return undefined
}

/** `follow`: goes on until the session ends or `signal` is aborted. `pollMs`: how often to look for more. */
export type RecordingReadOptions = {
  readonly follow?: boolean
  readonly signal?: AbortSignal
  readonly pollMs?: number
}

/**
 * Yields the events of a recording in order; without `follow` up to what has been flushed by now, whole
 * events only. A file may be read while it is written, moved to its day or deleted.
 *
 * Throws: INTEGRITY (XX001) the file was changed or is of a version that is not known; file system errors
 * as they come.
 */
export async function* readRecording(
  path: string,
  options: RecordingReadOptions = {},
): AsyncGenerator<RecordingEvent, void> {
  const file = await open(path, 'r')
  try {
    const members = new MemberReader(file, path)
    let isFirst = true
    for (;;) {
      for (let content = await members.next(); content !== null; content = await members.next()) {
        for (const event of eventsOf(content, path)) {
          if (isFirst) checkStart(event, path)
          isFirst = false
          yield event
          if (event.e === 'end') return
        }
      }
      if (options.follow !== true || options.signal?.aborted === true) return
      await pause(options.pollMs ?? POLL_MS, options.signal)
    }
  } finally {
    await file.close()
  }
}

/** Reads member after member of a file that may still grow. */
export class MemberReader {
  /** Where the next member begins: everything before is whole. */
  offset = 0
  readonly #file: FileHandle
  readonly #path: string
  #buffer: Buffer = Buffer.alloc(0)

  constructor(file: FileHandle, path: string) {
    this.#file = file
    this.#path = path
  }

  /** The content of the next member, or null while it is not all there. Throws: INTEGRITY (XX001). */
  async next(): Promise<Buffer | null> {
    for (;;) {
      const length = memberLength(this.#buffer, 0)
      if (length === null) throw notOurs(this.#path, this.offset)
      if (length !== undefined && length <= this.#buffer.length) {
        const content = unpackMember(this.#buffer.subarray(0, length))
        if (content === undefined) throw notOurs(this.#path, this.offset)
        this.#buffer = this.#buffer.subarray(length)
        this.offset += length
        return content
      }
      if (!(await this.#fill(length ?? 0))) return null
    }
  }

  async #fill(wanted: number): Promise<boolean> {
    const have = this.#buffer.length
    const { size } = await this.#file.stat()
    // A header may lie about its length: nothing is made room for that is not there.
    const room = Math.min(Math.max(CHUNK_BYTES, wanted - have), size - this.offset - have)
    if (room <= 0) return false
    const grown = Buffer.allocUnsafe(have + room)
    this.#buffer.copy(grown)
    const { bytesRead } = await this.#file.read(grown, have, room, this.offset + have)
    this.#buffer = grown.subarray(0, have + bytesRead)
    return bytesRead > 0
  }
}

function eventsOf(content: Buffer, path: string): RecordingEvent[] {
  return content
    .toString('utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => {
      const value = parseJson(line)
      if (!isEvent(value)) {
        throw new DbgateError('INTEGRITY', `recording ${path} holds a line that is no event`)
      }
      return value
    })
}

/** Only our own writer makes events, so an event's frame is looked at and its contents are trusted. */
function isEvent(value: unknown): value is RecordingEvent {
  if (typeof value !== 'object' || value === null) return false
  return 't' in value && typeof value.t === 'number' && 'e' in value && typeof value.e === 'string'
}

function checkStart(event: RecordingEvent, path: string): void {
  if (event.e !== 'start') {
    throw new DbgateError('INTEGRITY', `recording ${path} does not begin with its start`)
  }
  if (event.v === RECORDING_VERSION) return
  throw new DbgateError('INTEGRITY', `recording ${path} has format version ${event.v}`, {
    detail: `This version of dbgate reads version ${RECORDING_VERSION}.`,
  })
}

function notOurs(path: string, offset: number): DbgateError {
  return new DbgateError('INTEGRITY', `recording ${path} was changed at byte ${offset}`)
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done)
  })
}
