import assert from 'node:assert/strict'
import { compilePolicy, type Policy } from '../../src/policy/index.ts'
import { ANA, analyse, policyOf, question, ready, withRules } from './asking.ts'
import { SAMPLE } from './sample.ts'

describe('policy/explain', () => {
  let sample: Policy
  before(async () => {
    await ready()
    sample = await policyOf(SAMPLE)
  })

  it('says of each rule whether it matched and why', () => {
    const asking = { agent: 'claude', at: Date.parse('2026-03-04T14:02:00+01:00') }
    const explained = sample.explain(question(sample, 'DROP TABLE public.tmp_orders', asking))
    assert.equal(explained.verdict.outcome, 'deny')
    assert.deepEqual(explained.role.missing, ['ddl'])
    assert.deepEqual(explained.statements, [
      {
        text: 'DROP TABLE public.tmp_orders',
        kind: 'DROP',
        class: 'ddl',
        needs: ['ddl'],
        tables: ['public.tmp_orders'],
        functions: [],
        where: 'none',
        hazards: [],
        unread: undefined,
      },
    ])
    assert.deepEqual(
      explained.rules.map(({ name, matched, decided, why }) => [name, matched, decided, why]),
      [
        ['agent-bulk-writes', 'no', false, 'class is ddl, not write'],
        ['no-drop-prod', 'yes', true, 'class is ddl, kind is DROP (TABLE)'],
        ['no-where', 'no', false, 'kind is DROP (TABLE), not UPDATE, DELETE'],
        ['no-writes-at-night', 'no', false, '14:02 is inside Mon-Fri 07:00-19:00 (Europe/Berlin)'],
        ['prod-writes', 'no', false, 'class is ddl, not write'],
        [
          'server-files',
          'no',
          false,
          'functions are none, not pg_read_*, lo_import, lo_export, dblink*',
        ],
      ],
    )
    assert.match(explained.rules[1]?.at ?? '', /p0\.yaml:\d+$/)
    assert.equal(explained.next, 'Open a migration pull request; CI runs it as ci/shop-migrations.')
  })

  it('says where a rule stands, what took it away, and what can not be read', async () => {
    const policy = await withRules(`- { name: elsewhere, on: [staging], then: deny }
- { name: taken, when: { class: write, unless: { groups: [engineering] } }, then: deny }
- { name: maybe, when: { kind: DROP }, then: deny }
- { name: idle, when: { environment: production }, then: deny }`)
    const why = (sql: string) =>
      Object.fromEntries(
        policy
          .explain(question(policy, sql, { environment: 'production' }))
          .rules.map(rule => [rule.name, `${rule.matched}: ${rule.why}`]),
      )
    assert.deepEqual(why("DO $$ BEGIN EXECUTE 'x' || 'y'; END $$"), {
      elsewhere: 'no: on staging only',
      taken: 'no: taken away by unless: groups are engineering',
      maybe: "maybe: kind can't be read",
      idle: 'yes: environment is production',
    })
    assert.equal(why('BEGIN').idle, 'no: harmless, and the rule names neither class nor kind')
    assert.equal(why('').maybe, 'no: there is no statement')
    assert.equal(why('SELECT 1; DROP TABLE t').maybe, 'yes: kind is DROP (TABLE)')
  })

  it('says the next command where the role is not enough', () => {
    const principal = { ...ANA, groups: ['support'] }
    const { next, rules, verdict } = sample.explain(
      question(sample, 'DELETE FROM orders WHERE id = 1', { principal }),
    )
    assert.equal(verdict.rule, 'role:reader')
    assert.equal(next, 'dbgate request prod --role writer --for 1h')
    assert(rules.every(({ decided }) => !decided))
  })

  it('says what comes out on a target', () => {
    const prod = sample.describe('prod', 'production')
    assert.deepEqual(
      prod.roles.map(({ role, groups }) => `${role} ${groups.join(',')}`),
      ['migrator ci-migrations', 'writer engineering,dba', 'reader support'],
    )
    assert.deepEqual(
      prod.mayRequest.map(({ role, groups }) => `${role} ${groups.join(',')}`),
      ['migrator engineering,dba', 'writer support'],
    )
    assert.deepEqual([prod.mode, prod.unknown, prod.rules.length], ['enforce', 'deny', 6])
    assert.deepEqual(prod.limits[0]?.roles, ['reader', 'writer'])
    const staging = sample.describe('staging', undefined)
    assert.deepEqual(
      staging.rules.map(({ name, does }) => `${name} ${does}`),
      ['no-where deny', 'server-files deny'],
    )
    assert.equal(staging.unknown, 'hold-if-sure')
  })
})

describe('policy/tests', () => {
  before(ready)
  const options = { analyse, environmentOf: () => 'production' }

  it('passes the tests of the sample policy, by day and by night', async () => {
    const results = await (await policyOf(SAMPLE)).runTests(options)
    assert.deepEqual(
      results.filter(({ passed }) => !passed),
      [],
    )
    assert.deepEqual(
      results.map(({ who, got }) => `${who}: ${got.gives} ${got.rules.join(' ')}`),
      [
        'engineering on prod: allowed role:writer',
        'engineering on prod: denied no-where',
        'support on prod: denied role:reader',
        'engineering via agent on prod: held agent-bulk-writes prod-writes',
        'engineering via agent on prod: denied no-drop-prod',
      ],
    )
    assert.match(results[0]?.at ?? '', /p0\.yaml:\d+$/)
  })

  it('runs tests under a role that is had for a while', async () => {
    const { document } = await policyOf(`version: 1
roles: { writer: { may: [read, write] } }
rules:
  - name: at-night
    when: { class: write, unless: { grant: break-glass } }
    then: deny
tests:
  - as: { groups: [x], role: writer, grant: break-glass }
    on: prod
    expect: [{ sql: DELETE FROM t, gives: allowed }]
  - as: { groups: [x], role: writer, grant: request }
    on: prod
    expect: [{ sql: DELETE FROM t, gives: denied, rule: at-night }]
  - as: { groups: [x], role: writer }
    on: prod
    expect: [{ sql: DELETE FROM t, gives: denied, rule: grant }]`)
    const results = await compilePolicy(document).runTests(options)
    assert.deepEqual(
      results.map(({ passed }) => passed),
      [true, true, true],
    )
  })

  it('fails a test for the outcome, for the rule, and for a target nobody may reach', async () => {
    const { document } = await withRules(
      '- { name: no-drop, when: { kind: DROP }, then: deny }',
      `tests:
  - as: { groups: [engineering] }
    on: prod
    expect:
      - { sql: DROP TABLE t, gives: allowed }
      - { sql: DROP TABLE t, gives: denied, rule: no-drop }
      - { sql: SELECT 1, gives: denied }
  - as: { groups: [engineering], role: writer }
    on: prod
    expect: [{ sql: SELECT 1, gives: allowed }, { sql: SELECT 1, gives: denied }]
  - as: { user: eve@acme.dev }
    on: prod
    expect: [{ sql: SELECT 1, gives: denied, rule: role }]`,
    )
    const results = await compilePolicy(document).runTests(options)
    assert.deepEqual(
      results.map(({ passed }) => passed),
      [false, true, false, false, true, false],
    )
    assert.deepEqual(results[0]?.got, { gives: 'denied', rules: ['no-drop'], columns: undefined })
    assert.deepEqual(results[5]?.got, { gives: 'denied', rules: ['grant'], columns: undefined })
  })
})
