import { cutMiddle, textWidth, visible } from '../terminal.ts'
import { type Line, linesOf } from './lines.ts'
import { type Entry, resultsOf, type Story } from './story.ts'
import { clock, count } from './text.ts'
import { cellTexts, isTold, type Telling, titleOf } from './transcript.ts'

const WIDTH = 100
const HEIGHT = 30
const MAX_SQL_CHARS = 4_000
const MAX_SQL_LINES = 20
const MAX_ROWS = 10
const INDENT = ' '.repeat(10)
const RESET = '\u001b[0m'
const TONES: Readonly<Record<Line['tone'], string>> = {
  plain: '',
  bad: '\u001b[31m',
  waiting: '\u001b[33m',
  faint: '\u001b[2m',
}

/**
 * The session as a terminal recording that any player of asciicasts shows: one JSON value a line. The only
 * escape sequences in it are colours of our own.
 *
 * Shape: asciicast v2; what is worth jumping to is a marker. Source:
 * https://docs.asciinema.org/manual/asciicast/v2/
 */
export function* castOf(story: Story, telling: Telling, idleLimitMs: number): Generator<string> {
  const { head } = story
  const begin = Math.max(0, Math.min(telling.from, story.lastAt))
  yield `${JSON.stringify({
    version: 2,
    width: WIDTH,
    height: HEIGHT,
    timestamp: Math.floor((head.startedAt + begin) / 1000),
    idle_time_limit: idleLimitMs / 1000,
    title: titleOf(story, telling.marks),
    env: { TERM: 'xterm-256color' },
  })}\n`
  yield event(0, 'o', `${titleOf(story, telling.marks)}\r\n${visible(head.at)}, times in UTC\r\n`)
  for (const { at, kind, text } of moments(story, telling)) {
    yield event(Math.max(0, at - begin), kind, text)
  }
}

function event(ms: number, kind: 'o' | 'm', text: string): string {
  return `${JSON.stringify([ms / 1000, kind, text])}\n`
}

type Moment = { readonly at: number; readonly kind: 'o' | 'm'; readonly text: string }

/** All that is drawn, in the order of its time: statements overlap where a client sends several at once. */
function moments(story: Story, telling: Telling): readonly Moment[] {
  const told = story.entries.filter(entry => isTold(entry, telling))
  const drawn = told.flatMap(entry => drawnOf(story, entry, telling))
  const isTelling = new Set(told.map(({ index }) => index))
  const markers = story.markers
    .filter(({ entry, at }) => isTelling.has(entry) && at >= telling.from)
    .map(({ at, mark, entry }): Moment => {
      const id = story.entries[entry]?.id ?? ''
      return { at, kind: 'm', text: visible(`${mark} ${id}`.trim()) }
    })
  return [...drawn, ...markers].toSorted((left, right) => left.at - right.at)
}

function drawnOf(story: Story, entry: Entry, telling: Telling): readonly Moment[] {
  const until = Number.POSITIVE_INFINITY
  const moments: Moment[] = []
  let at = entry.at
  const add = (lines: readonly string[]) =>
    moments.push({ at, kind: 'o', text: lines.map(line => `${line}\r\n`).join('') })
  for (const [index, line] of linesOf(entry, until, telling.marks).entries()) {
    at = Math.max(at, line.at ?? at)
    if (index === 0 && entry.sql !== '') {
      add(['', ...sqlLines(story, entry, line)])
    } else add([lineText(story, line)])
  }
  if (telling.hasResults) {
    at = Math.max(at, entry.events.findLast(({ e }) => e === 'rows')?.t ?? at)
    for (const { columns, rows } of resultsOf(entry, until)) {
      if (rows.length === 0) continue
      const shown = [columns.map(name => visible(name)), ...rows.slice(0, MAX_ROWS).map(cellTexts)]
      const more = rows.length - MAX_ROWS
      add([
        ...shown.map(cells => `${INDENT}${cutMiddle(cells.join(' | '), WIDTH - INDENT.length)}`),
        ...(more > 0 ? [`${INDENT}… ${count(more, 'row')} more`] : []),
      ])
    }
  }
  return moments
}

function lineText(story: Story, { at, tone, text, aside }: Line): string {
  const time = at === undefined ? '' : clock(story.head.startedAt + at, true)
  const right = aside === undefined ? '' : `  ${aside}`
  const room = WIDTH - INDENT.length - textWidth(right)
  const colour = TONES[tone]
  return `${time.padEnd(INDENT.length)}${colour}${cutMiddle(text, room)}${right}${colour === '' ? '' : RESET}`
}

/** The statement as it was written, as far as it fits the screen. */
function sqlLines(story: Story, { sql, at }: Entry, { tone, aside }: Line): readonly string[] {
  const part = visible(sql.slice(0, MAX_SQL_CHARS), { keepNewlines: true }).split('\n')
  const shown = part.slice(0, MAX_SQL_LINES).map(line => cutMiddle(line, WIDTH - INDENT.length))
  const isCut = sql.length > MAX_SQL_CHARS || part.length > MAX_SQL_LINES
  const colour = TONES[tone]
  const time = clock(story.head.startedAt + at, true).padEnd(INDENT.length)
  return [
    ...shown.map(
      (line, index) =>
        `${index === 0 ? time : INDENT}${colour}${line}${colour === '' ? '' : RESET}`,
    ),
    ...(isCut ? [`${INDENT}… ${count(sql.length, 'character')} in all`] : []),
    ...(aside === undefined ? [] : [`${INDENT}${TONES.faint}${aside}${RESET}`]),
  ]
}
