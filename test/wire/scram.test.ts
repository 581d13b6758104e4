import assert from 'node:assert/strict'
import {
  type ChannelBinding,
  createScramVerifier,
  md5Password,
  ScramClient,
  ScramServer,
} from '../../src/wire/index.ts'
import { hex } from '../helpers/bytes.ts'

// RFC 7677 section 3.
const RFC = {
  clientFirst: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  serverFirst:
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  clientFinal:
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,' +
    'p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
}
const NONE: ChannelBinding = { flag: 'n' }
const MALFORMED = { name: 'DbgateError', code: 'PROTOCOL', message: 'malformed SCRAM message' }
const broken = (what: string) => ({
  name: 'DbgateError',
  code: 'UNREACHABLE',
  message: `SCRAM authentication failed: ${what}`,
})

const rfcVerifier = () =>
  createScramVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), 4096)
const rfcServer = () => new ScramServer(rfcVerifier(), '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0')

describe('ScramServer', () => {
  it('answers as in RFC 7677', () => {
    const server = rfcServer()
    assert.equal(server.first(RFC.clientFirst), RFC.serverFirst)
    assert.equal(server.final(RFC.clientFinal), RFC.serverFinal)
  })

  it('takes what drivers send: any name, optional extensions, and "y"', () => {
    for (const first of [
      'n,,n=,r=abc', // libpq
      'n,,n=*,r=abc', // pg, JDBC
      'y,,n=,r=abc', // could bind, and sees that we do not offer it
      'n,,n=a=2Cb,r=abc,x=later,y=more',
    ]) {
      assert.match(rfcServer().first(first), /^r=abc%hvYDpWUa2RaTCAfuxFIlj\)hNlF\$k0,s=/)
    }
  })

  it('refuses a client-first-message that is none', () => {
    for (const first of [
      '',
      'n,,',
      'n,,n=',
      'n,,r=abc',
      'n,,n=,r=',
      'n,,r=abc,n=',
      'n,n=,r=abc',
      'n,a=admin,n=,r=abc', // somebody else's name, which would be lost
      'n,,m=must,n=,r=abc', // an extension that must be understood
      'n,,n=,r=abc,m=must',
      'n,,n=,r=abc,',
      'n,,n=,r=a\u00e9c', // not printable ASCII
      'n,,n=,r=a c',
      'n,,n=,r=abc\0',
      'p=tls-server-end-point,,n=,r=abc', // binding without the mechanism for it
      'x,,n=,r=abc',
      ' n,,n=,r=abc',
    ]) {
      assert.throws(() => rfcServer().first(first), MALFORMED, JSON.stringify(first))
    }
  })

  it('refuses a client-final-message that does not belong to the exchange', () => {
    const other = RFC.clientFinal
    for (const final of [
      '',
      other.replace('c=biws', 'c=eSws'), // another GS2 header than it began with
      other.replace('c=biws', 'c='),
      other.replace('c=biws', 'c=biws '),
      other.replace('$k0', '$k1'), // a nonce of another exchange
      other.replace('r=rOpr', 'r=ROPR'),
      other.replace('$k0', '$k0x'),
      other.replace('$k0', ''),
      other.replace(/,p=.*/, ''),
      other.replace(/,p=.*/, ',p='),
      other.replace('VQ=', 'VQ'),
      other.replace('VQ=', 'VQ==='),
      other.replace('p=dH', 'p=d H'),
      `${other},x=y`,
      `${other}\n`,
      `${other}\0`,
      other.replace('c=biws,', ''),
      other.replace('c=biws,', 'm=must,c=biws,'),
      other.replace(',p=', ',m=must,p='),
    ]) {
      const server = rfcServer()
      server.first(RFC.clientFirst)
      assert.throws(() => server.final(final), MALFORMED, JSON.stringify(final))
    }
  })

  it('refuses a client-final-message before a client-first-message', () => {
    assert.throws(() => rfcServer().final(RFC.clientFinal), MALFORMED)
    assert.throws(() => rfcServer().final(`c=,r=,p=${'A'.repeat(43)}=`), MALFORMED)
  })

  it('refuses a wrong proof without an error of its own', () => {
    const wrong = [
      RFC.clientFinal.replace('p=dH', 'p=eH'),
      RFC.clientFinal.replace('dVQ=', 'eVQ='),
      RFC.clientFinal.replace(/p=.*/, `p=${'A'.repeat(43)}=`),
      // What a client proves is bound to all that was said.
      RFC.clientFinal.replace(',p=', ',x=y,p='),
    ]
    for (const final of wrong) {
      const server = rfcServer()
      server.first(RFC.clientFirst)
      assert.equal(server.final(final), null)
    }
    const renamed = rfcServer()
    renamed.first('n,,n=root,r=rOprNGfwEbeRWgbNEkqO')
    assert.equal(renamed.final(RFC.clientFinal), null)
  })

  it('refuses a proof that was overheard', () => {
    const server = new ScramServer(rfcVerifier(), 'another')
    server.first(RFC.clientFirst)
    assert.throws(() => server.final(RFC.clientFinal), MALFORMED)
  })
})

describe('ScramClient', () => {
  // Computed with Python's hashlib and hmac.
  const exchanges: readonly [string, string, string, ChannelBinding, readonly string[]][] = [
    [
      'a password alone',
      'pencil',
      'rOprNGfwEbeRWgbNEkqO',
      NONE,
      [
        'n,,n=,r=rOprNGfwEbeRWgbNEkqO',
        'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
        'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=qvT2SWdEH5Q06albL+hjSYuUhCG7VndFyzIb7CK4n9k=',
        'v=3HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSOg=',
      ],
    ],
    [
      'the certificate too',
      's\u00e9cret',
      'abc',
      {
        flag: 'p=tls-server-end-point',
        certificateHash: hex('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'),
      },
      [
        'p=tls-server-end-point,,n=,r=abc',
        'r=abcdef,s=c2FsdA==,i=1',
        'c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,r=abcdef,p=j2V8ZhszrXN7sQL7C0S54OaGpcKenlKfxmjfWu0vh9k=',
        'v=J06Vamnb3q6BLfyAtw/bhl0VxzRdwJIdQZlDmp3rjSY=',
      ],
    ],
    [
      'that it could have bound',
      's\u00e9cret',
      'abc',
      { flag: 'y' },
      [
        'y,,n=,r=abc',
        'r=abcdef,s=c2FsdA==,i=1',
        'c=eSws,r=abcdef,p=HUHRldrLl0MlM372sLsAFf9r62cZGCqZhzV3S9RBN54=',
        'v=MQns9jbrqWZB4cDYus3czjXclbU9nAthfZqIBupPGgY=',
      ],
    ],
  ]
  for (const [
    what,
    password,
    nonce,
    binding,
    [first, serverFirst, final, serverFinal],
  ] of exchanges) {
    it(`proves ${what}`, () => {
      const client = new ScramClient(password, nonce, binding)
      assert.equal(client.first(), first)
      assert.equal(client.final(serverFirst ?? ''), final)
      client.verify(serverFinal ?? '')
    })
  }

  it('agrees with a server that knows the verifier only', () => {
    for (const flag of ['n', 'y'] as const) {
      const client = new ScramClient('pencil', 'abc', { flag })
      const server = rfcServer()
      const serverFinal = server.final(client.final(server.first(client.first())))
      assert.ok(serverFinal)
      client.verify(serverFinal)
    }
    const wrong = new ScramClient('pencils', 'abc', NONE)
    const server = rfcServer()
    assert.equal(server.final(wrong.final(server.first(wrong.first()))), null)
  })

  it('refuses a server-first-message that is none', () => {
    for (const serverFirst of [
      '',
      'r=abcdef',
      'r=abcdef,s=c2FsdA==',
      'r=abcdef,i=4096,s=c2FsdA==',
      's=c2FsdA==,r=abcdef,i=4096',
      'r=abcdef,s=,i=4096',
      'r=abcdef,s=c2Fs dA==,i=4096',
      'r=abcdef,s=c2FsdA==,i=0',
      'r=abcdef,s=c2FsdA==,i=-1',
      'r=abcdef,s=c2FsdA==,i=1e3',
      'r=abcdef,s=c2FsdA==,i=0x1000',
      'r=abcdef,s=c2FsdA==,i=4096.5',
      'r=abcdef,s=c2FsdA==,i= 4096',
      'r=abcdef,s=c2FsdA==,i=4096,x=y',
      'm=must,r=abcdef,s=c2FsdA==,i=4096',
      'r=abc\u00e9,s=c2FsdA==,i=4096',
      'e=other-error',
    ]) {
      const client = new ScramClient('x', 'abc', NONE)
      const malformed = broken('malformed server-first-message')
      assert.throws(() => client.final(serverFirst), malformed, serverFirst)
    }
  })

  it('refuses a nonce that does not continue its own', () => {
    for (const nonce of ['abc', 'abd0', 'ab', 'xabc0', 'ABC0']) {
      const client = new ScramClient('x', 'abc', NONE)
      const error = broken('nonce does not continue ours')
      assert.throws(() => client.final(`r=${nonce},s=c2FsdA==,i=4096`), error)
    }
  })

  it('refuses more iterations than it can afford', () => {
    for (const count of ['1000001', '2147483647', '9'.repeat(400)]) {
      const client = new ScramClient('x', 'abc', NONE)
      const error = broken('iteration count is out of range')
      assert.throws(() => client.final(`r=abcdef,s=c2FsdA==,i=${count}`), error)
    }
  })

  it('refuses a server that cannot prove that it knows the password', () => {
    for (const serverFinal of [
      '',
      'v=',
      'v=3HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSOk=',
      'v=4HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSOg=',
      'v=3HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSO',
      'v=3HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSOg=,x=y',
      'x=3HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSOg=',
      `v=${'A'.repeat(43)}=`,
      RFC.serverFinal,
      'e=invalid-proof',
    ]) {
      const client = new ScramClient('pencil', 'rOprNGfwEbeRWgbNEkqO', NONE)
      client.final(RFC.serverFirst)
      const error = broken('server signature is wrong')
      assert.throws(() => client.verify(serverFinal), error, serverFinal)
    }
  })

  it('verifies nothing before its final message', () => {
    const client = new ScramClient('x', 'abc', NONE)
    assert.throws(() => client.verify(`v=${'A'.repeat(43)}=`), broken('server signature is wrong'))
  })
})

describe('wire/scram', () => {
  it('answers an MD5 request as PostgreSQL expects it', () => {
    // echo -n "$(echo -n 'secretada' | md5sum | cut -c1-32)$(printf '\x01\x02\x03\x04')" | md5sum
    assert.equal(
      md5Password('ada', 'secret', hex('01020304')),
      'md5164dbcd37c01a78e869e72965960a754',
    )
    assert.equal(
      md5Password('ad\u00e4', 's\u00e9cret', hex('ff00fe0a')),
      'md58e38db193d9240343ebe576c8afeb2f7',
    )
  })

  it('uses a password as PostgreSQL stored it', () => {
    const salt = hex('00')
    const verifier = (password: string) => createScramVerifier(password, salt, 1)
    for (const [password, same] of [
      ['cafe\u0301', 'caf\u00e9'], // NFKC
      ['\u2168', 'IX'],
      ['I\u00adX', 'IX'], // RFC 4013 section 3: soft hyphen
      ['\u00aa', 'a'],
      ['a\u00a0b\u200bc', 'a b c'], // exotic spaces, U+200B among them
      ['x\ufeffy\u200d\ufe0f\u00e9', 'xy\u00e9'],
    ] as const) {
      assert.deepEqual(verifier(password), verifier(same))
    }
    for (const [password, other] of [
      ['\u2168\u{1f512}', 'IX\u{1f512}'], // unassigned in Unicode 3.2
      ['\u2168\u00e9\u0007', 'IX\u00e9\u0007'], // control character
      ['\u2168\u0627', 'IX\u0627'], // left-to-right beside right-to-left
      ['\u0627\u2168\u0627', '\u0627IX\u0627'],
      ['\u0627\u2460', '\u06271'], // right-to-left that does not end so
      ['\u00ad', ''], // nothing would be left
      ['User', 'USER'],
    ] as const) {
      assert.notDeepEqual(verifier(password), verifier(other))
    }
    // A tab alone keeps a password ASCII, which is never prepared.
    assert.notDeepEqual(verifier('a\tb'), verifier('a b'))
  })
})
