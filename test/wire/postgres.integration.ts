import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  BackendTag,
  createScramVerifier,
  decodeBackendKeyData,
  decodeCommandComplete,
  decodeErrorFields,
  decodeParameterStatus,
  decodeReadyForQuery,
  decodeRowDescription,
  encodeCancelRequest,
  encodeNegotiateProtocolVersion,
  encodeQuery,
  encodeStartupMessage,
  encodeSync,
  type Frame,
  MAX_STARTUP_BYTES,
  SCRAM_PLUS,
} from '../../src/wire/index.ts'
import { hex, message } from '../helpers/bytes.ts'
import {
  AUTH_PASSWORD,
  postgres15,
  postgres18,
  postgresTls,
  type Upstream,
  urlOf,
  withClient,
} from '../helpers/postgres.ts'
import { SEED } from '../helpers/seed.ts'
import { type Login, WireClient } from '../helpers/wire-client.ts'

const SERVERS = [
  [15, postgres15],
  [18, postgres18],
] as const

async function connected<T>(
  upstream: Upstream,
  security: 'plain' | 'tls',
  work: (client: WireClient) => Promise<T>,
): Promise<T> {
  const client = await WireClient.dial(upstream, security)
  try {
    return await work(client)
  } finally {
    client.hangUp()
  }
}

/** Logs in and asks who it is; returns that and the first request of the server. */
async function session(upstream: Upstream, security: 'plain' | 'tls', login: Login) {
  return connected(upstream, security, async client => {
    const [asked] = await client.login(login)
    await client.untilReady()
    client.send(encodeQuery('select current_user'))
    const frames = await client.untilReady()
    const row = frames.find(frame => frame.tag === BackendTag.DataRow)
    return { asked, user: row?.buf.subarray(11).toString() }
  })
}

before('start the PostgreSQL servers of test/wire', async function () {
  this.timeout(60_000) // three of them, made from nothing
  await Promise.all([postgres15(), postgres18(), postgresTls()])
})

describe('wire against PostgreSQL: logging in', () => {
  const scram = { user: 'by_scram', password: AUTH_PASSWORD }
  const plus = (certificateHash: Buffer) =>
    ({ flag: 'p=tls-server-end-point', certificateHash }) as const

  it('by SCRAM-SHA-256-PLUS, bound to the certificate', async () => {
    const { asked, user } = await session(await postgresTls(), 'tls', {
      ...scram,
      mechanism: SCRAM_PLUS,
      binding: plus,
    })
    assert.deepEqual(asked, { type: 'SASL', mechanisms: [SCRAM_PLUS, 'SCRAM-SHA-256'] })
    assert.equal(user, 'by_scram')
  })

  it('by SCRAM-SHA-256, unbound, with and without TLS', async () => {
    const { user } = await session(await postgresTls(), 'tls', scram)
    assert.equal(user, 'by_scram')
    for (const [, start] of SERVERS) {
      const upstream = await start()
      for (const flag of ['n', 'y'] as const) {
        const login = { user: 'postgres', password: upstream.password, binding: { flag } }
        const plain = await session(upstream, 'plain', login)
        assert.deepEqual(plain, {
          asked: { type: 'SASL', mechanisms: ['SCRAM-SHA-256'] },
          user: 'postgres',
        })
      }
    }
  })

  it('by MD5, in cleartext, and on trust', async () => {
    const upstream = await postgresTls()
    for (const [user, type] of [
      ['by_md5', 'MD5Password'],
      ['by_cleartext', 'CleartextPassword'],
      ['by_trust', 'Ok'],
    ] as const) {
      const got = await session(upstream, 'tls', { user, password: AUTH_PASSWORD })
      assert.equal(got.asked?.type, type)
      assert.equal(got.user, user)
    }
  })

  it('not with a wrong password', async () => {
    const upstream = await postgresTls()
    for (const user of ['by_scram', 'by_md5', 'by_cleartext']) {
      const login = { user, password: 'secret' }
      await assert.rejects(session(upstream, 'tls', login), {
        code: '28P01',
        message: `password authentication failed for user "${user}"`,
      })
    }
    const bound = { ...scram, password: 'secret', mechanism: SCRAM_PLUS, binding: plus }
    await assert.rejects(session(upstream, 'tls', bound), { code: '28P01' })
  })

  it('not when the server sees another certificate than the client', async () => {
    const binding = (hash: Buffer) => plus(Buffer.from(hash.map(byte => byte ^ 1)))
    const login = { ...scram, mechanism: SCRAM_PLUS, binding }
    await assert.rejects(session(await postgresTls(), 'tls', login), {
      code: '28000',
      message: 'SCRAM channel binding check failed',
    })
  })

  it('not when somebody hid the offer of channel binding', async () => {
    const login = { ...scram, binding: { flag: 'y' } } as const
    await assert.rejects(session(await postgresTls(), 'tls', login), { code: '28000' })
  })

  it('not when somebody changed a message', async () => {
    const upstream = await postgresTls()
    const changed = (message: string, from: RegExp, to: string): Login => ({
      ...scram,
      tamper: (text, which) => (which === message ? text.replace(from, to) : text),
    })
    for (const [login, error] of [
      [changed('server-first', /^r=r/, 'r=R'), /nonce does not continue ours/],
      [changed('server-first', /^r=rOprNGfwEbeRWgbNEkqO[^,]*/, 'r=rOprNGfwEbeRWgbNEkqO'), /nonce/],
      [changed('server-first', /i=4096/, 'i=1'), { code: '28P01' }],
      [changed('server-first', /i=4096/, 'i=999999999'), /iteration count is out of range/],
      [changed('server-first', /s=[^,]*/, 's=AAAA'), { code: '28P01' }],
      [changed('server-first', /$/, ',m=x'), /malformed server-first-message/],
      [changed('client-final', /,r=r/, ',r=R'), { code: '08P01' }],
      [changed('client-final', /c=biws/, 'c=eSws'), { code: '08P01' }],
      [changed('client-final', /p=.{43}=/, `p=${'A'.repeat(43)}=`), { code: '28P01' }],
      [changed('server-final', /v=.{43}=/, `v=${'A'.repeat(43)}=`), /server signature is wrong/],
      [changed('server-final', /=$/, ''), /server signature is wrong/],
    ] as const) {
      await assert.rejects(session(upstream, 'tls', login), error)
    }
  })
})

describe(`wire against PostgreSQL: passwords (seed ${SEED})`, () => {
  const character = fc.constantFrom(
    ...'aZ0 \t\u007f\u00a0\u00ad\u00df\u00e9\u0130\u0301\u0327\u034f\u05d0\u05be\u0621\u0660\u06dd',
    ...'\u1100\u1161\u11a8\u1680\u180b\u1e9e\u200b\u200c\u200f\u2028\u2060\u2126\u2168\u2460\u3000',
    ...'\u304b\u3099\u3164\uac00\ue000\ufb01\ufdfa\ufe0f\ufeff\uff21\uff76\uffa0\ufffd\u0378\u0904',
    ...'\u{1d400}\u{1f512}\u{1f1e6}\u{20000}\u{2f800}\u{e0001}\u{10fffd}',
  )
  const samples = fc.sample(
    fc.array(character, { minLength: 1, maxLength: 6 }).map(characters => characters.join('')),
    { seed: SEED, numRuns: 250 },
  )

  // Left-to-right inside right-to-left, which chance would rarely find.
  const passwords = ['\u0627\u2168\u0627', '\u05d0A\ufb01\u05d0', ...samples]

  for (const [major, start] of SERVERS) {
    it(`are stored by PostgreSQL ${major} as createScramVerifier has them`, async () => {
      await withClient(urlOf(await start(), 'postgres'), async client => {
        await client.query('begin')
        await client.query('create role prepared')
        for (const password of passwords) {
          const literal = client.escapeLiteral(password)
          await client.query(`alter role prepared password ${literal}`)
          const { rows } = await client.query(
            "select rolpassword from pg_authid where rolname = 'prepared'",
          )
          const stored: string = rows[0].rolpassword
          const [, iterations, salt = '', storedKey, serverKey] = stored.split(/[$:]/)
          const salted = Buffer.from(salt, 'base64')
          const verifier = createScramVerifier(password, salted, Number(iterations))
          assert.deepEqual(
            [verifier.storedKey.toString('base64'), verifier.serverKey.toString('base64')],
            [storedKey, serverKey],
            `for ${JSON.stringify(password)}`,
          )
        }
        await client.query('rollback')
      })
    })
  }
})

describe('wire against PostgreSQL: messages', () => {
  const ready = async (client: WireClient, upstream: Upstream): Promise<Frame[]> => {
    await client.login({ user: 'postgres', password: upstream.password })
    return client.untilReady()
  }
  const tagsOf = (frames: readonly Frame[]) =>
    frames.map(frame => String.fromCharCode(frame.tag)).join('')
  const only = (frames: readonly Frame[], tag: number): Frame => {
    const [found, ...more] = frames.filter(frame => frame.tag === tag)
    assert.ok(found && more.length === 0)
    return found
  }

  for (const [major, start] of SERVERS) {
    it(`of PostgreSQL ${major} are decoded`, async () => {
      const upstream = await start()
      await connected(upstream, 'plain', async client => {
        const greeting = await ready(client, upstream)
        const settings = new Map(
          greeting
            .filter(frame => frame.tag === BackendTag.ParameterStatus)
            .map(decodeParameterStatus),
        )
        assert.match(settings.get('server_version') ?? '', new RegExp(`^${major}`))
        const key = decodeBackendKeyData(only(greeting, BackendTag.BackendKeyData))
        assert.equal(key.secret.length, 4)

        client.send(encodeQuery('select 1 as one, relname, ctid from pg_class where false'))
        const empty = await client.untilReady()
        assert.equal(tagsOf(empty), 'TCZ')
        const field = { typeModifier: -1, format: 0 }
        assert.deepEqual(decodeRowDescription(only(empty, BackendTag.RowDescription)), [
          { name: 'one', tableOid: 0, columnNumber: 0, typeOid: 23, typeSize: 4, ...field },
          { name: 'relname', tableOid: 1259, columnNumber: 2, typeOid: 19, typeSize: 64, ...field },
          { name: 'ctid', tableOid: 1259, columnNumber: -1, typeOid: 27, typeSize: 6, ...field },
        ])
        assert.equal(decodeCommandComplete(only(empty, BackendTag.CommandComplete)), 'SELECT 0')

        client.send(encodeQuery('begin; select nothing'))
        const failed = await client.untilReady()
        assert.equal(tagsOf(failed), 'CEZ')
        const fields = decodeErrorFields(only(failed, BackendTag.ErrorResponse))
        assert.equal(fields.get('C'), '42703')
        assert.equal(fields.get('P'), '15')
        assert.equal(decodeReadyForQuery(only(failed, BackendTag.ReadyForQuery)), 'E')
      })
    })

    it(`of ${MAX_STARTUP_BYTES} bytes start PostgreSQL ${major}, longer ones do not`, async () => {
      const upstream = await start()
      const answerTo = (bytes: number) =>
        connected(upstream, 'plain', async client => {
          const rest = encodeStartupMessage(
            new Map([
              ['user', 'a'],
              ['application_name', ''],
            ]),
          )
          const padding = 'x'.repeat(bytes - rest.length)
          client.send(
            encodeStartupMessage(
              new Map([
                ['user', 'a'],
                ['application_name', padding],
              ]),
            ),
          )
          return (await client.next())?.tag
        })
      assert.equal(await answerTo(MAX_STARTUP_BYTES), BackendTag.Authentication)
      assert.equal(await answerTo(MAX_STARTUP_BYTES + 1), undefined)
    })

    it(`that negotiate the protocol are what PostgreSQL ${major} sends`, async () => {
      const upstream = await start()
      await connected(upstream, 'plain', async client => {
        // Version 3.9999 and an option nobody knows.
        const body = hex("0003270f 'user' 00 'postgres' 00 '_pq_.x' 00 'y' 00 00")
        const length = Buffer.alloc(4)
        length.writeInt32BE(body.length + 4)
        client.send(length, body)
        const frame = await client.next()
        assert.deepEqual(frame?.buf, encodeNegotiateProtocolVersion(major < 18 ? 0 : 2, ['_pq_.x']))
      })
    })

    it(`that PostgreSQL ${major} confuses by their names are those refused`, async () => {
      const upstream = await start()
      await connected(upstream, 'plain', async client => {
        await ready(client, upstream)
        const run = async (...messages: Buffer[]) => {
          client.send(...messages, encodeSync())
          return tagsOf(await client.untilReady())
        }
        const parse = (name: Buffer, text: string) =>
          message('P', Buffer.concat([name, hex(`00 '${text}' 00 0000`)]))
        const bind = (name: Buffer) =>
          message('B', Buffer.concat([hex('00'), name, hex('00 0000 0000 0000')]))
        const a63 = 'a'.repeat(63)
        assert.equal(await run(parse(Buffer.from(`${a63}1`), 'select 1')), '1Z')
        assert.equal(await run(bind(Buffer.from(`${a63}2`))), '2Z')

        const accented = hex('c3a9')
        client.send(encodeQuery("set client_encoding to 'LATIN1'"))
        await client.untilReady()
        assert.equal(await run(parse(accented, 'select 1')), '1Z')
        client.send(encodeQuery("set client_encoding to 'UTF8'"))
        await client.untilReady()
        assert.equal(await run(parse(accented, 'select 2')), '1Z', 'no duplicate: another name')
      })
    })
  }

  it('cancel a statement with the long key of protocol 3.2', async () => {
    const upstream = await postgresTls()
    await connected(upstream, 'tls', async client => {
      const body = hex("00030002 'user' 00 'by_trust' 00 'database' 00 'postgres' 00 00")
      const length = Buffer.alloc(4)
      length.writeInt32BE(body.length + 4)
      client.send(length, body)
      const greeting = await client.untilReady()
      const { pid, secret } = decodeBackendKeyData(only(greeting, BackendTag.BackendKeyData))
      assert.equal(secret.length, 32)
      client.send(encodeQuery('select pg_sleep(20)'))
      const answer = client.untilReady()
      const cancel = () =>
        connected(upstream, 'tls', async other => {
          other.send(encodeCancelRequest(pid, secret))
          assert.equal(await other.next(), undefined)
        })
      // A cancel that comes before its statement does nothing, so ask until one has.
      let isDone = false
      const frames = answer.finally(() => {
        isDone = true
      })
      while (!isDone) {
        await cancel()
        await new Promise(resolve => setImmediate(resolve))
      }
      const error = only(await frames, BackendTag.ErrorResponse)
      assert.equal(decodeErrorFields(error).get('C'), '57014')
    })
  })
})
