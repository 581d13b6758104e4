import assert from 'node:assert/strict'
import { advance, type Step, stateAfter } from '../../src/approval/life.ts'
import type { ApprovalRequest, RequestState } from '../../src/store/index.ts'
import { Desk, filing, START } from './builders.ts'

const STATES: readonly RequestState[] = [
  ...(['open', 'approved', 'used', 'denied', 'expired'] as const),
  ...(['withdrawn', 'abandoned', 'ended'] as const),
]
const STEPS: readonly Step[] = [
  ...(['approve', 'deny', 'expire', 'withdraw', 'abandon', 'use', 'giveBack', 'end'] as const),
]

/** Every step that can happen; all others cannot. */
const CAN = new Map<string, RequestState>([
  ['statement open approve', 'approved'],
  ['statement open deny', 'denied'],
  ['statement open expire', 'expired'],
  ['statement open withdraw', 'withdrawn'],
  ['statement open abandon', 'abandoned'],
  ['statement approved use', 'used'],
  ['statement approved expire', 'expired'],
  ['statement approved withdraw', 'withdrawn'],
  ['statement used giveBack', 'approved'],
  ['access open approve', 'approved'],
  ['access open deny', 'denied'],
  ['access open expire', 'expired'],
  ['access open withdraw', 'withdrawn'],
  ['access approved expire', 'expired'],
  ['access approved end', 'ended'],
])

describe('approval/life', () => {
  for (const kind of ['statement', 'access'] as const) {
    for (const state of STATES) {
      it(`takes a ${kind} that is ${state} where it may go, and nowhere else`, () => {
        for (const step of STEPS) {
          assert.equal(stateAfter(kind, state, step), CAN.get(`${kind} ${state} ${step}`), step)
        }
      })
    }
  }

  it('marks who decided and who finished it, and forgets the finish of a use that is given back', () => {
    const desk = new Desk()
    const open: ApprovalRequest = desk.approvals.holds.file(filing()).hold
    desk.close()
    const approved = advance(open, 'approve', { at: START + 1, by: 'ben', why: 'ok', expiresAt: 7 })
    assert(approved !== undefined)
    assert.deepEqual(approved.decided, { at: START + 1, by: 'ben', why: 'ok' })
    assert.equal(approved.expiresAt, 7)
    assert.equal(approved.finished, undefined)
    const used = advance(approved, 'use', { at: START + 2 })
    assert(used !== undefined)
    assert.deepEqual(used.decided, approved.decided)
    assert.equal(used.finished?.at, START + 2)
    assert.equal(advance(used, 'use', { at: START + 3 }), undefined)
    assert.deepEqual(advance(used, 'giveBack', { at: START + 3 }), approved)
  })
})
