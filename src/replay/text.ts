import { visible } from '../terminal.ts'

/*
 * Times, spans and foreign text as every telling of a session shows them.
 */

/** The wall-clock time: of this machine, or with `isUtc` the same on every one. Units: epoch ms. */
export function clock(at: number, isUtc: boolean): string {
  const date = new Date(at)
  const [hours, minutes, seconds] = isUtc
    ? [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()]
    : [date.getHours(), date.getMinutes(), date.getSeconds()]
  return [hours, minutes, seconds].map(part => String(part).padStart(2, '0')).join(':')
}

/** How long something took, as short as it can be said. Units: ms. */
export function took(ms: number): string {
  if (ms < 1) return '<1 ms'
  if (ms < 100) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`
  return `${Math.floor(ms / 3_600_000)} h ${Math.floor((ms % 3_600_000) / 60_000)} min`
}

/** More of a statement than anybody reads on one line. */
const MAX_GIST = 2_000

/** A statement on one line, made inert; a very long one loses its end. */
export function gist(sql: string): string {
  const head = sql.length > MAX_GIST ? `${sql.slice(0, MAX_GIST)}…` : sql
  return visible(head.replace(/\s+/g, ' ').trim())
}

/** Text on one line, made inert and no longer than `max` characters. */
export function short(text: string, max: number): string {
  return visible(text.length > max ? `${text.slice(0, max)}…` : text)
}

/** `1 row`, `20 rows`. */
export function count(n: number, one: string): string {
  return `${n} ${one}${n === 1 ? '' : 's'}`
}

/** What a terminal might obey or a reader be deceived by, in JSON text: it can only stand within strings there. */
const UNSAFE_IN_JSON =
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}\u00a0\u2000-\u200a\u202f\u205f\u3000\u1680]/gu

/** JSON on one line that means the same and is inert wherever it is shown. */
export function inertJson(value: unknown): string {
  return JSON.stringify(value).replace(UNSAFE_IN_JSON, character =>
    Array.from(
      { length: character.length },
      (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
    ).join(''),
  )
}
