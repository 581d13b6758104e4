import assert from 'node:assert/strict'
import type { Policy } from '../../src/policy/index.ts'
import { outcome, question, ready, withRules } from './asking.ts'

const inside = (window: string, zone: string) =>
  withRules(`- { name: it, when: { time: { inside: ${window}, zone: ${zone} } }, then: deny }`)

const isIn = (policy: Policy, at: string) =>
  outcome(policy, 'SELECT 1', { at: Date.parse(at) }) === 'deny it'

const until = (policy: Policy, at: string) => {
  const { validUntil } = policy.evaluate(question(policy, 'SELECT 1', { at: Date.parse(at) }))
  return Number.isFinite(validUntil) ? new Date(validUntil).toISOString() : 'for good'
}

describe('policy/time', () => {
  before(ready)

  it('takes the first minute of a window in, and leaves the last one out', async () => {
    const policy = await inside('"Mon-Fri 07:00-19:00"', 'UTC')
    assert.equal(isIn(policy, '2026-03-04T06:59:59.999Z'), false)
    assert.equal(isIn(policy, '2026-03-04T07:00:00Z'), true)
    assert.equal(isIn(policy, '2026-03-04T18:59:59.999Z'), true)
    assert.equal(isIn(policy, '2026-03-04T19:00:00Z'), false)
    assert.equal(isIn(policy, '2026-03-07T12:00:00Z'), false)
  })

  it('knows windows over midnight by the day they start on', async () => {
    const policy = await inside('"Fri,Sun 22:00-06:00"', 'UTC')
    assert.equal(isIn(policy, '2026-03-06T23:00:00Z'), true)
    assert.equal(isIn(policy, '2026-03-07T05:59:00Z'), true)
    assert.equal(isIn(policy, '2026-03-06T05:00:00Z'), false)
    // From Sunday into the next week.
    assert.equal(isIn(policy, '2026-03-09T05:59:00Z'), true)
    assert.equal(isIn(policy, '2026-03-09T06:00:00Z'), false)
    assert.equal(until(policy, '2026-03-08T23:00:00Z'), '2026-03-09T00:00:00.000Z')
  })

  it('knows whole days and ranges over the weekend', async () => {
    const policy = await inside('Sat-Mon', 'Asia/Kolkata')
    assert.equal(isIn(policy, '2026-03-06T18:29:00Z'), false)
    assert.equal(isIn(policy, '2026-03-06T18:30:00Z'), true)
    assert.equal(isIn(policy, '2026-03-09T18:29:00Z'), true)
    assert.equal(isIn(policy, '2026-03-09T18:30:00Z'), false)
  })

  it('goes by the clock on the wall when it is put forward and back', async () => {
    const policy = await inside('"01:30-03:30"', 'Europe/Berlin')
    // 29 March 2026: from 02:00 to 03:00 at once.
    assert.equal(isIn(policy, '2026-03-29T00:30:00Z'), true)
    assert.equal(until(policy, '2026-03-29T00:30:00Z'), '2026-03-29T01:00:00.000Z')
    assert.equal(until(policy, '2026-03-29T01:00:00Z'), '2026-03-29T01:30:00.000Z')
    assert.equal(isIn(policy, '2026-03-29T01:29:00Z'), true)
    assert.equal(isIn(policy, '2026-03-29T01:30:00Z'), false)
    // 25 October 2026: 02:00 to 03:00 comes twice.
    assert.equal(isIn(policy, '2026-10-24T23:30:00Z'), true)
    assert.equal(isIn(policy, '2026-10-25T02:29:00Z'), true)
    assert.equal(isIn(policy, '2026-10-25T02:30:00Z'), false)
  })

  it('never promises an answer for longer than it holds', async () => {
    const policies = await Promise.all([
      inside('"Mon-Fri 07:00-19:00"', 'Europe/Berlin'),
      inside('["Sat 00:00-24:00", "23:45-00:15"]', 'America/New_York'),
      inside('"Tue 12:00-13:00"', 'Australia/Lord_Howe'),
      inside('"01:00-02:30"', 'Asia/Kathmandu'),
    ])
    const start = Date.parse('2026-03-01T00:00:00Z')
    const fresh = await inside('"Mon-Fri 07:00-19:00"', 'Europe/Berlin')
    for (const policy of policies) {
      for (let step = 0; step < 400; step += 1) {
        // An odd stride, so that every minute of the hour comes up.
        const at = start + step * 37 * 61_000 * 17
        const { outcome: now, validUntil } = policy.evaluate(question(policy, 'SELECT 1', { at }))
        assert(validUntil > at)
        const just = policy.evaluate(question(policy, 'SELECT 1', { at: validUntil - 1 }))
        assert.equal(just.outcome, now, new Date(at).toISOString())
        const middle = Math.floor((at + validUntil) / 2)
        const between = policy.evaluate(question(policy, 'SELECT 1', { at: middle }))
        assert.equal(between.outcome, now, new Date(at).toISOString())
      }
    }
    assert.equal(isIn(fresh, '2026-03-04T12:00:00+01:00'), true)
  })

  it('does not depend on what was asked before', async () => {
    const times = ['2026-03-04T12:00:00Z', '2026-03-07T12:00:00Z', '2026-03-04T03:00:00Z']
    const one = await inside('"Mon-Fri 07:00-19:00"', 'UTC')
    const forth = times.map(at => isIn(one, at))
    const back = times.toReversed().map(at => isIn(one, at))
    assert.deepEqual(forth, [true, false, false])
    assert.deepEqual(back.toReversed(), forth)
  })

  it('holds for good where every minute is in', async () => {
    const policy = await withRules('- { name: it, when: { kind: DROP }, then: deny }')
    assert.equal(until(policy, '2026-03-04T12:00:00Z'), 'for good')
  })
})
