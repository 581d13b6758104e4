import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import {
  AuditLog,
  findRecording,
  type Recording,
  type RecordingEvent,
  Recordings,
  Retention,
  readRecording,
  recordingDays,
  verifyLog,
} from '../../src/record/index.ts'
import { eventually, recordsOf, sessionFacts, temporaryDirectory } from './builders.ts'

const CHILD = join(import.meta.dirname, 'recording-child.ts')
const ROUNDS = Number(process.env.DBGATE_CRASH_ROUNDS ?? 10)
const DAY_MS = 86_400_000
const START_MS = Date.UTC(2026, 2, 2, 11)

type Bench = { log: AuditLog; recordings: Recordings; reported: string[] }

async function open(dir: string, more: { now?: () => number; required?: boolean } = {}) {
  const now = more.now ?? (() => START_MS)
  const log = await AuditLog.open(join(dir, 'audit'), { now })
  const reported: string[] = []
  const recordings = await Recordings.open(
    {
      directory: join(dir, 'recordings'),
      results: { rows: 50, bytes: 100_000 },
      parameters: 'full',
      isRequired: more.required ?? false,
      now,
      clock: () => performance.now(),
      report: (_session, reason) => reported.push(reason),
    },
    log,
  )
  return { log, recordings, reported }
}

/** A whole session with its recording. */
function begin({ log, recordings }: Bench, id: string, onFailure = () => {}) {
  const recording: Recording = recordings.begin(sessionFacts(id), onFailure)
  const session = log.begin(sessionFacts(id, { recording: recording.file }), {
    statement: () => {},
    completed: () => {},
    ended: reason => recording.end(reason),
    sealed: () => recording.sealed(),
  })
  return { recording, session }
}

async function eventsOf(path: string): Promise<RecordingEvent[]> {
  const events: RecordingEvent[] = []
  for await (const event of readRecording(path)) events.push(event)
  return events
}

const rows = (id: string, text: string) => `"e":"rows","id":"${id}","rows":[["${text}"]]}`

describe('record/recordings', function () {
  this.timeout(60_000)

  it(`accounts for every session after ${ROUNDS} kills -9 under load`, async function () {
    this.timeout(ROUNDS * 10_000)
    using dir = temporaryDirectory()
    let permitted = 0
    for (let round = 0; round < ROUNDS; round++) {
      const child = spawn(process.execPath, [CHILD, dir.path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const closed = once(child, 'close')
      let said = ''
      child.stdout.on('data', chunk => {
        said += String(chunk)
      })
      await eventually(() => said.includes('ready') || undefined, 20_000)
      await new Promise(resolve => setTimeout(resolve, Math.random() * 400))
      child.kill('SIGKILL')
      assert.equal((await closed)[1], 'SIGKILL')
      permitted += said.split('\n').filter(line => line.startsWith('+')).length
      const recordings = join(dir.path, 'recordings')
      const found = await verifyLog(join(dir.path, 'audit'), { recordings })
      assert.equal(found.isWhole, true, JSON.stringify(found.findings))
    }
    const bench = await open(dir.path, { now: Date.now })
    await bench.log.close()
    const directory = join(dir.path, 'recordings')
    assert.deepEqual(readdirSync(join(directory, 'open')), [])
    const records = await recordsOf(join(dir.path, 'audit'))
    const started = records.filter(one => one.type === 'session.start').map(one => one.session)
    const recovered = records.filter(one => one.type === 'recording.recovered')
    assert.ok(started.length > ROUNDS && recovered.length > 0 && permitted > 0)
    assert.equal(records.filter(one => one.type === 'statement').length >= permitted, true)
    for (const session of started) {
      const path = findRecording(directory, session)?.path ?? ''
      if (statSync(path).size === 0) continue // killed before anything was flushed
      const events = await eventsOf(path)
      assert.deepEqual([events[0]?.e, events.at(-1)?.e], ['start', 'end'], session)
      // Any tool reads it.
      gunzipSync(readFileSync(path))
    }
    const found = await verifyLog(join(dir.path, 'audit'), { recordings: directory })
    assert.equal(found.isWhole, true, JSON.stringify(found.findings))
    // One whose file was made and whose start was not on record yet when the server was killed.
    const recorded = new Set([...started, ...recovered.map(one => one.session)])
    assert.equal(found.recordings?.recordings, recorded.size)
  })

  // Where this process may not mount, a directory that can't be written to stands for the full disk.
  it('goes on while the disk is full, writes what it kept, and says what it could not', async () => {
    using dir = temporaryDirectory()
    const disk = join(dir.path, 'recordings')
    mkdirSync(disk)
    const isMounted = mount(disk)
    try {
      const bench = await open(dir.path)
      const { recording, session } = begin(bench, 's-full')
      if (isMounted) await fill(disk, recording, bench.reported)
      session.end('end')
      await bench.recordings.close()
      await bench.log.close()
      const end = (await recordsOf(join(dir.path, 'audit'))).find(one => one.type === 'session.end')
      const events = await eventsOf(join(disk, '2026-03-02', 's-full.dbgr'))
      assert.equal(events.at(-1)?.e, 'end')
      if (isMounted) {
        assert.equal(end?.recording?.cut, 'ENOSPC')
        assert.ok(events.some(each => each.e === 'statement' && each.id === 's-full.2'))
        const cut = events.find(each => each.e === 'cut')
        assert.deepEqual([cut?.what, cut?.why], ['results', 'disk'])
      }
      const found = await verifyLog(join(dir.path, 'audit'), { recordings: disk })
      assert.equal(found.isWhole, true, JSON.stringify(found.findings))
    } finally {
      if (isMounted) execFileSync('umount', ['-l', disk])
    }
  })

  it('ends a session that it cannot record where that is required, and lets none begin', async () => {
    using dir = temporaryDirectory()
    const bench = await open(dir.path, { required: true })
    const directory = join(dir.path, 'recordings', 'open')
    rmSync(directory, { recursive: true })
    assert.throws(() => bench.recordings.begin(sessionFacts('s-none'), assert.fail), {
      code: 'UNRECORDED',
      sqlstate: '58030',
    })
    await bench.log.close()
  })

  it('takes results out and deletes in time, on record, and never calls that tampering', async () => {
    using dir = temporaryDirectory()
    let now = START_MS
    const bench = await open(dir.path, { now: () => now })
    const directory = join(dir.path, 'recordings')
    for (const id of ['s-a', 's-b']) {
      const { recording, session } = begin(bench, id)
      recording.add(`"e":"statement","id":"${id}.1","text":"SELECT secret"}`, false)
      recording.add(rows(`${id}.1`, 'the secret'), true)
      recording.add(rows(`${id}.1`, 'another'), true)
      session.end('end')
    }
    await bench.recordings.close()
    const retention = new Retention({
      directory,
      keep: { sessionsMs: 400 * DAY_MS, resultsMs: 30 * DAY_MS },
      now: () => now,
      append: (...records) => bench.log.append(...records),
      report: (session, reason) => assert.fail(`${session}: ${reason}`),
    })
    const verify = () => verifyLog(join(dir.path, 'audit'), { recordings: directory })
    const path = join(directory, '2026-03-02', 's-a.dbgr')
    await retention.sweep()
    assert.equal((await eventsOf(path)).filter(each => each.e === 'rows').length, 2)

    now += 32 * DAY_MS
    await retention.sweep()
    await retention.sweep()
    const thin = await eventsOf(path)
    assert.deepEqual(
      thin.map(each => each.e),
      ['start', 'statement', 'cut', 'end'],
    )
    assert.ok(
      thin.some(each => each.e === 'cut' && each.why === 'retention' && each.id === 's-a.1'),
    )
    const thinned = (await recordsOf(join(dir.path, 'audit'))).filter(
      one => one.type === 'recording.thinned',
    )
    assert.deepEqual(thinned.map(one => one.session).sort(), ['s-a', 's-b'])
    assert.equal((await verify()).isWhole, true)
    chmodSync(path, 0o600)
    appendFileSync(path, 'x')
    assert.equal((await verify()).broken?.kind, 'recording-changed')

    now += 400 * DAY_MS
    await retention.sweep()
    assert.deepEqual(recordingDays(directory), [])
    assert.equal(existsSync(path), false)
    const found = await verify()
    assert.deepEqual([found.isWhole, found.recordings?.recordings], [true, 0])
    await bench.log.close()
  })

  it('refuses a recording that was changed, at the byte where it was', async () => {
    using dir = temporaryDirectory()
    const bench = await open(dir.path)
    const { recording, session } = begin(bench, 's-x')
    recording.add(rows('s-x.1', 'y'.repeat(500)), true)
    session.end('end')
    await bench.recordings.close()
    await bench.log.close()
    const path = join(dir.path, 'recordings', '2026-03-02', 's-x.dbgr')
    const bytes = readFileSync(path)
    for (let at = 0; at < bytes.length; at += 7) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 0x55
      writeFileSync(path, changed)
      const outcome = await eventsOf(path).then(
        events => events.at(-1)?.e ?? 'nothing',
        (error: { code?: string }) => error.code,
      )
      // A length that was changed makes it look unfinished.
      assert.ok(outcome === 'INTEGRITY' || outcome === 'nothing', `byte ${at}: ${outcome}`)
    }
  })
})

function mount(path: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', path], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Fills the disk, goes on recording until results are cut, and frees it again. */
async function fill(disk: string, recording: Recording, reported: string[]): Promise<void> {
  const ballast = join(disk, 'ballast')
  try {
    writeFileSync(ballast, Buffer.alloc(2 * 1024 * 1024))
  } catch {
    // As much of it as there was room for.
  }
  const noise = (times: number) => {
    for (let n = 0; n < times; n++) {
      const text = Buffer.from(String(Math.random()).repeat(300)).toString('base64')
      recording.add(rows('s-full.1', text), true)
    }
  }
  noise(50)
  await eventually(() => reported.includes('ENOSPC') || undefined)
  noise(700)
  recording.add('"e":"statement","id":"s-full.2","text":"SELECT 2"}', false)
  rmSync(ballast)
}
