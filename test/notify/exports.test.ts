import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { ExportSink } from '../../src/config/index.ts'
import { type ExportProblem, Exports } from '../../src/notify/index.ts'
import { AuditLog } from '../../src/record/index.ts'
import { selectFacts, sessionFacts, temporaryDirectory } from '../record/builders.ts'
import { fastClock, Receiver, SECRET, until } from './receiver.ts'

const common = { name: 'siem', events: ['*'], parameters: false } as const
const webhook = (url: string, more: Partial<ExportSink> = {}): ExportSink =>
  ({
    ...common,
    kind: 'webhook',
    url,
    secret: { from: 'env', value: 'KEY' },
    ...more,
  }) as ExportSink
const syslog = (transport: 'udp' | 'tcp', port: number): ExportSink => ({
  ...common,
  ...{ kind: 'syslog', transport, host: '127.0.0.1', port, ca: undefined },
})

type Sent = { n: number; type: string; text?: string; sha256: string }

describe('notify/exports', () => {
  let dir: ReturnType<typeof temporaryDirectory>
  let log: AuditLog
  let exports: Exports | undefined
  const problems: ExportProblem[] = []
  const receiver = new Receiver()

  before(() => receiver.listen())
  after(() => receiver.close())
  beforeEach(async () => {
    dir = temporaryDirectory()
    problems.length = 0
    receiver.got.length = 0
    receiver.answer = response => void response.end('ok')
    log = await AuditLog.open(join(dir.path, 'audit'), { now: Date.now, maxSegmentBytes: 2000 })
    log.append({ type: 'server.start', version: '1', pid: 1 })
  })
  afterEach(async () => {
    await exports?.close()
    await log.close()
    dir[Symbol.dispose]()
  })

  function start(...sinks: ExportSink[]): void {
    exports = new Exports(sinks, {
      ...{ stateDir: dir.path, logDir: join(dir.path, 'audit'), now: Date.now, fetch },
      ...{ host: 'bastion', version: '1.2.3', after: fastClock(50).after },
      secret: async () => SECRET,
      report: problem => void problems.push(problem),
    })
  }
  /** The place where a new sink begins is known once its file is there. */
  const started = () =>
    until(() => {
      try {
        return readFileSync(join(dir.path, 'export', 'siem.json')).length > 0
      } catch {
        return false
      }
    }, 'the cursor')
  const say = (...texts: string[]) => {
    const session = log.begin(sessionFacts())
    for (const text of texts) session.stage(selectFacts(text, { parameters: ['secret value'] }))
    log.commit()
  }
  const sent = (): Sent[] =>
    receiver.got.flatMap(({ body }) => {
      const { events }: { events: Sent[] } = JSON.parse(body)
      return events
    })
  const texts = () => sent().flatMap(({ text }) => (text === undefined ? [] : [text]))

  it('posts signed batches without values, from the start on and not the past', async () => {
    start(webhook(receiver.url))
    await started()
    say('select 1', "select 'ü\u202e'")
    await until(() => texts().length === 2, 'both')
    assert.deepEqual(texts(), ['select 1', "select 'ü\u202e'"])
    assert.ok(sent().every(({ type }) => type !== 'server.start'))
    const [first] = receiver.got
    assert.ok(first !== undefined && !first.body.includes('secret value'))
    assert.match(first.body, /\\u202e/)
    const [, t, v1] = /^t=(\d+),v1=(\w+)$/.exec(String(first.headers['x-dbgate-signature'])) ?? []
    const expected = createHmac('sha256', SECRET).update(`${t}.${first.body}`).digest('hex')
    assert.equal(v1, expected)
  })

  it('catches up in order after an outage and after a restart, and tells of both ends', async () => {
    start(webhook(receiver.url))
    await started()
    receiver.answer = response => void response.writeHead(503).end()
    say(...Array.from({ length: 30 }, (_, i) => `select ${i}`))
    await until(() => problems.length > 0, 'the problem')
    assert.deepEqual([problems[0]?.what, problems[0]?.why], ['late', 'HTTP 503'])
    await exports?.close()
    receiver.got.length = 0
    receiver.answer = response => void response.end('ok')
    say(...Array.from({ length: 500 }, (_, i) => `select ${i + 30}`))
    start(webhook(receiver.url))
    await until(() => texts().length >= 530, 'all of it')
    assert.deepEqual(
      texts(),
      Array.from({ length: 530 }, (_, i) => `select ${i}`),
    )
    const numbers = sent().map(({ n }) => n)
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
    )
  })

  it('sends only the types that are wanted', async () => {
    start(webhook(receiver.url, { events: ['denied', 'server.*'] }))
    await started()
    say('select 1')
    log.begin(sessionFacts()).deny(selectFacts('drop table x', { verdict: 'deny' }))
    log.append({ type: 'server.stop', reason: 'test' })
    await until(() => sent().length >= 2, 'two')
    assert.deepEqual(
      sent().map(({ type }) => type),
      ['denied', 'server.stop'],
    )
  })

  it('writes OTLP logs as JSON', async () => {
    const headers = { 'api-key': { from: 'env', value: 'KEY' } } as const
    start({ ...common, kind: 'otlp', url: `${receiver.url}/v1/logs`, headers })
    await started()
    say('select 1')
    await until(() => receiver.got.length > 0, 'a batch')
    const [got] = receiver.got
    assert.equal(got?.path, '/v1/logs')
    assert.equal(got?.headers['api-key'], SECRET)
    const body = JSON.parse(got?.body ?? '')
    const records = body.resourceLogs[0].scopeLogs[0].logRecords
    const statement = records.find(
      (each: { eventName: string }) => each.eventName === 'dbgate.statement',
    )
    assert.match(statement.timeUnixNano, /^\d{19}$/)
    assert.equal(JSON.parse(statement.body.stringValue).text, 'select 1')
  })

  it('frames syslog over TCP, and sends again what nobody confirmed when the line was lost', async () => {
    const got: string[] = []
    const lines = new Set<Socket>()
    const collector = createServer(socket => {
      lines.add(socket)
      let rest: Buffer = Buffer.alloc(0)
      socket.on('error', () => undefined)
      socket.on('data', chunk => {
        rest = Buffer.concat([rest, Buffer.from(chunk)])
        for (;;) {
          const head = /^(\d+) /.exec(rest.toString('latin1', 0, 12))
          const end = head === null ? Infinity : head[0].length + Number(head[1])
          if (head === null || rest.length < end) return
          got.push(rest.toString('utf8', head[0].length, end))
          rest = rest.subarray(end)
        }
      })
    })
    await new Promise<void>(resolve => collector.listen(0, '127.0.0.1', resolve))
    const { port } = collector.address() as AddressInfo
    try {
      start(syslog('tcp', port))
      await started()
      say('select 1\n2')
      await until(() => got.some(line => line.includes('select 1')), 'the first')
      assert.match(
        got.find(line => line.includes('select 1')) ?? '',
        /^<110>1 \d{4}-\d\d-\d\dT[\d:.]+Z bastion dbgate - statement - \{.*"text":"select 1\\n2".*\}$/,
      )
      for (const line of lines) line.destroy()
      say('select 3')
      await until(() => got.some(line => line.includes('select 3')), 'the second')
      assert.equal(got.filter(line => line.includes('select 1\\n2')).length, 2)
    } finally {
      await exports?.close()
      for (const line of lines) line.destroy()
      await new Promise(resolve => collector.close(resolve))
    }
  })

  it('sends datagrams, shortened where they would not fit', async () => {
    const got: string[] = []
    const collector = createSocket('udp4')
    collector.on('message', message => got.push(message.toString()))
    await new Promise<void>(resolve => collector.bind(0, '127.0.0.1', resolve))
    try {
      start(syslog('udp', collector.address().port))
      await started()
      say(`select '${'x'.repeat(50_000)}'`)
      await until(() => got.some(line => line.includes('- statement -')), 'it')
      const line = got.find(each => each.includes('- statement -')) ?? ''
      const event = JSON.parse(line.slice(line.indexOf('{')))
      assert.equal(event.textLeftOut + event.text.length, 50_009)
    } finally {
      await exports?.close()
      collector.close()
    }
  })
})
