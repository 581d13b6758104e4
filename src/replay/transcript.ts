import type { Marks } from '../terminal.ts'
import { cutMiddle, table, visible } from '../terminal.ts'
import { linesOf } from './lines.ts'
import {
  type Entry,
  isSelected,
  type Result,
  resultsOf,
  type Selection,
  type Story,
} from './story.ts'
import { clock, count, inertJson, short } from './text.ts'

/** What is told of a session. `hasResults`: the rows too. */
export type Telling = {
  readonly only: readonly Selection[]
  readonly hasResults: boolean
  readonly marks: Marks
  /** Nothing that happened before; ms since the start. */
  readonly from: number
}

const INDENT = ' '.repeat(10)
const MAX_CELL = 200

/** One line that says whose session it is. Inert. */
export function titleOf({ head }: Story, marks: Marks): string {
  const { session, principal, agent, target, role, database } = head
  const via = agent === '' || agent === 'unknown' ? '' : ` via ${agent}`
  const dot = ` ${marks.dot} `
  const parts = [session, `${principal.user}${via}`, `${target}/${database} ${role}`]
  return parts.map(part => short(part, MAX_CELL)).join(dot)
}

/** What the session came to so far, in one line. */
export function summaryOf({ entries, isOver, lastAt }: Story): string {
  const statements = entries.filter(({ kind }) => kind === 'statement' || kind === 'hold').length
  const held = entries.filter(({ kind }) => kind === 'hold').length
  const denied = entries.filter(({ mark }) => mark === 'denied').length
  const end = isOver ? '' : ', still running'
  const minutes =
    lastAt < 60_000 ? `${Math.round(lastAt / 1000)} s` : `${Math.round(lastAt / 60_000)} min`
  return `${count(statements, 'statement')}, ${held} held, ${denied} denied, ${minutes}${end}`
}

/** The session as plain text, statement by statement, each whole: what is printed off a terminal. Times in UTC. */
export function* transcript(story: Story, telling: Telling): Generator<string> {
  yield* transcriptHead(story, telling.marks)
  for (const entry of story.entries) {
    if (isTold(entry, telling)) yield* transcriptOf(story, entry, telling)
  }
  if (!story.isOver) yield `\n(${summaryOf(story)})\n`
}

/** The lines before the first statement. */
export function* transcriptHead(story: Story, marks: Marks): Generator<string> {
  const { head } = story
  yield `${titleOf(story, marks)}\n`
  yield `began ${visible(head.at)}, times in UTC`
  yield head.application === '' ? '\n' : `, application ${short(head.application, MAX_CELL)}\n`
}

/** True for what a telling has in it. */
export function isTold(entry: Entry, { only, from }: Telling): boolean {
  return isSelected(entry, only) && (entry.events.at(-1)?.t ?? 0) >= from
}

/** One entry of the transcript, all of it. */
export function* transcriptOf(story: Story, entry: Entry, telling: Telling): Generator<string> {
  const { startedAt } = story.head
  const until = Number.POSITIVE_INFINITY
  const isStatement = entry.sql !== ''
  yield '\n'
  for (const [index, line] of linesOf(entry, until, telling.marks).entries()) {
    const time = line.at === undefined ? '' : clock(startedAt + line.at, true)
    const aside = line.aside === undefined ? '' : `  (${line.aside})`
    const isSql = index === 0 && isStatement
    const text = isSql ? indented(visible(entry.sql, { keepNewlines: true })) : line.text
    yield `${time.padEnd(INDENT.length)}${text}\n`
    if (!isSql) continue
    yield* parameterLines(entry)
    if (aside !== '') yield `${INDENT}${aside.trim()}\n`
  }
  if (telling.hasResults) yield* resultLines(resultsOf(entry, until))
}

function* parameterLines({ events }: Entry): Generator<string> {
  for (const event of events) {
    if (event.e !== 'statement') continue
    for (const [index, value] of (event.parameters ?? []).entries()) {
      yield `${INDENT}$${index + 1} = ${value === null ? 'NULL' : inertJson(value)}\n`
    }
  }
}

function* resultLines(results: readonly Result[]): Generator<string> {
  for (const { columns, rows } of results) {
    if (rows.length === 0) continue
    const titles = columns.map(title => ({ title: cutMiddle(visible(title), MAX_CELL) }))
    for (const line of table(titles, rows.map(cellTexts), Number.MAX_SAFE_INTEGER)) {
      yield `${INDENT}${line}\n`
    }
  }
}

/** A row's values as they are shown: inert, on one line, and never longer than a screen is wide. */
export function cellTexts(row: Result['rows'][number]): readonly string[] {
  return row.map(cell => {
    if (cell === null) return 'NULL'
    const text = typeof cell === 'string' ? cell : `base64:${cell.base64}`
    const part = text.length > 4 * MAX_CELL ? `${text.slice(0, 4 * MAX_CELL)}…` : text
    return cutMiddle(visible(part), MAX_CELL)
  })
}

function indented(text: string): string {
  return text.replaceAll('\n', `\n${INDENT}`)
}
