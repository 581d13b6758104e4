import assert from 'node:assert/strict'
import { render } from 'ink-testing-library'
import { createElement } from 'react'
import type { RecordingEvent } from '../../src/record/index.ts'
import { textWidth } from '../../src/terminal.ts'
import {
  followPlayer,
  initialPlayer,
  isLive,
  type PlayerEffect,
  type PlayerKey,
  type PlayerStart,
  type PlayerState,
  playerLines,
  pressPlayer,
  resizePlayer,
  Timeline,
  tickPlayer,
} from '../../src/ui/index.ts'
import { Player } from '../../src/ui/player.ts'
import {
  at,
  complete,
  DANGEROUS,
  EVENTS,
  hostileEvents,
  marks,
  START,
  statement,
  storyOf,
} from '../replay/builders.ts'

const SIZE = { columns: 80, rows: 24 }
const ASCII = { ok: 'ok', no: 'x', wait: '...', next: '->', live: '*', dot: '-', note: '!' }

function opened(
  events: readonly RecordingEvent[] = EVENTS,
  more: Partial<PlayerStart> = {},
): PlayerState {
  return initialPlayer({
    story: storyOf(events),
    size: SIZE,
    idleLimitMs: 2_000,
    speed: 1,
    isPaused: true,
    isFollowing: false,
    at: undefined,
    only: [],
    hasResults: true,
    ...more,
  })
}

const named = (name: NonNullable<PlayerKey['name']>, isShift = false): PlayerKey => ({
  input: '',
  name,
  isShift,
})

/** Presses keys, text letter by letter, and returns where that led and what it asked for last. */
function press(
  start: PlayerState,
  ...keys: readonly (string | PlayerKey)[]
): { readonly state: PlayerState; readonly effect: PlayerEffect | undefined } {
  let state = start
  let effect: PlayerEffect | undefined
  const letters = (text: string) => [...text].map((input): PlayerKey => ({ input }))
  for (const key of keys.flatMap(each => (typeof each === 'string' ? letters(each) : [each]))) {
    const pressed = pressPlayer(state, key)
    state = pressed.state
    effect = pressed.effect
  }
  return { state, effect }
}

const screen = (state: PlayerState) =>
  playerLines(state, marks)
    .map(({ text }) => text)
    .join('\n')

const atCursor = ({ timeline, cursor }: PlayerState) => timeline.story.entries[cursor]?.sql

describe('ui/player', function () {
  this.timeout(60_000)

  it('shortens long pauses, and finds every time again', () => {
    const timeline = new Timeline(storyOf(EVENTS), 2_000)
    // 1 s, 8 ms, then pauses of 30, 110, 9, 10 and 10 s of which 2 s are left each.
    assert.equal(timeline.length, 1_008 + 2_000 + 2_000 + 400 + 2_000 + 2_000 + 3 + 2_000)
    for (const time of [0, 500, 1_008, 20_000, 31_000, 141_001, 170_000]) {
      assert.ok(Math.abs(timeline.timeAt(timeline.positionOf(time)) - time) < 1, `${time}`)
    }
    assert.equal(timeline.idleAt(2_000), 29_992)
    assert.equal(timeline.idleAt(500), undefined)
  })

  it('plays as fast as it is told, and stops at the end', () => {
    let state = press(opened(), ' ').state
    state = tickPlayer(state, 1_004)
    assert.match(screen(state), /▶ \d\d:50:01 +SELECT id, email FROM users/)
    assert.doesNotMatch(screen(state), /2 rows/)
    state = tickPlayer(press(state, '>>').state, 1)
    assert.equal(state.speed, 4)
    assert.match(screen(state), /2 rows {2}8 ms/)
    state = tickPlayer(state, 60_000)
    assert.equal(state.isPlaying, false)
    assert.match(screen(state), /! the end/)
    assert.equal(press(state, ' ').state.position, 0)
  })

  it('stands still while paused', () => {
    const state = opened()
    assert.equal(tickPlayer(state, 5_000), state)
  })

  it('steps from statement to statement, each as it was when it was over', () => {
    const walk: (string | undefined)[] = []
    let state = opened()
    for (const key of '....,') {
      state = press(state, key).state
      walk.push(atCursor(state)?.slice(0, 6))
    }
    assert.deepEqual(walk, ['SELECT', 'DELETE', 'DROP T', 'SELECT', 'DROP T'])
    assert.match(screen(press(opened(), '..').state), /DELETE 836 +0\.4 s/)
    assert.match(screen(press(opened(), ',').state), /nothing before this/)
  })

  it('steps through statements that were sent at once', () => {
    const events = [START, ...[1, 2, 3].map(n => statement(5, n, `select ${n}`))]
    const state = press(opened(events), '..').state
    assert.equal(atCursor(state), 'select 2')
    assert.equal(atCursor(press(state, '.').state), 'select 3')
    assert.equal(atCursor(press(state, ',').state), 'select 1')
  })

  it('goes from marker to marker and back', () => {
    const times: number[] = []
    let state = opened()
    for (const key of ']]]]]]][[') {
      state = press(state, key).state
      times.push(Math.round(state.timeline.timeAt(state.position)))
    }
    const there = [1_008, 31_000, 141_000, 141_001, 150_000, 160_002, 160_002]
    assert.deepEqual(times, [...there, 150_000, 141_001])
  })

  it('jumps by time, by tenths and to both ends', () => {
    const { timeline } = opened()
    const positionAfter = (...keys: (string | PlayerKey)[]) =>
      press(opened(), ...keys).state.position
    assert.equal(positionAfter(named('right')), 10_000)
    assert.equal(positionAfter(named('right'), named('left')), 0)
    assert.equal(Math.round(positionAfter(named('right', true))), Math.round(timeline.length / 10))
    assert.equal(positionAfter('5'), timeline.length / 2)
    assert.equal(positionAfter('G'), timeline.length)
    assert.equal(positionAfter('Gg'), 0)
  })

  it('finds in SQL, forwards and backwards', () => {
    const found = press(opened(), '/', 'select', named('return')).state
    assert.equal(found.cursor, 0)
    const next = press(found, 'n').state
    assert.equal(next.cursor, 3)
    assert.equal(press(next, 'N').state.cursor, 0)
    assert.match(screen(press(next, 'n').state), /not found after this/)
    assert.equal(press(opened(), { input: '/drop\r' }).state.cursor, 2)
  })

  it('shows only what is marked, or what was asked for', () => {
    const quiet = [...EVENTS.slice(0, -1), statement(161_000, 5, 'select quiet')]
    const all = press(opened(quiet), 'G').state
    assert.match(screen(all), /select quiet/)
    assert.doesNotMatch(screen(press(all, 'm').state), /select quiet/)
    const only = press(opened(EVENTS, { only: ['denied'] }), 'G').state
    assert.match(screen(only), /DROP TABLE/)
    assert.doesNotMatch(screen(only), /SELECT/)
  })

  it('shows all of a statement, its values and its rows on demand', () => {
    const detail = press(opened(), '.', named('return')).state
    const text = screen(detail)
    assert.match(text, /^ {2}SELECT id, email\n {2}FROM users WHERE plan = 'trial'$/m)
    assert.match(text, /^ {2}1 {3}a\*\*\*@acme\.dev$/m)
    assert.match(text, /^ {2}2 {3}NULL$/m)
    assert.match(screen(press(detail, '...').state), /\$2 = NULL/)
    assert.equal(press(detail, named('escape')).state.mode.is, 'playing')
    const without = opened(EVENTS, { hasResults: false })
    assert.doesNotMatch(screen(press(without, '.', named('return')).state), /acme\.dev$/m)
  })

  it('tells which rule decided, and how to ask what the policy says of it now', () => {
    const { story } = opened().timeline
    for (const entry of story.entries.filter(({ id }) => id !== '')) {
      const here = { ...opened(), cursor: entry.index, position: 1e9 }
      const why = press(here, 'x').state
      assert.match(screen(why), new RegExp(`^ {2}dbgate policy explain ${entry.id}$`, 'm'))
      for (const event of entry.events) {
        if (event.e !== 'statement') continue
        const verdict = event.refused ? 'denied' : event.request ? 'approved' : 'allowed'
        assert.ok(screen(why).includes(`\n  ${verdict} by ${event.rule}`), screen(why))
      }
      assert.equal(press(why, 'q').state.mode.is, 'playing')
      assert.doesNotMatch(screen(press(why, 'x').state), /policy explain/)
    }
  })

  it('lets one read to the end of a statement of 10 MB', () => {
    const sql = `select '${'x'.repeat(10_000_000)}'; -- end`
    let state = press(opened([START, statement(1, 1, sql)]), '.', named('return'), 'G').state
    assert.match(screen(state), /'; -- end/)
    state = resizePlayer(state, { columns: 40, rows: 10 })
    assert.equal(state.mode.is, 'detail')
  })

  it('follows a session that runs, until somebody looks elsewhere', () => {
    const story = storyOf(EVENTS.slice(0, 5))
    let state = opened(EVENTS, { story, isFollowing: true, isPaused: false })
    assert.ok(isLive(state))
    assert.match(screen(state), /● live/)
    const grow = (event: RecordingEvent) => {
      const wasLive = isLive(state)
      story.add(event)
      state = followPlayer(state, wasLive)
    }
    grow(statement(60_000, 2, 'select live'))
    assert.equal(atCursor(state), 'select live')
    state = press(state, named('left')).state
    const { position } = state
    grow(complete(60_100, 2, 'SELECT 1'))
    assert.equal(state.position, position)
    state = press(state, 'G').state
    grow(at(61_000, { e: 'end', reason: 'left' }))
    assert.match(screen(tickPlayer(state, 100)), /! the end/)
  })

  it('says so where a session goes on and is not followed', () => {
    const state = press(opened(EVENTS.slice(0, 5)), ' ').state
    assert.match(screen(tickPlayer(state, 60_000)), /still runs \(--follow\)/)
  })

  it('begins where it is told to', () => {
    const state = opened(EVENTS, { at: 31_000 })
    assert.match(screen(state), /… held as h-7f3k by prod-writes/)
    assert.doesNotMatch(screen(state), /approved by/)
  })

  it('asks for the export that was typed, and for the end', () => {
    const typed = press(opened(), '.', 'e', ...Array(40).fill(named('backspace')), 'a.cast')
    assert.match(screen(typed.state), /export from here to: a\.cast_/)
    const { effect } = press(typed.state, named('return'))
    assert.deepEqual(effect, { what: 'export', path: 'a.cast', from: 1_008 })
    assert.deepEqual(press(opened(), 'q').effect, { what: 'quit' })
    assert.deepEqual(press(opened(), named('interrupt')).effect, { what: 'interrupt' })
    assert.equal(press(opened(), 'eq').effect, undefined)
  })

  it('fits the screen at every size and moment, and obeys nothing of what it shows', () => {
    for (const size of [SIZE, { columns: 40, rows: 10 }, { columns: 200, rows: 60 }]) {
      for (const events of [EVENTS, hostileEvents(), hostileEvents('漢'.repeat(500)), [START]]) {
        const start = opened(events, { size })
        for (const keys of ['', 'G', '.', '..', '?', '/x', 'e', 'm', '9']) {
          const state = press(start, keys).state
          for (const shown of [state, press(state, named('return')).state]) {
            const lines = playerLines(shown, marks)
            assert.ok(lines.length < size.rows || size.rows < 12, `${lines.length} lines`)
            for (const { text } of lines) {
              assert.ok(textWidth(text) <= size.columns, text)
              assert.doesNotMatch(text, DANGEROUS)
            }
          }
        }
      }
    }
  })

  it('draws without colour, and in ASCII where there is nothing else', () => {
    const state = press(opened(), 'G').state
    const { lastFrame, unmount } = render(
      createElement(Player, { state, marks, isColour: false, onKey: () => {} }),
    )
    const frame = lastFrame() ?? ''
    unmount()
    assert.doesNotMatch(frame, /\u001b/)
    assert.match(frame, /s-8k2m4qxz · ana@acme\.dev via claude · prod\/app writer/)
    const ascii = playerLines(press(state, '[').state, ASCII)
    for (const { text } of ascii.slice(0, 2)) assert.match(text, /^[\x20-\x7e]*$/)
  })
})
