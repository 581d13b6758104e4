import { clock, type Entry, type Line, linesOf, type Mark, titleOf, took } from '../replay/index.ts'
import { cutMiddle, type Marks, pad, textWidth } from '../terminal.ts'
import { isLive, isShown, timeOf } from './player-moves.ts'
import { bodyRows, detailRows } from './player-state.ts'
import type { PlayerState } from './player-types.ts'

/** One line of the screen, inert and no wider than it. */
export type PlayerLine = { readonly text: string; readonly tone: Line['tone'] }

const plain = (text: string): PlayerLine => ({ text, tone: 'plain' })
const faint = (text: string): PlayerLine => ({ text, tone: 'faint' })

/** The whole screen, line by line. */
export function playerLines(state: PlayerState, marks: Marks): readonly PlayerLine[] {
  const { mode } = state
  const head = [plain(titleLine(state, marks)), plain(timeLine(state, marks))]
  const lines = mode.is === 'detail' ? detail(state, mode) : [plain(''), ...body(state, marks)]
  return [...head, ...lines].map(({ text, tone }) => ({
    text: cutMiddle(text, state.size.columns),
    tone,
  }))
}

type Signs = {
  readonly play: string
  readonly pause: string
  readonly live: string
  readonly cursor: string
  readonly line: string
  readonly here: string
  readonly ends: readonly [string, string]
  readonly marks: Readonly<Record<Mark, string>>
}

const UNICODE: Signs = {
  play: '▶',
  pause: 'Ⅱ',
  live: '● live',
  cursor: '▶',
  line: '─',
  here: '┃',
  ends: ['├', '┤'],
  marks: { held: '◆', denied: '✗', approved: '✓', error: '!', masked: '●', write: '+' },
}
const ASCII: Signs = {
  play: '>',
  pause: '=',
  live: '* live',
  cursor: '>',
  line: '-',
  here: '|',
  ends: ['[', ']'],
  marks: { held: '#', denied: 'x', approved: 'v', error: '!', masked: '*', write: '+' },
}

function signsOf(marks: Marks): Signs {
  return marks.ok === '✓' ? UNICODE : ASCII
}

function titleLine(state: PlayerState, marks: Marks): string {
  const { timeline, speed, isPlaying, size } = state
  const signs = signsOf(marks)
  const sign = isLive(state) && isPlaying ? signs.live : isPlaying ? signs.play : signs.pause
  const right = `[${speed}x] ${sign} `
  const room = size.columns - textWidth(right) - 2
  return ` ${pad(cutMiddle(titleOf(timeline.story, marks), room), room)} ${right}`
}

/** Strongest last: it is what is drawn where several fall on one place. */
const STRENGTH: readonly Mark[] = ['write', 'masked', 'approved', 'error', 'held', 'denied']

function timeLine(state: PlayerState, marks: Marks): string {
  const { timeline, position, size } = state
  const { story } = timeline
  const signs = signsOf(marks)
  const now = clock(story.head.startedAt + timeOf(state), false)
  const idle = state.isPlaying ? timeline.idleAt(position) : undefined
  const pause = idle === undefined ? '' : `  ${marks.wait} ${took(idle)} idle`
  const right = `  ${now} / ${took(story.lastAt)}${pause}`
  const width = Math.max(10, size.columns - textWidth(right) - 4)
  const { length } = timeline
  const cellOf = (at: number): number =>
    length === 0 ? 0 : Math.min(width - 1, Math.floor((at / length) * width))
  const cells = new Array<Mark | undefined>(width).fill(undefined)
  for (const { at, mark } of story.markers) {
    const cell = cellOf(timeline.positionOf(at))
    const there = cells[cell]
    const isStronger = there === undefined || STRENGTH.indexOf(mark) > STRENGTH.indexOf(there)
    if (isStronger) cells[cell] = mark
  }
  const here = cellOf(position)
  const bar = cells.map((mark, index) => {
    if (index === here) return signs.here
    return mark === undefined ? signs.line : signs.marks[mark]
  })
  return ` ${signs.ends[0]}${bar.join('')}${signs.ends[1]}${right}`
}

function body(state: PlayerState, marks: Marks): readonly PlayerLine[] {
  const rows = bodyRows(state)
  const { mode } = state
  const shown = mode.is === 'help' ? HELP.map(plain).slice(0, rows) : storyLines(state, marks, rows)
  const filler = Array.from({ length: Math.max(0, rows - shown.length) }, () => plain(''))
  return [
    ...shown,
    ...filler,
    faint(legendOf(state, marks)),
    plain(promptOf(state, marks)),
    { text: state.note === undefined ? '' : ` ${marks.note} ${state.note}`, tone: 'waiting' },
  ]
}

const HELP = [
  '  space    play, pause           enter    all of a statement, and its rows',
  '  . ,      next, previous        ] [      next, previous marker',
  '  <- ->    10 s; shift: 10 %     0 to 9   0 to 90 %',
  '  < >      slower, faster        g G      start, end (live if followed)',
  '  /  n N   find in SQL, again    m        only what is marked',
  '  e        export from here on   x        why: the rule that decided',
  '  q        quit',
  '',
  '  Pauses longer than --idle-limit are shortened. What is shown is what the person was shown,',
  '  after masking. That you look at it is on record.',
]

function legendOf(state: PlayerState, marks: Marks): string {
  const signs = signsOf(marks).marks
  const names: readonly Mark[] = ['held', 'approved', 'denied', 'error', 'masked']
  const legend = names.map(name => `${signs[name]} ${name}`).join('  ')
  const filter = state.isMarkedOnly ? '  only marked' : ''
  return `   ${legend}${filter}   this replay is on record`
}

function promptOf({ mode }: PlayerState, marks: Marks): string {
  const arrows = marks.ok === '✓' ? '← →' : '<- ->'
  switch (mode.is) {
    case 'find':
      return ` find: ${mode.typed}_   (enter, esc back)`
    case 'export':
      return ` export from here to: ${mode.typed}_   (.cast .html .sql .txt .jsonl, esc back)`
    case 'help':
      return ' any key goes back'
    default:
      return ` space play  , . step  ${arrows} 10 s  [ ] mark  < > speed  / find  enter all  ? help`
  }
}

/** What fits of the story, so that the entry at the cursor is on the screen, as late as possible. */
function storyLines(state: PlayerState, marks: Marks, rows: number): readonly PlayerLine[] {
  const { timeline, cursor } = state
  const { entries } = timeline.story
  const time = timeOf(state)
  const begun = timeline.begunBy(time)
  const before: PlayerLine[][] = []
  let used = 0
  for (let index = Math.min(cursor, begun - 1); index >= 0 && used < rows; index -= 1) {
    const entry = entries[index]
    if (entry === undefined || !isShown(state, entry)) continue
    const lines = entryLines(state, entry, time, marks)
    before.unshift([...lines])
    used += lines.length
  }
  const shown = before.flat().slice(-rows)
  for (let index = cursor + 1; index < begun && shown.length < rows; index += 1) {
    const entry = entries[index]
    if (entry !== undefined && isShown(state, entry)) {
      shown.push(...entryLines(state, entry, time, marks))
    }
  }
  return shown.slice(0, rows)
}

const TIME_WIDTH = 12

function entryLines(
  state: PlayerState,
  entry: Entry,
  time: number,
  marks: Marks,
): readonly PlayerLine[] {
  const { timeline, size, cursor } = state
  const { startedAt } = timeline.story.head
  const signs = signsOf(marks)
  return linesOf(entry, time, marks).map(({ at, text, aside, tone }, index) => {
    const isCursor = index === 0 && entry.index === cursor
    const when = at === undefined ? '' : clock(startedAt + at, false)
    const left = pad(` ${isCursor ? signs.cursor : ' '} ${when}`, TIME_WIDTH)
    const right = aside === undefined ? '' : `  ${aside}`
    const room = Math.max(10, size.columns - TIME_WIDTH - textWidth(right) - 2)
    const middle = cutMiddle(text, room, marks.wait)
    return { text: `${left} ${right === '' ? middle : pad(middle, room)}${right}`, tone }
  })
}

function detail(
  state: PlayerState,
  { lines, top }: PlayerState['mode'] & { readonly is: 'detail' },
): readonly PlayerLine[] {
  const rows = detailRows(state)
  const shown = lines.slice(top, top + rows)
  const filler = Array.from({ length: Math.max(0, rows - shown.length) }, () => plain(''))
  const end = Math.min(top + rows, lines.length)
  const position = lines.length <= rows ? '' : `lines ${top + 1} to ${end} of ${lines.length}   `
  const note = state.note === undefined ? '' : `   ${state.note}`
  return [
    plain(''),
    ...shown.map(plain),
    ...filler,
    faint(` ${position}space b up down  . , next, previous   esc back${note}`),
  ]
}
