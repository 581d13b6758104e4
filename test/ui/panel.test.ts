import assert from 'node:assert/strict'
import { render } from 'ink-testing-library'
import { createElement } from 'react'
import { Terminal } from '../../src/terminal.ts'
import {
  initialPanel,
  type PanelEvent,
  type PanelState,
  pressKey,
  reducePanel,
} from '../../src/ui/index.ts'
import { Panel } from '../../src/ui/panel.ts'

const START = Date.parse('2026-03-02T14:00:00')
const { marks } = new Terminal({ stdout: process.stdout, stderr: process.stderr, env: {} })

function opened(): PanelState {
  return initialPanel(
    { target: 'prod', isProduction: false, until: Date.parse('2026-03-02T21:04:00') },
    START,
  )
}

function told(events: readonly PanelEvent[], state = opened()): PanelState {
  return events.reduce((before, event) => reducePanel(before, event, START), state)
}

const client = (id: number, application: string): PanelEvent => ({
  type: 'client-opened',
  client: { id, application },
})

function screen(state: PanelState, isColour = false): string {
  const { lastFrame, unmount } = render(
    createElement(Panel, { state, marks, isColour, onKey: () => {} }),
  )
  const frame = lastFrame() ?? ''
  unmount()
  return frame
}

describe('ui/panel', () => {
  describe('state', () => {
    it('counts clients as they come and go', () => {
      const state = told([
        client(1, 'psql'),
        client(2, 'DBeaver'),
        { type: 'client-closed', client: { id: 1, application: 'psql' } },
      ])
      assert.deepEqual(state.clients, [{ id: 2, application: 'DBeaver' }])
    })

    it('keeps a lost client as a line', () => {
      const state = told([
        client(1, 'psql'),
        { type: 'client-lost', client: { id: 1, application: 'psql' } },
      ])
      assert.deepEqual(state.clients, [])
      assert.equal(state.lines[0]?.text, 'psql lost its connection')
    })

    it('shows the last five lines, and the same one only once in a row', () => {
      const refused = (message: string): PanelEvent => ({ type: 'refused', error: { message } })
      const state = told(['a', 'b', 'b', 'b', 'c', 'd', 'e', 'f'].map(refused))
      assert.deepEqual(
        state.lines.map(line => line.text),
        ['b', 'c', 'd', 'e', 'f'],
      )
    })

    it('follows the way to the server', () => {
      const away = told([{ type: 'reconnecting', attempt: 3, nextMs: 4_000 }])
      assert.deepEqual(away.link, { is: 'reconnecting', attempt: 3, nextAt: START + 4_000 })
      assert.deepEqual(told([{ type: 'connected' }], away).link, { is: 'up' })
    })

    it('follows the sign-in', () => {
      const ended = told([{ type: 'sign-in-ended' }])
      assert.deepEqual(ended.signIn, { is: 'ended' })
      assert.deepEqual(told([{ type: 'sign-in-renewed', expiresAt: 7 }], ended).signIn, {
        is: 'good',
        until: 7,
      })
    })

    it('says how long the laptop slept', () => {
      const state = reducePanel(opened(), { type: 'tick' }, START + 41 * 60_000)
      assert.equal(state.lines[0]?.text, 'back after 41 min asleep')
    })

    it('drops a note after a moment', () => {
      const noted = told([{ type: 'note', text: 'URL copied' }])
      assert.equal(reducePanel(noted, { type: 'tick' }, START + 2_000).note?.text, 'URL copied')
      assert.equal(reducePanel(noted, { type: 'tick' }, START + 3_000).note, undefined)
    })
  })

  describe('keys', () => {
    it('copies and helps', () => {
      assert.equal(pressKey(opened(), 'c', START).effect, 'copy-url')
      const helped = pressKey(opened(), '?', START).state
      assert.equal(helped.isHelpShown, true)
      assert.equal(pressKey(helped, '?', START).state.isHelpShown, false)
    })

    it('quits at once when nobody is connected', () => {
      assert.equal(pressKey(opened(), 'q', START).effect, 'quit')
      assert.equal(pressKey(opened(), '^C', START).effect, 'quit')
    })

    it('asks for the key again while clients are connected, for two seconds', () => {
      const first = pressKey(told([client(1, 'psql'), client(2, 'psql')]), '^C', START)
      assert.equal(first.effect, 'none')
      assert.equal(first.state.note?.text, '2 clients are connected. ^C again to close')
      assert.equal(pressKey(first.state, '^C', START + 1_999).effect, 'quit')
      assert.equal(pressKey(first.state, '^C', START + 2_000).effect, 'none')
    })

    it('ignores every other key', () => {
      for (const key of ['x', '', '\u001b[A', 'Q']) {
        assert.deepEqual(pressKey(opened(), key, START), { state: opened(), effect: 'none' })
      }
    })
  })

  describe('screen', () => {
    it('shows what is known and nothing else', () => {
      const state = reducePanel(
        told([client(1, 'psql'), client(2, 'psql'), client(3, 'DBeaver')]),
        { type: 'tick' },
        START + 12_000,
      )
      assert.equal(
        screen(state),
        [
          '',
          '  prod  up 00:12  3 clients (psql 2, DBeaver)',
          '  sign-in until 21:04, renews itself',
          '  c copy URL   ? help   q quit',
        ].join('\n'),
      )
    })

    it('says what to type when the sign-in has ended, and when the next attempt is', () => {
      const frame = screen(
        told([{ type: 'reconnecting', attempt: 3, nextMs: 4_000 }, { type: 'sign-in-ended' }]),
      )
      assert.match(frame, /… reconnecting \(attempt 3, next in 4 s\)/)
      assert.match(frame, /sign-in ended; new connections are refused → dbgate login/)
    })

    it('takes no more than its width', () => {
      const state = told([{ type: 'refused', error: { message: 'long '.repeat(100) } }])
      assert.ok(
        screen(state)
          .split('\n')
          .every(line => line.length <= 100),
      )
    })

    it('lets nothing of a hostile client reach the terminal', () => {
      const hostile = 'x\u001b]52;c;ZXZpbA==\u0007\u001b[2J\u009b31m\u202eevil\u200b\r\n'
      const state = told(
        [
          client(1, hostile),
          {
            type: 'refused',
            error: { message: `password authentication failed for user "${hostile}"` },
          },
          client(2, hostile),
          { type: 'client-lost', client: { id: 2, application: hostile } },
        ],
        initialPanel({ target: hostile, isProduction: true, until: START }, START),
      )
      // Without colours nothing on the screen may be anything but text and line ends.
      assert.doesNotMatch(screen(state), /[^\P{C}\n]/u)
      assert.match(screen(state), /␛\]52;c;/)
    })

    it('has no colour where it is off', () => {
      const production = { ...opened(), isProduction: true }
      assert.ok(!screen(production).includes('\u001b['))
    })
  })
})
