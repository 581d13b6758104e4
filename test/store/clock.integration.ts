import assert from 'node:assert/strict'
import { join } from 'node:path'
import fc from 'fast-check'
import {
  AuditLog,
  findRecording,
  type RecordingEvent,
  Recordings,
  Retention,
  readRecording,
  type SessionLog,
  verifyLog,
} from '../../src/record/index.ts'
import { AuditIndex } from '../../src/store/index.ts'
import { ok, recordsOf, selectFacts, sessionFacts, temporaryDirectory } from '../record/builders.ts'

const START_MS = Date.UTC(2026, 2, 2, 0, 30)
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** What happens: the clock steps (mostly back), and then one of these. */
type Step = {
  readonly clockMs: number
  readonly does: 'statement' | 'session' | 'restart' | 'look'
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    clockMs: fc.oneof(
      fc.constantFrom(0, 5, -1, -5000, -HOUR_MS, -DAY_MS, DAY_MS),
      fc.integer({ min: -2 * DAY_MS, max: DAY_MS }),
    ),
    does: fc.constantFrom('statement', 'statement', 'statement', 'session', 'restart', 'look'),
  }),
  { minLength: 10, maxLength: 40 },
)

/** A server's log, recordings and index, with a clock that is set by hand. */
class Server {
  readonly #dir: string
  readonly auditDirectory: string
  readonly recordingsDirectory: string
  at = START_MS
  #log: AuditLog | undefined
  #recordings: Recordings | undefined
  index: AuditIndex | undefined
  readonly sessions: string[] = []
  readonly statements: string[] = []
  readonly #live: SessionLog[] = []

  constructor(dir: string) {
    this.#dir = dir
    this.auditDirectory = join(dir, 'audit')
    this.recordingsDirectory = join(dir, 'recordings')
  }

  async start(): Promise<void> {
    const now = () => this.at
    this.#log = await AuditLog.open(this.auditDirectory, { now, maxSegmentBytes: 4000, flushMs: 2 })
    this.#recordings = await Recordings.open(
      {
        directory: this.recordingsDirectory,
        results: { rows: 50, bytes: 100_000 },
        parameters: 'full',
        isRequired: true,
        now,
        clock: () => performance.now(),
        report: (session, reason) => assert.fail(`${session}: ${reason}`),
      },
      this.#log,
    )
    this.index = await AuditIndex.open({
      logDir: this.auditDirectory,
      file: join(this.#dir, 'index.sqlite'),
    })
    this.begin()
  }

  begin(): void {
    assert.ok(this.#log !== undefined && this.#recordings !== undefined)
    const id = `s-${String(this.sessions.length).padStart(6, 'a')}`
    const recording = this.#recordings.begin(sessionFacts(id), assert.fail)
    const session = this.#log.begin(sessionFacts(id, { recording: recording.file }), {
      statement: (of, facts) =>
        recording.add(`"e":"statement","id":"${of}","text":"${facts.text}"}`, false),
      completed: () => {},
      ended: reason => recording.end(reason),
      sealed: () => recording.sealed(),
    })
    this.sessions.push(id)
    this.#live.push(session)
  }

  /** In any of the sessions that are open. */
  run(): void {
    const session = this.#live[this.statements.length % this.#live.length]
    assert.ok(session !== undefined)
    const id = session.stage(selectFacts(`SELECT ${this.statements.length}`))
    session.commit()
    session.complete(id, ok)
    this.statements.push(id)
  }

  async stop(): Promise<void> {
    for (const session of this.#live.splice(0)) session.end('server stops')
    await this.#recordings?.close()
    await this.index?.close()
    await this.#log?.close()
  }

  /** Deletes what is older than a year: nothing is. */
  async sweep(): Promise<void> {
    await new Retention({
      directory: this.recordingsDirectory,
      keep: { sessionsMs: 400 * DAY_MS, resultsMs: 400 * DAY_MS },
      now: () => this.at,
      append: () => assert.fail('something was deleted'),
      report: (session, reason) => assert.fail(`${session}: ${reason}`),
    }).sweep()
  }
}

/** The last `limit` of what is found. */
async function found(
  index: AuditIndex | undefined,
  query: string,
  limit = 1000,
): Promise<string[]> {
  const rows = (await index?.search(query, { limit })) ?? []
  return rows.map(({ id }) => id)
}

describe('a clock that is set back', function () {
  this.timeout(120_000)

  it('loses, doubles and reorders nothing, in the log, the recordings and the index', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async planned => {
        using dir = temporaryDirectory()
        const server = new Server(dir.path)
        await server.start()
        try {
          for (const { clockMs, does } of planned) {
            server.at += clockMs
            if (does === 'session') server.begin()
            if (does === 'restart') {
              await server.stop()
              await server.start()
            }
            if (does === 'look') {
              assert.deepEqual(await found(server.index, ''), server.statements)
            }
            server.run()
          }
          const { index, statements } = server
          assert.deepEqual(await found(index, ''), statements)
          assert.deepEqual(await found(index, '', 3), statements.slice(-3))
          const last = statements.length - 1
          assert.deepEqual(await found(index, `"SELECT ${last}"`), statements.slice(-1))
        } finally {
          await server.stop()
        }
        await holdsAll(server)
      }),
      { numRuns: 12 },
    )
  })
})

async function holdsAll(server: Server): Promise<void> {
  const records = await recordsOf(server.auditDirectory)
  assert.deepEqual(
    records.map(({ n }) => n),
    records.map((_, i) => i + 1),
  )
  const ran = records.flatMap(one => (one.type === 'statement' ? [one.id] : []))
  const completed = records.flatMap(one => (one.type === 'completed' ? [one.id] : []))
  assert.deepEqual(ran, server.statements)
  assert.deepEqual(completed, server.statements)
  await server.sweep()
  const told: string[] = []
  for (const session of server.sessions) {
    const events: RecordingEvent[] = []
    const path = findRecording(server.recordingsDirectory, session)?.path ?? ''
    for await (const event of readRecording(path)) events.push(event)
    assert.deepEqual([events[0]?.e, events.at(-1)?.e], ['start', 'end'], session)
    const times = events.map(({ t }) => t)
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    )
    told.push(...events.flatMap(event => (event.e === 'statement' ? [event.id] : [])))
  }
  assert.deepEqual(told.toSorted(), server.statements.toSorted())
  const { recordingsDirectory: recordings } = server
  const verified = await verifyLog(server.auditDirectory, { recordings })
  assert.equal(verified.isWhole, true, JSON.stringify(verified.findings))
}
