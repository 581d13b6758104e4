import assert from 'node:assert/strict'
import { bindingOf } from '../../src/approval/index.ts'
import {
  ana,
  ben,
  bound,
  codeOf,
  Desk,
  errorOf,
  filing,
  lee,
  MINUTE,
  p1,
  person,
  START,
  taker,
  terms,
  voter,
} from './builders.ts'

describe('approval/holds', () => {
  let desk: Desk

  beforeEach(() => {
    desk = new Desk()
  })

  afterEach(() => desk.close())

  const ran = { outcome: 'ok', tag: 'DELETE 836', rows: 836, durationMs: 400 }

  it('files once, whatever the trace id in the comment', () => {
    const first = desk.approvals.holds.file(filing('/* 1 */ DELETE FROM orders'))
    const again = desk.approvals.holds.file(filing('DELETE FROM orders; -- 2'))
    assert.match(first.hold.id, /^h-[2-9a-km-np-z]{4}$/)
    assert.deepEqual([first.isNew, again.isNew], [true, false])
    assert.equal(again.hold.id, first.hold.id)
    assert.deepEqual(desk.what, ['filed'])
    assert.equal(first.hold.expiresAt, START + 15 * MINUTE)
  })

  it('files anew for another person, value, role or setting', () => {
    const others = [
      filing(undefined, { principal: lee }),
      filing(undefined, { where: { role: 'migrator' } }),
      filing(undefined, { where: { scope: { search_path: 'evil' } } }),
      filing(undefined, { where: { parameters: [{ bytes: Buffer.from('1'), binary: false }] } }),
    ]
    const ids = [filing(), ...others].map(each => desk.approvals.holds.file(each).hold.id)
    assert.equal(new Set(ids).size, 5)
  })

  it('gives an approval to one taker', async () => {
    const id = await desk.approved()
    const taken = desk.take(undefined, {}, { statement: 's-8k2m.17' })
    assert(taken.outcome === 'taken')
    assert.equal(taken.hold.id, id)
    assert.deepEqual(taken.hold.use, {
      number: 1,
      session: 's-8k2m',
      statement: 's-8k2m.17',
      at: START,
      ran: undefined,
    })
    assert.equal(desk.take().outcome, 'none')
    assert.deepEqual(desk.what, ['filed', 'voted', 'approved', 'used'])
  })

  it('gives nothing to anybody who sends something else', async () => {
    await desk.approved()
    const others = [
      desk.take('DELETE FROM orders WHERE true'),
      desk.take(undefined, { principal: lee }),
      desk.take(undefined, { target: 'staging' }),
      desk.take(undefined, { role: 'migrator' }),
      desk.take(undefined, { scope: { search_path: 'evil' } }),
    ]
    assert.deepEqual(
      others.map(({ outcome }) => outcome),
      Array(5).fill('none'),
    )
    assert.equal(desk.take().outcome, 'taken')
  })

  it('says what stands in the way: an open one, a no for as long as it would have been open', async () => {
    assert.equal(desk.take().outcome, 'none')
    const { hold } = desk.approvals.holds.file(filing())
    assert.equal(desk.take().outcome, 'open')
    const ballot = { id: hold.id, vote: 'deny', comment: 'wrong table' } as const
    await desk.approvals.decide(ballot, voter(ben), p1)
    const denied = desk.take()
    assert(denied.outcome === 'denied')
    assert.deepEqual(denied.hold.decided, { at: START, by: 'ben@acme.dev', why: 'wrong table' })
    desk.clock.time += 15 * MINUTE
    assert.equal(desk.take().outcome, 'none')
  })

  it('gives no approval whose time is over, not even once the clock is back', async () => {
    const id = await desk.approved()
    desk.clock.time += 15 * MINUTE
    assert.equal(desk.take().outcome, 'none')
    assert.equal(desk.state(id), 'expired')
    desk.clock.time = START
    assert.equal(desk.take().outcome, 'none')
  })

  it('lets an approval live no longer for a clock that is set back', async () => {
    await desk.approved()
    desk.clock.time += 14 * MINUTE
    assert.deepEqual(desk.approvals.expireDue(), [])
    desk.clock.time -= 60 * MINUTE
    desk.approvals.expireDue()
    desk.clock.time += 2 * MINUTE
    assert.equal(desk.take().outcome, 'none')
  })

  it('lets an approval live no longer for a clock that was set back while the server was down', async () => {
    await desk.approved()
    desk.clock.time += 14 * MINUTE
    desk.approvals.expireDue()
    desk.clock.time -= 60 * MINUTE
    desk.start()
    desk.clock.time += 2 * MINUTE
    assert.equal(desk.take().outcome, 'none')
  })

  it('does not take what is approved by fewer than the policy now asks for', async () => {
    const id = await desk.approved()
    assert.equal(desk.take(undefined, {}, { terms: terms(['dba'], 2) }).outcome, 'none')
    assert.equal(desk.state(id), 'expired')
    assert.equal(desk.take().outcome, 'none')
  })

  it('does not take what was approved by others than the policy now asks for', async () => {
    await desk.approved()
    assert.equal(desk.take(undefined, {}, { terms: terms(['sre-lead']) }).outcome, 'none')
  })

  it('does not take what was approved without the presence that the policy now asks for', async () => {
    await desk.approved()
    const stricter = terms(['dba'], 1, { presence: 'step-up' })
    assert.equal(desk.take(undefined, {}, { terms: stricter }).outcome, 'none')
  })

  it('does not take what was approved for longer ago than the policy now lets it live', async () => {
    await desk.approved()
    desk.clock.time += 2 * MINUTE
    const shorter = terms(['dba'], 1, { expiresMs: MINUTE })
    assert.equal(desk.take(undefined, {}, { terms: shorter }).outcome, 'none')
  })

  it('does not let it live for longer because the policy now would', async () => {
    const id = await desk.approved(undefined, { terms: terms(['dba'], 1, { expiresMs: MINUTE }) })
    desk.clock.time += MINUTE
    assert.equal(desk.take().outcome, 'none')
    assert.equal(desk.state(id), 'expired')
  })

  it('gives an approval back that was not used after all', async () => {
    const id = await desk.approved()
    const first = desk.take()
    assert(first.outcome === 'taken')
    assert.equal(desk.approvals.holds.giveBack(first.hold).state, 'approved')
    assert.equal(desk.what.at(-1), 'returned')
    const second = desk.take()
    assert(second.outcome === 'taken')
    assert.equal(second.hold.uses, 2)
    // The first one's word about its use says nothing about the second's.
    assert.throws(() => desk.approvals.holds.giveBack(first.hold), TypeError)
    assert.equal(desk.state(id), 'used')
  })

  it('gives nothing back that ran, and nothing twice', async () => {
    await desk.approved()
    const taken = desk.take()
    assert(taken.outcome === 'taken')
    desk.approvals.holds.giveBack(taken.hold)
    assert.throws(() => desk.approvals.holds.giveBack(taken.hold), TypeError)
    const again = desk.take()
    assert(again.outcome === 'taken')
    desk.approvals.holds.ran(again.hold, 's-8k2m.18', ran)
    assert.throws(() => desk.approvals.holds.giveBack(again.hold), TypeError)
  })

  it('gives it back while the log cannot be written, since that is why it is given back', async () => {
    await desk.approved()
    const taken = desk.take()
    assert(taken.outcome === 'taken')
    desk.log.isFull = true
    desk.approvals.holds.giveBack(taken.hold)
    desk.log.isFull = false
    assert.equal(desk.take().outcome, 'taken')
  })

  it('gives it back as expired if its time is over by then', async () => {
    const id = await desk.approved()
    const taken = desk.take()
    assert(taken.outcome === 'taken')
    desk.clock.time += 16 * MINUTE
    assert.equal(desk.approvals.holds.giveBack(taken.hold).state, 'expired')
    assert.equal(desk.state(id), 'expired')
    assert.equal(desk.take().outcome, 'none')
  })

  it('gives it back for no longer after the clock was set back', async () => {
    await desk.approved()
    const taken = desk.take()
    assert(taken.outcome === 'taken')
    desk.clock.time += 14 * MINUTE
    desk.approvals.expireDue()
    desk.clock.time -= 60 * MINUTE
    desk.approvals.expireDue()
    desk.clock.time += 2 * MINUTE
    assert.equal(desk.approvals.holds.giveBack(taken.hold).state, 'expired')
  })

  it('notes how it ended', async () => {
    const id = await desk.approved()
    const taken = desk.take()
    assert(taken.outcome === 'taken')
    desk.approvals.holds.ran(taken.hold, 's-8k2m.17', ran)
    const kept = desk.store.find(id)
    assert(kept?.kind === 'statement')
    assert.deepEqual(kept.use?.ran, ran)
    assert.equal(kept.use?.statement, 's-8k2m.17')
  })

  it('files nothing that the log does not have', async () => {
    desk.log.isFull = true
    assert.equal(await codeOf(() => desk.approvals.holds.file(filing())), 'UNAUDITED')
    assert.equal(desk.take().outcome, 'none')
    assert.deepEqual(desk.events, [])
  })

  it('takes over the terms of the policy in force when it is sent again', () => {
    const { hold } = desk.approvals.holds.file(filing())
    const stricter = terms(['sre-lead'], 2, { expiresMs: 5 * MINUTE })
    const more = { terms: stricter, rule: 'agent-bulk-writes', policy: 'p2' }
    const again = desk.approvals.holds.file(filing(undefined, more)).hold
    assert.equal(again.id, hold.id)
    assert.deepEqual([again.terms, again.rule, again.policy], [stricter, more.rule, 'p2'])
    assert.equal(again.expiresAt, START + 5 * MINUTE)
    assert.deepEqual(desk.what, ['filed', 'judged'])
  })

  it('refuses what nobody would read, and the 26th', async () => {
    const long = `SELECT '${'x'.repeat(300_000)}'`
    assert.equal(await codeOf(() => desk.approvals.holds.file(filing(long))), 'LIMIT')
    for (let n = 0; n < 25; n++) desk.approvals.holds.file(filing(`DELETE FROM t${n}`))
    const error = await errorOf(() => desk.approvals.holds.file(filing()))
    assert.equal(error.code, 'LIMIT')
    assert.match(error.message, /ana@acme\.dev/)
    assert.equal(desk.approvals.holds.file(filing('DELETE FROM t0')).isNew, false)
    assert.equal(desk.approvals.holds.file(filing(undefined, { principal: lee })).isNew, true)
    desk.clock.time += 15 * MINUTE
    desk.approvals.expireDue()
    assert.equal(desk.approvals.holds.file(filing()).isNew, true)
  })

  describe('with a client on the line', () => {
    const onLine = () => desk.approvals.holds.file(filing(undefined, { isOnLine: true })).hold.id

    it('is abandoned with its last client', () => {
      const [id, same] = [onLine(), onLine()]
      assert.equal(same, id)
      assert.equal(desk.approvals.holds.abandon(id, 'the client is gone').state, 'open')
      const over = desk.approvals.holds.abandon(id, 'the client is gone')
      assert.equal(over.state, 'abandoned')
      assert.equal(over.finished?.why, 'the client is gone')
      assert.equal(desk.take().outcome, 'none')
    })

    it('lives on once a client was told to come back', () => {
      const id = onLine()
      desk.approvals.holds.letGo(id)
      onLine()
      assert.equal(desk.approvals.holds.abandon(id, 'the client is gone').state, 'open')
      assert.equal(desk.take().outcome, 'open')
    })

    it('stays as it was decided when the client goes afterwards', async () => {
      const id = onLine()
      await desk.approvals.decide({ id, vote: 'approve' }, voter(ben), p1)
      assert.equal(desk.approvals.holds.abandon(id, 'cancelled').state, 'approved')
      assert.equal(desk.take().outcome, 'taken')
    })

    it('has expired after a restart, unless its client was told to come back', async () => {
      const waiting = onLine()
      const told = desk.approvals.holds.file(filing('DELETE FROM a', { isOnLine: true })).hold.id
      desk.approvals.holds.letGo(told)
      const never = desk.approvals.holds.file(filing('DELETE FROM b')).hold.id
      const approved = desk.approvals.holds.file(filing('DELETE FROM c', { isOnLine: true })).hold
      await desk.approvals.decide({ id: approved.id, vote: 'approve' }, voter(ben), p1)
      desk.start()
      const expired = desk.approvals.expireAtStart()
      assert.deepEqual(
        expired.map(({ id, state, finished }) => [id, state, finished?.why]),
        [[waiting, 'expired', 'the server was started again']],
      )
      assert.deepEqual(
        [told, never].map(id => desk.state(id)),
        ['open', 'open'],
      )
      assert.equal(desk.take('DELETE FROM c').outcome, 'taken')
    })
  })

  describe('nearest', () => {
    const text = "UPDATE users SET plan = 'é€😀 free' WHERE id = 12345"

    it('finds where an approved statement was changed a little, in characters', async () => {
      const id = await desk.approved(text)
      const near = desk.approvals.holds.nearest(bound(`/* x */ ${text.replace('123', '124')}`))
      assert.equal(near?.hold.id, id)
      assert.deepEqual(near?.difference, {
        in: 'text',
        position: [...text].indexOf('3') + 1,
        held: " free' WHERE id = 12345",
        sent: " free' WHERE id = 12445",
      })
    })

    it('counts a character as one that differs in its last byte only', async () => {
      await desk.approved("SELECT 'é', nextval('some_sequence')")
      const near = desk.approvals.holds.nearest(bound("SELECT 'è', nextval('some_sequence')"))
      assert.deepEqual(near?.difference, {
        in: 'text',
        position: 9,
        held: "SELECT 'é', nextval('some_s",
        sent: "SELECT 'è', nextval('some_s",
      })
    })

    for (const [what, change, difference] of [
      ['a value', { parameters: [{ bytes: Buffer.from('2'), binary: false }] }, 'parameter'],
      ['a setting', { scope: { search_path: 'evil' } }, 'setting'],
      ['the role', { role: 'migrator' }, 'role'],
      ['the database', { database: 'other' }, 'database'],
      ["a value's type", { parameterTypes: [23] }, 'parameters'],
    ] as const) {
      it(`finds that ${what} differs`, async () => {
        await desk.approved(text)
        assert.equal(desk.approvals.holds.nearest(bound(text, change))?.difference.in, difference)
      })
    }

    it("finds nothing that is not alike, over, on another target or somebody else's", async () => {
      await desk.approved(text)
      assert.equal(desk.approvals.holds.nearest(bound('DROP TABLE users')), undefined)
      const elsewhere = bound(text, { target: 'staging' })
      assert.equal(desk.approvals.holds.nearest(elsewhere), undefined)
      assert.equal(desk.approvals.holds.nearest(bound(text, { principal: lee })), undefined)
      desk.clock.time += 15 * MINUTE
      assert.equal(desk.approvals.holds.nearest(bound(`${text} `)), undefined)
    })

    it('prefers the approved one', async () => {
      const approved = await desk.approved(text)
      desk.approvals.holds.file(filing(`${text}6`))
      assert.equal(desk.approvals.holds.nearest(bound(`${text}67`))?.hold.id, approved)
    })
  })

  it('takes in any session of the same person', async () => {
    await desk.approved()
    const binding = bindingOf(bound(undefined, { principal: person('ana') }))
    const taken = desk.approvals.holds.take(binding, taker({ session: 's-other' }))
    assert.equal(taken.outcome, 'taken')
    assert.equal(ana.subject, person('ana').subject)
  })
})
