import assert from 'node:assert/strict'
import { DbgateError } from '../../src/errors.ts'
import {
  backendName,
  decodeAuthentication,
  decodeBackendKeyData,
  decodeCommandComplete,
  decodeErrorFields,
  decodeParameterStatus,
  decodeReadyForQuery,
  decodeRowDescription,
  encodeAuthenticationCleartextPassword,
  encodeAuthenticationOk,
  encodeAuthenticationSASL,
  encodeAuthenticationSASLContinue,
  encodeAuthenticationSASLFinal,
  encodeBackendKeyData,
  encodeErrorResponse,
  encodeNegotiateProtocolVersion,
  encodeNotice,
  encodeParameterStatus,
  encodeReadyForQuery,
  type Frame,
} from '../../src/wire/index.ts'
import { decodeAtEveryCut, frameOf, hex, message, readerOf } from '../helpers/bytes.ts'

const at = <T>(bytes: Buffer, decode: (frame: Frame) => T): T =>
  decodeAtEveryCut(bytes, backendName, decode)
const refuses = (bytes: Buffer, decode: (frame: Frame) => unknown, what: string) =>
  assert.throws(() => decode(frameOf(bytes)), {
    name: 'DbgateError',
    code: 'PROTOCOL',
    message: what,
  })

describe('wire/backend', () => {
  it('decodes RowDescription', () => {
    const id = "'id' 00 00004001 0001 00000017 0004 ffffffff 0000"
    const expression = "'?column?' 00 00000000 0000 00000019 ffff ffffffff 0001"
    const ctid = "'ctid' 00 ffffffff ffff 0000001b 0006 ffffffff 0000"
    assert.deepEqual(at(message('T', `0003 ${id} ${expression} ${ctid}`), decodeRowDescription), [
      {
        name: 'id',
        tableOid: 16385,
        columnNumber: 1,
        typeOid: 23,
        typeSize: 4,
        typeModifier: -1,
        format: 0,
      },
      {
        name: '?column?',
        tableOid: 0,
        columnNumber: 0,
        typeOid: 25,
        typeSize: -1,
        typeModifier: -1,
        format: 1,
      },
      {
        name: 'ctid',
        tableOid: 4294967295,
        columnNumber: -1,
        typeOid: 27,
        typeSize: 6,
        typeModifier: -1,
        format: 0,
      },
    ])
    assert.deepEqual(at(message('T', '0000'), decodeRowDescription), [])
  })

  it('refuses a RowDescription whose fields do not fill it', () => {
    const malformed = 'malformed RowDescription message: '
    const field = "'a' 00 00004001 0001 00000017 0004 ffffffff 0000"
    for (const [body, what] of [
      ['', 'insufficient data left in message'],
      ['00', 'insufficient data left in message'],
      ['ffff', 'count 65535 exceeds the message'],
      [`0002 ${field}`, 'count 2 exceeds the message'],
      [`0001 ${field} 00`, '1 trailing bytes'],
      ["0001 'aaaaaaaaaaaaaaaaaaa'", 'unterminated string'],
      ["0001 'aaa' 00 00004001 0001 00000017 0004 ffffffff", 'insufficient data left in message'],
    ] as const) {
      refuses(message('T', body), decodeRowDescription, malformed + what)
    }
  })

  it('decodes ErrorResponse and NoticeResponse', () => {
    const body = "'S' 'FEHLER' 00 'V' 'ERROR' 00 'C' '42P01' 00 'M' 'no such table' 00 00"
    for (const tag of ['E', 'N']) {
      assert.deepEqual(
        [...at(message(tag, body), decodeErrorFields)],
        [
          ['S', 'FEHLER'],
          ['V', 'ERROR'],
          ['C', '42P01'],
          ['M', 'no such table'],
        ],
      )
      assert.deepEqual([...at(message(tag, '00'), decodeErrorFields)], [])
    }
    refuses(
      message('E', ''),
      decodeErrorFields,
      'malformed ErrorResponse message: insufficient data left in message',
    )
    refuses(
      message('E', "'M' 'x' 00"),
      decodeErrorFields,
      'malformed ErrorResponse message: insufficient data left in message',
    )
    refuses(
      message('N', "'M' 'x'"),
      decodeErrorFields,
      'malformed NoticeResponse message: unterminated string',
    )
    refuses(
      message('N', "00 'M' 'x' 00 00"),
      decodeErrorFields,
      'malformed NoticeResponse message: 4 trailing bytes',
    )
  })

  it('decodes CommandComplete', () => {
    assert.equal(at(hex("43 0000000d 'UPDATE 3' 00"), decodeCommandComplete), 'UPDATE 3')
    refuses(
      hex("43 0000000c 'UPDATE 3'"),
      decodeCommandComplete,
      'malformed CommandComplete message: unterminated string',
    )
  })

  it('decodes ReadyForQuery', () => {
    for (const status of ['I', 'T', 'E'] as const) {
      const bytes = hex(`5a 00000005 '${status}'`)
      assert.equal(at(bytes, decodeReadyForQuery), status)
      assert.deepEqual(encodeReadyForQuery(status), bytes)
    }
    refuses(
      hex("5a 00000005 'i'"),
      decodeReadyForQuery,
      'malformed ReadyForQuery message: unknown transaction status',
    )
    refuses(
      hex('5a 00000004'),
      decodeReadyForQuery,
      'malformed ReadyForQuery message: insufficient data left in message',
    )
    refuses(
      hex("5a 00000006 'II'"),
      decodeReadyForQuery,
      'malformed ReadyForQuery message: 1 trailing bytes',
    )
  })

  it('decodes ParameterStatus', () => {
    const bytes = hex("53 00000016 'server_version' 00 '15' 00")
    assert.deepEqual(at(bytes, decodeParameterStatus), ['server_version', '15'])
    refuses(
      message('S', "'a' 00 'b'"),
      decodeParameterStatus,
      'malformed ParameterStatus message: unterminated string',
    )
    refuses(
      message('S', "'a' 00 'b' 00 00"),
      decodeParameterStatus,
      'malformed ParameterStatus message: 1 trailing bytes',
    )
  })

  it('decodes BackendKeyData with keys of protocol 3.0 and 3.2', () => {
    for (const bytes of [4, 32, 256]) {
      const secret = Buffer.alloc(bytes, 0xa5)
      const encoded = encodeBackendKeyData(-7, secret)
      assert.deepEqual(encoded, message('K', Buffer.concat([hex('fffffff9'), secret])))
      assert.deepEqual(decodeBackendKeyData(frameOf(encoded)), { pid: -7, secret })
    }
    assert.deepEqual(at(hex('4b 0000000c 00000102 deadbeef'), decodeBackendKeyData), {
      pid: 258,
      secret: hex('deadbeef'),
    })
    for (const bytes of [0, 3, 257]) {
      refuses(
        message('K', Buffer.alloc(4 + bytes)),
        decodeBackendKeyData,
        `malformed BackendKeyData message: key of ${bytes} bytes`,
      )
    }
    refuses(
      message('K', '000000'),
      decodeBackendKeyData,
      'malformed BackendKeyData message: insufficient data left in message',
    )
  })

  it('keeps a cancel key and a salt when the read buffer is used again', () => {
    const keyData = frameOf(hex('4b 0000000c 00000102 deadbeef'))
    const { secret } = decodeBackendKeyData(keyData)
    keyData.buf.fill(0)
    assert.deepEqual(secret, hex('deadbeef'))
    const md5 = frameOf(hex('52 0000000c 00000005 01020304'))
    const request = decodeAuthentication(md5)
    md5.buf.fill(0)
    assert.deepEqual(request, { type: 'MD5Password', salt: hex('01020304') })
  })

  it('decodes every authentication request', () => {
    for (const [body, request] of [
      ['00000000', { type: 'Ok' }],
      ['00000003', { type: 'CleartextPassword' }],
      ['00000005 01020304', { type: 'MD5Password', salt: hex('01020304') }],
      ["0000000a 'SCRAM-SHA-256' 00 00", { type: 'SASL', mechanisms: ['SCRAM-SHA-256'] }],
      [
        "0000000a 'SCRAM-SHA-256-PLUS' 00 'SCRAM-SHA-256' 00 'OAUTHBEARER' 00 00",
        { type: 'SASL', mechanisms: ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256', 'OAUTHBEARER'] },
      ],
      ['0000000a 00', { type: 'SASL', mechanisms: [] }],
      ["0000000b 'r=x,s=y,i=1'", { type: 'SASLContinue', text: 'r=x,s=y,i=1' }],
      ['0000000b', { type: 'SASLContinue', text: '' }],
      ["0000000c 'v=x'", { type: 'SASLFinal', text: 'v=x' }],
      ['00000002', { type: 'Unsupported', code: 2 }], // KerberosV5
      ['00000007', { type: 'Unsupported', code: 7 }], // GSS
      ['00000008 ffff', { type: 'Unsupported', code: 8 }], // GSSContinue
      ['00000009', { type: 'Unsupported', code: 9 }], // SSPI
      ['ffffffff', { type: 'Unsupported', code: -1 }],
    ] as const) {
      assert.deepEqual(at(message('R', body), decodeAuthentication), request)
    }
  })

  it('refuses authentication requests that are too short or too long', () => {
    const malformed = 'malformed Authentication message: '
    for (const [body, what] of [
      ['', 'insufficient data left in message'],
      ['000000', 'insufficient data left in message'],
      ['00000000 00', '1 trailing bytes'],
      ['00000003 00', '1 trailing bytes'],
      ['00000005 010203', 'insufficient data left in message'],
      ['00000005 0102030405', '1 trailing bytes'],
      ["0000000a 'SCRAM-SHA-256' 00", 'unterminated string'],
      ['0000000a', 'unterminated string'],
      ['0000000a 00 00', '1 trailing bytes'],
    ] as const) {
      refuses(message('R', body), decodeAuthentication, malformed + what)
    }
  })

  it('refuses a piece of a message', () => {
    const reader = readerOf({ nameOf: backendName, streamed: [0x52] })
    reader.push(hex("52 000000ff 0000000b 'r='"))
    const head = reader.next()
    assert.ok(head)
    assert.throws(() => decodeAuthentication(head), { code: 'INTERNAL' })
  })

  it('encodes what a server says before the first query', () => {
    assert.deepEqual(encodeAuthenticationOk(), hex('52 00000008 00000000'))
    assert.deepEqual(encodeAuthenticationCleartextPassword(), hex('52 00000008 00000003'))
    assert.deepEqual(
      encodeAuthenticationSASL(['SCRAM-SHA-256']),
      hex("52 00000017 0000000a 'SCRAM-SHA-256' 00 00"),
    )
    assert.deepEqual(encodeAuthenticationSASLContinue('r=x'), hex("52 0000000b 0000000b 'r=x'"))
    assert.deepEqual(encodeAuthenticationSASLFinal('v=x'), hex("52 0000000b 0000000c 'v=x'"))
    assert.deepEqual(encodeParameterStatus('a', '\u00e9'), hex("53 00000009 'a' 00 c3a9 00"))
    assert.deepEqual(
      encodeNegotiateProtocolVersion(2, ['_pq_.a']),
      hex("76 00000013 00030002 00000001 '_pq_.a' 00"),
    )
    assert.deepEqual(encodeNegotiateProtocolVersion(0, []), hex('76 0000000c 00030000 00000000'))
  })

  it('encodes an error as PostgreSQL would say it', () => {
    const error = new DbgateError('DENIED', 'permission denied', {
      detail: 'Why.',
      hint: 'What now.',
    })
    const fields = (position: string) =>
      message(
        'E',
        `'SERROR' 00 'VERROR' 00 'C42501' 00 'Mpermission denied' 00
         'DWhy.' 00 'HWhat now.' 00 ${position} 'Rdbgate:DENIED' 00 00`,
      )
    assert.deepEqual(encodeErrorResponse(error), fields(''))
    assert.deepEqual(encodeErrorResponse(error, { position: 8 }), fields("'P8' 00"))
    assert.deepEqual(
      encodeErrorResponse(new DbgateError('PROTOCOL', 'no')),
      message('E', "'SFATAL' 00 'VFATAL' 00 'C08P01' 00 'Mno' 00 'Rdbgate:PROTOCOL' 00 00"),
    )
  })

  it('encodes a notice', () => {
    assert.deepEqual(
      encodeNotice('held', { detail: 'h-1' }),
      message('N', "'SNOTICE' 00 'VNOTICE' 00 'C00000' 00 'Mheld' 00 'Dh-1' 00 'Rdbgate' 00 00"),
    )
  })

  it('lets no foreign text end a field of an error early', () => {
    const error = new DbgateError('SYNTAX', 'at "\0C00000\0"', { detail: '\0\0' })
    const fields = at(encodeErrorResponse(error), decodeErrorFields)
    assert.equal(fields.get('C'), '42601')
    assert.equal(fields.get('M'), 'at "\ufffdC00000\ufffd"')
    assert.equal(fields.get('D'), '\ufffd\ufffd')
    assert.equal(at(encodeNotice('a\0b'), decodeErrorFields).get('M'), 'a\ufffdb')
  })

  it('refuses a NUL in what it encodes otherwise', () => {
    assert.throws(() => encodeParameterStatus('a\0', 'b'), {
      code: 'PROTOCOL',
      message: 'name of ParameterStatus contains a NUL byte',
    })
    assert.throws(() => encodeParameterStatus('a', 'b\0is_superuser\0on'), {
      code: 'PROTOCOL',
      message: 'value of ParameterStatus contains a NUL byte',
    })
    assert.throws(() => encodeAuthenticationSASL(['a\0']), { code: 'PROTOCOL' })
    assert.throws(() => encodeNegotiateProtocolVersion(0, ['\0']), { code: 'PROTOCOL' })
  })
})
