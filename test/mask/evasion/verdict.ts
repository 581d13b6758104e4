import { fieldsOf, type RawFrame } from '../../helpers/raw.ts'
import type { Answer } from './attack.ts'
import type { Case } from './corpus.ts'
import { evidenceOf, rowsOf } from './evidence.ts'

/** How an attempt ended. `open`: something ran and nothing was said against it. */
export type Ending =
  | 'leaked'
  | 'masked'
  | 'refused'
  | 'held'
  | 'sanitised'
  | 'failed'
  | 'ended'
  | 'open'

export type Outcome = {
  readonly ending: Ending
  readonly lines: readonly string[]
  /** Around what leaked. */
  readonly leak: string | undefined
}

const TOKEN = /^dgt_/
/** Every value that the policy masks, in the form it is stored in. */
const SECRETS =
  /9(?:12-45-678|23-55-778|34-66-878|45-71-978|56-82-178|67-93-278|78-14-378|89-25-478)\d|(?<!\w)\w+\.\w+@secret-mail\.test|(?:4929|5454)(?:1111222233|4444555566|7777888899|1010101010|2020202020)\d\d|183111\.17|92222\.29|93333\.31|64444\.43|125555\.57|76666\.61|157777\.79|58888\.83|1981-02-03|1972-11-14|1990-07-25|1968-04-06|1985-12-17|1979-09-08|1993-03-19|1964-06-20/g

export function outcomeOf(one: Case, { frames, elapsedMs }: Answer): Outcome {
  const { lines, text } = evidenceOf(frames, elapsedMs)
  const leak = new RegExp(one.leaks, 's').exec(text) ?? secretIn(text, JSON.stringify(one))
  const ending = endingOf(frames)
  // How long a refusal takes tells of the machine only.
  const isTimed = one.leaks.startsWith('elapsed_ms') && ending === 'refused'
  const isLeak = one.check === undefined ? leak !== null && !isTimed : confirmsGuess(frames)
  return {
    ending: isLeak ? 'leaked' : ending,
    lines,
    leak: isLeak
      ? text.slice(Math.max(0, (leak?.index ?? 0) - 60), (leak?.index ?? 0) + 120)
      : undefined,
  }
}

/** A confidential value that the client did not bring along. */
function secretIn(text: string, brought: string): RegExpExecArray | null {
  const found = [...text.matchAll(SECRETS)].filter(([secret]) => !brought.includes(secret))
  return found[0] ?? null
}

/** Two rows have one token, and one of them holds what the client chose. */
function confirmsGuess(frames: readonly RawFrame[]): boolean {
  const [first, second] = rowsOf(frames).map(row => row.at(-1))
  return (
    first === second && typeof first === 'string' && (TOKEN.test(first) || /\d{3}-/.test(first))
  )
}

function endingOf(frames: readonly RawFrame[]): Ending {
  const errors = frames.filter(({ tag }) => tag === 'E').map(fieldsOf)
  const routines = errors.map(({ R }) => R ?? '')
  if (routines.some(R => R === 'dbgate:HOLD_EXPIRED' || R === 'dbgate:HELD')) return 'held'
  if (routines.some(R => R.startsWith('dbgate:') && R !== 'dbgate:sanitised')) return 'refused'
  if (routines.includes('dbgate:sanitised')) return 'sanitised'
  if (errors.length > 0) return 'failed'
  if (frames.at(-1)?.tag !== 'Z') return 'ended'
  return frames.some(({ tag }) => tag === 'D' || tag === 'd') ? 'masked' : 'open'
}
