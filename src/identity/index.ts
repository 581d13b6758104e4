/**
 * Who somebody is. The server's side verifies tokens and makes principals of their claims; the client's side signs
 * people in, keeps their tokens in the keychain and renews them.
 *
 * Invariant: a principal exists only through a token whose signature, algorithm, issuer, audience and times were
 * checked, and no token or password ever stands in an error.
 *
 * Source: OpenID Connect Core 1.0, RFC 7519, RFC 8725, RFC 8252, RFC 8628, RFC 7009.
 */

export type { Principal, TrustedIssuer } from './principal.ts'
export { type RefusalReason, TokenRefused } from './refused.ts'
export { createVerifier, type IssuerHealth, type Verifier } from './verify.ts'
