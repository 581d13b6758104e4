import { type Entry, isSelected } from '../replay/index.ts'
import { markerBeside } from './player-timeline.ts'
import type { PlayerState } from './player-types.ts'

export const SPEEDS: readonly number[] = [0.5, 1, 2, 4, 8, 16]

/** The time of the session that is shown. */
export function timeOf({ timeline, position }: PlayerState): number {
  return timeline.timeAt(position)
}

/** True where the end of what there is has been reached, and more is waited for. */
export function isLive({ timeline, position, isFollowing }: PlayerState): boolean {
  return isFollowing && !timeline.story.isOver && position >= timeline.length
}

/** True for an entry that is shown under what was asked for and the keys pressed. */
export function isShown({ only, isMarkedOnly }: PlayerState, entry: Entry): boolean {
  return isSelected(entry, only) && (!isMarkedOnly || entry.mark !== undefined)
}

/** To a position, as far as there is anything. */
export function movedTo(state: PlayerState, wanted: number): PlayerState {
  const { timeline } = state
  const position = Math.max(0, Math.min(wanted, timeline.length))
  const begun = timeline.begunBy(timeline.timeAt(position))
  return { ...state, position, cursor: begun - 1 }
}

/** To an entry, as it was when it was over. */
function movedToEntry(state: PlayerState, entry: Entry, at: number): PlayerState {
  const { timeline } = state
  const position = timeline.positionOf(at)
  return { ...state, position, cursor: entry.index, isPlaying: false }
}

/** To the next statement, or the one before. */
export function stepped(state: PlayerState, way: 1 | -1): PlayerState {
  const { entries } = state.timeline.story
  for (let index = state.cursor + way; index >= 0 && index < entries.length; index += way) {
    const entry = entries[index]
    if (entry === undefined || !isShown(state, entry)) continue
    return movedToEntry(state, entry, Math.max(entry.at, entry.events.at(-1)?.t ?? 0))
  }
  return {
    ...state,
    isPlaying: false,
    note: way === 1 ? 'nothing after this' : 'nothing before this',
  }
}

/** To the next marker, or the one before. */
export function marked(state: PlayerState, way: 1 | -1): PlayerState {
  const { story } = state.timeline
  const marker = markerBeside(story.markers, { at: timeOf(state), entry: state.cursor }, way)
  const entry = marker === undefined ? undefined : story.entries[marker.entry]
  if (marker === undefined || entry === undefined) {
    return { ...state, note: way === 1 ? 'no marker after this' : 'no marker before this' }
  }
  const moved = movedToEntry(state, entry, marker.at)
  return { ...moved, isPlaying: state.isPlaying }
}

/** The next speed, or the one before. */
export function faster(state: PlayerState, way: 1 | -1): PlayerState {
  const next = way === 1 ? SPEEDS.find(each => each > state.speed) : undefined
  const lower = way === -1 ? SPEEDS.findLast(each => each < state.speed) : undefined
  return { ...state, speed: next ?? lower ?? state.speed }
}

/** To the next statement that has what is sought, or the one before. */
export function found(state: PlayerState, way: 1 | -1): PlayerState {
  const words = state.sought.toLowerCase()
  if (words === '') return { ...state, note: 'nothing to find yet: /' }
  const { entries } = state.timeline.story
  for (let index = state.cursor + way; index >= 0 && index < entries.length; index += way) {
    const entry = entries[index]
    if (entry === undefined || !isShown(state, entry)) continue
    if (!entry.sql.toLowerCase().includes(words)) continue
    return movedToEntry(state, entry, Math.max(entry.at, entry.events.at(-1)?.t ?? 0))
  }
  return { ...state, isPlaying: false, note: `not found ${way === 1 ? 'after' : 'before'} this` }
}
