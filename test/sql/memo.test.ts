import assert from 'node:assert/strict'
import { Memo } from '../../src/sql/memo.ts'

describe('memo', () => {
  it('drops the least recently used beyond its number of entries', () => {
    const memo = new Memo<number>(2, 1000)
    memo.set('a', 1, 10)
    memo.set('b', 2, 10)
    assert.equal(memo.get('a'), 1)
    memo.set('c', 3, 10)
    assert.equal(memo.get('b'), undefined)
    assert.equal(memo.get('a'), 1)
    assert.equal(memo.get('c'), 3)
    assert.deepEqual(memo.size, { entries: 2, bytes: 22 })
  })

  it('drops beyond its number of bytes, and does not keep what is larger than that alone', () => {
    const memo = new Memo<number>(100, 100)
    memo.set('a', 1, 59)
    memo.set('b', 2, 39)
    assert.deepEqual(memo.size, { entries: 2, bytes: 100 })
    memo.set('c', 3, 19)
    assert.deepEqual(memo.size, { entries: 2, bytes: 60 })
    memo.set('d', 4, 100)
    assert.equal(memo.get('d'), undefined)
    assert.deepEqual(memo.size, { entries: 2, bytes: 60 })
  })

  it('counts an entry once that is set again', () => {
    const memo = new Memo<number>(2, 100)
    memo.set('a', 1, 9)
    memo.set('a', 2, 19)
    assert.equal(memo.get('a'), 2)
    assert.deepEqual(memo.size, { entries: 1, bytes: 20 })
    memo.clear()
    assert.deepEqual(memo.size, { entries: 0, bytes: 0 })
  })
})
