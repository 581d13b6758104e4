/** Names in a policy that must stand for something: targets, roles, rules, who is told. */

import { type Findings, list, suggest } from './cross-checks.ts'
import { valueAt } from './explain.ts'
import type { Problem } from './problems.ts'
import type { Path, Source } from './yaml.ts'

/** What a policy may name. Undefined where it is not known, so that nothing can be said about it. */
export type Known = {
  /** All roles of all files. */
  readonly roles: readonly string[] | undefined
  readonly rules: readonly string[] | undefined
  /** The roles that each target has credentials for. */
  readonly targets: ReadonlyMap<string, readonly string[]> | undefined
  readonly environments: readonly string[] | undefined
  readonly notify: readonly string[] | undefined
}

/** Names of `notify:` in the server's file. A file that has none tells nobody, which is said and lived with. */
export function checkNotify(policy: Source, path: Path, known: Known, found: Findings): void {
  if (known.notify === undefined) return
  for (const [index, name] of list(valueAt(policy.value, path)).entries()) {
    if (typeof name !== 'string' || known.notify.includes(name)) continue
    const message = `there is no notify "${name}" in dbgate.yaml${suggest(name, known.notify)}`
    const problem = policy.problemAt([...path, index], message)
    if (known.notify.length === 0) found.warnings.push(problem)
    else found.problems.push(problem)
  }
}

/** `on:`, a list of targets. */
export function checkTargets(policy: Source, path: Path, known: Known): Problem[] {
  const targets = known.targets && [...known.targets.keys()]
  return list(valueAt(policy.value, path)).flatMap((name, index) =>
    name === '*' ? [] : unknownName(policy, [...path, index], 'target', name, targets),
  )
}

/** A problem if a name is written that does not exist, with the one that was probably meant. */
export function unknownName(
  policy: Source,
  path: Path,
  what: string,
  name: unknown,
  valid: readonly string[] | undefined,
): Problem[] {
  if (typeof name !== 'string' || valid === undefined || valid.includes(name)) return []
  const message = `there is no ${what} "${name}"${suggest(name, valid)}`
  return [policy.problemAt(path, message)]
}
