import type { Selection, Story } from '../replay/index.ts'
import type { Timeline } from './player-timeline.ts'

/**
 * What the player shows. The story grows beneath it while a session is followed; all else changes only in the
 * functions here. Units: `position` is ms of the player, see `Timeline`.
 */
export type PlayerState = {
  readonly timeline: Timeline
  readonly size: { readonly columns: number; readonly rows: number }
  readonly position: number
  readonly speed: number
  readonly isPlaying: boolean
  /** More may come: the session runs and is being followed. */
  readonly isFollowing: boolean
  /** The entry that keys are about: the last one that has begun, or one that was gone to. -1: none yet. */
  readonly cursor: number
  readonly only: readonly Selection[]
  readonly isMarkedOnly: boolean
  readonly hasResults: boolean
  readonly mode:
    | { readonly is: 'playing' | 'help' }
    | { readonly is: 'find' | 'export'; readonly typed: string }
    | {
        readonly is: 'detail'
        /** All that is on record of it, or why it was let through or not. */
        readonly of: 'all' | 'why'
        readonly lines: readonly string[]
        readonly top: number
      }
  readonly sought: string
  readonly note: string | undefined
}

export type PlayerKey = {
  readonly input: string
  readonly isShift?: boolean
  readonly name?:
    | 'return'
    | 'escape'
    | 'backspace'
    | 'up'
    | 'down'
    | 'left'
    | 'right'
    | 'page-up'
    | 'page-down'
    | 'interrupt'
}

/** What a key asks of whoever shows the player. `from` is ms of the session. */
export type PlayerEffect =
  | { readonly what: 'quit' | 'interrupt' }
  | { readonly what: 'export'; readonly path: string; readonly from: number }

/** The player after a key, and what the key asks for. */
export type Pressed = { readonly state: PlayerState; readonly effect?: PlayerEffect }

/** How the player begins. `at` is a time of the session; undefined is its start, or its end if followed. */
export type PlayerStart = {
  readonly story: Story
  readonly size: PlayerState['size']
  readonly idleLimitMs: number
  readonly speed: number
  readonly isPaused: boolean
  readonly isFollowing: boolean
  readonly at: number | undefined
  readonly only: readonly Selection[]
  readonly hasResults: boolean
}
