import { visible } from '../terminal.ts'
import { detailLines, whyLines } from './player-detail.ts'
import { faster, found, isLive, marked, movedTo, stepped, timeOf } from './player-moves.ts'
import { Timeline } from './player-timeline.ts'
import type { PlayerKey, PlayerStart, PlayerState, Pressed } from './player-types.ts'

const JUMP_MS = 10_000
const LARGE_JUMP = 0.1
const MAX_TYPED = 300
/** Lines of the screen that are not the story: title, timeline, gaps, legend, keys, note. */
const OTHER_LINES = 8
const DETAIL_OTHER_LINES = 5

/** The player as it comes up. */
export function initialPlayer(start: PlayerStart): PlayerState {
  const { story, size, idleLimitMs, speed, isPaused, isFollowing, at, only, hasResults } = start
  const timeline = new Timeline(story, idleLimitMs)
  const state: PlayerState = {
    ...{ timeline, size, speed, isFollowing, only, hasResults },
    position: 0,
    isPlaying: !isPaused,
    cursor: -1,
    isMarkedOnly: false,
    mode: { is: 'playing' },
    sought: '',
    note: undefined,
  }
  if (at !== undefined) return movedTo(state, timeline.positionOf(at))
  return movedTo(state, isFollowing ? timeline.length : 0)
}

/** How many lines there are for the story. */
export function bodyRows({ size }: PlayerState): number {
  return Math.max(3, size.rows - OTHER_LINES)
}

/** The player after some time has passed. Units: ms of a wall clock. */
export function tickPlayer(state: PlayerState, passedMs: number): PlayerState {
  const { timeline, position, isPlaying, speed, isFollowing } = state
  const isOver = timeline.story.isOver
  if (!isPlaying) return state
  const end = timeline.length
  const next = Math.min(end, position + passedMs * speed)
  const moved = next === position && state.cursor >= 0 ? state : movedTo(state, next)
  if (next < end || (isFollowing && !isOver)) return moved
  const note = isOver ? 'the end' : 'this is all so far: the session still runs (--follow)'
  return { ...moved, isPlaying: false, note }
}

/** More of the story has come: who watched its end goes on watching its end. */
export function followPlayer(before: PlayerState, wasLive: boolean): PlayerState {
  return wasLive && before.isPlaying ? movedTo(before, before.timeline.length) : before
}

/** The player in a terminal of another size. */
export function resizePlayer(state: PlayerState, size: PlayerState['size']): PlayerState {
  if (state.mode.is !== 'detail') return { ...state, size }
  return openDetail({ ...state, size }, state.mode.of)
}

/** The player after a key, and what the key asks for. Pure. */
export function pressPlayer(before: PlayerState, key: PlayerKey): Pressed {
  const characters = [...key.input]
  if (characters.length < 2) return pressOne(before, key)
  // Who types fast is read in one piece.
  let pressed: Pressed = { state: before }
  for (const input of characters) {
    const isEnter = input === '\r' || input === '\n'
    pressed = pressOne(pressed.state, isEnter ? { input: '', name: 'return' } : { input })
    if (pressed.effect !== undefined) return pressed
  }
  return pressed
}

function pressOne(before: PlayerState, key: PlayerKey): Pressed {
  const state = { ...before, note: undefined }
  if (key.name === 'interrupt') return { state, effect: { what: 'interrupt' } }
  switch (state.mode.is) {
    case 'playing':
      return play(state, key)
    case 'help':
      return { state: { ...state, mode: { is: 'playing' } } }
    case 'detail':
      return { state: read(state, state.mode, key) }
    default:
      return type(state, state.mode, key)
  }
}

function play(state: PlayerState, key: PlayerKey): Pressed {
  const named = key.name === undefined ? undefined : playNamed(state, key)
  if (named !== undefined) return { state: named }
  const { input } = key
  const { timeline } = state
  if (/^[0-9]$/.test(input)) {
    return { state: movedTo(state, (timeline.length * Number(input)) / 10) }
  }
  switch (input) {
    case ' ':
      return { state: toggled(state) }
    case '.':
    case 'j':
      return { state: stepped(state, 1) }
    case ',':
    case 'k':
      return { state: stepped(state, -1) }
    case ']':
    case '[':
      return { state: marked(state, input === ']' ? 1 : -1) }
    case '>':
    case '<':
      return { state: faster(state, input === '>' ? 1 : -1) }
    case 'g':
      return { state: movedTo(state, 0) }
    case 'G':
      return { state: movedTo(state, timeline.length) }
    case 'm':
      return { state: { ...state, isMarkedOnly: !state.isMarkedOnly } }
    case 'n':
    case 'N':
      return { state: found(state, input === 'n' ? 1 : -1) }
    case '/':
      return { state: { ...state, isPlaying: false, mode: { is: 'find', typed: '' } } }
    case 'e': {
      const typed = `${timeline.story.head.session}.html`
      return { state: { ...state, isPlaying: false, mode: { is: 'export', typed } } }
    }
    case 'x':
      return { state: openDetail({ ...state, isPlaying: false }, 'why') }
    case '?':
      return { state: { ...state, mode: { is: 'help' } } }
    case 'q':
      return { state, effect: { what: 'quit' } }
    default:
      return { state }
  }
}

function playNamed(state: PlayerState, { name, isShift }: PlayerKey): PlayerState | undefined {
  const { timeline, position } = state
  const jump = isShift === true ? timeline.length * LARGE_JUMP : JUMP_MS
  switch (name) {
    case 'left':
      return movedTo(state, position - jump)
    case 'right':
      return movedTo(state, position + jump)
    case 'up':
      return stepped(state, -1)
    case 'down':
      return stepped(state, 1)
    case 'page-up':
      return movedTo(state, position - timeline.length * LARGE_JUMP)
    case 'page-down':
      return movedTo(state, position + timeline.length * LARGE_JUMP)
    case 'return':
      return openDetail({ ...state, isPlaying: false }, 'all')
    default:
      return undefined
  }
}

/** At the end, playing begins anew, unless there is more to come. */
function toggled(state: PlayerState): PlayerState {
  if (state.isPlaying) return { ...state, isPlaying: false }
  const isAtEnd = state.position >= state.timeline.length && !isLive(state)
  return { ...(isAtEnd ? movedTo(state, 0) : state), isPlaying: true }
}

function type(
  state: PlayerState,
  mode: PlayerState['mode'] & { readonly is: 'find' | 'export' },
  { name, input }: PlayerKey,
): Pressed {
  const { is, typed } = mode
  if (name === 'escape') return { state: { ...state, mode: { is: 'playing' } } }
  if (name === 'backspace') {
    return { state: { ...state, mode: { is, typed: [...typed].slice(0, -1).join('') } } }
  }
  const all = (typed + (name === undefined ? visible(input) : '')).slice(0, MAX_TYPED)
  if (name !== 'return') return { state: { ...state, mode: { is, typed: all } } }
  const done: PlayerState = { ...state, mode: { is: 'playing' } }
  if (all.trim() === '') return { state: done }
  if (is === 'find') return { state: found({ ...done, sought: all }, 1) }
  return { state: done, effect: { what: 'export', path: all.trim(), from: timeOf(state) } }
}

function openDetail(state: PlayerState, of: 'all' | 'why'): PlayerState {
  const entry = state.timeline.story.entries[state.cursor]
  if (entry === undefined) return { ...state, note: 'nothing has happened yet' }
  if (of === 'why' && entry.id === '') return { ...state, note: 'no rule decided this' }
  const until = timeOf(state)
  const { columns } = state.size
  const lines =
    of === 'why'
      ? whyLines(entry, until, columns)
      : detailLines(entry, until, state.hasResults, columns)
  return { ...state, mode: { is: 'detail', of, lines, top: 0 } }
}

/** How many lines of a detail fit. */
export function detailRows({ size }: PlayerState): number {
  return Math.max(3, size.rows - DETAIL_OTHER_LINES)
}

function read(
  state: PlayerState,
  { of, lines, top }: PlayerState['mode'] & { readonly is: 'detail' },
  { name, input }: PlayerKey,
): PlayerState {
  const page = detailRows(state)
  const last = Math.max(0, lines.length - page)
  const scrolled = (wanted: number): PlayerState => ({
    ...state,
    mode: { is: 'detail', of, lines, top: Math.max(0, Math.min(wanted, last)) },
  })
  if (name === 'up' || input === 'k') return scrolled(top - 1)
  if (name === 'down' || input === 'j') return scrolled(top + 1)
  if (name === 'page-up' || input === 'b') return scrolled(top - page)
  if (name === 'page-down' || input === ' ') return scrolled(top + page)
  if (input === 'g') return scrolled(0)
  if (input === 'G') return scrolled(last)
  if (input === '.' || input === ',') {
    const moved = stepped({ ...state, mode: { is: 'playing' } }, input === '.' ? 1 : -1)
    return { ...openDetail(moved, of), note: moved.note }
  }
  if (input === 'x') return openDetail(state, of === 'why' ? 'all' : 'why')
  const isLeft = name === 'escape' || name === 'return' || input === 'q'
  return isLeft ? { ...state, mode: { is: 'playing' } } : state
}
