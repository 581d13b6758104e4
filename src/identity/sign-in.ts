/**
 * A sign-in as it is kept: tokens in the keychain, renewed by one process at a time, revoked at the end.
 *
 * A provider that rotates refresh tokens takes the second use of one for theft and ends the whole sign-in, so that two
 * CLI processes must never renew from the same one: whoever gets the lock second finds the new tokens already there.
 */

import { join } from 'node:path'
import { ResponseBodyError, refreshTokenGrant, tokenRevocation } from 'openid-client'
import type { Keychain } from './keychain-kind.ts'
import { withLock } from './lock.ts'
import { discover, loginError, signInAgain } from './login-client.ts'
import { makePrivateDir } from './private-files.ts'
import type { Profile } from './profiles.ts'
import { packTokens, type TokenSet, tokensOf, unpackTokens } from './tokens.ts'

/** The sign-in to one server. */
export type SignIn = {
  /**
   * Tokens that are valid now, renewed if they are about to end.
   *
   * Throws: UNAUTHORIZED if there are none and none can be had; UNREACHABLE if the provider does not answer.
   */
  current(): Promise<TokenSet>
  /** New tokens although the old ones look valid, unless another process has just renewed them. Throws alike. */
  renew(): Promise<TokenSet>
  /** What is stored, valid or not. */
  stored(): Promise<TokenSet | undefined>
  /** Stores the tokens of a new sign-in in the place of the old. */
  save(tokens: TokenSet): Promise<void>
  /** Deletes the tokens and tells the provider. `why` says what kept the provider from being told. */
  end(): Promise<{ readonly revoked: boolean; readonly why: string | undefined }>
  /** The password of this profile's local ports; made at the first look, the same ever after. */
  localPassword(): Promise<string>
}

/** `dir` holds the lock and is shared by all processes of this person. */
export type SignInOptions = {
  readonly keychain: Keychain
  readonly dir: string
  readonly now: () => number
  readonly random: (bytes: number) => Buffer
  readonly fetch?: typeof fetch | undefined
}

/** Tokens this close to their end are not handed out: the server's clock may be ahead of ours. */
const SPARE_MS = 30_000
const PASSWORD_BYTES = 24

/** Opens the sign-in of a profile. Nothing is read before it is asked for. */
export function openSignIn(profile: Profile, o: SignInOptions): SignIn {
  const { keychain, now } = o
  const account = profile.name
  const passwordAccount = `${profile.name}/local-password`
  /** What this process handed out last: the tokens that `renew` is to replace. */
  let known: TokenSet | undefined

  const locked = async <T>(work: () => Promise<T>): Promise<T> => {
    await makePrivateDir(o.dir)
    return withLock(join(o.dir, `${encodeURIComponent(profile.name)}.lock`), work)
  }
  const read = async (): Promise<TokenSet | undefined> => {
    const text = await keychain.get(account)
    return text === undefined ? undefined : unpackTokens(text)
  }
  const isFresh = (tokens: TokenSet) => tokens.expiresAt - SPARE_MS > now()

  const replace = (old: TokenSet | undefined): Promise<TokenSet> =>
    locked(async () => {
      const stored = await read()
      if (stored === undefined) throw notSignedIn(profile)
      if (!isSame(stored, old) && isFresh(stored)) return stored
      const tokens = await refresh(profile, stored, o)
      await keychain.set(account, packTokens(tokens.next))
      if (tokens.error !== undefined) throw tokens.error
      return tokens.next
    })
  const remember = (tokens: TokenSet): TokenSet => {
    known = tokens
    return tokens
  }

  return {
    current: async () => {
      const stored = await read()
      if (stored === undefined) throw notSignedIn(profile)
      return remember(isFresh(stored) ? stored : await replace(stored))
    },
    renew: async () => remember(await replace(known ?? (await read()))),
    stored: read,
    save: tokens => locked(() => keychain.set(account, packTokens(tokens))),
    end: () =>
      locked(async () => {
        const stored = await read()
        await keychain.delete(account)
        return stored === undefined
          ? { revoked: false, why: 'there was no sign-in' }
          : revoke(profile, stored, o)
      }),
    localPassword: () =>
      locked(async () => {
        const found = await keychain.get(passwordAccount)
        if (found !== undefined) return found
        const password = o.random(PASSWORD_BYTES).toString('base64url')
        await keychain.set(passwordAccount, password)
        return password
      }),
  }
}

/** Two ID tokens of the same second can be the same; a rotated refresh token never is. */
function isSame(a: TokenSet, b: TokenSet | undefined): boolean {
  return a.token === b?.token && a.refreshToken === b.refreshToken
}

/** The next tokens to store; with an `error` they are the old ones without what no longer works. */
async function refresh(
  profile: Profile,
  stored: TokenSet,
  o: SignInOptions,
): Promise<{ readonly next: TokenSet; readonly error?: Error }> {
  if (stored.refreshToken === undefined) {
    if (stored.expiresAt > o.now()) throw signInAgain('the sign-in cannot be renewed')
    throw signInAgain('the sign-in has expired')
  }
  const config = await discover(profile, o.fetch)
  try {
    const response = await refreshTokenGrant(config, stored.refreshToken)
    if (response.id_token !== undefined) return { next: tokensOf(response, stored.refreshToken) }
    // The old refresh token is used up, so the new one must be kept even if it brought nothing else.
    const next = { ...stored, refreshToken: response.refresh_token ?? stored.refreshToken }
    return { next, error: signInAgain('the identity provider sent no new ID token') }
  } catch (error) {
    const isOver = error instanceof ResponseBodyError && error.error === 'invalid_grant'
    if (!isOver) throw loginError(error, profile.issuer)
    // Trying it again can only fail, and looks like theft to the provider.
    return {
      next: { ...stored, refreshToken: undefined },
      error: loginError(error, profile.issuer),
    }
  }
}

async function revoke(
  profile: Profile,
  stored: TokenSet,
  o: SignInOptions,
): Promise<{ readonly revoked: boolean; readonly why: string | undefined }> {
  if (stored.refreshToken === undefined) {
    return { revoked: false, why: 'the sign-in has nothing to revoke' }
  }
  try {
    const config = await discover(profile, o.fetch)
    if (config.serverMetadata().revocation_endpoint === undefined) {
      return { revoked: false, why: 'the identity provider does not revoke' }
    }
    await tokenRevocation(config, stored.refreshToken, { token_type_hint: 'refresh_token' })
    return { revoked: true, why: undefined }
  } catch (error) {
    return { revoked: false, why: loginError(error, profile.issuer).message }
  }
}

function notSignedIn(profile: Profile): Error {
  return signInAgain(`not signed in to ${profile.name}`)
}
