import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type { ApiClient } from '../src/api/index.ts'
import { DbgateError, systemCode } from '../src/errors.ts'
import { type RecordingEvent, readRecording } from '../src/record/index.ts'
import { SELECTIONS, type Selection, Story } from '../src/replay/index.ts'
import { usage } from './report.ts'
import { parseSpan } from './times.ts'

/**
 * A session that can be told. `events` are those that were there when it was opened, `more` those that still
 * come; whoever reads them adds them to the story.
 */
export type Opened = {
  readonly story: Story
  readonly events: readonly RecordingEvent[]
  readonly more: AsyncIterable<RecordingEvent> | undefined
  readonly sha256: string | undefined
}

export type OpenOptions = {
  readonly follow: boolean
  readonly hasResults: boolean
  readonly signal: AbortSignal
}

/**
 * Opens a session on the server.
 *
 * Throws: NOT_FOUND; DENIED somebody else's; STALE its results are gone and were asked for.
 */
export async function openSession(
  api: Pick<ApiClient, 'session' | 'recording'>,
  id: string,
  options: OpenOptions,
): Promise<Opened> {
  const session = await api.session(id)
  if (session.recording === undefined && options.hasResults) throw noResults(session.id)
  const follow = options.follow && session.isLive
  const events = api.recording(session.id, { follow, signal: options.signal })
  return open(events, { ...options, follow }, session.recording?.sha256, session.id)
}

/** Opens a recording file. Throws: NOT_FOUND it cannot be read; INTEGRITY it was changed or is none. */
export async function openFile(path: string, options: OpenOptions): Promise<Opened> {
  const { follow, signal } = options
  try {
    const digest = follow ? undefined : await digestOf(path)
    return await open(readRecording(path, { follow, signal }), options, digest, path)
  } catch (cause) {
    const code = systemCode(cause)
    if (code === undefined || cause instanceof DbgateError) throw cause
    throw new DbgateError('NOT_FOUND', `cannot read ${path} (${code})`, { cause })
  }
}

async function open(
  events: AsyncIterable<RecordingEvent>,
  { follow, hasResults }: OpenOptions,
  sha256: string | undefined,
  name: string,
): Promise<Opened> {
  const iterator = events[Symbol.asyncIterator]()
  const first = await iterator.next()
  if (first.done === true || first.value.e !== 'start') {
    throw new DbgateError('NOT_FOUND', `nothing of ${name} is recorded yet`)
  }
  const story = new Story(first.value)
  story.add(first.value)
  const known: RecordingEvent[] = [first.value]
  const rest = { [Symbol.asyncIterator]: () => iterator }
  if (follow) return { story, events: known, more: rest, sha256: undefined }
  for await (const event of rest) {
    if (hasResults && event.e === 'cut' && event.why === 'retention') throw noResults(name)
    story.add(event)
    known.push(event)
  }
  return { story, events: known, more: undefined, sha256 }
}

function noResults(name: string): DbgateError {
  return new DbgateError('STALE', `results of ${name} are not kept, or not any more`, {
    detail: 'Statements are still there.',
    next: [`dbgate replay ${name} --no-results`],
  })
}

async function digestOf(path: string): Promise<string> {
  const digest = createHash('sha256')
  for await (const chunk of createReadStream(path)) digest.update(chunk)
  return digest.digest('hex')
}

/** Reads what `--only` names. Throws: USAGE. */
export function selectionsOf(text: string | undefined): readonly Selection[] {
  return (text ?? '')
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '')
    .map(part => {
      const found = SELECTIONS.find(each => each === part)
      if (found !== undefined) return found
      throw usage(`--only has no ${part}`, 'replay', `It takes ${SELECTIONS.join(', ')}.`)
    })
}

const DAY_MS = 86_400_000

/**
 * The time of the session that `--at` names: a time of day, a span after its start, or a held statement's id.
 * Units: ms since the start. Throws: USAGE.
 */
export function placeOf(text: string, story: Story): number {
  const after = text.startsWith('+') ? parseSpan(text.slice(1)) : undefined
  if (after !== undefined) return after
  const held = story.entries.find(
    ({ id, events }) =>
      id === text || events.some(event => event.e === 'held' && event.request === text),
  )
  if (held !== undefined) return held.at
  const { startedAt } = story.head
  const [, hours, minutes, seconds] = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(text) ?? []
  if (hours !== undefined && minutes !== undefined) {
    const date = new Date(startedAt)
    date.setHours(Number(hours), Number(minutes), Number(seconds ?? 0), 0)
    const at = date.getTime() - startedAt
    // A session may go on past midnight.
    return at < -60_000 ? at + DAY_MS : Math.max(0, at)
  }
  const at = Date.parse(text)
  if (!Number.isNaN(at)) return Math.max(0, at - startedAt)
  throw usage(`--at names no place: ${text}`, 'replay', 'Such as 14:05, +12m, h-7f3k.')
}
