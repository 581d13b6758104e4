import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { DbgateError } from '../../src/errors.ts'
import { createVerifier, TokenRefused, type Verifier } from '../../src/identity/index.ts'
import { claims, type Key, makeKey, NOW, type Signer, sign, startSigner } from './signer.ts'

const MINUTE = 60_000

describe('identity/keys', () => {
  let signer: Signer
  let one: Key
  let two: Key
  let clock: number
  before(async () => {
    one = await makeKey('ES256', 'one')
    two = await makeKey('ES256', 'two')
  })
  beforeEach(async () => {
    clock = NOW
    signer = await startSigner()
    signer.publish(one)
  })
  afterEach(() => signer.stop())

  const make = (cooldownMs = 0): Verifier =>
    createVerifier([signer.trusted], {
      now: () => clock,
      keyTimes: { cooldownMs, timeoutMs: 300 },
    })
  let counter = 0
  /** A token nobody has seen, valid for days, so that only the keys decide. */
  const token = (key: Key) => {
    counter += 1
    const exp = NOW / 1000 + 30 * 86_400
    return sign(key, claims(signer.issuer, { exp, jti: String(counter) }))
  }
  const reasonOf = (verifier: Verifier, text: string): Promise<string> =>
    verifier.verify(text).then(
      () => 'accepted',
      error => {
        assert.ok(
          error instanceof DbgateError && error.cause instanceof TokenRefused,
          inspect(error),
        )
        return error.cause.reason
      },
    )
  const keyReads = () => signer.asked.filter(path => path === '/keys').length

  it('asks the issuer once for many tokens', async () => {
    const verifier = make()
    const tokens = await Promise.all(Array.from({ length: 20 }, () => token(one)))
    await Promise.all(tokens.map(each => verifier.verify(each)))
    assert.deepEqual(signer.asked, ['/.well-known/openid-configuration', '/keys'])
  })

  it('follows a rotation as soon as a token names the new key', async () => {
    const verifier = make()
    await verifier.verify(await token(one))
    signer.publish(one, two)
    await verifier.verify(await token(two))
    signer.publish(two)
    assert.equal(await reasonOf(verifier, await token(two)), 'accepted')
  })

  it('is no lever against the issuer: made-up key ids cause no read within a cooldown', async () => {
    const verifier = make(30_000)
    await verifier.verify(await token(one))
    const before = keyReads()
    for (let i = 0; i < 20; i += 1) {
      const forged = await sign(two, claims(signer.issuer), { kid: `made-up-${i}` })
      assert.equal(await reasonOf(verifier, forged), 'key')
    }
    assert.equal(keyReads() - before, 0)
  })

  it('goes on with the keys it has while the issuer is down, for a day', async () => {
    const verifier = make()
    await verifier.verify(await token(one))
    signer.breakDown({ status: 503 })
    clock += 11 * MINUTE
    assert.equal(await reasonOf(verifier, await token(one)), 'accepted')
    clock += 23 * 60 * MINUTE
    assert.equal(await reasonOf(verifier, await token(one)), 'accepted')
    assert.equal(await reasonOf(verifier, await token(two)), 'keys-unavailable')
    clock += 60 * MINUTE
    assert.equal(await reasonOf(verifier, await token(one)), 'keys-unavailable')
    signer.breakDown(undefined)
    clock += MINUTE
    assert.equal(await reasonOf(verifier, await token(one)), 'accepted')
  })

  it('refuses everything without keys, and asks again only after a while', async () => {
    const verifier = make()
    signer.breakDown({ status: 503 })
    assert.equal(await reasonOf(verifier, await token(one)), 'keys-unavailable')
    assert.equal(await reasonOf(verifier, await token(one)), 'keys-unavailable')
    assert.equal(signer.asked.length, 1)
    signer.breakDown(undefined)
    clock += 5000
    assert.equal(await reasonOf(verifier, await token(one)), 'accepted')
  })

  it('does not wait for an issuer that hangs', async () => {
    const verifier = make()
    signer.breakDown({ hang: true })
    assert.equal(await reasonOf(verifier, await token(one)), 'keys-unavailable')
  })

  it('drops a key that was withdrawn, also for tokens it has seen', async () => {
    const verifier = make()
    const seen = await token(one)
    await verifier.verify(seen)
    signer.publish(two)
    assert.equal(await reasonOf(verifier, seen), 'accepted')
    clock += 11 * MINUTE
    await reasonOf(verifier, seen) // starts the read in the background
    await poll(() => keyReads() === 2)
    clock += 6 * MINUTE
    assert.equal(await reasonOf(verifier, seen), 'key')
  })

  it('looks a token it has seen up by its digest, until its end', async () => {
    const verifier = make()
    const short = await sign(one, claims(signer.issuer, { exp: NOW / 1000 + 60 }))
    await verifier.verify(short)
    const times: number[] = []
    for (let i = 0; i < 200; i += 1) {
      const from = process.hrtime.bigint()
      await verifier.verify(short)
      times.push(Number(process.hrtime.bigint() - from) / 1000)
    }
    times.sort((a, b) => a - b)
    assert.ok((times[100] ?? 999) < 100, `a look-up takes ${times[100]} µs`)
    clock += 60_000 + 30_001
    assert.equal(await reasonOf(verifier, short), 'expired')
  })

  const impostors: readonly [title: string, metadata: object, why: RegExp][] = [
    ['of another issuer', { issuer: 'https://evil.dev' }, /that of another issuer$/],
    ['without keys', { jwks_uri: undefined }, /no jwks_uri$/],
  ]
  for (const [title, metadata, why] of impostors) {
    it(`refuses a discovery document ${title}`, async () => {
      signer.breakDown({ metadata })
      const verifier = make()
      const [health] = await verifier.warm()
      assert.match(health?.why ?? '', why)
      assert.equal(await reasonOf(verifier, await token(one)), 'keys-unavailable')
    })
  }

  it('tells at the start how each issuer fares', async () => {
    const verifier = createVerifier(
      [signer.trusted, { ...signer.trusted, name: 'gone', issuer: 'http://127.0.0.1:1' }],
      { now: () => clock },
    )
    const [good, gone] = await verifier.warm()
    assert.deepEqual(good, { name: 'test', issuer: signer.issuer, why: undefined })
    assert.match(gone?.why ?? '', /fetch failed/)
  })
})

async function poll(isDone: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000
  while (!isDone()) {
    assert.ok(Date.now() < deadline, 'it did not happen in time')
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
