import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Approvals } from '../../src/approval/index.ts'
import { asDbgateError } from '../../src/errors.ts'
import { Authorizer } from '../../src/gate/authorize.ts'
import { Exchange } from '../../src/gate/exchange.ts'
import { Holding } from '../../src/gate/holding.ts'
import { Names } from '../../src/gate/names.ts'
import { OutputRun } from '../../src/gate/output-run.ts'
import { Pace } from '../../src/gate/pace.ts'
import { Router } from '../../src/gate/router.ts'
import type { Run, RunEnd } from '../../src/gate/run.ts'
import { SessionScope } from '../../src/gate/session-scope.ts'
import type { Standing } from '../../src/gate/standing.ts'
import { Turn } from '../../src/gate/turn.ts'
import type { Principal } from '../../src/identity/index.ts'
import { compilePolicy, type Grant, grantFor, type Policy } from '../../src/policy/index.ts'
import { AuditLog, readRecords, type SessionLog } from '../../src/record/index.ts'
import {
  type Analyser,
  buildCatalog,
  CATALOG_QUERIES,
  type CatalogPart,
  createAnalyser,
} from '../../src/sql/index.ts'
import {
  BackendTag,
  backendName,
  copyFrame,
  type Frame,
  FrameReader,
  FrontendTag,
  frontendName,
} from '../../src/wire/index.ts'

const ANA: Principal = {
  issuer: 'i',
  subject: 's',
  user: 'ana@acme.dev',
  name: 'Ana',
  groups: ['all', 'writer', 'reader'],
  expiresAt: Number.MAX_SAFE_INTEGER,
}

const POLICY = compilePolicy({
  version: 1,
  roles: {
    all: { may: ['read', 'write', 'ddl', 'admin'] },
    writer: { may: ['read', 'write'] },
    reader: { may: ['read'] },
  },
  people: ['all', 'writer', 'reader'].map(role => ({ groups: [role], roles: { prod: role } })),
})

function grantOf(role: string, may?: Grant['may']): Grant {
  const grant = grantFor(POLICY, ANA, 'prod', role)
  if (grant === undefined) throw new Error(`no role ${role}`)
  return may === undefined ? grant : { ...grant, may, isUnrestricted: false }
}

export function standingOf(grant: Grant, policy = POLICY, now = () => 0): Standing {
  return {
    policy,
    principal: ANA,
    grant,
    agent: 'lab',
    application: 'lab',
    environment: undefined,
    now,
  }
}

/** People who are asked, and the policy that says about what. */
export type Asked = {
  readonly approvals: Approvals
  readonly policy: Policy
  readonly now: () => number
}

const NOBODY_ASKED: Asked = {
  approvals: new Proxy({} as Approvals, {
    get: () => {
      throw new Error('no policy of this lab holds anything')
    },
  }),
  policy: POLICY,
  now: () => 0,
}

export const EVERYTHING = grantOf('all')
export const WRITER = grantOf('writer')
export const READER = grantOf('reader')
/** Somebody whose role was taken away. */
export const NOBODY = grantOf('writer', [])

/** A database with one table, `public.t`. */
const TABLE_T = buildCatalog(
  new Map<CatalogPart, readonly string[]>([
    ...[...CATALOG_QUERIES].map(({ part }) => [part ?? 'session', []] as const),
    ['session', ['{"path":["pg_catalog","public"]}']],
    ['relations', ['{"oid":16384,"schema":"public","name":"t","kind":"r"}']],
  ]),
)

const CATALOG = {
  current: TABLE_T,
  last: TABLE_T,
  fresh: async () => TABLE_T,
  invalidate: () => {},
}

/** What the audit log says of one statement in the end. */
export type Recorded = {
  readonly type: string
  readonly text: string
  readonly parameters: readonly unknown[] | undefined
  outcome: string | undefined
  rows: number | undefined
  completions: number
}

/** The parser and the log that all labs of a suite share. */
export class Workbench {
  readonly analyser: Analyser
  readonly audit: AuditLog
  readonly #directory: string
  #sessions = 0

  private constructor(analyser: Analyser, audit: AuditLog, directory: string) {
    this.analyser = analyser
    this.audit = audit
    this.#directory = directory
  }

  static async open(): Promise<Workbench> {
    const directory = mkdtempSync(join(tmpdir(), 'dbgate-lab-'))
    const analyser = createAnalyser({})
    await analyser.ready()
    return new Workbench(
      analyser,
      await AuditLog.open(directory, { now: Date.now, fsyncMs: 60_000 }),
      directory,
    )
  }

  /** The middle of a session without its sockets. */
  lab(grant: Grant = EVERYTHING, maxNames = 1000, asked = NOBODY_ASKED): Lab {
    this.#sessions += 1
    const log = this.audit.begin({
      id: `s-lab${this.#sessions}`,
      principal: ANA,
      agent: 'lab',
      target: grant.target,
      role: grant.role,
      database: 'app',
      client: '127.0.0.1:1',
      application: 'lab',
    })
    return new Lab(log, this, grant, maxNames, asked)
  }

  /** Everything on file of one session, by statement. */
  async recorded(session: string): Promise<ReadonlyMap<string, Recorded>> {
    this.audit.commit()
    const found = new Map<string, Recorded>()
    for await (const { record } of readRecords(this.#directory)) {
      if (record.type === 'statement' || record.type === 'denied') {
        if (record.session !== session) continue
        const { type, text, parameters } = record
        found.set(record.id, {
          type,
          text,
          parameters,
          outcome: undefined,
          rows: undefined,
          completions: 0,
        })
      } else if (record.type === 'completed') {
        const statement = found.get(record.id)
        if (statement === undefined) continue
        statement.outcome = record.outcome
        statement.rows = record.rows
        statement.completions += 1
      }
    }
    return found
  }

  async close(): Promise<void> {
    await this.audit.close()
    await this.analyser.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

/** Router, turn, permits and exchange of one session, as `Session` puts them together. */
export class Lab {
  readonly id: string
  readonly names = new Names()
  readonly exchange: Exchange
  readonly authorizer: Authorizer
  readonly scope: SessionScope
  readonly turn = new Turn()
  readonly holding: Holding
  /** Notices of the gate's own. */
  readonly told: Buffer[] = []
  /** How each run ended, in order. */
  readonly finished: { readonly id: string; readonly end: RunEnd }[] = []
  readonly #asked: Asked
  readonly #router: Router
  readonly #workbench: Workbench
  readonly #log: SessionLog
  readonly #fromClient = new FrameReader({
    nameOf: frontendName,
    maxFrameBytes: 1 << 20,
    streamed: [FrontendTag.CopyData],
  })
  readonly #fromServer = new FrameReader({
    nameOf: backendName,
    maxFrameBytes: 1 << 20,
    streamed: [BackendTag.DataRow, BackendTag.CopyData],
  })

  constructor(log: SessionLog, workbench: Workbench, grant: Grant, maxNames: number, asked: Asked) {
    this.#asked = asked
    this.id = log.id
    this.#log = log
    this.#workbench = workbench
    const { analyser } = workbench
    this.authorizer = new Authorizer({
      analyser,
      log,
      standing: standingOf(grant, asked.policy, asked.now),
      catalog: CATALOG,
      giveBack: taken => this.holding.giveBack(taken),
      pace: new Pace(),
      clock: () => 0,
      masks: undefined,
      memory: () => [],
      parameters: 'masked',
      portal: name => this.names.portal(name)?.judgement,
    })
    this.holding = new Holding({
      approvals: asked.approvals,
      policyId: () => 'p1',
      session: log.id,
      database: 'app',
      standing: () => this.authorizer.standing,
      tell: notice => this.told.push(notice),
    })
    this.scope = new SessionScope(this.names, 'UTF8')
    this.exchange = new Exchange(this.names, { finished: (run, end) => this.#finished(run, end) })
    this.#router = new Router({
      authorizer: this.authorizer,
      exchange: this.exchange,
      names: this.names,
      scope: this.scope,
      holding: this.holding,
      maxNames,
    })
  }

  /** Another role is in force. */
  regrant(grant: Grant): void {
    this.authorizer.regrant(standingOf(grant, this.#asked.policy, this.#asked.now))
  }

  /** The texts of all statements staged from now on, by id. */
  watch(): ReadonlyMap<string, string> {
    const staged = new Map<string, string>()
    const stage = this.#log.stage.bind(this.#log)
    this.#log.stage = facts => {
      const id = stage(facts)
      staged.set(id, facts.text)
      return id
    }
    return staged
  }

  /** The log refuses the next commit. */
  failNextCommit(error: Error): void {
    const commit = this.#log.commit.bind(this.#log)
    this.#log.commit = () => {
      this.#log.commit = commit
      throw error
    }
  }

  /** The client sends this in one piece. Returns what goes upstream. */
  send(...bytes: readonly Buffer[]): Buffer {
    this.#fromClient.push(Buffer.concat(bytes))
    for (let frame = this.#fromClient.next(); frame !== null; frame = this.#fromClient.next()) {
      const later = this.#router.route(frame, this.turn)
      if (later !== undefined) throw new Error('texts of these tests are read at once')
    }
    return this.forward()
  }

  /** As `send`, for texts that may take their time: `meanwhile` gets what goes upstream before that. */
  async sendSlowly(
    bytes: readonly Buffer[],
    meanwhile: (forwarded: Buffer) => void,
  ): Promise<Buffer> {
    this.#fromClient.push(Buffer.concat(bytes))
    for (let frame = this.#fromClient.next(); frame !== null; frame = this.#fromClient.next()) {
      const later = this.#router.route(frame, this.turn)
      if (later === undefined) continue
      meanwhile(this.forward())
      for (let next = await later; ; ) {
        const again = next(false)
        if (again === undefined) break
        next = await again
      }
    }
    return this.forward()
  }

  /** Only routes one message, which may take its time. */
  route(message: Buffer): ReturnType<Router['route']> {
    this.#fromClient.push(message)
    const frame = this.#fromClient.next()
    if (frame === null) throw new Error('not a whole message')
    return this.#router.route(frame, this.turn)
  }

  /** Records what was routed and returns what goes upstream. */
  forward(): Buffer {
    try {
      this.authorizer.commit(this.turn.claims)
    } catch (cause) {
      this.turn.refuse(asDbgateError(cause))
    }
    const written: Buffer[] = []
    this.turn.forward(this.exchange, new OutputRun(out => written.push(Buffer.from(out))))
    return Buffer.concat(written)
  }

  /** The server answers this. Returns what the client gets; `rows` is told whose each row is. */
  receive(bytes: Buffer, rows: (run: Run | null, frame: Frame) => void = countRow): Buffer {
    const passed: Buffer[] = []
    this.#fromServer.push(bytes)
    for (let frame = this.#fromServer.next(); frame !== null; frame = this.#fromServer.next()) {
      if (frame.tag === BackendTag.DataRow || frame.tag === BackendTag.CopyData) {
        rows(this.exchange.currentRun, frame)
        passed.push(copyFrame(frame))
        continue
      }
      const relay = this.exchange.received(frame)
      passed.push(relay === 'pass' ? copyFrame(frame) : relay)
    }
    if (this.exchange.isIdle && this.exchange.status === 'I') this.scope.transactionEnded()
    return Buffer.concat(passed)
  }

  /** What the log says of each statement, in order. */
  async recorded(): Promise<readonly Recorded[]> {
    return [...(await this.#workbench.recorded(this.id)).values()]
  }

  #finished(run: Run, end: RunEnd): void {
    this.finished.push({ id: run.id, end })
    this.#log.complete(run.id, { ...end, rows: run.rows, bytes: run.bytes, durationUs: 0 })
  }
}

function countRow(run: Run | null): void {
  if (run === null) throw new Error('a row that no run asked for')
  run.rows += 1
}

const text = (value: string) => Buffer.from(`${value}\0`)

function frame(tag: string, body: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(5, tag)
  header.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([header, body])
}

/** Backend messages as small as they may be. */
export const BACKEND = {
  parsed: frame('1'),
  bound: frame('2'),
  closed: frame('3'),
  noData: frame('n'),
  suspended: frame('s'),
  empty: frame('I'),
  parameters: frame('t', Buffer.alloc(2)),
  description: frame('T', Buffer.alloc(2)),
  row: frame('D', Buffer.alloc(2)),
  copyIn: frame('G', Buffer.alloc(3)),
  copyOut: frame('H', Buffer.alloc(3)),
  copyData: frame('d', Buffer.from('x')),
  copyDone: frame('c'),
  functionResult: frame('V', Buffer.from([0xff, 0xff, 0xff, 0xff])),
  notice: frame('N', Buffer.concat([text('SNOTICE'), text('Mwell'), Buffer.alloc(1)])),
  complete: (tag: string) => frame('C', text(tag)),
  ready: (status = 'I') => frame('Z', Buffer.from(status)),
  error: (sqlstate: string, severity = 'ERROR') =>
    frame(
      'E',
      Buffer.concat([
        ...[`S${severity}`, `V${severity}`, `C${sqlstate}`, 'Mno'].map(text),
        Buffer.alloc(1),
      ]),
    ),
} as const
