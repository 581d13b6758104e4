/**
 * Recordings told: a session's events put together into a story, and the story as text, terminal recording, page
 * or SQL file. Whoever shows it on a screen (`ui`) or sends it (`api`) is above.
 *
 * Invariant: what leaves this folder as text is inert; nothing that was recorded is obeyed by a terminal, a
 * browser or psql. Only `Entry.sql` and events are as they were recorded.
 */
export {
  type ExportOptions,
  exportStory,
  FORMATS,
  type Format,
  formatOf,
  isResult,
  jsonLineOf,
} from './export.ts'
export { type Line, linesOf } from './lines.ts'
export {
  type Entry,
  isSelected,
  type Mark,
  type Marker,
  type Result,
  resultsOf,
  SELECTIONS,
  type Selection,
  Story,
} from './story.ts'
export { clock, count, gist, inertJson, short, took } from './text.ts'
export {
  cellTexts,
  isTold,
  summaryOf,
  type Telling,
  titleOf,
  transcript,
  transcriptHead,
  transcriptOf,
} from './transcript.ts'
