import assert from 'node:assert/strict'
import type { AskTerms, BreakGlassTerms, Wish } from '../../src/approval/index.ts'
import {
  ana,
  ben,
  codeOf,
  Desk,
  errorOf,
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

const HOUR = 60 * MINUTE
const wish: Wish = {
  target: 'prod',
  role: 'writer',
  forMs: HOUR,
  reason: 'INC-4021 refund stuck',
  ticket: 'INC-4021',
}
const common = { rule: 'access', policy: 'p1', maxMs: 4 * HOUR, notify: ['db-approvals'] }
const asking: AskTerms = { ...common, reason: 'required', approve: terms() }
const glass: BreakGlassTerms = {
  ...common,
  reason: 'required',
  reviewWithinMs: 24 * HOUR,
  reviewers: ['dba'],
}

describe('approval/access', () => {
  let desk: Desk

  beforeEach(() => {
    desk = new Desk()
  })

  afterEach(() => desk.close())

  const ask = (more: Partial<Wish> = {}, what = asking, who = lee) =>
    desk.approvals.access.request(who, 'psql', { ...wish, ...more }, what)
  const approve = (id: string, who = ben) =>
    desk.approvals.decide({ id, vote: 'approve' }, voter(who), p1)
  const active = (who = lee, at?: number) => desk.approvals.activeGrants(who, at)
  const viewer = (principal: typeof ana, isAdmin = false) => ({
    principal,
    isAdmin,
    isAuditor: false,
  })

  it('gives the role from the decision on, for as long as was asked', async () => {
    const { request, isNew } = ask()
    assert.match(request.id, /^g-[2-9a-km-np-z]{4}$/)
    assert.deepEqual([request.state, isNew, request.expiresAt], ['open', true, START + 15 * MINUTE])
    assert.deepEqual(active(), [])
    desk.clock.time += 10 * MINUTE
    await approve(request.id)
    const until = START + 10 * MINUTE + HOUR
    const grant = { id: request.id, target: 'prod', role: 'writer', from: 'request' }
    assert.deepEqual(active(), [{ ...grant, expiresAt: until }])
    assert.deepEqual(active(lee, until), [])
    assert.deepEqual(active(ana), [])
    assert.deepEqual(active(person('lee', [], 'google')), [], 'the same name from elsewhere')
    desk.clock.time = until
    assert.deepEqual(active(), [])
    assert.equal(desk.approvals.expireDue()[0]?.state, 'expired')
  })

  it('returns an open one for the same role instead of another', () => {
    const first = ask().request
    const again = ask({ forMs: 2 * HOUR, reason: 'other' })
    assert.deepEqual([again.request.id, again.isNew], [first.id, false])
    assert.equal(ask({ role: 'migrator' }).isNew, true)
    assert.equal(ask({ target: 'staging' }).isNew, true)
    assert.equal(ask({}, asking, sam).isNew, true)
    assert.deepEqual(desk.what, Array(4).fill('filed'))
  })

  it('takes the same persons as a statement does', async () => {
    const { request } = ask({}, { ...asking, approve: terms(['support', 'dba'], 2) })
    assert.equal(await codeOf(() => approve(request.id, lee)), 'DENIED')
    assert.equal((await approve(request.id, ben)).missing[0]?.need, 1)
    assert.equal((await approve(request.id, ben)).missing[0]?.need, 1)
    assert.equal((await approve(request.id, kim)).request.state, 'approved')
  })

  it('refuses what is longer than the policy gives, and what has no reason', async () => {
    const long = await errorOf(() => ask({ forMs: 4 * HOUR + 1 }))
    assert.equal(long.message, 'at most 4 h for writer on prod')
    assert.deepEqual([long.next, long.exitCode], [['--for 4h'], 2])
    const short = { ...asking, maxMs: 90 * MINUTE }
    const hours = await errorOf(() => ask({ forMs: 4 * HOUR }, short))
    assert.deepEqual(hours.next, ['--for 90m'])
    for (const forMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.equal(await codeOf(() => ask({ forMs })), 'USAGE')
    }
    assert.equal(await codeOf(() => ask({ reason: ' \n' })), 'USAGE')
    assert.equal(ask({ reason: undefined }, { ...asking, reason: 'optional' }).isNew, true)
  })

  it('gives no longer than the policy in force by then', async () => {
    const { request } = ask({ forMs: 4 * HOUR })
    const now = {
      id: 'p2',
      since: START,
      rejudge: () => ({ outcome: 'hold', rule: 'access', terms: terms(), maxMs: HOUR }) as const,
    }
    await desk.approvals.decide({ id: request.id, vote: 'approve' }, voter(ben), now)
    assert.equal(active()[0]?.expiresAt, START + HOUR)
  })

  it('lasts no longer for a clock that is set back', async () => {
    await approve(ask().request.id)
    desk.clock.time += 50 * MINUTE
    desk.approvals.expireDue()
    desk.clock.time -= 10 * HOUR
    assert.equal(active().length, 1)
    desk.clock.time += 11 * MINUTE
    assert.deepEqual(active(), [])
  })

  it('survives a restart', async () => {
    await approve(ask().request.id)
    desk.start()
    desk.approvals.expireAtStart()
    assert.equal(active().length, 1)
  })

  it('is ended by whoever has it, could have approved it, or is an admin', async () => {
    for (const by of [viewer(lee), viewer(kim), viewer(sam, true)]) {
      const { request } = ask()
      await approve(request.id)
      const ended = desk.approvals.access.end(request.id, by, 'not needed\nany more')
      assert.equal(ended.state, 'ended')
      assert.deepEqual(ended.finished, {
        at: START,
        by: by.principal.user,
        why: 'not needed any more',
      })
      assert.deepEqual(active(), [])
    }
  })

  it('is ended by nobody else, and not twice', async () => {
    const { request } = ask()
    const { end } = desk.approvals.access
    const by = (who: typeof ana) => () => end.call(desk.approvals.access, request.id, viewer(who))
    assert.equal(await codeOf(by(lee)), 'STALE', 'open')
    await approve(request.id)
    assert.equal(await codeOf(by(sam)), 'NOT_FOUND')
    const withdrawn = () => desk.approvals.withdraw(request.id, viewer(lee))
    assert.equal(await codeOf(withdrawn), 'STALE')
    by(lee)()
    assert.equal(await codeOf(by(lee)), 'STALE')
  })

  it('knows no statement by this door', async () => {
    const id = await desk.approved()
    assert.equal(await codeOf(() => desk.approvals.access.end(id, viewer(ana, true))), 'NOT_FOUND')
  })

  describe('break-glass', () => {
    const smash = (more: Partial<Wish> = {}, who = sam) =>
      desk.approvals.access.breakGlass(who, 'psql', { ...wish, ...more }, glass)

    it('gives the role at once, loudly, once', () => {
      const { request, isNew } = smash()
      assert.equal(isNew, true)
      assert.deepEqual(
        active(sam).map(({ from, expiresAt }) => [from, expiresAt]),
        [['break-glass', START + HOUR]],
      )
      assert.deepEqual(desk.what, ['filed', 'approved'])
      assert.deepEqual(desk.log.types, ['request.filed', 'request.settled'])
      assert.equal(request.review?.until, START + 24 * HOUR)
      desk.clock.time += 30 * MINUTE
      assert.equal(smash({ forMs: 4 * HOUR }).request.id, request.id)
      assert.equal(active(sam)[0]?.expiresAt, START + HOUR)
      desk.clock.time += 30 * MINUTE
      assert.equal(smash().isNew, true)
    })

    it('gives nothing that the log does not have', async () => {
      desk.log.isFull = true
      assert.equal(await codeOf(() => smash()), 'UNAUDITED')
      assert.deepEqual(active(sam), [])
    })

    it('is not for jobs, and not without a reason', async () => {
      assert.equal(await codeOf(() => smash({}, { ...sam, user: 'ci/shop' })), 'DENIED')
      assert.equal(await codeOf(() => smash({ reason: undefined })), 'USAGE')
    })

    it('waits to be looked at by somebody else', async () => {
      const { id } = smash({}, kim).request
      const list = (principal: typeof ana, isAuditor = false) =>
        desk.approvals
          .list({ principal, isAuditor }, { which: 'review' })
          .map(request => request.id)
      assert.deepEqual([list(ben), list(kim), list(lee), list(sam, true)], [[id], [], [], [id]])
      const review = (principal: typeof ana, comment = 'fine', isAgent = false) =>
        desk.approvals.access.review(id, { principal, isAgent, isAuditor: false }, comment)
      assert.equal(await codeOf(() => review(kim)), 'DENIED')
      assert.equal(await codeOf(() => review(lee)), 'DENIED')
      assert.equal(await codeOf(() => review(ben, 'fine', true)), 'DENIED')
      assert.equal(await codeOf(() => review(ben, ' ')), 'USAGE')
      assert.equal(review(ben).review?.done?.comment, 'fine')
      assert.equal(await codeOf(() => review(ben)), 'STALE')
      assert.deepEqual(list(ben), [])
      assert.equal(desk.state(id), 'approved')
      assert.equal(desk.log.types.at(-1), 'request.reviewed')
    })
  })

  describe('give', () => {
    const give = (user: string, who = ben) => desk.approvals.access.give(who, user, wish, asking)

    it('gives a role to whoever has that name', () => {
      const { id } = give('lee@acme.dev')
      assert.deepEqual(
        active().map(({ id, from }) => ({ id, from })),
        [{ id, from: 'request' }],
      )
      assert.deepEqual(active(ana), [])
      const [filed] = desk.log.records
      assert(filed?.type === 'request.filed')
      assert.deepEqual([filed.from, filed.user], ['admin', 'lee@acme.dev'])
      assert.equal(desk.approvals.get({ principal: lee, isAuditor: false }, id).id, id)
      desk.approvals.access.end(id, viewer(lee))
      assert.deepEqual(active(), [])
    })

    it('gives none to oneself, and none without a reason', async () => {
      assert.equal(await codeOf(() => give('Ben@acme.dev')), 'DENIED')
      assert.equal(await codeOf(() => give('lee@acme.dev', { ...ben, user: 'ci/x' })), 'DENIED')
    })
  })
})
