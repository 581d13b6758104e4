/**
 * What recording adds to one short statement on the thread that serves, and in all threads together, in µs of
 * processor time: less disturbed by what else the machine does than a rate. `node bench/recorder.ts [count]`
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Recorder } from '../src/gate/recorder.ts'
import { startRun } from '../src/gate/run.ts'
import { AuditLog, Recordings } from '../src/record/index.ts'
import { selectFacts, sessionFacts } from '../test/record/builders.ts'

const COUNT = Number(process.argv[2] ?? 20_000)
const directory = mkdtempSync(join(tmpdir(), 'dbgate-bench-recorder-'))
const log = await AuditLog.open(join(directory, 'audit'), { now: Date.now })
const recordings = await Recordings.open(
  {
    directory: join(directory, 'recordings'),
    results: { rows: 50, bytes: 256 * 1024 },
    parameters: 'masked',
    isRequired: false,
    now: Date.now,
    clock: () => performance.now(),
    report: (session, reason) => console.error(session, reason),
  },
  log,
)

/** A message, given as hexadecimal digits of its body. */
function message(tag: string, body: string): Buffer {
  const bytes = Buffer.from(`00000000${body}`, 'hex')
  bytes.writeInt32BE(bytes.length)
  return Buffer.concat([Buffer.from(tag), bytes])
}

/** Four bytes of field, type int4, as pgbench -S gets them. */
const DESCRIPTION = message('T', `0001${hex('abalance')}00000040000003000000170004ffffffff0000`)
const ROW = message('D', '00010000000130')
const DONE = message('C', `${hex('SELECT 1')}00`)
const READY = message('Z', '49')
const END = { outcome: 'ok', rows: 1, bytes: 12, durationUs: 130, tag: 'SELECT 1' } as const
const statements = [{ kind: 'SELECT', class: 'read', relations: [] }]

function hex(text: string): string {
  return Buffer.from(text).toString('hex')
}

async function measure(session: string, isRecorded: boolean): Promise<[number, number]> {
  const facts = sessionFacts(session)
  const recording = recordings.begin(facts, () => {})
  const recorder = new Recorder({
    recording,
    parameters: 'masked',
    encoding: () => 'UTF8',
    isPrivate: () => false,
  })
  const part = log.begin(facts, isRecorded ? recorder : undefined)
  const [thread, all] = [process.threadCpuUsage(), process.cpuUsage()]
  for (let i = 0; i < COUNT; i++) {
    const text = `SELECT abalance FROM pgbench_accounts WHERE aid = ${(i * 7919) % 1_000_000};`
    const id = part.stage(selectFacts(text, { statements }))
    part.commit()
    if (isRecorded) {
      const run = startRun(id, 0)
      recorder.message(undefined, run, DESCRIPTION)
      recorder.row(run, undefined, ROW)
    }
    part.complete(id, END)
    if (isRecorded) {
      recorder.message(undefined, null, DONE)
      recorder.message(undefined, null, READY)
      recorder.flush()
    }
    if (i % 20 === 0) await new Promise(setImmediate)
  }
  const [threadUsed, allUsed] = [process.threadCpuUsage(thread), process.cpuUsage(all)]
  part.end('done')
  await recordings.close()
  return [(threadUsed.user + threadUsed.system) / COUNT, (allUsed.user + allUsed.system) / COUNT]
}

try {
  console.log('µs a statement      this thread  all threads')
  for (let round = 0; round < 5; round++) {
    for (const isRecorded of [false, true]) {
      const used = await measure(`s-${round}${isRecorded}`, isRecorded)
      const cells = used.map(us => us.toFixed(2).padStart(11)).join('  ')
      console.log(`${isRecorded ? 'audit and recording' : 'audit only         '} ${cells}`)
    }
  }
  await log.close()
} finally {
  rmSync(directory, { recursive: true, force: true })
}
