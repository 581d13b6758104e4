import { DbgateError } from '../errors.ts'
import type { Statement } from '../sql/index.ts'

export const STATEMENT_TIMEOUT = 'statement_timeout'

/** PostgreSQL's units of time, in milliseconds; none means milliseconds. */
const UNITS: Readonly<Record<string, number>> = {
  us: 0.001,
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/**
 * The milliseconds of a setting like `30s`, or undefined for what PostgreSQL might read otherwise.
 * Source: parse_int in src/backend/utils/misc/guc.c.
 */
export function settingMs(value: string): number | undefined {
  const found = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/.exec(value)
  const unit = found?.[2] || 'ms'
  const factor = Object.hasOwn(UNITS, unit) ? UNITS[unit] : undefined
  return found === null || factor === undefined ? undefined : Number(found[1]) * factor
}

/** True for a value of statement_timeout that keeps a limit: 0, and what is rounded to it, means none at all. */
export function keepsLimit(value: string, limitMs: number): boolean {
  const ms = settingMs(value)
  return ms !== undefined && ms >= 1 && ms <= limitMs
}

/** The statement_timeout of a session under a limit: the one it asked for, if that is no longer. */
export function timeoutUnder(limitMs: number, asked: string | undefined): string {
  return asked !== undefined && keepsLimit(asked, limitMs) ? asked : String(limitMs)
}

/** Why statements may not run that would lift the limit, or undefined. RESET goes back to what the gate has set. */
export function refuseLifting(
  statements: readonly Statement[],
  limitMs: number,
  target: string,
): DbgateError | undefined {
  for (const { settings, kinds } of statements) {
    for (const { name, value } of settings) {
      if (name !== STATEMENT_TIMEOUT) continue
      const isReset = value === undefined && kinds.every(kind => kind === 'SET' || kind === 'RESET')
      if (isReset || (value !== undefined && keepsLimit(value, limitMs))) continue
      return new DbgateError(
        'DENIED',
        `dbgate: denied, statement_timeout may be at most ${seconds(limitMs)} (limit on ${target}). Not run. Next: set it to a number of milliseconds from 1 to ${limitMs}.`,
      )
    }
  }
  return undefined
}

/** What a client gets whose statement took too long. */
export function tooSlow(limitMs: number, target: string): DbgateError {
  return new DbgateError(
    'TOO_SLOW',
    `dbgate: stopped after ${seconds(limitMs)} (limit on ${target}).`,
  )
}

function seconds(ms: number): string {
  return `${Number((ms / 1000).toFixed(3))} s`
}

export type StopwatchOptions = {
  /** Monotonic milliseconds. */
  readonly clock: () => number
  readonly limitMs: () => number | undefined
  /** How many statements the database may be busy with, one after the other, before it must have said something. */
  readonly underWay: () => number
  /** The database does not stop by itself. */
  readonly onOver: () => void
}

/** The database stops by itself at its statement_timeout; somebody may have changed that behind the gate's back. */
const GRACE_MS = 1000

/** How long the database has been busy, and a stop for when it does not keep to the time by itself. */
export class Stopwatch {
  readonly #options: StopwatchOptions
  #busySince: number | null = null
  #heardAt = 0
  #timer: NodeJS.Timeout | null = null
  #isStopped = false

  constructor(options: StopwatchOptions) {
    this.#options = options
  }

  /** Something was sent. */
  sent(): void {
    if (this.#busySince !== null) return
    this.#busySince = this.#options.clock()
    this.#heardAt = this.#busySince
    this.#isStopped = false
    this.#arm()
  }

  /** An answer to something came. */
  heard(): void {
    if (this.#busySince !== null) this.#heardAt = this.#options.clock()
  }

  /** Everything is answered. */
  rest(): void {
    this.#busySince = null
  }

  /** No statement is looked after any more. */
  stop(): void {
    this.rest()
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  /** True if the database has been busy for as long as a statement may take: what it stops now, it stops for that. */
  isOver(limitMs: number): boolean {
    return this.#busySince !== null && this.#options.clock() - this.#busySince >= limitMs
  }

  #arm(): void {
    const limitMs = this.#options.limitMs()
    if (limitMs === undefined || this.#timer !== null) return
    this.#timer = setTimeout(() => this.#look(), this.#leftMs(limitMs))
    this.#timer.unref()
  }

  /** Answers that came are held back by the database for a while, so each statement sent may need its time. */
  #leftMs(limitMs: number): number {
    const statements = Math.max(1, this.#options.underWay())
    const dueAt = this.#heardAt + limitMs * statements + GRACE_MS
    return Math.min(Math.max(1, dueAt - this.#options.clock()), 2 ** 31 - 1)
  }

  #look(): void {
    this.#timer = null
    const limitMs = this.#options.limitMs()
    if (this.#busySince === null || limitMs === undefined || this.#isStopped) return
    if (this.#leftMs(limitMs) > 1) {
      this.#arm()
      return
    }
    this.#isStopped = true
    this.#options.onOver()
  }
}
