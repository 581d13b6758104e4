import assert from 'node:assert/strict'
import { DbgateError } from '../../src/errors.ts'
import { type SignInEvent, TokenKeeper } from '../../src/tunnel/sign-in.ts'

const MINUTE_MS = 60_000

/** A keeper with a clock of its own, and a sign-in that hands out t1, t2, … for ten minutes each. */
function bench() {
  const state = {
    now: 0,
    count: 0,
    asked: 0,
    announced: 0,
    isAway: false,
    failure: undefined as Error | undefined,
  }
  const events: SignInEvent[] = []
  let stored = { token: 't0', expiresAt: 10 * MINUTE_MS }
  const next = async () => {
    if (state.failure !== undefined) throw state.failure
    state.count += 1
    stored = { token: `t${state.count}`, expiresAt: state.now + 10 * MINUTE_MS }
    return stored
  }
  const keeper = new TokenKeeper({
    signIn: {
      current: async () => {
        state.asked += 1
        return stored.expiresAt > state.now ? stored : next()
      },
      renew: next,
    },
    announce: async () => {
      if (state.isAway) throw new DbgateError('UNREACHABLE', 'no answer')
      state.announced += 1
    },
    now: () => state.now,
    onEvent: event => events.push(event),
  })
  return { state, events, keeper }
}

const ended = new DbgateError('UNAUTHORIZED', 'the sign-in has expired')

describe('tunnel/sign-in', () => {
  it('asks the keychain once, not for each connection', async () => {
    const { keeper, state } = bench()
    assert.deepEqual(
      [await keeper.token(), await keeper.token(), await keeper.token()],
      ['t0', 't0', 't0'],
    )
    assert.equal(state.asked, 1)
  })

  it('renews when a fifth of its life is left, and tells the server', async () => {
    const { keeper, state, events } = bench()
    await keeper.token()
    state.now = 7 * MINUTE_MS
    await keeper.tick()
    assert.equal(state.announced, 0)
    state.now = 8 * MINUTE_MS
    await keeper.tick()
    assert.equal(await keeper.token(), 't1')
    assert.equal(state.announced, 1)
    assert.deepEqual(events, [{ type: 'sign-in-renewed', expiresAt: 18 * MINUTE_MS }])
  })

  it('hands out no token that is about to end', async () => {
    const { keeper, state } = bench()
    await keeper.token()
    state.now = 10 * MINUTE_MS - 10_000
    await keeper.token()
    assert.equal(state.asked, 2)
  })

  it('says nothing of a failed renewal while the token is good, and says the end once', async () => {
    const { keeper, state, events } = bench()
    await keeper.token()
    state.failure = ended
    state.now = 9 * MINUTE_MS
    await assert.rejects(keeper.tick(), { code: 'UNAUTHORIZED' })
    assert.deepEqual(events, [])
    assert.equal(await keeper.token(), 't0')
    state.now = 11 * MINUTE_MS
    await assert.rejects(keeper.tick(), { code: 'UNAUTHORIZED' })
    await assert.rejects(keeper.tick(), { code: 'UNAUTHORIZED' })
    await assert.rejects(keeper.token(), { code: 'UNAUTHORIZED' })
    assert.deepEqual(events, [{ type: 'sign-in-ended' }])
  })

  it('is not ended by a provider that cannot be reached', async () => {
    const { keeper, state, events } = bench()
    await keeper.token()
    state.failure = new DbgateError('UNREACHABLE', 'no answer')
    state.now = 11 * MINUTE_MS
    await assert.rejects(keeper.tick(), { code: 'UNREACHABLE' })
    assert.deepEqual(events, [])
  })

  it('goes on when somebody has signed in again elsewhere', async () => {
    const { keeper, state, events } = bench()
    await keeper.token()
    state.failure = ended
    state.now = 11 * MINUTE_MS
    await assert.rejects(keeper.tick())
    state.failure = undefined
    await keeper.tick()
    assert.deepEqual(
      events.map(event => event.type),
      ['sign-in-ended', 'sign-in-renewed'],
    )
    assert.equal(state.announced, 1)
  })

  it('tells the server later of a renewal made while it was away, or made for a connection', async () => {
    const { keeper, state } = bench()
    await keeper.token()
    state.isAway = true
    state.now = 9 * MINUTE_MS
    await assert.rejects(keeper.tick(), { code: 'UNREACHABLE' })
    state.isAway = false
    await keeper.tick()
    assert.deepEqual([state.announced, state.count], [1, 1])
    await keeper.renew()
    await keeper.tick()
    await keeper.tick()
    assert.equal(state.announced, 2)
  })

  it('catches up at the first tick after hours asleep', async () => {
    const { keeper, state } = bench()
    await keeper.token()
    state.now = 5 * 60 * MINUTE_MS
    await keeper.tick()
    assert.equal(await keeper.token(), 't1')
  })
})
