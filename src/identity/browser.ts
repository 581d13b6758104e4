/**
 * Sign-in in the browser: authorization code with PKCE, ending at a port of this machine that exists only for it.
 *
 * Whoever opens a forwarded link signs in at *their* machine's port, where nobody listens: a link can't be used to
 * sign somebody else in here. Other pages and processes can reach the port too, so a request without our `state` is
 * answered with an error and otherwise ignored.
 * Source: RFC 8252, RFC 7636, RFC 9207.
 */

import { timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import {
  authorizationCodeGrant,
  buildAuthorizationUrl,
  type Configuration,
  calculatePKCECodeChallenge,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
} from 'openid-client'
import { DbgateError } from '../errors.ts'
import {
  discover,
  type LoginClient,
  type LoginOptions,
  loginError,
  offlineParameters,
  scopeOf,
  signInAgain,
} from './login-client.ts'
import { donePage, errorPage, PAGE_HEADERS } from './pages.ts'
import { decodeClaims, type TokenSet, tokensOf } from './tokens.ts'

/** `onUrl` gets the link once the port is open: print it, open it. `port` 0 or nothing picks a free one. */
export type BrowserLoginOptions = LoginOptions & {
  readonly onUrl: (url: string) => void
  readonly port?: number
  /** The provider is to ask for the sign-in itself, whatever session the browser has, and to say when it was. */
  readonly isFresh?: boolean
}

const DEFAULT_TIMEOUT_MS = 300_000
const CALLBACK = '/callback'

/**
 * Signs somebody in with their browser.
 *
 * Throws: UNREACHABLE if the provider does not answer; UNAUTHORIZED if it refuses, or nobody finishes in time;
 * PORT if the port is taken; the signal's reason if it aborts.
 */
export async function loginInBrowser(
  client: LoginClient,
  o: BrowserLoginOptions,
): Promise<TokenSet> {
  const config = await discover(client, o.fetch)
  const verifier = randomPKCECodeVerifier()
  const state = randomState()
  const nonce = randomNonce()
  const server = createServer()
  const redirectUri = await listen(server, o.port ?? 0)
  try {
    const url = buildAuthorizationUrl(config, {
      redirect_uri: redirectUri,
      scope: scopeOf(client, config),
      code_challenge: await calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      nonce,
      ...(o.isFresh === true ? { max_age: '0', prompt: 'login' } : offlineParameters(config)),
    })
    const finished = answerCallback(server, redirectUri, state, current =>
      exchange(config, current, { verifier, state, nonce }, client.issuer),
    )
    const ended = endOf(o)
    try {
      o.onUrl(url.href)
      return await Promise.race([finished, ended.promise])
    } finally {
      ended.stop()
    }
  } finally {
    server.close()
    // The page has been sent by now; what is left are a browser's idle connections.
    server.closeIdleConnections()
    setTimeout(() => server.closeAllConnections(), 500).unref()
  }
}

async function exchange(
  config: Configuration,
  current: URL,
  sent: { readonly verifier: string; readonly state: string; readonly nonce: string },
  issuer: string,
): Promise<TokenSet> {
  try {
    const response = await authorizationCodeGrant(config, current, {
      pkceCodeVerifier: sent.verifier,
      expectedState: sent.state,
      expectedNonce: sent.nonce,
      idTokenExpected: true,
    })
    return tokensOf(response)
  } catch (error) {
    throw loginError(error, issuer)
  }
}

function listen(server: Server, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', cause => {
      const message = `cannot open port ${port} of this machine for the sign-in`
      reject(new DbgateError('PORT', message, { cause }))
    })
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      const actual = typeof address === 'object' && address !== null ? address.port : port
      resolve(`http://127.0.0.1:${actual}${CALLBACK}`)
    })
  })
}

/** Serves the redirect: resolves or rejects with the first request that carries our state, and only that. */
function answerCallback(
  server: Server,
  redirectUri: string,
  state: string,
  finish: (current: URL) => Promise<TokenSet>,
): Promise<TokenSet> {
  return new Promise((resolve, reject) => {
    let isTaken = false
    server.on('request', (request, response) => {
      const url = callbackUrl(request, redirectUri)
      if (url === undefined) return send(response, 404, errorPage('There is nothing here.'))
      if (isTaken || !isSame(url.searchParams.get('state'), state)) {
        const text =
          'This is not the sign-in that dbgate is waiting for. Start again in the terminal.'
        return send(response, 400, errorPage(text))
      }
      isTaken = true
      finish(url).then(
        tokens => {
          response.once('close', () => resolve(tokens))
          send(response, 200, donePage(nameIn(tokens)))
        },
        (error: DbgateError) => {
          response.once('close', () => reject(error))
          send(response, 400, errorPage(error.message, error.detail))
        },
      )
    })
  })
}

function callbackUrl(request: IncomingMessage, redirectUri: string): URL | undefined {
  const expected = new URL(redirectUri)
  const url = URL.parse(request.url ?? '', expected)
  // Another name for 127.0.0.1 in the Host header is a page that tries to pass for this port.
  if (request.method !== 'GET' || request.headers.host !== expected.host) return undefined
  return url?.origin === expected.origin && url.pathname === CALLBACK ? url : undefined
}

function send(response: ServerResponse, status: number, page: string): void {
  response.writeHead(status, { ...PAGE_HEADERS, connection: 'close' }).end(page)
}

function isSame(given: string | null, expected: string): boolean {
  const [a, b] = [Buffer.from(given ?? ''), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function nameIn(tokens: TokenSet): string | undefined {
  const { email, name } = decodeClaims(tokens.token)
  return [name, email].find(one => typeof one === 'string' && one !== '')?.toString()
}

/** Rejects when the time is up or the signal aborts; `stop` ends the waiting. */
function endOf(o: LoginOptions): { promise: Promise<never>; stop: () => void } {
  const timeoutMs = o.timeoutMs ?? DEFAULT_TIMEOUT_MS
  let stop = () => {}
  const promise = new Promise<never>((_resolve, reject) => {
    const timer = setTimeout(() => reject(signInAgain(tooLate(timeoutMs))), timeoutMs)
    const onAbort = () => reject(o.signal?.reason)
    if (o.signal?.aborted === true) onAbort()
    o.signal?.addEventListener('abort', onAbort, { once: true })
    stop = () => {
      clearTimeout(timer)
      o.signal?.removeEventListener('abort', onAbort)
    }
  })
  return { promise, stop }
}

/** What to say when the time is up. */
export function tooLate(timeoutMs: number): string {
  const minutes = timeoutMs / 60_000
  const time = minutes >= 1 ? `${Math.round(minutes)} min` : `${Math.round(timeoutMs / 1000)} s`
  return `nobody finished the sign-in within ${time}`
}
