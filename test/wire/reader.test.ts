import assert from 'node:assert/strict'
import { BodyReader } from '../../src/wire/index.ts'
import { hex } from '../helpers/bytes.ts'

const malformed = (what: string) => ({
  name: 'DbgateError',
  code: 'PROTOCOL',
  message: `malformed Test message: ${what}`,
})
const SHORT = malformed('insufficient data left in message')

/** A body between other bytes. */
const bodyOf = (literal: string) => {
  const body = hex(literal)
  const buf = Buffer.concat([hex('0000 ffff'), body, hex('0000 ffff')])
  return new BodyReader(buf, 4, 4 + body.length, 'Test')
}

describe('BodyReader', () => {
  it('reads numbers at their bounds', () => {
    const body = bodyOf('ff 8000 7fff 80000000 7fffffff ffffffff 80000000')
    assert.equal(body.byte(), 255)
    assert.equal(body.int16(), -32768)
    assert.equal(body.int16(), 32767)
    assert.equal(body.int32(), -2147483648)
    assert.equal(body.int32(), 2147483647)
    assert.equal(body.uint32(), 4294967295)
    assert.equal(body.uint32(), 2147483648)
    body.finish()
  })

  it('reads no number that ends outside the message', () => {
    for (const [literal, read] of [
      ['', (body: BodyReader) => body.byte()],
      ['00', (body: BodyReader) => body.int16()],
      ['000000', (body: BodyReader) => body.int32()],
      ['000000', (body: BodyReader) => body.uint32()],
      ['00', (body: BodyReader) => body.count(1)],
    ] as const) {
      const body = bodyOf(literal)
      assert.throws(() => read(body), SHORT)
      assert.equal(body.offset, 4, 'nothing is taken')
    }
  })

  it('reads strings up to their NUL, and none that ends outside the message', () => {
    const body = bodyOf("'a' 00 00 c3a9 00 ff 00 'b'")
    assert.equal(body.cstring(), 'a')
    assert.equal(body.cstring(), '')
    assert.equal(body.cstring(), '\u00e9')
    assert.deepEqual(body.cstringBytes(), hex('ff'))
    assert.equal(body.remaining, 1)
    assert.throws(() => body.cstring(), malformed('unterminated string'))
    assert.throws(() => bodyOf('').cstring(), malformed('unterminated string'))
  })

  it('reads bytes, none, and no negative number of them', () => {
    const body = bodyOf('010203')
    assert.deepEqual(body.bytes(2), hex('0102'))
    assert.deepEqual(body.bytes(0), hex(''))
    for (const length of [2, -1, -2147483648, 2147483647]) {
      assert.throws(() => body.bytes(length), SHORT)
    }
    assert.deepEqual(body.bytes(1), hex('03'))
    body.finish()
  })

  it('reads a count as unsigned, and believes none that cannot be', () => {
    assert.equal(bodyOf('0000').count(4), 0)
    assert.equal(bodyOf('0002 00000000 00000000').count(4), 2)
    assert.throws(
      () => bodyOf('0002 00000000 000000').count(4),
      malformed('count 2 exceeds the message'),
    )
    assert.throws(() => bodyOf('ffff').count(1), malformed('count 65535 exceeds the message'))
    const all = bodyOf(`ffff ${'00'.repeat(65535)}`)
    assert.equal(all.count(1), 65535)
  })

  it('reads a list by its count', () => {
    const body = bodyOf('0002 0001 ffff 0000')
    assert.deepEqual(
      body.list(2, () => body.int16()),
      [1, -1],
    )
    assert.deepEqual(
      body.list(2, () => body.int16()),
      [],
    )
    body.finish()
    const lie = bodyOf('0002 0001 ff')
    assert.throws(() => lie.list(2, () => lie.int16()), malformed('count 2 exceeds the message'))
  })

  it('refuses what is left over', () => {
    const body = bodyOf('0102')
    assert.throws(() => body.finish(), malformed('2 trailing bytes'))
    body.bytes(2)
    body.finish()
  })

  it('reads nothing from a body that ends before it begins', () => {
    const body = new BodyReader(hex('0000000000'), 5, 2, 'Test')
    assert.throws(() => body.byte(), SHORT)
    assert.throws(() => body.cstring(), malformed('unterminated string'))
    assert.throws(() => body.bytes(body.remaining), SHORT)
    assert.throws(() => body.finish(), malformed('-3 trailing bytes'))
  })
})
