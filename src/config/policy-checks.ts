/** What only shows when a policy's parts are held against each other and against the server's targets. */

import {
  entries,
  type Fields,
  type Findings,
  list,
  needsSomebody,
  suggest,
  wrongNames,
} from './cross-checks.ts'
import { isRecord, valueAt } from './explain.ts'
import { checkMask } from './policy-mask-checks.ts'
import { checkNotify, checkTargets, type Known, unknownName } from './policy-names.ts'
import { checkRule, ruleNames } from './policy-rule-checks.ts'
import { RESERVED_RULES } from './policy-schema.ts'
import type { Problem } from './problems.ts'
import type { Path, Source } from './yaml.ts'

/** Checks policy files against each other, and against the server's targets where there are any. */
export function checkPolicies(policies: readonly Source[], server: Source | undefined): Findings {
  const found: Findings = { problems: [], warnings: [] }
  const usable = policies.filter(policy => !policy.isBroken)
  const isComplete = usable.length === policies.length
  const roles = checkRoles(usable, found)
  const rules = ruleNames(usable, found)
  const servers = server === undefined || server.isBroken ? undefined : server
  const known: Known = {
    roles: isComplete ? [...roles.keys()] : undefined,
    rules: isComplete ? rules : undefined,
    targets: servers && targetRoles(servers),
    environments: servers && environmentsOf(servers),
    notify: servers && notifiersOf(servers),
  }
  const askable = new Set(usable.flatMap(grantedByAccess))
  for (const policy of usable) {
    checkPeople(policy, known, isComplete ? askable : undefined, found)
    checkAccess(policy, known, found)
    for (const index of list(valueAt(policy.value, ['rules'])).keys()) {
      checkRule(policy, ['rules', index], known, found)
    }
    for (const index of list(valueAt(policy.value, ['masks'])).keys()) {
      checkMask(policy, ['masks', index], known, found)
    }
    checkLimits(policy, known, found)
    checkSettings(policy, known, found)
    checkTests(policy, known, found)
  }
  if (server !== undefined && known.targets !== undefined && isComplete) {
    found.warnings.push(...unusedCredentials(server, known.targets, roles))
  }
  return found
}

function checkRoles(policies: readonly Source[], found: Findings): ReadonlyMap<string, string> {
  const roles = new Map<string, string>()
  for (const policy of policies) {
    found.problems.push(...wrongNames(policy, ['roles']))
    for (const [role] of entries(policy.value, ['roles'])) {
      const other = roles.get(role)
      if (other === undefined) roles.set(role, policy.lineOf(['roles', role]))
      else {
        const message = `role "${role}" is defined at ${other} already`
        found.problems.push(policy.problemAtKey(['roles', role], message))
      }
    }
  }
  return roles
}

function checkPeople(
  policy: Source,
  known: Known,
  askable: ReadonlySet<string> | undefined,
  found: Findings,
): void {
  for (const index of list(valueAt(policy.value, ['people'])).keys()) {
    const at = ['people', index]
    found.problems.push(
      ...needsSomebody(policy, at),
      ...checkRoleMap(policy, [...at, 'roles'], known),
      ...checkRoleMap(policy, [...at, 'may_request'], known),
    )
    for (const { path, target, role } of rolesIn(policy, [...at, 'may_request'])) {
      if (askable === undefined || askable.has(`${target} ${role}`)) continue
      const message = `no access entry says who approves "${role}" on "${target}": it can't be asked for`
      found.warnings.push(policy.problemAt(path, message))
    }
  }
}

function checkAccess(policy: Source, known: Known, found: Findings): void {
  for (const [index, entry] of list(valueAt(policy.value, ['access'])).entries()) {
    const at = ['access', index]
    found.problems.push(...checkRoleMap(policy, [...at, 'grant'], known))
    checkNotify(policy, [...at, 'notify'], known, found)
    checkNotify(policy, [...at, 'break_glass', 'notify'], known, found)
    if (!isRecord(entry)) continue
    if (entry.approve === undefined && entry.break_glass === undefined) {
      found.problems.push(policy.problemAt(at, 'this needs approve or break_glass'))
    } else if (entry.approve !== undefined && entry.max === undefined) {
      found.problems.push(policy.problemAt(at, 'missing key "max": expected a duration like 4h'))
    } else if (entry.approve === undefined && entry.max !== undefined) {
      const message = 'max goes with approve; the one for emergencies stands under break_glass'
      found.problems.push(policy.problemAtKey([...at, 'max'], message))
    }
  }
}

function checkLimits(policy: Source, known: Known, found: Findings): void {
  for (const index of list(valueAt(policy.value, ['limits'])).keys()) {
    const at = ['limits', index]
    found.problems.push(...checkTargets(policy, [...at, 'on'], known))
    const named = list(valueAt(policy.value, [...at, 'roles']))
    for (const [item, role] of named.entries()) {
      found.problems.push(...unknownName(policy, [...at, 'roles', item], 'role', role, known.roles))
    }
  }
}

/** `unknown:` and `mode:`, for all targets or by name. */
function checkSettings(policy: Source, known: Known, found: Findings): void {
  const targets = known.targets && [...known.targets.keys()]
  const places = targets && [...targets, ...(known.environments ?? [])]
  const check = (key: string, what: string, valid: readonly string[] | undefined) => {
    const written = valueAt(policy.value, [key])
    for (const name of isRecord(written) ? Object.keys(written) : []) {
      if (name === '*') continue
      if (valid === undefined || valid.includes(name)) continue
      const message = `there is no ${what} "${name}"${suggest(name, valid)}`
      found.problems.push(policy.problemAtKey([key, name], message))
    }
  }
  check('unknown', 'target or environment', places)
  check('mode', 'target', targets)
  const mode = valueAt(policy.value, ['mode'])
  const words = isRecord(mode) ? Object.entries(mode) : []
  const isWatched = (word: unknown) => word === 'observe'
  if (isWatched(mode)) found.warnings.push(policy.problemAt(['mode'], watched('*')))
  for (const [name] of words.filter(([, word]) => isWatched(word))) {
    found.warnings.push(policy.problemAt(['mode', name], watched(name)))
  }
}

function watched(target: string): string {
  const where = target === '*' ? 'anywhere it is not enforced by name' : `on "${target}"`
  return `observe: nothing is denied or held ${where}`
}

function checkTests(policy: Source, known: Known, found: Findings): void {
  for (const [index, test] of list(valueAt(policy.value, ['tests'])).entries()) {
    if (!isRecord(test)) continue
    const at = ['tests', index]
    const targets = known.targets && [...known.targets.keys()]
    found.problems.push(...unknownName(policy, [...at, 'on'], 'target', test.on, targets))
    const role = valueAt(test, ['as', 'role'])
    found.problems.push(...unknownName(policy, [...at, 'as', 'role'], 'role', role, known.roles))
    if (valueAt(test, ['as', 'grant']) !== undefined && role === undefined) {
      const message = 'grant says how they have a role: name the role'
      found.problems.push(policy.problemAtKey([...at, 'as', 'grant'], message))
    }
    const valid = known.rules && [
      ...known.rules,
      ...RESERVED_RULES,
      ...(known.roles ?? []).map(name => `role:${name}`),
    ]
    for (const [item, expected] of list(test.expect).entries()) {
      const rule = valueAt(expected, ['rule'])
      const path = [...at, 'expect', item, 'rule']
      found.problems.push(...unknownName(policy, path, 'rule', rule, valid))
    }
  }
}

type NamedRole = { readonly path: Path; readonly target: string; readonly role: unknown }

/** The roles in a map of targets to a role or to a list of roles. */
function rolesIn(policy: Source, path: Path): NamedRole[] {
  const written = valueAt(policy.value, path)
  return Object.entries(isRecord(written) ? written : {}).flatMap(([target, named]): NamedRole[] =>
    Array.isArray(named)
      ? named.map((role, index) => ({ path: [...path, target, index], target, role }))
      : [{ path: [...path, target], target, role: named }],
  )
}

function grantedByAccess(policy: Source): string[] {
  return list(valueAt(policy.value, ['access'])).flatMap((entry, index) =>
    isRecord(entry) && entry.approve !== undefined
      ? rolesIn(policy, ['access', index, 'grant']).map(({ target, role }) => `${target} ${role}`)
      : [],
  )
}

function checkRoleMap(policy: Source, path: Path, known: Known): Problem[] {
  const written = valueAt(policy.value, path)
  const targets = isRecord(written) ? Object.keys(written) : []
  return [
    ...targets.flatMap(target => {
      if (known.targets === undefined || known.targets.has(target)) return []
      const near = suggest(target, [...known.targets.keys()])
      return [policy.problemAtKey([...path, target], `there is no target "${target}"${near}`)]
    }),
    ...rolesIn(policy, path).flatMap(named => checkNamedRole(policy, named, known)),
  ]
}

function checkNamedRole(policy: Source, { path, target, role }: NamedRole, known: Known) {
  if (typeof role !== 'string') return []
  const unknown = unknownName(policy, path, 'role', role, known.roles)
  const credentials = known.targets?.get(target)
  if (unknown.length > 0 || credentials === undefined || credentials.includes(role)) return unknown
  const message = `target "${target}" has no credential for role "${role}"`
  return [policy.problemAt(path, message, `It has: ${credentials.join(', ') || 'none'}.`)]
}

function unusedCredentials(
  server: Source,
  targets: ReadonlyMap<string, readonly string[]>,
  roles: ReadonlyMap<string, string>,
): Problem[] {
  return [...targets].flatMap(([target, credentials]) =>
    credentials
      .filter(role => !roles.has(role))
      .map(role =>
        server.problemAtKey(
          ['targets', target, 'credentials', role],
          `no policy defines a role "${role}"${suggest(role, [...roles.keys()])}: nobody can use this`,
        ),
      ),
  )
}

function targetRoles(server: Source): ReadonlyMap<string, readonly string[]> {
  return new Map(
    entries(server.value, ['targets']).map(([name, target]) => {
      const credentials = target.credentials
      return [name, isRecord(credentials) ? Object.keys(credentials) : []]
    }),
  )
}

function environmentsOf(server: Source): readonly string[] {
  return entries(server.value, ['targets']).flatMap(([, target]: [string, Fields]) =>
    typeof target.environment === 'string' ? [target.environment] : [],
  )
}

function notifiersOf(server: Source): readonly string[] {
  return entries(server.value, ['notify']).map(([name]) => name)
}
