import { cutMiddle } from '../terminal.ts'
import { folded } from './folded.ts'

/** One line of a list: as it is listed, and whole. All of it inert; the lines of `details` may be long. */
export type ListItem = { readonly line: string; readonly details: readonly string[] }

/** A list to walk through on the screen. */
export type ListState = {
  readonly title: string
  readonly items: readonly ListItem[]
  readonly footer: string
  readonly size: { readonly columns: number; readonly rows: number }
  readonly cursor: number
  readonly top: number
  /** The lines of the one that is open, and the first that is shown. */
  readonly open: { readonly lines: readonly string[]; readonly top: number } | undefined
}

export type ListKey = {
  readonly input: string
  readonly name?: 'return' | 'escape' | 'up' | 'down' | 'page-up' | 'page-down' | 'interrupt'
}

/** What a key asks of whoever shows the list. */
export type ListChoice =
  | { readonly what: 'quit' | 'interrupt' }
  | { readonly what: 'replay'; readonly index: number }

/** Lines of the screen that are not the list. */
const OTHER_LINES = 5

/** The list as it comes up: the newest, which is last, is chosen. */
export function initialList(
  given: Pick<ListState, 'title' | 'items' | 'footer' | 'size'> & { readonly cursor?: number },
): ListState {
  const state = { ...given, cursor: 0, top: 0, open: undefined }
  return moved(state, given.cursor ?? given.items.length - 1)
}

/** How many lines fit. */
export function listRows({ size }: Pick<ListState, 'size'>): number {
  return Math.max(3, size.rows - OTHER_LINES)
}

/** The list after a key, and what the key asks for. Pure. */
export function pressList(
  state: ListState,
  { input, name }: ListKey,
): { readonly state: ListState; readonly choice?: ListChoice } {
  if (name === 'interrupt') return { state, choice: { what: 'interrupt' } }
  if (input === 'r') return { state, choice: { what: 'replay', index: state.cursor } }
  const page = listRows(state)
  const by = stepOf(name ?? input, page)
  if (state.open !== undefined) {
    const isLeft = name === 'return' || name === 'escape' || input === 'q'
    if (isLeft) return { state: { ...state, open: undefined } }
    const { lines, top } = state.open
    const last = Math.max(0, lines.length - page)
    const wanted = input === 'g' ? 0 : input === 'G' ? last : top + by
    return { state: { ...state, open: { lines, top: Math.max(0, Math.min(wanted, last)) } } }
  }
  if (name === 'return') return { state: opened(state) }
  if (name === 'escape' || input === 'q') return { state, choice: { what: 'quit' } }
  if (input === 'g') return { state: moved(state, 0) }
  if (input === 'G') return { state: moved(state, state.items.length - 1) }
  return { state: by === 0 ? state : moved(state, state.cursor + by) }
}

function stepOf(key: string, page: number): number {
  if (key === 'up' || key === 'k') return -1
  if (key === 'down' || key === 'j') return 1
  if (key === 'page-up' || key === 'b') return -page
  return key === 'page-down' || key === ' ' ? page : 0
}

function moved(state: ListState, wanted: number): ListState {
  const cursor = Math.max(0, Math.min(wanted, state.items.length - 1))
  const page = listRows(state)
  const top = Math.max(cursor - page + 1, Math.min(state.top, cursor), 0)
  return { ...state, cursor, top }
}

function opened(state: ListState): ListState {
  const details = state.items[state.cursor]?.details ?? []
  const width = Math.max(20, state.size.columns - 3)
  return { ...state, open: { lines: details.flatMap(line => folded(line, width)), top: 0 } }
}

/** The whole screen, line by line; `cursor` is the mark of the one that is chosen. */
export function listLines(state: ListState, cursor: string): readonly string[] {
  const { title, items, top, footer, size, open } = state
  const page = listRows(state)
  const shown =
    open === undefined
      ? items
          .slice(top, top + page)
          .map(({ line }, index) => `${index + top === state.cursor ? cursor : ' '} ${line}`)
      : open.lines.slice(open.top, open.top + page).map(line => `  ${line}`)
  const filler = Array.from({ length: Math.max(0, page - shown.length) }, () => '')
  const keys =
    open === undefined ? 'enter details  r replay  j k  q' : 'space b  r replay  esc back'
  const lines = [open === undefined ? `  ${title}` : '', ...shown, ...filler, '', `  ${footer}`]
  return [...lines, `  ${keys}`].map(line => cutMiddle(line, size.columns))
}
