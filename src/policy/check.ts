import type { Conditions } from '../config/index.ts'
import type { Principal } from '../identity/index.ts'
import type { Subject } from './subject.ts'

/** What a key goes by: what the statement does, who and where, or what the client says of itself. */
export type About = 'statement' | 'principal' | 'situation' | 'client'

/**
 * One key of a block of conditions. It is asked in one of two ways, which err to different sides.
 *
 * `finds`, under `when` and `or`: is anything in the statement on the list? What is not known counts as yes.
 * `covers`, under `unless`: is everything on it for sure? What is not known counts as no, and so does what a
 * client says of itself: nothing is taken away for that.
 */
export type Check = {
  readonly key: string
  readonly about: About
  readonly finds: (subject: Subject) => boolean
  readonly covers: (subject: Subject) => boolean
  /** Settles it for good, where it goes by who it is alone. */
  readonly isAbout?: (principal: Principal) => boolean
  /** The fact that it went by, for explanations: `class is ddl`. */
  readonly fact: (subject: Subject) => string
  /** What it looks for: `write`. Undefined where the fact says that too. */
  readonly wanted: string | undefined
  /** The first instant after `at` at which its answer may change by itself. */
  readonly changesAfter?: (at: number) => number
}

/** Makes the check of one key. */
export type Maker<K extends keyof Conditions> = (wanted: NonNullable<Conditions[K]>) => Check

/** A list for an explanation. */
export const listed = (words: readonly string[]): string => words.join(', ')

/** A list that may be empty. */
export const some = (words: readonly string[]): string =>
  words.length === 0 ? 'none' : listed(words)
