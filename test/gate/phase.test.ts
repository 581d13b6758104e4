import assert from 'node:assert/strict'
import { DbgateError } from '../../src/errors.ts'
import { type Phase, type PhaseEvent, step } from '../../src/gate/phase.ts'

const error = new DbgateError('REVOKED', 'gone')
const other = new DbgateError('UPSTREAM', 'lost')

const PHASES = {
  open: { at: 'open' },
  leaving: { at: 'leaving', error },
  finishing: { at: 'finishing' },
  'judging, then open': { at: 'judging', next: { at: 'open' } },
  'judging, then leaving': { at: 'judging', next: { at: 'leaving', error } },
  'judging, then finishing': { at: 'judging', next: { at: 'finishing' } },
  closed: { at: 'closed', reason: 'end' },
} as const satisfies Record<string, Phase>

const EVENTS = {
  judging: { type: 'judging' },
  judged: { type: 'judged' },
  idle: { type: 'idle' },
  'downstream-ended': { type: 'downstream-ended' },
  'downstream-lost': { type: 'downstream-lost' },
  'upstream-ended': { type: 'upstream-ended', isExplained: false, error: other },
  'upstream-ended, explained': { type: 'upstream-ended', isExplained: true, error: other },
  leave: { type: 'leave', error, isIdle: false },
  'leave, idle': { type: 'leave', error, isIdle: true },
  failed: { type: 'failed', error: other },
} as const satisfies Record<string, PhaseEvent>

type PhaseName = keyof typeof PHASES
type EventName = keyof typeof EVENTS

// A step as text: the phase it leads to, and what is done. `-` changes nothing.
const STEPS: Readonly<Record<PhaseName, Readonly<Record<EventName, string>>>> = {
  open: {
    judging: 'judging, then open:',
    judged: '-',
    idle: '-',
    'downstream-ended': 'finishing: end-upstream',
    'downstream-lost': 'closed disconnect: close',
    'upstream-ended': 'closed upstream: close UPSTREAM',
    'upstream-ended, explained': 'closed upstream: close',
    leave: 'leaving:',
    'leave, idle': 'closed revoked: close REVOKED',
    failed: 'closed upstream: close UPSTREAM',
  },
  leaving: {
    judging: 'judging, then leaving:',
    judged: '-',
    idle: 'closed revoked: close REVOKED',
    'downstream-ended': 'finishing: end-upstream',
    'downstream-lost': 'closed disconnect: close',
    'upstream-ended': 'closed upstream: close UPSTREAM',
    'upstream-ended, explained': 'closed upstream: close',
    leave: '-',
    'leave, idle': 'closed revoked: close REVOKED',
    failed: 'closed upstream: close UPSTREAM',
  },
  finishing: {
    judging: 'judging, then finishing:',
    judged: '-',
    idle: '-',
    'downstream-ended': '-',
    'downstream-lost': 'closed disconnect: close',
    'upstream-ended': 'closed end: close',
    'upstream-ended, explained': 'closed end: close',
    leave: '-',
    'leave, idle': 'closed revoked: close REVOKED',
    failed: 'closed upstream: close UPSTREAM',
  },
  'judging, then open': {
    judging: '-',
    judged: 'open: resume-downstream',
    idle: '-',
    'downstream-ended': 'judging, then finishing:',
    'downstream-lost': 'closed disconnect: close',
    'upstream-ended': 'closed upstream: close UPSTREAM',
    'upstream-ended, explained': 'closed upstream: close',
    leave: 'judging, then leaving:',
    'leave, idle': 'closed revoked: close REVOKED',
    failed: 'closed upstream: close UPSTREAM',
  },
  'judging, then leaving': {
    judging: '-',
    judged: 'leaving: resume-downstream',
    idle: '-',
    'downstream-ended': 'judging, then finishing:',
    'downstream-lost': 'closed disconnect: close',
    'upstream-ended': 'closed upstream: close UPSTREAM',
    'upstream-ended, explained': 'closed upstream: close',
    leave: '-',
    'leave, idle': 'closed revoked: close REVOKED',
    failed: 'closed upstream: close UPSTREAM',
  },
  'judging, then finishing': {
    judging: '-',
    judged: 'finishing: end-upstream',
    idle: '-',
    'downstream-ended': 'judging, then finishing:',
    'downstream-lost': 'closed disconnect: close',
    'upstream-ended': 'closed upstream: close UPSTREAM',
    'upstream-ended, explained': 'closed upstream: close',
    leave: '-',
    'leave, idle': 'closed revoked: close REVOKED',
    failed: 'closed upstream: close UPSTREAM',
  },
  closed: {
    judging: '-',
    judged: '-',
    idle: '-',
    'downstream-ended': '-',
    'downstream-lost': '-',
    'upstream-ended': '-',
    'upstream-ended, explained': '-',
    leave: '-',
    'leave, idle': '-',
    failed: '-',
  },
}

function nameOf(phase: Phase): string {
  if (phase.at === 'judging') return `judging, then ${phase.next.at}`
  return phase.at === 'closed' ? `closed ${phase.reason}` : phase.at
}

function show(before: Phase, event: PhaseEvent): string {
  const { phase, effects } = step(before, event)
  if (phase === before && effects.length === 0) return '-'
  const done = effects.map(effect =>
    effect.do === 'close' ? `close ${effect.error?.code ?? ''}`.trim() : effect.do,
  )
  return `${nameOf(phase)}: ${done.join(' ')}`.trim()
}

function isPhaseName(name: string): name is PhaseName {
  return Object.hasOwn(PHASES, name)
}

function isEventName(name: string): name is EventName {
  return Object.hasOwn(EVENTS, name)
}

describe('gate/phase', () => {
  for (const [phase, steps] of Object.entries(STEPS)) {
    it(`knows every step from ${phase}`, () => {
      assert.ok(isPhaseName(phase))
      assert.deepEqual(Object.keys(steps), Object.keys(EVENTS))
      for (const [event, expected] of Object.entries(steps)) {
        assert.ok(isEventName(event))
        assert.equal(show(PHASES[phase], EVENTS[event]), expected, `${phase} × ${event}`)
      }
    })
  }
})
