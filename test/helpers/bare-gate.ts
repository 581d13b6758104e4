import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Approvals } from '../../src/approval/index.ts'
import type { May, PolicyDocument, TargetConfig } from '../../src/config/index.ts'
import { Gate, type GateReport } from '../../src/gate/index.ts'
import { openMasks } from '../../src/mask/index.ts'
import { compilePolicy } from '../../src/policy/index.ts'
import { AuditLog, Recordings } from '../../src/record/index.ts'
import { createAnalyser } from '../../src/sql/index.ts'
import { openApprovals } from './approvals.ts'
import type { Database } from './postgres.ts'

/** The gate alone behind a TCP port: no TLS, no sign-in, no tunnel. Everyone who connects is Ana. */
export type BareGate = {
  readonly host: string
  readonly port: number
  readonly gate: Gate
  readonly approvals: Approvals
  readonly auditDirectory: string
  readonly recordingsDirectory: string
  /** What the gate wanted in the server's log. */
  readonly reports: readonly GateReport[]
  readonly url: string
  readonly close: () => Promise<void>
}

export type BareGateOptions = {
  readonly may?: readonly May[]
  readonly databases?: readonly string[]
  readonly startupMs?: number
  readonly messageBytes?: number
  readonly sessionsPerPrincipal?: number
  /** More of the policy. */
  readonly policy?: Partial<
    Pick<PolicyDocument, 'rules' | 'limits' | 'mode' | 'masks' | 'functions'>
  >
  /** The login on the upstream; its superuser when left out. */
  readonly login?: { readonly user: string; readonly password: string }
  /** Record sessions, up to so much of each result. */
  readonly results?: { readonly rows: number; readonly bytes: number }
  /** Where records and requests lie, and stay; a temporary directory when left out. */
  readonly directory?: string
}

const ANA = {
  issuer: 'https://issuer.example',
  subject: 'ana',
  user: 'ana@acme.example',
  name: 'Ana Ruiz',
  groups: ['engineering'],
  expiresAt: Number.MAX_SAFE_INTEGER,
}

/** Starts a gate for one database, where Ana may do what `may` says (everything, if left out). */
export async function startBareGate(
  database: Database,
  options: BareGateOptions = {},
): Promise<BareGate> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'dbgate-gate-')))
  const auditDirectory = join(directory, 'audit')
  const audit = await AuditLog.open(auditDirectory, { now: Date.now })
  const recordingsDirectory = join(directory, 'recordings')
  const recordings =
    options.results === undefined
      ? undefined
      : await Recordings.open(
          {
            directory: recordingsDirectory,
            results: options.results,
            parameters: 'full',
            isRequired: false,
            now: Date.now,
            clock: () => performance.now(),
            report: (session, reason) => {
              throw new Error(`${session}: ${reason}`)
            },
          },
          audit,
        )
  const analyser = createAnalyser()
  await analyser.ready()
  const reports: GateReport[] = []
  const { upstream } = database
  const target: TargetConfig = {
    name: 'test',
    title: 'Test',
    host: upstream.host,
    port: upstream.port,
    database: database.name,
    sslmode: 'disable',
    sslrootcert: undefined,
    localPort: 6499,
    environment: undefined,
    databases: options.databases ?? [database.name],
    roles: { all: { from: 'env', user: 'U', password: 'P' } },
  }
  const { approvals, close: closeApprovals } = openApprovals(directory, audit)
  const gate = new Gate({
    audit,
    recordings,
    analyser,
    approvals,
    policyId: 'test',
    policy: compilePolicy({
      version: 1,
      roles: { all: { may: options.may ?? ['read', 'write', 'ddl', 'admin'] } },
      people: [{ groups: ['engineering'], roles: { test: 'all' } }],
      ...options.policy,
    }),
    targets: [target],
    limits: {
      startupMs: options.startupMs ?? 10_000,
      messageBytes: options.messageBytes ?? 64 * 1024 ** 2,
      sessionsPerPrincipal: options.sessionsPerPrincipal ?? 200,
    },
    credential: async () => options.login ?? { user: 'postgres', password: upstream.password },
    masks: openMasks({ key: randomBytes(32) }),
    now: Date.now,
    clock: () => performance.now(),
    randomBytes,
    report: event => reports.push(event),
  })
  const sockets = new Set<Socket>()
  const visitor = { principal: ANA, agent: 'test', target: 'test', role: undefined }
  const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    void gate.open(socket, { ...visitor, address: '127.0.0.1' })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening')
  return {
    host: '127.0.0.1',
    port: address.port,
    gate,
    approvals,
    auditDirectory,
    recordingsDirectory,
    reports,
    url: `postgresql://postgres@127.0.0.1:${address.port}/${database.name}`,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
      closeApprovals()
      await recordings?.close()
      await audit.close()
      await analyser.close()
      if (options.directory === undefined) await rm(directory, { recursive: true, force: true })
    },
  }
}
