import type { Writable } from 'node:stream'
import { pad, type Terminal, textWidth, visible } from '../src/terminal.ts'
import type { ResultColumn, ResultSink } from '../src/tunnel/index.ts'

export type Format = 'table' | 'csv' | 'json'

/** Prints results while they arrive; `finish` ends the output, `abandon` ends it after an error. */
export type ResultPrinter = {
  readonly sink: ResultSink
  finish(): void
  abandon(): void
}

type Result = {
  readonly columns: readonly ResultColumn[]
  readonly rows: (readonly (string | null)[])[]
  tag: string
}

/** Rows that decide how wide the columns of a table are; later ones are cut to fit. */
const SAMPLE_ROWS = 500
/** int2, int4, int8, float4, float8, numeric, oid: right-aligned, as psql does. */
const NUMERIC_OIDS: ReadonlySet<number> = new Set([20, 21, 23, 26, 700, 701, 1700])

/** Makes the printer of a format. Rows are written as they come, save JSON, which is one document. */
export function resultPrinter(format: Format, terminal: Terminal, stdout: Writable): ResultPrinter {
  const printer = { table: tablePrinter, csv: csvPrinter, json: jsonPrinter }[format](terminal)
  const sink: ResultSink = {
    ...printer.sink,
    copied: bytes => terminal.raw(terminal.isOutTTY ? safeLines(bytes.toString('utf8')) : bytes),
    notice: fields => {
      const text = `${fields.get('S') ?? 'NOTICE'}: ${fields.get('M') ?? ''}`
      terminal.say(visible(text))
      const hint = fields.get('H')
      if (hint !== undefined) terminal.say(`  ${terminal.marks.next} ${visible(hint)}`)
    },
    resumed: resume => {
      stdout.once('drain', resume)
    },
  }
  return { ...printer, sink }
}

type Printer = {
  readonly sink: Pick<ResultSink, 'columns' | 'row' | 'complete'>
  finish(): void
  abandon(): void
}

function safeLines(text: string): string {
  return visible(text, { keepNewlines: true })
}

function csvPrinter(terminal: Terminal): Printer {
  const clean = terminal.isOutTTY ? visible : (text: string) => text
  const line = (cells: readonly (string | null)[]): boolean =>
    terminal.raw(`${cells.map(cell => csvCell(cell === null ? null : clean(cell))).join(',')}\n`)
  let hasRows = false
  return {
    sink: {
      columns: columns => {
        hasRows = true
        line(columns.map(column => column.name))
      },
      row: line,
      complete: tag => {
        // A statement without a result has nothing for stdout; that it ran is talk.
        if (!hasRows) terminal.say(visible(tag))
        hasRows = false
      },
    },
    finish: () => {},
    abandon: () => {},
  }
}

/** RFC 4180; NULL is an empty field, an empty text is "". As COPY … CSV writes it. */
function csvCell(cell: string | null): string {
  if (cell === null) return ''
  return cell === '' || /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
}

function jsonPrinter(terminal: Terminal): Printer {
  const results: Result[] = []
  let current: Result = { columns: [], rows: [], tag: '' }
  return {
    sink: {
      columns: columns => {
        current = { columns, rows: [], tag: '' }
      },
      row: values => {
        current.rows.push(values)
        return true
      },
      complete: tag => {
        results.push({ ...current, tag })
        current = { columns: [], rows: [], tag: '' }
      },
    },
    finish: () => {
      const data = results.map(({ columns, rows, tag }) => ({
        tag,
        columns: columns.map(({ name, typeOid }) => ({ name, type_oid: typeOid })),
        rows,
      }))
      terminal.out(JSON.stringify({ v: 1, ok: true, data }))
    },
    abandon: () => {},
  }
}

function tablePrinter(terminal: Terminal): Printer {
  let columns: readonly ResultColumn[] = []
  let sample: (readonly string[])[] = []
  let widths: readonly number[] | undefined
  const flush = (): boolean => {
    if (columns.length === 0 || widths !== undefined) return true
    const titles = columns.map(column => visible(column.name))
    widths = titles.map((title, index) =>
      Math.max(textWidth(title), ...sample.map(row => textWidth(row[index] ?? ''))),
    )
    terminal.raw(`${row(titles, 'left')}\n${terminal.paintOut.dim(rule())}\n`)
    return sample.map(cells => terminal.raw(`${row(cells)}\n`)).at(-1) ?? true
  }
  const row = (cells: readonly string[], align?: 'left'): string =>
    cells
      .map((cell, index) => {
        const isNumber = align === undefined && NUMERIC_OIDS.has(columns[index]?.typeOid ?? 0)
        return pad(cell, widths?.[index] ?? 0, isNumber ? 'right' : 'left')
      })
      .join('  ')
      .trimEnd()
  const rule = (): string => (widths ?? []).map(width => '-'.repeat(width)).join('  ')
  return {
    sink: {
      columns: given => {
        columns = given
        sample = []
        widths = undefined
      },
      row: values => {
        const cells = values.map(value => visible(value ?? 'NULL'))
        if (widths !== undefined) return terminal.raw(`${row(cells)}\n`)
        sample.push(cells)
        return sample.length < SAMPLE_ROWS || flush()
      },
      complete: tag => {
        flush()
        columns = []
        terminal.say(terminal.paint.dim(visible(tag)))
      },
    },
    finish: () => {},
    abandon: () => {
      flush()
    },
  }
}
