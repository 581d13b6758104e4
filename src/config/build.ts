/** From files as they are written to values as the program uses them. Everything here has been validated. */

import { resolve } from 'node:path'
import type { ExportFile } from './export-schema.ts'
import type {
  ChannelFile,
  CredentialFile,
  SecretFile,
  ServerFile,
  TargetFile,
} from './server-schema.ts'
import { isLoopback, readTargetUrl } from './target-url.ts'
import type {
  CredentialSource,
  ExportSink,
  IssuerConfig,
  NotifyChannel,
  RecordingConfig,
  SecretSource,
  ServerConfig,
  SslMode,
  TargetConfig,
} from './types.ts'

/** Builds the server's configuration. Paths in the file are relative to the file's folder. */
export function buildServer(file: string, dir: string, parsed: ServerFile): ServerConfig {
  const { server } = parsed
  return deepFreeze({
    file,
    url: server.url.replace(/\/$/, ''),
    listen: server.listen,
    postgresListen: server.postgres_listen,
    tls:
      server.tls === undefined
        ? undefined
        : { cert: resolve(dir, server.tls.cert), key: resolve(dir, server.tls.key) },
    stateDir: resolve(dir, server.state),
    policy: server.policy.map(path => resolve(dir, path)),
    drainMs: server.drain,
    limits: {
      startupMs: server.limits.startup,
      messageBytes: server.limits.message,
      sessionsPerPrincipal: server.limits.sessions_per_principal,
    },
    issuers: Object.entries(parsed.issuers).map(([name, issuer]) => buildIssuer(name, dir, issuer)),
    targets: Object.entries(parsed.targets).map(([name, target]) => buildTarget(name, dir, target)),
    recording: buildRecording(dir, parsed.recording),
    auditors: parsed.auditors ?? { groups: [], users: [] },
    notify: Object.entries(parsed.notify).map(([name, file]) => buildChannel(name, dir, file)),
    bypass: {
      everyMs: parsed.bypass.every === 'off' ? undefined : parsed.bypass.every,
      except: parsed.bypass.except,
    },
    exports: Object.entries(parsed.export).map(([name, file]) => buildSink(name, dir, file)),
  })
}

function buildSink(name: string, dir: string, file: ExportFile): ExportSink {
  const { webhook, syslog, otlp, events, parameters } = file
  const common = { name, events, parameters }
  if (webhook !== undefined) {
    return { ...common, kind: 'webhook', url: webhook.url, secret: secret(dir, webhook.secret) }
  }
  if (syslog !== undefined) {
    const to = new URL(syslog.to)
    const transport = to.protocol === 'udp:' ? 'udp' : to.protocol === 'tls:' ? 'tls' : 'tcp'
    const host = to.hostname.replace(/^\[|\]$/g, '')
    const ca = syslog.ca === undefined ? undefined : resolve(dir, syslog.ca)
    return { ...common, kind: 'syslog', transport, host, port: Number(to.port), ca }
  }
  if (otlp === undefined) throw new TypeError(`sink ${name} was not validated`)
  const headers = Object.entries(otlp.headers).map(([key, from]) => [key, secret(dir, from)])
  return { ...common, kind: 'otlp', url: otlp.url, headers: Object.fromEntries(headers) }
}

function buildRecording(dir: string, file: ServerFile['recording']): RecordingConfig {
  const { statements, parameters, results, keep, required } = file
  const { fsync, checkpoint } = file.audit
  return {
    statements,
    parameters,
    results,
    keep: { sessionsMs: keep.sessions, resultsMs: keep.results },
    isRequired: required,
    audit: {
      fsync: fsync === 'each' ? fsync : { everyMs: fsync },
      checkpoint: checkpoint && { everyMs: checkpoint.every, to: resolve(dir, checkpoint.to) },
    },
  }
}

function buildIssuer(name: string, dir: string, file: ServerFile['issuers'][string]): IssuerConfig {
  const common = {
    name,
    issuer: file.issuer,
    algorithms: file.algorithms,
    clockToleranceMs: file.clock_tolerance,
  }
  if (file.kind === 'ci') {
    return {
      ...common,
      kind: 'ci',
      audience: file.audience,
      accept: file.accept.map(({ match, as, groups }) => ({
        match: Object.fromEntries(
          Object.entries(match).map(([claim, value]) => [
            claim,
            typeof value === 'string' ? [value] : value,
          ]),
        ),
        as,
        groups,
      })),
    }
  }
  return {
    ...common,
    kind: 'people',
    audience: file.audience ?? [file.client_id],
    clientId: file.client_id,
    clientSecret: file.client_secret === undefined ? undefined : secret(dir, file.client_secret),
    claims: file.claims,
    deviceLogin: file.device_login,
  }
}

function buildChannel(name: string, dir: string, { slack, webhook }: ChannelFile): NotifyChannel {
  if (slack !== undefined) return { name, kind: 'slack', url: secret(dir, slack.webhook) }
  if (webhook === undefined) throw new TypeError(`channel ${name} was not validated`)
  return { name, kind: 'webhook', url: webhook.url, secret: secret(dir, webhook.secret) }
}

function secret(dir: string, file: SecretFile): SecretSource {
  if (file.from === 'env') return file
  if (file.from === 'file') return { from: 'file', path: resolve(dir, file.path) }
  const { command, timeout, cache } = file
  return { from: 'exec', command, timeoutMs: timeout, cacheMs: cache }
}

function credential(dir: string, file: CredentialFile): CredentialSource {
  if (file.from === 'env') return file
  if (file.from === 'file') return { from: 'file', path: resolve(dir, file.path) }
  const { command, user, timeout, cache } = file
  return { from: 'exec', command, user, timeoutMs: timeout, cacheMs: cache }
}

function buildTarget(name: string, dir: string, file: TargetFile): TargetConfig {
  const url = readTargetUrl(file.url)
  if (typeof url === 'string') throw new TypeError(`target ${name} was not validated`)
  const rootCert = file.sslrootcert ?? url.sslrootcert
  return {
    name,
    title: file.title ?? name,
    host: url.host,
    port: url.port,
    database: url.database,
    sslmode: sslModeOf(url.host, file.sslmode ?? url.sslmode),
    sslrootcert:
      rootCert === undefined || rootCert === 'system' ? undefined : resolve(dir, rootCert),
    localPort: file.local_port ?? defaultLocalPort(name),
    environment: file.environment,
    databases: file.databases ?? [url.database],
    roles: Object.fromEntries(
      Object.entries(file.credentials).map(([role, source]) => [role, credential(dir, source)]),
    ),
  }
}

/** The mode that counts: what was asked for, or verify-full for anything that is not this machine. */
export function sslModeOf(host: string, asked: string | undefined): SslMode {
  switch (asked) {
    case 'disable':
    case 'prefer':
    case 'require':
    case 'verify-ca':
    case 'verify-full':
      return asked
    default:
      return isLoopback(host) ? 'prefer' : 'verify-full'
  }
}

/** A port that depends on nothing but the target's name, so that it stays when other targets come and go. */
export function defaultLocalPort(name: string): number {
  let hash = 0x811c9dc5
  for (const char of name) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0
  return 16_400 + (hash % 2000)
}

/** Makes a value immutable, with all that is in it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const inner of Object.values(value)) deepFreeze(inner)
  }
  return value
}
