import {
  boolean,
  instant,
  type JsonObject,
  list,
  maybe,
  number,
  object,
  text,
  texts,
} from './shape.ts'

/**
 * What the control API answers, as the client sees it. One type and one reader for each route; the
 * readers accept unknown fields, so that an older client works with a newer server.
 *
 * Units: times are epoch milliseconds here, RFC 3339 text or epoch milliseconds on the wire.
 */

/** How people sign in to this server: one entry for each issuer of its configuration. */
export type LoginOffer = {
  readonly name: string
  readonly issuer: string
  readonly clientId: string
  /** Only for issuers that demand a non-confidential secret of native applications. */
  readonly clientSecret: string | undefined
  readonly scopes: readonly string[]
  readonly device: boolean
}

export type Discovery = { readonly version: string; readonly login: readonly LoginOffer[] }

export type GrantedTarget = {
  readonly name: string
  readonly role: string
  readonly may: readonly string[]
}

export type Whoami = {
  readonly user: string
  readonly name: string
  readonly issuer: string
  readonly groups: readonly string[]
  readonly expiresAt: number
  readonly targets: readonly GrantedTarget[]
}

export type TargetAnswer = GrantedTarget & {
  readonly title: string
  readonly localPort: number
  readonly environment: string | undefined
  readonly database: string
}

/** One line of `dbgate audit search`: a statement and what became of it. */
export type AuditEntry = {
  readonly id: string
  /** The record's number in the log. */
  readonly n: number
  readonly at: number
  readonly user: string
  readonly agent: string | undefined
  readonly target: string
  readonly role: string | undefined
  readonly session: string
  readonly sql: string
  readonly verdict: string
  readonly rule: string | undefined
  /** ok, error, cancelled, lost …; undefined while it runs, or if the server died meanwhile. */
  readonly outcome: string | undefined
  readonly rows: number | undefined
  readonly durationMs: number | undefined
  readonly sqlstate: string | undefined
  /** The request it was held for or let through by, and who approved that. */
  readonly request: string | undefined
  readonly approvedBy: readonly string[]
  /** The record as the server sent it, for `--json`. */
  readonly raw: JsonObject
}

export function readDiscovery(value: unknown): Discovery {
  const root = object(value, 'discovery')
  const server = object(root.server, 'server')
  return {
    version: text(server.version, 'server.version'),
    login: list(root.login, 'login', (item, where) => {
      const offer = object(item, where)
      return {
        name: text(offer.name, `${where}.name`),
        issuer: text(offer.issuer, `${where}.issuer`),
        clientId: text(offer.client_id, `${where}.client_id`),
        clientSecret: maybe(offer.client_secret, `${where}.client_secret`, text),
        scopes: texts(offer.scopes, `${where}.scopes`),
        device: boolean(offer.device, `${where}.device`),
      }
    }),
  }
}

export function readWhoami(value: unknown): Whoami {
  const root = object(value, 'whoami')
  return {
    user: text(root.user, 'user'),
    name: text(root.name, 'name'),
    issuer: text(root.issuer, 'issuer'),
    groups: texts(root.groups, 'groups'),
    expiresAt: instant(root.expires_at, 'expires_at'),
    targets: list(root.targets, 'targets', (item, where) =>
      readGranted(object(item, where), where),
    ),
  }
}

export function readTargets(value: unknown): readonly TargetAnswer[] {
  return list(value, 'targets', (item, where) => {
    const target = object(item, where)
    return {
      ...readGranted(target, where),
      title: maybe(target.title, `${where}.title`, text) ?? '',
      localPort: number(target.local_port, `${where}.local_port`),
      environment: maybe(target.environment, `${where}.environment`, text),
      database: text(target.database, `${where}.database`),
    }
  })
}

function readGranted(target: JsonObject, where: string): GrantedTarget {
  return {
    name: text(target.name, `${where}.name`),
    role: text(target.role, `${where}.role`),
    may: texts(target.may, `${where}.may`),
  }
}

export function readAudit(value: unknown): readonly AuditEntry[] {
  return list(value, 'audit', (item, where) => {
    const raw = object(item, where)
    return {
      id: text(raw.id, `${where}.id`),
      n: maybe(raw.n, `${where}.n`, number) ?? 0,
      at: instant(raw.t, `${where}.t`),
      user: text(raw.user, `${where}.user`),
      agent: maybe(raw.via, `${where}.via`, text),
      target: text(raw.target, `${where}.target`),
      role: maybe(raw.role, `${where}.role`, text),
      session: text(raw.session, `${where}.session`),
      sql: text(raw.sql, `${where}.sql`),
      verdict: text(raw.verdict, `${where}.verdict`),
      rule: maybe(raw.rule, `${where}.rule`, text),
      outcome: maybe(raw.outcome, `${where}.outcome`, text),
      rows: maybe(raw.rows, `${where}.rows`, number),
      durationMs: maybe(raw.ms, `${where}.ms`, number),
      sqlstate: maybe(raw.sqlstate, `${where}.sqlstate`, text),
      request: maybe(raw.request, `${where}.request`, text),
      approvedBy: maybe(raw.approved_by, `${where}.approved_by`, texts) ?? [],
      raw,
    }
  })
}

/** Entries with how many there are; a count that has reached `limit` may be higher. */
export type AuditPage = {
  readonly entries: readonly AuditEntry[]
  readonly counts:
    | {
        readonly matches: number
        readonly hidden: number
        readonly total: number
        readonly limit: number
        /** Everybody's statements, not only those of whoever asks. */
        readonly everybody: boolean
      }
    | undefined
}

/** Servers that do not count answer with the entries alone. */
export function readAuditPage(value: unknown): AuditPage {
  if (Array.isArray(value)) return { entries: readAudit(value), counts: undefined }
  const root = object(value, 'audit')
  const counts = object(root.counts, 'counts')
  return {
    entries: readAudit(root.entries),
    counts: {
      matches: number(counts.matches, 'counts.matches'),
      hidden: number(counts.hidden, 'counts.hidden'),
      total: number(counts.total, 'counts.total'),
      limit: number(counts.limit, 'counts.limit'),
      everybody: boolean(counts.everybody, 'counts.everybody'),
    },
  }
}

/** What a check of the audit log found, from the server or from a local one. */
export type VerificationAnswer = {
  readonly isWhole: boolean
  readonly segments: number
  readonly records: number
  readonly last: { readonly n: number; readonly t: string; readonly sha256: string } | undefined
  /** The first place that does not fit. */
  readonly broken:
    | { readonly segment: number; readonly line: number; readonly message: string }
    | undefined
  readonly breaks: number
  readonly unfinishedBytes: number
  /** What it was held against, where it was. */
  readonly checkpoints:
    | {
        readonly checkpoints: number
        readonly matching: number
        readonly isSignatureChecked: boolean
        readonly notCovered: number
      }
    | undefined
  readonly recordings: { readonly recordings: number } | undefined
}

export function readVerification(value: unknown): VerificationAnswer {
  const root = object(value, 'verification')
  return {
    isWhole: boolean(root.isWhole, 'isWhole'),
    segments: number(root.segments, 'segments'),
    records: number(root.records, 'records'),
    last: maybe(root.last, 'last', (item, where) => {
      const last = object(item, where)
      return {
        n: number(last.n, `${where}.n`),
        t: text(last.t, `${where}.t`),
        sha256: text(last.sha256, `${where}.sha256`),
      }
    }),
    broken: maybe(root.broken, 'broken', (item, where) => {
      const broken = object(item, where)
      return {
        segment: number(broken.segment, `${where}.segment`),
        line: number(broken.line, `${where}.line`),
        message: text(broken.message, `${where}.message`),
      }
    }),
    breaks: number(root.breaks, 'breaks'),
    unfinishedBytes: number(root.unfinishedBytes, 'unfinishedBytes'),
    checkpoints: maybe(root.checkpoints, 'checkpoints', (item, where) => {
      const found = object(item, where)
      return {
        checkpoints: number(found.checkpoints, `${where}.checkpoints`),
        matching: number(found.matching, `${where}.matching`),
        isSignatureChecked: boolean(found.isSignatureChecked, `${where}.isSignatureChecked`),
        notCovered: number(found.notCovered, `${where}.notCovered`),
      }
    }),
    recordings: maybe(root.recordings, 'recordings', (item, where) => ({
      recordings: number(object(item, where).recordings, `${where}.recordings`),
    })),
  }
}
