/** What a sign-in leaves in the hands of the CLI. */

import { decodeJwt } from 'jose'
import type { TokenEndpointResponse } from 'openid-client'
import { DbgateError } from '../errors.ts'
import { signInAgain } from './login-client.ts'

/**
 * The token for the server, and what renews it.
 *
 * Shape: `token` is the ID token. Without a `refreshToken` the sign-in ends with it.
 * Units: `expiresAt` is epoch milliseconds.
 */
export type TokenSet = {
  readonly token: string
  readonly expiresAt: number
  readonly refreshToken: string | undefined
}

/**
 * What a token says of itself. Not verified: to show people who they are, never to decide anything.
 *
 * Throws: USAGE if it is no JWT. The token is not in the error.
 */
export function decodeClaims(token: string): Readonly<Record<string, unknown>> {
  try {
    return decodeJwt(token)
  } catch {
    throw new DbgateError('USAGE', 'this is not a token (a JWT has three parts with dots between)')
  }
}

/** The tokens of an answer; a rotated refresh token takes the place of the one used. */
export function tokensOf(
  response: Pick<TokenEndpointResponse, 'id_token' | 'refresh_token'>,
  used?: string,
): TokenSet {
  if (response.id_token === undefined) {
    throw signInAgain(
      'the identity provider sent no ID token',
      'The scope openid is needed for it.',
    )
  }
  return {
    token: response.id_token,
    expiresAt: endOf(decodeClaims(response.id_token)),
    refreshToken: response.refresh_token ?? used,
  }
}

/**
 * A token from elsewhere, as a job or `--token-stdin` brings it. It can't be renewed.
 *
 * Throws: USAGE if it is no JWT; UNAUTHORIZED if it has ended. The token is in neither.
 */
export function loginWithToken(text: string, o: { readonly now: () => number }): TokenSet {
  const token = text.trim()
  const expiresAt = endOf(decodeClaims(token))
  if (expiresAt <= o.now()) throw signInAgain('the token has expired')
  return { token, expiresAt, refreshToken: undefined }
}

function endOf(claims: Readonly<Record<string, unknown>>): number {
  if (typeof claims.exp === 'number' && Number.isFinite(claims.exp)) return claims.exp * 1000
  throw new DbgateError('USAGE', 'the token does not say when it ends')
}

/** For the keychain. */
export function packTokens(tokens: TokenSet): string {
  return JSON.stringify({ v: 1, ...tokens })
}

/** From the keychain; undefined if what is there is not ours. */
export function unpackTokens(text: string): TokenSet | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  if (!('token' in value) || typeof value.token !== 'string') return undefined
  if (!('expiresAt' in value) || typeof value.expiresAt !== 'number') return undefined
  const refreshToken = 'refreshToken' in value ? value.refreshToken : undefined
  return {
    token: value.token,
    expiresAt: value.expiresAt,
    refreshToken: typeof refreshToken === 'string' ? refreshToken : undefined,
  }
}
