/** Tokens verified on the server: signature, algorithm, type, issuer, audience and times, then the principal. */

import { createHash } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose'
import { DbgateError } from '../errors.ts'
import { createIssuerKeys, type IssuerKeys, KEY_TIMES, type KeyTimes } from './keys.ts'
import {
  type Principal,
  principalOf,
  type TrustedIssuer,
  type VerifiedClaims,
} from './principal.ts'
import { TokenRefused } from './refused.ts'

/** How one issuer fares: `why` is set exactly when its keys could not be read. */
export type IssuerHealth = {
  readonly name: string
  readonly issuer: string
  readonly why: string | undefined
}

/** Verifies tokens of the configured issuers. */
export type Verifier = {
  /**
   * The principal of a token.
   *
   * Throws: UNAUTHORIZED (28000), word for word the same for every cause, so that it tells a forger nothing; its
   * `cause` is a TokenRefused with the reason, for the log. The token is in neither.
   */
  verify(token: string): Promise<Principal>
  /** Reads the keys of all issuers now, for the start and for health. Never throws. */
  warm(): Promise<readonly IssuerHealth[]>
}

/** Entra with many groups comes near 10 KB; Node refuses headers above 16 KiB altogether. */
const MAX_TOKEN_CHARS = 16_384
const MAX_KNOWN = 10_000
/** A verified token is looked at afresh this often, so that a withdrawn key does not count till its tokens end. */
const MAX_KNOWN_MS = 300_000

type Known = { readonly principal: Principal; readonly until: number }
type Trusted = { readonly issuer: TrustedIssuer; readonly keys: IssuerKeys }

/**
 * Makes a verifier. One person's tool presents the same token with each connection, so what was verified is kept by
 * the token's SHA-256 for a short while; failures are not.
 */
export function createVerifier(
  issuers: readonly TrustedIssuer[],
  o: {
    readonly now: () => number
    readonly fetch?: typeof fetch
    readonly keyTimes?: Partial<KeyTimes>
  },
): Verifier {
  const { now } = o
  const times = { ...KEY_TIMES, ...o.keyTimes }
  const keysOf = new Map<string, IssuerKeys>()
  for (const { issuer } of issuers) {
    if (!keysOf.has(issuer)) {
      keysOf.set(issuer, createIssuerKeys(issuer, { now, fetch: o.fetch ?? fetch, times }))
    }
  }
  const trusted = issuers.flatMap(issuer => {
    const keys = keysOf.get(issuer.issuer)
    return keys === undefined ? [] : [{ issuer, keys }]
  })
  const known = new Map<string, Known>()
  const verifying = new Map<string, Promise<Principal>>()

  const verify = async (token: string): Promise<Principal> => {
    const digest = createHash('sha256').update(token).digest('base64url')
    const found = known.get(digest)
    if (found !== undefined && now() < found.until) return found.principal
    known.delete(digest)
    const running = verifying.get(digest)
    if (running !== undefined) return running
    const fresh = verifyFresh(token, trusted, now).finally(() => verifying.delete(digest))
    verifying.set(digest, fresh)
    const principal = await fresh
    if (known.size >= MAX_KNOWN) dropOldest(known)
    known.set(digest, { principal, until: Math.min(principal.expiresAt, now() + MAX_KNOWN_MS) })
    return principal
  }

  return {
    verify: token => verify(token).catch(error => Promise.reject(unauthorized(error))),
    warm: () =>
      Promise.all(
        trusted.map(async ({ issuer, keys }) => ({
          name: issuer.name,
          issuer: issuer.issuer,
          why: await keys.warm(),
        })),
      ),
  }
}

async function verifyFresh(
  token: string,
  trusted: readonly Trusted[],
  now: () => number,
): Promise<Principal> {
  const { issuer, keys } = choose(token, trusted)
  const toleranceS = issuer.clockToleranceMs / 1000
  const { payload } = await jwtVerify(token, keys.getKey, {
    algorithms: [...issuer.algorithms],
    issuer: issuer.issuer,
    audience: [...issuer.audience],
    requiredClaims: ['exp', 'iat', 'sub'],
    clockTolerance: toleranceS,
    currentDate: new Date(now()),
  })
  if (Number(payload.iat) > now() / 1000 + toleranceS) {
    throw new TokenRefused('not-yet', 'the token was made in the future')
  }
  checkPurpose(issuer, payload)
  return principalOf(issuer, claimsOf(payload))
}

/** Picks whose rules apply by what the token says of itself; nothing else of that is believed. */
function choose(token: string, trusted: readonly Trusted[]): Trusted {
  if (token.length > MAX_TOKEN_CHARS) throw new TokenRefused('too-large', 'the token is too large')
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) {
    throw new TokenRefused('malformed', 'this is not a signed JWT')
  }
  const { typ, iss, aud } = unverified(token)
  checkType(typ)
  const ofIssuer = trusted.filter(({ issuer }) => issuer.issuer === iss)
  const [first] = ofIssuer
  if (first === undefined) throw new TokenRefused('issuer', 'no such issuer is configured')
  const audiences = Array.isArray(aud) ? aud : [aud]
  return ofIssuer.find(({ issuer }) => issuer.audience.some(a => audiences.includes(a))) ?? first
}

function unverified(token: string): { typ: unknown; iss: unknown; aud: unknown } {
  try {
    const { iss, aud } = decodeJwt(token)
    return { typ: decodeProtectedHeader(token).typ, iss, aud }
  } catch {
    throw new TokenRefused('malformed', 'this is not a signed JWT')
  }
}

const TYPES = ['jwt', 'at+jwt', 'application/jwt', 'application/at+jwt']

/**
 * ID tokens and JWT access tokens only: an issuer signs logout tokens, security events and client assertions with
 * the same keys.
 * Source: RFC 8725 section 3.11, RFC 9068 section 2.1.
 */
function checkType(typ: unknown): void {
  if (typ === undefined) return
  if (typeof typ === 'string' && TYPES.includes(typ.toLowerCase())) return
  throw new TokenRefused('type', 'the token is of a type that is no proof of a sign-in')
}

function checkPurpose(issuer: TrustedIssuer, payload: JWTPayload): void {
  if (payload.events !== undefined)
    throw new TokenRefused('type', 'this is a logout or event token')
  if (issuer.kind !== 'people' || payload.azp === undefined) return
  const audiences = Array.isArray(payload.aud) ? payload.aud : [payload.aud]
  // Our client's audience, but made for another client: OpenID Connect Core 3.1.3.7, rule 5.
  if (audiences.includes(issuer.clientId) && payload.azp !== issuer.clientId) {
    throw new TokenRefused('audience', 'the token was issued to another client')
  }
}

function claimsOf(payload: JWTPayload): VerifiedClaims {
  const { iss, sub, exp } = payload
  if (typeof iss !== 'string' || typeof sub !== 'string' || typeof exp !== 'number') {
    throw new TokenRefused('claims', 'iss, sub or exp is missing')
  }
  return { ...payload, iss, sub, exp }
}

function unauthorized(error: unknown): DbgateError {
  return new DbgateError('UNAUTHORIZED', 'the sign-in was not accepted', {
    hint: 'Sign in again.',
    next: ['dbgate login'],
    cause: error instanceof TokenRefused ? error : refusalOf(error),
  })
}

/** Our own words for jose's errors: those carry the claims, and some quote the input. */
function refusalOf(error: unknown): TokenRefused {
  if (error instanceof errors.JWTExpired)
    return new TokenRefused('expired', 'the token has expired')
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud') return new TokenRefused('audience', 'the token is for someone else')
    if (error.claim === 'nbf') return new TokenRefused('not-yet', 'the token is not valid yet')
    if (error.claim === 'iss') return new TokenRefused('issuer', 'the token is of another issuer')
    return new TokenRefused('claims', `claim "${error.claim}" is missing or wrong`)
  }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return new TokenRefused('algorithm', 'the token is signed with an algorithm not allowed')
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return new TokenRefused('signature', 'the signature is wrong')
  }
  if (error instanceof errors.JWKSNoMatchingKey) {
    return new TokenRefused('key', 'the issuer has no such key')
  }
  if (error instanceof errors.JWKSMultipleMatchingKeys) {
    return new TokenRefused('key', 'the token does not say which key signed it')
  }
  if (error instanceof errors.JWKSTimeout || isFetchFailure(error)) {
    return new TokenRefused('keys-unavailable', 'the issuer did not answer')
  }
  return new TokenRefused('malformed', 'this is not a signed JWT')
}

function isFetchFailure(error: unknown): boolean {
  return error instanceof Error && !(error instanceof errors.JOSEError)
}

function dropOldest(known: Map<string, Known>): void {
  const oldest = known.keys().next()
  if (oldest.done !== true) known.delete(oldest.value)
}
