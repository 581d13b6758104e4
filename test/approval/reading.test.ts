import assert from 'node:assert/strict'
import type { ListFilter, Viewer } from '../../src/approval/index.ts'
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
  terms,
  voter,
} from './builders.ts'

describe('approval/reading', () => {
  let desk: Desk

  beforeEach(() => {
    desk = new Desk()
  })

  afterEach(() => desk.close())

  const viewer = (principal = ana, isAuditor = false): Viewer => ({ principal, isAuditor })
  const file = (text: string, more: Parameters<typeof filing>[1] = {}) =>
    desk.approvals.holds.file(filing(text, more)).hold.id
  const ids = (who: Viewer, filter: ListFilter) =>
    desk.approvals.list(who, filter).map(({ id }) => id)

  it('lists what waits for one, newest first', async () => {
    const [a, b] = [file('a'), file('b', { terms: terms(['dba'], 2) })]
    const own = file('c', { principal: ben })
    file('d', { terms: terms(['sre-lead']) })
    assert.deepEqual(ids(viewer(ben), { which: 'decide' }), [b, a])
    assert.deepEqual(ids(viewer(ana), { which: 'decide' }), [own])
    await desk.approvals.decide({ id: b, vote: 'approve' }, voter(ben), p1)
    assert.deepEqual(ids(viewer(ben), { which: 'decide' }), [a])
    assert.deepEqual(ids(viewer(kim), { which: 'decide', limit: 2 }), [own, b])
    assert.deepEqual(ids(viewer({ ...kim, user: 'ci/x' }), { which: 'decide' }), [])
    assert.deepEqual(ids(viewer(lee), { which: 'decide' }), [])
  })

  it("lists one's own, by state", async () => {
    const open = file('a')
    const approved = await desk.approved('b')
    file('c', { principal: lee })
    assert.deepEqual(ids(viewer(), { which: 'mine' }), [approved, open])
    assert.deepEqual(ids(viewer(), { which: 'mine', states: ['approved'] }), [approved])
    assert.deepEqual(ids(viewer(person('ana', [], 'google')), { which: 'mine' }), [])
  })

  it('lists nothing as open whose time is over', () => {
    const id = file('a')
    desk.clock.time += 15 * MINUTE
    assert.deepEqual(ids(viewer(ben), { which: 'decide' }), [])
    assert.equal(desk.approvals.list(viewer(), { which: 'mine' })[0]?.state, 'expired')
    assert.deepEqual(ids(viewer(), { which: 'mine', states: ['open'] }), [])
    assert.equal(desk.state(id), 'expired')
  })

  it('lists all for auditors only', async () => {
    const [a, b] = [file('a'), file('b', { principal: lee })]
    assert.deepEqual(ids(viewer(kim, true), { which: 'all' }), [b, a])
    assert.deepEqual(ids(viewer(kim, true), { which: 'all', kind: 'access' }), [])
    assert.equal(await codeOf(() => ids(viewer(kim), { which: 'all' })), 'DENIED')
  })

  it('shows a request to who asked, who decides and auditors', async () => {
    const id = file('a')
    for (const who of [viewer(ana), viewer(ben), viewer(lee, true)]) {
      assert.equal(desk.approvals.get(who, id).id, id)
    }
    for (const who of [viewer(lee), viewer(person('ana', [], 'google'))]) {
      const error = await errorOf(() => desk.approvals.get(who, id))
      const none = await errorOf(() => desk.approvals.get(who, 'h-none'))
      assert.deepEqual([error.code, error.message], ['NOT_FOUND', `no request ${id}`])
      assert.equal(none.message, 'no request h-none')
    }
  })

  it('takes the start of an id for all of it, if it is the start of one that may be seen', async () => {
    const texts = Array.from({ length: 20 }, (_, n) => `DELETE FROM t${n}`)
    const all = texts.map(text => file(text))
    for (const id of all) {
      assert.equal(desk.approvals.get(viewer(), id.toUpperCase()).id, id)
      const start = id.slice(0, 3)
      const same = all.filter(other => other.startsWith(start))
      if (same.length === 1) assert.equal(desk.approvals.get(viewer(), start).id, id)
      else assert.equal(await codeOf(() => desk.approvals.get(viewer(), start)), 'USAGE')
      assert.equal(await codeOf(() => desk.approvals.get(viewer(lee), start)), 'NOT_FOUND')
    }
    for (const short of ['', 'h', 'h-']) {
      assert.equal(await codeOf(() => desk.approvals.get(viewer(), short)), 'NOT_FOUND')
    }
  })

  it('deletes what has long been over, on record first, and never gives its id out again', async () => {
    const over = file('a')
    desk.approvals.withdraw(over, viewer())
    desk.clock.time += 31 * 24 * 60 * MINUTE
    const open = file('b')
    const withdrawn = file('c')
    desk.approvals.withdraw(withdrawn, viewer())
    desk.log.isFull = true
    assert.equal(
      await codeOf(() => desk.approvals.deleteFinished(30 * 24 * 60 * MINUTE)),
      'UNAUDITED',
    )
    assert.equal(desk.state(over), 'withdrawn')
    desk.log.isFull = false
    assert.equal(desk.approvals.deleteFinished(30 * 24 * 60 * MINUTE), 1)
    assert.deepEqual(
      [over, open, withdrawn].map(id => desk.state(id)),
      [undefined, 'open', 'withdrawn'],
    )
    assert.deepEqual(desk.log.records.at(-1), {
      type: 'request.deleted',
      ids: [over],
      finishedBefore: '2026-03-03T14:00:00.000Z',
    })
    assert.equal(desk.store.isSpent(over), true)
    assert.equal(desk.approvals.deleteFinished(30 * 24 * 60 * MINUTE), 0)
  })
})
