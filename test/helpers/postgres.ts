import { randomBytes } from 'node:crypto'
import pg from 'pg'
import {
  npmBinaries,
  type PostgresOptions,
  type RunningPostgres,
  startPostgres,
  systemBinaries,
} from '../../src/demo/index.ts'
import { type Certificates, makeCertificates } from './certificates.ts'

/** A real PostgreSQL shared by every suite of this mocha run; it ends with the process. */
export type Upstream = {
  readonly major: number
  readonly host: string
  readonly port: number
  readonly password: string
  readonly running: RunningPostgres
}

/** A database of one suite's own. */
export type Database = {
  readonly name: string
  readonly upstream: Upstream
  /** Straight to PostgreSQL, as its superuser. */
  readonly url: string
  readonly query: (sql: string, values?: readonly unknown[]) => Promise<pg.QueryResult>
  readonly drop: () => Promise<void>
}

const SETTINGS = {
  max_connections: '200',
  max_prepared_transactions: '10',
  shared_preload_libraries: `'pg_stat_statements'`,
  'pg_stat_statements.track_utility': 'on',
  'pg_stat_statements.max': '10000',
}

/** `raw` is a superuser who needs no password, for clients that speak the protocol by hand. */
const RAW_HBA = ['host all raw 127.0.0.1/32 trust']
const RAW_SETUP = [{ database: 'postgres', sql: 'create role raw superuser login;' }]

const started = new Map<string, Promise<Upstream>>()

// A hook of the root suite. Without mocha (the bench), or when it is killed, they end with the process.
if (typeof after === 'function') {
  after('stop the PostgreSQL servers', async () => {
    const all = [...started.values(), ...(tls === undefined ? [] : [tls])]
    await Promise.all(all.map(async one => (await one).running.stop()))
  })
}

function once(name: string, start: () => Promise<Upstream>): Promise<Upstream> {
  const running = started.get(name) ?? start()
  started.set(name, running)
  return running
}

async function start(major: number, options: Partial<PostgresOptions> = {}): Promise<Upstream> {
  const binaries = major === 18 ? await npmBinaries() : await systemBinaries(process.env, major)
  if (binaries === undefined) throw new Error(`PostgreSQL ${major} is not installed here`)
  const password = randomBytes(12).toString('hex')
  const running = await startPostgres({
    binaries,
    password,
    settings: SETTINGS,
    hba: RAW_HBA,
    setup: RAW_SETUP,
    ...options,
  })
  return { major, host: running.host, port: running.port, password, running }
}

/** PostgreSQL 18, from npm. */
export const postgres18 = () => once('18', () => start(18))

/** The system's PostgreSQL 15. */
export const postgres15 = () => once('15', () => start(15))

/** A PostgreSQL of one suite's own, for suites that restart or break it. The caller stops it. */
export const ownPostgres = (major = 18, options: Partial<PostgresOptions> = {}) =>
  start(major, options)

export type TlsUpstream = Upstream & { readonly certificates: Certificates }

/** Roles of the TLS server: how each must prove who it is. All have the password `sécret`. */
export const AUTH_ROLES = ['by_scram', 'by_md5', 'by_cleartext', 'by_trust'] as const
export const AUTH_PASSWORD = 's\u00e9cret'

let tls: Promise<TlsUpstream> | undefined

/** PostgreSQL 18 that takes TLS only, with a role for each way to log in. */
export function postgresTls(): Promise<TlsUpstream> {
  tls ??= startTls()
  return tls
}

async function startTls(): Promise<TlsUpstream> {
  const certificates = await makeCertificates()
  const upstream = await start(18, {
    settings: {
      ...SETTINGS,
      ssl: 'on',
      ssl_cert_file: `'server.crt'`,
      ssl_key_file: `'server.key'`,
      md5_password_warnings: 'off',
    },
    files: { 'server.crt': certificates.cert, 'server.key': certificates.key },
    hba: [
      'hostssl all by_scram 127.0.0.1/32 scram-sha-256',
      'hostssl all by_md5 127.0.0.1/32 md5',
      'hostssl all by_cleartext 127.0.0.1/32 password',
      'hostssl all by_trust 127.0.0.1/32 trust',
      'hostssl all postgres 127.0.0.1/32 scram-sha-256',
      'hostnossl all all 127.0.0.1/32 reject',
    ],
    setup: [
      {
        database: 'postgres',
        sql: AUTH_ROLES.map(
          role =>
            `set password_encryption = '${role === 'by_md5' ? 'md5' : 'scram-sha-256'}';\n\n` +
            `create role ${role} login password '${AUTH_PASSWORD}';`,
        ).join('\n\n'),
      },
    ],
  })
  return { ...upstream, certificates }
}

/** The URL of one database, as the superuser. */
export function urlOf(upstream: Upstream, database: string): string {
  return `postgresql://postgres:${upstream.password}@${upstream.host}:${upstream.port}/${database}`
}

let count = 0

/** Makes a database no other suite touches. `name` is for people who read logs. */
export async function freshDatabase(upstream: Upstream, name: string): Promise<Database> {
  count += 1
  const database = `${name}_${process.pid}_${count}`
  await withClient(urlOf(upstream, 'postgres'), client =>
    client.query(`create database ${database}`),
  )
  const url = urlOf(upstream, database)
  return {
    name: database,
    upstream,
    url,
    query: (sql, values) => withClient(url, client => client.query(sql, values?.slice())),
    drop: () =>
      withClient(urlOf(upstream, 'postgres'), async client => {
        await client.query(`drop database if exists ${database} with (force)`)
      }),
  }
}

/** Connects, does one thing, and hangs up whatever comes of it. */
export async function withClient<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {}) // a connection that is lost fails the query in flight; that is enough
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
