import assert from 'node:assert/strict'
import { isSelected, linesOf, resultsOf, SELECTIONS, Story } from '../../src/replay/index.ts'
import { at, complete, EVENTS, marks, START, statement, storyOf } from './builders.ts'

describe('replay/story', () => {
  it('puts a held statement, the decision and what ran together', () => {
    const { entries } = storyOf(EVENTS)
    const told = entries.map(({ kind, id, mark, events }) => [kind, id, mark, events.length])
    assert.deepEqual(told, [
      ['statement', 's-8k2m4qxz.1', 'masked', 4],
      ['hold', 's-8k2m4qxz.2', 'held', 4],
      ['statement', 's-8k2m4qxz.3', 'denied', 2],
      ['statement', 's-8k2m4qxz.4', 'error', 3],
      ['end', '', undefined, 1],
    ])
  })

  it('marks what is worth jumping to, the first write once', () => {
    const marked = storyOf(EVENTS).markers.map(marker => [marker.at, marker.mark, marker.entry])
    assert.deepEqual(marked, [
      [1_008, 'masked', 0],
      [31_000, 'held', 1],
      [141_000, 'approved', 1],
      [141_001, 'write', 1],
      [150_000, 'denied', 2],
      [160_002, 'error', 3],
    ])
  })

  it('selects by what was asked for', () => {
    const { entries } = storyOf(EVENTS)
    const selected = SELECTIONS.map(only =>
      entries.filter(entry => isSelected(entry, [only])).map(({ index }) => index),
    )
    assert.deepEqual(selected, [
      [1, 4],
      [2, 4],
      [1, 2, 4],
      [2, 3, 4],
      [0, 4],
    ])
  })

  it('tells of a statement only what had happened by then', () => {
    const [, held] = storyOf(EVENTS).entries
    assert.ok(held !== undefined)
    const texts = (until: number) => linesOf(held, until, marks).map(({ text }) => text)
    assert.deepEqual(texts(30_999), [])
    assert.deepEqual(texts(31_000), [
      "DELETE FROM orders WHERE status = 'stale'",
      '… held as h-7f3k by prod-writes, waits up to 2 min 0 s',
    ])
    assert.equal(texts(141_000).at(-1), '✓ approved by ben@acme.dev: "ok, checked"')
    assert.equal(texts(200_000).at(-1), 'DELETE 836')
  })

  it('keeps rows of several results of one text apart', () => {
    const id = 's-8k2m4qxz.1'
    const story = storyOf([
      START,
      statement(1, 1, 'call two()'),
      at(2, { e: 'columns', id, columns: [{ name: 'a', type: 23 }] }),
      at(2, { e: 'rows', id, rows: [['1']] }),
      at(2, { e: 'rows', id, rows: [['2']] }),
      at(3, { e: 'columns', id, columns: [{ name: 'b', type: 23 }] }),
      at(9, { e: 'rows', id, rows: [['3']] }),
    ])
    const [entry] = story.entries
    assert.ok(entry !== undefined)
    assert.deepEqual(resultsOf(entry, 5), [
      { columns: ['a'], rows: [['1'], ['2']] },
      { columns: ['b'], rows: [] },
    ])
  })

  it('never goes back in time, and passes over kinds it does not know', () => {
    if (START.e !== 'start') throw new Error('no start')
    const story = new Story(START)
    story.add(statement(500, 1, 'select 1'))
    story.add({ t: 20, e: 'someday' } as never)
    story.add(complete(10, 1, 'SELECT 1'))
    assert.deepEqual(story.times, [500, 500, 500])
    assert.equal(story.isOver, false)
  })
})
