/** The configuration as the program sees it: checked, complete with defaults, and immutable. */

import type { ALGORITHMS, SSL_MODES } from './server-schema.ts'

export type SslMode = (typeof SSL_MODES)[number]
export type Algorithm = (typeof ALGORITHMS)[number]

/** An address to listen on. IPv6 hosts without brackets. */
export type Address = { readonly host: string; readonly port: number }

/** Where a PostgreSQL login comes from. `file` paths are absolute. */
export type CredentialSource =
  | { readonly from: 'env'; readonly user: string; readonly password: string }
  | { readonly from: 'file'; readonly path: string }
  | {
      readonly from: 'exec'
      readonly command: readonly string[]
      readonly user: string | undefined
      readonly timeoutMs: number
      readonly cacheMs: number
    }

/** Where a single secret comes from. */
export type SecretSource =
  | { readonly from: 'env'; readonly value: string }
  | { readonly from: 'file'; readonly path: string }
  | {
      readonly from: 'exec'
      readonly command: readonly string[]
      readonly timeoutMs: number
      readonly cacheMs: number
    }

/** A database people can reach. `sslrootcert` undefined means the system's authorities. */
export type TargetConfig = {
  readonly name: string
  readonly title: string
  readonly host: string
  readonly port: number
  readonly database: string
  readonly sslmode: SslMode
  readonly sslrootcert: string | undefined
  readonly localPort: number
  readonly environment: string | undefined
  readonly databases: readonly string[]
  readonly roles: Readonly<Record<string, CredentialSource>>
}

type IssuerCommon = {
  readonly name: string
  readonly issuer: string
  readonly audience: readonly string[]
  readonly algorithms: readonly Algorithm[]
  readonly clockToleranceMs: number
}

/** An identity provider whose people may sign in. */
export type PeopleIssuer = IssuerCommon & {
  readonly kind: 'people'
  readonly clientId: string
  readonly clientSecret: SecretSource | undefined
  readonly claims: { readonly user: string; readonly name: string; readonly groups: string }
  readonly deviceLogin: boolean
}

/** An issuer whose jobs may sign in; the first entry of `accept` whose claims all match names the job. */
export type CiIssuer = IssuerCommon & {
  readonly kind: 'ci'
  readonly accept: readonly {
    readonly match: Readonly<Record<string, readonly string[]>>
    readonly as: string
    readonly groups: readonly string[]
  }[]
}

export type IssuerConfig = PeopleIssuer | CiIssuer

/** Where people hear of what waits for them. A Slack webhook's URL is a secret: who has it can post. */
export type NotifyChannel =
  | { readonly name: string; readonly kind: 'slack'; readonly url: SecretSource }
  | {
      readonly name: string
      readonly kind: 'webhook'
      readonly url: string
      readonly secret: SecretSource
    }

/** What is kept of sessions. `checkpoint.to` is absolute. */
export type RecordingConfig = {
  readonly statements: 'all' | 'none'
  readonly parameters: 'masked' | 'full' | 'none'
  readonly results: { readonly rows: number; readonly bytes: number }
  readonly keep: { readonly sessionsMs: number; readonly resultsMs: number }
  readonly isRequired: boolean
  readonly audit: {
    readonly fsync: 'each' | { readonly everyMs: number }
    readonly checkpoint: { readonly everyMs: number; readonly to: string } | undefined
  }
}

/** The whole of `dbgate.yaml`. `tls` undefined means a certificate of our own making, kept in `stateDir`. */
export type ServerConfig = {
  readonly file: string
  readonly url: string
  readonly listen: Address
  readonly postgresListen: Address | undefined
  readonly tls: { readonly cert: string; readonly key: string } | undefined
  readonly stateDir: string
  readonly policy: readonly string[]
  readonly drainMs: number
  readonly limits: {
    readonly startupMs: number
    readonly messageBytes: number
    readonly sessionsPerPrincipal: number
  }
  readonly issuers: readonly IssuerConfig[]
  readonly targets: readonly TargetConfig[]
  readonly recording: RecordingConfig
  readonly auditors: { readonly groups: readonly string[]; readonly users: readonly string[] }
  readonly notify: readonly NotifyChannel[]
  /** How often to look for connections past the gate, undefined for never, and whose are meant to be there. */
  readonly bypass: { readonly everyMs: number | undefined; readonly except: readonly string[] }
  readonly exports: readonly ExportSink[]
}

/**
 * Where audit events are sent. `events`: types of records, `request.*` for all that begin so. Parameters
 * of statements are sent only where that is asked for. OTLP's `headers` are secrets.
 */
export type ExportSink = {
  readonly name: string
  readonly events: readonly string[]
  readonly parameters: boolean
} & (
  | { readonly kind: 'webhook'; readonly url: string; readonly secret: SecretSource }
  | {
      readonly kind: 'syslog'
      readonly transport: 'udp' | 'tcp' | 'tls'
      readonly host: string
      readonly port: number
      readonly ca: string | undefined
    }
  | {
      readonly kind: 'otlp'
      readonly url: string
      readonly headers: Readonly<Record<string, SecretSource>>
    }
)
