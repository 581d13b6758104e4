import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Duplex, duplexPair } from 'node:stream'
import type { May, TargetConfig } from '../../src/config/index.ts'
import { Gate, type GateReport } from '../../src/gate/index.ts'
import type { Principal } from '../../src/identity/index.ts'
import { compilePolicy, type Policy } from '../../src/policy/index.ts'
import { AuditLog, type AuditRecord, readRecords } from '../../src/record/index.ts'
import { type Analyser, createAnalyser } from '../../src/sql/index.ts'
import { openApprovals } from '../helpers/approvals.ts'
import {
  bind,
  copyData,
  execute,
  fieldsOf,
  frame,
  parse,
  query,
  type RawFrame,
  startup,
  sync,
  terminate,
} from '../helpers/raw.ts'
import { BACKEND } from './lab.ts'
import {
  dataRow,
  ScriptedServer,
  type ScriptedServerOptions,
  type ServerSide,
  UPSTREAM_KEY,
} from './scripted-server.ts'

const { description, complete, ready, error, parsed, bound, copyIn } = BACKEND
/** Long enough to be read apart, which takes a moment. */
const long = (tail: string) => query(`select ${'1, '.repeat(30_000)}${tail}`)

const ANA: Principal = {
  issuer: 'https://issuer.example',
  subject: 'ana',
  user: 'ana@acme.example',
  name: 'Ana',
  groups: ['dev'],
  expiresAt: Number.MAX_SAFE_INTEGER,
}
const BEN: Principal = { ...ANA, subject: 'ben', user: 'ben@acme.example' }

const policyOf = (may: readonly May[]): Policy =>
  compilePolicy({
    version: 1,
    roles: { some: { may } },
    people: may.length === 0 ? [] : [{ groups: ['dev'], roles: { prod: 'some' } }],
  })
const EVERYTHING: readonly May[] = ['read', 'write', 'ddl', 'admin']

/** The person's end of a connection. */
class Person {
  readonly stream: Duplex
  /** Loses the connection, without a word. */
  readonly lose: () => void
  readonly frames: RawFrame[] = []
  rest: Buffer = Buffer.alloc(0)
  isEnded = false

  constructor(stream: Duplex, lose: () => void) {
    this.stream = stream
    this.lose = lose
    stream.on('error', () => {})
    stream.on('data', (chunk: Buffer) => this.#cut(chunk))
    stream.on('end', () => {
      this.isEnded = true
    })
    stream.on('close', () => {
      this.isEnded = true
    })
  }

  get tags(): string {
    return this.frames.map(({ tag }) => tag).join('')
  }

  say(...messages: readonly Buffer[]): void {
    this.stream.write(Buffer.concat(messages))
  }

  /** What errors said, as `severity sqlstate`. */
  get errors(): readonly string[] {
    return this.frames
      .filter(({ tag }) => tag === 'E')
      .map(one => {
        const { V, C } = fieldsOf(one)
        return `${V} ${C}`
      })
  }

  #cut(chunk: Buffer): void {
    this.rest = Buffer.concat([this.rest, chunk])
    while (this.rest.length >= 5) {
      const length = this.rest.readInt32BE(1)
      if (this.rest.length < 1 + length) return
      const tag = String.fromCharCode(this.rest[0] ?? 0)
      this.frames.push({ tag, body: this.rest.subarray(5, 1 + length) })
      this.rest = this.rest.subarray(1 + length)
    }
  }
}

async function until(isSo: () => boolean, what = 'it'): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!isSo()) {
    assert.ok(Date.now() < deadline, `${what} did not come about`)
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}

/** A gate before a scripted server. */
class House {
  readonly server: ScriptedServer
  readonly gate: Gate
  readonly audit: AuditLog
  readonly reports: GateReport[] = []
  readonly #directory: string
  readonly #targets: readonly TargetConfig[]
  now = Date.now()

  private constructor(
    server: ScriptedServer,
    audit: AuditLog,
    directory: string,
    may: readonly May[],
  ) {
    this.server = server
    this.audit = audit
    this.#directory = directory
    this.#targets = [targetAt(server.port)]
    this.gate = new Gate({
      audit,
      analyser,
      approvals: openApprovals(directory, audit).approvals,
      policyId: 'first',
      policy: policyOf(may),
      targets: this.#targets,
      limits: { startupMs: 5000, messageBytes: 1 << 20, sessionsPerPrincipal: 5 },
      credential: async () => ({ user: 'gate', password: 'p' }),
      now: () => this.now,
      clock: () => performance.now(),
      randomBytes,
      report: event => this.reports.push(event),
    })
  }

  static async open(
    may: readonly May[] = EVERYTHING,
    options: ScriptedServerOptions = {},
  ): Promise<House> {
    const directory = mkdtempSync(join(tmpdir(), 'dbgate-house-'))
    const audit = await AuditLog.open(directory, { now: Date.now })
    return new House(await ScriptedServer.start(options), audit, directory, may)
  }

  regrant(may: readonly May[]): void {
    this.gate.reload(policyOf(may), 'second', this.#targets)
  }

  /** Somebody connects; `arrived` says that there is nothing left to do for the gate. */
  knock(
    principal = ANA,
    parameters: Readonly<Record<string, string>> = {},
  ): {
    readonly person: Person
    readonly arrived: Promise<void>
  } {
    const [theirs, ours] = duplexPair()
    const person = new Person(theirs, () => ours.destroy())
    const visitor = { principal, agent: 'test', address: 'here', target: 'prod', role: undefined }
    const arrived = this.gate.open(ours, visitor)
    person.say(startup({ user: 'ana', ...parameters }))
    return { person, arrived }
  }

  /** Somebody has a session. */
  async session(
    principal = ANA,
  ): Promise<{ readonly person: Person; readonly server: ServerSide }> {
    const { person, arrived } = this.knock(principal)
    const server = await this.server.next()
    await arrived
    await until(() => person.tags.endsWith('Z'), 'a session')
    person.frames.length = 0
    return { person, server }
  }

  /** Everything on record but what the session itself is, as `type text outcome`. */
  async recorded(): Promise<readonly string[]> {
    this.audit.commit()
    const texts = new Map<string, string>()
    const lines: string[] = []
    for await (const { record } of readRecords(this.#directory)) {
      const line = lineOf(record, texts)
      if (line !== undefined) lines.push(line)
    }
    return lines
  }

  async close(): Promise<void> {
    await this.gate.drain(0)
    await this.server.close()
    await this.audit.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

function targetAt(port: number): TargetConfig {
  return {
    name: 'prod',
    title: 'Prod',
    host: '127.0.0.1',
    port,
    database: 'app',
    sslmode: 'disable',
    sslrootcert: undefined,
    localPort: 6432,
    environment: undefined,
    databases: ['app'],
    roles: {},
  }
}

function lineOf(record: AuditRecord, texts: Map<string, string>): string | undefined {
  switch (record.type) {
    case 'statement':
    case 'denied':
      texts.set(record.id, record.text ?? '')
      return `${record.type} ${record.text}`
    case 'completed':
      return `${texts.get(record.id)}: ${record.outcome}`
    case 'session.end':
      return `end ${record.reason}`
    case 'session.refused':
      return `refused ${record.code}`
    default:
      return
  }
}

let analyser: Analyser

describe('gate/session', () => {
  let house: House

  before(async () => {
    analyser = createAnalyser({})
    await analyser.ready()
  })

  afterEach(() => house.close())

  after(() => analyser.close())

  describe('a text that is being read', () => {
    it('is on no record when the person leaves before', async () => {
      house = await House.open()
      const { person, server } = await house.session()
      person.say(query('select 1'), long('1'))
      await server.hears(query('select 1'))
      person.lose()
      await server.ended()
      // It has been read by the time that another one, sent later, has been.
      await analyser.analyse(long('2').subarray(5, -1), {
        prepared: new Map(),
        cursors: new Map(),
        searchPath: 'initial',
      })
      assert.deepEqual(await house.recorded(), [
        'statement select 1',
        'select 1: lost',
        'end disconnect',
      ])
      assert.equal(server.heard.length, 0)
    })

    it('is not run when the session must go', async () => {
      house = await House.open()
      const { person, server } = await house.session()
      person.say(long('3'))
      await until(() => person.stream.writableLength === 0)
      const drained = house.gate.drain(5000)
      await drained
      await until(() => person.isEnded, 'the end')
      assert.deepEqual(person.errors, ['FATAL 57P01'])
      await server.ended()
      assert.equal(server.heard.length, 0)
      assert.deepEqual(await house.recorded(), ['end draining'])
    })

    it('holds back what comes behind it, and nothing else', async () => {
      house = await House.open()
      const { person, server } = await house.session()
      const messages = [query('select 1'), long('4'), query('select 2'), sync]
      person.say(...messages)
      await server.hears(...messages)
    })

    it('is run when the person says goodbye right behind it', async () => {
      house = await House.open()
      const { person, server } = await house.session()
      person.say(long('5'), terminate)
      person.stream.end()
      await server.hears(long('5'), terminate)
      await server.ended()
    })
  })

  describe('the end', () => {
    it('of what a person says is the Terminate', async () => {
      house = await House.open()
      const { person, server } = await house.session()
      person.say(query('select 1'), terminate, query('select 2'))
      await server.hears(query('select 1'), terminate)
      person.say(query('select 3'))
      await server.ended()
      assert.equal(server.heard.length, 0)
      server.socket.end()
      await until(() => person.isEnded, 'the end')
      assert.deepEqual(await house.recorded(), ['statement select 1', 'select 1: lost', 'end end'])
    })

    it('of what a person says is not the end of what they are told', async () => {
      house = await House.open()
      const { person, server } = await house.session()
      person.say(query('select 1'))
      person.stream.end()
      await server.hears(query('select 1'))
      await server.ended()
      server.say(description, dataRow('1'), complete('SELECT 1'), ready())
      server.socket.end()
      await until(() => person.isEnded, 'the end')
      assert.equal(person.tags, 'TDCZ')
      assert.deepEqual(await house.recorded(), ['statement select 1', 'select 1: ok', 'end end'])
    })

    it('is explained by the gate when the server says nothing', async () => {
      house = await House.open()
      const { person, server } = await house.session()
      person.say(query('select 1'))
      await server.hears(query('select 1'))
      server.say(description, dataRow('1'))
      server.socket.destroySoon()
      await until(() => person.isEnded, 'the end')
      assert.equal(person.tags, 'TDE')
      assert.deepEqual(person.errors, ['FATAL 08006'])
      assert.deepEqual(await house.recorded(), [
        'statement select 1',
        'select 1: lost',
        'end upstream',
      ])
      assert.deepEqual(
        house.reports.map(report => report.error.code),
        ['UPSTREAM'],
      )
    })

    it('is explained by the server where it can', async () => {
      house = await House.open()
      const { person, server } = await house.session()
      server.say(error('57P01', 'FATAL'))
      server.socket.end()
      await until(() => person.isEnded, 'the end')
      assert.deepEqual(person.errors, ['FATAL 57P01'])
    })

    it('is not explained in the middle of a row', async () => {
      house = await House.open()
      const { person, server } = await house.session()
      person.say(query('select 1'))
      await server.hears(query('select 1'))
      const row = dataRow('x'.repeat(100_000))
      server.say(description, row.subarray(0, 50_000))
      await until(() => person.rest.length === 50_000, 'half a row')
      server.socket.destroySoon()
      await until(() => person.isEnded, 'the end')
      assert.equal(person.tags, 'T')
      assert.equal(person.rest.length, 50_000)
    })

    it('is explained where only the gate has begun to read a message', async () => {
      house = await House.open()
      const { person, server } = await house.session()
      person.say(query('select 1'))
      await server.hears(query('select 1'))
      server.say(description, complete('SELECT 1').subarray(0, 7))
      await until(() => person.tags === 'T')
      server.socket.destroySoon()
      await until(() => person.isEnded, 'the end')
      assert.deepEqual(person.errors, ['FATAL 08006'])
    })

    it('comes for a message that no driver sends, and what stood before it is not run', async () => {
      house = await House.open()
      const { person, server } = await house.session()
      person.say(query('delete from t'), frame('Q', Buffer.from('no end')))
      await until(() => person.isEnded, 'the end')
      assert.deepEqual(person.errors, ['FATAL 08P01'])
      await server.ended()
      assert.equal(server.heard.length, 0)
      person.say(query('select 1'))
      await new Promise(resolve => setImmediate(resolve))
      assert.deepEqual(await house.recorded(), [
        'statement delete from t',
        'delete from t: not-run',
        'end protocol',
      ])
    })

    it('comes when the server makes no sense', async () => {
      house = await House.open()
      const { person, server } = await house.session()
      person.say(query('select 1'))
      await server.hears(query('select 1'))
      server.say(description, dataRow('1'), bound, dataRow('2'))
      await until(() => person.isEnded, 'the end')
      assert.equal(person.tags, 'TDE')
      assert.deepEqual(person.errors, ['FATAL 08P01'])
      assert.deepEqual(
        house.reports.map(report => report.error.code),
        ['PROTOCOL'],
      )
    })
  })

  describe('for somebody whose statements are judged', () => {
    it('text that can not be read safely ends the session, and says so', async () => {
      house = await House.open(['read', 'write'])
      const { person, server } = await house.session()
      person.say(query('select 1'))
      await server.hears(query('select 1'))
      server.say(
        BACKEND.complete('SELECT 0'),
        frame('S', Buffer.from('standard_conforming_strings\0off\0')),
        ready(),
      )
      await until(() => person.isEnded, 'the end')
      assert.equal(person.tags, 'CE')
      assert.deepEqual(person.errors, ['FATAL 57P01'])
    })

    it('a database whose own encoding can not be read safely is not opened', async () => {
      house = await House.open(['read'], { settings: { client_encoding: 'SJIS' } })
      const { person, arrived } = house.knock()
      await arrived
      await until(() => person.isEnded, 'the end')
      assert.deepEqual(person.errors, ['FATAL 0A000'])
      assert.deepEqual(await house.recorded(), ['refused UNSUPPORTED'])
    })

    it('a refusal leaves both sides in agreement', async () => {
      house = await House.open(['read'])
      const { person, server } = await house.session()
      person.say(query('delete from t'))
      await until(() => server.heard.length > 0)
      assert.equal(server.heard.includes('delete'), false)
      server.say(error('42601'), ready('E'))
      await until(() => person.tags.endsWith('Z'))
      assert.equal(person.tags, 'EZ')
      assert.deepEqual(person.errors, ['ERROR 42501'])
    })
  })

  describe('a role that is taken away', () => {
    it('ends an idle session at once', async () => {
      house = await House.open(['read'])
      const { person } = await house.session()
      house.regrant([])
      await until(() => person.isEnded, 'the end')
      assert.deepEqual(person.errors, ['FATAL 57P01'])
      assert.deepEqual(await house.recorded(), ['end revoked'])
    })

    it('lets a transaction be finished, and do nothing more', async () => {
      house = await House.open()
      const { person, server } = await house.session()
      person.say(query('begin'))
      await server.hears(query('begin'))
      server.say(complete('BEGIN'), ready('T'))
      await until(() => person.tags === 'CZ')
      house.regrant([])
      person.say(query('select 1'))
      await until(() => server.heard.length > 0)
      assert.equal(server.heard.includes('select 1'), false)
      await server.hears(server.heard)
      server.say(error('42601'), ready('E'))
      person.say(query('rollback'))
      await server.hears(query('rollback'))
      server.say(complete('ROLLBACK'), ready('I'))
      await until(() => person.isEnded, 'the end')
      assert.equal(person.tags, 'CZEZCZE')
      assert.deepEqual(person.errors, ['ERROR 42501', 'FATAL 57P01'])
    })

    it('does not wait for ever', async () => {
      house = await House.open()
      const { person, server } = await house.session()
      person.say(query('begin'))
      await server.hears(query('begin'))
      server.say(complete('BEGIN'), ready('T'))
      await until(() => person.tags === 'CZ')
      house.regrant([])
      house.gate.sweep()
      house.now += 61_000
      house.gate.sweep()
      await until(() => person.isEnded, 'the end')
      assert.deepEqual(person.errors, ['FATAL 57P01'])
    })

    it('is taken away from somebody who is just connecting', async () => {
      house = await House.open(EVERYTHING, { beforeReady: async () => house.regrant([]) })
      const { person, arrived } = house.knock()
      await arrived
      await until(() => person.isEnded, 'the end')
      assert.deepEqual(person.errors, ['FATAL 3D000'])
      assert.deepEqual(house.gate.sessions, [])
    })
  })

  it('lets nobody in who was connecting when it began to go down', async () => {
    house = await House.open(EVERYTHING, { beforeReady: async () => house.gate.drain(0) })
    const { person, arrived } = house.knock()
    await arrived
    await until(() => person.isEnded, 'the end')
    assert.deepEqual(person.errors, ['FATAL 57P03'])
    assert.deepEqual(house.gate.sessions, [])
  })

  it('passes a cancel on for its session’s own principal only', async () => {
    house = await House.open()
    const { person, arrived } = house.knock()
    await house.server.next()
    await arrived
    await until(() => person.tags.endsWith('Z'))
    const key = person.frames.find(({ tag }) => tag === 'K')
    assert.ok(key !== undefined)
    const [pid, secret] = [key.body.readInt32BE(0), key.body.subarray(4)]
    assert.notDeepEqual(secret, UPSTREAM_KEY.secret)
    await house.gate.cancel({ pid, secret }, BEN)
    await house.gate.cancel({ pid, secret: UPSTREAM_KEY.secret }, ANA)
    await house.gate.cancel({ pid: pid + 1, secret }, ANA)
    assert.deepEqual(house.server.cancels, [])
    await house.gate.cancel({ pid, secret }, ANA)
    assert.deepEqual(house.server.cancels, ['4711:01020304'])
    person.lose()
    await until(() => house.gate.sessions.length === 0)
    await house.gate.cancel({ pid, secret }, ANA)
    assert.equal(house.server.cancels.length, 1)
  })

  it('logs in as itself, whoever the person says they are', async () => {
    house = await House.open()
    house.knock(ANA, { database: 'app', application_name: 'psql' })
    const { parameters } = await house.server.next()
    assert.deepEqual(
      [...parameters],
      [
        ['user', 'gate'],
        ['database', 'app'],
        ['application_name', 'psql'],
      ],
    )
  })

  describe('memory', () => {
    const BLOCK = 64 * 1024
    const row = dataRow('x'.repeat(BLOCK))
    const BLOCKS = 1000

    it('stays bounded when the person does not read', async () => {
      house = await House.open()
      const { person, server } = await house.session()
      person.say(query('select 1'))
      await server.hears(query('select 1'))
      person.stream.pause()
      server.say(description)
      let written = 0
      for (; written < BLOCKS; written += 1) {
        if (server.socket.write(row)) continue
        const isDrained = await Promise.race([
          new Promise(resolve => server.socket.once('drain', () => resolve(true))),
          new Promise(resolve => setTimeout(() => resolve(false), 300)),
        ])
        if (isDrained === false) break
      }
      assert.ok(written < BLOCKS, 'the server was never held up')
      person.stream.resume()
      server.say(complete('SELECT 1'), ready())
      await until(() => person.tags.endsWith('Z'), 'the rest')
      assert.equal(person.frames.filter(({ tag }) => tag === 'D').length, written + 1)
    })

    it('stays bounded when the server does not read', async () => {
      house = await House.open()
      const { person, server } = await house.session()
      person.say(query('copy t from stdin'))
      await server.hears(query('copy t from stdin'))
      server.say(copyIn)
      await until(() => person.tags === 'G')
      server.socket.pause()
      const data = copyData('y'.repeat(BLOCK))
      let written = 0
      for (; written < BLOCKS; written += 1) {
        if (person.stream.write(data)) continue
        const isDrained = await Promise.race([
          new Promise(resolve => person.stream.once('drain', () => resolve(true))),
          new Promise(resolve => setTimeout(() => resolve(false), 300)),
        ])
        if (isDrained === false) break
      }
      assert.ok(written < BLOCKS, 'the person was never held up')
      server.socket.resume()
      await until(() => server.heard.length === (written + 1) * data.length, 'the rest')
    })

    it('stays bounded when the server owes many answers', async () => {
      house = await House.open()
      const { person, server } = await house.session()
      const cycles = 120_000
      const some = Buffer.concat(Array.from({ length: cycles / 20 }, () => sync))
      for (let part = 0; part < 20; part += 1) person.stream.write(some)
      await until(() => server.heard.length >= 60_000 * sync.length, 'the first part')
      let before = -1
      while (before !== server.heard.length) {
        before = server.heard.length
        await new Promise(resolve => setTimeout(resolve, 200))
      }
      assert.ok(before / sync.length < 80_000, `${before / sync.length} went on`)
      let answered = 0
      while (answered < cycles) {
        const asked = Math.floor(server.heard.length / sync.length)
        server.say(...Array.from({ length: asked - answered }, () => ready()))
        answered = asked
        await new Promise(resolve => setTimeout(resolve, 5))
      }
      await until(() => person.frames.length === cycles, 'all answers')
    })
  })

  it('carries a pipeline whose statements are refused one by one', async () => {
    house = await House.open(['read'])
    const { person, server } = await house.session()
    person.say(
      parse('select 1'),
      bind(),
      execute(),
      parse('delete from t'),
      bind(),
      execute(),
      sync,
    )
    await until(() => server.heard.includes(sync))
    server.say(parsed, bound, complete('SELECT 0'), error('42601'), ready())
    await until(() => person.tags.endsWith('Z'))
    assert.equal(person.tags, '12CEZ')
    assert.deepEqual(person.errors, ['ERROR 42501'])
  })
})
