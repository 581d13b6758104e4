import assert from 'node:assert/strict'
import { Approvals } from '../../src/approval/index.ts'
import { HoldStore } from '../../src/store/index.ts'
import { ben, Desk, filing, MemoryLog, MINUTE, p1, repeatable, voter } from './builders.ts'

describe('approval/waiting', () => {
  let desk: Desk
  let id: string

  beforeEach(() => {
    desk = new Desk()
    id = desk.approvals.holds.file(filing()).hold.id
  })

  afterEach(() => desk.close())

  const approve = () => desk.approvals.decide({ id, vote: 'approve' }, voter(ben), p1)

  it('ends with the decision', async () => {
    const waits = [1, 2].map(() => desk.approvals.wait(id, { timeoutMs: 30_000 }))
    await approve()
    for (const wait of waits) assert.equal((await wait)?.state, 'approved')
    assert.equal(desk.clock.timers, 0)
  })

  it('ends at once with what is decided already', async () => {
    await approve()
    assert.equal((await desk.approvals.wait(id, { timeoutMs: 0 }))?.state, 'approved')
    assert.equal(desk.clock.timers, 0)
  })

  it('ends still open when the time is up', async () => {
    const wait = desk.approvals.wait(id, { timeoutMs: 30_000 })
    desk.clock.pass(29_999)
    assert.notEqual(desk.clock.timers, 0)
    desk.clock.pass(1)
    assert.equal((await wait)?.state, 'open')
    assert.equal(desk.clock.timers, 0)
  })

  it('ends still open with the signal, before or while it waits', async () => {
    const abort = new AbortController()
    const wait = desk.approvals.wait(id, { timeoutMs: 30_000, signal: abort.signal })
    abort.abort()
    assert.equal((await wait)?.state, 'open')
    const late = desk.approvals.wait(id, { timeoutMs: 30_000, signal: abort.signal })
    assert.equal((await late)?.state, 'open')
    assert.equal(desk.clock.timers, 0)
  })

  it('ends when the hold expires, without anybody looking', async () => {
    const wait = desk.approvals.wait(id, { timeoutMs: 7 * 24 * 60 * MINUTE })
    desk.clock.pass(15 * MINUTE)
    assert.equal((await wait)?.state, 'expired')
    assert.equal(desk.what.at(-1), 'expired')
    assert.equal(desk.clock.timers, 0)
  })

  it('waits for longer than a timer can', async () => {
    await approve()
    const wait = desk.approvals.wait(id, { timeoutMs: 3 * 60 * MINUTE, for: 'ran' })
    desk.clock.time += 15 * MINUTE - 1
    assert.equal(desk.take().outcome, 'taken')
    desk.clock.pass(3 * 60 * MINUTE)
    assert.equal((await wait)?.state, 'used')
    assert.equal(desk.clock.timers, 0)
  })

  it('ends with what the statement did, for those who want to see it run', async () => {
    const wait = desk.approvals.wait(id, { timeoutMs: MINUTE, for: 'ran' })
    await approve()
    const taken = desk.take()
    assert(taken.outcome === 'taken')
    const ran = { outcome: 'ok', tag: 'DELETE 836', rows: 836, durationMs: 400 }
    desk.approvals.holds.ran(taken.hold, 's-8k2m.17', ran)
    const request = await wait
    assert(request?.kind === 'statement')
    assert.deepEqual(request.use?.ran, ran)
  })

  it('ends without a request where there is none', async () => {
    assert.equal(await desk.approvals.wait('h-none', { timeoutMs: MINUTE }), undefined)
  })

  it('ends with the error of a store that fails', async () => {
    const wait = desk.approvals.wait(id, { timeoutMs: MINUTE })
    desk.store.close()
    desk.clock.pass(MINUTE)
    await assert.rejects(wait)
    desk.start()
  })

  it('notices what another process has decided', async () => {
    const store = HoldStore.open(desk.file)
    const { clock } = desk
    const other = new Approvals({ store, clock, log: new MemoryLog(), random: repeatable(7) })
    const wait = desk.approvals.wait(id, { timeoutMs: MINUTE })
    await other.decide({ id, vote: 'deny', comment: 'no' }, voter(ben), p1)
    desk.approvals.expireDue()
    assert.equal((await wait)?.decided?.why, 'no')
    store.close()
  })
})
