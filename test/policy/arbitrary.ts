/** Random rules, situations and statements for property tests. */
import fc from 'fast-check'
import type { Conditions, PolicyDocument, PolicyRule } from '../../src/config/index.ts'
import type { Question } from '../../src/policy/index.ts'
import type { Statement } from '../../src/sql/index.ts'
import { ANA, NOON } from './asking.ts'

const some = <const T>(...from: readonly T[]) =>
  fc.subarray([...from], { minLength: 1, maxLength: Math.min(3, from.length) })

const HAZARDS = ['files', 'program', 'code', 'roles', 'network', 'sleep', 'unknown'] as const
const TABLES = ['orders', 'payroll', 'public.users', 'audit.*', 'pay*', 'scratch.t']
const FUNCTIONS = ['purge', 'pg_*', 'app.*', 'nextval']
const WINDOW = {
  text: 'Mon-Fri 07:00-19:00',
  days: [0, 1, 2, 3, 4],
  fromMinute: 420,
  toMinute: 1140,
}

/** Keys that go by the statement alone. */
const acts = {
  class: some('read', 'write', 'ddl', 'admin', 'session', 'transaction'),
  kind: some('DELETE', 'UPDATE', 'DROP', 'DROP TABLE', 'COPY', 'INSERT', 'SET', 'MERGE'),
  tables: some(...TABLES),
  functions: some(...FUNCTIONS),
  actingFunctions: some(...FUNCTIONS),
  settings: some('search_path', 'role', 'app.*'),
  hazards: some(...HAZARDS),
  where: fc.constant(['missing'] as const),
}

const situation = {
  groups: some('engineering', 'dba'),
  users: some('ana@acme.dev', 'ben@acme.dev'),
  environment: some('production', 'staging'),
  grant: some('policy', 'request'),
  time: fc.constantFrom('inside' as const, 'outside' as const).map(is => {
    return { is, windows: [WINDOW], zone: 'Europe/Berlin' }
  }),
  rowsEstimate: fc.constant({ text: '> 10', atLeast: 11 }),
  inTransaction: fc.boolean(),
}

const client = { via: some('agent', 'psql', 'cur*'), application: some('DBeaver*', 'psql') }

const record = <T>(keys: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(keys, { requiredKeys: [] })

export const actConditions: fc.Arbitrary<Conditions> = record(acts)

/**
 * Keys under \`unless\` that something always answers to. One that asks for all of something to be on a list can
 * begin to hold when the first such thing is added: whoever writes it has said so, and wrapping shows nothing.
 */
export const answeredConditions: fc.Arbitrary<Conditions> = record({
  class: acts.class,
  kind: acts.kind,
  where: acts.where,
})
const conditions: fc.Arbitrary<Conditions> = record({ ...acts, ...situation })
const stated: fc.Arbitrary<Conditions> = record({ ...acts, ...situation, ...client })

const terms = fc.record({
  by: some('dba', 'sre', 'legal'),
  need: fc.integer({ min: 1, max: 3 }),
  expiresMs: fc.constantFrom(60_000, 900_000),
  presence: fc.constantFrom(undefined, 'step-up' as const),
})

const effect: fc.Arbitrary<PolicyRule['effect']> = fc.oneof(
  fc.constant({ does: 'deny' as const }),
  fc.constant({ does: 'allow' as const }),
  fc.record({
    does: fc.constant('approve' as const),
    approve: terms,
    holdMs: fc.constantFrom(0, 30_000),
    notify: some('ops', 'dba'),
    inTransaction: fc.constantFrom('wait' as const, 'fail' as const),
  }),
)

export function ruleOf(
  when: fc.Arbitrary<Conditions>,
  unless: fc.Arbitrary<Conditions>,
  does: fc.Arbitrary<PolicyRule['effect']> = effect,
): fc.Arbitrary<PolicyRule> {
  const named = unless.filter(keys => Object.keys(keys).length > 0)
  return fc.record({
    name: fc.stringMatching(/^[a-z]{1,6}$/),
    on: fc.constantFrom(['*'], ['prod'], ['prod', 'staging'], ['staging']),
    when,
    or: fc.array(when, { maxLength: 1 }),
    unless: fc.array(named, { maxLength: 1 }),
    effect: does,
    say: fc.constant(undefined),
    next: fc.constant(undefined),
    at: fc.constant('policy/main.yaml:1'),
  })
}

/** Any rule a policy can hold. */
export const rule: fc.Arbitrary<PolicyRule> = ruleOf(stated, conditions)

export const denyRule = ruleOf(stated, conditions, fc.constant({ does: 'deny' as const }))

const may = fc.constantFrom<PolicyDocument['roles'][string]['may']>(
  ['read'],
  ['read', 'write'],
  ['read', 'write', 'ddl'],
  ['read', 'write', 'ddl', 'admin'],
)

/** Rules with names of their own, as a validated policy has them. */
export const rules = (one: fc.Arbitrary<PolicyRule> = rule) =>
  fc.uniqueArray(one, { maxLength: 6, selector: ({ name }) => name })

export const document: fc.Arbitrary<PolicyDocument> = fc.record({
  version: fc.constant(1 as const),
  roles: may.map(of => ({ role: { may: of } })),
  people: fc.constant([{ groups: ['engineering'], roles: { prod: 'role' } }]),
  rules: rules(),
  functions: fc.constantFrom(
    [],
    [{ name: 'purge', does: 'reads' as const, at: '' }],
    [{ name: 'app.f', does: 'admin' as const, at: '' }],
  ),
  unknown: fc.constantFrom(
    [],
    [{ on: 'prod', is: 'hold' as const, at: '' }],
    [{ on: '*', is: 'deny' as const, at: '' }],
  ),
  limits: fc.constantFrom(
    [],
    [
      {
        on: ['prod'],
        roles: undefined,
        rows: { max: 10, over: 'cut' as const },
        timeMs: undefined,
        connections: undefined,
        statementsPerMinute: undefined,
        at: '',
      },
    ],
  ),
})

export type Situation = Omit<Question, 'grant' | 'analysis' | 'principal'>

export const situations: fc.Arbitrary<Situation> = fc.record({
  agent: fc.constantFrom(undefined, '', 'claude', 'psql', 'cursor'),
  application: fc.constantFrom(undefined, 'DBeaver 24', 'psql'),
  at: fc.integer({ min: NOON - 7 * 86_400_000, max: NOON + 7 * 86_400_000 }),
  environment: fc.constantFrom(undefined, 'production', 'staging'),
  inTransaction: fc.constantFrom(undefined, true, false),
  rowsEstimate: fc.constantFrom(undefined, 5, 50),
})

export const principals = fc
  .subarray(['engineering', 'dba', 'ci'])
  .map(groups => ({ ...ANA, groups: ['engineering', ...groups] }))

const names = fc.constantFrom('orders', 'payroll', 'users', 'scratch', 'T', 'a.b', '', '*', '.')

/** Facts as no analysis may ever give them. */
export const statement: fc.Arbitrary<Statement> = fc.record({
  text: fc.string(),
  kind: fc.constantFrom('SELECT', 'DELETE', 'DO', 'ODD', ''),
  class: fc.constantFrom('read', 'write', 'ddl', 'admin', 'session', 'transaction'),
  needs: fc.subarray(['read', 'write', 'ddl', 'admin'] as const),
  kinds: fc.subarray(['SELECT', 'DELETE', 'DROP', 'COPY_FROM', 'DO', 'CREATE', 'ODD', '']),
  objects: fc.subarray(['TABLE', 'ROLE', '']),
  relations: fc.array(
    fc.record({
      schema: fc.option(names, { nil: undefined }),
      name: names,
      access: fc.constantFrom('read', 'write', 'schema', 'lock'),
    }),
    { maxLength: 3 },
  ),
  functions: fc.array(names, { maxLength: 3 }),
  actingFunctions: fc.array(names, { maxLength: 3 }),
  unknownFunctions: fc.array(names, { maxLength: 3 }),
  unknownRelations: fc.array(names, { maxLength: 3 }),
  where: fc.constantFrom('none', 'missing', 'trivial', 'present'),
  hazards: fc.subarray([...HAZARDS]),
  notUnderstood: fc.array(fc.string(), { maxLength: 1 }),
  fingerprint: fc.constant(''),
  transaction: fc.constant(undefined),
  chain: fc.boolean(),
  scope: fc.constant([]),
  executes: fc.constant([]),
  fetches: fc.constant([]),
  settings: fc.array(
    fc.record({ name: names, value: fc.constant(undefined), local: fc.boolean() }),
    { maxLength: 2 },
  ),
})
