import assert from 'node:assert/strict'
import { Pace, Paces } from '../../src/gate/pace.ts'

describe('gate/pace', () => {
  it('lets as many through at once as a minute may have, then one for each that has aged', () => {
    const pace = new Pace()
    for (let sent = 0; sent < 60; sent += 1) assert.equal(pace.take(1, 60, 0), 0)
    assert.equal(pace.take(1, 60, 0), 1000)
    assert.equal(pace.take(1, 60, 400), 600)
    assert.equal(pace.take(1, 60, 1000), 0)
    assert.equal(pace.take(1, 60, 1000), 1000)
  })

  it('does not count what it refused', () => {
    const pace = new Pace()
    assert.equal(pace.take(2, 2, 0), 0)
    for (let tried = 0; tried < 10; tried += 1) assert.equal(pace.take(1, 2, 0), 30_000)
    assert.equal(pace.take(1, 2, 30_000), 0)
  })

  it('takes a text whole or not at all', () => {
    const pace = new Pace()
    assert.equal(pace.take(2, 3, 0), 0)
    assert.ok(pace.take(2, 3, 0) > 0)
    assert.equal(pace.take(1, 3, 0), 0)
    assert.ok(new Pace().take(4, 3, 0) > 0)
  })

  it('goes by the limit that is in force', () => {
    const pace = new Pace()
    assert.equal(pace.take(10, 10, 0), 0)
    assert.ok(pace.take(1, 10, 0) > 0)
    assert.equal(pace.take(1, 11, 0), 0)
    assert.ok(pace.take(1, 5, 0) > 0)
  })

  it('is kept for a key until it counts for nothing and nobody is there', () => {
    const paces = new Paces()
    const pace = paces.of('ana')
    assert.equal(pace.take(1, 1, 0), 0)
    paces.forget(30_000, new Set())
    assert.equal(paces.of('ana'), pace)
    paces.forget(60_001, new Set(['ana']))
    assert.equal(paces.of('ana'), pace)
    paces.forget(60_001, new Set())
    assert.notEqual(paces.of('ana'), pace)
  })
})
