import type { Entry, Marker, Story } from '../replay/index.ts'

/**
 * A session's time and the player's, which has its long pauses shortened. Positions are the player's.
 * Units: ms, both from the start.
 */
export class Timeline {
  readonly story: Story
  readonly idleLimitMs: number
  readonly #positions: number[] = []

  constructor(story: Story, idleLimitMs: number) {
    this.story = story
    this.idleLimitMs = idleLimitMs
  }

  /** Where the last thing that happened stands. */
  get length(): number {
    return this.#grown().at(-1) ?? 0
  }

  /** When in the session a position is. Within a shortened pause its time passes faster. */
  timeAt(position: number): number {
    const positions = this.#grown()
    const { times } = this.story
    const after = firstAbove(positions, position, each => each)
    const before = after - 1
    const time = times[before] ?? 0
    const [next, nextPosition] = [times[after], positions[after]]
    const start = positions[before] ?? 0
    if (next === undefined || nextPosition === undefined || nextPosition === start) return time
    return time + ((position - start) / (nextPosition - start)) * (next - time)
  }

  /** Where a time of the session stands. */
  positionOf(time: number): number {
    const positions = this.#grown()
    const { times } = this.story
    const after = firstAbove(times, time, each => each)
    const before = after - 1
    const start = positions[before] ?? 0
    const [next, nextPosition] = [times[after], positions[after]]
    if (next === undefined || nextPosition === undefined) return start
    const began = times[before] ?? 0
    if (next === began) return start
    return start + ((time - began) / (next - began)) * (nextPosition - start)
  }

  /** The pause that a position is in, if it is one that was shortened. Units: ms of the session. */
  idleAt(position: number): number | undefined {
    const positions = this.#grown()
    const { times } = this.story
    const after = firstAbove(positions, position, each => each)
    const [from, to] = [times[after - 1], times[after]]
    if (from === undefined || to === undefined) return undefined
    return to - from > this.idleLimitMs ? to - from : undefined
  }

  /** How many entries have begun by then. */
  begunBy(time: number): number {
    return firstAbove(this.story.entries, time, (entry: Entry) => entry.at)
  }

  #grown(): readonly number[] {
    const { times } = this.story
    for (let index = this.#positions.length; index < times.length; index += 1) {
      const pause = (times[index] ?? 0) - (times[index - 1] ?? 0)
      this.#positions.push((this.#positions.at(-1) ?? 0) + Math.min(pause, this.idleLimitMs))
    }
    return this.#positions
  }
}

/** Going back from a place, one does not want to come to what is there already. */
const SAME_MS = 1_000

/** The marker after a place, or before it; a place is a time and an entry. */
export function markerBeside(
  markers: readonly Marker[],
  { at, entry }: { readonly at: number; readonly entry: number },
  way: 1 | -1,
): Marker | undefined {
  const isAfter = (marker: Marker): boolean =>
    marker.at > at || (marker.at === at && marker.entry > entry)
  const isBefore = (marker: Marker): boolean =>
    marker.at < at - SAME_MS || (marker.at <= at && marker.entry < entry)
  return way === 1 ? markers.find(isAfter) : markers.findLast(isBefore)
}

/** The index of the first value above a limit, in values that never go down. */
function firstAbove<T>(values: readonly T[], limit: number, of: (value: T) => number): number {
  let [low, high] = [0, values.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const value = values[middle]
    if (value !== undefined && of(value) <= limit) low = middle + 1
    else high = middle
  }
  return low
}
