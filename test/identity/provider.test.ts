import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import { exportJWK } from 'jose'
import type { ClientMetadata } from 'oidc-provider'
import type { IssuerConfig } from '../../src/config/index.ts'
import { PEOPLE, type RunningIssuer, startIssuer } from '../../src/demo/index.ts'
import { DbgateError } from '../../src/errors.ts'
import {
  createVerifier,
  decodeClaims,
  type LoginClient,
  loginInBrowser,
  TokenRefused,
  type TokenSet,
  type TrustedIssuer,
} from '../../src/identity/index.ts'
import { browse, CLIENT_ID } from '../helpers/oidc.ts'

const now = () => Date.now()
const scopes = ['openid', 'email', 'profile', 'groups', 'offline_access']

async function login(client: LoginClient): Promise<TokenSet> {
  const { promise, resolve: onUrl } = Promise.withResolvers<string>()
  const finished = loginInBrowser(client, { now, onUrl })
  const [tokens] = await Promise.all([
    finished,
    promise.then(url => browse(url, 'ana', { login: 'ana', password: 'any' })),
  ])
  return tokens
}

/** As it comes from the configuration: every issuer of it is one that the verifier takes. */
function configured(issuer: string): TrustedIssuer {
  const config: IssuerConfig = {
    name: 'acme',
    kind: 'people',
    issuer,
    clientId: CLIENT_ID,
    clientSecret: undefined,
    audience: [CLIENT_ID],
    algorithms: ['RS256', 'ES256'],
    clockToleranceMs: 5000,
    claims: { user: 'email', name: 'name', groups: 'groups' },
    deviceLogin: true,
  }
  return config
}

describe('identity against oidc-provider', () => {
  const running: RunningIssuer[] = []
  afterEach(async () => {
    await Promise.all(running.splice(0).map(issuer => issuer.stop()))
  })
  const start = async (kid: string, port?: number) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const signingKey = { ...(await exportJWK(privateKey)), kid, alg: 'RS256', use: 'sig' }
    const more = port === undefined ? {} : { port }
    const issuer = await startIssuer({ people: PEOPLE, clientId: CLIENT_ID, signingKey, ...more })
    running.push(issuer)
    return issuer
  }

  it('survives an outage of the provider and follows its new key afterwards', async () => {
    const first = await start('first')
    const client = { issuer: first.issuer, clientId: CLIENT_ID, scopes }
    const verifier = createVerifier([configured(first.issuer)], {
      now,
      keyTimes: { cooldownMs: 0, retryMs: 0 },
    })
    const [one, two] = [await login(client), await login(client)]
    assert.equal((await verifier.verify(one.token)).user, 'ana@acme.example')
    running.splice(0)
    await first.stop()
    assert.equal((await verifier.verify(two.token)).user, 'ana@acme.example')
    const reason = await createVerifier([configured(first.issuer)], { now })
      .verify(two.token)
      .catch(error => (error instanceof DbgateError ? error.cause : error))
    assert.ok(reason instanceof TokenRefused)
    assert.equal(reason.reason, 'keys-unavailable')

    await start('second', Number(new URL(first.issuer).port))
    const three = await login(client)
    assert.equal((await verifier.verify(three.token)).user, 'ana@acme.example')
    const old = await verifier.verify(one.token).then(
      () => 'accepted',
      error => error.cause.reason,
    )
    assert.equal(old, 'accepted', 'it is known for some minutes more')
  })

  for (const method of ['client_secret_basic', 'client_secret_post'] as const) {
    it(`proves itself by ${method} where the provider insists on a secret`, async () => {
      const { issuer, stop } = await startConfidential({
        client_id: CLIENT_ID,
        client_secret: 'not so secret',
        token_endpoint_auth_method: method,
        application_type: 'native',
        redirect_uris: ['http://127.0.0.1/callback'],
        grant_types: ['authorization_code'],
      })
      try {
        const client = { issuer, clientId: CLIENT_ID, scopes: ['openid'] }
        const tokens = await login({ ...client, clientSecret: 'not so secret' })
        assert.equal(decodeClaims(tokens.token).aud, CLIENT_ID)
        await assert.rejects(login({ ...client, clientSecret: 'wrong s3cret' }), error => {
          assert.ok(error instanceof DbgateError)
          assert.equal(error.message, 'the identity provider does not know this client')
          return !`${error.stack}${error.detail}`.includes('s3cret')
        })
      } finally {
        await stop()
      }
    })
  }
})

/** A provider with its own sign-in forms and one client, which takes one way of proving itself. */
async function startConfidential(client: ClientMetadata) {
  const { warn } = console
  console.warn = () => {} // It warns of everything that is only for trying out, which this is.
  try {
    const { default: Provider } = await import('oidc-provider')
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const issuer = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
    const method = client.token_endpoint_auth_method ?? 'none'
    const provider = new Provider(issuer, {
      clients: [client],
      clientAuthMethods: [method],
      cookies: { keys: ['only-here'] },
      features: { devInteractions: { enabled: true } },
      findAccount: async (_ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
      ttl: { AccessToken: 60, Grant: 60, IdToken: 60, Interaction: 60, Session: 60 },
      renderError: async (ctx, out) => {
        ctx.body = out.error
      },
    })
    provider.on('server_error', (_c, e) => console.log(e))
    server.on('request', provider.callback())
    const stop = () =>
      new Promise<void>(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    return { issuer, stop }
  } finally {
    console.warn = warn
  }
}
