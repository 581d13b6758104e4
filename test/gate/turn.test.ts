import assert from 'node:assert/strict'
import { DbgateError } from '../../src/errors.ts'
import { spend } from '../../src/gate/authorize.ts'
import type { Expected } from '../../src/gate/exchange.ts'
import { OutputRun } from '../../src/gate/output-run.ts'
import { FAILING_PARSE, FAILING_QUERY, FAILING_UNNAMED_PARSE } from '../../src/gate/refusal.ts'
import { Turn } from '../../src/gate/turn.ts'
import { fieldsOf, query, sync } from '../helpers/raw.ts'
import { BACKEND, type Lab, Workbench } from './lab.ts'

const text = query('select 1')

describe('gate/turn', () => {
  let bench: Workbench
  let lab: Lab

  before(async () => {
    bench = await Workbench.open()
  })

  beforeEach(() => {
    lab = bench.lab()
  })

  after(() => bench.close())

  const judged = () => {
    const judgement = lab.authorizer.judge(Buffer.from('select 1'), 'UTF8', lab.scope.current)
    assert.ok(!(judgement instanceof Promise))
    return judgement
  }
  const claimed = () => lab.authorizer.claimQuery(judged(), () => '')
  const expected = (runs: Extract<Expected, { kind: 'query' }>['runs']): Expected => ({
    kind: 'query',
    refusal: null,
    runs,
    form: 'statements',
    onDone: [],
  })
  const forward = (turn: Turn) => {
    const written: Buffer[] = []
    turn.forward(lab.exchange, new OutputRun(bytes => written.push(Buffer.from(bytes))))
    return Buffer.concat(written)
  }

  it('sends a statement once its claim is on file', () => {
    const claim = claimed()
    const turn = new Turn()
    turn.add(text, 0, text.length, expected(claim.runs), claim)
    lab.authorizer.commit(turn.claims)
    assert.deepEqual(forward(turn), text)
    assert.equal(lab.exchange.depth, 1)
    assert.ok(turn.isEmpty)
  })

  it('sends nothing at all while one claim is not on file', () => {
    const turn = new Turn()
    const [first, second] = [claimed(), claimed()]
    turn.add(text, 0, text.length, expected(first.runs), first)
    lab.authorizer.commit(turn.claims)
    turn.add(text, 0, text.length, expected(second.runs), second)
    assert.throws(() => forward(turn), { code: 'INTERNAL' })
    assert.equal(lab.exchange.depth, 0)
  })

  it('spends a permit once', () => {
    const claim = claimed()
    assert.throws(() => spend(claim), { code: 'INTERNAL' })
    lab.authorizer.commit([claim])
    spend(claim)
    assert.throws(() => spend(claim), { code: 'INTERNAL' })
    assert.throws(() => spend({ runs: claim.runs, taken: null }), { code: 'INTERNAL' })
  })

  it('takes no statement that brings no claim', () => {
    const turn = new Turn()
    const unclaimed: readonly Expected[] = [
      expected([]),
      { kind: 'bind', refusal: null, portal: null },
      { kind: 'execute', refusal: null, portal: null, onDone: null },
    ]
    for (const one of unclaimed)
      assert.throws(() => turn.add(text, 0, text.length, one), { code: 'INTERNAL' })
    assert.ok(turn.isEmpty)
  })

  it('counts the cycles and Syncs in it', () => {
    const turn = new Turn()
    const claim = claimed()
    assert.deepEqual([turn.cycles, turn.hasSync], [0, false])
    turn.add(text, 0, text.length, expected(claim.runs), claim)
    assert.deepEqual([turn.cycles, turn.hasSync], [1, false])
    turn.add(sync, 0, sync.length, { kind: 'sync', refusal: null })
    assert.deepEqual([turn.cycles, turn.hasSync], [2, true])
    turn.clear()
    assert.deepEqual([turn.cycles, turn.hasSync, turn.claims.length], [0, false, 0])
  })

  it('keeps neighbouring bytes in one piece', () => {
    const turn = new Turn()
    const bytes = Buffer.concat([text, text, sync])
    const pieces: Buffer[] = []
    turn.add(bytes, 0, text.length, null)
    turn.add(bytes, text.length, 2 * text.length, null)
    turn.add(bytes, 2 * text.length, bytes.length, { kind: 'sync', refusal: null })
    turn.forward(lab.exchange, new OutputRun(piece => pieces.push(piece)))
    assert.deepEqual(pieces, [bytes])
  })

  describe('when the log can not be written', () => {
    const unaudited = new DbgateError('UNAUDITED', 'audit log cannot be written')

    it('puts a failing statement in the place of each claim, and sends the rest', async () => {
      const claim = claimed()
      const turn = new Turn()
      turn.add(text, 0, text.length, expected(claim.runs), claim)
      turn.add(sync, 0, sync.length, { kind: 'sync', refusal: null })
      turn.refuse(unaudited)
      assert.deepEqual(forward(turn), Buffer.concat([FAILING_QUERY, sync]))
      const heard = lab.receive(Buffer.concat([BACKEND.error('42601'), BACKEND.ready()]))
      assert.equal(fieldsOf({ tag: 'E', body: heard.subarray(5) }).C, '58030')
      assert.deepEqual(lab.finished, [])
    })

    it('refuses a bind so that what stands behind it is skipped', () => {
      const claim = lab.authorizer.claimBound(judged(), [], () => '')
      const turn = new Turn()
      const portal = {
        name: '',
        judgement: judged(),
        run: claim.runs[0] ?? null,
        prepared: null,
        formats: [],
        parameters: [],
        state: 'sent',
        replaces: null,
      } as const
      const named = { ...portal }
      lab.names.bind(named)
      turn.add(text, 0, text.length, { kind: 'bind', refusal: null, portal: named }, claim)
      turn.refuse(unaudited)
      assert.deepEqual(forward(turn), FAILING_PARSE)
      lab.receive(BACKEND.error('42601'))
      assert.equal(lab.names.portal(''), undefined)
      assert.ok(lab.exchange.isSkipping)
    })
  })

  it('has failing statements that are what they stand in for', () => {
    assert.equal(FAILING_QUERY[0], 'Q'.charCodeAt(0))
    assert.equal(FAILING_PARSE.toString('latin1', 5, 19), 'dbgate_refused')
    assert.equal(FAILING_UNNAMED_PARSE[5], 0)
  })
})
