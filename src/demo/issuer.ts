/** An OpenID Connect provider with people in it, for the demo and for tests: oidc-provider, in process. */
import { generateKeyPairSync } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Configuration, JWK, Provider } from 'oidc-provider'
import { DbgateError } from '../errors.ts'
import { createIssuerStore } from './issuer-store.ts'
import { deviceCodePage, deviceConfirmPage, messagePage, pickerPage } from './pages.ts'
import type { Person } from './people.ts'

export type IssuerOptions = {
  readonly people: readonly Person[]
  readonly clientId: string
  /** 0 picks a free one. */
  readonly port?: number
  /** The private signing key (RS256); a fresh one when left out. */
  readonly signingKey?: JWK
  readonly tokenLifetimeS?: number
  readonly now?: () => number
}

export type RunningIssuer = {
  /** The `iss` of its tokens and the base of its discovery document. */
  readonly issuer: string
  readonly clientId: string
  readonly stop: () => Promise<void>
}

/**
 * Starts the provider on 127.0.0.1. Its one client is public (PKCE), may use any port of the loopback
 * redirect `http://127.0.0.1/callback`, the device flow and rotating refresh tokens.
 *
 * Throws: UNREACHABLE when the optional package oidc-provider is missing or the port is taken.
 */
export async function startIssuer(options: IssuerOptions): Promise<RunningIssuer> {
  const { default: ProviderClass } = await importProvider()
  let respond = (_request: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(503).end()
  }
  const server = createServer((request, response) => respond(request, response))
  const port = await listen(server, options.port ?? 0)
  const issuer = `http://127.0.0.1:${port}`
  const provider = new ProviderClass(issuer, configuration(options))
  const callback = provider.callback()
  respond = (request, response) => {
    if (!request.url?.startsWith('/interaction/')) return void callback(request, response)
    interact(provider, options.people, request, response).catch(thrown => {
      const text = thrown instanceof Error ? thrown.message : String(thrown)
      sendPage(response, 400, messagePage('That did not work', text))
    })
  }
  return {
    issuer,
    clientId: options.clientId,
    stop: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Its import warns about every Node that is not yet a long-term one; a newcomer needs no such line. */
async function importProvider() {
  const { warn } = console
  console.warn = () => {}
  try {
    return await import('oidc-provider')
  } catch (cause) {
    const more = { cause, next: ['npm install'] }
    throw new DbgateError('UNREACHABLE', 'the package oidc-provider is not installed', more)
  } finally {
    console.warn = warn
  }
}

async function listen(server: ReturnType<typeof createServer>, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause =>
      reject(
        new DbgateError('UNREACHABLE', `cannot listen on 127.0.0.1 port ${port}`, {
          detail: cause.message,
          cause,
        }),
      ),
    )
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}

function freshKey(): JWK {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'demo' }
}

function configuration(options: IssuerOptions): Configuration {
  const lifetimeS = options.tokenLifetimeS ?? 3600
  return {
    adapter: createIssuerStore(options.now ?? Date.now),
    clients: [
      {
        client_id: options.clientId,
        client_name: 'dbgate',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        redirect_uris: ['http://127.0.0.1/callback'],
        response_types: ['code'],
        grant_types: [
          'authorization_code',
          'refresh_token',
          'urn:ietf:params:oauth:grant-type:device_code',
        ],
      },
    ],
    jwks: { keys: [options.signingKey ?? freshKey()] },
    cookies: { keys: ['only-on-this-machine'] },
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      profile: ['name', 'preferred_username'],
      groups: ['groups'],
    },
    // Claims go into the ID token itself: that is what dbgate reads.
    conformIdTokenClaims: false,
    findAccount: async (_ctx, id) => {
      const person = options.people.find(one => one.id === id)
      if (person === undefined) return undefined
      const { name, email, groups } = person
      const claims = { sub: id, name, preferred_username: id, email, email_verified: true }
      return { accountId: id, claims: async () => ({ ...claims, groups: [...groups] }) }
    },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    ttl: {
      AccessToken: lifetimeS,
      IdToken: lifetimeS,
      AuthorizationCode: 60,
      DeviceCode: 600,
      Grant: 86_400,
      Interaction: 3600,
      RefreshToken: 86_400,
      Session: 86_400,
    },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      revocation: { enabled: true },
      deviceFlow: {
        enabled: true,
        userCodeInputSource: async (ctx, form, _out, error) => {
          const problem = error === undefined ? undefined : 'That code is not valid. Try again.'
          ctx.body = deviceCodePage(form, problem)
        },
        userCodeConfirmSource: async (ctx, form, _client, _device, userCode) => {
          ctx.body = deviceConfirmPage(form, userCode)
        },
        successSource: async ctx => {
          ctx.body = messagePage('You are signed in', 'You can close this tab.')
        },
      },
    },
    renderError: async (ctx, out) => {
      ctx.type = 'html'
      ctx.body = messagePage('That did not work', out.error_description ?? out.error)
    },
  }
}

/** The sign-in page, and what a click on it does. */
async function interact(
  provider: Provider,
  people: readonly Person[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const interaction = await provider.interactionDetails(request, response)
  const { prompt, params, session } = interaction
  if (prompt.name === 'consent') {
    // Nobody consents to what they came for by clicking twice.
    const grant = new provider.Grant({
      accountId: session?.accountId ?? '',
      clientId: String(params.client_id),
    })
    grant.addOIDCScope(String(params.scope))
    const grantId = await grant.save()
    return provider.interactionFinished(request, response, { consent: { grantId } })
  }
  if (request.method !== 'POST') {
    return sendPage(response, 200, pickerPage(people, 'dbgate'))
  }
  const picked = new URLSearchParams(await bodyOf(request)).get('person')
  const person = people.find(one => one.id === picked)
  if (person === undefined) {
    return sendPage(response, 400, messagePage('Nobody by that name', 'Go back and pick again.'))
  }
  await provider.interactionFinished(
    request,
    response,
    { login: { accountId: person.id, remember: false } },
    { mergeWithLastSubmission: false },
  )
}

const MAX_BODY_BYTES = 4096

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw new Error('form too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function sendPage(response: ServerResponse, status: number, page: string): void {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
  })
  response.end(page)
}
