import type { TimeWindow } from '../config/index.ts'

const MINUTE = 60_000
const QUARTER = 15 * MINUTE
const DAY_MINUTES = 1440
const WEEK_MINUTES = 7 * DAY_MINUTES
/** 1970-01-01 was a Thursday: so many minutes after a Monday's midnight. */
const EPOCH_WEEK_MINUTE = 3 * DAY_MINUTES

/** One stretch of the week, in minutes from Monday's midnight; `to` is not part of it. */
type Stretch = { readonly from: number; readonly to: number }

/** From `from` up to but without `until` the answer is `holds`. */
type Known = { readonly from: number; readonly until: number; readonly holds: boolean }

/**
 * Windows of the week by one zone's clock on the wall.
 *
 * Invariant: the answer at an instant depends on that instant only. What is remembered between calls is where
 * it was last looked up, and until when that answer stands.
 */
export class Week {
  readonly #stretches: readonly Stretch[]
  readonly #edges: readonly number[]
  readonly #zone: Zone
  #known: Known = { from: 0, until: 0, holds: false }

  constructor(windows: readonly TimeWindow[], zone: string) {
    this.#zone = new Zone(zone)
    this.#stretches = windows.flatMap(stretchesOf)
    const edges = this.#stretches.flatMap(({ from, to }) => [from, to % WEEK_MINUTES])
    this.#edges = [...new Set(edges)].sort((a, b) => a - b)
  }

  /** Whether an instant is in one of the windows. */
  holds(at: number): boolean {
    return this.#knowing(at).holds
  }

  /** The first instant after `at` at which the answer may be another one. Infinity if there is none. */
  changesAfter(at: number): number {
    return this.#knowing(at).until
  }

  #knowing(at: number): Known {
    const { from, until } = this.#known
    if (at >= from && at < until) return this.#known
    const minute = this.#minuteOf(at)
    const holds = this.#stretches.some(({ from, to }) => minute >= from && minute < to)
    this.#known = { from: at, until: this.#nextEdge(at, minute), holds }
    return this.#known
  }

  #nextEdge(at: number, minute: number): number {
    if (this.#edges.length === 0) return Number.POSITIVE_INFINITY
    const edge = this.#edges.find(each => each > minute)
    const ahead = (edge ?? (this.#edges[0] ?? 0) + WEEK_MINUTES) - minute
    const next = (Math.floor(at / MINUTE) + ahead) * MINUTE
    return this.#zone.firstShift(at, next) ?? next
  }

  /** `14:02`, as the clock on the wall has it. */
  clockAt(at: number): string {
    const minute = this.#minuteOf(at) % DAY_MINUTES
    const two = (value: number) => String(value).padStart(2, '0')
    return `${two(Math.floor(minute / 60))}:${two(minute % 60)}`
  }

  #minuteOf(at: number): number {
    const local = Math.floor((at + this.#zone.offsetAt(at)) / MINUTE) + EPOCH_WEEK_MINUTE
    return ((local % WEEK_MINUTES) + WEEK_MINUTES) % WEEK_MINUTES
  }
}

/** A window that reaches into next week is cut at its midnight. */
function stretchesOf({ days, fromMinute, toMinute }: TimeWindow): Stretch[] {
  return days.flatMap(day => {
    const from = day * DAY_MINUTES + fromMinute
    const to = day * DAY_MINUTES + toMinute
    if (to <= WEEK_MINUTES) return [{ from, to }]
    return [
      { from, to: WEEK_MINUTES },
      { from: 0, to: to - WEEK_MINUTES },
    ]
  })
}

/** A time zone's distance from UTC. Units: milliseconds, positive in the east. */
class Zone {
  readonly #format: Intl.DateTimeFormat

  constructor(name: string) {
    this.#format = new Intl.DateTimeFormat('en', {
      timeZone: name,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  }

  /** Zones shift on a quarter of an hour. */
  offsetAt(at: number): number {
    return this.#lookUp(Math.floor(at / QUARTER) * QUARTER)
  }

  /** The first quarter in (from, to] with another offset than `from`, if the offset at `to` is another one. */
  firstShift(from: number, to: number): number | undefined {
    const before = this.offsetAt(from)
    if (this.offsetAt(to) === before) return undefined
    let same = Math.floor(from / QUARTER)
    let other = Math.floor(to / QUARTER)
    while (other - same > 1) {
      const middle = Math.floor((same + other) / 2)
      if (this.offsetAt(middle * QUARTER) === before) same = middle
      else other = middle
    }
    return other * QUARTER
  }

  #lookUp(at: number): number {
    const parts = new Map<string, number>()
    for (const { type, value } of this.#format.formatToParts(at)) parts.set(type, Number(value))
    const part = (type: string) => parts.get(type) ?? 0
    const local = Date.UTC(
      part('year'),
      part('month') - 1,
      part('day'),
      part('hour'),
      part('minute'),
      part('second'),
    )
    return local - at
  }
}
