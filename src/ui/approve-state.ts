import { textWidth, visible } from '../terminal.ts'

/**
 * What the approve screen shows. Foreign text in it has been made inert, and `lines` is the statement whole, broken
 * into lines that fit. Units: epoch ms.
 */
export type ApproveState = {
  readonly id: string
  readonly title: string
  readonly lines: readonly string[]
  readonly facts: readonly string[]
  /** What has to be typed before it is approved, where it cannot be undone: this or the id. */
  readonly word: string | undefined
  /** Columns that a line has. */
  readonly width: number
  readonly page: number
  readonly top: number
  /** How many lines have been on the screen, from the first. */
  readonly seen: number
  readonly shownAt: number
  readonly mode: Mode
  /** Undefined until it is asked for. */
  readonly plan: Plan | undefined
  readonly comment: string
  readonly note: string | undefined
  readonly isHelpShown: boolean
}

type Mode =
  | { readonly is: 'reading' }
  | { readonly is: 'plan'; readonly top: number }
  | { readonly is: Typing; readonly typed: string }

/** What the database would do, or why that is not known; `asked` is on its way. */
export type Plan =
  | { readonly is: 'asked' | 'unknowable' }
  | { readonly is: 'known'; readonly lines: readonly string[] }

type Typing = 'comment' | 'word' | 'reason'

/** What the person wants. */
export type ApproveChoice =
  | { readonly what: 'approve' | 'deny'; readonly comment: string | undefined }
  | { readonly what: 'later' }

/** A key: what was typed, or one that has a name. */
export type ApproveKey = {
  readonly input: string
  readonly name?: 'return' | 'escape' | 'backspace' | 'up' | 'down' | 'interrupt'
}

/** What is asked for, as text from anywhere; and how much room there is. */
export type ApproveCard = {
  readonly id: string
  readonly title: string
  readonly body: readonly string[]
  readonly facts: readonly string[]
  readonly word: string | undefined
  /** It is a statement, of which there may be a plan. */
  readonly hasPlan: boolean
}

/** Keys that were on their way before there was anything to read decide nothing. */
const DEAF_MS = 400
const MIN_PAGE = 3
/** Lines of the screen that are neither statement nor facts: title, frame, keys, note, help. */
const OTHER_LINES = 11
const INDENT = 4
const MAX_TYPED = 500

/** The screen as it comes up: the first page has been seen. */
export function initialApprove(
  card: ApproveCard,
  size: { readonly columns: number; readonly rows: number },
  now: number,
): ApproveState {
  const width = Math.max(20, size.columns - INDENT - 2)
  const folded = (texts: readonly string[]) => foldedTo(texts, width)
  const lines = folded(card.body)
  const facts = folded(card.facts)
  const page = Math.max(MIN_PAGE, size.rows - facts.length - OTHER_LINES)
  return {
    id: visible(card.id),
    title: visible(card.title),
    lines,
    facts,
    word: card.word === undefined ? undefined : visible(card.word),
    page,
    top: 0,
    seen: Math.min(page, lines.length),
    shownAt: now,
    width,
    mode: { is: 'reading' },
    plan: card.hasPlan ? undefined : { is: 'unknowable' },
    comment: '',
    note: undefined,
    isHelpShown: false,
  }
}

/** How many lines of the statement have not been on the screen yet. */
export function unseen({ lines, seen }: ApproveState): number {
  return lines.length - seen
}

/** The screen once the plan is there, or what is said in its stead: text from anywhere. */
export function planned(state: ApproveState, texts: readonly string[]): ApproveState {
  return { ...state, plan: { is: 'known', lines: foldedTo(texts, state.width) } }
}

function foldedTo(texts: readonly string[], width: number): readonly string[] {
  return texts.flatMap(text => broken(visible(text), width))
}

type Pressed = {
  readonly state: ApproveState
  readonly choice?: ApproveChoice
  /** The plan is wanted: `planned` takes it. */
  readonly isPlanWanted?: boolean
}

/** The screen after a key, and what the person wants by it, if that is clear now. Pure. */
export function pressApprove(state: ApproveState, key: ApproveKey, now: number): Pressed {
  if (key.name === 'interrupt') return { state, choice: { what: 'later' } }
  if (now - state.shownAt < DEAF_MS) return { state }
  const { mode } = state
  if (mode.is === 'reading') return read(state, key)
  return mode.is === 'plan'
    ? { state: readPlan(state, mode.top, key) }
    : type(state, mode.is, mode.typed, key)
}

function explain(state: ApproveState): Pressed {
  const { plan } = state
  if (plan?.is === 'unknowable') return { state: { ...state, note: 'a role has no plan' } }
  const shown: ApproveState = { ...state, mode: { is: 'plan', top: 0 } }
  if (plan !== undefined) return { state: shown }
  return { state: { ...shown, plan: { is: 'asked' } }, isPlanWanted: true }
}

/** Nothing is decided from here: what would run is not on the screen. */
function readPlan(state: ApproveState, top: number, { input, name }: ApproveKey): ApproveState {
  if (name === 'escape' || input === 'x') return { ...state, mode: { is: 'reading' } }
  const { page, plan } = state
  const last = Math.max(0, (plan?.is === 'known' ? plan.lines.length : 0) - page)
  const to = (wanted: number): ApproveState => ({
    ...state,
    mode: { is: 'plan', top: Math.max(0, Math.min(wanted, last)) },
  })
  if (name === 'up') return to(top - 1)
  if (name === 'down') return to(top + 1)
  if (input === ' ') return to(top + page)
  return input === 'b' ? to(top - page) : state
}

function read(before: ApproveState, { input, name }: ApproveKey): Pressed {
  const state = { ...before, note: undefined }
  if (name === 'escape') return { state, choice: { what: 'later' } }
  if (name === 'up') return { state: scrolled(state, state.top - 1) }
  if (name === 'down') return { state: scrolled(state, state.top + 1) }
  switch (input) {
    case ' ':
      return { state: scrolled(state, state.top + state.page) }
    case 'b':
      return { state: scrolled(state, state.top - state.page) }
    case '?':
      return { state: { ...state, isHelpShown: !state.isHelpShown } }
    case 'c':
      return { state: { ...state, mode: { is: 'comment', typed: state.comment } } }
    case 'd':
      return { state: { ...state, mode: { is: 'reason', typed: state.comment } } }
    case 'x':
      return explain(state)
    case 'a':
      return approve(state)
    default:
      return { state }
  }
}

function approve(state: ApproveState): Pressed {
  const left = unseen(state)
  if (left > 0) {
    const what = left === 1 ? '1 line' : `${left} lines`
    return { state: { ...state, note: `${what} not shown yet: space` } }
  }
  if (state.word === undefined) return { state, choice: approval(state) }
  return { state: { ...state, mode: { is: 'word', typed: '' } } }
}

function approval({ comment }: ApproveState): ApproveChoice {
  return { what: 'approve', comment: comment === '' ? undefined : comment }
}

function scrolled(state: ApproveState, wanted: number): ApproveState {
  const last = Math.max(0, state.lines.length - state.page)
  const top = Math.max(0, Math.min(wanted, last))
  const seen = Math.max(state.seen, Math.min(top + state.page, state.lines.length))
  return { ...state, top, seen }
}

function type(before: ApproveState, what: Typing, typed: string, key: ApproveKey): Pressed {
  const state = { ...before, note: undefined }
  const reading = { ...state, mode: { is: 'reading' } as const }
  switch (key.name) {
    case 'escape':
      return { state: reading }
    case 'backspace':
      return { state: { ...state, mode: { is: what, typed: [...typed].slice(0, -1).join('') } } }
    case 'return':
      return typedAll(reading, what, typed.trim())
    case 'up':
    case 'down':
      return { state }
    default: {
      // Who types fast may be read in one piece with the enter behind it.
      const [text = '', ...rest] = key.input.split(/[\r\n]/)
      const all = (typed + visible(text)).slice(0, MAX_TYPED)
      if (rest.length > 0) return typedAll(reading, what, all.trim())
      return { state: { ...state, mode: { is: what, typed: all } } }
    }
  }
}

function typedAll(state: ApproveState, what: Typing, typed: string): Pressed {
  if (what === 'comment') return { state: { ...state, comment: typed } }
  if (what === 'reason') {
    return typed === ''
      ? { state: { ...state, note: 'saying no needs a reason' } }
      : { state, choice: { what: 'deny', comment: typed } }
  }
  const isRight = typed === state.word || typed === state.id
  if (isRight) return { state, choice: approval(state) }
  return { state: { ...state, note: 'that is not what was asked for; nothing was approved' } }
}

/** Breaks inert text into lines of at most `width` columns, none of it left out. */
function broken(text: string, width: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  let used = 0
  for (const character of text) {
    const wide = textWidth(character)
    if (used + wide > width) {
      lines.push(line)
      line = ''
      used = 0
    }
    line += character
    used += wide
  }
  return [...lines, line]
}
