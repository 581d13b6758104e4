import type { May, PeopleEntry, PolicyLimit, PolicyMask } from '../config/index.ts'
import { byStrength } from './grant.ts'
import { standsOn } from './rule.ts'
import { isObserved, type Ruleset, unknownOn } from './ruleset.ts'

/** Who has a role, by group and by name. */
export type RoleView = {
  readonly role: string
  readonly may: readonly May[]
  readonly groups: readonly string[]
  readonly users: readonly string[]
}

/** A policy as it comes out on one target. */
export type TargetView = {
  readonly target: string
  readonly environment: string | undefined
  readonly mode: 'enforce' | 'observe'
  /** What becomes of what can't be read; `hold-if-sure`: held where somebody could approve it and nothing may deny it. */
  readonly unknown: 'deny' | 'hold' | 'hold-if-sure'
  /** Strongest first. */
  readonly roles: readonly RoleView[]
  readonly mayRequest: readonly RoleView[]
  readonly rules: readonly {
    readonly name: string
    readonly does: 'allow' | 'deny' | 'approve'
    readonly at: string
  }[]
  readonly masks: readonly PolicyMask[]
  readonly limits: readonly PolicyLimit[]
}

/** The resolved view of a policy: who is what on a target, and what applies there. */
export function describeTarget(
  ruleset: Ruleset,
  target: string,
  environment: string | undefined,
): TargetView {
  const { document, rules } = ruleset
  return {
    target,
    environment,
    mode: isObserved(ruleset, target) ? 'observe' : 'enforce',
    unknown: unknownOn(ruleset, target, environment) ?? 'hold-if-sure',
    roles: rolesBy(ruleset, entry => [entry.roles[target]]),
    mayRequest: rolesBy(ruleset, entry => entry.mayRequest?.[target] ?? []),
    rules: rules
      .filter(rule => standsOn(rule, target))
      .map(({ name, does, source }) => ({ name, does, at: source.at })),
    masks: (document.masks ?? []).filter(({ on }) => on.includes('*') || on.includes(target)),
    limits: (document.limits ?? []).filter(({ on }) => on.includes('*') || on.includes(target)),
  }
}

function rolesBy(
  { document }: Ruleset,
  rolesIn: (entry: PeopleEntry) => readonly (string | undefined)[],
): readonly RoleView[] {
  const views = new Map<string, RoleView>()
  for (const entry of document.people) {
    for (const role of rolesIn(entry)) {
      const may = role === undefined ? undefined : document.roles[role]?.may
      if (role === undefined || may === undefined) continue
      const { groups, users } = views.get(role) ?? { groups: [], users: [] }
      views.set(role, {
        role,
        may,
        groups: [...new Set([...groups, ...(entry.groups ?? [])])],
        users: [...new Set([...users, ...(entry.users ?? [])])],
      })
    }
  }
  return [...views.values()].sort(byStrength)
}
