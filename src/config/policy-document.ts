/** A policy as the program sees it: all files together, checked, complete with defaults, and immutable. */

import type { RowsEstimate } from './policy-conditions.ts'
import type { TimeWindow } from './policy-time.ts'
import type { CLASSES, DETECTORS, GRANTS, HAZARDS, NEEDS, WHERES } from './policy-words.ts'

export type May = (typeof NEEDS)[number]

/** Groups and users and the role they have on each target. `at` is where it stands, as `file:line`. */
export type PeopleEntry = {
  readonly groups?: readonly string[]
  readonly users?: readonly string[]
  readonly roles: Readonly<Record<string, string>>
  readonly mayRequest?: Readonly<Record<string, readonly string[]>>
  readonly at?: string
}

/** Whose approval something needs, each a group; of them `need` persons. */
export type ApproveTerms = {
  readonly by: readonly string[]
  readonly need: number
  readonly expiresMs: number
  readonly presence: 'step-up' | undefined
}

/** How roles can be had for a while. */
export type AccessEntry = {
  readonly grant: Readonly<Record<string, readonly string[]>>
  readonly reason: 'required' | 'optional'
  /** Asked for and approved; undefined where it can't be asked for. */
  readonly approve: (ApproveTerms & { readonly maxMs: number }) | undefined
  /** Who is told of a request. */
  readonly notify?: readonly string[]
  readonly breakGlass:
    | {
        readonly for: readonly string[]
        readonly maxMs: number
        readonly notify: readonly string[]
        readonly reviewWithinMs: number
      }
    | undefined
  readonly at: string
}

/** Keys that hold if all of them do; lists hold if one of their entries does. A key that is not there holds. */
export type Conditions = {
  readonly class?: readonly (typeof CLASSES)[number][]
  /** As `readKind` spells them: `DROP`, `DROP TABLE`, `COPY_PROGRAM`. */
  readonly kind?: readonly string[]
  readonly tables?: readonly string[]
  readonly functions?: readonly string[]
  readonly actingFunctions?: readonly string[]
  readonly settings?: readonly string[]
  readonly hazards?: readonly (typeof HAZARDS)[number][]
  readonly where?: readonly (typeof WHERES)[number][]
  readonly groups?: readonly string[]
  readonly users?: readonly string[]
  readonly grant?: readonly (typeof GRANTS)[number][]
  readonly via?: readonly string[]
  readonly application?: readonly string[]
  readonly environment?: readonly string[]
  readonly time?: {
    readonly is: 'inside' | 'outside'
    readonly windows: readonly TimeWindow[]
    readonly zone: string
  }
  readonly rowsEstimate?: RowsEstimate
  readonly inTransaction?: boolean
}

/** What a matching rule does. */
export type RuleEffect =
  | { readonly does: 'allow' | 'deny' }
  | {
      readonly does: 'approve'
      readonly approve: ApproveTerms
      readonly holdMs: number
      readonly notify: readonly string[]
      readonly inTransaction: 'wait' | 'fail'
    }

/** One rule: on these targets, when (`when` or one of `or`) and not one of `unless`. */
export type PolicyRule = {
  readonly name: string
  /** Names of targets; `*` is all of them. */
  readonly on: readonly string[]
  readonly when: Conditions
  readonly or: readonly Conditions[]
  readonly unless: readonly Conditions[]
  readonly effect: RuleEffect
  readonly say: string | undefined
  readonly next: string | undefined
  readonly at: string
}

/** What is shown instead of a value. `domain`: undefined is one of the column's own. */
export type MaskWord =
  | { readonly kind: 'redact' | 'nullify' | 'email' | 'year' }
  | { readonly kind: 'token'; readonly domain: string | undefined }
  | { readonly kind: 'keep'; readonly first: number; readonly last: number }

export type Detector = (typeof DETECTORS)[number]

type ApproveEffect = Extract<RuleEffect, { readonly does: 'approve' }>

/** Whether a masked column may decide about rows: not at all, compared for equality, in any way, or if a person agrees. */
export type FilterEffect = { readonly does: 'deny' | 'equality' | 'allow' } | ApproveEffect

/** One entry of `masks:`. What it leaves unsaid is undefined: what then holds depends on the mask. */
export type PolicyMask = {
  readonly on: readonly string[]
  /** Undefined means all. */
  readonly roles: readonly string[] | undefined
  readonly via: readonly string[] | undefined
  /** Groups that see the value. */
  readonly reveal: readonly string[]
  /** The most exact first: the first that fits a label counts. */
  readonly labels: readonly { readonly label: string; readonly mask: MaskWord }[]
  readonly columns: readonly string[]
  readonly values: readonly Detector[]
  /** Of `columns` and `values`. */
  readonly mask: MaskWord | undefined
  readonly filters: FilterEffect | undefined
  readonly writes: RuleEffect | undefined
  readonly derived: 'deny' | 'redact' | undefined
  readonly at: string
}

export type PolicyLimit = {
  readonly on: readonly string[]
  /** Undefined means all. */
  readonly roles: readonly string[] | undefined
  readonly rows: { readonly max: number; readonly over: 'error' | 'cut' } | undefined
  readonly timeMs: number | undefined
  readonly connections: number | undefined
  readonly statementsPerMinute: number | undefined
  readonly at: string
}

/** A word for the targets (or, where that makes sense, the environment) of one name; `*` is all. */
export type Setting<T> = { readonly on: string; readonly is: T; readonly at: string }

export type FunctionEntry = {
  /** `name` or `schema.name`. */
  readonly name: string
  readonly does: 'reads' | 'writes' | 'admin'
  readonly at: string
}

/** A case of `policy test`. Units: `time` is epoch milliseconds. */
export type PolicyTest = {
  readonly as: {
    readonly groups: readonly string[]
    readonly user: string | undefined
    readonly via: string | undefined
    readonly role: string | undefined
    /** How they have that role; undefined: by the policy. */
    readonly grant: 'request' | 'break-glass' | undefined
  }
  readonly on: string
  readonly time: number | undefined
  readonly expect: readonly {
    readonly sql: string
    readonly gives: 'allowed' | 'masked' | 'denied' | 'held'
    readonly rule: string | undefined
    /** Kinds of mask, or `shown`, by columns of the result. */
    readonly columns: Readonly<Record<string, string>> | undefined
    readonly rowsEstimate: number | undefined
    readonly inTransaction: boolean
    readonly at: string
  }[]
}

/** All policy files together. What is left out is empty. */
export type PolicyDocument = {
  readonly version: 1
  readonly roles: Readonly<Record<string, { readonly may: readonly May[] }>>
  readonly people: readonly PeopleEntry[]
  readonly access?: readonly AccessEntry[]
  readonly rules?: readonly PolicyRule[]
  readonly masks?: readonly PolicyMask[]
  readonly limits?: readonly PolicyLimit[]
  readonly functions?: readonly FunctionEntry[]
  /** By target or by environment. */
  readonly unknown?: readonly Setting<'deny' | 'hold'>[]
  /** By target. */
  readonly mode?: readonly Setting<'enforce' | 'observe'>[]
  readonly tests?: readonly PolicyTest[]
}
