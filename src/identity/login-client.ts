/** The provider as the CLI sees it: discovery, the client's way to prove itself, and its errors in our words. */

import {
  AuthorizationResponseError,
  allowInsecureRequests,
  type ClientAuth,
  ClientError,
  ClientSecretBasic,
  ClientSecretPost,
  type Configuration,
  clockTolerance,
  customFetch,
  discovery,
  None,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
} from 'openid-client'
import { DbgateError, systemCode } from '../errors.ts'

/** The client to sign in with, as the server publishes it. `clientSecret` is one only in name. */
export type LoginClient = {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret?: string | undefined
  readonly scopes: readonly string[]
}

/** What every flow may be given. `fetch` replaces the global one. Units: milliseconds. */
export type LoginOptions = {
  readonly now: () => number
  readonly timeoutMs?: number
  readonly signal?: AbortSignal | undefined
  readonly fetch?: typeof fetch | undefined
}

const REQUEST_TIMEOUT_S = 15
/** How far the provider's clock may be from ours. The server, whose clock counts, checks again. */
const CLOCK_TOLERANCE_S = 60

/**
 * Reads the provider's metadata.
 *
 * Throws: UNREACHABLE if it does not answer; UNAUTHORIZED if what it answers is not that issuer's.
 */
export async function discover(
  client: LoginClient,
  fetchIt: typeof fetch | undefined,
): Promise<Configuration> {
  const issuer = URL.parse(client.issuer)
  if (issuer === null) throw new DbgateError('UNAUTHORIZED', 'the server names no valid issuer')
  const isLoopback = ['127.0.0.1', '[::1]', 'localhost'].includes(issuer.hostname)
  try {
    const metadata = { [clockTolerance]: CLOCK_TOLERANCE_S }
    return await discovery(issuer, client.clientId, metadata, proofOf(client), {
      timeout: REQUEST_TIMEOUT_S,
      execute: isLoopback ? [allowInsecureRequests] : [],
      [customFetch]: (url, { body, signal, ...init }) =>
        (fetchIt ?? fetch)(url, {
          ...init,
          body: body ?? null,
          ...(signal === undefined ? {} : { signal }),
        }),
    })
  } catch (error) {
    throw loginError(error, client.issuer)
  }
}

/** A secret goes into the body where the provider says it takes it there, else into the header as is the default. */
function proofOf({ clientSecret }: LoginClient): ClientAuth {
  if (clientSecret === undefined) return None()
  const post = ClientSecretPost(clientSecret)
  const basic = ClientSecretBasic(clientSecret)
  return (server, ...rest) => {
    const methods = server.token_endpoint_auth_methods_supported ?? []
    return (methods.includes('client_secret_post') ? post : basic)(server, ...rest)
  }
}

/** The scopes to ask for: an unknown one makes some providers refuse the whole sign-in. */
export function scopeOf(client: LoginClient, config: Configuration): string {
  const supported = config.serverMetadata().scopes_supported
  const wanted = new Set(['openid', ...client.scopes])
  return [...wanted]
    .filter(scope => scope === 'openid' || supported === undefined || supported.includes(scope))
    .join(' ')
}

/** What some providers want besides, to hand out a refresh token. Source: Google's OAuth 2.0 for native apps. */
export function offlineParameters(config: Configuration): Record<string, string> {
  const isGoogle = config.serverMetadata().issuer === 'https://accounts.google.com'
  return isGoogle ? { access_type: 'offline', prompt: 'consent' } : {}
}

const OAUTH_WORDS: Readonly<Record<string, string>> = {
  access_denied: 'the identity provider did not let you in',
  expired_token: 'nobody finished the sign-in in time',
  invalid_grant: 'the sign-in has expired',
  invalid_client: 'the identity provider does not know this client',
  unauthorized_client: 'the identity provider does not allow this way to sign in',
  unsupported_grant_type: 'the identity provider does not allow this way to sign in',
  invalid_scope: 'the identity provider does not offer what was asked for',
}

/** Any failure of a flow in our words. What the provider says of it goes into `detail`, bounded. */
export function loginError(error: unknown, issuer: string): DbgateError {
  if (error instanceof DbgateError) return error
  if (error instanceof ResponseBodyError || error instanceof AuthorizationResponseError) {
    const message = OAUTH_WORDS[error.error] ?? `the identity provider refused (${error.error})`
    return signInAgain(message.slice(0, 200), error.error_description)
  }
  if (error instanceof WWWAuthenticateChallengeError) {
    const { error: code = 'invalid_client', error_description: more } =
      error.cause[0]?.parameters ?? {}
    return signInAgain(OAUTH_WORDS[code] ?? 'the identity provider refused', more)
  }
  const host = URL.parse(issuer)?.host ?? issuer
  if (isTimeout(error)) {
    return new DbgateError('UNREACHABLE', `the identity provider ${host} did not answer in time`)
  }
  const why = networkReason(error)
  if (why !== undefined) {
    const message = `cannot reach the identity provider ${host} (${why})`
    return new DbgateError('UNREACHABLE', message, { detail: 'Are you on the VPN?' })
  }
  const reason = error instanceof Error ? error.message : 'unknown reason'
  return signInAgain('the identity provider’s answer was not accepted', reason)
}

/** An UNAUTHORIZED that says how to go on. */
export function signInAgain(message: string, detail?: string): DbgateError {
  return new DbgateError('UNAUTHORIZED', message, {
    next: ['dbgate login'],
    ...(detail === undefined ? {} : { detail: detail.slice(0, 300) }),
  })
}

function isTimeout(error: unknown): boolean {
  return error instanceof ClientError && error.code === 'OAUTH_TIMEOUT'
}

/** fetch says "fetch failed" and keeps the system's reason one or two levels down. */
function networkReason(error: unknown): string | undefined {
  let here = error
  for (let depth = 0; depth < 4 && here instanceof Error; depth += 1) {
    const code = systemCode(here)
    if (code !== undefined && /^(E[A-Z]+|UND_ERR_\w+|CERT_\w+|\w+_CERT\w*)$/.test(code)) return code
    here = here.cause
  }
  return error instanceof TypeError && error.message === 'fetch failed' ? 'no answer' : undefined
}
