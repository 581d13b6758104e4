import type { PeopleIssuer, ServerConfig, TargetConfig } from '../config/index.ts'
import { DbgateError } from '../errors.ts'
import type { Principal } from '../identity/index.ts'
import type { Grant } from '../policy/index.ts'
import type { NoteRecord, Verification } from '../record/index.ts'
import type { AuditIndex } from '../store/index.ts'
import type { ApiRoute } from './server.ts'

/** What the answers are made from. `config` is asked anew each time: it may have been reloaded. */
export type AnsweringOptions = {
  readonly version: string
  readonly config: () => ServerConfig
  /** The grant and target of a principal, or undefined for a target that is not there or not granted. */
  readonly admit: (
    principal: Principal,
    target: string,
  ) => { readonly grant: Grant; readonly target: TargetConfig } | undefined
  readonly index: Pick<AuditIndex, 'search' | 'count' | 'rebuild' | 'status'>
  readonly verifyLog: () => Promise<Verification>
  readonly note: (record: NoteRecord) => void
  /** The published, non-confidential secret some issuers demand of native applications. */
  readonly clientSecret: (issuer: PeopleIssuer) => Promise<string | undefined>
}

const SCOPES = ['openid', 'email', 'profile', 'groups', 'offline_access']
const DEFAULT_LIMIT = 50
const MAX_LIMIT = 10_000

/** Answers the API's questions. Everything a principal is told is what that principal may know. */
export class Answering {
  readonly #options: AnsweringOptions

  constructor(options: AnsweringOptions) {
    this.#options = options
  }

  /** How to sign in here; told to anyone. */
  async discovery(): Promise<unknown> {
    const people = this.#options.config().issuers.filter(issuer => issuer.kind === 'people')
    return {
      v: 1,
      server: { version: this.#options.version },
      login: await Promise.all(
        people.map(async issuer => ({
          name: issuer.name,
          issuer: issuer.issuer,
          client_id: issuer.clientId,
          client_secret: await this.#options.clientSecret(issuer),
          scopes: SCOPES,
          device: issuer.deviceLogin,
        })),
      ),
    }
  }

  /** Throws: DENIED for what only auditors may see; USAGE for a malformed question. */
  async answer(route: ApiRoute, principal: Principal, query: URLSearchParams): Promise<unknown> {
    switch (route) {
      case 'whoami':
        return this.#whoami(principal)
      case 'targets':
        return this.#targets(principal)
      case 'audit':
        if (query.has('verify')) return this.#verify(principal)
        return query.has('reindex') ? this.#reindex(principal) : this.#search(principal, query)
      default:
        return route satisfies never
    }
  }

  #whoami(principal: Principal): unknown {
    return {
      user: principal.user,
      name: principal.name,
      issuer: principal.issuer,
      groups: principal.groups,
      expires_at: new Date(principal.expiresAt).toISOString(),
      targets: this.#granted(principal).map(({ grant }) => ({
        name: grant.target,
        role: grant.role,
        may: grant.may,
      })),
    }
  }

  #targets(principal: Principal): unknown {
    return this.#granted(principal).map(({ grant, target }) => ({
      name: target.name,
      title: target.title,
      role: grant.role,
      may: grant.may,
      local_port: target.localPort,
      environment: target.environment,
      database: target.database,
    }))
  }

  /** The strongest grant on each target, in the order of the configuration. */
  #granted(
    principal: Principal,
  ): readonly { readonly grant: Grant; readonly target: TargetConfig }[] {
    return this.#options.config().targets.flatMap(({ name }) => {
      const admitted = this.#options.admit(principal, name)
      return admitted === undefined ? [] : [admitted]
    })
  }

  /** With `after` it goes on where somebody stopped; with `counts` it tells how many there are, too. */
  async #search(principal: Principal, query: URLSearchParams): Promise<unknown> {
    const text = query.get('q') ?? ''
    const isAuditor = this.isAuditor(principal)
    const after = wholeOf(query, 'after')
    const options = {
      since: timeOf(query, 'since'),
      until: timeOf(query, 'until'),
      limit: limitOf(query),
      after,
      only: isAuditor ? undefined : { issuer: principal.issuer, subject: principal.subject },
      hideBackground: true,
    }
    const found = await this.#options.index.search(text, options)
    const action = query.get('for') === 'export' ? 'export' : 'search'
    // Whoever follows the log asks each second: what shows nothing needs no record.
    if (after === undefined || found.length > 0) this.#note(principal, action, text, found.length)
    if (!query.has('counts')) return found
    const counts = await this.#options.index.count(text, options)
    return { entries: found, counts: { ...counts, everybody: isAuditor } }
  }

  async #reindex(principal: Principal): Promise<unknown> {
    if (!this.isAuditor(principal)) {
      throw new DbgateError('DENIED', 'only auditors have the index built anew')
    }
    await this.#options.index.rebuild()
    const status = await this.#options.index.status()
    this.#note(principal, 'reindex', '', status.statements)
    return status
  }

  async #verify(principal: Principal): Promise<unknown> {
    if (!this.isAuditor(principal)) {
      throw new DbgateError('DENIED', 'only auditors verify the whole log', {
        next: ['dbgate whoami'],
      })
    }
    const verification = await this.#options.verifyLog()
    this.#note(principal, 'verify', '', verification.records)
    return verification
  }

  #note(principal: Principal, action: string, query: string, matches: number): void {
    this.#options.note({ type: 'audit.read', user: principal.user, action, query, matches })
  }

  /** True for who may see what everybody did. */
  isAuditor(principal: Principal): boolean {
    const { groups, users } = this.#options.config().auditors
    return users.includes(principal.user) || groups.some(group => principal.groups.includes(group))
  }
}

function timeOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  const at = Date.parse(text)
  if (Number.isNaN(at)) {
    throw new DbgateError('USAGE', `${name} is not a time: ${JSON.stringify(text)}`)
  }
  return at
}

function wholeOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new DbgateError('USAGE', `${name} is not a number: ${JSON.stringify(text)}`)
}

function limitOf(query: URLSearchParams): number {
  const text = query.get('limit')
  if (text === null) return DEFAULT_LIMIT
  const limit = Number(text)
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT) return limit
  throw new DbgateError(
    'USAGE',
    `limit is not a number from 1 to ${MAX_LIMIT}: ${JSON.stringify(text)}`,
  )
}
