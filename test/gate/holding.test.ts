import assert from 'node:assert/strict'
import type { RuleEffect } from '../../src/config/index.ts'
import { DbgateError } from '../../src/errors.ts'
import type { Resume } from '../../src/gate/clearance.ts'
import { FAILING_PARSE, FAILING_QUERY } from '../../src/gate/refusal.ts'
import { compilePolicy, type Policy } from '../../src/policy/index.ts'
import { ben, Desk, p1, voter } from '../approval/builders.ts'
import { bind, describe_, execute, fieldsOf, flush, parse, query, sync } from '../helpers/raw.ts'
import { type Asked, BACKEND, type Lab, standingOf, Workbench, WRITER } from './lab.ts'

const { parsed, bound, complete, ready, error } = BACKEND
const HOLD_MS = 45_000
const EXPIRES_MS = 900_000

/** Deleting needs somebody of group dba to say yes. */
function policyOf(effect: Partial<Extract<RuleEffect, { does: 'approve' }>> = {}): Policy {
  return compilePolicy({
    version: 1,
    roles: { writer: { may: ['read', 'write'] } },
    people: [{ groups: ['writer'], roles: { prod: 'writer' } }],
    rules: [
      {
        name: 'deletes',
        on: ['prod'],
        when: { kind: ['DELETE'] },
        or: [],
        unless: [],
        effect: {
          does: 'approve',
          approve: { by: ['dba'], need: 1, expiresMs: EXPIRES_MS, presence: undefined },
          holdMs: 0,
          notify: [],
          inTransaction: 'fail',
          ...effect,
        },
        say: undefined,
        next: undefined,
        at: 'p.yaml:1',
      },
    ],
  })
}

const AT_ONCE = policyOf()
const ON_LINE = policyOf({ holdMs: HOLD_MS, inTransaction: 'wait' })
const DELETE = query('delete from t where i = 1')

describe('gate/holding', () => {
  let bench: Workbench
  let desk: Desk

  before(async () => {
    bench = await Workbench.open()
  })

  beforeEach(() => {
    desk = new Desk()
  })

  afterEach(() => desk.close())

  after(() => bench.close())

  const labWith = (policy: Policy): Lab => {
    const asked: Asked = { approvals: desk.approvals, policy, now: desk.clock.now }
    return bench.lab({ ...WRITER, isUnrestricted: false }, 1000, asked)
  }
  const open = () => desk.approvals.list({ principal: ben, isAuditor: true }, { which: 'all' })
  const states = () => open().map(({ state }) => state)
  const vote = (how: 'approve' | 'deny' = 'approve') => {
    const [request] = open()
    assert.ok(request !== undefined)
    return desk.approvals.decide({ id: request.id, vote: how, comment: 'well' }, voter(ben), p1)
  }
  /** The SQLSTATE and text the client gets in place of the server's syntax error. */
  const refused = (lab: Lab, status = 'I') => {
    const { C, M } = fieldsOf({ tag: 'E', body: lab.receive(error('42601')).subarray(5) })
    lab.receive(ready(status))
    return `${C} ${M}`
  }
  const settle = async (later: undefined | Promise<Resume>, isOver = false) => {
    for (let next = await later; next !== undefined; ) next = await next(isOver)
  }

  it('runs what no rule is about, and asks nobody', () => {
    const lab = labWith(AT_ONCE)
    assert.deepEqual(lab.send(query('select 1')), query('select 1'))
    assert.deepEqual(states(), [])
  })

  it('refuses what is not approved, files it once, and runs it once when it is', async () => {
    const lab = labWith(AT_ONCE)
    assert.deepEqual(lab.send(DELETE), FAILING_QUERY)
    const [id] = refused(lab).match(/h-\w+/) ?? []
    assert.ok(id !== undefined)
    assert.deepEqual(lab.send(DELETE), FAILING_QUERY)
    const again = refused(lab)
    assert.ok(again.startsWith('55000 ') && again.includes(id), again)
    assert.deepEqual(states(), ['open'])
    await vote()
    assert.deepEqual(lab.send(DELETE), DELETE)
    lab.receive(Buffer.concat([complete('DELETE 1'), ready()]))
    assert.deepEqual(states(), ['used'])
    assert.deepEqual(lab.send(DELETE), FAILING_QUERY)
    assert.match(refused(lab), /held as/)
    const recorded = await lab.recorded()
    assert.deepEqual(
      recorded.map(({ type, outcome }) => [type, outcome]),
      [
        ['denied', undefined],
        ['denied', undefined],
        ['statement', 'ok'],
        ['denied', undefined],
      ],
    )
  })

  it('says no for whoever said no', async () => {
    const lab = labWith(AT_ONCE)
    lab.send(DELETE)
    refused(lab)
    await vote('deny')
    assert.deepEqual(lab.send(DELETE), FAILING_QUERY)
    assert.match(refused(lab), /^42501 dbgate: .* denied by ben@acme\.dev/)
  })

  it('covers exactly what was shown', async () => {
    const lab = labWith(AT_ONCE)
    const text = 'delete from t where i = $1'
    const message = (value: string, types: readonly number[] = []) => [
      parse(text, '', types),
      bind([value]),
      execute(),
      sync,
    ]
    lab.send(...message('1'))
    lab.receive(parsed)
    assert.match(refused(lab), /held as/)
    await vote()
    for (const other of [message('2'), message('1', [25])]) {
      lab.send(...other)
      lab.receive(parsed)
      assert.match(refused(lab), /held as/)
    }
    lab.send(query('set search_path = elsewhere'))
    lab.receive(Buffer.concat([complete('SET'), ready()]))
    lab.send(...message('1'))
    lab.receive(parsed)
    assert.match(refused(lab), /held as/)
    const fresh = labWith(AT_ONCE)
    assert.deepEqual(fresh.send(...message('1')), Buffer.concat(message('1')))
    assert.equal(states().filter(state => state === 'used').length, 1)
  })

  it('shows with FETCH what was bound, and covers only that with its values', async () => {
    const lab = labWith(compilePolicy({ ...AT_ONCE.document, rules: [] }))
    const bindValue = (value: string) => [
      parse('delete from t where i = $1 returning i'),
      bind([value], 'p'),
      sync,
    ]
    const fetch = query('fetch all from p')
    lab.send(query('begin'), ...bindValue('7'))
    lab.receive(Buffer.concat([complete('BEGIN'), ready('T'), parsed, bound, ready('T')]))
    lab.authorizer.regrant(standingOf({ ...WRITER, isUnrestricted: false }, AT_ONCE))
    assert.deepEqual(lab.send(fetch), FAILING_QUERY)
    assert.match(refused(lab, 'E'), /held as/)
    const [request] = open()
    const shown = 'fetch all from p\n/* cursor: delete from t where i = $1 returning i */'
    assert.equal(request?.kind === 'statement' ? request.statement.text : '', shown)
    assert.deepEqual(request?.kind === 'statement' ? request.statement.parameters : [], ['7'])
    await vote()
    const elsewhere = (value: string) => {
      const other = labWith(compilePolicy({ ...AT_ONCE.document, rules: [] }))
      other.send(query('begin'), ...bindValue(value))
      other.receive(Buffer.concat([complete('BEGIN'), ready('T'), parsed, bound, ready('T')]))
      other.authorizer.regrant(standingOf({ ...WRITER, isUnrestricted: false }, AT_ONCE))
      return other
    }
    const another = elsewhere('8')
    assert.deepEqual(another.send(fetch), FAILING_QUERY)
    assert.match(refused(another, 'E'), /held as/)
    const same = elsewhere('7')
    assert.deepEqual(same.send(fetch), fetch)
    const texts = [await lab.recorded(), await same.recorded()].map(each => each.at(-1)?.text)
    assert.deepEqual(texts, [shown, shown])
  })

  it('lets a held statement be parsed and described, not bound', () => {
    const lab = labWith(AT_ONCE)
    const sent = lab.send(parse('delete from t', 's'), describe_('S', 's'), bind([], '', 's'), sync)
    assert.deepEqual(
      sent,
      Buffer.concat([parse('delete from t', 's'), describe_('S', 's'), FAILING_PARSE, sync]),
    )
  })

  it('asks about no statement that is just being replaced by another', async () => {
    const lab = labWith(AT_ONCE)
    const text = 'delete from t where i = $1'
    lab.send(parse(text, 's', [23]), sync)
    lab.receive(Buffer.concat([parsed, ready()]))
    lab.send(parse(text, 's', [25]), sync, bind(['1'], '', 's'), sync)
    lab.receive(Buffer.concat([error('42P05'), ready()]))
    assert.match(refused(lab), /^55000 .*just being replaced/)
    assert.deepEqual(states(), [])
    lab.send(bind(['1'], '', 's'), sync)
    assert.match(refused(lab), /held as/)
  })

  it('does not run what was bound before the rule came', () => {
    const lab = labWith(compilePolicy({ ...AT_ONCE.document, rules: [] }))
    lab.send(query('begin'), parse('delete from t'), bind([], 'p'), sync)
    lab.receive(Buffer.concat([complete('BEGIN'), ready('T'), parsed, bound, ready('T')]))
    lab.authorizer.regrant(standingOf({ ...WRITER, isUnrestricted: false }, AT_ONCE))
    assert.deepEqual(lab.send(execute('p'), sync), Buffer.concat([FAILING_PARSE, sync]))
    assert.match(refused(lab, 'E'), /^55000 dbgate: held by rule deletes/)
  })

  it('does not wait in a transaction where the rule says so', () => {
    const lab = labWith(policyOf({ holdMs: HOLD_MS, inTransaction: 'fail' }))
    lab.send(query('begin'))
    lab.receive(Buffer.concat([complete('BEGIN'), ready('T')]))
    assert.deepEqual(lab.send(DELETE), FAILING_QUERY)
    assert.match(refused(lab, 'E'), /not waiting/)
  })

  describe('on the line', () => {
    it('tells whom to ask, waits, and runs', async () => {
      const lab = labWith(ON_LINE)
      const later = lab.route(DELETE)
      assert.ok(later instanceof Promise)
      assert.equal(lab.told.length, 1)
      assert.match(lab.told[0]?.toString() ?? '', /held for approval as h-/)
      await vote()
      await settle(later)
      assert.deepEqual(lab.forward(), DELETE)
      assert.match(lab.told[1]?.toString() ?? '', /approved by ben@acme\.dev, running/)
      lab.receive(Buffer.concat([complete('DELETE 1'), ready()]))
      assert.deepEqual(states(), ['used'])
    })

    it('waits no longer than the rule says, and the approval still counts', async () => {
      const lab = labWith(ON_LINE)
      const later = lab.route(DELETE)
      desk.clock.pass(HOLD_MS)
      await settle(later)
      assert.deepEqual(lab.forward(), FAILING_QUERY)
      assert.match(refused(lab), /not run yet/)
      await vote()
      assert.deepEqual(lab.send(DELETE), DELETE)
    })

    it('ends with a cancel', async () => {
      const lab = labWith(ON_LINE)
      const later = lab.route(DELETE)
      assert.equal(lab.holding.hangUp('cancelled'), true)
      await settle(later)
      assert.deepEqual(lab.forward(), FAILING_QUERY)
      assert.match(refused(lab), /^57014 /)
      assert.deepEqual(states(), ['abandoned'])
      assert.equal(lab.holding.hangUp('cancelled'), false)
    })

    it('ends when the session must go, and the approval still counts', async () => {
      const lab = labWith(ON_LINE)
      const later = lab.route(DELETE)
      lab.holding.hangUp('leaving')
      await settle(later)
      assert.match(refusedAfter(lab), /not run yet/)
      await vote()
      assert.deepEqual(labWith(ON_LINE).send(DELETE), DELETE)
    })
    const refusedAfter = (lab: Lab) => {
      assert.deepEqual(lab.forward(), FAILING_QUERY)
      return refused(lab)
    }

    it('gives the approval back when the session is over', async () => {
      const lab = labWith(ON_LINE)
      const later = lab.route(DELETE)
      await vote()
      await settle(later, true)
      assert.ok(lab.turn.isEmpty)
      assert.deepEqual(states(), ['approved'])
      assert.equal((await lab.recorded()).length, 0)
    })

    it('gives the approval back when the server skips by then', async () => {
      const lab = labWith(ON_LINE)
      lab.send(parse('delete from t where i = 1'), parse('select nonsense', 's'), flush)
      const later = lab.route(bind())
      lab.receive(Buffer.concat([parsed, error('42703')]))
      await vote()
      await settle(later)
      assert.deepEqual(lab.forward(), Buffer.alloc(0))
      assert.deepEqual(states(), ['approved'])
    })

    it('is judged anew after the wait', async () => {
      const lab = labWith(ON_LINE)
      const later = lab.route(DELETE)
      await vote()
      lab.regrant({ ...WRITER, may: ['read'], isUnrestricted: false })
      await settle(later)
      assert.match(refusedAfter(lab), /^42501 /)
      assert.deepEqual(states(), ['approved'])
    })
  })

  it('gives the approval back when the log can not be written', async () => {
    const lab = labWith(AT_ONCE)
    lab.send(DELETE)
    refused(lab)
    await vote()
    lab.failNextCommit(new DbgateError('UNAUDITED', 'audit log cannot be written'))
    assert.deepEqual(lab.send(DELETE), FAILING_QUERY)
    assert.match(refused(lab), /^58030 /)
    assert.deepEqual(states(), ['approved'])
    assert.deepEqual(lab.send(DELETE), DELETE)
  })
})
