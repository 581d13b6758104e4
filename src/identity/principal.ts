/** From verified claims to a principal: pure, and no more forgiving than it has to be. */

import { TokenRefused } from './refused.ts'

/**
 * An authenticated person or job.
 *
 * Shape: `user` is what people and policies call it (`ana@acme.dev`, `ci/shop-migrations`); `issuer` and `subject`
 * are the identity that never changes hands.
 * Units: epoch milliseconds: `expiresAt` is the token's end, `authTime` when the person last showed the provider who
 * they are; undefined where the provider does not say.
 */
export type Principal = {
  readonly issuer: string
  readonly subject: string
  readonly user: string
  readonly name: string
  readonly groups: readonly string[]
  readonly expiresAt: number
  readonly authTime?: number
}

type IssuerCommon = {
  readonly name: string
  readonly issuer: string
  readonly audience: readonly string[]
  readonly algorithms: readonly string[]
  readonly clockToleranceMs: number
}

/** An issuer whose tokens count, and how its claims are read. The configuration's issuers have this shape. */
export type TrustedIssuer =
  | (IssuerCommon & {
      readonly kind: 'people'
      readonly clientId: string
      readonly claims: { readonly user: string; readonly name: string; readonly groups: string }
    })
  | (IssuerCommon & {
      readonly kind: 'ci'
      readonly accept: readonly {
        readonly match: Readonly<Record<string, readonly string[]>>
        readonly as: string
        readonly groups: readonly string[]
      }[]
    })

/** Claims whose signature, issuer, audience and times have been checked. */
export type VerifiedClaims = Readonly<Record<string, unknown>> & {
  readonly iss: string
  readonly sub: string
  readonly exp: number
}

const MAX_NAME = 320
const MAX_GROUPS = 2000
/** Control characters and those that reorder or hide text: a name is shown where decisions are made. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

/** Makes the principal. Throws TokenRefused with the reason when the claims name nobody this issuer may name. */
export function principalOf(issuer: TrustedIssuer, claims: VerifiedClaims): Principal {
  const common = {
    issuer: claims.iss,
    subject: line('sub', claims.sub),
    expiresAt: claims.exp * 1000,
  }
  if (issuer.kind === 'ci') {
    const entry = issuer.accept.find(({ match }) => matches(match, claims))
    if (entry === undefined) {
      throw new TokenRefused('no-match', `no entry of accept matches this job (${jobOf(claims)})`)
    }
    return { ...common, user: entry.as, name: entry.as, groups: entry.groups }
  }
  const user = userOf(issuer.claims.user, claims)
  const { auth_time: authTime } = claims
  return {
    ...common,
    ...(typeof authTime === 'number' ? { authTime: authTime * 1000 } : {}),
    user,
    name: displayName(issuer.claims.name, claims) ?? user,
    groups: groupsOf(issuer.claims.groups, claims),
  }
}

function userOf(claim: string, claims: VerifiedClaims): string {
  const value = claimAt(claims, claim)
  if (value === undefined || value === '') {
    throw new TokenRefused('no-user', `the token has no claim "${claim}" to tell who it is`)
  }
  const user = line(claim, value)
  if (user.startsWith('ci/')) {
    throw new TokenRefused('no-user', `claim "${claim}" has the form of a job's name`)
  }
  // Some providers let anybody type any address and say so here; trusting it would let them be anyone.
  if (claim === 'email' && [false, 'false'].some(no => no === claims.email_verified)) {
    throw new TokenRefused('unverified-email', 'the provider has not verified this e-mail address')
  }
  return user
}

function displayName(claim: string, claims: VerifiedClaims): string | undefined {
  const value = claimAt(claims, claim)
  if (typeof value !== 'string' || value === '' || value.length > MAX_NAME) return undefined
  return UNPRINTABLE.test(value) ? undefined : value
}

function groupsOf(claim: string, claims: VerifiedClaims): readonly string[] {
  const value = claimAt(claims, claim)
  if (isOverage(claim, claims)) {
    const why = 'the provider sent an overage marker instead of groups: limit the groups claim'
    throw new TokenRefused('overage', `${why} to the groups assigned to the application`)
  }
  if (value === undefined || value === null) return []
  // A string is one group: to split it would turn "not admins" into a member of admins.
  const list = Array.isArray(value) ? value : [value]
  if (list.length > MAX_GROUPS) throw new TokenRefused('groups', `more than ${MAX_GROUPS} groups`)
  return [...new Set(list.map(group => line(claim, group)))]
}

/** Whether Entra ID put a pointer to the groups in the place of the groups, as it does above 200 of them. */
export function isOverage(claim: string, claims: Readonly<Record<string, unknown>>): boolean {
  const names = claims._claim_names
  const isPointer = typeof names === 'object' && names !== null && Object.hasOwn(names, claim)
  return isPointer || (claimAt(claims, claim) === undefined && claims.hasgroups === true)
}

function matches(match: Readonly<Record<string, readonly string[]>>, claims: VerifiedClaims) {
  const wanted = Object.entries(match)
  return (
    wanted.length > 0 && wanted.every(([claim, values]) => holds(claimAt(claims, claim), values))
  )
}

function holds(value: unknown, values: readonly string[]): boolean {
  if (Array.isArray(value)) return value.some(item => holds(item, values))
  if (typeof value === 'boolean' || typeof value === 'number') return values.includes(String(value))
  return typeof value === 'string' && values.includes(value)
}

/** The claim of that very name, or else the way into nested ones (`realm_access.roles`). */
function claimAt(claims: Readonly<Record<string, unknown>>, claim: string): unknown {
  if (Object.hasOwn(claims, claim)) return claims[claim]
  let here: unknown = claims
  for (const step of claim.split('.')) {
    if (typeof here !== 'object' || here === null || Array.isArray(here)) return undefined
    here = Object.entries(here).find(([key]) => key === step)?.[1]
  }
  return here
}

function line(claim: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') {
    throw new TokenRefused('claims', `claim "${claim}" is not text`)
  }
  if (value.length > MAX_NAME) throw new TokenRefused('claims', `claim "${claim}" is too long`)
  if (UNPRINTABLE.test(value)) {
    throw new TokenRefused('claims', `claim "${claim}" holds characters that cannot be shown`)
  }
  return value
}

const JOB_CLAIMS = ['repository', 'project_path', 'environment', 'ref']

/** What a refused job says of itself, for the log of the person who has to write its entry. */
function jobOf(claims: VerifiedClaims): string {
  const said = JOB_CLAIMS.flatMap(claim => {
    const value = claims[claim]
    return typeof value === 'string' ? [`${claim} ${JSON.stringify(value.slice(0, 200))}`] : []
  })
  return said.length > 0 ? said.join(', ') : `subject ${JSON.stringify(claims.sub.slice(0, 200))}`
}
