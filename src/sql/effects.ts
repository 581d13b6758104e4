import { Facts } from './facts.ts'
import { Findings } from './raw.ts'
import type { Statement } from './statement.ts'

const NOTHING_RAW = new Findings().raw('', '')

/** What has no effect. */
export const NOTHING: Statement = new Facts().finish(NOTHING_RAW, [])

/** The effect of something that is not understood. */
export function refused(what: string): Statement {
  const facts = new Facts()
  facts.refuse(what)
  return facts.finish(NOTHING_RAW, [])
}

/**
 * Functions calling functions, views over views: deeper or more than this is not followed, and so
 * refused.
 */
const MAX_DEPTH = 64
const MAX_STEPS = 5000

/**
 * Works out effects that are made of other effects, each once.
 *
 * What is met again while it is being worked out adds nothing: the outer one has it all. But an
 * inner result that left out an outer one is not whole, and so not kept.
 */
export class Effects {
  readonly #known = new Map<string, Statement>()
  readonly #open = new Set<string>()
  /** Open ones that were left out of something within them. */
  readonly #leftOut = new Set<string>()
  #steps = 0

  /** Returns the effect under a key; `note` says what it is when it is not known. */
  once(key: string, note: (facts: Facts) => void): Statement {
    const known = this.#known.get(key)
    if (known !== undefined) return known
    if (this.#open.has(key)) {
      this.#leftOut.add(key)
      return NOTHING
    }
    this.#steps += 1
    if (this.#open.size >= MAX_DEPTH || this.#steps > MAX_STEPS) return refused('too much code')
    this.#open.add(key)
    const facts = new Facts()
    try {
      note(facts)
    } finally {
      this.#open.delete(key)
      this.#leftOut.delete(key)
      if (this.#open.size === 0) this.#steps = 0
    }
    const effect = facts.finish(NOTHING_RAW, [])
    if (this.#leftOut.size === 0) this.#known.set(key, effect)
    return effect
  }
}
