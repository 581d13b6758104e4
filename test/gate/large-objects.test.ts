import assert from 'node:assert/strict'
import { largeObjectCall } from '../../src/gate/large-objects.ts'

describe('gate/large-objects', () => {
  it('spells the calls of libpq as SELECT', () => {
    assert.equal(largeObjectCall(952, 2), 'SELECT pg_catalog.lo_open($1, $2)')
    assert.equal(largeObjectCall(957, 1), 'SELECT pg_catalog.lo_creat($1)')
  })

  it('knows no other function, and none with other arguments', () => {
    assert.equal(largeObjectCall(952, 1), undefined)
    assert.equal(largeObjectCall(0, 0), undefined)
    assert.equal(largeObjectCall(2096, 1), undefined)
    assert.equal(largeObjectCall(1.5, 2), undefined)
    // lo_import and lo_export read and write files of the server.
    for (const oid of [764, 765, 767])
      assert.equal(largeObjectCall(oid, oid === 764 ? 1 : 2), undefined)
  })
})
