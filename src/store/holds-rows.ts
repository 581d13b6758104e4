/*
 * What a person is asked to decide: a held statement, or somebody's wish for a role. Plain values, kept as JSON.
 * Units: times are epoch milliseconds by the server's clock.
 */

/** Somebody, as their token named them. Whom an admin names by `user` alone has empty `issuer` and `subject`. */
export type Person = {
  readonly issuer: string
  readonly subject: string
  readonly user: string
  readonly name: string
}

/** What deciding takes: for each requirement, `need` persons of the groups `by`. The rest is for people to read. */
export type Terms = {
  readonly requirements: readonly {
    readonly rule: string
    readonly by: readonly string[]
    readonly need: number
  }[]
  readonly by: readonly string[]
  readonly need: number
  /** How long it stays open, and then how long the approval lives. */
  readonly expiresMs: number
  readonly presence: 'step-up' | undefined
}

/** One person's word. `groups` are all of theirs at that moment. */
export type Vote = {
  readonly by: Person
  readonly groups: readonly string[]
  readonly vote: 'approve' | 'deny'
  readonly at: number
  readonly comment: string | undefined
  /** They had signed in afresh for it. */
  readonly presence: boolean
}

/**
 * - `open` waits for a decision, `approved` for its one use, or gives a role until it ends
 * - `used` ran, or is about to; `ended` before its time, by somebody
 * - `denied`, `expired`; `withdrawn` by who asked; `abandoned`: the client left before it was decided
 */
export type RequestState =
  | 'open'
  | 'approved'
  | 'used'
  | 'denied'
  | 'expired'
  | 'withdrawn'
  | 'abandoned'
  | 'ended'

/** Who did something, as `user`; undefined where it was time, the policy or the server. */
export type Mark = {
  readonly at: number
  readonly by: string | undefined
  readonly why: string | undefined
}

type Common = {
  readonly id: string
  readonly state: RequestState
  readonly requester: Person
  /** The tool they came with, in its own words. */
  readonly agent: string
  readonly target: string
  readonly role: string
  readonly rule: string
  readonly reason: string | undefined
  readonly terms: Terms
  /** The version of the policy that it was last judged under. */
  readonly policy: string
  readonly notify: readonly string[]
  readonly votes: readonly Vote[]
  readonly filedAt: number
  /** Of what it is in: of the wait for a decision, of the approval, of the role given. */
  readonly expiresAt: number
  readonly decided: Mark | undefined
  /** Why nothing more can happen to it. */
  readonly finished: Mark | undefined
}

/** A bound value as it is shown to people; see `RecordedParameter` of the audit log. */
export type ShownParameter =
  | string
  | null
  | { readonly base64: string }
  | { readonly bytes: number; readonly sha256: string }

/** Exactly what would run. Digests stand for what is compared, the rest is what approvers see. */
export type HeldStatement = {
  readonly session: string
  readonly database: string
  readonly application: string
  readonly text: string
  /** The bytes as sent, where `text` could not be decoded without loss. */
  readonly textBase64: string | undefined
  readonly parameters: readonly ShownParameter[]
  readonly parameterDigests: readonly string[]
  /** What else changes the meaning of the text, such as search_path. */
  readonly scope: Readonly<Record<string, string>>
  readonly statements: readonly {
    readonly kind: string
    readonly class: string
    readonly relations: readonly {
      readonly schema: string | undefined
      readonly name: string
      readonly access: string
    }[]
  }[]
  readonly inTransaction: boolean
  /** The planner's guess. */
  readonly rowsEstimate: number | undefined
}

/** How an approved statement ended. */
export type Ran = {
  readonly outcome: string
  readonly tag: string | undefined
  readonly rows: number
  readonly durationMs: number
}

/** The one use of an approval. `number` counts uses that were given back as well. */
export type Use = {
  readonly number: number
  readonly session: string
  readonly statement: string | undefined
  readonly at: number
  readonly ran: Ran | undefined
}

/** A statement that waits for a person. */
export type Hold = Common & {
  readonly kind: 'statement'
  /** 64 hex digits: what the approval covers. */
  readonly binding: string
  /** Of the requester when it was filed: rules go by them. Missing from what an older version filed. */
  readonly groups?: readonly string[]
  readonly statement: HeldStatement
  /** Clients that wait for it on their line, and whether one of them was told to come back. */
  readonly line: number
  readonly isLetGo: boolean
  readonly uses: number
  readonly use: Use | undefined
}

/** A wish for a role, or, once approved, the grant of it until `expiresAt`. */
export type AccessRequest = Common & {
  readonly kind: 'access'
  readonly forMs: number
  readonly ticket: string | undefined
  /** How the role was had. */
  readonly from: 'request' | 'break-glass' | 'admin'
  /** Of break-glass: until when one of `terms.by` has to look at it, and what they said. */
  readonly review:
    | {
        readonly until: number
        readonly done:
          | { readonly by: Person; readonly at: number; readonly comment: string }
          | undefined
      }
    | undefined
}

export type ApprovalRequest = Hold | AccessRequest

/** Which requests are listed: all that fit, newest first. */
export type RequestFilter = {
  readonly states?: readonly RequestState[]
  readonly kind?: ApprovalRequest['kind']
  readonly requester?: Pick<Person, 'issuer' | 'subject'>
  readonly target?: string
  readonly limit?: number
}
