import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DbgateError } from '../../src/errors.ts'
import { AuditLog, verifyLog } from '../../src/record/index.ts'
import { eventually, recordsOf, selectFacts, sessionFacts, temporaryDirectory } from './builders.ts'

const CHILD = join(import.meta.dirname, 'writer-child.ts')
/** More of them by hand: DBGATE_CRASH_ROUNDS=50. */
const ROUNDS = Number(process.env.DBGATE_CRASH_ROUNDS ?? 8)

type Answers = { permitted: string[]; refused: string[] }

/** Runs the writing child until it ends or, after `killAfterMs` of writing, is killed; returns what it said. */
async function run(command: string[], killAfterMs?: number): Promise<Answers> {
  const [program = '', ...args] = command
  const child: ChildProcess = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  let said = ''
  child.stdout?.on('data', chunk => {
    said += String(chunk)
  })
  if (killAfterMs !== undefined) {
    await eventually(() => said.includes('ready') || undefined, 15_000)
    setTimeout(() => child.kill('SIGKILL'), killAfterMs)
  }
  const [code, signal] = await closed
  if (killAfterMs === undefined) assert.equal(code, 0)
  else assert.equal(signal, 'SIGKILL')
  const lines = said.slice(0, said.lastIndexOf('\n')).split('\n')
  const of = (sign: string) =>
    lines.filter(line => line.startsWith(sign)).map(line => line.slice(1))
  return { permitted: of('+'), refused: of('-') }
}

/** Each permitted statement is on record once; a refused one is not, or as one that was not run. */
async function checkAccount(dir: string, { permitted, refused }: Answers): Promise<void> {
  const recorded = new Set<string>()
  const notRun = new Set<string>()
  for (const record of await recordsOf(dir)) {
    if (record.type === 'completed' && record.outcome === 'not-run') notRun.add(record.id)
    if (record.type !== 'statement') continue
    assert.ok(!recorded.has(record.id), `${record.id} is on record twice`)
    recorded.add(record.id)
  }
  for (const id of permitted) {
    assert.ok(recorded.has(id), `${id} was permitted and is not on record`)
    assert.ok(!notRun.has(id), `${id} was permitted and counts as not run`)
  }
  for (const id of refused) {
    assert.ok(!recorded.has(id) || notRun.has(id), `${id} was refused and counts as run`)
  }
}

function mountSmallDisk(path: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', path], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

describe('record after a crash', () => {
  it(`loses no permitted statement in ${ROUNDS} kills -9 in the middle of writing`, async function () {
    this.timeout(ROUNDS * 10_000)
    using dir = temporaryDirectory()
    const all: Answers = { permitted: [], refused: [] }
    for (let round = 0; round < ROUNDS; round++) {
      // Large batches take long to write, so that some kills meet an unfinished one.
      const [batch, bytes] = round % 2 === 0 ? ['1', '30'] : ['40', '20000']
      const command = [process.execPath, CHILD, dir.path, `s-${round}`, batch, bytes]
      const { permitted } = await run(command, Math.random() * 60)
      all.permitted.push(...permitted)
    }
    const log = await AuditLog.open(dir.path, { now: Date.now })
    await log.close()
    const found = await verifyLog(dir.path)
    assert.equal(found.isWhole, true, JSON.stringify(found.broken))
    assert.ok(all.permitted.length > 0)
    await checkAccount(dir.path, all)
  })
})

describe('record in two processes', () => {
  it('refuses the second writer until the first is gone, however it went', async () => {
    using dir = temporaryDirectory()
    const child = spawn(process.execPath, [CHILD, dir.path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const closed = once(child, 'close')
    child.stdout.resume()
    await once(child.stdout, 'data')
    await assert.rejects(AuditLog.open(dir.path, { now: Date.now }), { code: 'IN_USE' })
    child.kill('SIGKILL')
    await closed
    const log = await AuditLog.open(dir.path, { now: Date.now })
    await log.close()
    assert.equal((await verifyLog(dir.path)).isWhole, true)
  })
})

describe('record on a full disk', () => {
  it('goes on in a new segment where a file may not grow (EFBIG), and accounts for all', async () => {
    using dir = temporaryDirectory()
    const child = [process.execPath, CHILD, dir.path, 's-f', '7', '500', '300']
    const answers = await run(['prlimit', '--fsize=150000', ...child])
    assert.ok(answers.refused.length > 0 && answers.permitted.length > answers.refused.length)
    await checkAccount(dir.path, answers)
    const found = await verifyLog(dir.path)
    assert.equal(found.isWhole, true, JSON.stringify(found.broken))
    assert.ok(found.segments > 3)
    const gaps = (await recordsOf(dir.path)).filter(record => record.type === 'gap')
    assert.ok(gaps.length > 2 && gaps.every(gap => gap.reason === 'EFBIG' && gap.refused === 7))
  })

  // Where this process may not mount, the limit above stands for the full disk.
  it('refuses statements while the disk is full and recovers by itself (where it can mount)', async () => {
    using dir = temporaryDirectory()
    const disk = join(dir.path, 'disk')
    mkdirSync(disk)
    const isMounted = mountSmallDisk(disk)
    try {
      if (isMounted) await fillAndFree(disk)
      else await run([process.execPath, CHILD, disk, 's-f', '1', '10', '3'])
    } finally {
      if (isMounted) execFileSync('umount', ['-l', disk])
    }
  })
})

async function fillAndFree(disk: string): Promise<void> {
  const answers: Answers = { permitted: [], refused: [] }
  const ballast = join(disk, 'ballast')
  const log = await AuditLog.open(join(disk, 'audit'), { now: Date.now, maxSegmentBytes: 300_000 })
  const session = log.begin(sessionFacts('s-d'))
  const runBatch = () => {
    const ids = Array.from({ length: 5 }, () => session.stage(selectFacts('x'.repeat(3000))))
    try {
      session.commit()
      answers.permitted.push(...ids)
      return true
    } catch (error) {
      assert.ok(error instanceof DbgateError && error.sqlstate === '58030')
      answers.refused.push(...ids)
      return false
    }
  }
  writeFileSync(ballast, Buffer.alloc(500_000))
  while (runBatch());
  assert.equal(log.failure?.reason, 'ENOSPC')
  assert.equal(runBatch(), false)
  session.deny(selectFacts('DROP TABLE t', { verdict: 'deny', rule: 'no-drop' }))
  assert.throws(() => log.begin(sessionFacts('s-e')), { code: 'UNAUDITED' })
  const before = await verifyLog(join(disk, 'audit'))
  assert.equal(before.isWhole, true, JSON.stringify(before.broken))

  rmSync(ballast)
  await eventually(() => (log.failure === undefined ? true : undefined))
  assert.equal(runBatch(), true)
  assert.ok(statfsSync(disk).bavail > 0)
  await log.close()
  const found = await verifyLog(join(disk, 'audit'))
  assert.equal(found.isWhole, true, JSON.stringify(found.broken))
  const records = await recordsOf(join(disk, 'audit'))
  const gaps = records.filter(record => record.type === 'gap')
  // The session that could not start counts as well.
  assert.equal(
    gaps.reduce((sum, gap) => sum + gap.refused, 0),
    answers.refused.length + 1,
  )
  assert.ok(records.some(record => record.type === 'denied'))
  await checkAccount(join(disk, 'audit'), answers)
}
