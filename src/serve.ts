import { unwatchFile, watchFile } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import type { Server } from 'node:https'
import type { AddressInfo, Server as TcpServer } from 'node:net'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import {
  Answering,
  type ApiBackend,
  createApiServer,
  type DeskTools,
  fingerprintOf,
  isSessionsPath,
  ownCertificate,
  type RejudgeTools,
  Requests,
  readCertificate,
  rejudgeBy,
  Sessions,
  type TlsMaterial,
} from './api/index.ts'
import { Approvals } from './approval/index.ts'
import {
  type Address,
  forgetCredential,
  type Loaded,
  loadServerConfig,
  ownMaskKey,
  resolveCredential,
  resolveSecret,
  type ServerConfig,
  type TargetConfig,
} from './config/index.ts'
import { asDbgateError, DbgateError, systemCode } from './errors.ts'
import {
  type Backend,
  BypassWatch,
  createDirectListener,
  Gate,
  listBackends,
} from './gate/index.ts'
import { createVerifier, type Principal, type Verifier } from './identity/index.ts'
import { Keeping, openRecordings } from './keeping.ts'
import { openMasks } from './mask/index.ts'
import { Exports, Notifications } from './notify/index.ts'
import { compilePolicy, type Policy } from './policy/index.ts'
import { AuditLog, findRecording, type Recordings, readRecording } from './record/index.ts'
import { type Analyser, createAnalyser, EMPTY_SCOPE } from './sql/index.ts'
import { AuditIndex, HoldStore, MaskMemory, type SeenColumn } from './store/index.ts'

/**
 * The server: everything that enforces, put together in one place. Reading order of a connection:
 * api/server.ts (token, target) → gate/gate.ts (session) → gate/session.ts (statements).
 */

export type ServeEvent = {
  readonly level: 'info' | 'warn' | 'error'
  /** A stable name for machines, as in `target.unreachable`. */
  readonly event: string
  /** One line for people. */
  readonly message: string
  readonly fields?: Readonly<Record<string, string | number | boolean | undefined>>
}

export type ServeOptions = {
  readonly configPath: string
  readonly version: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Monotonic milliseconds. */
  readonly clock: () => number
  readonly randomBytes: (count: number) => Buffer
  /** Never given tokens, passwords, parameters or rows. */
  readonly log: (event: ServeEvent) => void
}

/** A server that is up. `pin` is the SHA-256 of its certificate in hex. */
export type RunningServer = {
  readonly url: string
  readonly address: AddressInfo
  readonly pin: string
  /** True where the certificate is one of our own making, which clients must pin. */
  readonly isSelfSigned: boolean
  /** Reads the configuration again; what is wrong is logged and the old one stays. */
  reload(): Promise<boolean>
  /** Takes no new sessions, lets running ones finish for the configured time, and stops. */
  close(reason?: string): Promise<void>
}

const SWEEP_MS = 1000
const WATCH_MS = 1000
const RELOAD_DELAY_MS = 200
/** How long messages that wait may still be sent once all sessions have ended. */
const NOTIFY_GRACE_MS = 3000
const MAX_STATEMENT_BYTES = 16 * 1024 * 1024

/**
 * Starts the server and returns once it takes connections.
 *
 * Throws: INVALID with every problem of the configuration; PORT when the address is taken; IN_USE when
 * another server writes to the same state directory.
 */
export async function serve(options: ServeOptions): Promise<RunningServer> {
  const loaded = await loadServerConfig(options.configPath, options.env)
  const { config } = loaded
  for (const problem of loaded.warnings) {
    options.log({ level: 'warn', event: 'config.warning', message: problem.message })
  }
  await mkdir(config.stateDir, { recursive: true, mode: 0o700 })
  const tls =
    config.tls === undefined
      ? await ownCertificate(
          config.stateDir,
          new URL(config.url).hostname,
          options.now(),
          options.randomBytes,
        )
      : await readCertificate(config.tls)
  const audit = await AuditLog.open(join(config.stateDir, 'audit'), {
    now: options.now,
    fsyncMs: config.recording.audit.fsync === 'each' ? 0 : config.recording.audit.fsync.everyMs,
  })
  const recordings = await openRecordings(options, config, audit)
  audit.note({ type: 'server.start', version: options.version, pid: process.pid })
  const analyser = createAnalyser({ maxBytes: MAX_STATEMENT_BYTES })
  await analyser.ready()
  const index = await AuditIndex.open({
    logDir: join(config.stateDir, 'audit'),
    file: join(config.stateDir, 'index.sqlite'),
  })
  const holds = HoldStore.open(join(config.stateDir, 'holds.sqlite'))
  const approvals = new Approvals({
    store: holds,
    clock: { now: options.now, after },
    log: audit,
    random: options.randomBytes,
  })
  const keeping = await Keeping.open(options, config, audit)
  const masks = new MaskMemory(join(config.stateDir, 'masks.jsonl'))
  const maskKey = await ownMaskKey(config.stateDir, options.randomBytes)
  const parts = {
    maskKey,
    tls,
    audit,
    recordings,
    keeping,
    analyser,
    index,
    holds,
    approvals,
    masks,
  }
  const server = new RunningGate(options, loaded, parts)
  approvals.expireAtStart() // Only now does anybody hear of it.
  await server.listen()
  return server
}

type Parts = {
  readonly tls: TlsMaterial
  readonly audit: AuditLog
  readonly recordings: Recordings | undefined
  readonly keeping: Keeping
  readonly analyser: Analyser
  readonly index: AuditIndex
  readonly holds: HoldStore
  readonly approvals: Approvals
  readonly masks: MaskMemory
  readonly maskKey: Buffer
}

/** What a reload replaces as a whole. */
type Ruling = {
  readonly config: ServerConfig
  readonly policy: Policy
  readonly policyDigest: string
  /** Since when; epoch milliseconds. */
  readonly since: number
  readonly verifier: Verifier
}

class RunningGate implements RunningServer {
  readonly url: string
  readonly pin: string
  readonly isSelfSigned: boolean
  readonly #options: ServeOptions
  readonly #parts: Parts
  readonly #gate: Gate
  readonly #server: Server
  readonly #direct: TcpServer | undefined
  readonly #notifications: Notifications
  readonly #exports: Exports
  #ruling: Ruling
  #watched: readonly string[] = []
  #state: 'starting' | 'serving' | 'draining' | 'closed' = 'starting'
  readonly #bypass: BypassWatch
  #bypassTimer: NodeJS.Timeout | undefined
  #toldBackends = ''
  #isTelling = false
  #sweeper: NodeJS.Timeout | undefined
  #reloadTimer: NodeJS.Timeout | undefined

  constructor(options: ServeOptions, loaded: Loaded, parts: Parts) {
    this.#options = options
    this.#parts = parts
    this.#ruling = this.#rule(loaded)
    this.url = loaded.config.url
    this.pin = fingerprintOf(parts.tls.cert)
    this.isSelfSigned = parts.tls.isSelfSigned
    this.#gate = new Gate({
      audit: parts.audit,
      recordings: parts.recordings,
      analyser: parts.analyser,
      approvals: parts.approvals,
      policy: this.#ruling.policy,
      policyId: this.#ruling.policyDigest,
      targets: loaded.config.targets,
      limits: loaded.config.limits,
      masks: openMasks({ key: parts.maskKey }),
      parameters: () => this.#ruling.config.recording.parameters,
      maskMemory: {
        of: place => parts.masks.of(place),
        learn: (place, seen, gone) => this.#learn(place, seen, gone),
      },
      credential: (target, role) => this.#credential(target, role),
      forgetCredential: ({ roles }, role) => {
        const source = roles[role]
        if (source !== undefined) forgetCredential(source)
      },
      now: options.now,
      clock: options.clock,
      randomBytes: options.randomBytes,
      report: ({ session, target, user, error }) =>
        this.#warn('session.failed', error, { session, target, user }),
    })
    this.#bypass = this.#createBypassWatch()
    this.#server = createApiServer({ ...parts.tls, backend: this.#backend() })
    this.#direct = this.#createDirect(loaded.config)
    this.#notifications = this.#createNotifications(loaded.config)
    this.#exports = this.#createExports(loaded.config)
    parts.approvals.listen(event => this.#notifications.tell(event))
    parts.approvals.listen(({ request }) => {
      if (request.kind === 'access') this.#gate.reconsider()
    })
    this.#watch(loaded.files)
  }

  get address(): AddressInfo {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') {
      throw new DbgateError('INTERNAL', 'the server is not listening')
    }
    return address
  }

  async listen(): Promise<void> {
    const { listen, postgresListen } = this.#ruling.config
    await this.#listenOn(this.#server, listen)
    if (this.#direct !== undefined && postgresListen !== undefined) {
      await this.#listenOn(this.#direct, postgresListen)
    }
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref()
    this.#state = 'serving'
    this.#info('ready', `ready on ${listen.host}:${this.address.port}`, {
      policy: this.#ruling.policyDigest.slice(0, 12),
    })
    this.#scheduleBypass()
    void this.#checkIssuers()
    void this.#checkTargets()
  }

  async #listenOn(server: TcpServer, { host, port }: Address): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      server.once('error', cause => reject(portError(host, port, cause)))
      server.listen({ host, port }, resolve)
    })
    server.on('error', cause => this.#warn('listener.failed', asDbgateError(cause), {}))
  }

  async reload(): Promise<boolean> {
    const { audit } = this.#parts
    try {
      const loaded = await loadServerConfig(this.#options.configPath, this.#options.env)
      this.#warnOfRestart(loaded.config)
      this.#ruling = this.#rule(loaded)
      this.#gate.reload(this.#ruling.policy, loaded.policyDigest, loaded.config.targets)
      this.#notifications.configure(loaded.config.notify)
      this.#exports.configure(loaded.config.exports)
      this.#scheduleBypass()
      this.#watch(loaded.files)
      audit.note({ type: 'config.reload', outcome: 'ok', policy: loaded.policyDigest })
      this.#info('config.reloaded', 'configuration reloaded', {
        policy: loaded.policyDigest.slice(0, 12),
      })
      return true
    } catch (cause) {
      const error = asDbgateError(cause)
      audit.note({ type: 'config.reload', outcome: 'refused', reason: error.message })
      this.#warn('config.refused', error, {}, 'the old configuration stays in force')
      return false
    }
  }

  async close(reason = 'stopped'): Promise<void> {
    if (this.#state === 'draining' || this.#state === 'closed') return
    this.#state = 'draining'
    this.#info('draining', `taking no new sessions (${reason})`, {
      sessions: this.#gate.sessions.length,
    })
    this.#watch([])
    clearTimeout(this.#reloadTimer)
    clearInterval(this.#sweeper)
    clearInterval(this.#bypassTimer)
    const closed = Promise.all([closing(this.#server), closing(this.#direct)])
    await this.#gate.drain(this.#ruling.config.drainMs)
    this.#server.closeAllConnections()
    await closed
    await this.#notifications.close(NOTIFY_GRACE_MS)
    await this.#exports.close()
    const { audit, recordings, keeping, index, analyser, holds } = this.#parts
    await recordings?.close()
    audit.note({ type: 'server.stop', reason })
    await Promise.allSettled([index.close(), analyser.close()])
    holds.close()
    await keeping.closeAround(() => audit.close())
    this.#state = 'closed'
    this.#info('stopped', 'stopped', {})
  }

  /** What columns are masked by now, and what they lost: that goes on masking, and somebody should know. */
  #learn(place: string, seen: readonly SeenColumn[], gone: readonly SeenColumn[]): void {
    try {
      for (const { name, label } of this.#parts.masks.learn(place, seen, gone)) {
        const column = `${name.schema}.${name.relation}.${name.column}`
        const what = label === undefined ? `is no more called ${column}` : `has lost ${label}`
        const error = new DbgateError('INVALID', `a masked column ${what}: it stays masked`, {
          detail: `dbgate policy accept-labels ${place} lets it go`,
        })
        this.#warn('mask.drift', error, { place, column, label })
      }
    } catch (cause) {
      this.#warn('masks.failed', asDbgateError(cause), { place })
    }
  }

  #sweep(): void {
    this.#gate.sweep()
    this.#tellBackends()
    try {
      this.#parts.masks.refresh()
    } catch (cause) {
      this.#warn('masks.failed', asDbgateError(cause), {})
    }
    try {
      this.#parts.approvals.expireDue()
    } catch (cause) {
      this.#warn('approvals.failed', asDbgateError(cause), {})
    }
  }

  #createBypassWatch(): BypassWatch {
    return new BypassWatch({
      targets: () => this.#ruling.config.targets,
      list: target => this.#listBackends(target),
      own: target => this.#gate.backendsOf(target),
      except: () => this.#ruling.config.bypass.except,
      found: (target, stranger) => this.#noteBypass(target.name, stranger),
      failed: (target, error) => this.#warn('bypass.unknown', error, { target: target.name }),
    })
  }

  #scheduleBypass(): void {
    clearInterval(this.#bypassTimer)
    const { everyMs } = this.#ruling.config.bypass
    if (everyMs === undefined) return
    this.#bypassTimer = setInterval(() => void this.#bypass.look(), everyMs).unref()
  }

  /** For `dbgate doctor --server`, which must know what is ours to tell what is not. */
  #tellBackends(): void {
    const told = JSON.stringify(this.#gate.backends)
    if (told === this.#toldBackends || this.#isTelling) return
    this.#isTelling = true
    const path = join(this.#ruling.config.stateDir, 'backends.json')
    const text = `{"v":1,"pid":${process.pid},"servers":${told}}\n`
    writeFile(`${path}.new`, text, { mode: 0o600 })
      .then(() => rename(`${path}.new`, path))
      .then(
        () => {
          this.#toldBackends = told
        },
        cause => this.#warn('backends.untold', asDbgateError(cause), {}),
      )
      .finally(() => {
        this.#isTelling = false
      })
  }

  /** With the first login that is told more than process ids, else with any. */
  async #listBackends(target: TargetConfig): Promise<readonly Backend[]> {
    let found: readonly Backend[] = []
    for (const role of Object.keys(target.roles)) {
      found = await this.#gate.inspect(target, role, listBackends)
      if (found.every(({ canSee }) => canSee)) break
    }
    return found
  }

  #noteBypass(target: string, stranger: Backend): void {
    const { pid, user, database, address, application, since } = stranger
    const facts = {
      ...{ target, pid, user: user ?? '', database: database ?? '', address: address ?? '' },
      ...{ application: application ?? '', since: since ?? '' },
    }
    this.#parts.audit.note({ type: 'bypass.seen', ...facts })
    this.#options.log({
      level: 'warn',
      event: 'bypass.seen',
      message: `${target}: a connection as ${user} did not come through dbgate`,
      fields: facts,
    })
  }

  #createDirect(config: ServerConfig): TcpServer | undefined {
    if (config.postgresListen === undefined) return undefined
    return createDirectListener({
      ...this.#parts.tls,
      gate: this.#gate,
      startupMs: config.limits.startupMs,
      verify: token => this.#ruling.verifier.verify(token),
      refused: (address, error) => this.#warn('connection.refused', error, { client: address }),
    })
  }

  #createExports(config: ServerConfig): Exports {
    const { env, now, version, log } = this.#options
    return new Exports(config.exports, {
      ...{ stateDir: config.stateDir, logDir: join(config.stateDir, 'audit') },
      ...{ now, after, fetch, version, host: hostname() },
      secret: source => resolveSecret(source, env, now),
      report: ({ sink, what, why }) =>
        log({
          level: what === 'recovered' ? 'info' : 'warn',
          event: `export.${what}`,
          message: `${sink}: audit events are ${what}: ${why}`,
          fields: { sink },
        }),
    })
  }

  #createNotifications(config: ServerConfig): Notifications {
    const { env, now, randomBytes, log } = this.#options
    return new Notifications({
      channels: config.notify,
      clock: { now, after },
      fetch,
      randomBytes,
      secret: source => resolveSecret(source, env, now),
      report: ({ channel, what, why, request }) =>
        log({
          level: 'warn',
          event: `notify.${what}`,
          message: `${channel}: a message is ${what.replace('-', ' ')}: ${why}`,
          fields: { channel, request },
        }),
    })
  }

  #rule(loaded: Loaded): Ruling {
    return {
      config: loaded.config,
      policy: compilePolicy(loaded.policy),
      policyDigest: loaded.policyDigest,
      since: this.#options.now(),
      verifier: createVerifier(loaded.config.issuers, { now: this.#options.now }),
    }
  }

  #backend(): ApiBackend {
    const { audit, index } = this.#parts
    const answering = new Answering({
      version: this.#options.version,
      config: () => this.#ruling.config,
      admit: (principal, target) => this.#gate.admit({ principal, target, role: undefined }),
      index,
      verifyLog: () => this.#parts.keeping.verify(),
      note: record => audit.note(record),
      clientSecret: async ({ clientSecret }) =>
        clientSecret === undefined
          ? undefined
          : await resolveSecret(clientSecret, this.#options.env),
    })
    const requests = this.#requests(principal => answering.isAuditor(principal))
    const sessions = this.#sessions(principal => answering.isAuditor(principal))
    return {
      problems: () => this.#problems(),
      isReady: () => this.#state === 'serving',
      discovery: () => answering.discovery(),
      verify: token => this.#ruling.verifier.verify(token),
      answer: (route, principal, query) => answering.answer(route, principal, query),
      call: call => (isSessionsPath(call.path) ? sessions.answer(call) : requests.answer(call)),
      renew: principal => this.#gate.renew(principal),
      admit: visit => {
        if (this.#gate.admit(visit) === undefined) {
          throw new DbgateError('NO_TARGET', `no target "${visit.target}" is open to you`, {
            next: ['dbgate ls'],
          })
        }
      },
      tunnel: (stream, visit) => void this.#gate.open(stream, visit),
      refused: (address, error) => {
        if (error.code !== 'NOT_FOUND') this.#warn('request.refused', error, { client: address })
      },
    }
  }

  #sessions(isAuditor: (principal: Principal) => boolean): Sessions {
    const { audit, index } = this.#parts
    const recordings = join(this.#ruling.config.stateDir, 'recordings')
    return new Sessions({
      live: () => this.#gate.sessions,
      index,
      isAuditor,
      isAdmin: (principal, target) =>
        this.#gate.admit({ principal, target, role: undefined })?.grant.may.includes('admin') ===
        true,
      note: record => audit.note(record),
      findRecording: session => findRecording(recordings, session),
      readRecording,
      end: (session, error) => this.#gate.endSession(session, error),
    })
  }

  #requests(isAuditor: (principal: Principal) => boolean): Requests {
    const { analyser, approvals } = this.#parts
    const environmentOf = (name: string) =>
      this.#ruling.config.targets.find(target => target.name === name)?.environment
    const trace: DeskTools['trace'] = (statement, catalog) =>
      analyser.lineage(statement, EMPTY_SCOPE, catalog)
    const tools: RejudgeTools = {
      analyse: (sql, catalog, scope) => analyser.analyse(Buffer.from(sql), scope, catalog),
      schemaOf: (name, role, database) => this.#schemaOf(name, role, database),
      extraOf: principal => {
        const at = this.#options.now()
        return { grants: approvals.activeGrants(principal, at), at }
      },
      ...{ trace, environmentOf },
    }
    return new Requests({
      approvals,
      policy: () => this.#ruling.policy,
      policyNow: () => {
        const { policy, policyDigest, since } = this.#ruling
        return { id: policyDigest, since, rejudge: request => rejudgeBy(policy, request, tools) }
      },
      isAuditor,
      ...{ environmentOf, trace },
      analyse: (sql, catalog) => analyser.analyse(Buffer.from(sql), EMPTY_SCOPE, catalog),
      schemaOf: (name, role) => this.#schemaOf(name, role),
      planOf: async hold => {
        const target = this.#ruling.config.targets.find(({ name }) => name === hold.target)
        return target === undefined ? undefined : this.#gate.planOf(target, hold)
      },
      now: this.#options.now,
    })
  }

  #problems(): readonly { readonly what: string; readonly why: string }[] {
    const failure = this.#parts.audit.failure
    if (failure === undefined) return []
    return [
      {
        what: 'audit log',
        why: `cannot be written since ${new Date(failure.since).toISOString()} (${failure.reason})`,
      },
    ]
  }

  /** What a question is held against; without the database it is answered from the text alone, and says so. */
  async #schemaOf(
    name: string,
    role: string,
    database?: string,
  ): ReturnType<DeskTools['schemaOf']> {
    const target = this.#ruling.config.targets.find(each => each.name === name)
    if (target === undefined) return undefined
    try {
      return await this.#gate.schemaOf(target, role, database)
    } catch (cause) {
      this.#warn('catalog.failed', asDbgateError(cause), { target: name, role })
      return undefined
    }
  }

  /** A login that can't be had is the operator's business: the reason goes to the log, not to the person. */
  async #credential(
    target: TargetConfig,
    role: string,
  ): Promise<{ user: string; password: string }> {
    const source = target.roles[role]
    try {
      if (source === undefined) throw new DbgateError('INTERNAL', `no credential for role ${role}`)
      return await resolveCredential(source, this.#options.env)
    } catch (cause) {
      this.#warn('credential.failed', asDbgateError(cause), { target: target.name, role })
      throw new DbgateError(
        'UNREACHABLE',
        `dbgate: the gate has no login for ${role} on ${target.name} at the moment`,
        { hint: 'Whoever runs the gate sees why in its log.', cause },
      )
    }
  }

  async #checkIssuers(): Promise<void> {
    for (const { name, issuer, why } of await this.#ruling.verifier.warm()) {
      if (why === undefined) this.#info('issuer.ok', `issuer ${name} answers`, { issuer })
      else {
        const error = new DbgateError('UNREACHABLE', `issuer ${name} does not answer: ${why}`)
        this.#warn('issuer.unreachable', error, { issuer })
      }
    }
  }

  /** One target that is down never stops the others from being served. */
  async #checkTargets(): Promise<void> {
    for (const target of this.#ruling.config.targets) {
      for (const role of Object.keys(target.roles)) {
        try {
          const { version } = await this.#gate.probe(target, role)
          this.#info('target.ok', `${target.name} answers as ${role}: PostgreSQL ${version}`, {
            target: target.name,
            role,
          })
        } catch (cause) {
          this.#warn('target.unreachable', asDbgateError(cause), { target: target.name, role })
        }
      }
    }
  }

  #warnOfRestart(next: ServerConfig): void {
    const fixedOf = ({ listen, stateDir, tls, recording }: ServerConfig) =>
      JSON.stringify([listen, stateDir, tls, recording])
    if (fixedOf(next) === fixedOf(this.#ruling.config)) return
    this.#options.log({
      level: 'warn',
      event: 'config.restart-needed',
      message: 'listen, tls, state and recording take effect only after a restart',
    })
  }

  /** Polls: an editor or a mounted volume replaces files in ways that events miss. */
  #watch(files: readonly string[]): void {
    const places = files.length === 0 ? [] : [...new Set([...files, ...files.map(dirname)])]
    for (const place of this.#watched) unwatchFile(place)
    this.#watched = places
    for (const place of places) {
      watchFile(place, { interval: WATCH_MS, persistent: false }, (now, before) => {
        if (now.mtimeMs === before.mtimeMs && now.ino === before.ino) return
        clearTimeout(this.#reloadTimer)
        this.#reloadTimer = setTimeout(() => void this.reload(), RELOAD_DELAY_MS)
      })
    }
  }

  #info(event: string, message: string, fields: NonNullable<ServeEvent['fields']>): void {
    this.#options.log({ level: 'info', event, message, fields })
  }

  #warn(
    event: string,
    error: DbgateError,
    fields: NonNullable<ServeEvent['fields']>,
    more?: string,
  ): void {
    const cause = error.cause instanceof Error ? error.cause.message : undefined
    this.#options.log({
      level: error.code === 'INTERNAL' ? 'error' : 'warn',
      event,
      message: [error.message, error.detail, more].filter(part => part !== undefined).join(': '),
      fields: { ...fields, code: error.code, cause },
    })
  }
}

function closing(server: TcpServer | undefined): Promise<void> {
  return new Promise(resolve => (server === undefined ? resolve() : server.close(() => resolve())))
}

/** Runs something later; returns what cancels it. Nobody is kept alive for it. */
function after(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms).unref()
  return () => clearTimeout(timer)
}

function portError(host: string, port: number, cause: unknown): DbgateError {
  const why = systemCode(cause)
  const reason =
    why === 'EADDRINUSE' ? 'something else is listening there' : (why ?? 'unknown reason')
  return new DbgateError('PORT', `cannot listen on ${host}:${port} (${reason})`, { cause })
}
