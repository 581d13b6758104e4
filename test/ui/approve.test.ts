import assert from 'node:assert/strict'
import { render } from 'ink-testing-library'
import { createElement } from 'react'
import { Terminal } from '../../src/terminal.ts'
import { Approve } from '../../src/ui/approve.ts'
import {
  type ApproveCard,
  type ApproveChoice,
  type ApproveKey,
  type ApproveState,
  initialApprove,
  planned,
  pressApprove,
  unseen,
} from '../../src/ui/index.ts'

const START = 1_000_000
const LATER = START + 1_000
const SIZE = { columns: 80, rows: 24 }
const { marks } = new Terminal({ stdout: process.stdout, stderr: process.stderr, env: {} })

const ENTER: ApproveKey = { input: '', name: 'return' }
const ESCAPE: ApproveKey = { input: '', name: 'escape' }
const BACKSPACE: ApproveKey = { input: '', name: 'backspace' }
const INTERRUPT: ApproveKey = { input: '', name: 'interrupt' }

function card(more: Partial<ApproveCard> = {}): ApproveCard {
  return {
    id: 'h-7f3k',
    title: 'h-7f3k · ana@acme.dev via claude (agent) · prod/app · 41 s ago, 14 min left',
    body: ['DELETE FROM orders', "WHERE status = 'stale'"],
    facts: ['touches   public.orders · DELETE', 'rule      prod-writes · needs 1 of @dba'],
    word: undefined,
    hasPlan: true,
    ...more,
  }
}

function opened(more: Partial<ApproveCard> = {}): ApproveState {
  return initialApprove(card(more), SIZE, START)
}

/** Presses keys (text is typed letter by letter) and returns where that led. */
function press(
  start: ApproveState,
  ...keys: readonly (string | ApproveKey)[]
): { readonly state: ApproveState; readonly choice: ApproveChoice | undefined } {
  let state = start
  const letters = (text: string) => [...text].map((input): ApproveKey => ({ input }))
  for (const key of keys.flatMap(each => (typeof each === 'string' ? letters(each) : [each]))) {
    const pressed = pressApprove(state, key, LATER)
    if (pressed.choice !== undefined) return { state: pressed.state, choice: pressed.choice }
    state = pressed.state
  }
  return { state, choice: undefined }
}

function screen(state: ApproveState, isColour = false): string {
  const { lastFrame, unmount } = render(
    createElement(Approve, { state, marks, isColour, onKey: () => {} }),
  )
  const frame = lastFrame() ?? ''
  unmount()
  return frame
}

const LONG = Array.from({ length: 40 }, (_, index) => `-- line ${index + 1}`)

describe('ui/approve', function () {
  this.timeout(60_000)

  const table: readonly [
    what: string,
    card: Partial<ApproveCard>,
    keys: readonly (string | ApproveKey)[],
    choice: ApproveChoice | undefined,
  ][] = [
    ['approves a short one with a', {}, ['a'], { what: 'approve', comment: undefined }],
    ['carries a comment', {}, ['c', 'fine', ENTER, 'a'], { what: 'approve', comment: 'fine' }],
    [
      'forgets a comment that was left',
      {},
      ['c', 'no', ESCAPE, 'a'],
      { what: 'approve', comment: undefined },
    ],
    ['denies with a reason', {}, ['d', 'wrong', ENTER], { what: 'deny', comment: 'wrong' }],
    ['does not deny without one', {}, ['d', ' ', ENTER], undefined],
    ['corrects what is typed', {}, ['d', 'xy', BACKSPACE, ENTER], { what: 'deny', comment: 'x' }],
    ['leaves it with esc', {}, [ESCAPE], { what: 'later' }],
    ['leaves it with ^C, even while typing', {}, ['d', 'a', INTERRUPT], { what: 'later' }],
    ['ignores keys that mean nothing', {}, ['x', 'A', ENTER, 'q'], undefined],
    ['does not take a paste for a key', {}, [{ input: 'aaa' }], undefined],
    ['does not approve before the end was shown', { body: LONG }, ['aaaa'], undefined],
    [
      'approves once all was shown',
      { body: LONG },
      ['    a'],
      { what: 'approve', comment: undefined },
    ],
    ['wants a word for what cannot be undone', { word: 'DROP' }, ['aa', ENTER], undefined],
    ['takes the word', { word: 'DROP' }, ['aDROP', ENTER], { what: 'approve', comment: undefined }],
    [
      'takes a word that was read in one piece with the enter behind it',
      { word: 'DROP' },
      ['a', { input: 'DROP\r' }],
      { what: 'approve', comment: undefined },
    ],
    [
      'does not take a paste for the keys in it',
      { word: 'DROP' },
      [{ input: 'aDROP\r' }],
      undefined,
    ],
    ['takes the id', { word: 'DROP' }, ['ah-7f3k', ENTER], { what: 'approve', comment: undefined }],
    ['takes no other word', { word: 'DROP' }, ['adrop', ENTER], undefined],
    [
      'wants no word before the end was shown',
      { word: 'DROP', body: LONG },
      ['aDROP', ENTER],
      undefined,
    ],
  ]
  for (const [what, more, keys, choice] of table) {
    it(what, () => assert.deepEqual(press(opened(more), ...keys).choice, choice))
  }

  it('is deaf for a moment, so that what was typed before it came decides nothing', () => {
    const at = (ms: number) => pressApprove(opened(), { input: 'a' }, START + ms).choice?.what
    assert.deepEqual([at(0), at(399), at(400)], [undefined, undefined, 'approve'])
  })

  it('counts as shown only what was on the screen, also after going back', () => {
    const first = opened({ body: LONG })
    assert.equal(unseen(first), 40 - first.page)
    const back = press(first, ' ', 'b').state
    assert.equal(back.top, 0)
    assert.equal(unseen(back), 40 - 2 * first.page)
    assert.match(press(first, 'a').state.note ?? '', /lines not shown yet: space$/)
  })

  it('breaks a long line, and leaves none of it out', () => {
    const sql = `SELECT '${'ab漢'.repeat(300)}'`
    const { lines } = opened({ body: [sql] })
    assert.equal(lines.join(''), sql)
    assert.ok(lines.length > 10)
    assert.ok(lines.every(line => line.length <= 74))
  })

  it('shows every line of a long statement on a screen of 80 by 24', () => {
    let state = opened({ body: LONG, word: 'DELETE' })
    const seen = new Set<string>()
    for (let step = 0; step < 6; step += 1) {
      const frame = screen(state)
      assert.ok(frame.split('\n').length <= 24, frame)
      for (const line of frame.split('\n')) seen.add(line.trim())
      state = press(state, ' ').state
    }
    assert.deepEqual(
      LONG.filter(line => !seen.has(line)),
      [],
    )
    assert.equal(press(state, 'a').choice, undefined)
    assert.equal(press(state, 'aDELETE', ENTER).choice?.what, 'approve')
  })

  it('asks for the plan once, shows it inert and whole, and decides nothing from there', () => {
    const asking = pressApprove(opened(), { input: 'x' }, LATER)
    assert.equal(asking.isPlanWanted, true)
    assert.match(screen(asking.state), /asking the database/)
    const lines = Array.from({ length: 30 }, (_, index) => `->  Scan ${index + 1}\u001b[2J`)
    let state = planned(asking.state, lines)
    assert.match(screen(state), /Scan 1␛\[2J/)
    assert.doesNotMatch(screen(state), /\u001b|DELETE FROM orders/)
    state = press(state, '   ').state
    assert.match(screen(state), /Scan 30/)
    for (const key of ['a', 'd', 'c']) assert.equal(press(state, key).state.mode.is, 'plan')
    const back = press(state, ESCAPE)
    assert.equal(back.choice, undefined)
    assert.match(screen(back.state), /DELETE FROM orders/)
    const again = pressApprove(back.state, { input: 'x' }, LATER)
    assert.equal(again.isPlanWanted, undefined)
    assert.match(screen(again.state), /Scan 1␛/)
  })

  it('leaves unread what was not shown while the plan was', () => {
    const state = planned(press(opened({ body: LONG }), 'x').state, LONG)
    const back = press(state, '     ', ESCAPE).state
    assert.equal(press(back, 'a').choice, undefined)
    assert.ok(unseen(back) > 0)
  })

  it('has no plan of a role', () => {
    const pressed = pressApprove(opened({ hasPlan: false }), { input: 'x' }, LATER)
    assert.equal(pressed.isPlanWanted, undefined)
    assert.match(screen(pressed.state), /a role has no plan/)
  })

  it('says the same without colours', () => {
    const state = opened({ word: 'DROP' })
    assert.match(screen(state), /! cannot be undone/)
    assert.match(
      screen(state),
      /a approve once {3}d deny {3}x EXPLAIN {3}c comment {3}\? help {3}esc later/,
    )
    assert.doesNotMatch(screen(state), /\u001b/)
  })

  describe('hostile text', () => {
    const HOSTILE = [
      'SELECT 1 \u001b[2J\u001b[8mDROP TABLE x\u001b[0m',
      '\u001b]52;c;aGk=\u0007\u001b]8;;https://evil.example\u001b\\click\u001b]8;;\u001b\\',
      '\u009b2J\u009d52;c;aGk=\u009c\u0090q\u009c',
      'a\u202eb\u2066c\u200bd\u2028e\u00adf\ufefft\u{e0041}',
      '\r\tDELETE\b\b\b\b\b\bSELECT\u0000\u007f',
    ]
    const DANGEROUS =
      /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|[\u{e0000}-\u{e007f}]/u

    for (const [index, text] of HOSTILE.entries()) {
      it(`is inert in every part of the screen (${index + 1})`, () => {
        const state = opened({ body: [text], title: text, facts: [text], id: text, word: text })
        const shown = [state, press(state, 'c', { input: text }).state, press(state, 'a').state]
        for (const each of shown) {
          const frame = screen(each)
          assert.doesNotMatch(frame, DANGEROUS)
          assert.ok(frame.length > 0)
        }
      })
    }

    it('is still all there to be seen', () => {
      const frame = screen(opened({ body: ['SELECT 1 \u001b[8mDROP\u202e'] }))
      assert.ok(frame.includes('SELECT 1 ␛[8mDROP<U+202E>'), frame)
    })
  })
})
