import { render } from 'ink'
import { createElement } from 'react'
import type { Marks } from '../terminal.ts'
import { Panel } from './panel.ts'
import { type PanelEvent, type PanelState, pressKey, reducePanel } from './panel-state.ts'

export type ShowOptions = {
  readonly initial: PanelState
  readonly url: string
  readonly marks: Marks
  readonly isColour: boolean
  readonly stdin: NodeJS.ReadStream
  /** Drawn here, so that stdout stays for data. */
  readonly stderr: NodeJS.WriteStream
  readonly now: () => number
}

/** The panel on the screen. */
export type ShownPanel = {
  tell(event: PanelEvent): void
  /** Resolves when the person asked to quit. */
  readonly quit: Promise<void>
  /** Takes the panel off the screen and gives the keyboard back. */
  close(): Promise<void>
}

const TICK_MS = 1_000

/** Shows the panel until it is closed. Ink and React are loaded with this module and with no other. */
export function showPanel(options: ShowOptions): ShownPanel {
  const { now, stderr } = options
  let state = options.initial
  let askedToQuit = (): void => {}
  const quit = new Promise<void>(resolve => {
    askedToQuit = resolve
  })
  const onKey = (key: string): void => {
    const pressed = pressKey(state, key, now())
    state = pressed.state
    if (pressed.effect === 'copy-url') {
      stderr.write(copySequence(options.url))
      tell({ type: 'note', text: 'URL copied, if this terminal allows it' })
    } else if (pressed.effect === 'quit') askedToQuit()
    else draw()
  }
  const element = () =>
    createElement(Panel, { state, marks: options.marks, isColour: options.isColour, onKey })
  const screen = render(element(), {
    stdout: stderr,
    stderr,
    stdin: options.stdin,
    exitOnCtrlC: false,
    patchConsole: false,
  })
  const draw = (): void => screen.rerender(element())
  const tell = (event: PanelEvent): void => {
    state = reducePanel(state, event, now())
    draw()
  }
  const timer = setInterval(() => tell({ type: 'tick' }), TICK_MS)
  return {
    tell,
    quit,
    close: async () => {
      clearInterval(timer)
      screen.unmount()
      await screen.waitUntilExit()
    },
  }
}

/** OSC 52: asks the terminal to put text on the clipboard. Only ever our own URL. */
function copySequence(text: string): string {
  return `\u001b]52;c;${Buffer.from(text, 'utf8').toString('base64')}\u0007`
}
