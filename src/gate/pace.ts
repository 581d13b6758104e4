const MINUTE_MS = 60_000

/**
 * How many statements somebody has sent of late: what was sent counts less and less, and nothing after a
 * minute. The limit is asked for each time, so that another policy is in force at once.
 *
 * Units: all times are monotonic milliseconds.
 */
export class Pace {
  #spent = 0
  #at = Number.NEGATIVE_INFINITY

  /** Counts `count` statements in and returns 0; or counts nothing and returns how long to wait, in milliseconds. */
  take(count: number, perMinute: number, now: number): number {
    const perMs = perMinute / MINUTE_MS
    const spent = Math.max(0, this.#spent - Math.max(0, now - this.#at) * perMs)
    const over = spent + count - perMinute
    // A float's error is no statement.
    if (over > 1e-6) return Math.max(1, Math.ceil(over / perMs - 1e-6))
    this.#spent = spent + count
    this.#at = now
    return 0
  }

  /** True once nothing counts any more. */
  isSpent(now: number): boolean {
    return now - this.#at > MINUTE_MS
  }
}

/** The paces of everybody who was here within the last minute: a new connection is no new allowance. */
export class Paces {
  readonly #paces = new Map<string, Pace>()

  /** The pace under a key. Whoever is handed it may keep it. */
  of(key: string): Pace {
    const known = this.#paces.get(key)
    if (known !== undefined) return known
    const pace = new Pace()
    this.#paces.set(key, pace)
    return pace
  }

  /** Forgets what counts for nothing and is not under a key that is in use. */
  forget(now: number, inUse: ReadonlySet<string>): void {
    for (const [key, pace] of this.#paces) {
      if (pace.isSpent(now) && !inUse.has(key)) this.#paces.delete(key)
    }
  }
}
