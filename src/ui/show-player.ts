import { render } from 'ink'
import { createElement } from 'react'
import type { RecordingEvent } from '../record/index.ts'
import type { Marks } from '../terminal.ts'
import { Player } from './player.ts'
import { isLive } from './player-moves.ts'
import {
  followPlayer,
  initialPlayer,
  pressPlayer,
  resizePlayer,
  tickPlayer,
} from './player-state.ts'
import type { PlayerKey, PlayerStart } from './player-types.ts'

export type ShowPlayerOptions = Omit<PlayerStart, 'size'> & {
  readonly marks: Marks
  readonly isColour: boolean
  readonly stdin: NodeJS.ReadStream
  /** Drawn here, so that stdout stays for data. */
  readonly stderr: NodeJS.WriteStream
  /** What still comes of the story; each is added to it here. */
  readonly more: AsyncIterable<RecordingEvent> | undefined
  /** Monotonic milliseconds. */
  readonly clock: () => number
  /** Writes the session from a time on to a file, and says what it did in one inert line. */
  readonly exportTo: (path: string, from: number) => Promise<string>
}

const TICK_MS = 100
const DEFAULT_COLUMNS = 80
const DEFAULT_ROWS = 24

/** Shows the player until the person leaves it; `interrupt` is ^C. Throws what `more` throws. */
export async function showPlayer(options: ShowPlayerOptions): Promise<'quit' | 'interrupt'> {
  const { marks, isColour, stdin, stderr, clock, story } = options
  const sizeOf = () => ({
    columns: stderr.columns ?? DEFAULT_COLUMNS,
    rows: stderr.rows ?? DEFAULT_ROWS,
  })
  let state = initialPlayer({ ...options, size: sizeOf() })
  const { promise, resolve, reject } = Promise.withResolvers<'quit' | 'interrupt'>()
  const change = (next: typeof state): void => {
    if (next === state) return
    state = next
    screen.rerender(element())
  }
  const say = (note: string): void => change({ ...state, note })
  const onKey = (key: PlayerKey): void => {
    const { state: next, effect } = pressPlayer(state, key)
    change(next)
    if (effect?.what === 'quit' || effect?.what === 'interrupt') resolve(effect.what)
    else if (effect?.what === 'export') {
      // A failed export is told and does not end the replay: nothing else was lost.
      options.exportTo(effect.path, effect.from).then(say, cause => say(messageOf(cause)))
    }
  }
  const element = () => createElement(Player, { state, marks, isColour, onKey })
  const screen = render(element(), {
    ...{ stdout: stderr, stderr, stdin },
    exitOnCtrlC: false,
    patchConsole: false,
    alternateScreen: true,
  })
  let last = clock()
  const timer = setInterval(() => {
    const now = clock()
    change(tickPlayer(state, now - last))
    last = now
  }, TICK_MS)
  const onResize = (): void => change(resizePlayer(state, sizeOf()))
  stderr.on('resize', onResize)
  const follow = async (): Promise<void> => {
    for await (const event of options.more ?? []) {
      const wasLive = isLive(state)
      story.add(event)
      change(followPlayer({ ...state }, wasLive))
    }
  }
  follow().catch(reject)
  try {
    return await promise
  } finally {
    clearInterval(timer)
    stderr.off('resize', onResize)
    screen.unmount()
    await screen.waitUntilExit()
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : 'the export failed'
}
