import assert from 'node:assert/strict'
import { createServer, request } from 'node:http'
import { DbgateError } from '../../src/errors.ts'
import {
  createVerifier,
  decodeClaims,
  type LoginClient,
  loginInBrowser,
  loginWithDevice,
  loginWithToken,
} from '../../src/identity/index.ts'
import { browse, CLIENT_ID, startTestIssuer, type TestIssuer } from '../helpers/oidc.ts'

const now = () => Date.now()

describe('identity/login', () => {
  let issuer: TestIssuer
  let client: LoginClient
  before(async () => {
    issuer = await startTestIssuer()
    const scopes = ['openid', 'email', 'profile', 'groups', 'offline_access', 'unknown_scope']
    client = { issuer: issuer.issuer, clientId: CLIENT_ID, scopes }
  })
  after(() => issuer.stop())

  /** Starts a sign-in and hands its link out; the promise must not be left alone. */
  const start = async (o: { timeoutMs?: number; signal?: AbortSignal; isFresh?: boolean } = {}) => {
    const { promise: link, resolve: onUrl } = Promise.withResolvers<string>()
    const finished = loginInBrowser(client, { now, onUrl, ...o })
    finished.catch(() => {})
    const url = await Promise.race([link, finished.then(() => assert.fail('no link'))])
    const redirect = new URL(url).searchParams.get('redirect_uri') ?? ''
    return { finished, url, redirect, state: new URL(url).searchParams.get('state') ?? '' }
  }
  const trusted = () => ({
    name: 'test',
    kind: 'people' as const,
    issuer: issuer.issuer,
    clientId: CLIENT_ID,
    audience: [CLIENT_ID],
    algorithms: ['RS256'],
    clockToleranceMs: 30_000,
    claims: { user: 'email', name: 'name', groups: 'groups' },
  })
  const refused = async (finished: Promise<unknown>) => {
    try {
      await finished
    } catch (error) {
      assert.ok(error instanceof DbgateError, String(error))
      return error
    }
    return assert.fail('signed in')
  }

  it('signs in with code, PKCE, state and nonce, and says so in the browser', async () => {
    const { finished, url, redirect } = await start()
    const asked = new URL(url).searchParams
    assert.match(redirect, /^http:\/\/127\.0\.0\.1:\d+\/callback$/)
    assert.equal(asked.get('code_challenge_method'), 'S256')
    assert.match(asked.get('code_challenge') ?? '', /^[\w-]{43}$/)
    assert.match(asked.get('nonce') ?? '', /^[\w-]{43}$/)
    assert.doesNotMatch(asked.get('scope') ?? '', /unknown_scope/)
    const [tokens, page] = await Promise.all([finished, browse(url, 'ana')])
    assert.equal(page.status, 200)
    assert.match(page.text, /You are signed in, Ana/)
    const claims = decodeClaims(tokens.token)
    assert.equal(claims.email, 'ana@acme.example')
    assert.equal(claims.nonce, asked.get('nonce'))
    assert.equal(tokens.expiresAt, Number(claims.exp) * 1000)
    assert.ok(tokens.refreshToken)
  })

  it('gives a token that the server’s side accepts', async () => {
    const { finished, url } = await start()
    const [{ token }] = await Promise.all([finished, browse(url, 'ben')])
    const verifier = createVerifier([trusted()], { now })
    const { user, groups, issuer: by } = await verifier.verify(token)
    assert.deepEqual([user, by], ['ben@acme.example', issuer.issuer])
    assert.ok(groups.length > 0)
    for (const bad of [await issuer.forge('ben'), issuer.unsigned('ben')]) {
      await assert.rejects(verifier.verify(bad), { code: 'UNAUTHORIZED' })
    }
    await verifier.verify(await issuer.mint('ben'))
  })

  it('asks for a fresh sign-in where one is wanted, and the server’s side learns when that was', async () => {
    const before = Math.floor(Date.now() / 1000) * 1000
    const { finished, url } = await start({ isFresh: true })
    const [{ token }] = await Promise.all([finished, browse(url, 'ben')])
    const verifier = createVerifier([trusted()], { now })
    const { authTime = 0 } = await verifier.verify(token)
    assert.ok(authTime >= before && authTime <= Date.now(), String(authTime))
  })

  it('ignores requests that are not the one it waits for', async () => {
    const { finished, url, redirect } = await start()
    const port = Number(new URL(redirect).port)
    const status = async (path: string, headers: Record<string, string> = {}, method = 'GET') =>
      new Promise<number>((resolve, reject) => {
        request({ port, host: '127.0.0.1', path, headers, method }, response => {
          response.resume()
          resolve(response.statusCode ?? 0)
        })
          .once('error', reject)
          .end()
      })
    assert.equal(await status('/callback'), 400)
    assert.equal(await status('/callback?error=access_denied&state=guessed'), 400)
    assert.equal(await status(`/callback?code=x&state=${'a'.repeat(43)}`), 400)
    assert.equal(await status('/'), 404)
    assert.equal(await status('/favicon.ico'), 404)
    assert.equal(await status('//evil.dev/callback'), 404)
    const state = new URL(url).searchParams.get('state')
    assert.equal(await status(`/callback?code=x&state=${state}`, { host: 'evil.dev' }), 404)
    assert.equal(await status(`/callback?code=x&state=${state}`, {}, 'POST'), 404)
    await Promise.all([finished, browse(url, 'ana')])
  })

  it('shows why the provider refused, as text', async () => {
    const { finished, redirect, state } = await start()
    const back = new URL(redirect)
    back.search = new URLSearchParams({
      error: 'access_denied',
      error_description: '<img src=x onerror=alert(1)> \u202e not you',
      iss: issuer.issuer,
      state,
    }).toString()
    const response = await fetch(back)
    const page = await response.text()
    const error = await refused(finished)
    assert.equal(response.status, 400)
    assert.equal(error.code, 'UNAUTHORIZED')
    assert.equal(error.message, 'the identity provider did not let you in')
    assert.match(page, /did not let you in/)
    assert.match(page, /&lt;img src=x onerror=alert\(1\)&gt; {3}not you/)
    assert.doesNotMatch(page, /<img|\u202e/)
  })

  it('sends pages that load nothing and may not be kept or framed', async () => {
    const { finished, url, redirect } = await start()
    for (const page of [await fetch(redirect), await fetch(new URL('/x', redirect))]) {
      assert.match(
        page.headers.get('content-security-policy') ?? '',
        /^default-src 'none'; style-src 'sha256-[\w+/]{43}='; frame-ancestors 'none'/,
      )
      assert.equal(page.headers.get('cache-control'), 'no-store')
      assert.equal(page.headers.get('referrer-policy'), 'no-referrer')
      assert.doesNotMatch(await page.text(), /https?:\/\/|<script|<link|url\(|@import/)
    }
    await Promise.all([finished, browse(url, 'ana')])
  })

  it('refuses the answer of another provider', async () => {
    const { finished, redirect, state } = await start()
    const query = new URLSearchParams({ code: 'c', state, iss: 'https://evil.dev' })
    assert.equal((await fetch(`${redirect}?${query}`)).status, 400)
    assert.equal((await refused(finished)).code, 'UNAUTHORIZED')
  })

  it('refuses a code that is not for this sign-in', async () => {
    const { finished, redirect, state } = await start()
    const query = new URLSearchParams({ code: 'stolen', state, iss: issuer.issuer })
    assert.equal((await fetch(`${redirect}?${query}`)).status, 400)
    const error = await refused(finished)
    assert.equal(error.message, 'the sign-in has expired')
    assert.doesNotMatch(`${error.stack}${error.detail}`, /stolen/)
  })

  it('gives up in time, and closes the port', async () => {
    const { finished, redirect } = await start({ timeoutMs: 100 })
    const error = await refused(finished)
    assert.equal(error.message, 'nobody finished the sign-in within 0 s')
    assert.equal(error.exitCode, 4)
    await assert.rejects(fetch(redirect))
  })

  it('stops when it is told to', async () => {
    const stop = new AbortController()
    const { finished, redirect } = await start({ signal: stop.signal })
    stop.abort(new Error('^C'))
    await assert.rejects(finished, { message: '^C' })
    await assert.rejects(fetch(redirect))
  })

  it('says when the provider cannot be reached or is another', async () => {
    const options = { now, onUrl: () => {} }
    const gone = await refused(loginInBrowser({ ...client, issuer: 'http://127.0.0.1:1' }, options))
    assert.equal(gone.code, 'UNREACHABLE')
    assert.match(gone.message, /^cannot reach the identity provider 127\.0\.0\.1:1 \(/)
    const impostor = createServer((_request, response) => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ issuer: 'https://evil.dev' }))
    })
    await new Promise<void>(resolve => impostor.listen(0, '127.0.0.1', resolve))
    const address = impostor.address()
    const port = typeof address === 'object' ? address?.port : 0
    const wrong = await refused(
      loginInBrowser({ ...client, issuer: `http://127.0.0.1:${port}` }, options),
    )
    assert.equal(wrong.code, 'UNAUTHORIZED')
    await new Promise(resolve => impostor.close(resolve))
    const plain = await refused(
      loginInBrowser({ ...client, issuer: 'http://id.acme.dev' }, options),
    )
    assert.match(`${plain.message} ${plain.detail}`, /only requests to HTTPS are allowed/)
  })

  it('signs in by a code typed on another device', async () => {
    const { promise, resolve: onCode } = Promise.withResolvers<{ url: string; code: string }>()
    const finished = loginWithDevice(client, { now, onCode, pollMs: 50 })
    const { url, code } = await promise
    const [tokens] = await Promise.all([finished, browse(url, 'lee', { user_code: code })])
    assert.equal(decodeClaims(tokens.token).email, 'lee@acme.example')
  })

  it('gives up on a code nobody types', async () => {
    const options = { now, onCode: () => {}, pollMs: 20, timeoutMs: 200 }
    const error = await refused(loginWithDevice(client, options))
    assert.match(error.message, /^nobody finished the sign-in within/)
    const stop = AbortSignal.abort(new Error('^C'))
    await assert.rejects(loginWithDevice(client, { ...options, signal: stop }), { message: '^C' })
  })

  it('takes a token from elsewhere, and never shows it', async () => {
    const token = await issuer.mint('ana')
    const { expiresAt, refreshToken } = loginWithToken(` ${token}\n`, { now })
    assert.equal(expiresAt, Number(decodeClaims(token).exp) * 1000)
    assert.equal(refreshToken, undefined)
    const old = await issuer.mint('ana', { exp: 1000 })
    for (const [text, code] of [
      [old, 'UNAUTHORIZED'],
      [`${token}x.y`, 'USAGE'],
      ['nonsense-token', 'USAGE'],
      ['', 'USAGE'],
    ] as const) {
      assert.throws(
        () => loginWithToken(text, { now }),
        (error: unknown) => {
          assert.ok(error instanceof DbgateError)
          assert.equal(error.code, code)
          const shown = `${error.stack}${error.detail}${error.cause}`
          return text === '' || !shown.includes(text.slice(0, 12))
        },
      )
    }
  })
})
