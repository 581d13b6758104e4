/**
 * Who somebody is. The server's side verifies tokens and makes principals of their claims; the client's side signs
 * people in, keeps their tokens in the keychain and renews them.
 *
 * Invariant: a principal exists only through a token whose signature, algorithm, issuer, audience and times were
 * checked, and no token or password ever stands in an error.
 *
 * Source: OpenID Connect Core 1.0, RFC 7519, RFC 8725, RFC 8252, RFC 8628, RFC 7009.
 */

export { type BrowserLoginOptions, loginInBrowser } from './browser.ts'
export { type DeviceCode, type DeviceLoginOptions, loginWithDevice } from './device.ts'
export { type ChosenKeychain, chooseKeychain, openKeychain } from './keychain.ts'
export type { Keychain, KeychainKind } from './keychain-kind.ts'
export type { LoginClient, LoginOptions } from './login-client.ts'
export { openInBrowser } from './open-browser.ts'
export { isOverage, type Principal, type TrustedIssuer } from './principal.ts'
export {
  openProfiles,
  type Profile,
  type Profiles,
  profileName,
  type UserDirs,
  userDirs,
} from './profiles.ts'
export { type RefusalReason, TokenRefused } from './refused.ts'
export { openSignIn, type SignIn, type SignInOptions } from './sign-in.ts'
export { decodeClaims, loginWithToken, type TokenSet } from './tokens.ts'
export { createVerifier, type IssuerHealth, type Verifier } from './verify.ts'
