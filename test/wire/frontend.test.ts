import assert from 'node:assert/strict'
import {
  decodeFrontend,
  encodeExecute,
  encodeParse,
  encodePassword,
  encodeQuery,
  encodeSASLInitialResponse,
  encodeSASLResponse,
  encodeSync,
  encodeTerminate,
  frontendName,
} from '../../src/wire/index.ts'
import { decodeAtEveryCut, frameOf, hex, message, readerOf } from '../helpers/bytes.ts'

const decode = (bytes: Buffer) => decodeAtEveryCut(bytes, frontendName, decodeFrontend)
const refuses = (bytes: Buffer, what: string, code = 'PROTOCOL') =>
  // A NUL or a zero right behind the message must not save it.
  assert.throws(() => decodeFrontend(frameOf(bytes)), { name: 'DbgateError', code, message: what })

describe('wire/frontend', () => {
  it('decodes Query', () => {
    assert.deepEqual(decode(hex("51 0000000d 'select 1' 00")), {
      type: 'Query',
      text: hex("'select 1'"),
    })
    assert.deepEqual(decode(hex('51 00000005 00')), { type: 'Query', text: hex('') })
    assert.deepEqual(decode(hex('51 00000008 ff fe c3 00')), { type: 'Query', text: hex('fffec3') })
  })

  it('refuses a Query that is not one string', () => {
    refuses(hex('51 00000004'), 'malformed Query message: unterminated string')
    refuses(hex("51 00000006 'ab'"), 'malformed Query message: unterminated string')
    // The text a parser stops at, and what PostgreSQL would never see.
    refuses(
      hex("51 00000010 'a' 00 'drop t x' 00 00"),
      'malformed Query message: 10 trailing bytes',
    )
  })

  it('decodes Parse', () => {
    assert.deepEqual(decode(hex("50 0000001b 's1' 00 'select $1' 00 0002 00000017 ffffffff")), {
      type: 'Parse',
      name: 's1',
      text: hex("'select $1'"),
      parameterTypes: [23, 4294967295],
    })
    assert.deepEqual(decode(hex('50 00000008 00 00 0000')), {
      type: 'Parse',
      name: '',
      text: hex(''),
      parameterTypes: [],
    })
  })

  it('refuses a Parse whose parts do not fill it', () => {
    refuses(hex("50 00000006 's1'"), 'malformed Parse message: unterminated string')
    refuses(hex("50 00000007 's1' 00"), 'malformed Parse message: unterminated string')
    refuses(hex('50 00000006 00 00'), 'malformed Parse message: insufficient data left in message')
    refuses(
      hex('50 00000007 00 00 00'),
      'malformed Parse message: insufficient data left in message',
    )
    refuses(
      hex('50 0000000b 00 00 0001 000000'),
      'malformed Parse message: count 1 exceeds the message',
    )
    refuses(
      hex('50 0000000c 00 00 ffff 00000017'),
      'malformed Parse message: count 65535 exceeds the message',
    )
    refuses(hex('50 00000009 00 00 0000 00'), 'malformed Parse message: 1 trailing bytes')
  })

  it('decodes Bind with one format for each parameter, one for all, and none', () => {
    const parameters = "0003 00000002 'hi' ffffffff 00000000"
    assert.deepEqual(
      decode(message('B', `'p' 00 's' 00 0003 0001 0000 0001 ${parameters} 0001 0001`)),
      {
        type: 'Bind',
        portal: 'p',
        statement: 's',
        parameters: [
          { bytes: hex("'hi'"), binary: true },
          { bytes: null, binary: false },
          { bytes: hex(''), binary: true },
        ],
        resultFormats: [1],
      },
    )
    for (const [formats, binary] of [
      ['0000', false],
      ['0001 0000', false],
      ['0001 0001', true],
    ] as const) {
      assert.deepEqual(decode(message('B', `00 00 ${formats} ${parameters} 0000`)), {
        type: 'Bind',
        portal: '',
        statement: '',
        parameters: [
          { bytes: hex("'hi'"), binary },
          { bytes: null, binary },
          { bytes: hex(''), binary },
        ],
        resultFormats: [],
      })
    }
  })

  it('decodes Bind without parameters', () => {
    for (const formats of ['0000', '0001 0001']) {
      assert.deepEqual(decode(message('B', `00 00 ${formats} 0000 0002 0000 0001`)), {
        type: 'Bind',
        portal: '',
        statement: '',
        parameters: [],
        resultFormats: [0, 1],
      })
    }
  })

  it('decodes Bind with 65535 parameters, the most a count can say', () => {
    const nulls = Buffer.alloc(65535 * 4, 0xff)
    const formats = Buffer.alloc(65535 * 2)
    const bytes = message(
      'B',
      Buffer.concat([hex('00 00 ffff'), formats, hex('ffff'), nulls, hex('0000')]),
    )
    const bind = decodeFrontend(frameOf(bytes))
    assert.equal(bind.type, 'Bind')
    assert.equal(bind.type === 'Bind' && bind.parameters.length, 65535)
    assert.ok(bind.type === 'Bind' && bind.parameters.every(({ bytes }) => bytes === null))
    const rest = bytes.subarray(5, bytes.length - 6) // the last NULL is gone
    refuses(message('B', rest), 'malformed Bind message: count 65535 exceeds the message')
  })

  it('refuses a Bind whose counts and lengths do not fill it', () => {
    const malformed = 'malformed Bind message: '
    for (const [body, what] of [
      ['00 00', 'insufficient data left in message'],
      ['00 00 8000 0000', 'count 32768 exceeds the message'],
      ['00 00 0001', 'count 1 exceeds the message'],
      ['00 00 0000 ffff 00000000', 'count 65535 exceeds the message'],
      ["00 00 0000 0001 00000003 'ab'", 'insufficient data left in message'],
      ['00 00 0000 0001 7fffffff 0000', 'insufficient data left in message'],
      ['00 00 0000 0001 fffffffe 0000', 'insufficient data left in message'],
      ['00 00 0000 0001 80000000 0000', 'insufficient data left in message'],
      ['00 00 0000 0001 ffffffff', 'insufficient data left in message'],
      ['00 00 0000 0000 0001', 'count 1 exceeds the message'],
      ['00 00 0000 0000 0000 00', '1 trailing bytes'],
    ] as const) {
      refuses(message('B', body), malformed + what)
    }
  })

  it('refuses a Bind whose formats are neither none, one nor all', () => {
    const what = (formats: number, parameters: number) =>
      `bind message has ${formats} parameter formats but ${parameters} parameters`
    refuses(message('B', '00 00 0002 0000 0000 0001 ffffffff 0000'), what(2, 1))
    refuses(message('B', '00 00 0002 0000 0000 0003 ffffffff ffffffff ffffffff 0000'), what(2, 3))
    refuses(message('B', '00 00 0002 0000 0000 0000 0000'), what(2, 0))
  })

  it('decodes Describe and Close', () => {
    for (const [tag, type] of [
      ['D', 'Describe'],
      ['C', 'Close'],
    ] as const) {
      assert.deepEqual(decode(message(tag, "'S' 's1' 00")), { type, kind: 'statement', name: 's1' })
      assert.deepEqual(decode(message(tag, "'P' 00")), { type, kind: 'portal', name: '' })
      refuses(message(tag, "'s' 00"), `invalid ${type.toUpperCase()} message subtype 115`)
      refuses(message(tag, '00'), `invalid ${type.toUpperCase()} message subtype 0`)
      refuses(message(tag, ''), `malformed ${type} message: insufficient data left in message`)
      refuses(message(tag, "'S' 's1'"), `malformed ${type} message: unterminated string`)
      refuses(message(tag, "'S' 00 00"), `malformed ${type} message: 1 trailing bytes`)
    }
  })

  it('decodes Execute', () => {
    for (const [maxRows, number] of [
      ['00000000', 0],
      ['7fffffff', 2147483647],
      ['ffffffff', -1], // PostgreSQL reads it signed, and as no limit
    ] as const) {
      assert.deepEqual(decode(message('E', `'p' 00 ${maxRows}`)), {
        type: 'Execute',
        portal: 'p',
        maxRows: number,
      })
    }
    refuses(
      message('E', '00 000000'),
      'malformed Execute message: insufficient data left in message',
    )
    refuses(message('E', '00 00000000 00'), 'malformed Execute message: 1 trailing bytes')
  })

  it('decodes FunctionCall', () => {
    assert.deepEqual(
      decode(message('F', '000003b4 0001 0001 0002 00000004 0000002a ffffffff 0001')),
      {
        type: 'FunctionCall',
        functionOid: 948,
        parameters: [
          { bytes: hex('0000002a'), binary: true },
          { bytes: null, binary: true },
        ],
      },
    )
    assert.deepEqual(decode(message('F', 'ffffffff 0000 0000 0000')), {
      type: 'FunctionCall',
      functionOid: 4294967295,
      parameters: [],
    })
    const malformed = 'malformed FunctionCall message: '
    for (const [body, what] of [
      ['', 'insufficient data left in message'],
      ['000003b4 0000 0000', 'insufficient data left in message'],
      ['000003b4 0000 ffff 0000', 'count 65535 exceeds the message'],
      ['000003b4 0000 0001 7fffffff 0000', 'insufficient data left in message'],
      ['000003b4 0000 0000 0000 00', '1 trailing bytes'],
    ] as const) {
      refuses(message('F', body), malformed + what)
    }
    refuses(
      message('F', '000003b4 0002 0000 0000 0001 ffffffff 0000'),
      'function call message has 2 parameter formats but 1 parameters',
    )
  })

  it('decodes what has no body, and refuses one', () => {
    for (const [tag, type] of [
      ['S', 'Sync'],
      ['H', 'Flush'],
      ['c', 'CopyDone'],
    ] as const) {
      assert.deepEqual(decode(message(tag, '')), { type })
      refuses(message(tag, '00'), `malformed ${type} message: 1 trailing bytes`)
    }
  })

  it('names what is relayed or refused without a look inside', () => {
    for (const [tag, type] of [
      ['X', 'Terminate'],
      ['d', 'CopyData'],
      ['f', 'CopyFail'],
      ['p', 'PasswordMessage'],
    ] as const) {
      assert.deepEqual(decode(message(tag, '')), { type })
      assert.deepEqual(decode(message(tag, 'ff00ff')), { type })
    }
  })

  it('refuses names that PostgreSQL would take for another', () => {
    const within = 'x'.repeat(63)
    for (const [tag, body, what] of [
      ['P', "'NAME' 00 00 0000", 'prepared statement'],
      ['B', "'NAME' 00 00 0000 0000 0000", 'portal'],
      ['B', "00 'NAME' 00 0000 0000 0000", 'prepared statement'],
      ['D', "'S' 'NAME' 00", 'prepared statement'],
      ['D', "'P' 'NAME' 00", 'portal'],
      ['C', "'S' 'NAME' 00", 'prepared statement'],
      ['C', "'P' 'NAME' 00", 'portal'],
      ['E', "'NAME' 00 00000000", 'portal'],
    ] as const) {
      const named = (name: string) => message(tag, body.replace('NAME', name))
      decode(named(within))
      decode(named('a b\t~'))
      // Its hash tables hold 63 bytes: both of these are the one above.
      refuses(named(`${within}1`), `${what} name of 64 bytes is too long`, 'UNSUPPORTED')
      refuses(named(`${within}22`), `${what} name of 65 bytes is too long`, 'UNSUPPORTED')
      // It converts from client_encoding, which may change between two messages.
      refuses(named('caf\u00e9'), `${what} name is not plain ASCII`, 'UNSUPPORTED')
      refuses(named('\x7f'), `${what} name is not plain ASCII`, 'UNSUPPORTED')
    }
  })

  it('hands out views into the frame', () => {
    const frame = frameOf(hex("51 0000000d 'select 1' 00"))
    const decoded = decodeFrontend(frame)
    assert.ok(decoded.type === 'Query')
    assert.equal(decoded.text.buffer, frame.buf.buffer)
    assert.equal(decoded.text.byteOffset, frame.buf.byteOffset + frame.start + 5)
  })

  it('refuses a tag of the other direction, and a piece of a message', () => {
    refuses(hex('5a 00000005 49'), 'invalid frontend message type 90')
    const reader = readerOf({ nameOf: frontendName, streamed: [0x51] })
    reader.push(hex("51 000000ff 'select 1' 00"))
    const head = reader.next()
    assert.ok(head)
    assert.throws(() => decodeFrontend(head), {
      code: 'INTERNAL',
      message: 'head of a Query message cannot be decoded',
    })
  })

  it('encodes messages of its own', () => {
    assert.deepEqual(encodeQuery('select 1'), hex("51 0000000d 'select 1' 00"))
    assert.deepEqual(encodeQuery('\u00e9'), hex('51 00000007 c3a9 00'))
    assert.deepEqual(encodeParse('s1', 'x'), hex("50 0000000b 's1' 00 'x' 00 0000"))
    assert.deepEqual(encodeExecute(''), hex('45 00000009 00 00000000'))
    assert.deepEqual(encodeExecute('p'), hex("45 0000000a 'p' 00 00000000"))
    assert.deepEqual(encodeSync(), hex('53 00000004'))
    assert.deepEqual(encodeTerminate(), hex('58 00000004'))
    assert.deepEqual(encodePassword('s\u00e9cret'), hex("70 0000000c 's' c3a9 'cret' 00"))
    assert.deepEqual(
      encodeSASLInitialResponse('SCRAM-SHA-256', 'n,,n=,r=x'),
      hex("70 0000001f 'SCRAM-SHA-256' 00 00000009 'n,,n=,r=x'"),
    )
    assert.deepEqual(encodeSASLResponse('c=biws'), hex("70 0000000a 'c=biws'"))
  })

  it('refuses a NUL in what it encodes, without showing the value', () => {
    for (const [encode, field] of [
      [() => encodeQuery('select 1\0; drop table t'), 'text of Query'],
      [() => encodeParse('a\0b', 'select 1'), 'name of Parse'],
      [() => encodeParse('a', 'select 1\0'), 'text of Parse'],
      [() => encodeExecute('\0'), 'portal of Execute'],
      [() => encodePassword('se\0cret'), 'password'],
      [() => encodeSASLInitialResponse('SCRAM-SHA-256', 'n,,\0'), 'SASL response'],
    ] as const) {
      assert.throws(encode, { code: 'PROTOCOL', message: `${field} contains a NUL byte` })
    }
  })
})
