import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import * as oidc from 'openid-client'
import { browse, CLIENT_ID, startTestIssuer, type TestIssuer } from '../helpers/oidc.ts'

describe('demo/issuer', () => {
  let issuer: TestIssuer
  let client: oidc.Configuration

  before(async () => {
    issuer = await startTestIssuer()
    const options = { execute: [oidc.allowInsecureRequests] }
    const url = new URL(issuer.issuer)
    client = await oidc.discovery(url, CLIENT_ID, undefined, oidc.None(), options)
  })

  after(() => issuer.stop())

  it('signs a picked person in on a loopback redirect of any port', async () => {
    const { claims } = await signIn('ana')
    assert.equal(claims?.email, 'ana@acme.example')
    assert.deepEqual(claims?.groups, ['engineering'])
    assert.equal(claims?.aud, CLIENT_ID)
  })

  it('rotates refresh tokens, and ends the chain when one is used twice', async () => {
    const { tokens } = await signIn('ben')
    const first = tokens.refresh_token ?? ''
    const second = (await oidc.refreshTokenGrant(client, first)).refresh_token ?? ''
    assert.notEqual(second, first)
    await assert.rejects(oidc.refreshTokenGrant(client, first), { error: 'invalid_grant' })
    await assert.rejects(oidc.refreshTokenGrant(client, second), { error: 'invalid_grant' })
  })

  it('signs in by a code typed on another device', async () => {
    const device = await oidc.initiateDeviceAuthorization(client, { scope: 'openid email groups' })
    const [tokens, visit] = await Promise.all([
      oidc.pollDeviceAuthorizationGrant(client, { ...device, interval: 0.05 }),
      browse(device.verification_uri, 'lee', { user_code: device.user_code }),
    ])
    assert.equal(tokens.claims()?.email, 'lee@acme.example')
    assert.match(visit.text, /You are signed in/)
  })

  it('shows people as text, whatever their names', async () => {
    const about = '<script>alert(1)</script>'
    const person = { id: 'x', name: 'X "Y"', email: 'x@acme.example', groups: [], about }
    const strange = await startTestIssuer([person])
    try {
      const url = `${strange.issuer}/auth?client_id=${CLIENT_ID}&response_type=code&scope=openid
        &redirect_uri=http://127.0.0.1:1/callback&code_challenge=${'a'.repeat(43)}
        &code_challenge_method=S256`.replace(/\s+/g, '')
      const first = await fetch(url, { redirect: 'manual' })
      const cookie = first.headers
        .getSetCookie()
        .map(line => line.split(';')[0])
        .join('; ')
      const location = new URL(first.headers.get('location') ?? '', strange.issuer)
      const page = await (await fetch(location, { headers: { cookie } })).text()
      assert.match(page, /Who are you today/)
      assert.ok(!page.includes('<script'))
      assert.ok(page.includes('X &#34;Y&#34;'))
    } finally {
      await strange.stop()
    }
  })

  async function signIn(person: string) {
    let arrived = ''
    const server = createServer((request, response) => {
      arrived = request.url ?? ''
      response.end('you can close this tab')
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : undefined
    const redirect = `http://127.0.0.1:${port}/callback`
    const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
    const url = oidc.buildAuthorizationUrl(client, {
      redirect_uri: redirect,
      scope: 'openid email profile groups offline_access',
      code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
    })
    try {
      const visit = await browse(url.href, person)
      assert.equal(visit.text, 'you can close this tab')
      const tokens = await oidc.authorizationCodeGrant(client, new URL(arrived, redirect), {
        pkceCodeVerifier,
        idTokenExpected: true,
      })
      return { tokens, claims: tokens.claims() }
    } finally {
      server.close()
    }
  }
})
