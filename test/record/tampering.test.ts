import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import {
  AuditLog,
  Checkpoints,
  loadCheckpointKey,
  Recordings,
  readCheckpoints,
  readPublicKey,
  type Verification,
  verifyLog,
} from '../../src/record/index.ts'
import { eventually, ok, selectFacts, sessionFacts, temporaryDirectory } from './builders.ts'

const EPOCH_MS = Date.UTC(2026, 2, 2, 11)

/** A server's state after some sessions: log, recordings, and checkpoints that lie elsewhere. */
type State = {
  readonly dir: string
  readonly audit: string
  readonly recordings: string
  readonly elsewhere: string
  readonly key: string
}

function stateIn(dir: string): State {
  return {
    dir,
    audit: join(dir, 'audit'),
    recordings: join(dir, 'recordings'),
    elsewhere: join(dir, 'checkpoints.jsonl'),
    key: join(dir, 'checkpoint.pub'),
  }
}

/** One run of a server: `sessions` sessions of ten statements, a checkpoint after each and one at the end. */
async function serve(dir: string, sessions: readonly string[], end = true): Promise<State> {
  const state = stateIn(dir)
  const log = await AuditLog.open(state.audit, { now: () => EPOCH_MS, maxSegmentBytes: 4000 })
  const recordings = await Recordings.open(
    {
      directory: state.recordings,
      results: { rows: 5, bytes: 1000 },
      parameters: 'masked',
      isRequired: false,
      now: () => EPOCH_MS,
      clock: () => performance.now(),
      report: (session, reason) => assert.fail(`${session}: ${reason}`),
    },
    log,
  )
  log.append({ type: 'server.start', version: '0', pid: 1 })
  const checkpoints = await Checkpoints.open({
    to: state.elsewhere,
    everyMs: 3_600_000,
    key: loadCheckpointKey(dir, randomBytes),
    head: () => log.settle(),
    now: () => EPOCH_MS,
    report: reason => assert.fail(reason),
    behind: () => {},
  })
  for (const id of sessions) {
    const recording = recordings.begin(sessionFacts(id), assert.fail)
    const session = log.begin(sessionFacts(id, { recording: recording.file }), {
      statement: statement => recording.add(`"e":"statement","id":"${statement}"}`, false),
      completed: statement => recording.add(`"e":"complete","id":"${statement}"}`, false),
      ended: reason => recording.end(reason),
      sealed: () => recording.sealed(),
    })
    for (let n = 0; n < 10; n++) {
      const statement = session.stage(selectFacts(`SELECT ${n}`))
      session.commit()
      session.complete(statement, ok)
    }
    const open = join(state.recordings, 'open', `${id}.dbgr`)
    if (end) session.end('end')
    else await eventually(() => statSync(open).size > 0 || undefined)
    await recordings.close()
    await checkpoints.write()
  }
  if (end) log.append({ type: 'server.stop', reason: 'done' })
  await log.close()
  if (end) await checkpoints.close(log.head)
  return state
}

async function verify(state: State): Promise<Verification> {
  const key = await readPublicKey(state.key)
  const checkpoints = await readCheckpoints(state.elsewhere, key)
  return verifyLog(state.audit, { checkpoints, recordings: state.recordings })
}

const segment = (state: State, number: number) => join(state.audit, `audit-00000${number}.log`)
const recordingOf = (state: State, session: string) =>
  join(state.recordings, '2026-03-02', `${session}.dbgr`)

function lines(state: State, number: number, edit: (lines: string[]) => void): void {
  const path = segment(state, number)
  const all = readFileSync(path, 'utf8').trimEnd().split('\n')
  edit(all)
  writeFileSync(path, `${all.join('\n')}\n`)
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  writeFileSync(path, bytes)
}

const TAMPERING: readonly {
  readonly what: string
  readonly do: (state: State) => void
  readonly kind: string
  readonly says: RegExp
}[] = [
  {
    what: 'one byte of a record',
    do: state => flip(segment(state, 2), 700),
    kind: 'changed',
    says: /record \d+ does not follow from record \d+/,
  },
  {
    what: 'a record dropped',
    do: state => lines(state, 2, all => all.splice(4, 1)),
    kind: 'removed',
    says: /^record \d+ is missing$/,
  },
  {
    what: 'two records swapped',
    do: state => lines(state, 2, all => all.splice(4, 0, ...all.splice(5, 1))),
    kind: 'reordered',
    says: /^record \d+ stands before record \d+$/,
  },
  {
    what: 'the tail cut off between two records',
    do: state => {
      const last = readdirSync(state.audit).filter(name => name.endsWith('.log')).length
      lines(state, last, all => all.splice(-2))
    },
    kind: 'cut-off',
    says: /checkpoint \d+ of \S+ saw record \d+: 2 records are cut off/,
  },
  {
    what: 'whole segments cut off',
    do: state => {
      for (const name of readdirSync(state.audit)
        .filter(one => one.endsWith('.log'))
        .slice(2)) {
        rmSync(join(state.audit, name))
      }
    },
    kind: 'cut-off',
    says: /the log ends at record \d+ of \S+, but checkpoint/,
  },
  {
    what: 'all of the log taken away',
    do: state => {
      rmSync(state.audit, { recursive: true })
      mkdirSync(state.audit)
    },
    kind: 'cut-off',
    says: /the log is empty, but checkpoint/,
  },
  {
    what: 'a recording dropped',
    do: state => rmSync(recordingOf(state, 's-two')),
    kind: 'recording-missing',
    says: /^recording 2026-03-02\/s-two\.dbgr of session s-two \(ana@acme\.dev\) is missing$/,
  },
  {
    what: 'one byte of a recording',
    do: state => flip(recordingOf(state, 's-one'), 40),
    kind: 'recording-changed',
    says: /of session s-one \(ana@acme\.dev\) was changed/,
  },
  {
    what: 'the end of a recording cut off',
    do: state => truncateSync(recordingOf(state, 's-one'), 60),
    kind: 'recording-changed',
    says: /of session s-one/,
  },
  {
    what: 'one recording in the place of another',
    do: state => cpSync(recordingOf(state, 's-one'), recordingOf(state, 's-two')),
    kind: 'recording-changed',
    says: /of session s-two/,
  },
  {
    what: 'a checkpoint forged',
    do: state => {
      const text = readFileSync(state.elsewhere, 'utf8')
      writeFileSync(state.elsewhere, text.replace('"sequence":1,"n":1,', '"sequence":1,"n":2,'))
    },
    kind: 'checkpoint',
    says: /^checkpoint 1 of \S+ does not have a valid signature of this key$/,
  },
  {
    what: 'a checkpoint dropped',
    do: state => {
      const all = readFileSync(state.elsewhere, 'utf8').split('\n')
      writeFileSync(state.elsewhere, all.toSpliced(1, 1).join('\n'))
    },
    kind: 'checkpoint',
    says: /^checkpoint 2 is missing$/,
  },
]

describe('record/tampering', () => {
  let untouched: string
  let base: ReturnType<typeof temporaryDirectory>

  before(async () => {
    base = temporaryDirectory()
    untouched = join(base.path, 'untouched')
    mkdirSync(untouched)
    await serve(untouched, ['s-one'])
    cpSync(join(untouched, 'audit'), join(base.path, 'older'), { recursive: true })
    await serve(untouched, ['s-two', 's-three'])
  })

  after(() => base[Symbol.dispose]())

  it('is silent about a log, recordings and checkpoints that nobody touched', async () => {
    const found = await verify(stateIn(untouched))
    assert.deepEqual([found.isWhole, found.findings, found.broken], [true, [], undefined])
    assert.deepEqual(found.recordings, { recordings: 3, missing: 0, changed: 0 })
    assert.ok(found.segments > 3)
    const { checkpoints, matching, isSignatureChecked, notCovered } = found.checkpoints ?? {}
    assert.ok(checkpoints !== undefined && checkpoints >= 6)
    assert.deepEqual([matching, isSignatureChecked, notCovered], [checkpoints, true, 0])
  })

  for (const [index, tampering] of TAMPERING.entries()) {
    it(`finds ${tampering.what}`, async () => {
      const copy = join(base.path, `copy-${index}`)
      cpSync(untouched, copy, { recursive: true })
      const state = stateIn(copy)
      tampering.do(state)
      const found = await verify(state)
      assert.equal(found.isWhole, false)
      assert.equal(found.broken?.kind, tampering.kind, JSON.stringify(found.broken))
      assert.match(found.broken?.message ?? '', tampering.says)
    })
  }

  it('finds an older copy of the log put back, and one that was written on from there', async () => {
    const copy = join(base.path, 'restored')
    cpSync(untouched, copy, { recursive: true })
    const state = stateIn(copy)
    rmSync(state.audit, { recursive: true })
    cpSync(join(base.path, 'older'), state.audit, { recursive: true })
    const restored = await verify(state)
    assert.equal(restored.broken?.kind, 'cut-off')
    // By itself it is whole: nothing but the checkpoints can tell.
    assert.equal((await verifyLog(state.audit)).isWhole, true)

    const log = await AuditLog.open(state.audit, { now: () => EPOCH_MS })
    const session = log.begin(sessionFacts('s-other'))
    for (let n = 0; n < 100; n++) session.stage(selectFacts('SELECT 1'))
    await log.close()
    const grown = await verify(state)
    assert.equal(grown.broken?.kind, 'replaced')
    assert.match(grown.broken?.message ?? '', /^record \d+ is not the one that checkpoint \d+ /)
  })

  it('tells a new start that the log has lost what the last checkpoint saw', async () => {
    const copy = join(base.path, 'behind')
    cpSync(untouched, copy, { recursive: true })
    const state = stateIn(copy)
    rmSync(state.audit, { recursive: true })
    const log = await AuditLog.open(state.audit, { now: () => EPOCH_MS })
    log.append({ type: 'server.start', version: '0', pid: 1 })
    const told: string[] = []
    const checkpoints = await Checkpoints.open({
      to: state.elsewhere,
      everyMs: 3_600_000,
      key: loadCheckpointKey(copy, randomBytes),
      head: () => log.settle(),
      now: () => EPOCH_MS,
      report: reason => assert.fail(reason),
      behind: message => told.push(message),
    })
    await log.close()
    await checkpoints.close(log.head)
    assert.match(
      told.join(),
      /^checkpoint \d+ of \S+ saw record \d+, but the log ends at record 1$/,
    )
  })

  it('takes a session for running until another start, and then for robbed of its recording', async () => {
    const copy = join(base.path, 'killed')
    mkdirSync(copy)
    const state = await serve(copy, ['s-cut'], false)
    assert.equal((await verify(state)).isWhole, true)
    const robbed = join(base.path, 'robbed')
    cpSync(copy, robbed, { recursive: true })
    rmSync(join(robbed, 'recordings', 'open', 's-cut.dbgr'))
    assert.equal((await verify(stateIn(robbed))).broken?.kind, 'recording-missing')
    await serve(robbed, [])
    const later = await verify(stateIn(robbed))
    assert.match(later.broken?.message ?? '', /s-cut .* was never brought to an end/)

    await serve(copy, [])
    assert.equal((await verify(state)).isWhole, true)
    assert.ok(existsSync(recordingOf(state, 's-cut')))
    truncateSync(recordingOf(state, 's-cut'), 30)
    assert.equal((await verify(state)).broken?.kind, 'recording-changed')
  })

  it('reads on in a file of checkpoints whose last line was never finished', async () => {
    const copy = join(base.path, 'torn')
    cpSync(untouched, copy, { recursive: true })
    const state = stateIn(copy)
    appendFileSync(state.elsewhere, '{"v":1,"sequence":9')
    assert.equal((await verify(state)).isWhole, true)
    await serve(copy, ['s-more'])
    assert.equal((await verify(state)).isWhole, true)
  })
})
