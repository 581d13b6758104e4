import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { Approvals, bindingOf } from '../../src/approval/index.ts'
import { HoldStore } from '../../src/store/index.ts'
import { temporaryDirectory } from '../record/builders.ts'
import {
  ben,
  bound,
  filing,
  kim,
  MemoryLog,
  p1,
  repeatable,
  taker,
  terms,
  voter,
} from './builders.ts'

const CHILD = join(import.meta.dirname, 'process-child.ts')
const ROUNDS = 50

/** Another process that answers each line with one. */
class Other {
  readonly process: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>
  readonly #exited: Promise<unknown>

  constructor(file: string, ...what: readonly string[]) {
    this.process = spawn(process.execPath, [CHILD, file, ...what], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const { stdout } = this.process
    this.#exited = once(this.process, 'exit')
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
  }

  /** The next line, or undefined at the end. */
  async line(): Promise<string | undefined> {
    const { value, done } = await this.#lines.next()
    return done === true ? undefined : value
  }

  send(line: string): void {
    this.process.stdin.write(`${line}\n`)
  }

  async end(): Promise<void> {
    this.process.stdin.end()
    await this.#exited
  }
}

describe('approvals of several processes', function () {
  this.timeout(120_000)
  let dir: ReturnType<typeof temporaryDirectory>
  let file: string
  let store: HoldStore
  let approvals: Approvals
  let others: Other[] = []

  beforeEach(() => {
    dir = temporaryDirectory()
    file = join(dir.path, 'holds.sqlite')
    others = []
    open()
  })

  afterEach(async () => {
    await Promise.all(others.map(other => other.end()))
    store.close()
    dir[Symbol.dispose]()
  })

  function open(): void {
    store = HoldStore.open(file, { busyMs: 5000 })
    const clock = { now: Date.now, after: () => () => {} }
    approvals = new Approvals({ store, clock, log: new MemoryLog(), random: repeatable(1) })
  }

  async function start(...whats: readonly (readonly string[])[]): Promise<void> {
    others = whats.map(what => new Other(file, ...what))
    for (const other of others) assert.equal(await other.line(), 'ready')
  }

  /** All of them do the same in the same moment; their answers, in order of the alphabet. */
  async function race(subject: string): Promise<readonly (string | undefined)[]> {
    const at = Date.now() + 3
    for (const other of others) other.send(`${at} ${subject}`)
    const answers = await Promise.all(others.map(other => other.line()))
    return answers.sort()
  }

  it('are taken by exactly one, whoever comes first', async () => {
    await start(['take'], ['take'])
    for (let round = 0; round < ROUNDS; round++) {
      const text = `DELETE FROM t WHERE id = ${round}`
      const { id } = approvals.holds.file(filing(text)).hold
      await approvals.decide({ id, vote: 'approve' }, voter(ben), p1)
      assert.deepEqual(await race(text), ['none', 'taken'], `round ${round}`)
      const kept = store.find(id)
      assert(kept?.kind === 'statement')
      assert.deepEqual([kept.state, kept.uses], ['used', 1])
    }
  })

  it('are decided by the first, and the second hears so', async () => {
    await start(['approve', 'ben'], ['approve', 'kim'])
    for (let round = 0; round < ROUNDS / 2; round++) {
      const { id } = approvals.holds.file(filing(`DELETE FROM t WHERE id = ${round}`)).hold
      assert.deepEqual(await race(id), ['STALE', 'approved'], `round ${round}`)
      assert.equal(store.find(id)?.votes.length, 1)
    }
  })

  it('count both of two who decide in the same moment', async () => {
    await start(['approve', 'ben'], ['approve', 'kim'])
    for (let round = 0; round < ROUNDS / 2; round++) {
      const text = `DELETE FROM t WHERE id = ${round}`
      const two = terms(['dba'], 2)
      const { id } = approvals.holds.file(filing(text, { terms: two })).hold
      assert.deepEqual(await race(id), ['approved', 'open'], `round ${round}`)
      const voters = store.find(id)?.votes.map(({ by }) => by.user)
      assert.deepEqual(voters?.sort(), [ben.user, kim.user])
      const taken = approvals.holds.take(bindingOf(bound(text)), taker({ terms: two }))
      assert.equal(taken.outcome, 'taken')
    }
  })

  it('are as they were when a process is killed: approved ones can be used once, used ones never again', async () => {
    for (let kill = 0; kill < 5; kill++) {
      const worker = new Other(file, 'work')
      others = [worker]
      const state = new Map<string, string>()
      const texts = new Map<string, string>()
      let lines = 0
      for (let line = await worker.line(); line !== undefined; line = await worker.line()) {
        const [what = '', id = '', ...text] = line.split(' ')
        state.set(id, what)
        texts.set(id, text.join(' '))
        // Somewhere in the middle of the next one.
        if (++lines === 9 + kill) setTimeout(() => worker.process.kill('SIGKILL'), kill / 2)
      }
      await worker.end()
      assert.equal(worker.process.signalCode, 'SIGKILL')
      store.close()
      open()
      approvals.expireAtStart()
      for (const [id, what] of state) {
        const take = () =>
          approvals.holds.take(bindingOf(bound(texts.get(id) ?? '')), taker()).outcome
        // It may have been killed before it could say that it had taken it.
        const isUsed = what === 'taken' || store.find(id)?.state === 'used'
        assert.deepEqual([take(), take()], [isUsed ? 'none' : 'taken', 'none'], `${id} ${what}`)
      }
      assert.ok([...state.values()].includes('taken'))
    }
  })

  it('survive a process that is killed between approval and use', async () => {
    const text = 'DELETE FROM orders'
    const { id } = approvals.holds.file(filing(text)).hold
    await start(['approve', 'ben'])
    assert.deepEqual(await race(id), ['approved'])
    const [other] = others
    other?.process.kill('SIGKILL')
    store.close()
    open()
    assert.deepEqual(approvals.expireAtStart(), [])
    const take = () => approvals.holds.take(bindingOf(bound(text)), taker()).outcome
    assert.deepEqual([take(), take()], ['taken', 'none'])
  })
})
