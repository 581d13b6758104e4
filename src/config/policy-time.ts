/** Windows of the week, as a policy writes them: `Mon-Fri 07:00-19:00`. */

import { nearest } from './problems.ts'

/**
 * A window that comes back every week.
 *
 * Units: days count from 0 (Monday); minutes from the day's midnight by the clock on the wall. `toMinute` is
 * beyond 1440 where the window ends on the next day.
 */
export type TimeWindow = {
  readonly text: string
  readonly days: readonly number[]
  readonly fromMinute: number
  readonly toMinute: number
}

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
const DAY_MINUTES = 1440
const HOURS = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)$/

/** Reads a window; undefined for what is none. Without days it means every day, without hours the whole day. */
export function readTimeWindow(typed: string): TimeWindow | undefined {
  const text = typed.trim().replaceAll(/\s+/g, ' ')
  const parts = text.split(' ')
  const hours = parseHours(parts.at(-1) ?? '')
  const written = hours === undefined ? parts : parts.slice(0, -1)
  const days = written.length === 0 ? DAYS.map((_, day) => day) : parseDays(written.join(''))
  if (days === undefined) return undefined
  return { text, days, ...(hours ?? { fromMinute: 0, toMinute: DAY_MINUTES }) }
}

function parseHours(text: string): { fromMinute: number; toMinute: number } | undefined {
  const match = HOURS.exec(text)
  if (match === null) return undefined
  const [fromHour = 0, fromMinutes = 0, toHour = 0, toMinutes = 0] = match.slice(1).map(Number)
  const fromMinute = fromHour * 60 + fromMinutes
  const end = toHour * 60 + toMinutes
  if (end > DAY_MINUTES || end === fromMinute) return undefined
  return { fromMinute, toMinute: end > fromMinute ? end : end + DAY_MINUTES }
}

function parseDays(text: string): readonly number[] | undefined {
  const days = new Set<number>()
  for (const part of text.toLowerCase().split(',')) {
    const [first = '', last = first, ...more] = part.split('-')
    const from = DAYS.indexOf(first)
    const to = DAYS.indexOf(last)
    if (from < 0 || to < 0 || more.length > 0) return undefined
    for (let day = from; ; day = (day + 1) % DAYS.length) {
      days.add(day)
      if (day === to) break
    }
  }
  return [...days].sort((a, b) => a - b)
}

/** Whether this machine knows a time zone of that name. */
export function isTimeZone(name: string): boolean {
  try {
    return Intl.DateTimeFormat('en', { timeZone: name }) !== undefined
  } catch {
    return false
  }
}

/** The zone that was probably meant. */
export function nearestTimeZone(typed: string): string | undefined {
  return nearest(typed, Intl.supportedValuesOf('timeZone'))
}
