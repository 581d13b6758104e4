import { render } from 'ink'
import { createElement } from 'react'
import type { Marks } from '../terminal.ts'
import { List } from './list.ts'
import {
  initialList,
  type ListChoice,
  type ListItem,
  type ListKey,
  pressList,
} from './list-state.ts'

export type ShowListOptions = {
  readonly title: string
  readonly items: readonly ListItem[]
  readonly footer: string
  /** The one that is chosen at first; the last one if left out. */
  readonly cursor?: number
  readonly marks: Marks
  readonly stdin: NodeJS.ReadStream
  /** Drawn here, so that stdout stays for data. */
  readonly stderr: NodeJS.WriteStream
}

const DEFAULT_COLUMNS = 80
const DEFAULT_ROWS = 24

/** Shows a list until the person has chosen something to be done. */
export async function showList(options: ShowListOptions): Promise<ListChoice> {
  const { marks, stdin, stderr } = options
  const size = { columns: stderr.columns ?? DEFAULT_COLUMNS, rows: stderr.rows ?? DEFAULT_ROWS }
  let state = initialList({ ...options, size })
  const { promise, resolve } = Promise.withResolvers<ListChoice>()
  const onKey = (key: ListKey): void => {
    const pressed = pressList(state, key)
    state = pressed.state
    if (pressed.choice === undefined) screen.rerender(element())
    else resolve(pressed.choice)
  }
  const cursor = marks.ok === '✓' ? '▶' : '>'
  const element = () => createElement(List, { state, cursor, onKey })
  const screen = render(element(), {
    ...{ stdout: stderr, stderr, stdin },
    exitOnCtrlC: false,
    patchConsole: false,
    alternateScreen: true,
  })
  try {
    return await promise
  } finally {
    screen.unmount()
    await screen.waitUntilExit()
  }
}
