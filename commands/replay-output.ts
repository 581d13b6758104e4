import { type FileHandle, open, unlink } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { DbgateError, systemCode } from '../src/errors.ts'
import type { RecordingEvent } from '../src/record/index.ts'
import {
  type ExportOptions,
  exportStory,
  type Format,
  formatOf,
  isResult,
  isTold,
  jsonLineOf,
  transcriptHead,
  transcriptOf,
} from '../src/replay/index.ts'
import type { Opened } from './replay-source.ts'
import { usage } from './report.ts'

const FLUSH_CHARS = 64 * 1024

/**
 * Writes a session to a new file, readable by its owner alone. A file that was not finished is taken away.
 *
 * Throws: USAGE no format, or the file is there; NOT_FOUND it cannot be written.
 */
export async function exportTo(
  opened: Opened,
  path: string,
  given: Format | undefined,
  options: ExportOptions,
  isForced: boolean,
): Promise<{ readonly path: string; readonly format: Format; readonly bytes: number }> {
  const format = given ?? formatOf(path)
  if (format === undefined) {
    const such = 'It ends in .cast, .html, .sql, .txt or .jsonl, or --format says it.'
    throw usage(`what ${path} should be is not clear`, 'replay', such)
  }
  const file = await create(path, isForced)
  try {
    let bytes = 0
    for (const piece of inPieces(piecesOf(opened, format, options))) {
      bytes += Buffer.byteLength(piece)
      await file.write(piece)
    }
    await file.close()
    return { path, format, bytes }
  } catch (cause) {
    await file.close().catch(() => {})
    await unlink(path).catch(() => {})
    throw cause
  }
}

async function create(path: string, isForced: boolean): Promise<FileHandle> {
  try {
    return await open(path, isForced ? 'w' : 'wx', 0o600)
  } catch (cause) {
    const code = systemCode(cause) ?? 'unknown'
    if (code === 'EEXIST') throw usage(`${path} is there already`, 'replay', '--force replaces it.')
    throw new DbgateError('NOT_FOUND', `cannot write ${path} (${code})`, { cause })
  }
}

function piecesOf(opened: Opened, format: Format, options: ExportOptions): Iterable<string> {
  return format === 'jsonl'
    ? jsonLines(opened.events, options)
    : exportStory(format, opened.story, options)
}

function* jsonLines(
  events: readonly RecordingEvent[],
  { hasResults }: ExportOptions,
): Generator<string> {
  for (const event of events) if (hasResults || !isResult(event)) yield jsonLineOf(event)
}

/** Small pieces put together: a write each would take longer than the rest. */
function* inPieces(pieces: Iterable<string>): Generator<string> {
  let piece = ''
  for (const each of pieces) {
    piece += each
    if (piece.length < FLUSH_CHARS) continue
    yield piece
    piece = ''
  }
  if (piece !== '') yield piece
}

/** Prints a session on stdout as it is, and what still comes of it statement by statement. */
export async function printTelling(
  opened: Opened,
  stdout: Writable,
  format: Format,
  options: ExportOptions,
): Promise<void> {
  if (opened.more === undefined) {
    for (const piece of inPieces(piecesOf(opened, format, options))) await print(stdout, piece)
  } else if (format === 'jsonl') {
    for (const line of jsonLines(opened.events, options)) await print(stdout, line)
    for await (const event of opened.more) {
      for (const line of jsonLines([event], options)) await print(stdout, line)
    }
  } else if (format === 'txt') await printLive(opened, stdout, options)
  else throw usage(`--follow prints txt or jsonl, not ${format}`, 'replay')
}

/** Each statement is printed once it is over, whole; what is not over when the story ends comes last. */
async function printLive(
  { story, more }: Opened,
  stdout: Writable,
  options: ExportOptions,
): Promise<void> {
  for (const line of transcriptHead(story, options.marks)) await print(stdout, line)
  const printed = new Set<number>()
  const printEntry = async (index: number): Promise<void> => {
    const entry = story.entries[index]
    if (entry === undefined || printed.has(index)) return
    printed.add(index)
    if (!isTold(entry, options)) return
    for (const piece of transcriptOf(story, entry, options)) await print(stdout, piece)
  }
  let open: readonly number[] = []
  let seen = 0
  for await (const event of more ?? []) {
    story.add(event)
    for (; seen < story.entries.length; seen += 1) open = [...open, seen]
    const over = open.filter(index => isOver(story.entries[index]?.events ?? []))
    for (const index of over) await printEntry(index)
    open = open.filter(index => !printed.has(index))
  }
  for (const index of open) await printEntry(index)
}

function isOver(events: readonly RecordingEvent[]): boolean {
  const isStatement = events.some(({ e }) => e === 'statement' || e === 'held')
  if (!isStatement) return true
  return events.some(
    event =>
      event.e === 'complete' ||
      (event.e === 'decided' && event.outcome === 'refused') ||
      (event.e === 'error' && events.some(each => each.e === 'statement' && each.refused === true)),
  )
}

/** Whoever reads slowly is waited for; whoever reads no more is not. */
async function print(stdout: Writable, text: string): Promise<void> {
  if (stdout.destroyed || stdout.write(text)) return
  const { promise, resolve } = Promise.withResolvers<void>()
  stdout.once('drain', resolve)
  stdout.once('close', resolve)
  await promise
  stdout.off('drain', resolve)
  stdout.off('close', resolve)
}
