import type { WhereStrength } from './where.ts'

/** What a role's `may` must hold. The order of NEEDS is the order of strength. */
export type Need = 'read' | 'write' | 'ddl' | 'admin'

export const NEEDS: readonly Need[] = ['read', 'write', 'ddl', 'admin']

/** The strongest effect; `session` and `transaction` statements need nothing. */
export type StatementClass = Need | 'session' | 'transaction'

/**
 * How a statement uses a relation. `schema`: its definition is created, changed or dropped. `lock`:
 * it is locked beyond what reading takes. A relation written and read appears once for each.
 */
export type Access = 'read' | 'write' | 'schema' | 'lock'

/** A relation as the text names it; `schema` is undefined where the search path decides. */
export type Relation = {
  readonly schema: string | undefined
  readonly name: string
  readonly access: Access
}

/**
 * `local` settings end with the transaction. `value` is undefined for RESET, DEFAULT and what isn't
 * a literal.
 */
export type Setting = {
  readonly name: string
  readonly value: string | undefined
  readonly local: boolean
}

/**
 * Why a statement is more than its needs say; a closed list, each a reason to refuse that a policy
 * can name.
 *
 * - `files` server files; `program` a program on the server; `code` code the gate can't read (DO, plpgsql with EXECUTE)
 * - `roles` who may do what, or who one is; `settings` settings that change meaning, security or other sessions
 * - `server` the server or other sessions; `replication`; `extension`; `network` connections out of the database
 * - `sleep` holds a connection on purpose; `advisory-lock` outlives the statement and can block others
 * - `sequence` sets a sequence; `large-object` writes one; `unknown` a node or name that is not understood
 */
export type Hazard =
  | 'files'
  | 'program'
  | 'code'
  | 'roles'
  | 'settings'
  | 'server'
  | 'replication'
  | 'extension'
  | 'network'
  | 'sleep'
  | 'advisory-lock'
  | 'sequence'
  | 'large-object'
  | 'unknown'

/** What a transaction statement does to the transaction. */
export type TransactionStep =
  | 'begin'
  | 'commit'
  | 'rollback'
  | 'savepoint'
  | 'release'
  | 'rollback-to'
  | 'prepare'
  | 'commit-prepared'
  | 'rollback-prepared'

/**
 * What a statement does to the names of its session; see scope.ts. `name: undefined` means all of
 * them.
 */
export type ScopeStep =
  | { readonly step: 'prepare'; readonly name: string; readonly statement: Statement }
  | { readonly step: 'deallocate'; readonly name: string | undefined }
  | {
      readonly step: 'declare'
      readonly name: string
      readonly hold: boolean
      readonly statement: Statement
    }
  | { readonly step: 'close'; readonly name: string | undefined }
  /** A temporary table with these columns and nothing that runs by itself. */
  | { readonly step: 'temporary'; readonly name: string; readonly columns: readonly string[] }
  | { readonly step: 'discard'; readonly what: 'all' | 'plans' | 'sequences' | 'temp' }

/**
 * One SQL statement after analysis. Shared between sessions that sent the same text: never changed
 * after it is made.
 */
export type Statement = {
  /** Its own slice of the text, without outer white space and the semicolon. */
  readonly text: string
  /** What the statement is at its top; one of KINDS. */
  readonly kind: string
  readonly class: StatementClass
  /**
   * What a role must hold, weakest first; empty for harmless session and transaction statements.
   */
  readonly needs: readonly Need[]
  /** Every kind found anywhere in it: a DELETE in a CTE, a MERGE's actions, what EXECUTE runs. */
  readonly kinds: readonly string[]
  /** For CREATE, ALTER, DROP and the like: the types of object, as in `TABLE`, `ROLE`. */
  readonly objects: readonly string[]
  readonly relations: readonly Relation[]
  /**
   * Functions and operators called, as `schema.name` or `name`; built-in operators and syntax are
   * left out.
   */
  readonly functions: readonly string[]
  /** Those among `functions` that do more than read, or are not known not to. */
  readonly actingFunctions: readonly string[]
  /** Those among `functions` that are neither built in nor in the catalog. */
  readonly unknownFunctions: readonly string[]
  /**
   * Relations read or written that the catalog does not have: temporary, new, or not there. Empty
   * without a catalog.
   */
  readonly unknownRelations: readonly string[]
  /** Of the weakest UPDATE, DELETE, MERGE or upsert in it; `none` when there is none. */
  readonly where: WhereStrength
  readonly hazards: readonly Hazard[]
  /**
   * What was not understood, in words for a detail line; each of them made the statement need
   * 'admin'.
   */
  readonly notUnderstood: readonly string[]
  /** The same for texts that differ in literals and layout only. 16 hex digits. */
  readonly fingerprint: string
  readonly transaction: TransactionStep | undefined
  /** Whether a COMMIT or ROLLBACK opens the next transaction at once. */
  readonly chain: boolean
  readonly scope: readonly ScopeStep[]
  /**
   * Prepared statements it runs and cursors it reads: what they do is already part of these facts.
   */
  readonly executes: readonly string[]
  readonly fetches: readonly string[]
  /**
   * SET, RESET and set_config with literals, in order. RESET ALL and DISCARD ALL are named `all`.
   */
  readonly settings: readonly Setting[]
  /** Of a COPY at its top: its options in order, however they are spelled. */
  readonly copyOptions?: readonly CopyOption[]
}

/** An option of COPY by its name in lower case; undefined for a value that is no literal, such as a list. */
export type CopyOption = { readonly name: string; readonly value: string | undefined }

/** Why a text could not be analysed. Nothing of it may run. */
export type SyntaxProblem = {
  readonly message: string
  /** 1-based, in characters, as PostgreSQL reports it. */
  readonly position: number | undefined
  readonly reason: 'syntax' | 'too-large' | 'too-deep' | 'parser-failed'
}

export type Analysis =
  | { readonly ok: true; readonly statements: readonly Statement[] }
  | { readonly ok: false; readonly error: SyntaxProblem }
