import assert from 'node:assert/strict'
import { createHmac, createPublicKey } from 'node:crypto'
import { createServer } from 'node:http'
import { inspect } from 'node:util'
import { CompactEncrypt } from 'jose'
import { DbgateError } from '../../src/errors.ts'
import { createVerifier, TokenRefused, type TrustedIssuer } from '../../src/identity/index.ts'
import { claims, type Key, makeKey, NOW, type Signer, sign, startSigner } from './signer.ts'

const nowS = NOW / 1000

describe('identity/verify', () => {
  let signer: Signer
  let key: Key
  let stranger: Key
  before(async () => {
    signer = await startSigner()
    key = await makeKey('RS256', 'k1')
    stranger = await makeKey('RS256', 'k1')
    signer.publish(key)
  })
  after(() => signer.stop())

  const verifier = (more: Partial<TrustedIssuer> = {}) =>
    createVerifier([{ ...signer.trusted, ...more } as TrustedIssuer], { now: () => NOW })

  const refusalOf = async (token: string, from = verifier()) => {
    try {
      await from.verify(token)
    } catch (error) {
      assert.ok(error instanceof DbgateError, inspect(error))
      assert.ok(error.cause instanceof TokenRefused, inspect(error.cause))
      // What a forger sees is one and the same; what the log sees holds no part of the token.
      assert.deepEqual(
        [error.code, error.sqlstate, error.message, error.detail, error.hint, error.next],
        [
          'UNAUTHORIZED',
          '28000',
          'the sign-in was not accepted',
          undefined,
          'Sign in again.',
          ['dbgate login'],
        ],
      )
      const printed = inspect(error, { depth: 9, showHidden: true })
      for (const part of token.split('.').filter(one => one.length > 8)) {
        assert.ok(!printed.includes(part), 'the error holds a part of the token')
      }
      return error.cause.reason
    }
    return assert.fail('the token was accepted')
  }

  it('makes the principal of a good token', async () => {
    assert.deepEqual(await verifier().verify(await sign(key, claims(signer.issuer))), {
      issuer: signer.issuer,
      subject: 'u-1',
      user: 'ana@acme.dev',
      name: 'Ana Ruiz',
      groups: ['engineering', 'oncall'],
      expiresAt: NOW + 600_000,
    })
  })

  for (const alg of ['ES256', 'EdDSA', 'PS256']) {
    it(`verifies ${alg}`, async () => {
      const other = await startSigner()
      const own = await makeKey(alg, 'k')
      other.publish(own)
      const all = createVerifier([other.trusted], { now: () => NOW })
      assert.equal((await all.verify(await sign(own, claims(other.issuer)))).subject, 'u-1')
      await other.stop()
    })
  }

  it('accepts ID tokens and JWT access tokens, whatever the case of their type', async () => {
    for (const typ of ['JWT', 'at+jwt', 'application/at+JWT']) {
      await verifier().verify(await sign(key, claims(signer.issuer), { typ }))
    }
  })

  it('refuses a signature by another key of the same name', async () => {
    assert.equal(await refusalOf(await sign(stranger, claims(signer.issuer))), 'signature')
  })

  it('refuses a token whose claims were changed after signing', async () => {
    const [head, , signature] = (await sign(key, claims(signer.issuer))).split('.')
    const body = part(claims(signer.issuer, { email: 'kim@acme.dev' }))
    assert.equal(await refusalOf(`${head}.${body}.${signature}`), 'signature')
  })

  it('refuses alg none, with and without a signature', async () => {
    const body = part(claims(signer.issuer))
    const signature = (await sign(key, claims(signer.issuer))).split('.')[2]
    for (const alg of ['none', 'None', 'NONE', '']) {
      const head = part({ alg, kid: 'k1' })
      assert.equal(await refusalOf(`${head}.${body}.`), 'malformed')
      assert.match(await refusalOf(`${head}.${body}.${signature}`), /^(algorithm|malformed)$/)
    }
  })

  it('refuses HS256 keyed with the public key in any of its spellings', async () => {
    const publicKey = createPublicKey(key.privateKey)
    const spellings = [
      publicKey.export({ type: 'spki', format: 'pem' }),
      publicKey.export({ type: 'spki', format: 'der' }),
      publicKey.export({ type: 'pkcs1', format: 'pem' }),
      JSON.stringify(key.jwk),
      Buffer.from(String(key.jwk.n), 'base64url'),
    ]
    for (const secret of spellings) {
      const head = `${part({ alg: 'HS256', kid: 'k1' })}.${part(claims(signer.issuer))}`
      const signature = createHmac('sha256', secret).update(head).digest('base64url')
      assert.equal(await refusalOf(`${head}.${signature}`), 'algorithm')
    }
  })

  it('refuses an algorithm that is not configured', async () => {
    const token = await sign({ ...key, alg: 'RS512' }, claims(signer.issuer))
    assert.equal(await refusalOf(token), 'algorithm')
    const only = verifier({ algorithms: ['ES256'] })
    assert.equal(await refusalOf(await sign(key, claims(signer.issuer)), only), 'algorithm')
  })

  const wrong: readonly [title: string, reason: string, more: Record<string, unknown>][] = [
    ['another issuer', 'issuer', { iss: 'https://evil.dev' }],
    ['the issuer with a slash more', 'issuer', { iss: '{issuer}/' }],
    ['another audience', 'audience', { aud: 'another-client' }],
    ['a list of other audiences', 'audience', { aud: ['a', 'b'] }],
    ['no audience', 'audience', { aud: undefined }],
    ['our audience, issued to another client', 'audience', { azp: 'another-client' }],
    ['an end in the past', 'expired', { exp: nowS - 31 }],
    ['no end', 'claims', { exp: undefined }],
    ['an end that is no number', 'claims', { exp: 'never' }],
    ['a start in the future', 'not-yet', { nbf: nowS + 31 }],
    ['a making in the future', 'not-yet', { iat: nowS + 31 }],
    ['no making', 'claims', { iat: undefined }],
    ['no subject', 'claims', { sub: undefined }],
    ['an empty subject', 'claims', { sub: '' }],
    ['the claims of a logout token', 'type', { events: { 'http://schemas.openid.net/x': {} } }],
    ['nobody’s name', 'no-user', { email: undefined }],
    ['an address nobody verified', 'unverified-email', { email_verified: false }],
    ['an overage marker', 'overage', { groups: undefined, _claim_names: { groups: 'src1' } }],
  ]
  for (const [title, reason, more] of wrong) {
    it(`refuses ${title}`, async () => {
      const { iss = signer.issuer, ...payload } = claims(signer.issuer, more)
      const token = await sign(key, { ...payload, iss: iss.replace('{issuer}', signer.issuer) })
      assert.equal(await refusalOf(token), reason)
    })
  }

  it('allows clocks to be apart by the tolerance and no more', async () => {
    for (const more of [{ exp: nowS - 29 }, { nbf: nowS + 29 }, { iat: nowS + 29 }]) {
      await verifier().verify(await sign(key, claims(signer.issuer, more)))
    }
  })

  it('refuses tokens of another type signed with the same key', async () => {
    for (const typ of ['logout+jwt', 'secevent+jwt', 'dpop+jwt', 'client-authentication+jwt', '']) {
      const token = await sign(key, claims(signer.issuer), { typ })
      assert.equal(await refusalOf(token), 'type')
    }
  })

  it('never goes where a token points: kid, jku, x5u, jwk', async () => {
    const visits: string[] = []
    const trap = createServer((request, response) => {
      visits.push(request.url ?? '')
      response.end(JSON.stringify({ keys: [stranger.jwk] }))
    })
    await new Promise<void>(resolve => trap.listen(0, '127.0.0.1', resolve))
    const address = trap.address()
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/keys`
    const headers = [
      { kid: '../../../../dev/null' },
      { kid: `' union select 'x` },
      { kid: url },
      { kid: 'k1', jku: url },
      { kid: 'k1', x5u: url },
      { kid: 'k1', jwk: stranger.jwk },
    ]
    for (const header of headers) {
      const token = await sign(stranger, claims(signer.issuer), header)
      assert.match(await refusalOf(token), /^(key|signature)$/)
    }
    assert.deepEqual(visits, [])
    await new Promise(resolve => trap.close(resolve))
  })

  it('refuses what is no signed JWT', async () => {
    const good = await sign(key, claims(signer.issuer))
    const [head = '', body = '', signature = ''] = good.split('.')
    const encrypted = await new CompactEncrypt(Buffer.from(JSON.stringify(claims(signer.issuer))))
      .setProtectedHeader({ alg: 'RSA-OAEP-256', enc: 'A256GCM' })
      .encrypt(createPublicKey(key.privateKey))
    const texts = [
      '',
      'x',
      'a.b.c',
      `${good}.`,
      ` ${good}`,
      `${good}\n`,
      `${head}.${body}`,
      `${head}..${signature}`,
      `${part([])}.${body}.${signature}`,
      `${part({ alg: 'RS256', kid: 'k1', crit: ['exp2'], exp2: 1 })}.${body}.${signature}`,
      `${part({ alg: 'RS256', kid: 'k1', crit: ['b64'], b64: false })}.${body}.${signature}`,
      encrypted,
    ]
    for (const text of texts) assert.match(await refusalOf(text), /^(malformed|issuer|signature)$/)
    const large = await sign(key, claims(signer.issuer, { groups: ['g'.repeat(20_000)] }))
    assert.equal(await refusalOf(large), 'too-large')
  })

  it('keeps issuers apart', async () => {
    const other = await startSigner()
    const otherKey = await makeKey('RS256', 'k1')
    other.publish(otherKey)
    const both = createVerifier([signer.trusted, other.trusted], { now: () => NOW })
    assert.equal(
      (await both.verify(await sign(otherKey, claims(other.issuer)))).issuer,
      other.issuer,
    )
    assert.equal(await refusalOf(await sign(otherKey, claims(signer.issuer)), both), 'signature')
    await other.stop()
  })

  it('chooses between two clients of one issuer by the audience', async () => {
    const ci: TrustedIssuer = {
      name: 'jobs',
      kind: 'ci',
      issuer: signer.issuer,
      audience: ['jobs'],
      algorithms: ['RS256'],
      clockToleranceMs: 0,
      accept: [{ match: { sub: ['u-1'] }, as: 'ci/one', groups: ['ci'] }],
    }
    const both = createVerifier([signer.trusted, ci], { now: () => NOW })
    assert.equal((await both.verify(await sign(key, claims(signer.issuer)))).user, 'ana@acme.dev')
    const job = await both.verify(await sign(key, claims(signer.issuer, { aud: 'jobs' })))
    assert.deepEqual([job.user, job.groups], ['ci/one', ['ci']])
  })
})

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
