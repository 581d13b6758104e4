import assert from 'node:assert/strict'
import {
  encodeCancelRequest,
  encodeSSLRequest,
  encodeStartupMessage,
  MAX_STARTUP_BYTES,
  readStartupPacket,
} from '../../src/wire/index.ts'
import { hex } from '../helpers/bytes.ts'

/** Reads at every length: null until the packet is complete, then always the same. */
function read(bytes: Buffer) {
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(readStartupPacket(Buffer.from(bytes.subarray(0, length))), null)
  }
  const alone = readStartupPacket(bytes)
  // Pipelined bytes behind it, or a NUL that would end a string, are not part of it.
  for (const more of ["'Q' 0000", '00000000', 'ffff']) {
    assert.deepEqual(readStartupPacket(Buffer.concat([bytes, hex(more)])), alone)
  }
  assert.equal(alone?.bytes, bytes.length)
  return alone.packet
}

const refuses = (literal: string, message: string, code = 'PROTOCOL') => {
  for (const more of ['', '00', 'ffffffffffffffffffff']) {
    const bytes = Buffer.concat([hex(literal), hex(more)])
    assert.throws(() => readStartupPacket(bytes), { name: 'DbgateError', code, message })
  }
}

const packet = (code: string, body: string | Buffer): Buffer => {
  const rest = typeof body === 'string' ? hex(body) : body
  const length = Buffer.alloc(4)
  length.writeInt32BE(rest.length + 8)
  return Buffer.concat([length, hex(code), rest])
}

describe('wire/startup', () => {
  it('reads a StartupMessage', () => {
    const bytes = hex("0000001e 00030000 'user' 00 'ada' 00 'database' 00 'db' 00 00")
    assert.deepEqual(read(bytes), {
      type: 'StartupMessage',
      startup: {
        major: 3,
        minor: 0,
        parameters: new Map([
          ['user', 'ada'],
          ['database', 'db'],
        ]),
      },
    })
  })

  it('reads protocol 3.2, later ones, and one without parameters', () => {
    for (const [code, minor] of [
      ['00030002', 2],
      ['0003270f', 9999], // libpq 19 greases with it
      ['0003ffff', 65535],
    ] as const) {
      assert.deepEqual(read(packet(code, "'user' 00 'a' 00 00")), {
        type: 'StartupMessage',
        startup: { major: 3, minor, parameters: new Map([['user', 'a']]) },
      })
    }
    assert.deepEqual(read(hex('00000009 00030000 00')), {
      type: 'StartupMessage',
      startup: { major: 3, minor: 0, parameters: new Map() },
    })
  })

  it('reads an empty value', () => {
    const read1 = read(packet('00030000', "'options' 00 00 'user' 00 'a' 00 00"))
    assert.ok(read1.type === 'StartupMessage')
    assert.equal(read1.startup.parameters.get('options'), '')
  })

  it('reads SSLRequest, GSSENCRequest and CancelRequest', () => {
    assert.deepEqual(read(hex('00000008 04d2162f')), { type: 'SSLRequest' })
    assert.deepEqual(read(hex('00000008 04d21630')), { type: 'GSSENCRequest' })
    assert.deepEqual(read(hex('00000010 04d2162e ffffffff deadbeef')), {
      type: 'CancelRequest',
      pid: -1,
      secret: hex('deadbeef'),
    })
  })

  it('reads cancel keys of protocol 3.2, up to 256 bytes', () => {
    for (const bytes of [5, 32, 256]) {
      const secret = Buffer.alloc(bytes, 7)
      const encoded = encodeCancelRequest(258, secret)
      assert.deepEqual(encoded, packet('04d2162e', Buffer.concat([hex('00000102'), secret])))
      assert.deepEqual(read(encoded), { type: 'CancelRequest', pid: 258, secret })
    }
    for (const bytes of [0, 3, 257]) {
      const refused = packet('04d2162e', Buffer.alloc(4 + bytes)).toString('hex')
      refuses(refused, 'invalid length of cancel request key')
    }
    refuses(
      '0000000b 04d2162e 000000',
      'malformed startup message: insufficient data left in message',
    )
  })

  it('keeps a cancel key when the read buffer is used again', () => {
    const bytes = hex('00000010 04d2162e 00000001 deadbeef')
    const got = readStartupPacket(bytes)?.packet
    bytes.fill(0)
    assert.ok(got?.type === 'CancelRequest')
    assert.deepEqual(got.secret, hex('deadbeef'))
  })

  it('refuses a length that cannot be, before it waits for the body', () => {
    const what = 'invalid length of startup packet'
    refuses('00000000', what)
    refuses('00000007', what)
    refuses('ffffffff', what)
    refuses('80000000', what)
    refuses('00002715', what) // 10,005: PostgreSQL takes 10,000 bytes after the length
    refuses('7fffffff', what)
    refuses("'GET '", what)
    refuses('16 03 01 02', what) // TLS without asking
    assert.equal(readStartupPacket(hex('00002714')), null)
    assert.equal(MAX_STARTUP_BYTES, 10_004)
  })

  it('reads the longest packet PostgreSQL takes', () => {
    const value = 'x'.repeat(MAX_STARTUP_BYTES - 8 - 'options'.length - 3)
    const bytes = encodeStartupMessage(new Map([['options', value]]))
    assert.equal(bytes.length, MAX_STARTUP_BYTES)
    const got = readStartupPacket(bytes)?.packet
    assert.ok(got?.type === 'StartupMessage')
    assert.equal(got.startup.parameters.get('options'), value)
  })

  it('refuses parameters that do not fill the packet', () => {
    const unterminated = 'malformed startup message: unterminated string'
    refuses('00000008 00030000', unterminated)
    refuses("0000000c 00030000 'user'", unterminated)
    refuses("0000000d 00030000 'user' 00", unterminated)
    refuses("0000000e 00030000 'user' 00 'a'", unterminated)
    refuses("0000000f 00030000 'user' 00 'a' 00", unterminated)
    refuses(
      "00000011 00030000 'user' 00 'a' 00 00 00",
      'malformed startup message: 1 trailing bytes',
    )
  })

  it('refuses a parameter given twice', () => {
    // PostgreSQL takes the last; whoever takes the first would log somebody else in.
    const twice = packet('00030000', "'user' 00 'ada' 00 'user' 00 'root' 00 00")
    refuses(twice.toString('hex'), 'startup parameter "user" is given twice')
  })

  it('refuses SSLRequest and GSSENCRequest with a body', () => {
    refuses('00000009 04d2162f 00', 'malformed startup message: 1 trailing bytes')
    refuses('0000000c 04d21630 00000000', 'malformed startup message: 4 trailing bytes')
  })

  it('refuses other protocols by their version', () => {
    const what = (version: string) =>
      `unsupported frontend protocol ${version}: server supports 3.0 to 3.2`
    refuses('00000008 00020000', what('2.0'), 'UNSUPPORTED')
    refuses('00000008 00040001', what('4.1'), 'UNSUPPORTED')
    refuses('00000008 04d21631', what('1234.5681'), 'UNSUPPORTED')
    refuses('00000008 ffffffff', what('65535.65535'), 'UNSUPPORTED')
    refuses('00000008 00000000', what('0.0'), 'UNSUPPORTED')
  })

  it('encodes a StartupMessage of protocol 3.0 and an SSLRequest', () => {
    assert.deepEqual(
      encodeStartupMessage(new Map([['user', '\u00e9']])),
      hex("00000011 00030000 'user' 00 c3a9 00 00"),
    )
    assert.deepEqual(encodeSSLRequest(), hex('00000008 04d2162f'))
  })

  it('refuses to encode a parameter that smuggles another one, without showing its value', () => {
    assert.throws(() => encodeStartupMessage(new Map([['application_name', 'x\0user\0admin']])), {
      code: 'PROTOCOL',
      message: 'parameter "application_name" of StartupMessage contains a NUL byte',
    })
    assert.throws(() => encodeStartupMessage(new Map([['a\0b', 'x']])), {
      code: 'PROTOCOL',
      message: 'parameter name of StartupMessage contains a NUL byte',
    })
    assert.throws(() => encodeStartupMessage(new Map([['', 'x']])), {
      code: 'PROTOCOL',
      message: 'parameter name of StartupMessage is empty',
    })
  })
})
