import { DbgateError } from '../errors.ts'

/** What can be asked: one statement, the first column of its rows. */
export type Asking = {
  query(sql: string, timeoutMs: number): Promise<readonly (string | null)[]>
}

/** A client's connection as the database lists it. What the login may not see is null. */
export type Backend = {
  readonly pid: number
  readonly user: string | null
  readonly database: string | null
  /** A claim of the client: no proof of anything. */
  readonly application: string | null
  /** `host:port`; null for a local socket, and where `canSee` is false. */
  readonly address: string | null
  readonly since: string | null
  /** Whether this login is told more than that the connection exists. */
  readonly canSee: boolean
}

/** What a login may do that matters for what a policy can hold. */
export type Privileges = {
  readonly version: string
  readonly user: string
  readonly isSuperuser: boolean
  readonly canCreateRoles: boolean
  readonly bypassesRowSecurity: boolean
  readonly canReplicate: boolean
  /** Sees everybody's connections: pg_monitor, or pg_read_all_stats. */
  readonly seesActivity: boolean
  /** May read or write files of the database's machine, or run programs there. */
  readonly reachesServer: boolean
  readonly ownedTables: number
  /** `log_statement`: anything but none stores statements, with their values, past every mask. */
  readonly logStatement: string | null
  /** Epoch milliseconds, the database's clock. */
  readonly now: number
}

/** So young a connection may be one of the gate's own that is just being opened. */
const YOUNG_SECONDS = 3

const BACKENDS = `SELECT pg_catalog.json_build_object(
  'pid', pid, 'user', usename, 'database', datname, 'application', application_name,
  'address', CASE WHEN client_port >= 0 THEN pg_catalog.host(client_addr) || ':' || client_port END,
  'since', backend_start, 'canSee', backend_start IS NOT NULL)::text
FROM pg_catalog.pg_stat_activity
WHERE pid <> pg_catalog.pg_backend_pid() AND usename IS NOT NULL
  AND (backend_type IS NULL OR backend_type = 'client backend')
  AND (backend_start IS NULL OR backend_start < pg_catalog.now() - interval '${YOUNG_SECONDS} s')
ORDER BY pid`

const PRIVILEGES = `SELECT pg_catalog.json_build_object(
  'version', pg_catalog.current_setting('server_version'),
  'user', r.rolname, 'isSuperuser', r.rolsuper, 'canCreateRoles', r.rolcreaterole,
  'bypassesRowSecurity', r.rolbypassrls, 'canReplicate', r.rolreplication,
  'seesActivity', pg_catalog.pg_has_role(r.oid, 'pg_read_all_stats', 'USAGE'),
  'reachesServer', pg_catalog.pg_has_role(r.oid, 'pg_read_server_files', 'USAGE')
    OR pg_catalog.pg_has_role(r.oid, 'pg_write_server_files', 'USAGE')
    OR pg_catalog.pg_has_role(r.oid, 'pg_execute_server_program', 'USAGE'),
  'ownedTables', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class c
    WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'),
  'logStatement', pg_catalog.current_setting('log_statement', true),
  'now', pg_catalog.floor(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000))::text
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`

/** Lists the clients of all databases there. Throws: UPSTREAM (08006). */
export async function listBackends(
  connection: Asking,
  timeoutMs: number,
): Promise<readonly Backend[]> {
  const rows = await connection.query(BACKENDS, timeoutMs)
  return rows.filter(row => row !== null).map(row => JSON.parse(row))
}

/** Tells what the connection's login may do. Throws: UPSTREAM (08006). */
export async function privilegesOf(connection: Asking, timeoutMs: number): Promise<Privileges> {
  const [row] = await connection.query(PRIVILEGES, timeoutMs)
  if (row === undefined || row === null) {
    throw new DbgateError('UPSTREAM', 'the database does not know its own user')
  }
  return JSON.parse(row)
}

/**
 * The connections that are none of ours. Only the process id counts, since the database gives it and no
 * client can choose it; and two rows under one address of ours would still have different ones.
 */
export function strangersAmong(
  backends: readonly Backend[],
  own: ReadonlySet<number>,
): readonly Backend[] {
  return backends.filter(({ pid }) => !own.has(pid))
}
