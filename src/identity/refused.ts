/** Why a token was not accepted: for the log only, never for whoever sent it. */

/** The kinds of refusal, for counting. */
export type RefusalReason =
  | 'malformed'
  | 'too-large'
  | 'issuer'
  | 'algorithm'
  | 'type'
  | 'signature'
  | 'key'
  | 'keys-unavailable'
  | 'audience'
  | 'expired'
  | 'not-yet'
  | 'claims'
  | 'no-user'
  | 'unverified-email'
  | 'overage'
  | 'groups'
  | 'no-match'

/**
 * The `cause` of the UNAUTHORIZED that a refused token throws. Holds no part of the token, and no error of a
 * library that might.
 */
export class TokenRefused extends Error {
  override readonly name = 'TokenRefused'
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, message: string) {
    super(message)
    this.reason = reason
  }
}
