/** Times and spans as people read them. Units: epoch ms and ms in, text out. */

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** The wall-clock time, with the date if it is not today. */
export function clockTime(at: number, now: number): string {
  const date = new Date(at)
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`
  const isToday = date.toDateString() === new Date(now).toDateString()
  return isToday
    ? time
    : `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`
}

/** How long something took, in its two largest units. */
export function span(ms: number): string {
  if (ms < MINUTE_MS) return `${Math.max(0, Math.round(ms / 1000))} s`
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} min`
  const hours = Math.floor((ms % DAY_MS) / HOUR_MS)
  if (ms < DAY_MS) return `${hours} h ${two(Math.floor((ms % HOUR_MS) / MINUTE_MS))} min`
  return `${Math.floor(ms / DAY_MS)} d ${hours} h`
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS }

/** Reads `30s`, `15m`, `24h`, `7d`; undefined for anything else. Units: ms. */
export function parseSpan(text: string): number | undefined {
  const match = /^(\d+)([smhd])$/.exec(text)
  const unit = UNITS[match?.[2] ?? '']
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit
}

/** Reads a span back from `now`, or a date and time; undefined for anything else. Units: epoch ms. */
export function parseMoment(text: string, now: number): number | undefined {
  const ago = parseSpan(text)
  if (ago !== undefined) return now - ago
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : at
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
