import type { Duplex } from 'node:stream'
import type { Approvals } from '../approval/index.ts'
import type { Credential, TargetConfig } from '../config/index.ts'
import { asDbgateError, DbgateError } from '../errors.ts'
import type { Principal } from '../identity/index.ts'
import { driftOf, type Masks, NO_MEMORY, placeOf, type Remembered, seenIn } from '../mask/index.ts'
import { type Grant, grantFor, isUnrestricted, type Policy } from '../policy/index.ts'
import type { AuditLog, Recordings, SessionFacts, SessionLog } from '../record/index.ts'
import type { Analyser, Catalog } from '../sql/index.ts'
import type { Hold } from '../store/index.ts'
import { encodeErrorResponse, encodeTerminate, type StartupMessage } from '../wire/index.ts'
import { Backends } from './backends.ts'
import { CatalogKeeper, Catalogs } from './catalogs.ts'
import { rowsOfPlan } from './estimate.ts'
import { endGently } from './farewell.ts'
import { readHello } from './hello.ts'
import {
  cancelKeyOf,
  goingDown,
  greetingOf,
  hasSamePins,
  isSamePrincipal,
  keyOf,
  type Live,
  type LiveSession,
  noSuchTarget,
  personKey,
  repinned,
  revoked,
  tooMany,
  type Visitor,
} from './live.ts'
import { Paces } from './pace.ts'
import { planOf } from './plan.ts'
import { Recorder } from './recorder.ts'
import { Session } from './session.ts'
import { SideConnection } from './side-connection.ts'
import type { Standing } from './standing.ts'
import { planStartup, type StartupPlan } from './startup-plan.ts'
import { makesUnreadable } from './text.ts'
import {
  cancelUpstream,
  openUpstream,
  ServerRefusal,
  type Upstream,
  withLogin,
} from './upstream.ts'

export type GateOptions = {
  readonly audit: AuditLog
  /** Undefined where sessions are not recorded. */
  readonly recordings?: Recordings | undefined
  /** Undefined where there is no key: what a mask is about is refused then. */
  readonly masks?: Masks | undefined
  /** What the audit log is to have of values that are masked; `masked` where it is not said. */
  readonly parameters?: (() => 'masked' | 'full' | 'none') | undefined
  readonly analyser: Analyser
  readonly approvals: Approvals
  readonly policy: Policy
  /** The version of the policy, as its digest. */
  readonly policyId: string
  readonly targets: readonly TargetConfig[]
  readonly limits: {
    readonly startupMs: number
    readonly messageBytes: number
    readonly sessionsPerPrincipal: number
  }
  /** The login for a role on a target. Throws a DbgateError. */
  readonly credential: (target: TargetConfig, role: string) => Promise<Credential>
  /** The database refused that login: it is not to be told from memory again. */
  readonly forgetCredential?: ((target: TargetConfig, role: string) => void) | undefined
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Monotonic milliseconds. */
  readonly clock: () => number
  readonly randomBytes: (count: number) => Buffer
  /** What went wrong and is not the person's doing, for the server's own log. */
  readonly report: (event: GateReport) => void
  /** What columns were masked by, so that a label that is taken away unmasks nothing. */
  readonly maskMemory?: MaskMemoryView | undefined
}

/** A place is a target and a database. */
export type MaskMemoryView = {
  readonly of: (place: string) => readonly Remembered[]
  readonly learn: (
    place: string,
    seen: readonly Remembered[],
    gone: readonly Remembered[],
  ) => unknown
}

export type GateReport = {
  readonly session: string | undefined
  readonly target: string
  readonly user: string
  readonly error: DbgateError
}

type CancelRequest = { readonly pid: number; readonly secret: Buffer }

type Admission = { readonly grant: Grant; readonly target: TargetConfig }

/** Prepared statements and portals one session may have; drivers keep some hundreds. */
const MAX_NAMES = 20_000
/** How long a session whose sign-in or grant ended may go on with the transaction it is in. */
const EXPIRY_GRACE_MS = 60_000
/** How long a connection may lie ready before its startup packet: its peer has shown a token already. */
const SILENT_MS = 60_000
/** How long a change of the schema that was made past the gate may go unnoticed. */
const CATALOG_MAX_AGE_MS = 5_000
const CATALOG_TIMEOUT_MS = 30_000
const CATALOG_PARAMETERS: ReadonlyMap<string, string> = new Map([
  ['application_name', 'dbgate catalog'],
  ['client_encoding', 'UTF8'],
  ['default_transaction_read_only', 'on'],
])
/** How long somebody may be kept waiting for an estimate. */
const ESTIMATE_TIMEOUT_MS = 2_000
const ESTIMATE_PARAMETERS: ReadonlyMap<string, string> = new Map([
  ...CATALOG_PARAMETERS,
  ['application_name', 'dbgate estimate'],
  ['standard_conforming_strings', 'on'],
  ['statement_timeout', String(ESTIMATE_TIMEOUT_MS)],
])
const SESSION_ID_LETTERS = 'abcdefghjkmnpqrstuvwxyz23456789'
const SESSION_ID_LENGTH = 8
const SECRET_BYTES = 4
const LONG_SECRET_BYTES = 32

/** The door: takes verified visitors, brings each to a session, and knows all that are running. */
export class Gate {
  readonly #options: GateOptions
  readonly #live = new Map<string, Live>()
  readonly #cancelKeys = new Map<string, Live>()
  readonly #opening = new Map<string, number>()
  readonly #catalogs = new Catalogs()
  readonly #paces = new Paces()
  readonly #backends: Backends
  #policy: Policy
  #policyId: string
  #targets: readonly TargetConfig[]
  #isDraining = false
  #onEmpty: (() => void) | null = null

  constructor(options: GateOptions) {
    this.#options = options
    this.#backends = new Backends(options.now)
    this.#policy = options.policy
    this.#policyId = options.policyId
    this.#targets = options.targets
  }

  /** Sessions that are running now. */
  get sessions(): readonly LiveSession[] {
    return [...this.#live.values()].map(live => ({ ...live.view, principal: live.principal }))
  }

  /**
   * The grant and target a visitor would get, or undefined: for a target that does not exist just as for
   * one that is not granted.
   */
  admit(visitor: Pick<Visitor, 'principal' | 'target' | 'role'>): Admission | undefined {
    const { principal } = visitor
    const extra = {
      grants: this.#options.approvals.activeGrants(principal),
      at: this.#options.now(),
    }
    const grant = grantFor(this.#policy, principal, visitor.target, visitor.role, extra)
    const target = this.#targets.find(({ name }) => name === visitor.target)
    return grant === undefined || target === undefined ? undefined : { grant, target }
  }

  /** Serves one connection to its end. Never rejects: whatever goes wrong is told to the peer and reported. */
  async open(stream: Duplex, visitor: Visitor): Promise<void> {
    stream.on('error', () => undefined)
    try {
      const hello = await readHello(stream, SILENT_MS)
      if (hello === null) stream.destroy()
      else if (hello.packet.type === 'StartupMessage') {
        await this.enter(stream, visitor, hello.packet.startup, hello.rest)
      } else {
        await this.cancel(hello.packet, visitor.principal)
        endGently(stream)
      }
    } catch (cause) {
      this.#turnAway(stream, visitor, cause)
    }
  }

  /** As `open`, for a connection whose StartupMessage has been read already; `rest` came behind it. */
  async enter(
    stream: Duplex,
    visitor: Visitor,
    startup: StartupMessage,
    rest: Buffer,
  ): Promise<void> {
    try {
      await this.#start(stream, visitor, startup, rest)
    } catch (cause) {
      this.#turnAway(stream, visitor, cause)
    }
  }

  /**
   * Cancels what the session with this key is doing; nothing happens for an unknown key, as in PostgreSQL.
   * The key is the gate's own. Where the asking principal is known, it must be the session's.
   *
   * Throws: UNREACHABLE (08001).
   */
  async cancel(packet: CancelRequest, asking?: Principal): Promise<void> {
    const live = this.#cancelKeys.get(cancelKeyOf(packet.pid, packet.secret))
    if (live === undefined) return
    if (asking !== undefined && !isSamePrincipal(live.principal, asking)) return
    if (live.session.cancelHeld()) return
    const { pid, secret } = live.upstream
    await cancelUpstream(live.target, pid, secret, this.#options.limits.startupMs)
  }

  /**
   * A principal has shown a newer token: sessions go on to its expiry, under what its groups now allow.
   * Returns how many sessions that touched.
   */
  renew(principal: Principal): number {
    let renewed = 0
    for (const live of this.#live.values()) {
      const { issuer, subject } = live.principal
      if (issuer !== principal.issuer || subject !== principal.subject) continue
      live.principal = principal
      this.#regrant(live)
      renewed += 1
    }
    return renewed
  }

  /** Another policy and other targets are in force, for running sessions too. */
  reload(policy: Policy, policyId: string, targets: readonly TargetConfig[]): void {
    this.#policy = policy
    this.#policyId = policyId
    this.#targets = targets
    this.reconsider()
  }

  /** Roles that were given for a while may have come or gone: all sessions are looked at again. */
  reconsider(): void {
    for (const live of this.#live.values()) this.#regrant(live)
  }

  /**
   * Ends sessions whose sign-in or grant has ended: at their next idle point, or after a grace time whatever
   * they do.
   */
  sweep(): void {
    const now = this.#options.now()
    this.#paces.forget(
      this.#options.clock(),
      new Set([...this.#live.values()].map(({ paceKey }) => paceKey)),
    )
    for (const live of this.#live.values()) {
      const { principal, session, revokedAt } = live
      if (revokedAt !== null && now - revokedAt > EXPIRY_GRACE_MS) this.#end(live, revoked(live))
      const overdueMs = now - principal.expiresAt
      if (overdueMs < 0) continue
      const error = new DbgateError('REVOKED', 'dbgate: sign-in expired. Run: dbgate login')
      if (overdueMs > EXPIRY_GRACE_MS) this.#end(live, error)
      else session.leave(error)
    }
  }

  /** Ends one session, telling it why; false for one that is not running. */
  endSession(id: string, error: DbgateError): boolean {
    const live = this.#live.get(id)
    if (live === undefined) return false
    this.#end(live, error)
    return true
  }

  /**
   * Takes no new sessions, lets each running one go at its next idle point, and ends the rest after `timeoutMs`.
   */
  async drain(timeoutMs: number): Promise<void> {
    this.#isDraining = true
    const error = new DbgateError(
      'DRAINING',
      'dbgate: the server is going down; reconnect in a moment',
    )
    for (const { session } of [...this.#live.values()]) session.leave(error)
    if (this.#live.size === 0) return
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#onEmpty = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    for (const live of [...this.#live.values()]) this.#end(live, error)
  }

  /**
   * Logs in to a target as a role does and leaves again.
   *
   * Throws: UNREACHABLE (08001), UPSTREAM (08006) with the server's reason.
   */
  async probe(target: TargetConfig, role: string): Promise<{ readonly version: string }> {
    try {
      const upstream = await this.#connect(target, role, target.database, new Map())
      upstream.socket.end(encodeTerminate())
      upstream.socket.on('error', () => undefined)
      return { version: upstream.settings.get('server_version') ?? 'unknown' }
    } catch (cause) {
      if (cause instanceof ServerRefusal)
        throw new DbgateError('UPSTREAM', cause.message, { cause })
      throw cause
    }
  }

  /** The process ids of all open connections, by server. */
  get backends(): Readonly<Record<string, readonly number[]>> {
    return this.#backends.list()
  }

  /** The process ids of the gate's own connections to a target's database. */
  backendsOf(target: TargetConfig): ReadonlySet<number> {
    return this.#backends.of(target)
  }

  /**
   * Asks a target's database something over a connection of its own, with the login of a role.
   *
   * Throws: UNREACHABLE (08001), UPSTREAM (08006).
   */
  async inspect<T>(
    target: TargetConfig,
    role: string,
    ask: (connection: SideConnection, timeoutMs: number) => Promise<T>,
  ): Promise<T> {
    const upstream = await this.#connect(target, role, target.database, CATALOG_PARAMETERS)
    const connection = new SideConnection(upstream)
    try {
      return await ask(connection, CATALOG_TIMEOUT_MS)
    } finally {
      connection.close()
    }
  }

  /** From startup packet to ReadyForQuery, in the order in which it is argued for. */
  async #start(
    stream: Duplex,
    visitor: Visitor,
    startup: StartupMessage,
    rest: Buffer,
  ): Promise<void> {
    if (visitor.principal.expiresAt <= this.#options.now()) {
      throw new DbgateError('UNAUTHORIZED', 'dbgate: sign-in expired. Run: dbgate login')
    }
    if (this.#isDraining) throw goingDown()
    const admitted = this.admit(visitor)
    if (admitted === undefined) throw noSuchTarget(visitor.target)
    const { grant, target } = admitted
    const leave = this.#enter(visitor.principal, grant)
    try {
      const standing = this.#standing(visitor, visitor.principal, admitted, '')
      const plan = await planStartup(startup, target, standing, this.#options.analyser)
      const upstream = await this.#connect(target, grant.role, plan.database, plan.parameters)
      if (stream.destroyed) {
        upstream.socket.destroy()
        return
      }
      try {
        const current = this.#stillAdmitted(visitor, grant, upstream)
        this.#begin(stream, visitor, rest, { grant: current, target, plan, upstream })
      } catch (error) {
        upstream.socket.destroy()
        throw error
      }
    } finally {
      leave()
    }
  }

  /** Connecting took its time: what was true before need not be now. The upstream has said more since, too. */
  #stillAdmitted(visitor: Visitor, before: Grant, upstream: Upstream): Grant {
    if (this.#isDraining) throw goingDown()
    const grant = this.admit({ ...visitor, role: before.role })?.grant
    if (grant === undefined) throw noSuchTarget(visitor.target)
    for (const [name, value] of upstream.settings) {
      if (isUnrestricted(grant) || !makesUnreadable(name, value)) continue
      throw new DbgateError(
        'UNSUPPORTED',
        `dbgate: ${name} is ${value} by default on ${grant.target}, under which statements can't be judged. Next: set client_encoding to UTF8.`,
      )
    }
    return grant
  }

  async #connect(
    target: TargetConfig,
    role: string,
    database: string,
    parameters: ReadonlyMap<string, string>,
  ): Promise<Upstream> {
    const { limits, randomBytes, credential: told, forgetCredential } = this.#options
    const upstream = await withLogin(
      () => told(target, role),
      () => forgetCredential?.(target, role),
      credential =>
        openUpstream({
          target,
          credential,
          parameters,
          database,
          timeoutMs: limits.startupMs,
          maxFrameBytes: limits.messageBytes,
          nonce: () => randomBytes(18).toString('base64'),
        }),
    )
    this.#backends.add(target, upstream)
    return upstream
  }

  /** The session is on file before the person hears that it is ready. */
  #begin(
    stream: Duplex,
    visitor: Visitor,
    rest: Buffer,
    found: { grant: Grant; target: TargetConfig; plan: StartupPlan; upstream: Upstream },
  ): void {
    const { grant, target, plan, upstream } = found
    const options = this.#options
    const id = this.#newId()
    const facts: SessionFacts = {
      id,
      principal: visitor.principal,
      agent: visitor.agent,
      target: target.name,
      role: grant.role,
      database: plan.database,
      client: visitor.address,
      application: plan.applicationName,
      upstreamPid: upstream.pid,
    }
    const { log, recorder } = this.#record(facts, () => live)
    const catalogKey = JSON.stringify([target.name, grant.role, plan.database])
    const paceKey = keyOf(visitor.principal, grant)
    const secret = options.randomBytes(plan.minor >= 2 ? LONG_SECRET_BYTES : SECRET_BYTES)
    const session = new Session({
      downstream: stream,
      rest,
      upstream,
      standing: this.#standing(visitor, visitor.principal, found, plan.applicationName),
      log,
      recorder,
      analyser: options.analyser,
      catalog: this.#catalogFor(catalogKey, found),
      approvals: options.approvals,
      masks: options.masks,
      memory: () => this.#memoryOf(target.name, plan.database),
      parameters: options.parameters?.() ?? 'masked',
      policyId: () => this.#policyId,
      database: plan.database,
      settings: plan.parameters,
      pace: this.#paces.of(paceKey),
      cancel: () => this.#stop(live),
      estimate: explain => this.#estimate(target, grant.role, plan.database, explain),
      clock: options.clock,
      maxFrameBytes: options.limits.messageBytes,
      maxNames: MAX_NAMES,
      onClosed: (_reason, error) => this.#closed(live, error),
    })
    const live: Live = {
      principal: visitor.principal,
      revokedAt: null,
      visitor,
      target,
      upstream,
      session,
      cancelKey: cancelKeyOf(upstream.pid, secret),
      catalogKey,
      paceKey,
      view: {
        id,
        agent: visitor.agent,
        address: visitor.address,
        target: target.name,
        role: grant.role,
        applicationName: plan.applicationName,
        startedAt: options.now(),
      },
    }
    this.#live.set(id, live)
    this.#cancelKeys.set(live.cancelKey, live)
    stream.write(greetingOf(plan, upstream, secret))
    session.start()
  }

  /** Puts the session's start on file; its recording is there first, so that its absence means something. */
  #record(
    facts: SessionFacts,
    live: () => Live,
  ): { log: SessionLog; recorder: Recorder | undefined } {
    const { audit, recordings } = this.#options
    if (recordings === undefined) return { log: audit.begin(facts), recorder: undefined }
    const recording = recordings.begin(facts, error => this.#end(live(), error))
    const recorder = new Recorder({
      recording,
      parameters: recordings.options.parameters,
      encoding: () => live().session.encoding,
      isPrivate: () => live().session.grant.masks.length > 0,
    })
    try {
      return { log: audit.begin({ ...facts, recording: recording.file }, recorder), recorder }
    } catch (error) {
      recording.discard()
      throw error
    }
  }

  /**
   * The schema of a target's own database, or of another of its databases, as the login of a role sees it, and what is remembered of it.
   *
   * Throws: UPSTREAM, UNREACHABLE when the database can't be asked.
   */
  async schemaOf(
    target: TargetConfig,
    role: string,
    database: string = target.database,
  ): Promise<{ readonly catalog: Catalog; readonly memory: readonly Remembered[] }> {
    const key = JSON.stringify([target.name, role, database])
    try {
      const catalog = await this.#catalogOf(key, target, role, database).fresh()
      return { catalog, memory: this.#memoryOf(target.name, database) }
    } finally {
      this.#catalogs.release(key)
    }
  }

  /**
   * The plan of a held statement, for whoever decides on it; undefined where planning could run what nobody has
   * agreed to, or would be about something else.
   *
   * Throws: UPSTREAM the database gave no plan.
   */
  async planOf(
    target: TargetConfig,
    { role, statement }: Pick<Hold, 'role' | 'statement'>,
  ): Promise<readonly string[] | undefined> {
    const { database } = statement
    const key = JSON.stringify([target.name, role, database])
    const keeper = this.#catalogOf(key, target, role, database)
    try {
      return await planOf(statement, {
        analyser: this.#options.analyser,
        catalog: () => keeper.fresh(),
        ask: explain => this.#askPlanner(target, role, database, explain),
      })
    } finally {
      this.#catalogs.release(key)
    }
  }

  #memoryOf(target: string, database: string): readonly Remembered[] {
    return this.#options.maskMemory?.of(placeOf(target, database)) ?? NO_MEMORY
  }

  #learn(target: string, database: string, catalog: Catalog): void {
    const { maskMemory } = this.#options
    if (maskMemory === undefined) return
    const place = placeOf(target, database)
    const rules = (this.#policy.document.masks ?? []).filter(
      ({ on }) => on.includes('*') || on.includes(target),
    )
    if (rules.length === 0) return
    maskMemory.learn(place, seenIn(rules, catalog), driftOf(catalog, maskMemory.of(place)))
  }

  /** Read with a connection of the gate's own that logs in as the session did, so that names mean the same. */
  #catalogFor(
    key: string,
    { target, grant, plan }: { target: TargetConfig; grant: Grant; plan: StartupPlan },
  ): CatalogKeeper {
    return this.#catalogOf(key, target, grant.role, plan.database)
  }

  #catalogOf(key: string, target: TargetConfig, role: string, database: string): CatalogKeeper {
    return this.#catalogs.take(
      key,
      placeOf(target.name, database),
      changed =>
        new CatalogKeeper({
          changed,
          open: async () =>
            new SideConnection(await this.#connect(target, role, database, CATALOG_PARAMETERS)),
          now: this.#options.now,
          maxAgeMs: CATALOG_MAX_AGE_MS,
          timeoutMs: CATALOG_TIMEOUT_MS,
          onRead: catalog => this.#learn(target.name, database, catalog),
        }),
    )
  }

  /** Over a connection of its own: a plan that waits for a lock must hold up nobody else. */
  async #estimate(
    target: TargetConfig,
    role: string,
    database: string,
    explain: string,
  ): Promise<number | undefined> {
    try {
      const plan = await this.#askPlanner(target, role, database, explain)
      return rowsOfPlan(plan[0] ?? '')
    } catch {
      // It is only asked in order to know better: without an answer it counts as many rows.
      return undefined
    }
  }

  async #askPlanner(
    target: TargetConfig,
    role: string,
    database: string,
    explain: string,
  ): Promise<readonly (string | null)[]> {
    const upstream = await this.#connect(target, role, database, ESTIMATE_PARAMETERS)
    const connection = new SideConnection(upstream)
    try {
      return await connection.query(explain, ESTIMATE_TIMEOUT_MS)
    } finally {
      connection.close()
    }
  }

  #closed(live: Live, error: DbgateError | null): void {
    this.#live.delete(live.session.id)
    this.#cancelKeys.delete(live.cancelKey)
    this.#catalogs.release(live.catalogKey)
    if (error?.code === 'CHANGED') this.#alarm(live, error)
    if (
      error !== null &&
      (error.code === 'PROTOCOL' || error.code === 'INTERNAL' || error.code === 'UPSTREAM')
    ) {
      this.#options.report({
        session: live.session.id,
        target: live.target.name,
        user: live.principal.user,
        error,
      })
    }
    if (this.#live.size === 0) this.#onEmpty?.()
  }

  /** Rows came that nothing had foreseen: a change of the schema, or a hole in the analysis. */
  #alarm({ session, principal, target }: Live, error: DbgateError): void {
    const { user } = principal
    const why = error.detail ?? error.message
    const type = 'masks.alarm'
    this.#options.audit.note({ type, session: session.id, user, target: target.name, why })
    this.#options.report({ session: session.id, target: target.name, user, error })
  }

  #regrant(live: Live): void {
    const admitted = this.admit({
      principal: live.principal,
      target: live.target.name,
      role: live.view.role,
    })
    const { visitor, principal, view } = live
    if (admitted !== undefined) {
      const isPinned = hasSamePins(live.session.grant, admitted.grant)
      live.session.regrant(this.#standing(visitor, principal, admitted, view.applicationName))
      // Its settings were made at the start, for what the role might do then.
      if (!isPinned) live.session.leave(repinned(live))
      return
    }
    // What is open may be finished, no more: waiting for the idle point alone would let a transaction go on.
    const { grant } = live.session
    const nothing = { ...grant, may: [], isUnrestricted: false }
    live.session.regrant(
      this.#standing(
        visitor,
        principal,
        { grant: nothing, target: live.target },
        view.applicationName,
      ),
    )
    live.revokedAt ??= this.#options.now()
    live.session.leave(revoked(live))
  }

  /** What statements are judged by under the policy in force. */
  #standing(
    { agent }: Visitor,
    principal: Principal,
    { grant, target }: { grant: Grant; target: TargetConfig },
    application: string,
  ): Standing {
    const { environment } = target
    const { now } = this.#options
    return { policy: this.#policy, principal, grant, agent, application, environment, now }
  }

  /** Counts the visitor in against the limits; the returned function counts out what never became a session. */
  #enter(principal: Principal, grant: Grant): () => void {
    const { sessionsPerPrincipal } = this.#options.limits
    const { connections } = grant.limits
    const own = [...this.#live.values()].filter(live => isSamePrincipal(live.principal, principal))
    const here = own.filter(({ view }) => view.target === grant.target && view.role === grant.role)
    const keys = [personKey(principal), keyOf(principal, grant)] as const
    const opening = (key: string) => this.#opening.get(key) ?? 0
    if (connections !== undefined && here.length + opening(keys[1]) >= connections) {
      throw tooMany(here, connections, `on ${grant.target}`)
    }
    if (own.length + opening(keys[0]) >= sessionsPerPrincipal) {
      throw tooMany(own, sessionsPerPrincipal, `by ${principal.user}`)
    }
    for (const key of keys) this.#opening.set(key, opening(key) + 1)
    return () => {
      for (const key of keys) {
        if (opening(key) <= 1) this.#opening.delete(key)
        else this.#opening.set(key, opening(key) - 1)
      }
    }
  }

  /** Ends a session whatever it does; what still runs for it is stopped, not left behind. */
  #end(live: Live, error: DbgateError): void {
    if (!live.session.isIdle) void this.#stop(live)
    live.session.end(error)
  }

  /** Has the database stop what it does for a session. */
  async #stop({ target, upstream, session, principal }: Live): Promise<void> {
    try {
      const { pid, secret } = upstream
      await cancelUpstream(target, pid, secret, this.#options.limits.startupMs)
    } catch (cause) {
      const error = asDbgateError(cause)
      const { user } = principal
      this.#options.report({ session: session.id, target: target.name, user, error })
    }
  }

  /** Tells the peer why there is no session, in PostgreSQL's own form, and puts it on record. */
  #turnAway(stream: Duplex, visitor: Visitor, cause: unknown): void {
    const error =
      cause instanceof ServerRefusal
        ? new DbgateError('UPSTREAM', cause.message, { cause })
        : asDbgateError(cause)
    const { target, agent, address, principal } = visitor
    this.#options.report({ session: undefined, target, user: principal.user, error })
    this.#options.audit.note({
      type: 'session.refused',
      user: principal.user,
      agent,
      target,
      client: address,
      code: error.code,
      reason: error.message,
    })
    const answer =
      cause instanceof ServerRefusal
        ? cause.frame
        : encodeErrorResponse(error, { severity: 'FATAL' })
    endGently(stream, answer)
  }

  #newId(): string {
    for (;;) {
      const letters = [...this.#options.randomBytes(SESSION_ID_LENGTH)].map(
        byte => SESSION_ID_LETTERS[byte % SESSION_ID_LETTERS.length],
      )
      const id = `s-${letters.join('')}`
      if (!this.#live.has(id)) return id
    }
  }
}
