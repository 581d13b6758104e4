import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import postgres from 'postgres'
import type { PolicyDocument } from '../../src/config/index.ts'
import type { Principal } from '../../src/identity/index.ts'
import { type AuditRecord, readRecords } from '../../src/record/index.ts'
import { encodeCancelRequest } from '../../src/wire/index.ts'
import { type BareGate, startBareGate } from '../helpers/bare-gate.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import { bind, execute, fieldsOf, parse, RawClient, sync } from '../helpers/raw.ts'
import { run } from '../helpers/run.ts'

const BEN: Principal = {
  issuer: 'https://issuer.example',
  subject: 'ben',
  user: 'ben@acme.example',
  name: 'Ben',
  groups: ['dba'],
  expiresAt: Number.MAX_SAFE_INTEGER,
}

/** Who deletes waits on the line for long, who updates hardly at all. */
const RULES: PolicyDocument['rules'] = (
  [
    ['deletes', 'DELETE', 20_000],
    ['updates', 'UPDATE', 100],
  ] as const
).map(([name, kind, holdMs]) => ({
  name,
  on: ['*'],
  when: { kind: [kind] },
  or: [],
  unless: [],
  effect: {
    does: 'approve',
    approve: { by: ['dba'], need: 1, expiresMs: 900_000, presence: undefined },
    holdMs,
    notify: [],
    inTransaction: 'wait',
  },
  say: undefined,
  next: undefined,
  at: 'policy.yaml:1',
}))

/** Waits for something to be there. */
async function eventually<T>(
  look: () => T | undefined | Promise<T | undefined>,
  what: string,
): Promise<T> {
  const deadline = Date.now() + 10_000
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    assert.ok(Date.now() < deadline, `${what} did not come about`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** What a statement failed with, as SQLSTATE and message. */
async function failure(running: PromiseLike<unknown>): Promise<string> {
  try {
    await running
  } catch (error) {
    assert.ok(error instanceof Error)
    return `${'code' in error ? error.code : ''} ${error.message}`
  }
  assert.fail('it ran')
}

describe('holds', () => {
  let database: Database
  let directory: string
  let gate: BareGate
  const clients: pg.Client[] = []

  before(async () => {
    database = await freshDatabase(await postgres18(), 'holds')
  })

  after(() => database.drop())

  const start = () => startBareGate(database, { policy: { rules: RULES }, directory })

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dbgate-holds-'))
    gate = await start()
    await database.query('drop table if exists t; create table t (i int, n int default 0)')
    await database.query('insert into t values (1), (2), (3)')
  })

  afterEach(async () => {
    for (const client of clients.splice(0)) await client.end().catch(() => {})
    await gate.close()
    await rm(directory, { recursive: true, force: true })
  })

  const client = async (): Promise<pg.Client> => {
    const one = new pg.Client(gate.url)
    one.on('error', () => {})
    clients.push(one)
    await one.connect()
    return one
  }
  const requests = () => gate.approvals.list({ principal: BEN, isAuditor: true }, { which: 'all' })
  const opened = () =>
    eventually(() => requests().find(({ state }) => state === 'open')?.id, 'a request')
  const reached = (state: string) =>
    eventually(() => requests().find(each => each.state === state)?.id, `a request ${state}`)
  const vote = (id: string, how: 'approve' | 'deny', comment = 'well') =>
    gate.approvals.decide(
      { id, vote: how, comment },
      { principal: BEN, presence: true, isAgent: false },
      { id: 'test', since: 0, rejudge: () => assert.fail('the policy is the same') },
    )
  const left = async () => {
    const found = await database.query('select i from t order by i')
    return found.rows.map(({ i }) => i)
  }
  const updates = async () => {
    const found = await database.query('select sum(n)::int as n from t')
    return found.rows[0]?.n
  }
  const recorded = async () => {
    const found: AuditRecord[] = []
    for await (const { record } of readRecords(gate.auditDirectory)) found.push(record)
    return found
  }

  describe('approved on the line, it runs once', () => {
    it('for psql', async () => {
      const args = ['-X', '-c', 'delete from t where i = 1', gate.url]
      const running = run('psql', args)
      const id = await opened()
      await vote(id, 'approve')
      const { code, stdout, stderr } = await running
      assert.equal(stdout.toString(), 'DELETE 1\n')
      assert.match(
        stderr.toString(),
        new RegExp(`held for approval as ${id} \\(rule deletes\\)\\. Waiting up to 20 s\\.`),
      )
      assert.match(stderr.toString(), new RegExp(`${id} approved by ben@acme\\.example, running`))
      assert.equal(code, 0)
      assert.deepEqual(await left(), [2, 3])
    })

    it('for pg, with its parameters', async () => {
      const one = await client()
      const running = one.query('delete from t where i = $1', [1])
      await vote(await opened(), 'approve')
      assert.equal((await running).rowCount, 1)
      assert.deepEqual(await left(), [2, 3])
    })

    it('for postgres.js, with its parameters', async () => {
      const sql = postgres(gate.url, { max: 1, onnotice: () => {} })
      try {
        const running = sql`delete from t where i = ${2}`.then(({ count }) => count)
        await vote(await opened(), 'approve')
        assert.equal(await running, 1)
        assert.deepEqual(await left(), [1, 3])
      } finally {
        await sql.end()
      }
    })
  })

  it('not decided in time: approved later, the same statement runs once', async () => {
    const one = await client()
    const text = 'update t set n = n + 1 where i = 1'
    const first = await failure(one.query(text))
    const id = await opened()
    assert.match(
      first,
      new RegExp(
        `^55000 dbgate: held as ${id} \\(rule updates\\), not run yet\\. A person in @dba`,
      ),
    )
    assert.match(
      await failure(one.query(text)),
      new RegExp(`^55000 dbgate: ${id} is still waiting`),
    )
    assert.equal(requests().length, 1)
    await vote(id, 'approve')
    assert.equal((await one.query(`  ${text} ; -- trace 17`)).rowCount, 1)
    assert.match(await failure(one.query(text)), /^55000 dbgate: held as /)
    assert.notEqual(await opened(), id)
    assert.equal(await updates(), 1)
  })

  it('changed a little: says where, and does not run', async () => {
    const one = await client()
    await failure(one.query('update t set n = n + 1 where i = 1'))
    await vote(await opened(), 'approve')
    const changed = await failure(one.query('update t set n = n + 1 where i = 2'))
    assert.match(changed, /^55000 dbgate: held as .*differs from approved .* at character 34,/)
    assert.equal(await updates(), 0)
  })

  it('another value is not covered', async () => {
    const one = await client()
    const text = 'update t set n = n + 1 where i = $1'
    await failure(one.query(text, [1]))
    await vote(await opened(), 'approve')
    assert.match(await failure(one.query(text, [2])), /^55000 .* in parameter 1,/)
    assert.equal((await one.query(text, [1])).rowCount, 1)
    assert.equal(await updates(), 1)
  })

  it('denied: 42501 with the reason, and the session goes on', async () => {
    const one = await client()
    const running = failure(one.query('delete from t'))
    await vote(await opened(), 'deny', 'wrong table')
    assert.match(await running, /^42501 dbgate: .* denied by ben@acme\.example: "wrong table"/)
    assert.equal((await one.query('select 1 as one')).rows[0]?.one, 1)
    assert.deepEqual(await left(), [1, 2, 3])
  })

  it('sent by two connections at once, an approved statement runs exactly once', async () => {
    const pair = [await client(), await client()]
    const text = 'update t set n = n + 1 where i = 3'
    await failure((await client()).query(text))
    await vote(await opened(), 'approve')
    const outcomes = await Promise.allSettled(pair.map(one => one.query(text)))
    assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    assert.equal(await updates(), 1)
    await eventually(async () => {
      const used = (await recorded()).filter(({ type }) => type === 'request.used')
      return used.length === 1 ? true : undefined
    }, 'one use on record')
  })

  it('approved before the gate starts anew, it still runs once', async () => {
    const text = 'update t set n = n + 1 where i = 2'
    await failure((await client()).query(text))
    await vote(await opened(), 'approve')
    await gate.close()
    gate = await start()
    const one = await client()
    assert.equal((await one.query(text)).rowCount, 1)
    assert.match(await failure(one.query(text)), /^55000 dbgate: held as/)
    assert.equal(await updates(), 1)
  })

  it('whoever leaves while it waits takes it along', async () => {
    const one = await client()
    const running = failure(one.query('delete from t'))
    await opened()
    const { connection } = one as unknown as { connection: { stream: Socket } }
    connection.stream.destroy()
    await running
    await reached('abandoned')
    assert.deepEqual(await left(), [1, 2, 3])
  })

  it('a CancelRequest ends the wait with 57014', async () => {
    const one = await client()
    const running = failure(one.query('delete from t'))
    await opened()
    const { processID, secretKey } = one as unknown as { processID: number; secretKey: number }
    const secret = Buffer.alloc(4)
    secret.writeInt32BE(secretKey)
    const socket = connect(gate.port, '127.0.0.1')
    socket.end(encodeCancelRequest(processID, secret))
    await once(socket, 'close')
    assert.match(await running, /^57014 dbgate: .* was cancelled while it waited\. Not run\./)
    await reached('abandoned')
    assert.equal((await one.query('select 1 as one')).rows[0]?.one, 1)
    assert.deepEqual(await left(), [1, 2, 3])
  })

  it('a server that goes down says 55000 and ends the session; the request lives on', async () => {
    const one = await client()
    const ended = new Promise(resolve => one.once('end', resolve))
    const running = failure(one.query('delete from t'))
    const id = await opened()
    const startedAt = performance.now()
    await gate.gate.drain(15_000)
    assert.ok(performance.now() - startedAt < 10_000, 'it waited for the session in vain')
    assert.match(await running, new RegExp(`^55000 dbgate: held as ${id}`))
    await ended
    assert.equal(await opened(), id)
    assert.deepEqual(await left(), [1, 2, 3])
  })

  it('what is pipelined behind it waits, and runs in order', async () => {
    const raw = await RawClient.open(gate.port, { user: 'postgres', database: database.name })
    const count = [parse('select count(*) from t'), bind(), execute()]
    raw.send(...count, parse('delete from t where i < 3'), bind(), execute(), ...count, sync)
    await vote(await opened(), 'approve')
    const frames = await raw.until(({ tag }) => tag === 'Z')
    assert.deepEqual(
      frames.filter(({ tag }) => tag === 'C').map(({ body }) => body.toString('latin1', 0, 8)),
      ['SELECT 1', 'DELETE 2', 'SELECT 1'],
    )
    assert.deepEqual(
      frames.filter(({ tag }) => tag === 'D').map(({ body }) => body.toString('latin1', 6)),
      ['3', '1'],
    )
    assert.ok(frames.every(one => one.tag !== 'E' || fieldsOf(one).C === undefined))
    await raw.hangUp()
  })

  it('is on record from the request to the run', async () => {
    const one = await client()
    const running = one.query('delete from t where i = 1')
    const id = await opened()
    await vote(id, 'approve')
    await running
    const records = await eventually(async () => {
      const all = await recorded()
      return all.some(({ type }) => type === 'request.used') ? all : undefined
    }, 'the use on record')
    const types = records.map(({ type }) => type).filter(type => type.startsWith('request.'))
    assert.deepEqual(types, ['request.filed', 'request.voted', 'request.settled', 'request.used'])
    const statement = records.find(record => record.type === 'statement')
    assert.ok(statement?.type === 'statement')
    assert.deepEqual(
      [statement.text, statement.verdict, statement.request, statement.rule],
      ['delete from t where i = 1', 'hold', id, 'deletes'],
    )
  })

  describe('about many rows', () => {
    const MANY: PolicyDocument['rules'] = [
      {
        name: 'many',
        on: ['*'],
        when: { class: ['write'], rowsEstimate: { atLeast: 1000, text: '>= 1000' } },
        or: [],
        unless: [],
        effect: { does: 'deny' },
        say: undefined,
        next: undefined,
        at: 'policy.yaml:1',
      },
    ]

    beforeEach(async () => {
      await database.query('insert into t select i from generate_series(4, 5000) as i')
      await database.query('create index on t (i); analyze t')
    })

    it('shows how many rows it is about, as the planner sees it', async () => {
      const one = await client()
      const running = failure(one.query('update t set n = 1'))
      const found = await eventually(
        () => requests().find(({ kind }) => kind === 'statement'),
        'one',
      )
      assert.ok(found.kind === 'statement')
      assert.equal(found.statement.rowsEstimate, 5000)
      assert.match(await running, /^55000 /)
    })

    for (const [how, asked] of [
      ['simple', (text: string) => [text] as const],
      ['extended', (text: string) => [text.replace('1', '$1'), [1]] as const],
    ] as const) {
      it(`refuses what is about many rows and lets through what is not (${how})`, async () => {
        await gate.close()
        gate = await startBareGate(database, { policy: { rules: MANY }, directory })
        const one = await client()
        const send = (text: string) => {
          const [sql, values] = asked(text)
          return one.query(sql, values?.slice())
        }
        const few = await send('update t set n = 5 where i = 1')
        assert.equal(few.rowCount, 1)
        assert.match(
          await failure(send('update t set n = 6 where n < 100 and i > 1')),
          /^42501 .*many/,
        )
        assert.match(await failure(one.query('update t set n = 7; select 1')), /^42501 .*many/)
        await one.query('set search_path = public')
        assert.match(await failure(send('update t set n = 5 where i = 1')), /^42501 .*many/)
        assert.match(await failure(send('update t set n = 8 where i = 1')), /^42501 .*many/)
      })
    }

    const outside = async () => {
      const one = new pg.Client(database.url)
      clients.push(one)
      await one.connect()
      return one
    }

    it('says for programs which rule it was, and for people where it is on record', async () => {
      await gate.close()
      gate = await startBareGate(database, { policy: { rules: MANY }, directory })
      const one = await client()
      for (const values of [undefined, []]) {
        const error = await one.query('update t set n = 9', values).then(
          () => assert.fail('it ran'),
          (thrown: pg.DatabaseError) => thrown,
        )
        assert.equal(error.constraint, 'many')
        const [, id] = /^See why: dbgate policy explain (s-\w+\.\d+)$/.exec(error.hint ?? '') ?? []
        const isIt = (each: AuditRecord) => each.type === 'denied' && each.id === id
        await eventually(async () => (await recorded()).find(isIt), `the record of ${id}`)
      }
    })

    it('waits no longer for an estimate than it must', async () => {
      await gate.close()
      gate = await startBareGate(database, { policy: { rules: MANY }, directory })
      const one = await client()
      await one.query('select i from t where i = 1')
      const locker = await outside()
      await locker.query('begin; lock table t in access exclusive mode')
      const before = Date.now()
      assert.match(await failure(one.query('update t set n = 5 where i = 2')), /^42501 .*many/)
      assert.ok(Date.now() - before < 10_000)
      await locker.query('rollback')
    })
  })
})
