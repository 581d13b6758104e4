/** What can be wrong with an entry of `masks:` besides its keys. */

import { type Findings, list } from './cross-checks.ts'
import { isRecord, valueAt } from './explain.ts'
import { checkNotify, checkTargets, type Known, unknownName } from './policy-names.ts'
import type { Path, Source } from './yaml.ts'

const HASH = ['hash', 'token']

/** Checks one entry. */
export function checkMask(policy: Source, path: Path, known: Known, found: Findings): void {
  const entry = valueAt(policy.value, path)
  if (!isRecord(entry)) return
  found.problems.push(...checkTargets(policy, [...path, 'on'], known))
  for (const [index, role] of list(entry.roles).entries()) {
    const at = [...path, 'roles', index]
    found.problems.push(...unknownName(policy, at, 'role', role, known.roles))
  }
  for (const key of ['filters', 'writes'])
    checkNotify(policy, [...path, key, 'notify'], known, found)
  checkMaskThere(policy, path, entry, found)
  const labelled = isRecord(entry.labels) ? Object.values(entry.labels) : []
  const tokens = [entry.mask, ...labelled].some(mask => HASH.some(word => word === mask))
  if (entry.domain !== undefined && !tokens) {
    const message = 'domain goes with hash: nothing here is hashed'
    found.problems.push(policy.problemAtKey([...path, 'domain'], message))
  }
  if (entry.filters === 'equality' && !tokens) {
    const message = 'equality without hash: whoever may compare can find out the value by guessing'
    found.warnings.push(policy.problemAt([...path, 'filters'], message))
  }
  if (entry.values === undefined || entry.columns !== undefined || labelled.length > 0) return
  for (const key of ['filters', 'writes', 'derived']) {
    if (entry[key] === undefined) continue
    const message = `${key} is about columns, and values names none`
    found.problems.push(policy.problemAtKey([...path, key], message))
  }
}

/** Labels say their masks themselves, columns and values need one. */
function checkMaskThere(
  policy: Source,
  path: Path,
  entry: Readonly<Record<string, unknown>>,
  found: Findings,
): void {
  const needs = entry.columns !== undefined || entry.values !== undefined
  if (needs && entry.mask === undefined) {
    const message = 'missing key "mask": expected what is shown instead, like redact'
    found.problems.push(policy.problemAt(path, message))
  } else if (!needs && entry.labels !== undefined && entry.mask !== undefined) {
    const message = 'labels say their masks themselves: mask goes with columns and values'
    found.problems.push(policy.problemAtKey([...path, 'mask'], message))
  }
}
