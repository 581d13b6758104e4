import { Box, type Key, Text, useInput } from 'ink'
import { createElement as h, type ReactElement } from 'react'
import type { Marks } from '../terminal.ts'
import { type PlayerLine, playerLines } from './player-lines.ts'
import type { PlayerKey, PlayerState } from './player-types.ts'

export type PlayerProps = {
  readonly state: PlayerState
  readonly marks: Marks
  readonly isColour: boolean
  readonly onKey: (key: PlayerKey) => void
}

const COLOURS = { bad: 'red', waiting: 'yellow' } as const

/** The screen of a session that is replayed. It shows what `playerLines` says and nothing else. */
export function Player({ state, marks, isColour, onKey }: PlayerProps): ReactElement {
  useInput((input, key) => {
    const name = nameOf(input, key)
    if (name !== undefined) onKey({ input: '', name, isShift: key.shift })
    else if (!key.ctrl && !key.meta) onKey({ input })
  })
  return h(
    Box,
    { flexDirection: 'column' },
    ...playerLines(state, marks).map((line, index) => lineElement(line, index, isColour)),
  )
}

function lineElement({ text, tone }: PlayerLine, key: number, isColour: boolean): ReactElement {
  const isFaint = isColour && tone === 'faint'
  const colour = isColour && (tone === 'bad' || tone === 'waiting') ? COLOURS[tone] : undefined
  return h(
    Text,
    {
      key,
      wrap: 'truncate-end',
      ...(isFaint ? { dimColor: true } : {}),
      ...(colour === undefined ? {} : { color: colour }),
    },
    text === '' ? ' ' : text,
  )
}

function nameOf(input: string, key: Key): PlayerKey['name'] {
  if (key.ctrl && input === 'c') return 'interrupt'
  if (key.return) return 'return'
  if (key.escape) return 'escape'
  if (key.backspace || key.delete) return 'backspace'
  if (key.upArrow) return 'up'
  if (key.downArrow) return 'down'
  if (key.leftArrow) return 'left'
  if (key.rightArrow) return 'right'
  if (key.pageUp) return 'page-up'
  return key.pageDown ? 'page-down' : undefined
}
