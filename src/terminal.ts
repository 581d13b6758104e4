/**
 * The one place that prints to a terminal, and the one place that makes foreign text safe to print.
 *
 * Rules of the voice:
 * - stdout is data, stderr is talk. A command's result goes to `out`, everything else to `say`.
 * - Foreign text (SQL, names, upstream errors, claims, anything a server or a database sent) passes through
 *   `visible` before it is put into a line. `out` and `say` print what they are given.
 * - Two colours mean something: red is production or refused, yellow is waiting. Everything is readable
 *   without them, so a mark and a word always stand beside the colour.
 * - 80 columns are always enough. A cell too long for its column loses its middle, never its end.
 */
import { Chalk } from 'chalk'

/** What a terminal needs to know of the process; handed in by `bin/` and tests. */
export type TerminalStreams = {
  readonly stdout: TerminalStream
  readonly stderr: TerminalStream
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The part of `process.stdout` that is used. `isTTY` is absent on pipes and files. */
export type TerminalStream = {
  readonly isTTY?: boolean
  readonly columns?: number
  write(chunk: string | Uint8Array): boolean
}

/** The marks and their plain-ASCII stand-ins for a terminal that is not UTF-8. */
const UNICODE_MARKS = { ok: '✓', no: '✗', wait: '…', next: '→', live: '●', dot: '·', note: '!' }
const ASCII_MARKS = { ok: 'ok', no: 'x', wait: '...', next: '->', live: '*', dot: '-', note: '!' }
const DEFAULT_COLUMNS = 80

export type Marks = Readonly<Record<keyof typeof UNICODE_MARKS, string>>
export type Paint = (text: string) => string
export type Palette = Readonly<Record<'red' | 'yellow' | 'green' | 'dim' | 'bold', Paint>>

/** Prints lines for a person or a program; holds what this terminal can show. */
export class Terminal {
  readonly marks: Marks
  /** Colours for stderr, where all talk goes. */
  readonly paint: Palette
  /** Colours for stdout, off when it is piped even if stderr is a terminal. */
  readonly paintOut: Palette
  readonly isOutTTY: boolean
  readonly isSayTTY: boolean
  readonly #streams: TerminalStreams

  constructor(streams: TerminalStreams, options: { readonly colour?: boolean } = {}) {
    this.#streams = streams
    this.isOutTTY = streams.stdout.isTTY === true
    this.isSayTTY = streams.stderr.isTTY === true
    this.marks = isUtf8(streams.env) ? UNICODE_MARKS : ASCII_MARKS
    const wanted = options.colour !== false
    this.paint = palette(wanted && hasColour(streams.env, this.isSayTTY))
    this.paintOut = palette(wanted && hasColour(streams.env, this.isOutTTY))
  }

  /** Width of the output in columns: the terminal's, or 80. */
  get columns(): number {
    return this.#streams.stdout.columns ?? this.#streams.stderr.columns ?? DEFAULT_COLUMNS
  }

  /** Prints one line of result on stdout. */
  out(line: string): void {
    this.#streams.stdout.write(`${line}\n`)
  }

  /** Prints one line of talk on stderr. */
  say(line: string): void {
    this.#streams.stderr.write(`${line}\n`)
  }

  /** Writes to stdout as is; false when the reader is slower than we are, see the stream's 'drain'. */
  raw(chunk: string | Uint8Array): boolean {
    return this.#streams.stdout.write(chunk)
  }
}

/**
 * Decides whether to colour: NO_COLOR (non-empty) wins, then FORCE_COLOR, then TERM=dumb, then the TTY.
 * Source: https://no-color.org and https://force-color.org
 */
export function hasColour(
  env: Readonly<Record<string, string | undefined>>,
  isTTY: boolean,
): boolean {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return false
  const forced = env.FORCE_COLOR
  if (forced !== undefined) return forced !== '0' && forced !== 'false'
  if (env.TERM === 'dumb') return false
  return isTTY
}

/**
 * True where a screen can be drawn: a terminal at both ends that obeys escape sequences, and no job. Ink draws
 * nothing where CI is set, so whoever would show a screen there gives lines instead.
 */
export function canDraw(
  env: Readonly<Record<string, string | undefined>>,
  streams: readonly { readonly isTTY?: boolean }[],
): boolean {
  const isSet = (name: string): boolean =>
    env[name] !== undefined && env[name] !== '0' && env[name] !== 'false'
  if (isSet('CI') || isSet('CONTINUOUS_INTEGRATION') || env.TERM === 'dumb') return false
  return streams.every(({ isTTY }) => isTTY === true)
}

/** True where the locale says UTF-8; the C locale of a bare container does not. */
function isUtf8(env: Readonly<Record<string, string | undefined>>): boolean {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG
  // Without any locale the terminal decides; today's are UTF-8, only an explicit C or POSIX says otherwise.
  if (locale === undefined || locale === '') return true
  return /utf-?8/i.test(locale)
}

function palette(isOn: boolean): Palette {
  const chalk = new Chalk({ level: isOn ? 1 : 0 })
  return {
    red: text => chalk.red(text),
    yellow: text => chalk.yellow(text),
    green: text => chalk.green(text),
    dim: text => chalk.dim(text),
    bold: text => chalk.bold(text),
  }
}

/**
 * What could change a terminal or deceive its reader: control characters, line and paragraph separators,
 * everything Unicode calls a format character (bidi controls, zero-width, tags) or default-ignorable
 * (variation selectors, Hangul fillers), and lone surrogates.
 */
const UNSAFE =
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}\u00a0\u2000-\u200a\u202f\u205f\u3000\u1680]/gu

const CONTROL_PICTURES = 0x2400
const DELETE = 0x7f
const DELETE_PICTURE = '\u2421'

/**
 * Makes foreign text inert: what is printed is what is there, and nothing of it is obeyed.
 *
 * Shape: C0 as control pictures (`␛`), C1 as `\x9b`, bidi, zero-width and exotic spaces as `<U+202E>`.
 * A newline stays one only with `keepNewlines`, for the box that shows a whole statement.
 */
export function visible(text: string, options: { readonly keepNewlines?: boolean } = {}): string {
  return text.replace(UNSAFE, character => {
    if (character === '\n' && options.keepNewlines === true) return character
    return picture(character.codePointAt(0) ?? 0)
  })
}

function picture(code: number): string {
  if (code < 0x20) return String.fromCodePoint(CONTROL_PICTURES + code)
  if (code === DELETE) return DELETE_PICTURE
  if (code < 0xa0) return `\\x${code.toString(16)}`
  return `<U+${code.toString(16).toUpperCase().padStart(4, '0')}>`
}

/** East Asian Wide and Fullwidth blocks plus emoji; what else is wide is rare in a database's answers. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1faff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u
const COMBINING = /\p{M}/u
const ASCII_ONLY = /^[\x20-\x7e]*$/
const SGR = /\u001b\[[0-9;]*m/g

/** Number of terminal columns a line of safe text takes. Colour sequences of ours count as nothing. */
export function textWidth(text: string): number {
  if (ASCII_ONLY.test(text)) return text.length
  let width = 0
  for (const character of text.replace(SGR, '')) width += characterWidth(character)
  return width
}

function characterWidth(character: string): number {
  if (COMBINING.test(character)) return 0
  return WIDE.test(character) ? 2 : 1
}

/** Shortens uncoloured text to `width` columns by replacing its middle with `…`. */
export function cutMiddle(text: string, width: number, ellipsis = '…'): string {
  if (textWidth(text) <= width) return text
  const room = width - textWidth(ellipsis)
  if (room <= 0) return takeColumns([...text], width).join('')
  const characters = [...text]
  const head = takeColumns(characters, Math.ceil(room / 2))
  const tail = takeColumns(characters.toReversed(), Math.floor(room / 2)).toReversed()
  return head.join('') + ellipsis + tail.join('')
}

function takeColumns(characters: readonly string[], width: number): readonly string[] {
  let used = 0
  let count = 0
  for (const character of characters) {
    used += characterWidth(character)
    if (used > width) break
    count += 1
  }
  return characters.slice(0, count)
}

/** Pads to `width` columns; text that is wider already stays as it is. */
export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const fill = ' '.repeat(Math.max(0, width - textWidth(text)))
  return align === 'left' ? text + fill : fill + text
}

export type Column = {
  readonly title: string
  readonly align?: 'left' | 'right'
  /** The column that gives way first when the line is too long; without one the last columns are dropped. */
  readonly flexible?: boolean
  /** Colours a cell after it was cut and padded. */
  readonly paint?: (text: string, row: number) => string
}

const GAP = '  '
const MIN_FLEXIBLE = 12

/**
 * Lays out rows of safe text in aligned columns no wider than `width`: the flexible column is cut in the
 * middle first, then columns are dropped from the right.
 */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
): readonly string[] {
  const natural = columns.map((column, index) =>
    Math.max(textWidth(column.title), ...rows.map(row => textWidth(row[index] ?? ''))),
  )
  const widths = fitWidths(columns, natural, width)
  const line = (cells: readonly string[], rowIndex: number) =>
    columns
      .slice(0, widths.length)
      .map((column, index) => {
        const cellWidth = widths[index] ?? 0
        const cell = pad(cutMiddle(cells[index] ?? '', cellWidth), cellWidth, column.align)
        const last = index === widths.length - 1 && column.align !== 'right'
        const trimmed = last ? cell.trimEnd() : cell
        return column.paint === undefined ? trimmed : column.paint(trimmed, rowIndex)
      })
      .join(GAP)
      .trimEnd()
  const titles = columns.some(column => column.title !== '') ? [line(titlesOf(columns), -1)] : []
  return [...titles, ...rows.map((row, index) => line(row, index))]
}

function titlesOf(columns: readonly Column[]): readonly string[] {
  return columns.map(column => column.title)
}

function fitWidths(
  columns: readonly Column[],
  natural: readonly number[],
  width: number,
): number[] {
  const widths = [...natural]
  const flexible = columns.findIndex(column => column.flexible === true)
  while (widths.length > 0) {
    const total = widths.reduce((sum, one) => sum + one, 0) + GAP.length * (widths.length - 1)
    const excess = total - width
    if (excess <= 0) return widths
    const elastic = flexible < widths.length ? (widths[flexible] ?? 0) : 0
    if (elastic - excess >= MIN_FLEXIBLE) {
      widths[flexible] = elastic - excess
      return widths
    }
    if (widths.length === 1) return [width]
    widths.pop()
  }
  return widths
}
