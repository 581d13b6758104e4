import { Box, type Key, Text, useInput } from 'ink'
import { createElement as h, type ReactElement } from 'react'
import { type ListKey, type ListState, listLines } from './list-state.ts'

export type ListProps = {
  readonly state: ListState
  readonly cursor: string
  readonly onKey: (key: ListKey) => void
}

/** The screen of a list. It shows what `listLines` says and nothing else. */
export function List({ state, cursor, onKey }: ListProps): ReactElement {
  useInput((input, key) => {
    const name = nameOf(input, key)
    if (name !== undefined) onKey({ input: '', name })
    else if (!key.ctrl && !key.meta) for (const character of input) onKey({ input: character })
  })
  return h(
    Box,
    { flexDirection: 'column' },
    ...listLines(state, cursor).map((line, key) =>
      h(Text, { key, wrap: 'truncate-end' }, line === '' ? ' ' : line),
    ),
  )
}

function nameOf(input: string, key: Key): ListKey['name'] {
  if (key.ctrl && input === 'c') return 'interrupt'
  if (key.return) return 'return'
  if (key.escape) return 'escape'
  if (key.upArrow) return 'up'
  if (key.downArrow) return 'down'
  if (key.pageUp) return 'page-up'
  return key.pageDown ? 'page-down' : undefined
}
