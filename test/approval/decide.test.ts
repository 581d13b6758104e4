import assert from 'node:assert/strict'
import type { Judged, PolicyNow } from '../../src/approval/index.ts'
import type { DbgateError } from '../../src/errors.ts'
import {
  ana,
  ben,
  codeOf,
  Desk,
  errorOf,
  filing,
  kim,
  lee,
  MINUTE,
  p1,
  person,
  START,
  sam,
  terms,
  voter,
} from './builders.ts'

describe('approval/decide', () => {
  let desk: Desk

  beforeEach(() => {
    desk = new Desk()
  })

  afterEach(() => desk.close())

  const file = (more: Parameters<typeof filing>[1] = {}) =>
    desk.approvals.holds.file(filing(undefined, more)).hold.id
  const approve = (id: string, who = voter(ben), policy: PolicyNow = p1) =>
    desk.approvals.decide({ id, vote: 'approve' }, who, policy)
  const deny = (id: string, who = voter(ben), comment?: string) =>
    desk.approvals.decide(
      { id, vote: 'deny', ...(comment === undefined ? {} : { comment }) },
      who,
      p1,
    )

  it('approves from the moment of the decision on', async () => {
    const id = file()
    desk.clock.time += 10 * MINUTE
    const { request, missing } = await desk.approvals.decide(
      { id, vote: 'approve', comment: ' ok,\n checked  in staging ' },
      voter(ben),
      p1,
    )
    assert.deepEqual(missing, [])
    assert.equal(request.state, 'approved')
    assert.equal(request.expiresAt, START + 25 * MINUTE)
    assert.deepEqual(request.decided, {
      at: START + 10 * MINUTE,
      by: 'ben@acme.dev',
      why: 'ok, checked in staging',
    })
  })

  it('takes as many persons as the rule needs, and each once', async () => {
    const id = file({ terms: terms(['dba', 'sre-lead'], 2) })
    const first = await approve(id)
    assert.deepEqual(first.missing, [{ rule: 'prod-writes', by: ['dba', 'sre-lead'], need: 1 }])
    assert.equal(first.isCounted, true)
    const again = await approve(id)
    assert.deepEqual(
      [again.isCounted, again.missing.length, again.request.votes.length],
      [false, 1, 1],
    )
    const other = await approve(id, voter(person('BEN', ['sre-lead'], 'google')))
    assert.deepEqual([other.isCounted, other.missing.length], [false, 1])
    const last = await approve(id, voter(sam))
    assert.deepEqual([last.isCounted, last.request.state], [true, 'approved'])
  })

  it('takes persons of each rule that asks for some', async () => {
    const both = {
      ...terms(['dba', 'sre-lead']),
      requirements: [
        { rule: 'a', by: ['dba'], need: 2 },
        { rule: 'b', by: ['sre-lead'], need: 1 },
      ],
    }
    const id = file({ terms: both })
    await approve(id)
    assert.deepEqual((await approve(id, voter(kim))).missing, [both.requirements[1]])
    assert.equal((await approve(id, voter(sam))).request.state, 'approved')
  })

  it('denies at the first no, whoever has said yes', async () => {
    const id = file({ terms: terms(['dba'], 2) })
    await approve(id)
    const { request } = await deny(id, voter(ben), 'wrong table')
    assert.equal(request.state, 'denied')
    assert.deepEqual(request.finished, { at: START, by: 'ben@acme.dev', why: 'wrong table' })
    assert.equal(await codeOf(() => approve(id, voter(kim))), 'STALE')
  })

  /** Who may not, and what they are told. */
  const refused: readonly (readonly [string, Parameters<typeof voter>, string, RegExp])[] = [
    ['the requester', [ana], 'DENIED', /^h-\w+ is yours: somebody else in @dba has to decide$/],
    ['somebody of the same name', [person('Ana', ['dba'], 'google')], 'DENIED', /is yours/],
    ['the requester under another name', [{ ...ana, user: 'root@acme.dev' }], 'DENIED', /is yours/],
    ['somebody of no group', [lee], 'DENIED', /^only @dba decides on h-/],
    ['a job', [{ ...ben, user: 'ci/shop' }], 'DENIED', /needs a person/],
    ['an agent', [ben, { isAgent: true }], 'DENIED', /needs a person/],
  ]
  for (const [what, who, code, message] of refused) {
    for (const vote of ['approve', 'deny'] as const) {
      it(`does not let ${what} ${vote}`, async () => {
        const id = file()
        const error = await errorOf(() => desk.approvals.decide({ id, vote }, voter(...who), p1))
        assert.equal(error.code, code)
        assert.match(error.message, message)
        assert.equal(error.exitCode, 5)
        assert.equal(desk.state(id), 'open')
        assert.equal(desk.take().outcome, 'open')
      })
    }
  }

  it('goes by the groups of now, not of when it was filed', async () => {
    const id = file()
    assert.equal(await codeOf(() => approve(id, voter({ ...ben, groups: [] }))), 'DENIED')
    assert.equal((await approve(id, voter({ ...lee, groups: ['dba'] }))).request.state, 'approved')
  })

  it('wants a fresh sign-in where the rule does, but not for a no', async () => {
    const id = file({ terms: terms(['dba'], 1, { presence: 'step-up' }) })
    const error = await errorOf(() => approve(id))
    assert.deepEqual([error.code, error.exitCode], ['PRESENCE', 4])
    assert.equal(desk.state(id), 'open')
    assert.equal((await approve(id, voter(ben, { presence: true }))).request.state, 'approved')
    const other = file({
      terms: terms(['dba'], 1, { presence: 'step-up' }),
      where: { database: 'b' },
    })
    assert.equal((await deny(other)).request.state, 'denied')
  })

  it('knows ids only as a whole', async () => {
    const id = file()
    for (const part of [id.slice(0, -1), id.toUpperCase(), `${id}x`, '', 'h-']) {
      const error = await errorOf(() => approve(part))
      assert.deepEqual([error.code, error.exitCode], ['NOT_FOUND', 6])
      assert.deepEqual(error.next, ['dbgate requests'])
    }
  })

  /** What has become of it, and what is said then. */
  const over: readonly (readonly [string, (id: string) => unknown, RegExp])[] = [
    ['approved', id => approve(id, voter(kim)), /was approved by kim@acme\.dev 1 min ago$/],
    [
      'denied',
      id => deny(id, voter(kim), 'wrong table'),
      /was denied by kim@acme\.dev 1 min ago: "wrong table"$/,
    ],
    [
      'withdrawn',
      id => desk.approvals.withdraw(id, { principal: ana, isAuditor: false }),
      /was withdrawn by ana@acme\.dev 1 min ago$/,
    ],
    [
      'abandoned',
      id => desk.approvals.holds.abandon(id, 'gone'),
      /was abandoned 1 min ago: "gone"$/,
    ],
    [
      'used',
      async id => {
        await approve(id, voter(kim))
        desk.take()
      },
      /was approved by kim@acme\.dev and ran 1 min ago$/,
    ],
    [
      'expired',
      () => desk.clock.pass(15 * MINUTE),
      /expired 1 min ago; ana@acme\.dev would have to ask again$/,
    ],
  ]
  for (const [what, happens, message] of over) {
    for (const vote of ['approve', 'deny'] as const) {
      it(`says what became of it to somebody who comes too late to ${vote}: ${what}`, async () => {
        const id = file()
        await happens(id)
        desk.approvals.expireDue()
        const before = desk.state(id)
        desk.clock.pass(MINUTE)
        const error = await errorOf(() => desk.approvals.decide({ id, vote }, voter(ben), p1))
        assert.deepEqual([error.code, error.sqlstate, error.exitCode], ['STALE', '55000', 9])
        assert.match(error.message, message)
        assert.equal(desk.state(id), before)
      })
    }
  }

  it('finds expired what nobody has noticed before', async () => {
    const id = file()
    desk.clock.time += 15 * MINUTE
    assert.equal(await codeOf(() => approve(id)), 'STALE')
    assert.equal(desk.state(id), 'expired')
    desk.clock.time = START
    assert.equal(await codeOf(() => approve(id)), 'STALE')
  })

  it('refuses a comment that is too long', async () => {
    const id = file()
    assert.equal(await codeOf(() => deny(id, voter(ben), 'x'.repeat(501))), 'USAGE')
    assert.equal(desk.state(id), 'open')
  })

  it('approves nothing that the log does not have, and denies without it', async () => {
    const id = file()
    desk.log.isFull = true
    assert.equal(await codeOf(() => approve(id)), 'UNAUDITED')
    assert.equal(desk.state(id), 'open')
    assert.deepEqual(desk.store.find(id)?.votes, [])
    assert.equal((await deny(id)).request.state, 'denied')
  })

  describe('under a policy that has changed', () => {
    const changed = (judged: Judged | Promise<Judged>, asked: string[] = []): PolicyNow => ({
      id: 'p2',
      since: START - MINUTE,
      rejudge: request => {
        asked.push(request.id)
        return judged
      },
    })

    it('denies what is denied now', async () => {
      const id = file()
      const policy = changed({ outcome: 'deny', rule: 'no-writes-at-night' })
      const error: DbgateError = await errorOf(() => approve(id, voter(ben), policy))
      assert.equal(error.code, 'STALE')
      assert.equal(
        error.message,
        `the policy changed 1 min ago; ${id} was judged again and is now denied by no-writes-at-night`,
      )
      assert.equal(desk.state(id), 'denied')
      assert.equal(desk.store.find(id)?.decided?.by, undefined)
      // Nobody said no: sent again it is for the policy to say.
      assert.equal(desk.take().outcome, 'none')
    })

    it('takes what it takes now, of those who have said yes already too', async () => {
      const id = file({ terms: terms(['dba'], 2) })
      await approve(id)
      const stricter = terms(['sre-lead', 'dba'], 2)
      const judged = { outcome: 'hold', rule: 'other', terms: stricter } as const
      const { request } = await approve(id, voter(sam), changed(Promise.resolve(judged)))
      assert.equal(request.state, 'approved')
      assert.deepEqual([request.rule, request.policy, request.terms], ['other', 'p2', stricter])
    })

    it('counts no yes of somebody who has no say any more', async () => {
      const id = file({ terms: terms(['dba'], 2) })
      await approve(id)
      const now = { outcome: 'hold', rule: 'other', terms: terms(['sre-lead'], 2) } as const
      const { missing } = await approve(id, voter(sam), changed(now))
      assert.deepEqual(missing, [{ rule: 'prod-writes', by: ['sre-lead'], need: 1 }])
      const kims = await errorOf(() => approve(id, voter(kim), changed(now)))
      assert.match(kims.message, /^only @sre-lead decides/)
    })

    it('counts no yes without a fresh sign-in where one is needed now', async () => {
      const id = file({ terms: terms(['dba'], 2) })
      await approve(id)
      const now = terms(['dba'], 2, { presence: 'step-up' })
      const policy = changed({ outcome: 'hold', rule: 'other', terms: now })
      const { missing } = await approve(id, voter(kim, { presence: true }), policy)
      assert.equal(missing[0]?.need, 1)
    })

    it('takes what it took before if it would be allowed', async () => {
      const id = file({ terms: terms(['dba'], 2) })
      const { missing } = await approve(id, voter(ben), changed({ outcome: 'allow' }))
      assert.equal(missing.length, 1)
    })

    it('asks once for each version, and not about what is over', async () => {
      const asked: string[] = []
      const policy = changed({ outcome: 'allow' }, asked)
      const id = file({ terms: terms(['dba'], 3) })
      await approve(id, voter(ben), policy)
      await approve(id, voter(kim), policy)
      assert.deepEqual(asked, [id])
      await desk.approvals.decide({ id, vote: 'deny' }, voter(ben), policy)
      await codeOf(() => approve(id, voter(kim), { ...policy, id: 'p3' }))
      assert.deepEqual(asked, [id])
    })

    it('does not let those with no say do anything by it', async () => {
      const id = file()
      const policy = changed({ outcome: 'deny', rule: 'x' })
      for (const who of [ana, lee]) {
        assert.equal(await codeOf(() => approve(id, voter(who), policy)), 'DENIED')
      }
      assert.equal(desk.state(id), 'open')
    })

    it('has the last word of whatever is decided while it is judged again', async () => {
      const id = file()
      const judging = Promise.withResolvers<Judged>()
      const late = approve(id, voter(kim), changed(judging.promise))
      await deny(id, voter(ben), 'wrong table')
      judging.resolve({ outcome: 'allow' })
      assert.equal(await codeOf(() => late), 'STALE')
      assert.equal(desk.state(id), 'denied')
    })
  })

  describe('withdraw', () => {
    const viewer = (principal = ana) => ({ principal, isAuditor: false })

    it("takes back one's own, open or approved", async () => {
      const open = file()
      assert.equal(desk.approvals.withdraw(open, viewer()).state, 'withdrawn')
      const approved = await desk.approved()
      assert.notEqual(approved, open)
      desk.approvals.withdraw(approved, viewer())
      assert.equal(desk.take().outcome, 'none')
    })

    it("leaves what is somebody else's, or over", async () => {
      const id = file()
      assert.equal(await codeOf(() => desk.approvals.withdraw(id, viewer(ben))), 'DENIED')
      assert.equal(await codeOf(() => desk.approvals.withdraw(id, viewer(lee))), 'NOT_FOUND')
      const same = person('ana', ['dba'], 'google')
      assert.equal(await codeOf(() => desk.approvals.withdraw(id, viewer(same))), 'DENIED')
      await deny(id)
      assert.equal(await codeOf(() => desk.approvals.withdraw(id, viewer())), 'STALE')
      assert.equal(desk.state(id), 'denied')
    })
  })

  it('puts all of it on record, in order', async () => {
    const id = file({ terms: terms(['dba'], 2) })
    await approve(id)
    await desk.approvals.decide({ id, vote: 'approve', comment: 'fine' }, voter(kim), p1)
    const taken = desk.take(undefined, {}, { terms: terms(['dba'], 2), statement: 's-8k2m.3' })
    assert(taken.outcome === 'taken')
    desk.approvals.holds.giveBack(taken.hold)
    desk.clock.time += 15 * MINUTE
    desk.approvals.expireDue()
    const [filed, ...rest] = desk.log.records
    assert(filed?.type === 'request.filed')
    assert.equal(filed.text, 'DELETE FROM orders')
    assert.match(filed.binding ?? '', /^[0-9a-f]{64}$/)
    const by = (who: typeof ben) => ({ user: who.user, issuer: who.issuer, subject: who.subject })
    const vote = { type: 'request.voted', id, vote: 'approve', presence: false }
    assert.deepEqual(rest, [
      { ...vote, ...by(ben), comment: undefined },
      { ...vote, ...by(kim), comment: 'fine' },
      {
        ...{ type: 'request.settled', id, state: 'approved', user: 'kim@acme.dev', why: 'fine' },
        expires: '2026-03-02T14:15:00.000Z',
      },
      { type: 'request.used', id, session: 's-8k2m', statement: 's-8k2m.3' },
      { type: 'request.returned', id, session: 's-8k2m' },
      {
        ...{ type: 'request.settled', id, state: 'expired', user: undefined, why: undefined },
        expires: undefined,
      },
    ])
  })
})
