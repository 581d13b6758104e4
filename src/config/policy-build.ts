/** From policy files as they are written to the one policy the program uses. Everything here has been validated. */

import { deepFreeze } from './build.ts'
import type { ConditionsFile } from './policy-conditions.ts'
import type {
  AccessEntry,
  Conditions,
  PeopleEntry,
  PolicyDocument,
  PolicyLimit,
  PolicyRule,
  PolicyTest,
  Setting,
} from './policy-document.ts'
import { buildEffect, terms } from './policy-effects.ts'
import { buildMask } from './policy-mask-build.ts'
import type { PolicyFile } from './policy-schema.ts'
import type { Path, Source } from './yaml.ts'

type File = { readonly source: Source; readonly parsed: PolicyFile }
type LineOf = (path: Path) => string

/** Puts the policy files together. That no name is defined twice was checked before. */
export function buildPolicy(files: readonly File[]): PolicyDocument {
  const all = <T>(build: (parsed: PolicyFile, lineOf: LineOf) => readonly T[]): readonly T[] =>
    files.flatMap(({ source, parsed }) => build(parsed, path => source.lineOf(path)))
  return deepFreeze({
    version: 1,
    roles: Object.fromEntries(files.flatMap(({ parsed }) => Object.entries(parsed.roles))),
    people: all(buildPeople),
    access: all(buildAccess),
    rules: all(({ rules }, lineOf) =>
      rules.map((rule, index) => buildRule(rule, lineOf(['rules', index]))),
    ),
    masks: all(({ masks }, lineOf) =>
      masks.map((mask, index) => buildMask(mask, lineOf(['masks', index]))),
    ),
    limits: all(({ limits }, lineOf) =>
      limits.map((limit, index) => buildLimit(limit, lineOf(['limits', index]))),
    ),
    functions: all(({ functions }, lineOf) =>
      Object.entries(functions).map(([name, does]) => {
        return { name, does, at: lineOf(['functions', name]) }
      }),
    ),
    unknown: all(({ unknown }, lineOf) => settings('unknown', unknown, lineOf)),
    mode: all(({ mode }, lineOf) => settings('mode', mode, lineOf)),
    tests: all(({ tests }, lineOf) =>
      tests.map((test, index) => buildTest(test, path => lineOf(['tests', index, ...path]))),
    ),
  })
}

function buildPeople({ people }: PolicyFile, lineOf: LineOf): PeopleEntry[] {
  return people.map(({ groups, users, roles = {}, may_request }, index) => ({
    ...(groups === undefined ? {} : { groups }),
    ...(users === undefined ? {} : { users }),
    roles,
    ...(may_request === undefined ? {} : { mayRequest: may_request }),
    at: lineOf(['people', index]),
  }))
}

function buildAccess({ access }: PolicyFile, lineOf: LineOf): AccessEntry[] {
  return access.map(({ grant, max = 0, reason, approve, notify, break_glass: glass }, index) => ({
    grant,
    reason,
    approve: approve === undefined ? undefined : { ...terms(approve), maxMs: max },
    ...(notify.length === 0 ? {} : { notify }),
    breakGlass:
      glass === undefined
        ? undefined
        : {
            for: glass.for,
            maxMs: glass.max,
            notify: glass.notify,
            reviewWithinMs: glass.review_within,
          },
    at: lineOf(['access', index]),
  }))
}

function buildRule(rule: PolicyFile['rules'][number], at: string): PolicyRule {
  const { name, on, say, next } = rule
  const { or = [], unless = [], ...when } = rule.when
  return {
    name,
    on,
    when: buildConditions(when),
    or: or.map(buildConditions),
    unless: unless.map(buildConditions),
    effect: buildEffect(rule.then),
    say,
    next,
    at,
  }
}

function buildConditions(written: ConditionsFile): Conditions {
  const { acting_functions, rows_estimate, in_transaction, time, ...same } = written
  const { inside, outside, zone } = time ?? {}
  return {
    ...defined(same),
    ...(acting_functions === undefined ? {} : { actingFunctions: acting_functions }),
    ...(rows_estimate === undefined ? {} : { rowsEstimate: rows_estimate }),
    ...(in_transaction === undefined ? {} : { inTransaction: in_transaction }),
    ...(time === undefined || zone === undefined
      ? {}
      : {
          time: {
            is: inside === undefined ? 'outside' : 'inside',
            windows: inside ?? outside ?? [],
            zone,
          },
        }),
  }
}

/** The same keys without those that are there and undefined. */
function defined<T extends object>(keys: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(keys).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> }
}

function buildLimit(limit: PolicyFile['limits'][number], at: string): PolicyLimit {
  const { on, roles, rows, time, connections, statements_per_minute } = limit
  return {
    on,
    roles,
    rows,
    timeMs: time,
    connections,
    statementsPerMinute: statements_per_minute,
    at,
  }
}

function settings<T>(
  key: string,
  written: Readonly<Record<string, T>> | undefined,
  lineOf: LineOf,
): Setting<T>[] {
  return Object.entries(written ?? {}).map(([on, is]) => ({ on, is, at: lineOf([key, on]) }))
}

function buildTest(test: PolicyFile['tests'][number], lineOf: LineOf): PolicyTest {
  const { groups = [], user, via, role, grant } = test.as
  return {
    as: { groups, user, via, role, grant },
    on: test.on,
    time: test.at === undefined ? undefined : Date.parse(test.at),
    expect: test.expect.map(
      ({ sql, gives, rule, columns, rows_estimate, in_transaction }, index) => ({
        sql,
        gives,
        rule,
        columns: columns && Object.fromEntries(Object.entries(columns).map(asKind)),
        rowsEstimate: rows_estimate,
        inTransaction: in_transaction ?? false,
        at: lineOf(['expect', index]),
      }),
    ),
  }
}

/** `hash` and `token` are two words for one mask. */
function asKind([column, word]: [string, string]): [string, string] {
  return [column, word === 'hash' ? 'token' : word]
}
