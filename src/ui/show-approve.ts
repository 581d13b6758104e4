import { render } from 'ink'
import { createElement } from 'react'
import type { Marks } from '../terminal.ts'
import { Approve } from './approve.ts'
import {
  type ApproveCard,
  type ApproveChoice,
  type ApproveKey,
  initialApprove,
  planned,
  pressApprove,
} from './approve-state.ts'

export type ShowApproveOptions = {
  readonly card: ApproveCard
  readonly marks: Marks
  readonly isColour: boolean
  readonly stdin: NodeJS.ReadStream
  /** Drawn here, so that stdout stays for the result. */
  readonly stderr: NodeJS.WriteStream
  readonly now: () => number
  /** Gets the plan in lines, or why there is none; never rejects. */
  readonly plan: () => Promise<readonly string[]>
}

const DEFAULT_COLUMNS = 80
const DEFAULT_ROWS = 24

/** Shows a request until the person has said what they want. Nothing is decided here. */
export async function showApprove(options: ShowApproveOptions): Promise<ApproveChoice> {
  const { card, marks, isColour, stdin, stderr, now } = options
  const size = { columns: stderr.columns ?? DEFAULT_COLUMNS, rows: stderr.rows ?? DEFAULT_ROWS }
  let state = initialApprove(card, size, now())
  const { promise, resolve } = Promise.withResolvers<ApproveChoice>()
  const onKey = (key: ApproveKey): void => {
    const pressed = pressApprove(state, key, now())
    state = pressed.state
    if (pressed.isPlanWanted === true) void options.plan().then(onPlan)
    if (pressed.choice === undefined) screen.rerender(element())
    else resolve(pressed.choice)
  }
  const onPlan = (lines: readonly string[]): void => {
    state = planned(state, lines)
    screen.rerender(element())
  }
  const element = () => createElement(Approve, { state, marks, isColour, onKey })
  const screen = render(element(), {
    stdout: stderr,
    stderr,
    stdin,
    exitOnCtrlC: false,
    patchConsole: false,
  })
  try {
    return await promise
  } finally {
    screen.unmount()
    await screen.waitUntilExit()
  }
}
