import assert from 'node:assert/strict'
import { textWidth } from '../../src/terminal.ts'
import {
  initialList,
  type ListChoice,
  type ListKey,
  type ListState,
  listLines,
  pressList,
} from '../../src/ui/index.ts'

const ENTER: ListKey = { input: '', name: 'return' }
const ESCAPE: ListKey = { input: '', name: 'escape' }

function opened(count = 100): ListState {
  const items = Array.from({ length: count }, (_, index) => ({
    line: `line ${index}`,
    details: [`all of ${index}`, 'x'.repeat(5_000)],
  }))
  return initialList({ title: 'TITLE', items, footer: 'so many', size: { columns: 80, rows: 24 } })
}

function press(start: ListState, ...keys: readonly (string | ListKey)[]) {
  let state = start
  let choice: ListChoice | undefined
  for (const key of keys) {
    const pressed = pressList(state, typeof key === 'string' ? { input: key } : key)
    state = pressed.state
    choice = pressed.choice
  }
  return { state, choice }
}

describe('ui/list', () => {
  it('begins at the newest and keeps what is chosen on the screen', () => {
    let state = opened()
    for (const keys of ['', 'k', 'b', 'g', 'j', ' ', 'G', 'kkkkkkkkkkkkkkkkkkkkkkkkkkkk']) {
      state = press(state, ...keys).state
      const lines = listLines(state, '>')
      assert.equal(lines.filter(line => line === `> line ${state.cursor}`).length, 1, keys)
      assert.ok(lines.length < 24)
    }
    assert.equal(press(opened(), 'g', 'k').state.cursor, 0)
    assert.equal(press(opened(), 'j').state.cursor, 99)
  })

  it('opens one whole, and goes back', () => {
    const { state } = press(opened(), ENTER)
    assert.equal(listLines(state, '>')[1], '  all of 99')
    for (const line of listLines(press(state, 'G').state, '>')) assert.ok(textWidth(line) <= 80)
    assert.equal(press(state, 'q').state.open, undefined)
    assert.equal(press(state, 'q').choice, undefined)
  })

  it('asks for a replay of what is chosen, and for the end', () => {
    assert.deepEqual(press(opened(), 'k', 'r').choice, { what: 'replay', index: 98 })
    assert.deepEqual(press(opened(), ENTER, 'r').choice, { what: 'replay', index: 99 })
    assert.deepEqual(press(opened(), ESCAPE).choice, { what: 'quit' })
    assert.deepEqual(press(opened(), 'q').choice, { what: 'quit' })
    assert.deepEqual(press(opened(1), { input: '', name: 'interrupt' }).choice, {
      what: 'interrupt',
    })
  })
})
