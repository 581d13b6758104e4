import { Box, Text, useInput } from 'ink'
import { createElement as h, type ReactElement, type ReactNode } from 'react'
import type { Marks } from '../terminal.ts'
import { describeClients, type PanelLine, type PanelState } from './panel-state.ts'

export type PanelProps = {
  readonly state: PanelState
  readonly marks: Marks
  readonly isColour: boolean
  /** Called with the key: a letter, `?`, or `^C`. */
  readonly onKey: (key: string) => void
}

const TONES = { plain: undefined, bad: 'red', waiting: 'yellow' } as const

/** The live part below the lines that stay in the scrollback: how it goes, what happened, which keys there are. */
export function Panel({ state, marks, isColour, onKey }: PanelProps): ReactElement {
  useInput((input, key) => onKey(key.ctrl && input === 'c' ? '^C' : input))
  const paint = (text: string, colour: 'red' | 'yellow' | undefined, key?: string): ReactElement =>
    h(
      Text,
      {
        wrap: 'truncate-end',
        ...(key === undefined ? {} : { key }),
        ...(isColour && colour !== undefined ? { color: colour } : {}),
      },
      text,
    )
  return h(
    Box,
    { flexDirection: 'column', paddingLeft: 2, paddingTop: 1 },
    paint(
      `${state.target}  up ${upTime(state)}  ${describeClients(state.clients)}`,
      state.isProduction ? 'red' : undefined,
    ),
    linkLine(state, marks, paint),
    signInLine(state, marks, paint),
    ...state.lines.map((line, index) =>
      paint(lineText(line, marks), TONES[line.tone], `line ${index}`),
    ),
    ...(state.isHelpShown ? HELP.map(line => paint(line, undefined, line)) : []),
    h(
      Text,
      { dimColor: isColour, wrap: 'truncate-end' },
      state.note?.text ?? 'c copy URL   ? help   q quit',
    ),
  )
}

const HELP = [
  'c   copy the URL to the clipboard, where the terminal allows it',
  'q   close the tunnel; with clients connected, press it twice',
  'The port stays while the server restarts or the network is away.',
]

type PaintLine = (text: string, colour: 'red' | 'yellow' | undefined) => ReactElement

function linkLine(state: PanelState, marks: Marks, paint: PaintLine): ReactNode {
  if (state.link.is === 'up') return null
  const seconds = Math.max(0, Math.ceil((state.link.nextAt - state.now) / 1000))
  return paint(
    `${marks.wait} reconnecting (attempt ${state.link.attempt}, next in ${seconds} s)`,
    'yellow',
  )
}

function signInLine(state: PanelState, marks: Marks, paint: PaintLine): ReactNode {
  if (state.signIn.is === 'ended') {
    return paint(
      `${marks.note} sign-in ended; new connections are refused ${marks.next} dbgate login`,
      'yellow',
    )
  }
  return paint(`sign-in until ${clock(state.signIn.until)}, renews itself`, undefined)
}

function lineText(line: PanelLine, marks: Marks): string {
  const mark = line.tone === 'bad' ? marks.no : marks.dot
  return `${clock(line.at)}  ${mark} ${line.text}`
}

function upTime(state: PanelState): string {
  const seconds = Math.max(0, Math.floor((state.now - state.openedAt) / 1000))
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)]
  const tail = `${two(minutes)}:${two(seconds % 60)}`
  return hours === 0 ? tail : `${hours}:${tail}`
}

function clock(at: number): string {
  const date = new Date(at)
  return `${two(date.getHours())}:${two(date.getMinutes())}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
