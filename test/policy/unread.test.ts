import assert from 'node:assert/strict'
import type { Policy } from '../../src/policy/index.ts'
import type { Analysis } from '../../src/sql/index.ts'
import { type Asking, outcome, question, ready, withRules } from './asking.ts'

/** Code put together at run time: nobody can say what it does. */
const CODE = "DO $$ BEGIN EXECUTE 'DEL' || 'ETE FROM orders'; END $$"
const PRODUCTION: Asking = { environment: 'production' }

const DENY = '- { name: no-delete, when: { kind: DELETE }, then: deny }'
const HOLD = '- { name: hold-ddl, when: { class: ddl }, then: { approve: { by: [dba] } } }'
const ELSEWHERE = '- { name: elsewhere, on: [staging], when: { kind: DELETE }, then: deny }'
const TIMED = `- name: at-night
  when: { kind: DELETE, time: { inside: "22:00-06:00", zone: UTC } }
  then: deny`

describe('policy/unread', () => {
  before(ready)

  const TABLE: readonly (readonly [
    rules: string,
    unknown: string,
    inProduction: string,
    elsewhere: string,
  ])[] = [
    [DENY, '', 'deny unknown', 'deny unknown'],
    [HOLD, '', 'deny unknown', 'hold hold-ddl'],
    [`${DENY}\n${HOLD}`, '', 'deny unknown', 'deny unknown'],
    [DENY, 'unknown: deny', 'deny unknown', 'deny unknown'],
    [HOLD, 'unknown: deny', 'deny unknown', 'deny unknown'],
    [DENY, 'unknown: hold', 'deny unknown', 'deny unknown'],
    [HOLD, 'unknown: hold', 'hold hold-ddl', 'hold hold-ddl'],
    [`${DENY}\n${HOLD}`, 'unknown: hold', 'hold hold-ddl', 'hold hold-ddl'],
    [`${DENY}\n${HOLD}`, 'unknown: { prod: hold }', 'hold hold-ddl', 'hold hold-ddl'],
    [HOLD, 'unknown: { production: deny, prod: hold }', 'deny unknown', 'hold hold-ddl'],
    // No rule could be about it: there is nothing it could get around.
    [ELSEWHERE, '', 'allow role:owner', 'allow role:owner'],
    [TIMED, '', 'allow role:owner', 'allow role:owner'],
    [
      '- { name: no-code, when: { hazards: code }, then: deny }',
      'unknown: hold',
      'deny no-code',
      'deny no-code',
    ],
    [
      '- { name: ask, when: { kind: DO }, then: { approve: { by: [dba] } } }',
      '',
      'hold ask',
      'hold ask',
    ],
  ]
  for (const [rules, unknown, inProduction, elsewhere] of TABLE) {
    it(`says ${inProduction}, elsewhere ${elsewhere}: ${unknown || '(default)'} ${rules}`, async () => {
      const policy = await withRules(rules, unknown)
      assert.equal(outcome(policy, CODE, PRODUCTION), inProduction)
      assert.equal(outcome(policy, CODE, { environment: 'test' }), elsewhere)
    })
  }

  it('says what it could not read, and where to say more', async () => {
    const policy = await withRules(DENY)
    const verdict = policy.evaluate(question(policy, CODE, PRODUCTION))
    assert(verdict.outcome === 'deny')
    assert.equal(
      verdict.error.message,
      'dbgate: denied, dbgate could not read all the code this statement runs, and prod refuses what it cannot read. Not run.',
    )
    assert.match(verdict.error.detail ?? '', /^Code in: DO\. Rule no-delete may be about it\. /)
    assert.equal(verdict.error.sqlstate, '42501')
  })

  it('takes nothing away from it, unless its hazard is named', async () => {
    const taken = await withRules(
      '- { name: no, when: { class: admin, unless: { kind: DO } }, then: deny }',
      'unknown: hold',
    )
    assert.equal(outcome(taken, "SELECT dblink_exec('delete from orders')"), 'deny no')
    const byTable = await withRules(
      '- { name: no, when: { class: [write, admin], unless: { tables: scratch } }, then: deny }',
    )
    assert.equal(outcome(byTable, 'DELETE FROM scratch'), 'allow role:owner')
    assert.equal(outcome(byTable, "SELECT dblink_exec('x') FROM scratch"), 'deny no')
    const named = await withRules(
      '- { name: no, when: { kind: DELETE, unless: { hazards: code } }, then: deny }',
    )
    assert.equal(outcome(named, CODE, PRODUCTION), 'allow role:owner')
  })

  const unread = (policy: Policy, analysis: Analysis, asking: Asking = {}) => {
    const { outcome, rule } = policy.evaluate({ ...question(policy, '', asking), analysis })
    return `${outcome} ${rule}`
  }
  const TOO_DEEP: Analysis = {
    ok: false,
    error: { message: 'too deep', position: undefined, reason: 'too-deep' },
  }
  const ODD: Analysis = {
    ok: true,
    statements: [
      {
        text: 'ODD',
        kind: 'SELECT',
        class: 'admin',
        needs: ['read', 'admin'],
        kinds: ['SELECT'],
        objects: [],
        relations: [],
        functions: [],
        actingFunctions: [],
        unknownFunctions: [],
        unknownRelations: [],
        where: 'none',
        hazards: ['unknown'],
        notUnderstood: ['node OddExpr'],
        fingerprint: '',
        transaction: undefined,
        chain: false,
        scope: [],
        executes: [],
        fetches: [],
        settings: [],
      },
    ],
  }

  for (const [what, analysis] of [
    ['a text that could not be parsed', TOO_DEEP],
    ['a statement that was not understood', ODD],
  ] as const) {
    it(`denies ${what}, and says so`, async () => {
      const policy = await withRules(DENY)
      const verdict = policy.evaluate({ ...question(policy, '', PRODUCTION), analysis })
      assert(verdict.outcome === 'deny')
      assert.equal(
        verdict.error.message,
        'dbgate: denied, dbgate could not understand this statement, and prod refuses what it cannot read. Not run.',
      )
      assert.match(
        verdict.error.detail ?? '',
        /^What was not understood: (too deep|node OddExpr)\./,
      )
    })

    it(`holds ${what} where somebody can approve it`, async () => {
      assert.equal(unread(await withRules(HOLD), analysis), 'hold hold-ddl')
      assert.equal(unread(await withRules(HOLD), analysis, PRODUCTION), 'deny unknown')
      assert.equal(
        unread(await withRules(HOLD, 'unknown: hold'), analysis, PRODUCTION),
        'hold hold-ddl',
      )
      assert.equal(
        unread(await withRules(ELSEWHERE, 'unknown: hold'), analysis),
        'allow role:owner',
      )
    })

    it(`denies ${what} to a role that may not do everything, with nobody to approve it`, async () => {
      const policy = await withRules(ELSEWHERE, 'unknown: hold')
      const [grant] = policy
        .grantsOf(
          { ...question(policy, '').principal },
          {
            at: 0,
            grants: [{ id: 'g', target: 'prod', role: 'writer', expiresAt: 4e12, from: 'request' }],
          },
        )
        .filter(({ role }) => role === 'writer')
      assert(grant !== undefined)
      assert.equal(unread(policy, analysis, { grant }), 'deny unknown')
    })
  }
})
