import assert from 'node:assert/strict'
import pg from 'pg'
import { type BareGate, startBareGate } from '../helpers/bare-gate.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import {
  bind,
  copyData,
  cstring,
  execute,
  fieldsOf,
  frame,
  int16,
  int32,
  parse,
  query,
  RawClient,
  type RawFrame,
  startup,
  sync,
} from '../helpers/raw.ts'
import { until } from '../helpers/run.ts'
import { SEED } from '../helpers/seed.ts'

const MESSAGE_BYTES = 4 * 1024 ** 2

const packet = (code: number, body: Buffer = Buffer.alloc(0)) =>
  Buffer.concat([int32(body.length + 8), int32(code), body])
const ssl = packet(80877103)
const gss = packet(80877104)

// What may come first on a tunnel. Each must end in an answer or a close, soon after the peer hangs up.
const OPENINGS: Readonly<Record<string, Buffer>> = {
  'length 0': int32(0),
  'length 1': int32(1),
  'length 3': int32(3),
  'length 4, no code': int32(4),
  'length 7': Buffer.concat([int32(7), Buffer.alloc(3)]),
  'a negative length': Buffer.concat([int32(-1), int32(196608)]),
  'the most negative length': int32(0x80000000),
  'the largest length': Buffer.concat([int32(0x7fffffff), int32(196608)]),
  'a startup of 10,001 bytes': startup({ user: 'u', x: 'y'.repeat(10_001) }),
  'an HTTP request': Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
  'a TLS ClientHello': Buffer.from('16030102000100fc0303'.padEnd(1024, 'ab'), 'hex'),
  'an SSH banner': Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'),
  'only zeros': Buffer.alloc(64),
  'only 0xff': Buffer.alloc(64, 0xff),
  'protocol 2.0': startup({ user: 'u' }, 0x20000),
  'protocol 4.0': startup({ user: 'u' }, 0x40000),
  'no terminator': Buffer.concat([int32(13), int32(196608), cstring('user')]),
  'a name without a value': Buffer.concat([int32(14), int32(196608), cstring('user'), cstring('')]),
  'bytes after the terminator': Buffer.concat([
    int32(21),
    int32(196608),
    ...[cstring('user'), cstring('u'), Buffer.alloc(6)],
  ]),
  'no user': startup({ database: 'd' }),
  'replication=true': startup({ user: 'u', replication: 'true' }),
  'replication=database': startup({ user: 'u', replication: 'database' }),
  'replication=1': startup({ user: 'u', replication: '1' }),
  'replication=on': startup({ user: 'u', replication: 'on' }),
  'replication=yes': startup({ user: 'u', replication: 'yes' }),
  'a database not granted': startup({ user: 'u', database: 'postgres' }),
  'a cancel of nobody': packet(80877102, Buffer.concat([int32(1), int32(2)])),
  'a cancel with a key too short': packet(80877102, int32(1)),
  'a cancel with a key too long': packet(80877102, Buffer.alloc(2000)),
  'GSSENCRequest, then garbage': Buffer.concat([gss, Buffer.alloc(32, 7)]),
  'SSLRequest, then garbage': Buffer.concat([ssl, Buffer.alloc(32, 7)]),
  'SSLRequest, again and again': Buffer.concat(Array.from({ length: 50 }, () => ssl)),
}

// What somebody with a session may say. The session may end; it must say why or just end, soon.
const MESSAGES: Readonly<Record<string, readonly Buffer[]>> = {
  'an unknown tag': [frame('z')],
  'tag 0': [frame('\0')],
  "a backend's tag": [frame('T', int16(0)), frame('Z', Buffer.from('I'))],
  'length 0': [frame('Q', Buffer.alloc(0), 0)],
  'length 3': [frame('Q', Buffer.alloc(0), 3)],
  'a negative length': [frame('Q', cstring('select 1'), -5)],
  'the largest length': [frame('Q', cstring('select 1'), 0x7fffffff)],
  'a query without its NUL': [frame('Q', Buffer.from('select 1'))],
  'a query with an empty body': [frame('Q')],
  'a query with bytes after its NUL': [frame('Q', Buffer.from('select 1\0; drop table victims\0'))],
  'a query larger than allowed': [query(`select '${'x'.repeat(MESSAGE_BYTES)}'`)],
  'a parse without its NULs': [frame('P', Buffer.from('abc'))],
  'a parse with types that are not there': [
    frame('P', Buffer.concat([cstring(''), cstring('select 1'), int16(9000)])),
  ],
  'a parse with a negative count': [
    frame('P', Buffer.concat([cstring(''), cstring('select 1'), int16(-1)])),
  ],
  'a parse with bytes left over': [
    frame('P', Buffer.concat([cstring(''), cstring('select 1'), int16(0), Buffer.from('more')])),
  ],
  'a bind with formats that are not there': [
    frame('B', Buffer.concat([cstring(''), cstring(''), int16(65_535)])),
  ],
  'a bind with values that are not there': [
    frame('B', Buffer.concat([cstring(''), cstring(''), int16(0), int16(3), int32(1)])),
  ],
  'a bind with a value of length -2': [
    parse('select $1::text'),
    frame('B', Buffer.concat([cstring(''), cstring(''), int16(0), int16(1), int32(-2), int16(0)])),
  ],
  'a bind with a value longer than itself': [
    frame('B', Buffer.concat([cstring(''), cstring(''), int16(0), int16(1), int32(0x7fffffff)])),
  ],
  'a bind with bytes left over': [
    frame('B', Buffer.concat([cstring(''), cstring(''), int16(0), int16(0), int16(0), int16(0)])),
  ],
  'a describe of kind X': [frame('D', cstring('Xname'))],
  'a close of kind X': [frame('C', cstring('Xname'))],
  'an empty describe': [frame('D')],
  'a truncated execute': [frame('E', cstring('p'))],
  'an execute with a negative row limit': [parse('select 1'), bind(), execute('', -1), sync],
  'a sync with a body': [frame('S', Buffer.from('body'))],
  'a name of 70 bytes': [parse('select 1', 'n'.repeat(70)), sync],
  'a function call of nothing': [
    frame('F', Buffer.concat([int32(1), int16(0), int16(0), int16(0)])),
  ],
  'a truncated function call': [frame('F', int32(1))],
  'a password in the middle': [frame('p', cstring('secret'))],
  'a startup packet in the middle': [startup({ user: 'postgres' })],
  'an SSLRequest in the middle': [ssl],
  'a query during copy in': [query('copy victims from stdin'), query('select 1')],
  'a parse during copy in': [query('copy victims from stdin'), parse('select 1'), sync],
  'a lie about length during copy in': [
    query('copy victims from stdin'),
    frame('d', Buffer.from('1\n'), 0x7ffffff0),
  ],
  'an unknown tag during copy in': [query('copy victims from stdin'), frame('!')],
  'one row and a hang-up during copy in': [query('copy victims from stdin'), copyData('1\n')],
  'half a message': [query('select 1').subarray(0, 7)],
  'half a header': [Buffer.from('Q\0\0')],
}

describe('hostile clients', function () {
  this.timeout(60_000)
  let database: Database
  let gate: BareGate
  let healthy: pg.Client

  before(async () => {
    database = await freshDatabase(await postgres18(), 'hostile')
    await database.query('create table victims (n int); insert into victims values (7)')
    gate = await startBareGate(database, { messageBytes: MESSAGE_BYTES })
    healthy = new pg.Client({ connectionString: gate.url })
    await healthy.connect()
  })

  after(async () => {
    await healthy.end()
    await gate.close()
    await database.drop()
  })

  // The old session goes on, a new one can be had, nothing was changed, nothing is left upstream.
  afterEach('every other session is well', async () => {
    assert.deepEqual((await healthy.query('select n from victims')).rows, [{ n: 7 }])
    const another = new pg.Client({ connectionString: gate.url })
    await another.connect()
    assert.deepEqual((await another.query('select $1::int as n', [5])).rows, [{ n: 5 }])
    await another.end()
    await until('no session is left upstream', async () => {
      const { rows } = await database.query(
        `select count(*)::int as n from pg_stat_activity
         where datname = current_database() and backend_type = 'client backend'`,
      )
      return rows[0].n === 2 // this query's and the healthy one
    })
    assert.equal(gate.gate.sessions.length, 1)
  })

  describe('before a session', () => {
    for (const [name, bytes] of Object.entries(OPENINGS)) {
      it(`${name}: an answer or a close`, async () => {
        const client = await RawClient.dial(gate.port)
        client.send(bytes)
        const frames = await client.hangUp(3000)
        assert.ok(
          !frames.some(({ tag }) => tag === 'R' || tag === 'K' || tag === 'Z'),
          'no session',
        )
      })
    }

    it('refuses replication with 0A000', async () => {
      const client = await RawClient.dial(gate.port)
      client.send(startup({ user: 'u', replication: 'database' }))
      const [error] = await client.until(({ tag }) => tag === 'E')
      assert.equal(error && fieldsOf(error).C, '0A000')
      client.socket.destroy()
    })

    it('does not take a user from the startup packet, however it is smuggled in', async () => {
      const pairs = ['user', 'u', 'application_name', 'x', 'user', 'pg_monitor', 'database']
      const body = Buffer.concat([
        int32(196608),
        ...[...pairs, database.name].map(cstring),
        Buffer.alloc(1),
      ])
      const client = await RawClient.dial(gate.port)
      client.send(Buffer.concat([int32(body.length + 4), body]))
      const answer = await client.until(({ tag }) => tag === 'Z' || tag === 'E')
      if (answer.at(-1)?.tag === 'Z') {
        client.send(query('select session_user'))
        const rows = await client.until(({ tag }) => tag === 'Z')
        const row = rows.find(({ tag }) => tag === 'D')
        assert.match(row?.body.toString('latin1') ?? '', /postgres$/)
      }
      client.socket.destroy()
    })

    it('closes on somebody who hangs up at once', async () => {
      const client = await RawClient.dial(gate.port)
      await client.hangUp(3000)
    })
  })

  describe('within a session', () => {
    for (const [name, messages] of Object.entries(MESSAGES)) {
      it(`${name}: an answer or a close, soon`, async () => {
        const client = await openSession()
        client.send(...messages)
        const frames = await client.hangUp(5000)
        const last = frames.filter(({ tag }) => tag === 'E').at(-1)
        if (last !== undefined) assert.match(fieldsOf(last).C ?? '', /^[0-9A-Z]{5}$/)
      })
    }

    it('says 08P01 for what is not the protocol, and ends the session', async () => {
      for (const bytes of [
        frame('z'),
        frame('Q', Buffer.from('select 1')),
        frame('E', cstring('p')),
      ]) {
        const client = await openSession()
        client.send(bytes)
        const frames = await client.until(() => false, 5000)
        assert.deepEqual(codes(frames), ['08P01'])
        client.socket.destroy()
      }
    })

    it('says 54000 for a message beyond the limit without waiting for its body', async () => {
      const client = await openSession()
      client.send(frame('Q', Buffer.alloc(0), MESSAGE_BYTES + 100))
      assert.deepEqual(codes(await client.until(() => false, 5000)), ['54000'])
      client.socket.destroy()
    })

    it('refuses an unknown function call with 0A000 and goes on', async () => {
      const client = await openSession()
      const call = frame('F', Buffer.concat([int32(1598), int16(0), int16(0), int16(0)]))
      client.send(call, query('select 1'))
      const first = await client.until(({ tag }) => tag === 'Z')
      const second = await client.until(({ tag }) => tag === 'Z')
      assert.deepEqual(codes(first), ['0A000'])
      assert.deepEqual(second.map(({ tag }) => tag).join(''), 'TDCZ')
      client.socket.destroy()
    })

    it('answers 10,000 tiny messages', async () => {
      const client = await openSession()
      client.send(...Array.from({ length: 10_000 }, () => sync))
      let ready = 0
      await client.until(({ tag }) => tag === 'Z' && ++ready === 10_000, 30_000)
      client.send(...Array.from({ length: 10_000 }, () => frame('H')), sync)
      await client.until(({ tag }) => tag === 'Z')
      client.socket.destroy()
    })

    it('answers 5,000 pipelined queries in order', async () => {
      const client = await openSession()
      client.send(...Array.from({ length: 5000 }, (_, i) => query(`select ${i}`)))
      let ready = 0
      const frames = await client.until(({ tag }) => tag === 'Z' && ++ready === 5000, 50_000)
      const rows = frames
        .filter(({ tag }) => tag === 'D')
        .map(({ body }) => body.toString('latin1', 6))
      assert.deepEqual(
        rows,
        Array.from({ length: 5000 }, (_, i) => String(i)),
      )
      client.socket.destroy()
    })

    it('answers a message that comes byte by byte', async () => {
      const client = await openSession()
      for (const byte of query(`select 'slowly'`)) {
        client.send(Buffer.of(byte))
        await new Promise(resolve => setImmediate(resolve))
      }
      const frames = await client.until(({ tag }) => tag === 'Z')
      assert.equal(frames.map(({ tag }) => tag).join(''), 'TDCZ')
      client.socket.destroy()
    })

    it('ends the upstream session of a client that vanishes in the middle of a result', async () => {
      const client = await openSession()
      client.send(query(ENDLESS))
      await until('it runs', async () => (await database.query(SLEEPING)).rows[0].n === 1)
      client.socket.resetAndDestroy()
      await until('it is gone', async () => (await database.query(SLEEPING)).rows[0].n === 0)
    })

    it(`survives random frames (seed ${SEED})`, async () => {
      const random = mulberry32(SEED)
      for (let round = 0; round < 120; round++) {
        const client = await openSession()
        for (let i = 0; i < 1 + random() * 6; i++) client.send(randomMessage(random))
        const frames = await client.hangUp(8000).catch(cause => {
          throw new Error(`round ${round} of seed ${SEED}`, { cause })
        })
        for (const one of frames) assert.match(one.tag, /^[123ACDEGHINSTZVWcdnst]$/)
      }
    })
  })

  // PostgreSQL notices a lost client when it has something to send; it is no different behind the gate.
  const ENDLESS = `select repeat('x', 10000), pg_sleep(0.005) from generate_series(1, 1000000)`
  const SLEEPING = `select count(*)::int as n from pg_stat_activity
    where query like 'select repeat(%' and state = 'active'`

  function openSession(): Promise<RawClient> {
    return RawClient.open(gate.port, { user: 'u', database: database.name })
  }

  function codes(frames: readonly RawFrame[]): (string | undefined)[] {
    return frames.filter(({ tag }) => tag === 'E').map(one => fieldsOf(one).C)
  }
})

/** A small generator whose whole state is its seed, so that a red run can be run again. */
function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

const TAGS = 'QPBDECSHdcfFXp'

function randomMessage(random: () => number): Buffer {
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)]
  const bytes = (count: number) =>
    Buffer.from(Array.from({ length: count }, () => Math.floor(random() * 256)))
  const tag = random() < 0.9 ? (pick([...TAGS]) ?? 'Q') : String.fromCharCode(random() * 256)
  const bodies = [
    () => bytes(Math.floor(random() * 60)),
    () => cstring('select 1'),
    () => Buffer.concat([cstring(''), cstring('select $1::int'), int16(random() * 4)]),
    () => Buffer.concat([cstring(''), cstring(''), bytes(Math.floor(random() * 12))]),
    () => Buffer.concat([cstring('P'), int32(random() * 2 ** 32)]),
    () => Buffer.alloc(0),
  ]
  const body = pick(bodies)?.() ?? Buffer.alloc(0)
  const isHonest = random() < 0.7
  return frame(tag, body, isHonest ? body.length + 4 : Math.floor((random() - 0.3) * 200))
}
