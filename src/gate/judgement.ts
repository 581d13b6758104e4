import type { Analysis, Catalog, Scope } from '../sql/index.ts'
import type { RecordedText } from './text.ts'

/** A text and what it does. What is decided about it is asked each time anew: grants change. */
export type Judgement = {
  /** The bytes as sent. Ownership: a copy. */
  readonly bytes: Buffer
  /** The catalog it was analysed with; undefined for a role that the schema makes no difference to. */
  readonly catalog: Catalog | undefined
  readonly recorded: RecordedText
  readonly analysis: Analysis
  /** The session's names it was analysed with. */
  readonly scope: Scope
  /** Where it is not known which of several it is: all it may be; else empty. */
  readonly either: readonly Judgement[]
}
