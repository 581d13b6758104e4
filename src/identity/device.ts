/** Sign-in by code, for machines without a browser. Source: RFC 8628. */

import {
  initiateDeviceAuthorization,
  pollDeviceAuthorizationGrant,
  ResponseBodyError,
} from 'openid-client'
import { DbgateError } from '../errors.ts'
import { tooLate } from './browser.ts'
import {
  discover,
  type LoginClient,
  type LoginOptions,
  loginError,
  offlineParameters,
  scopeOf,
  signInAgain,
} from './login-client.ts'
import { type TokenSet, tokensOf } from './tokens.ts'

/** Where to go on another device and what to type there. Units: `expiresAt` is epoch milliseconds. */
export type DeviceCode = {
  readonly url: string
  /** The address with the code in it, where the provider has one. */
  readonly completeUrl: string | undefined
  readonly code: string
  readonly expiresAt: number
}

/** `pollMs` is only for providers that name no interval; it can't make the polling faster than they allow. */
export type DeviceLoginOptions = LoginOptions & {
  readonly onCode: (code: DeviceCode) => void
  readonly pollMs?: number
}

const DEFAULT_TIMEOUT_MS = 300_000

/**
 * Signs somebody in with a code they type on another device. Unlike the browser's way nothing binds the code to this
 * machine: a code sent by somebody else signs in at theirs.
 *
 * Throws: as `loginInBrowser`, and UNSUPPORTED if the provider has no device flow.
 */
export async function loginWithDevice(
  client: LoginClient,
  o: DeviceLoginOptions,
): Promise<TokenSet> {
  const config = await discover(client, o.fetch)
  if (config.serverMetadata().device_authorization_endpoint === undefined) {
    throw new DbgateError('UNSUPPORTED', 'the identity provider has no sign-in by code', {
      next: ['dbgate login'],
    })
  }
  const { access_type, ...rest } = offlineParameters(config)
  const timeoutMs = o.timeoutMs ?? DEFAULT_TIMEOUT_MS
  const timeout = AbortSignal.timeout(timeoutMs)
  const signal = o.signal === undefined ? timeout : AbortSignal.any([o.signal, timeout])
  try {
    const scope = scopeOf(client, config)
    const started = await initiateDeviceAuthorization(config, { scope, ...rest })
    o.onCode({
      url: started.verification_uri,
      completeUrl: started.verification_uri_complete,
      code: started.user_code,
      expiresAt: o.now() + started.expires_in * 1000,
    })
    const interval = started.interval ?? (o.pollMs ?? 5000) / 1000
    const response = await pollDeviceAuthorizationGrant(
      config,
      { ...started, interval },
      undefined,
      { signal },
    )
    return tokensOf(response)
  } catch (error) {
    if (o.signal?.aborted === true) throw o.signal.reason
    const isLate = error instanceof ResponseBodyError && error.error === 'expired_token'
    if (timeout.aborted || isLate) throw signInAgain(tooLate(timeoutMs))
    throw loginError(error, client.issuer)
  }
}
