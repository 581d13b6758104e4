import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { DbgateError } from '../errors.ts'
import type { Principal } from '../identity/index.ts'
import type {
  FoundRecording,
  NoteRecord,
  RecordingEvent,
  RecordingReadOptions,
} from '../record/index.ts'
import type { AuditIndex, AuditRow, SessionRow } from '../store/index.ts'
import type { ApiCall } from './requests.ts'
import { AnswerStream, fromIndex, withSignsOfLife } from './session-stream.ts'
import { maybe, text } from './shape.ts'

/** A running session as lists show it. */
export type SessionView = {
  readonly id: string
  readonly principal: Principal
  readonly agent: string
  readonly address: string
  readonly target: string
  readonly role: string
  readonly applicationName: string
  readonly startedAt: number
}

/** What the answers about sessions are made from. */
export type SessionsOptions = {
  readonly live: () => readonly SessionView[]
  readonly index: Pick<AuditIndex, 'search' | 'sessions'>
  readonly isAuditor: (principal: Principal) => boolean
  /** Whether this principal may do everything on that target. */
  readonly isAdmin: (principal: Principal, target: string) => boolean
  readonly note: (record: NoteRecord) => void
  readonly findRecording: (session: string) => FoundRecording | undefined
  readonly readRecording: (
    path: string,
    options: RecordingReadOptions,
  ) => AsyncIterable<RecordingEvent>
  /** Ends a running session; false for one that is not. */
  readonly end: (session: string, error: DbgateError) => boolean
}

/** A session as lists show it: as on record, and whether it runs. */
export type SessionSummary = Omit<SessionRow, 'v'> & { readonly is_live: boolean }

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 1_000
/** Statements that the summary of one session is made of, and that are told where there is no recording. */
const MAX_STATEMENTS = 10_000

/** True for what `Sessions` answers. */
export function isSessionsPath(path: readonly string[]): boolean {
  return path[0] === 'sessions'
}

/** Answers what people ask about sessions: their own, and auditors about everybody's. Reading is on record. */
export class Sessions {
  readonly #options: SessionsOptions

  constructor(options: SessionsOptions) {
    this.#options = options
  }

  /**
   * Throws: NOT_FOUND no such route, or session; DENIED somebody else's; USAGE; STALE it has ended already.
   */
  answer(call: ApiCall): Promise<unknown> {
    const [, id = '', verb] = call.path
    const route = [call.method, ...(call.path.length > 1 ? ['ID'] : []), verb]
    switch (route.filter(part => part !== undefined).join(' ')) {
      case 'GET':
        return this.#list(call)
      case 'GET ID':
        return this.#show(call, id)
      case 'GET ID recording':
        return this.#recording(call, id)
      case 'POST ID end':
        return this.#end(call, id)
      default:
        throw new DbgateError('NOT_FOUND', `no such route: ${call.method} ${call.path.join('/')}`)
    }
  }

  async #list({ principal, query }: ApiCall): Promise<unknown> {
    const isAll = query.has('all')
    if (isAll && !this.#options.isAuditor(principal)) {
      throw new DbgateError('DENIED', "only auditors see other people's sessions")
    }
    const limit = limitOf(query)
    const filter = {
      since: timeOf(query, 'since'),
      until: timeOf(query, 'until'),
      user: query.get('user') ?? undefined,
      target: query.get('target') ?? undefined,
      limit,
      only: isAll ? undefined : principal,
    }
    const found = await this.#options.index.sessions(filter)
    if (isAll) this.#noteReading(principal, 'sessions', query.toString(), found.length)
    const live = this.#options.live().filter(each => isAll || isSame(each.principal, principal))
    const known = new Set(found.map(({ id }) => id))
    const running = new Set(live.map(({ id }) => id))
    // A session may be so new that the index has not read of it yet.
    const fresh = live.filter(
      ({ id, target, principal: { user } }) =>
        !known.has(id) &&
        (filter.target ?? target) === target &&
        (filter.user ?? user) === user &&
        filter.until === undefined &&
        found.length < limit,
    )
    return [...found.map(row => summaryOf(row, running.has(row.id))), ...fresh.map(freshSummary)]
  }

  async #show(call: ApiCall, id: string): Promise<unknown> {
    const session = await this.#find(call.principal, id, 'see')
    const statements = await this.#statements(session.id)
    const found = this.#options.findRecording(session.id)
    return {
      ...session,
      tables: countsOf(statements.flatMap(({ tables }) => tables)),
      rules: countsOf(statements.map(({ verdict, rule }) => `${rule} (${verdict})`)),
      kinds: countsOf(statements.map(({ kind }) => kind)),
      failed: statements.filter(({ outcome }) => outcome === 'error').length,
      is_cut: statements.length === MAX_STATEMENTS,
      recording: found === undefined ? null : await describe(found),
    }
  }

  #statements(id: string): Promise<readonly AuditRow[]> {
    return this.#options.index.search(`session:${id}`, { limit: MAX_STATEMENTS })
  }

  async #recording(call: ApiCall, id: string): Promise<unknown> {
    const { principal, query, signal } = call
    const session = await this.#find(principal, id, 'replay')
    const found = this.#options.findRecording(session.id)
    const isFollowed = query.has('follow')
    const action = isFollowed ? 'watch' : 'replay'
    this.#noteReading(principal, action, `session:${session.id}`, 1)
    if (found === undefined) {
      return new AnswerStream(fromIndex(session, await this.#statements(session.id)))
    }
    const options = { follow: isFollowed, signal }
    const events = this.#options.readRecording(found.path, options)
    return new AnswerStream(isFollowed ? withSignsOfLife(events) : events)
  }

  #noteReading({ user }: Principal, action: string, query: string, matches: number): void {
    this.#options.note({ type: 'audit.read', user, action, query, matches })
  }

  async #end({ principal, body }: ApiCall, id: string): Promise<unknown> {
    const session = await this.#find(principal, id, 'end')
    if (session.id !== id) {
      throw new DbgateError('USAGE', `the whole id is needed to end a session: ${session.id}`)
    }
    const reason = maybe(body.reason, 'reason', text)
    const by = principal.user === session.user ? 'you' : principal.user
    const said = reason === undefined || reason.trim() === '' ? '' : `: ${oneLine(reason)}`
    const error = new DbgateError('REVOKED', `dbgate: session ended by ${by}${said}`)
    if (!this.#options.end(session.id, error)) {
      throw new DbgateError('STALE', `${session.id} has ended already`, {
        next: [`dbgate sessions show ${session.id}`],
      })
    }
    this.#options.note({
      type: 'session.ended-by',
      session: session.id,
      user: principal.user,
      issuer: principal.issuer,
      subject: principal.subject,
      ...(reason === undefined ? {} : { reason: oneLine(reason) }),
    })
    return { ...session, is_live: false }
  }

  /**
   * The session that an id or the start of one names. Who may not see it learns that it is there only by its
   * whole id.
   */
  async #find(
    principal: Principal,
    id: string,
    what: 'see' | 'replay' | 'end',
  ): Promise<SessionSummary> {
    const wanted = id.toLowerCase()
    const { index, live } = this.#options
    const filter = { id: wanted, limit: MAX_LIMIT }
    const [rows, ownRows] = await Promise.all([
      index.sessions(filter),
      index.sessions({ ...filter, only: principal }),
    ])
    const running = live().filter(each => each.id.startsWith(wanted))
    const isLive = (session: string): boolean => running.some(each => each.id === session)
    const own = new Set([
      ...ownRows.map(row => row.id),
      ...running.filter(each => isSame(each.principal, principal)).map(each => each.id),
    ])
    const all = [
      ...rows.map(row => summaryOf(row, isLive(row.id))),
      ...running.filter(each => !rows.some(row => row.id === each.id)).map(freshSummary),
    ]
    const open = all.filter(
      session => own.has(session.id) || this.#mayOthers(principal, session, what),
    )
    const found = open.find(session => session.id === wanted) ?? open[0]
    if (found !== undefined && (open.length === 1 || found.id === wanted)) return found
    if (found !== undefined) {
      throw new DbgateError('USAGE', `${open.length} sessions begin with ${wanted}: which one?`, {
        next: open.slice(-3).map(session => `dbgate sessions show ${session.id}`),
      })
    }
    if (all.some(session => session.id === wanted)) {
      throw new DbgateError(
        'DENIED',
        what === 'end'
          ? `only its own user or an admin of its target ends ${wanted}`
          : `only auditors ${what} other people's sessions`,
        { next: ['dbgate sessions'] },
      )
    }
    throw new DbgateError('NOT_FOUND', `no session ${wanted.slice(0, 80)}`, {
      next: ['dbgate sessions --since 7d'],
    })
  }

  #mayOthers(
    principal: Principal,
    { target }: SessionSummary,
    what: 'see' | 'replay' | 'end',
  ): boolean {
    const { isAuditor, isAdmin } = this.#options
    return what === 'end' ? isAdmin(principal, target) : isAuditor(principal)
  }
}

function isSame(left: Principal, right: Principal): boolean {
  return left.issuer === right.issuer && left.subject === right.subject
}

function summaryOf({ v: _, ...row }: SessionRow, isLive: boolean): SessionSummary {
  return { ...row, is_live: isLive }
}

function freshSummary(session: SessionView): SessionSummary {
  return {
    id: session.id,
    user: session.principal.user,
    via: session.agent,
    target: session.target,
    role: session.role,
    database: null,
    client: session.applicationName,
    ip: null,
    started_at: new Date(session.startedAt).toISOString(),
    ended_at: null,
    reason: null,
    statements: 0,
    denied: 0,
    held: 0,
    rows: 0,
    is_live: true,
  }
}

/** How often each came, the most frequent first. */
function countsOf(values: readonly string[]): readonly { name: string; count: number }[] {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts]
    .toSorted(([, left], [, right]) => right - left)
    .map(([name, count]) => ({ name, count }))
}

/** The digest is that of the file, which the audit log has too; a file that still grows has none. */
async function describe({ path, isOpen }: FoundRecording): Promise<unknown> {
  const { size } = await stat(path)
  if (isOpen) return { is_open: true, bytes: size, sha256: null }
  const digest = createHash('sha256')
  for await (const chunk of createReadStream(path)) digest.update(chunk)
  return { is_open: false, bytes: size, sha256: digest.digest('hex') }
}

function oneLine(given: string): string {
  return given.replace(/\s+/g, ' ').trim().slice(0, 500)
}

function timeOf(query: URLSearchParams, name: string): number | undefined {
  const given = query.get(name)
  if (given === null) return undefined
  const at = Date.parse(given)
  if (!Number.isNaN(at)) return at
  throw new DbgateError('USAGE', `${name} is not a time: ${JSON.stringify(given.slice(0, 40))}`)
}

function limitOf(query: URLSearchParams): number {
  const limit = Number(query.get('limit') ?? DEFAULT_LIMIT)
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT) return limit
  throw new DbgateError('USAGE', `limit is not a number from 1 to ${MAX_LIMIT}`)
}
