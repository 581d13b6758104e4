import type { PolicyDocument, PolicyLimit, PolicyMask, PolicyTest } from '../config/index.ts'
import {
  askedWords,
  blockWords,
  conditionWords,
  effectWords,
  listWords,
  maskWords,
  spanWords,
  takenWords,
} from './diff-words.ts'
import { limitsFor } from './limits.ts'

/** What of a policy a difference is about. */
export type DiffSubject =
  | 'role'
  | 'people'
  | 'access'
  | 'rule'
  | 'mask'
  | 'limit'
  | 'function'
  | 'unknown'
  | 'mode'

/** One difference. `old` is undefined for what was not there before, `new` for what is there no more. */
export type PolicyChange = {
  readonly about: DiffSubject
  /** `writer`, `@dba on prod`, `no-drop-prod`. */
  readonly name: string
  readonly field: string
  readonly old: string | undefined
  readonly new: string | undefined
}

type Fact = readonly [about: DiffSubject, name: string, field: string, words: string]

/**
 * What two policies say differently, by name. Where things stand, in which file and in which order, means
 * nothing; nor do several entries that say what one could.
 */
export function diffPolicies(old: PolicyDocument, next: PolicyDocument): readonly PolicyChange[] {
  const before = collect(factsOf(old))
  const after = collect(factsOf(next))
  const changes: PolicyChange[] = []
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [from, to] = [before.get(key), after.get(key)]
    const fact = from ?? to
    if (fact === undefined) continue
    const [was, is] = [textOf(from), textOf(to)]
    if (was !== is) changes.push({ ...fact.key, old: was, new: is })
  }
  return changes.sort(
    (a, b) =>
      ORDER.indexOf(a.about) - ORDER.indexOf(b.about) ||
      compare(a.name, b.name) ||
      compare(a.field, b.field),
  )
}

/** All questions that either policy's tests ask, each once, so that both can be asked them. */
export function questionsOf(old: PolicyDocument, next: PolicyDocument): readonly PolicyTest[] {
  const found = new Map<string, PolicyTest>()
  for (const test of [...(old.tests ?? []), ...(next.tests ?? [])]) {
    const { as, on, time } = test
    for (const expected of test.expect) {
      const { sql, rowsEstimate, inTransaction } = expected
      const who = [[...as.groups].sort(), as.user, as.via, as.role, as.grant]
      const key = JSON.stringify([who, on, time, sql, rowsEstimate, inTransaction])
      if (!found.has(key)) found.set(key, { ...test, expect: [expected] })
    }
  }
  return [...found.values()]
}

const ORDER: readonly DiffSubject[] = [
  'role',
  'people',
  'access',
  'rule',
  'mask',
  'limit',
  'function',
  'unknown',
  'mode',
]

type Collected = {
  readonly key: Pick<PolicyChange, 'about' | 'name' | 'field'>
  readonly words: Set<string>
}

function collect(facts: Iterable<Fact>): Map<string, Collected> {
  const found = new Map<string, Collected>()
  for (const [about, name, field, words] of facts) {
    const key = JSON.stringify([about, name, field])
    const known = found.get(key) ?? { key: { about, name, field }, words: new Set<string>() }
    known.words.add(words)
    found.set(key, known)
  }
  return found
}

function textOf(collected: Collected | undefined): string | undefined {
  return collected && [...collected.words].sort().join(' and ')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** A policy as single statements, none of which depends on where it stands. */
function* factsOf(document: PolicyDocument): Iterable<Fact> {
  for (const [name, { may }] of Object.entries(document.roles)) {
    yield ['role', name, 'may', listWords(may)]
  }
  yield* peopleIn(document)
  for (const entry of document.access ?? []) {
    for (const [target, roles] of Object.entries(entry.grant)) {
      for (const role of roles) {
        const name = `${role} on ${target}`
        const [asked, taken] = [askedWords(entry), takenWords(entry)]
        if (asked !== undefined) yield ['access', name, 'approve', asked]
        if (taken !== undefined) yield ['access', name, 'break_glass', taken]
      }
    }
  }
  yield* rulesIn(document)
  for (const mask of document.masks ?? []) yield* factsOfMask(mask)
  yield* limitsIn(document.limits ?? [])
  for (const { name, does } of document.functions ?? []) yield ['function', name, 'does', does]
  for (const { on, is } of document.unknown ?? []) yield ['unknown', on, 'is', is]
  for (const { on, is } of document.mode ?? []) yield ['mode', on, 'is', is]
}

function* peopleIn({ people }: PolicyDocument): Iterable<Fact> {
  for (const { groups = [], users = [], roles, mayRequest = {} } of people) {
    for (const who of [...groups.map(group => `@${group}`), ...users]) {
      for (const [target, role] of Object.entries(roles)) {
        yield ['people', `${who} on ${target}`, 'role', role]
      }
      for (const [target, wanted] of Object.entries(mayRequest)) {
        for (const role of wanted) yield ['people', `${who} on ${target}`, 'may_request', role]
      }
    }
  }
}

function* rulesIn({ rules = [] }: PolicyDocument): Iterable<Fact> {
  for (const { name, on, when, or, unless, effect, say, next } of rules) {
    yield ['rule', name, 'then', effectWords(effect)]
    yield ['rule', name, 'on', listWords(on)]
    for (const [key, words] of conditionWords(when)) yield ['rule', name, `when ${key}`, words]
    const more = { 'or when': blockWords(or), unless: blockWords(unless), say, next }
    for (const [field, words] of Object.entries(more)) {
      if (words !== undefined) yield ['rule', name, field, words]
    }
  }
}

/** Each selector by itself, on each target and for each role. */
function* factsOfMask(entry: PolicyMask): Iterable<Fact> {
  const { on, roles = ['every role'], via, labels, columns, values, mask } = entry
  const through = via === undefined ? '' : ` via ${listWords(via)}`
  for (const target of on) {
    for (const role of roles) {
      const scope = `on ${target} for ${role}${through}`
      for (const [index, { label, mask: own }] of labels.entries()) {
        // Within one entry a more exact label comes before a pattern; between entries the strictest counts.
        const before = labels.slice(0, index).map(each => each.label)
        const isPattern = label.includes('*') && before.length > 0
        const except = isPattern ? ` except ${listWords(before)}` : ''
        yield ['mask', `${label} ${scope}`, 'mask', `${maskWords(own, entry)}${except}`]
      }
      for (const name of [...columns, ...values.map(value => `values like ${value}`)]) {
        yield ['mask', `${name} ${scope}`, 'mask', maskWords(mask, entry)]
      }
    }
  }
}

/** What comes out for each target and role that is named: the smallest of what applies. */
function* limitsIn(limits: readonly PolicyLimit[]): Iterable<Fact> {
  const scopes = limits.flatMap(({ on, roles = ['every role'] }) =>
    on.flatMap(target => roles.map(role => ({ target, role }))),
  )
  for (const { target, role } of scopes) {
    const own = limits.filter(
      ({ on, roles = ['every role'] }) => on.includes(target) && roles.includes(role),
    )
    const { rows, timeMs, connections, statementsPerMinute } = limitsFor(own, target, role)
    const name = `${role} on ${target}`
    if (rows !== undefined) yield ['limit', name, 'rows', `${rows.max}, over: ${rows.over}`]
    if (timeMs !== undefined) yield ['limit', name, 'time', spanWords(timeMs)]
    if (connections !== undefined) yield ['limit', name, 'connections', `${connections}`]
    if (statementsPerMinute !== undefined) {
      yield ['limit', name, 'statements_per_minute', `${statementsPerMinute}`]
    }
  }
}
