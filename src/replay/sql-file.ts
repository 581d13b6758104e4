import type { RecordedParameter } from '../record/index.ts'
import { visible } from '../terminal.ts'
import { hasStraySlash } from './psql-lexing.ts'
import type { Entry, Story } from './story.ts'
import { clock, gist, inertJson, took } from './text.ts'
import { isTold, summaryOf, type Telling, titleOf } from './transcript.ts'

/**
 * What ran, as a file that psql can read: the statements in their order, each under a comment that says when
 * and what came of it. What did not run, failed, reads its data from the client, or would not be inert on a
 * screen, is commented out.
 */
export function* sqlFileOf(story: Story, telling: Telling): Generator<string> {
  const { head } = story
  yield comment([
    titleOf(story, telling.marks),
    `began ${visible(head.at)}, times in UTC`,
    summaryOf(story),
    'What did not run is commented out. Running this file does the rest again.',
    ...(head.parameters === 'full'
      ? []
      : ['Values of masked columns are not those that were sent.']),
  ])
  for (const entry of story.entries) {
    if (entry.sql === '' || !isTold(entry, telling)) continue
    yield `\n${comment(notesOf(story, entry))}${statementOf(entry)}`
  }
}

function notesOf(story: Story, entry: Entry): readonly string[] {
  const time = clock(story.head.startedAt + entry.at, true)
  const notes = [`${time} ${visible(entry.id)}`]
  for (const event of entry.events) {
    if (event.e === 'held') {
      notes.push(`held as ${visible(event.request)} by ${visible(event.rule)}`)
    } else if (event.e === 'decided') {
      const by = event.by === undefined ? '' : ` by ${visible(event.by)}`
      const said = event.comment === undefined ? '' : `: ${visible(event.comment)}`
      notes.push(`${visible(event.state)}${by}${said}`)
    } else if (event.e === 'statement') {
      const what = event.refused === true ? 'denied' : 'allowed'
      notes.push(`${what} by ${visible(event.rule)}`)
      for (const [index, value] of (event.parameters ?? []).entries()) {
        notes.push(`$${index + 1} = ${value === null ? 'NULL' : inertJson(value)}`)
      }
    } else if (event.e === 'error') {
      notes.push(`${visible(event.severity)} ${visible(event.sqlstate)}: ${gist(event.message)}`)
    } else if (event.e === 'complete') {
      const what = visible(event.tag || event.outcome)
      notes.push(`${what}, ${took(event.durationUs / 1000)}`)
    }
  }
  return notes
}

function statementOf(entry: Entry): string {
  const why = whyNot(entry)
  if (why === undefined) return runnable(entry)
  const lines = entry.sql.split(/\r\n|\r|\n/).map(line => visible(line).replaceAll('␉', '\t'))
  const exact = isInert(entry.sql)
    ? []
    : [`exactly, in base64: ${Buffer.from(entry.sql, 'utf8').toString('base64')}`]
  return comment([`${why}:`, ...lines, ...exact])
}

/** What had values is prepared, so that it gets them again. */
function runnable({ index, sql, events }: Entry): string {
  // A comment at the end of the text would swallow the semicolon.
  const text = `${sql}${/--[^\n]*$/.test(sql) ? '\n' : ''};\n`
  const values = valuesOf(events)
  if (values.length === 0) return text
  const name = `replay_${index + 1}`
  const literals = values.map(value => (typeof value === 'string' ? literal(value) : 'NULL'))
  return `PREPARE ${name} AS\n${text}EXECUTE ${name}(${literals.join(', ')});\nDEALLOCATE ${name};\n`
}

function valuesOf(events: Entry['events']): readonly RecordedParameter[] {
  return events.flatMap(event => (event.e === 'statement' ? (event.parameters ?? []) : []))
}

/** Means the same whatever `standard_conforming_strings` is. */
function literal(value: string): string {
  const quoted = `'${value.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`
  return value.includes('\\') ? `E${quoted}` : quoted
}

/** Why a statement is commented out; undefined for one that is not. */
function whyNot({ sql, events }: Entry): string | undefined {
  const statement = events.find(event => event.e === 'statement')
  const ended = events.find(event => event.e === 'complete')
  if (statement === undefined || statement.refused === true) return 'not run'
  if (statement.textBase64 !== undefined) return 'ran, but is not UTF-8'
  if (ended === undefined) return 'no end of it is on record'
  if (ended.outcome !== 'ok') return `ended as ${ended.outcome}`
  const isCopyIn = events.some(event => event.e === 'copy' && event.direction === 'in')
  if (isCopyIn || statement.kinds.includes('COPY_FROM')) return 'ran, with data of the client'
  const values = valuesOf(events)
  if (values.some(value => value !== null && typeof value !== 'string')) {
    return 'ran, with values that are no text'
  }
  const isPlain = values.every(value => typeof value !== 'string' || isInert(value))
  if (!isInert(sql) || !isPlain) return 'ran, but holds characters that deceive'
  // psql would take it for a command of its own.
  return hasStraySlash(sql) ? 'ran, but psql would read it otherwise' : undefined
}

function isInert(sql: string): boolean {
  const plain = sql.replaceAll('\r\n', '\n').replaceAll('\t', ' ')
  return visible(plain, { keepNewlines: true }) === plain
}

/** Every line behind two dashes; none of them can end its comment early. */
function comment(lines: readonly string[]): string {
  return lines.map(line => `${`-- ${line.replace(/[\r\n]+/g, ' ')}`.trimEnd()}\n`).join('')
}
