import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { factToken, TOKENIZER, textTokens, wordsOf } from '../../src/store/tokens.ts'

describe('store/tokens', () => {
  it('finds identifiers whole and from behind their underscores', () => {
    assert.equal(
      textTokens('SELECT "tmp_orders".ID_ FROM __x_y$1, tmp_orders'),
      'select tmp_orders orders id_ from __x_y$1 x_y$1 y$1',
    )
  })

  it('takes letters of any script, in lower case', () => {
    assert.deepEqual(wordsOf('ÜBUNG Straße 東京 1.5e3'), ['übung', 'straße', '東京', '1', '5e3'])
  })

  it('makes one token of any fact and of any word', () => {
    const db = new DatabaseSync(':memory:')
    db.exec(
      `CREATE VIRTUAL TABLE words USING fts5 (tokens, content='', detail=none, columnsize=0, tokenize="${TOKENIZER}")`,
    )
    const insert = db.prepare('INSERT INTO words (rowid, tokens) VALUES (?, ?)')
    const find = db.prepare('SELECT rowid AS n FROM words WHERE words MATCH ?')
    let n = 0
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), value => {
        const tokens = [factToken('rule', value), ...wordsOf(value)]
        n++
        insert.run(n, tokens.join(' '))
        for (const token of tokens) {
          // Were it more than one token, this would be a phrase, which an index without detail refuses.
          const found = find.all(`"${token}"`).map(row => row.n)
          assert.ok(found.includes(n), JSON.stringify(token))
        }
      }),
      { numRuns: 500 },
    )
    db.close()
  })

  it('keeps different facts apart', () => {
    const values = ['a b', 'a%20b', 'a', "a'b", 'a"b', 'a\u0000b', 'role reader may read']
    assert.equal(new Set(values.map(value => factToken('rule', value))).size, values.length)
  })
})
