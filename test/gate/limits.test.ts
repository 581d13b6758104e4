import assert from 'node:assert/strict'
import { FAILING_QUERY } from '../../src/gate/refusal.ts'
import { keepsLimit, Stopwatch, settingMs, timeoutUnder } from '../../src/gate/time-limit.ts'
import type { Grant } from '../../src/policy/index.ts'
import { bind, fieldsOf, parse, query, sync } from '../helpers/raw.ts'
import { BACKEND, type Lab, Workbench, WRITER } from './lab.ts'

const { error, ready, complete } = BACKEND

function under(limits: Partial<Grant['limits']>): Grant {
  return { ...WRITER, isUnrestricted: false, limits: { ...WRITER.limits, ...limits } }
}

/** What the client gets in place of the server's syntax error, then ends the cycle. */
function refused(lab: Lab): string {
  const { C, M } = fieldsOf({ tag: 'E', body: lab.receive(error('42601')).subarray(5) })
  return `${C} ${M}`
}

describe('gate/limits', () => {
  let bench: Workbench

  before(async () => {
    bench = await Workbench.open()
  })

  after(() => bench.close())

  describe('statements a minute', () => {
    it('refuses what comes too fast, says so and has it on record', async () => {
      const lab = bench.lab(under({ statementsPerMinute: 2 }))
      for (const text of ['select 1', 'select 2']) {
        assert.deepEqual(lab.send(query(text)), query(text))
        lab.receive(Buffer.concat([complete('SELECT 1'), ready()]))
      }
      assert.deepEqual(lab.send(query('select 3')), FAILING_QUERY)
      assert.equal(
        refused(lab),
        '54000 dbgate: limit, more than 2 statements a minute on prod. Not run. Next: wait 30 s.',
      )
      lab.receive(ready())
      const recorded = await lab.recorded()
      assert.deepEqual(
        recorded.map(({ type, text }) => `${type} ${text}`),
        ['statement select 1', 'statement select 2', 'denied select 3'],
      )
    })

    it('counts each statement of a text, and each Bind', () => {
      const lab = bench.lab(under({ statementsPerMinute: 2 }))
      assert.deepEqual(lab.send(query('select 1; select 2; select 3')), FAILING_QUERY)
      assert.match(refused(lab), /Next: send fewer at once\.$/)
      lab.receive(ready())
      const messages = [parse('select 1'), bind([]), bind([], 'p'), sync]
      assert.deepEqual(lab.send(...messages), Buffer.concat(messages))
      const third = lab.send(bind([], 'q'), sync)
      assert.ok(!third.includes(bind([], 'q')))
    })

    it('always lets a transaction end', () => {
      const lab = bench.lab(under({ statementsPerMinute: 1 }))
      for (const text of ['begin', 'select 1', 'rollback']) {
        assert.deepEqual(lab.send(query(text)), query(text))
        lab.receive(Buffer.concat([complete('X'), ready('T')]))
      }
    })
  })

  describe('the time of a statement', () => {
    const CASES: readonly (readonly [string, boolean])[] = [
      ['set statement_timeout = 0', false],
      ['set statement_timeout = 60001', false],
      ["set statement_timeout = '61s'", false],
      ["set local statement_timeout = '2min'", false],
      ["set statement_timeout = '100us'", false],
      ["set statement_timeout = '0x10'", false],
      ["select set_config('statement_timeout', '0', false)", false],
      ["select set_config('statement_timeout', 1 || '', false)", false],
      ["select 1; set Statement_Timeout = '1h'", false],
      ['set statement_timeout = 60000', true],
      ["set statement_timeout = '1min'", true],
      ["set statement_timeout = '1s'", true],
      ['set statement_timeout to default', true],
      ['reset statement_timeout', true],
      ['reset all', true],
      ['set lock_timeout = 0', true],
    ]
    for (const [text, runs] of CASES) {
      it(`${runs ? 'keeps' : 'is lifted by'} ${text}`, () => {
        const lab = bench.lab(under({ timeMs: 60_000 }))
        assert.deepEqual(lab.send(query(text)), runs ? query(text) : FAILING_QUERY)
        if (!runs) assert.match(refused(lab), /^42501 .*at most 60 s \(limit on prod\)/)
      })
    }

    it('reads a setting as PostgreSQL does, or not at all', () => {
      assert.equal(settingMs('1500'), 1500)
      assert.equal(settingMs(' 1.5 s '), 1500)
      assert.equal(settingMs('2min'), 120_000)
      for (const strange of ['', '1 S', '1 week', '-1', '0x1', '1e3']) {
        assert.equal(settingMs(strange), undefined, strange)
      }
      assert.ok(!keepsLimit('0', 1000))
      assert.equal(timeoutUnder(1000, undefined), '1000')
      assert.equal(timeoutUnder(1000, '0'), '1000')
      assert.equal(timeoutUnder(1000, '1h'), '1000')
      assert.equal(timeoutUnder(1000, '500ms'), '500ms')
    })

    it('stops by itself what the database lets run on', async () => {
      let stopped = 0
      const watch = new Stopwatch({
        clock: () => performance.now() * 100,
        limitMs: () => 1000,
        underWay: () => 1,
        onOver: () => {
          stopped += 1
        },
      })
      watch.sent()
      // Its clock runs a hundred times as fast as the timers do, so it looks again and finds time to be up.
      const deadline = Date.now() + 5_000
      while (stopped === 0 && Date.now() < deadline)
        await new Promise(resolve => setTimeout(resolve, 10))
      assert.equal(stopped, 1)
      assert.ok(watch.isOver(1000))
      watch.rest()
      assert.ok(!watch.isOver(0))
      watch.stop()
    })
  })
})
