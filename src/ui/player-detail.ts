import type { StatementEvent } from '../record/index.ts'
import {
  cellTexts,
  type Entry,
  inertJson,
  linesOf,
  resultsOf,
  short,
  took,
} from '../replay/index.ts'
import { type Marks, table, visible } from '../terminal.ts'
import { folded } from './folded.ts'

const INDENT = '  '
/** Marks of words: what stands here is read, not glanced at. */
const MARKS: Marks = { ok: '+', no: 'x', wait: '...', next: '->', live: '*', dot: '-', note: '!' }
const MAX_VALUE = 2_000

/**
 * All that is on record of one statement by then: its text whole, its values, what was decided, what came
 * back. Inert, and no line wider than the screen.
 */
export function detailLines(
  entry: Entry,
  until: number,
  hasResults: boolean,
  columns: number,
): readonly string[] {
  const width = Math.max(20, columns - INDENT.length - 1)
  const fold = (text: string) => folded(text, width).map(line => `${INDENT}${line}`)
  const sql = entry.sql === '' ? [] : [...entry.sql.split(/\r\n|\n/).map(line => visible(line)), '']
  const told = linesOf(entry, until, MARKS)
    .slice(entry.sql === '' ? 0 : 1)
    .map(({ text, aside }) => (aside === undefined ? text : `${text}  ${aside}`))
  const all = [...sql, ...valuesOf(entry), ...factsOf(entry, until), ...told]
  return [...all.flatMap(fold), ...(hasResults ? rowLines(entry, until, width) : [])]
}

/**
 * Why it was let through, held or denied when it was sent, and how to ask what holds now: the policy may have
 * changed since. Inert, and no line wider than the screen.
 */
export function whyLines(entry: Entry, until: number, columns: number): readonly string[] {
  const width = Math.max(20, columns - INDENT.length - 1)
  const told = linesOf(entry, until, MARKS).map(({ text }) => text)
  const then = entry.events.flatMap(event => (event.e === 'statement' ? [verdictOf(event)] : []))
  const all = [
    ...told,
    ...then,
    '',
    'By the policy of now, which its owner may ask:',
    `dbgate policy explain ${entry.id}`,
  ]
  return all.flatMap(text => folded(visible(text), width).map(line => `${INDENT}${line}`))
}

function verdictOf({ refused, verdict, request, rule }: StatementEvent): string {
  const did = refused === true ? 'denied' : request === undefined ? 'allowed' : 'approved'
  const used = request === undefined ? '' : `, request ${visible(request)}`
  return `${refused === true && verdict === 'hold' ? 'held' : did} by ${short(rule, MAX_VALUE)}${used}`
}

function valuesOf({ events }: Entry): readonly string[] {
  const values = events.flatMap(event => (event.e === 'statement' ? (event.parameters ?? []) : []))
  return values.map((value, index) => {
    const text = value === null ? 'NULL' : inertJson(value)
    return `$${index + 1} = ${short(text, MAX_VALUE)}`
  })
}

function factsOf({ events }: Entry, until: number): readonly string[] {
  const facts: string[] = []
  for (const event of events) {
    if (event.t > until) break
    if (event.e === 'statement') {
      facts.push(
        `${visible(event.id)}  ${visible(event.kinds.join(', '))} (${visible(event.class)})`,
      )
      facts.push(verdictOf(event))
      if (event.textBase64 !== undefined) facts.push('its text was not UTF-8')
    } else if (event.e === 'complete') {
      const rows = `${event.rows} rows, ${event.bytes} bytes, ${took(event.durationUs / 1000)}`
      facts.push(`${event.outcome}: ${visible(event.tag ?? '-')}, ${rows}`)
    }
  }
  return facts
}

function rowLines(entry: Entry, until: number, width: number): readonly string[] {
  const lines: string[] = []
  for (const { columns, rows } of resultsOf(entry, until)) {
    lines.push('')
    const titles = columns.map((title, index) => ({
      title: short(title, 64),
      flexible: index === columns.length - 1,
    }))
    const cells = rows.map(cellTexts)
    for (const line of table(titles, cells, width)) lines.push(`${INDENT}${line}`)
  }
  return lines
}
