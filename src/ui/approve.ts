import { Box, type Key, Text, useInput } from 'ink'
import { createElement as h, type ReactElement } from 'react'
import type { Marks } from '../terminal.ts'
import { type ApproveKey, type ApproveState, unseen } from './approve-state.ts'

export type ApproveProps = {
  readonly state: ApproveState
  readonly marks: Marks
  readonly isColour: boolean
  readonly onKey: (key: ApproveKey) => void
}

/** What would run, whose it is, and the keys to decide. It shows what is in the state and nothing else. */
export function Approve({ state, marks, isColour, onKey }: ApproveProps): ReactElement {
  useInput((input, key) => {
    const name = nameOf(input, key)
    if (name !== undefined) onKey({ input: '', name })
    else if (!key.ctrl && !key.meta) onKey({ input })
  })
  const line = (text: string, key: string, colour?: 'red' | 'yellow'): ReactElement =>
    h(
      Text,
      { key, wrap: 'wrap', ...(isColour && colour !== undefined ? { color: colour } : {}) },
      text === '' ? ' ' : text,
    )
  const { facts, word } = state
  const { lines, top } = pageOf(state)
  const shown = lines.slice(top, top + state.page)
  return h(
    Box,
    { flexDirection: 'column' },
    line(state.title, 'title'),
    h(Text, { key: 'gap' }, ' '),
    h(
      Box,
      { key: 'body', flexDirection: 'column', paddingLeft: 4 },
      ...shown.map((text, index) => line(text, `sql ${index}`)),
    ),
    line(position(state), 'position', unseen(state) > 0 ? 'yellow' : undefined),
    ...facts.map((text, index) => line(`  ${text}`, `fact ${index}`)),
    ...(word === undefined ? [] : [line(`  ${marks.note} cannot be undone`, 'word', 'red')]),
    h(Text, { key: 'gap2' }, ' '),
    ...(state.isHelpShown ? HELP.map((text, index) => line(text, `help ${index}`)) : []),
    line(prompt(state), 'prompt'),
    line(state.note === undefined ? '' : `  ${marks.note} ${state.note}`, 'note', 'yellow'),
  )
}

/** What is in the window: the statement, or its plan. */
function pageOf({ mode, plan, lines, top }: ApproveState): {
  readonly lines: readonly string[]
  readonly top: number
} {
  if (mode.is !== 'plan') return { lines, top }
  return plan?.is === 'known'
    ? { lines: plan.lines, top: mode.top }
    : { lines: ['asking the database ...'], top: 0 }
}

const HELP = [
  '  a  approve, once, exactly this     d  deny, with a reason',
  '  space, b, arrows  all of it        c  a comment   x  its plan, without running it',
]

function position(state: ApproveState): string {
  const { page } = state
  const { lines, top } = pageOf(state)
  if (lines.length <= page) return ''
  const end = Math.min(top + page, lines.length)
  if (state.mode.is === 'plan') return `    plan, lines ${top + 1} to ${end} of ${lines.length}`
  const left = unseen(state)
  const more = left === 0 ? 'all of it was shown' : `${left} not shown yet: space`
  return `    lines ${top + 1} to ${end} of ${lines.length}, ${more}`
}

function prompt({ mode, word, id, comment }: ApproveState): string {
  switch (mode.is) {
    case 'reading': {
      const said = comment === '' ? '' : `\n  comment: ${comment}`
      return `  a approve once   d deny   x EXPLAIN   c comment   ? help   esc later${said}`
    }
    case 'plan':
      return '  EXPLAIN: nothing was run   space, b, arrows all of it   esc back'
    case 'comment':
      return `  comment: ${mode.typed}_   (enter, esc back)`
    case 'reason':
      return `  deny because: ${mode.typed}_   (enter denies, esc back)`
    case 'word':
      return `  type ${word} or ${id} to approve: ${mode.typed}_   (enter, esc back)`
    default:
      return mode satisfies never
  }
}

function nameOf(input: string, key: Key): ApproveKey['name'] {
  if (key.ctrl && input === 'c') return 'interrupt'
  if (key.return) return 'return'
  if (key.escape) return 'escape'
  if (key.backspace || key.delete) return 'backspace'
  if (key.upArrow) return 'up'
  return key.downArrow ? 'down' : undefined
}
