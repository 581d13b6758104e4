/** What can be wrong with a rule besides its keys: names, what it rests on, and how its answer reads. */

import { type Findings, list } from './cross-checks.ts'
import { isRecord, valueAt } from './explain.ts'
import { CLIENT_STATED } from './policy-conditions.ts'
import { checkNotify, checkTargets, type Known, unknownName } from './policy-names.ts'
import { RESERVED_RULES } from './policy-schema.ts'
import type { Path, Source } from './yaml.ts'

/** What a database client shows of an answer without cutting it. */
const MAX_MESSAGE = 300

/** The names of all rules; two of one name could not be told apart in the audit log. */
export function ruleNames(policies: readonly Source[], found: Findings): readonly string[] {
  const places = new Map<string, string>()
  for (const policy of policies) {
    for (const [index, rule] of list(valueAt(policy.value, ['rules'])).entries()) {
      const name = isRecord(rule) ? rule.name : undefined
      if (typeof name !== 'string') continue
      const path = ['rules', index, 'name']
      const other = places.get(name)
      if (other !== undefined) {
        const message = `rule "${name}" is defined at ${other} already`
        found.problems.push(policy.problemAt(path, message))
      } else if (RESERVED_RULES.includes(name)) {
        const message = `"${name}" names what dbgate decides by itself: choose another name`
        found.problems.push(policy.problemAt(path, message))
      } else places.set(name, policy.lineOf(['rules', index]))
    }
  }
  return [...places.keys()]
}

/** Checks one rule. */
export function checkRule(policy: Source, path: Path, known: Known, found: Findings): void {
  const rule = valueAt(policy.value, path)
  if (!isRecord(rule)) return
  found.problems.push(...checkTargets(policy, [...path, 'on'], known))
  checkNotify(policy, [...path, 'then', 'notify'], known, found)
  for (const block of blocksOf(policy, [...path, 'when'])) {
    checkEnvironment(policy, block, known, found)
    checkZone(policy, block, found)
    checkClientStated(policy, block, rule.then === 'allow', found)
  }
  checkMessage(policy, path, rule, found)
}

type Block = { readonly path: Path; readonly takesAway: boolean }

/** `when` itself and each map under `or` and `unless`. */
function blocksOf(policy: Source, when: Path): Block[] {
  const below = (key: 'or' | 'unless') => {
    const written = valueAt(policy.value, [...when, key])
    const takesAway = key === 'unless'
    if (!Array.isArray(written)) return [{ path: [...when, key], takesAway }]
    return written.map((_, index) => ({ path: [...when, key, index], takesAway }))
  }
  return [{ path: when, takesAway: false }, ...below('or'), ...below('unless')]
}

function checkEnvironment(policy: Source, { path }: Block, known: Known, found: Findings): void {
  const at = [...path, 'environment']
  const written = valueAt(policy.value, at)
  const named: readonly (readonly [Path, unknown])[] = Array.isArray(written)
    ? written.map((name, index) => [[...at, index], name])
    : [[at, written]]
  for (const [place, name] of named) {
    found.problems.push(...unknownName(policy, place, 'environment', name, known.environments))
  }
}

function checkZone(policy: Source, { path }: Block, found: Findings): void {
  const time = valueAt(policy.value, [...path, 'time'])
  if (!isRecord(time) || time.zone !== undefined) return
  found.warnings.push(policy.problemAtKey([...path, 'time'], 'no zone: these are hours in UTC'))
}

/** What a client says of itself it can also leave unsaid, or say falsely: nothing may get looser by it. */
function checkClientStated(policy: Source, block: Block, isAllow: boolean, found: Findings): void {
  if (!block.takesAway && !isAllow) return
  for (const key of CLIENT_STATED) {
    if (valueAt(policy.value, [...block.path, key]) === undefined) continue
    const where = block.takesAway ? 'take a rule away' : 'allow anything'
    const message = `${key} is the client's own word and may only make things stricter: it can't ${where}`
    found.problems.push(policy.problemAtKey([...block.path, key], message))
  }
}

function checkMessage(
  policy: Source,
  path: Path,
  { name, then, say, next }: Readonly<Record<string, unknown>>,
  found: Findings,
): void {
  if (then !== 'deny' || typeof name !== 'string') return
  const words = [say, next].filter(text => typeof text === 'string')
  const message = `dbgate: denied by rule ${name}:  Not run. Next: ${words.join('')}`
  if (message.length <= MAX_MESSAGE) return
  const why = `its answer is ${message.length} characters long, and ${MAX_MESSAGE} are shown: shorten say or next`
  found.problems.push(policy.problemAtKey([...path, say === undefined ? 'next' : 'say'], why))
}
