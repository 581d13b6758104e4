import assert from 'node:assert/strict'
import type { DenyVerdict, HoldVerdict, Policy } from '../../src/policy/index.ts'
import { openRequirements } from '../../src/policy/index.ts'
import { ANA, type Asking, outcome, policyOf, question, ready, withRules } from './asking.ts'
import { SAMPLE } from './sample.ts'

const SUPPORT = { ...ANA, groups: ['support'], user: 'lee@acme.dev' }
const CI = { ...ANA, groups: ['ci-migrations'], user: 'ci/shop-migrations' }
const NIGHT = Date.parse('2026-03-04T23:00:00+01:00')

function denied(policy: Policy, sql: string, asking: Asking = {}): DenyVerdict {
  const verdict = policy.evaluate(question(policy, sql, asking))
  assert(verdict.outcome === 'deny', `${sql}: ${verdict.outcome}`)
  return verdict
}

function held(policy: Policy, sql: string, asking: Asking = {}): HoldVerdict {
  const verdict = policy.evaluate(question(policy, sql, asking))
  assert(verdict.outcome === 'hold', `${sql}: ${verdict.outcome}`)
  return verdict
}

describe('policy/verdict', () => {
  before(ready)

  describe('of the sample policy', () => {
    let sample: Policy
    before(async () => {
      sample = await policyOf(SAMPLE)
    })

    const TABLE: readonly (readonly [sql: string, expected: string, asking?: Asking])[] = [
      ['SELECT email FROM users', 'allow role:writer'],
      ["SELECT 'DELETE FROM orders'", 'allow role:writer'],
      ['DELETE FROM orders', 'deny no-where'],
      ['DELETE FROM orders', 'deny no-where', { target: 'staging' }],
      ['DELETE FROM orders WHERE id = 1', 'hold prod-writes'],
      ['DELETE FROM orders WHERE id = 1', 'allow role:writer', { target: 'staging' }],
      ['DELETE FROM orders WHERE id = 1', 'deny role:reader', { principal: SUPPORT }],
      ['DELETE FROM orders WHERE id = 1', 'allow role:migrator', { principal: CI }],
      ['DELETE FROM orders WHERE id = 1', 'deny no-writes-at-night', { at: NIGHT }],
      ['DELETE FROM orders WHERE id = 1', 'deny no-writes-at-night', { at: NIGHT, principal: CI }],
      ['DELETE FROM orders WHERE id = 1', 'hold agent-bulk-writes', { agent: 'claude' }],
      [
        'DELETE FROM orders WHERE id = 1',
        'hold prod-writes',
        { agent: 'claude', rowsEstimate: 1000 },
      ],
      ['DROP TABLE tmp_orders', 'deny no-drop-prod'],
      ['DROP TABLE tmp_orders', 'deny no-drop-prod', { principal: CI }],
      ['CREATE TABLE t (id int)', 'deny role:writer'],
      ['CREATE TABLE t (id int)', 'allow role:migrator', { principal: CI }],
      ["SELECT pg_read_file('/etc/passwd')", 'deny server-files', { target: 'analytics' }],
      ["COPY orders FROM PROGRAM 'cat'", 'deny server-files'],
      ['SELECT 1; DELETE FROM orders', 'deny no-where'],
      ['SELECT 1; DELETE FROM orders WHERE id = 1; SELECT 2', 'hold prod-writes'],
      ['BEGIN', 'allow role:writer'],
      ['COMMIT', 'allow role:writer', { at: NIGHT }],
      ['SELEC 1', 'deny unknown'],
      ['', 'allow role:writer'],
    ]
    for (const [sql, expected, asking = {}] of TABLE) {
      const who = asking.principal === undefined ? '' : ` to ${asking.principal.user}`
      it(`says ${expected}${who} of ${sql || '(nothing)'}`, () => {
        assert.equal(outcome(sample, sql, asking), expected)
      })
    }

    it('says in one line what happened, that nothing ran, and what to do', () => {
      const { error } = denied(sample, 'DELETE FROM orders')
      assert.equal(
        error.message,
        'dbgate: denied by rule no-where: UPDATE and DELETE need a WHERE clause here. Not run. Next: Add a WHERE clause and send it again.',
      )
      assert.equal(error.sqlstate, '42501')
      assert.equal(error.severity, 'ERROR')
      assert.match(
        error.detail ?? '',
        /^Rule no-where \([^/]+\/p0\.yaml:41\): kind is DELETE, where is missing\.$/,
      )
    })

    it('names the role, and a request for one that may, where it can be made', () => {
      const { error } = denied(sample, 'DELETE FROM orders WHERE id = 1', { principal: SUPPORT })
      assert.equal(
        error.message,
        'dbgate: denied, you are reader on prod. Not run. Next: dbgate request prod --role writer --for 1h',
      )
      assert.deepEqual(error.next, ['dbgate request prod --role writer --for 1h'])
      assert.equal(error.detail, 'DELETE needs write; role reader may read.')
      assert.equal(error.sqlstate, '42501')
    })

    it('names no request where nobody could be asked, or it would not be enough', () => {
      const create = denied(sample, 'CREATE TABLE t (id int)', { principal: SUPPORT })
      assert.equal(
        create.error.message,
        'dbgate: denied, you are reader on prod. Not run. Next: ask your admin for a role that may ddl.',
      )
      const staging = denied(sample, 'CREATE TABLE t (id int)', { target: 'staging' })
      assert.match(staging.error.message, /Next: ask your admin for a role that may ddl\.$/)
      assert.deepEqual(staging.error.next, [])
    })

    it('puts the limits of the role on what runs and on what is held', () => {
      const limits = {
        rows: undefined,
        timeMs: 60_000,
        connections: 10,
        statementsPerMinute: undefined,
      }
      const verdict = sample.evaluate(question(sample, 'SELECT 1'))
      assert(verdict.outcome === 'allow')
      assert.deepEqual(verdict.limits, limits)
      assert.deepEqual(held(sample, 'DELETE FROM orders WHERE id = 1').limits, limits)
    })

    it('holds by all rules that ask for it, as strictly as all of them', () => {
      const verdict = held(sample, 'DELETE FROM orders WHERE id = 1', { agent: 'claude' })
      assert.deepEqual(verdict.rules, ['agent-bulk-writes', 'prod-writes'])
      assert.deepEqual(verdict.approve, {
        requirements: [
          { rule: 'agent-bulk-writes', by: ['dba'], need: 2 },
          { rule: 'prod-writes', by: ['dba'], need: 1 },
        ],
        by: ['dba'],
        need: 2,
        expiresMs: 600_000,
        presence: 'step-up',
      })
      assert.equal(verdict.holdMs, 30_000)
      assert.deepEqual(verdict.notify, ['db-approvals'])
      assert.equal(verdict.inTransaction, 'wait')
      assert.equal(verdict.wantsEstimate, true)
      assert.match(
        verdict.reason,
        /^agent-bulk-writes: class is write, via is claude, rows estimate/,
      )
      const few = held(sample, 'DELETE FROM orders WHERE id = 1', {
        agent: 'claude',
        rowsEstimate: 3,
      })
      assert.deepEqual([few.rules, few.wantsEstimate], [['prod-writes'], false])
    })

    it('answers text that is no SQL as PostgreSQL would', () => {
      const { error } = denied(sample, 'SELEC 1')
      assert.equal(error.sqlstate, '42601')
      assert.match(error.message, /^syntax error at or near "SELEC"$/)
    })

    it('says until when the clock lets it stand', () => {
      const closes = Date.parse('2026-03-04T19:00:00+01:00')
      const opens = Date.parse('2026-03-05T07:00:00+01:00')
      const at = (time: number) => question(sample, 'SELECT 1', { at: time })
      assert.equal(sample.evaluate(at(closes - 1)).validUntil, closes)
      assert.equal(sample.evaluate(at(closes)).validUntil, opens)
      const staging = question(sample, 'SELECT 1', { target: 'staging' })
      assert.equal(sample.evaluate(staging).validUntil, Number.POSITIVE_INFINITY)
    })
  })

  it('lets deny beat approve, and approve beat allow', async () => {
    const policy = await withRules(`- { name: a-allow, when: { kind: DELETE }, then: allow }
- { name: b-hold, when: { tables: [orders, users] }, then: { approve: { by: [dba] } } }
- { name: c-deny, when: { tables: users }, then: deny }`)
    assert.equal(outcome(policy, 'DELETE FROM items'), 'allow a-allow')
    assert.equal(outcome(policy, 'DELETE FROM orders'), 'hold b-hold')
    assert.equal(outcome(policy, 'DELETE FROM orders USING users'), 'deny c-deny')
    assert.deepEqual(denied(policy, 'DELETE FROM users').rules, ['c-deny'])
  })

  it('never lets an allow rule lift a ceiling', async () => {
    const policy = await withRules('- { name: all, then: allow }')
    const writer = { users: ['ana@acme.dev'] }
    assert.deepEqual(writer.users, [ANA.user])
    const limited = await policyOf(`version: 1
roles: { reader: { may: [read] } }
people: [{ groups: [engineering], roles: { prod: reader } }]
rules: [{ name: all, then: allow }]`)
    assert.equal(outcome(policy, 'DROP TABLE t'), 'allow role:owner')
    assert.equal(outcome(limited, 'SELECT 1'), 'allow all')
    assert.equal(outcome(limited, 'DELETE FROM t'), 'deny role:reader')
  })

  it('needs every group that any rule asks for', async () => {
    const policy =
      await withRules(`- { name: one, when: { class: write }, then: { approve: { by: [dba] }, hold: 10s, notify: [ops] } }
- { name: two, when: { tables: pay }, then: { approve: { by: [legal, hr], need: 2, expires: 5m }, in_transaction: fail, notify: [hr] } }`)
    const verdict = held(policy, 'DELETE FROM pay')
    const { approve } = verdict
    assert.deepEqual([verdict.rule, verdict.rules], ['two', ['one', 'two']])
    assert.deepEqual(approve.by, ['dba', 'hr', 'legal'])
    assert.deepEqual([approve.need, approve.expiresMs, approve.presence], [2, 300_000, undefined])
    assert.deepEqual([verdict.holdMs, verdict.inTransaction], [10_000, 'fail'])
    assert.deepEqual(verdict.notify, ['hr', 'ops'])
    const open = (...groups: string[][]) =>
      openRequirements(
        approve,
        groups.map(each => ({ groups: each })),
      ).map(({ rule, need }) => `${rule} ${need}`)
    assert.deepEqual(open(), ['one 1', 'two 2'])
    assert.deepEqual(open(['legal'], ['hr']), ['one 1'])
    assert.deepEqual(open(['dba', 'legal']), ['two 1'])
    assert.deepEqual(open(['dba', 'legal'], ['hr']), [])
  })

  it('proposes the stronger role that is already there', async () => {
    const policy = await policyOf(`version: 1
roles: { reader: { may: [read] }, writer: { may: [read, write] } }
people:
  - { groups: [engineering], roles: { prod: writer } }
  - { users: [ana@acme.dev], roles: { prod: reader } }`)
    const { error } = denied(policy, 'DELETE FROM t', { role: 'reader' })
    assert.match(error.message, /Next: dbgate connect prod --role writer$/)
  })

  it('asks for no longer than there is', async () => {
    const policy = await policyOf(`version: 1
roles: { reader: { may: [read] }, writer: { may: [read, write] } }
people: [{ groups: [engineering], roles: { prod: reader }, may_request: { prod: [writer] } }]
access:
  - { grant: { prod: [writer] }, max: 4h, approve: { by: [dba] } }
  - { grant: { prod: [writer] }, max: 20m, approve: { by: [sre] } }`)
    const { error } = denied(policy, 'DELETE FROM t')
    assert.match(error.message, /Next: dbgate request prod --role writer --for 20m$/)
  })

  it('says it without words of the policy too', async () => {
    const policy = await withRules(`- { name: bare, when: { kind: DELETE }, then: deny }
- { name: unended, when: { kind: UPDATE }, then: deny, say: Not like this }`)
    assert.equal(
      denied(policy, 'DELETE FROM t').error.message,
      'dbgate: denied by rule bare. Not run; rewording it will not help.',
    )
    assert.equal(
      denied(policy, 'UPDATE t SET a = 1').error.message,
      'dbgate: denied by rule unended: Not like this. Not run; rewording it will not help.',
    )
  })

  it('watches a target in mode observe, and lets everything through', async () => {
    const policy = await policyOf(`${SAMPLE}
mode: { prod: observe }`)
    const observe = (sql: string, asking: Asking = {}) => {
      const verdict = policy.evaluate(question(policy, sql, asking))
      assert(verdict.outcome === 'allow', sql)
      assert.deepEqual(verdict.limits.rows, undefined)
      return verdict.observed && `${verdict.observed.outcome} ${verdict.observed.rule}`
    }
    assert.equal(observe('SELECT 1'), undefined)
    assert.equal(observe('DELETE FROM orders'), 'deny no-where')
    assert.equal(observe('DELETE FROM orders WHERE id = 1'), 'hold prod-writes')
    assert.equal(
      observe('DELETE FROM orders WHERE id = 1', { principal: SUPPORT }),
      'deny role:reader',
    )
    assert.equal(observe('SELEC 1'), 'deny unknown')
    assert.equal(outcome(policy, 'DELETE FROM orders', { target: 'staging' }), 'deny no-where')
  })

  it('enforces where two words on the mode differ', async () => {
    const policy = await withRules(
      '- { name: no, when: { kind: DELETE }, then: deny }',
      "mode: { '*': observe, prod: enforce }",
    )
    assert.equal(outcome(policy, 'DELETE FROM t'), 'deny no')
    assert.equal(outcome(policy, 'DELETE FROM t', { target: 'staging' }), 'allow role:owner')
  })

  it('ends a grant at its time, whatever the mode', async () => {
    const policy = await withRules(
      '- { name: no, when: { kind: DELETE }, then: deny }',
      'mode: observe',
    )
    const [grant] = policy
      .grantsOf(ANA, {
        at: 1000,
        grants: [
          { id: 'g-2m9x', target: 'prod', role: 'writer', expiresAt: 5000, from: 'request' },
        ],
      })
      .filter(({ role }) => role === 'writer')
    assert(grant !== undefined)
    assert.equal(
      policy.evaluate(question(policy, 'SELECT 1', { grant, at: 4999 })).validUntil,
      5000,
    )
    const { rule, error } = denied(policy, 'SELECT 1', { grant, at: 5000 })
    assert.equal(rule, 'grant')
    assert.equal(
      error.message,
      'dbgate: denied, your time as writer on prod is over. Not run. Next: dbgate request prod --role writer',
    )
  })
})
