import type { Credential, TargetConfig } from '../config/index.ts'
import type { Catalog } from '../sql/index.ts'
import { CatalogKeeper } from './catalogs.ts'
import { SideConnection } from './side-connection.ts'
import { openUpstream } from './upstream.ts'

/** A connection to a target outside of any session, for what an operator asks or sets up. */
export type Database = {
  /** Whom it has logged in as. */
  readonly user: string
  readonly catalog: () => Promise<Catalog>
  /** The first column of each row. Several statements are one transaction. */
  readonly query: (sql: string) => Promise<readonly (string | null)[]>
  readonly close: () => void
}

const TIMEOUT_MS = 30_000
const MAX_FRAME_BYTES = 64 * 1024 * 1024
const NONCE_BYTES = 18

/**
 * Connects to a target's own database.
 *
 * Throws: UNREACHABLE no connection, or the login was refused; from its calls UPSTREAM a statement failed, with
 * the server's words as the cause.
 */
export async function openDatabase(
  target: TargetConfig,
  credential: Credential,
  randomBytes: (count: number) => Buffer,
): Promise<Database> {
  const connect = async () =>
    new SideConnection(
      await openUpstream({
        target,
        credential,
        parameters: new Map([
          ['application_name', 'dbgate'],
          ['client_encoding', 'UTF8'],
        ]),
        database: target.database,
        timeoutMs: TIMEOUT_MS,
        maxFrameBytes: MAX_FRAME_BYTES,
        nonce: () => randomBytes(NONCE_BYTES).toString('base64'),
      }),
    )
  const connection = await connect()
  const keeper = new CatalogKeeper({
    open: connect,
    now: () => 0,
    maxAgeMs: 0,
    timeoutMs: TIMEOUT_MS,
  })
  return {
    user: credential.user,
    catalog: () => keeper.fresh(),
    query: sql => connection.query(sql, TIMEOUT_MS),
    close: () => {
      keeper.close()
      connection.close()
    },
  }
}
