import type { Credential, TargetConfig } from '../config/index.ts'
import {
  type Backend,
  listBackends,
  openDatabase,
  type Privileges,
  privilegesOf,
  serverOf,
  strangersAmong,
} from '../gate/index.ts'

const TIMEOUT_MS = 15_000

/** A look at a target with one of its logins. */
export type Visit = {
  readonly privileges: () => Promise<Privileges>
  /** The connections of clients that are not `own`: process ids by server, as a running gate tells them. */
  readonly strangers: (
    own: Readonly<Record<string, readonly number[]>>,
  ) => Promise<{ readonly found: readonly Backend[]; readonly seesAll: boolean }>
  readonly close: () => void
}

/** Throws: UNREACHABLE no connection, or the login was refused; from its calls UPSTREAM. */
export async function visit(
  target: TargetConfig,
  credential: Credential,
  randomBytes: (count: number) => Buffer,
): Promise<Visit> {
  const database = await openDatabase(target, credential, randomBytes)
  return {
    privileges: () => privilegesOf(database, TIMEOUT_MS),
    strangers: async own => {
      const backends = await listBackends(database, TIMEOUT_MS)
      const found = strangersAmong(backends, new Set(own[serverOf(target)] ?? []))
      return { found, seesAll: backends.every(({ canSee }) => canSee) }
    },
    close: () => database.close(),
  }
}
