import { createHash } from 'node:crypto'
import { createReadStream, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { DbgateError } from '../errors.ts'
import { parseJson } from './format.ts'
import { packMember } from './recording-members.ts'
import { MemberReader, recordingName } from './recording-reader.ts'
import type { RecordingSeal } from './records.ts'

/** Digest and size of a file as it lies there. */
export async function digestOf(path: string): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of createReadStream(path)) {
    hash.update(chunk)
    bytes += chunk.length
  }
  return { sha256: hash.digest('hex'), bytes }
}

/**
 * Brings a recording to an end that a killed server left open: the piece that it was writing is cut off, and
 * an `end` says what happened. A file that holds nothing of ours is sealed as it is.
 */
export async function recoverRecording(path: string, session: string): Promise<RecordingSeal> {
  const found = await wholeMembers(path)
  const startedAt = found.at ?? statSync(path).mtime.toISOString()
  const file = `${startedAt.slice(0, 10)}/${recordingName(session)}`
  if (found.isOurs && !found.isEnded) await bringToEnd(path, found)
  return { file, ...(await digestOf(path)), cut: found.isEnded ? undefined : 'killed' }
}

type Found = {
  /** Where the last whole member ends. */
  bytes: number
  /** When the session began, as its first event says. */
  at: string | undefined
  /** Time of the last event. */
  t: number
  isEnded: boolean
  isOurs: boolean
}

async function wholeMembers(path: string): Promise<Found> {
  const found: Found = { bytes: 0, at: undefined, t: 0, isEnded: false, isOurs: true }
  const handle = await open(path, 'r')
  try {
    const members = new MemberReader(handle, path)
    for (let content = await members.next(); content !== null; content = await members.next()) {
      const lines = content.toString('utf8').trimEnd().split('\n')
      const first = parseJson(lines[0] ?? '')
      const last = parseJson(lines.at(-1) ?? '')
      if (found.bytes === 0 && hasAt(first)) found.at = first.at
      if (hasTime(last)) found.t = last.t
      found.isEnded = hasTime(last) && last.e === 'end'
      found.bytes = members.offset
    }
  } catch (error) {
    if (!(error instanceof DbgateError)) throw error
    // Somebody has been at it: its digest says how it was found, and reading it says where.
    found.isOurs = false
  } finally {
    await handle.close()
  }
  return found
}

async function bringToEnd(path: string, { bytes, t }: Found): Promise<void> {
  const end = { t, e: 'end', reason: 'the server was killed', recovered: true }
  const member = await packMember(Buffer.from(`${JSON.stringify(end)}\n`))
  const handle = await open(path, 'r+')
  try {
    await handle.truncate(bytes)
    // Without its start it would be no recording.
    if (bytes > 0) await handle.write(member, 0, member.length, bytes)
    await handle.datasync()
  } finally {
    await handle.close()
  }
}

function hasAt(value: unknown): value is { at: string } {
  if (typeof value !== 'object' || value === null || !('at' in value)) return false
  return typeof value.at === 'string' && /^\d{4}-\d{2}-\d{2}T/.test(value.at)
}

function hasTime(value: unknown): value is { t: number; e: unknown } {
  if (typeof value !== 'object' || value === null || !('t' in value && 'e' in value)) return false
  return typeof value.t === 'number'
}
