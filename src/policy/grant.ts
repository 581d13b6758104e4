import type { May, PolicyDocument } from '../config/index.ts'
import type { Principal } from '../identity/index.ts'

/**
 * Standing permission of one principal on one target. `may` is the ceiling of the role; `at` names the
 * place in the policy that gives it, as `file:line`, where that is known.
 */
export type Grant = {
  readonly target: string
  readonly role: string
  readonly may: readonly May[]
  readonly at: string | undefined
}

const STRENGTH: readonly May[] = ['read', 'write', 'ddl', 'admin']

/** A policy ready to be asked. Pure: the same question has the same answer for as long as it lives. */
export type Policy = {
  /** Every role the principal has, strongest first for each target; targets in the order of the policy. */
  readonly grantsOf: (principal: Principal) => readonly Grant[]
}

/** Makes the policy of a validated document. */
export function compilePolicy(document: PolicyDocument): Policy {
  const grantsOf = (principal: Principal): readonly Grant[] => {
    const grants = new Map<string, Grant>()
    for (const entry of document.people) {
      const applies =
        entry.groups?.some(group => principal.groups.includes(group)) === true ||
        entry.users?.includes(principal.user) === true
      if (!applies) continue
      for (const [target, role] of Object.entries(entry.roles)) {
        const may = document.roles[role]?.may
        if (may === undefined) continue
        grants.set(`${target}\0${role}`, { target, role, may, at: entry.at })
      }
    }
    return [...grants.values()].sort((left, right) => strengthOf(right) - strengthOf(left))
  }
  return { grantsOf }
}

/**
 * The grant under which a principal reaches a target: the role asked for, else the strongest one held.
 * Undefined when there is none, whether or not such a target exists: the caller must not tell the two apart.
 */
export function grantFor(
  policy: Policy,
  principal: Principal,
  target: string,
  role?: string,
): Grant | undefined {
  return policy
    .grantsOf(principal)
    .find(grant => grant.target === target && (role === undefined || grant.role === role))
}

/** True for a role that may do everything: no verdict on it can depend on what a text says. */
export function isUnrestricted(grant: Grant): boolean {
  return STRENGTH.every(need => grant.may.includes(need))
}

/** Roles compare by the strongest thing they may do, then by how much they may do. */
function strengthOf(grant: Grant): number {
  return grant.may.reduce((sum, need) => sum + 2 ** STRENGTH.indexOf(need), 0)
}
