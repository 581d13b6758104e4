import assert from 'node:assert/strict'
import { grantFor, isUnrestricted, type Policy } from '../../src/policy/index.ts'
import { ANA, policyOf, ready, withRules } from './asking.ts'
import { SAMPLE } from './sample.ts'

const BEN = { ...ANA, subject: 'ben', user: 'ben@acme.dev', groups: ['support', 'dba'] }
const ONCALL = { ...ANA, subject: 'kim', user: 'kim@acme.dev', groups: ['sre-oncall'] }
const NOBODY = { ...ANA, subject: 'eve', user: 'eve@acme.dev', groups: [] }

describe('policy/access', () => {
  let sample: Policy
  before(async () => {
    await ready()
    sample = await policyOf(SAMPLE)
  })

  it('gives the roles of all groups, the strongest first', () => {
    const on = (target: string, principal = BEN) =>
      sample
        .grantsOf(principal)
        .filter(grant => grant.target === target)
        .map(({ role, from, expiresAt }) => `${role} ${from} ${expiresAt}`)
    assert.deepEqual(on('prod'), ['writer policy undefined', 'reader policy undefined'])
    assert.deepEqual(on('staging'), ['writer policy undefined'])
    assert.deepEqual(sample.grantsOf(NOBODY), [])
    assert.match(grantFor(sample, BEN, 'prod')?.at ?? '', /p0\.yaml:15$/)
  })

  it('gives the strongest role, or the one asked for, or none', () => {
    assert.equal(grantFor(sample, BEN, 'prod')?.role, 'writer')
    assert.equal(grantFor(sample, BEN, 'prod', 'reader')?.role, 'reader')
    assert.equal(grantFor(sample, BEN, 'prod', 'migrator'), undefined)
    assert.equal(grantFor(sample, BEN, 'prod', '__proto__'), undefined)
    assert.equal(grantFor(sample, NOBODY, 'prod'), undefined)
    assert.equal(grantFor(sample, BEN, 'nowhere'), undefined)
  })

  it('adds roles that were given for a while, until they end', () => {
    const extra = (at: number, ...expiries: number[]) => ({
      at,
      grants: expiries.map((expiresAt, index) => ({
        id: `g-${index}`,
        target: 'prod',
        role: 'migrator',
        expiresAt,
        from: 'request' as const,
      })),
    })
    const grant = grantFor(sample, ANA, 'prod', undefined, extra(1000, 2000, 5000, 3000))
    assert.deepEqual(
      [grant?.role, grant?.id, grant?.expiresAt, grant?.from],
      ['migrator', 'g-1', 5000, 'request'],
    )
    assert.equal(grantFor(sample, ANA, 'prod', undefined, extra(5000, 5000))?.role, 'writer')
    const gone = { id: 'g', target: 'prod', role: 'gone', expiresAt: 9, from: 'request' as const }
    assert.deepEqual(sample.grantsOf(NOBODY, { at: 0, grants: [gone] }), [])
  })

  it('counts a role taken in an emergency before the same one given for good', () => {
    const taken = (from: 'request' | 'break-glass') => ({
      at: 0,
      grants: [{ id: 'g', target: 'prod', role: 'writer', expiresAt: 9, from }],
    })
    const of = (from: 'request' | 'break-glass') =>
      grantFor(sample, ANA, 'prod', 'writer', taken(from))
    assert.deepEqual([of('request')?.from, of('request')?.expiresAt], ['policy', undefined])
    assert.deepEqual([of('break-glass')?.from, of('break-glass')?.expiresAt], ['break-glass', 9])
  })

  it('says what can be asked for, and whose approval it takes', () => {
    const [migrator, ...more] = sample.requestableBy(ANA)
    assert.deepEqual(more, [])
    assert.deepEqual(migrator && { ...migrator, at: migrator.at.length }, {
      target: 'prod',
      role: 'migrator',
      may: ['read', 'write', 'ddl'],
      maxMs: 3_600_000,
      reason: 'required',
      approve: {
        requirements: [{ rule: 'access', by: ['dba', 'sre-lead'], need: 2 }],
        by: ['dba', 'sre-lead'],
        need: 2,
        expiresMs: 900_000,
        presence: undefined,
      },
      notify: [],
      at: 1,
    })
    assert.deepEqual(
      sample.requestableBy(BEN).map(({ role }) => role),
      ['migrator', 'writer'],
    )
    assert.deepEqual(sample.requestableBy(ONCALL), [])
    assert.deepEqual(sample.requestableBy(NOBODY), [])
  })

  it('says what can be taken at once, and who looks at it later', () => {
    const [writer, ...more] = sample.breakGlassFor(ONCALL)
    assert.deepEqual(more, [])
    assert.deepEqual(writer && { ...writer, at: writer.at.length }, {
      target: 'prod',
      role: 'writer',
      may: ['read', 'write'],
      maxMs: 3_600_000,
      reason: 'required',
      notify: ['db-approvals'],
      reviewWithinMs: 86_400_000,
      reviewers: ['dba'],
      at: 1,
    })
    assert.deepEqual(sample.breakGlassFor(ANA), [])
  })

  it('asks for as much as all entries for a role ask for', async () => {
    const policy = await policyOf(`version: 1
roles: { writer: { may: [write] } }
people: [{ groups: [engineering], may_request: { prod: [writer] } }]
access:
  - { grant: { prod: [writer] }, max: 4h, reason: optional, approve: { by: [dba] } }
  - { grant: { prod: [writer] }, max: 2h, approve: { by: [legal], need: 2, presence: step-up } }`)
    const [writer] = policy.requestableBy(ANA)
    assert.deepEqual(
      [writer?.maxMs, writer?.reason, writer?.approve.need, writer?.approve.presence],
      [7_200_000, 'required', 2, 'step-up'],
    )
    assert.deepEqual(writer?.approve.requirements.flatMap(({ by }) => by).sort(), ['dba', 'legal'])
    assert.deepEqual(policy.grantsOf(ANA), [])
  })

  describe('calls a grant unrestricted', () => {
    const TABLE: readonly (readonly [
      what: string,
      rules: string,
      more: string,
      expected: boolean,
    ])[] = [
      ['where no rule stands', '- { name: it, on: [staging], then: deny }', '', true],
      ['where a rule may apply', '- { name: it, when: { kind: DROP }, then: deny }', '', false],
      ['where a rule only allows', '- { name: it, then: allow }', '', true],
      [
        'where a rule is for others',
        '- { name: it, when: { groups: [support] }, then: deny }',
        '',
        true,
      ],
      [
        'where a rule is taken away from its groups',
        '- { name: it, when: { kind: DROP, unless: { groups: [engineering] } }, then: deny }',
        '',
        true,
      ],
      [
        'where a rule is taken away in part',
        '- { name: it, when: { unless: { groups: [engineering], kind: SELECT } }, then: deny }',
        '',
        false,
      ],
      [
        'where a rule may apply by its "or"',
        '- { name: it, when: { groups: [support], or: { kind: DROP } }, then: deny }',
        '',
        false,
      ],
      [
        'where only the clock matters',
        '- { name: it, when: { time: { inside: Sat, zone: UTC } }, then: deny }',
        '',
        false,
      ],
      ['where the tool matters', '- { name: it, when: { via: agent }, then: deny }', '', false],
      [
        'under a limit',
        '- { name: it, then: allow }',
        'limits: [{ on: [prod], time: 60s }]',
        false,
      ],
      [
        'under a limit for others',
        '- { name: it, then: allow }',
        'limits: [{ roles: [writer], time: 60s }]',
        true,
      ],
    ]
    for (const [what, rules, more, expected] of TABLE) {
      it(`${what}: ${expected}`, async () => {
        const policy = await withRules(rules, more)
        const grant = grantFor(policy, ANA, 'prod')
        assert(grant !== undefined)
        assert.equal(isUnrestricted(grant), expected)
      })
    }

    it('only if the role may do everything', () => {
      assert(sample.grantsOf(BEN).every(grant => !isUnrestricted(grant)))
    })
  })

  it('takes the smallest of all limits', async () => {
    const policy = await withRules(
      '- { name: it, then: allow }',
      `limits:
  - { time: 60s, connections: 9 }
  - { on: [prod], connections: 5 }
  - { on: [prod], roles: [owner], time: 10s, statements_per_minute: 30 }
  - { on: [staging], connections: 1 }`,
    )
    const limits = (target: string) => grantFor(policy, ANA, target)?.limits
    assert.deepEqual(limits('prod'), {
      rows: undefined,
      timeMs: 10_000,
      connections: 5,
      statementsPerMinute: 30,
    })
    assert.equal(limits('staging')?.connections, 1)
  })
})
