import type { RecordingEvent } from '../record/index.ts'
import { castOf } from './cast.ts'
import { htmlOf } from './html.ts'
import { sqlFileOf } from './sql-file.ts'
import type { Story } from './story.ts'
import { inertJson } from './text.ts'
import { type Telling, transcript } from './transcript.ts'

export const FORMATS = ['cast', 'html', 'sql', 'txt', 'jsonl'] as const
export type Format = (typeof FORMATS)[number]

export type ExportOptions = Telling & {
  readonly idleLimitMs: number
  /** What the audit log has of the recording; undefined while it is being written. */
  readonly sha256: string | undefined
}

/** The format that a file's name asks for; undefined where it asks for none. */
export function formatOf(path: string): Format | undefined {
  const extension = /\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase()
  return FORMATS.find(format => format === extension)
}

/** A session in another form, piece by piece. `jsonl` is made from the events themselves: see `jsonLineOf`. */
export function exportStory(
  format: Exclude<Format, 'jsonl'>,
  story: Story,
  options: ExportOptions,
): Iterable<string> {
  switch (format) {
    case 'cast':
      return castOf(story, options, options.idleLimitMs)
    case 'html':
      return htmlOf(story, options, options.sha256)
    case 'sql':
      return sqlFileOf(story, options)
    case 'txt':
      return transcript(story, options)
    default:
      return format satisfies never
  }
}

/** One event as one line of JSON, inert wherever it is shown. */
export function jsonLineOf(event: RecordingEvent): string {
  return `${inertJson(event)}\n`
}

/** True for events that hold what came back: what `--no-results` leaves out. */
export function isResult({ e }: RecordingEvent): boolean {
  return e === 'columns' || e === 'rows' || e === 'copy'
}
