import type { May, PolicyDocument } from '../config/index.ts'
import type { Principal } from '../identity/index.ts'
import type { Limits } from './limits.ts'
import type { MaskRule } from './masks.ts'

/**
 * What one principal may be on one target. `may` is the ceiling of the role; `at` names the place in the policy
 * that gives it, as `file:line`, where that is known.
 *
 * Units: `expiresAt` is epoch milliseconds; undefined for what the policy gives for good.
 */
export type Grant = {
  readonly target: string
  readonly role: string
  readonly may: readonly May[]
  readonly at: string | undefined
  readonly from: 'policy' | 'request' | 'break-glass'
  /** Of the request that was approved. */
  readonly id: string | undefined
  readonly expiresAt: number | undefined
  readonly limits: Limits
  /** What is masked, but for `via`: see bindMasks. Empty: nothing has to be looked at. */
  readonly masks: readonly MaskRule[]
  /** Everything is allowed, whatever is sent: the role may do all, and no rule, limit or mask applies to it. */
  readonly isUnrestricted: boolean
}

/** A role that a principal was given for a while. Whoever passes it on has checked that it is this principal's. */
export type ExtraGrant = {
  readonly id: string
  readonly target: string
  readonly role: string
  readonly expiresAt: number
  readonly from: 'request' | 'break-glass'
}

/** A grant before it is known what applies to it. */
export type BareGrant = Omit<Grant, 'limits' | 'masks' | 'isUnrestricted'>

const STRENGTH: readonly May[] = ['read', 'write', 'ddl', 'admin']

/**
 * Every role the principal has, strongest first; those of the policy and, of the extra ones, those that have
 * not ended at `at`.
 */
export function bareGrantsOf(
  document: PolicyDocument,
  principal: Principal,
  extra: readonly ExtraGrant[],
  at: number,
): readonly BareGrant[] {
  const grants = new Map<string, BareGrant>()
  const put = (grant: Omit<BareGrant, 'may'>) => {
    const may = Object.hasOwn(document.roles, grant.role)
      ? document.roles[grant.role]?.may
      : undefined
    if (may !== undefined) grants.set(`${grant.target}\0${grant.role}`, { ...grant, may })
  }
  const open = extra.filter(({ expiresAt }) => expiresAt > at).toSorted(byExpiry)
  const putExtra = (wanted: ExtraGrant['from']) => {
    for (const { from, id, target, role, expiresAt } of open) {
      if (from === wanted) put({ from, id, target, role, expiresAt, at: undefined })
    }
  }
  // The later ones replace the earlier: what is asked for adds nothing to having a role for good, what is taken
  // in an emergency does, where a rule says so.
  putExtra('request')
  for (const entry of document.people) {
    if (!isAmong(entry, principal)) continue
    for (const [target, role] of Object.entries(entry.roles)) {
      put({ from: 'policy', id: undefined, target, role, expiresAt: undefined, at: entry.at })
    }
  }
  putExtra('break-glass')
  return [...grants.values()].sort(byStrength)
}

/** Whether an entry of the policy is about this principal. */
export function isAmong(
  entry: { readonly groups?: readonly string[]; readonly users?: readonly string[] },
  principal: Pick<Principal, 'groups' | 'user'>,
): boolean {
  return (
    entry.groups?.some(group => principal.groups.includes(group)) === true ||
    entry.users?.includes(principal.user) === true
  )
}

/** True for a role that may do everything; rules may still apply to it. */
export function mayEverything(grant: BareGrant): boolean {
  return STRENGTH.every(need => grant.may.includes(need))
}

/** Whether what a role may do is as much as `needs`. */
export function suffices(may: readonly May[], needs: readonly May[]): boolean {
  return needs.every(need => may.includes(need))
}

/** Roles compare by the strongest thing they may do, then by how much they may do, then by name. */
export function byStrength(
  a: { readonly may: readonly May[]; readonly role: string },
  b: { readonly may: readonly May[]; readonly role: string },
): number {
  return strengthOf(b.may) - strengthOf(a.may) || (a.role < b.role ? -1 : a.role > b.role ? 1 : 0)
}

function strengthOf(may: readonly May[]): number {
  return STRENGTH.reduce((sum, need, index) => sum + (may.includes(need) ? 2 ** index : 0), 0)
}

function byExpiry(a: ExtraGrant, b: ExtraGrant): number {
  return a.expiresAt - b.expiresAt
}
