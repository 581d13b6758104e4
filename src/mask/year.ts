/**
 * A date's year as its first of January, in every format. What PostgreSQL would not print in DateStyle ISO is no
 * date for us: the answer is null, never a guess.
 */

/** Days from 0000-03-01 to 2000-01-01, PostgreSQL's day 0. */
const EPOCH_DAYS = 730_425
const DAYS_400_YEARS = 146_097
const DAY_US = 86_400_000_000n
/** PostgreSQL's first day is 4714-11-24 BC, so that this is the first year whose first of January it has. */
const FIRST_YEAR = -4712

const DATE = /^(\d{4,7})-(\d\d)-(\d\d)( BC)?$/
const TIMESTAMP =
  /^(\d{4,7})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.\d{1,6})?(?:([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?)?( BC)?$/

/** The first of January of a date as text, such as `2026-05-17` or `0044-03-15 BC`. */
export function yearOfDateText(text: string): string | null {
  const match = DATE.exec(text)
  if (match === null) return null
  return january(astronomical(match[1], match[4]), '')
}

/** Of a timestamp as text. With a zone it is the year in UTC, as in binary: an offset would tell the season. */
export function yearOfTimestampText(text: string, hasZone: boolean): string | null {
  const match = TIMESTAMP.exec(text)
  if (match === null || (match[7] !== undefined) !== hasZone) return null
  const year = astronomical(match[1], match[11])
  if (!hasZone) return january(year, ' 00:00:00')
  const [month, day, hour, minute, second] = match.slice(2, 7).map(Number)
  const offset = Number(match[8]) * 3600 + Number(match[9] ?? 0) * 60 + Number(match[10] ?? 0)
  const local = (hour ?? 0) * 3600 + (minute ?? 0) * 60 + (second ?? 0)
  const utc = match[7] === '-' ? local + offset : local - offset
  if (month === 1 && day === 1 && utc < 0) return january(year - 1, ' 00:00:00+00')
  if (month === 12 && day === 31 && utc >= 86_400) return january(year + 1, ' 00:00:00+00')
  return january(year, ' 00:00:00+00')
}

/** Of a date in binary: days since 2000-01-01. Null for infinity. */
export function yearOfDays(days: number): number | null {
  if (days === 0x7fffffff || days === -0x80000000) return null
  const year = yearOfDay(days)
  return year < FIRST_YEAR ? null : dayOfJanuary(year)
}

/** Of a timestamp in binary: microseconds since 2000-01-01. Null for infinity. */
export function yearOfMicroseconds(us: bigint): bigint | null {
  if (us === 0x7fffffffffffffffn || us === -0x8000000000000000n) return null
  let days = us / DAY_US
  if (us % DAY_US < 0n) days -= 1n
  const day = yearOfDays(Number(days))
  return day === null ? null : BigInt(day) * DAY_US
}

/** 1 BC is year 0, 2 BC is -1. */
function astronomical(digits: string | undefined, bc: string | undefined): number {
  const year = Number(digits)
  return bc === undefined ? year : 1 - year
}

function january(year: number, time: string): string | null {
  if (year < FIRST_YEAR) return null
  const [shown, era] = year > 0 ? [year, ''] : [1 - year, ' BC']
  return `${String(shown).padStart(4, '0')}-01-01${time}${era}`
}

/**
 * The year of a day, in the Gregorian calendar of all times.
 * Source: https://howardhinnant.github.io/date_algorithms.html#civil_from_days
 */
function yearOfDay(days: number): number {
  const shifted = days + EPOCH_DAYS
  const era = Math.floor(shifted / DAYS_400_YEARS)
  const ofEra = shifted - era * DAYS_400_YEARS
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) /
      365,
  )
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  // These years begin in March: the last 60 or so days belong to the next.
  return era * 400 + yearOfEra + (ofYear >= 306 ? 1 : 0)
}

function dayOfJanuary(year: number): number {
  const before = year - 1
  const era = Math.floor(before / 400)
  const yearOfEra = before - era * 400
  const ofEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + 306
  return era * DAYS_400_YEARS + ofEra - EPOCH_DAYS
}
