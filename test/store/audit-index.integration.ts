import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { AuditIndex, SearchOptions } from '../../src/store/index.ts'
import { sessionFacts, selectFacts as statementFacts } from '../record/builders.ts'
import { Place, type Told, tell } from './builders.ts'

const reads = (table: string, schema?: string) => ({
  statements: [
    { kind: 'SELECT', class: 'read', relations: [{ schema, name: table, access: 'read' }] },
  ],
})
const writes = (kind: string, table: string) => ({
  statements: [
    { kind, class: 'write', relations: [{ schema: 'public', name: table, access: 'write' }] },
  ],
})
const ana = { id: 's-anaaaa', agent: 'claude' }
const ben = {
  id: 's-benbbb',
  agent: 'psql',
  target: 'staging',
  role: 'writer',
  principal: { issuer: 'i', subject: '2', user: 'ben@acme.dev', name: 'Ben', groups: [] },
}
const BEN = { issuer: 'i', subject: '2' }
const STATEMENTS: Told[] = [
  { session: ana, text: 'SELECT id, total_cents FROM public.orders', ...reads('orders', 'public') },
  { session: ana, text: 'select * from tmp_orders', ...reads('tmp_orders'), end: { rows: 5000 } },
  {
    session: ben,
    text: "UPDATE orders SET status = 'stale'\n  WHERE id = 42",
    ...writes('UPDATE', 'orders'),
    end: { rows: 3, durationUs: 250_000, tag: 'UPDATE 3' },
  },
  {
    session: ben,
    text: 'DROP TABLE orders',
    statements: [{ kind: 'DROP', class: 'ddl', relations: [] }],
    verdict: 'deny',
    rule: 'no-drop',
  },
  {
    session: ana,
    text: 'BEGIN; DELETE FROM "Übung"',
    statements: [
      { kind: 'BEGIN', class: 'transaction', relations: [] },
      {
        kind: 'DELETE',
        class: 'write',
        relations: [{ schema: 'public', name: 'Übung', access: 'write' }],
      },
    ],
    end: { outcome: 'error', sqlstate: '42P01', rows: 0 },
  },
]

describe('store/audit-index', () => {
  describe('search', () => {
    const place = new Place()
    let index: AuditIndex
    let ids: string[]

    before(async () => {
      const log = await place.openLog()
      place.at -= 3_600_000
      ids = tell(log, STATEMENTS, number => {
        if (number === 2) place.at += 3_600_000
      })
      index = await place.openIndex()
    })
    after(() => place.close())

    const cases: [string, number[], SearchOptions?][] = [
      ['', [0, 1, 2, 3, 4]],
      ['orders', [0, 1, 2, 3]],
      ['ORD', [0, 1, 2, 3]],
      ['tmp_ord', [1]],
      ['tmp_orders*', [1]],
      ['rders', []],
      ['user', []],
      ['verdict', []],
      ['*rders', [0, 1, 2, 3]],
      ['cents', [0]],
      ['public.orders', [0]],
      ['"from public.orders"', [0]],
      ['"\'stale\' WHERE id"', [2]],
      ['"where stale"', []],
      ['=', [2]],
      ['%', []],
      ['übung', [4]],
      ['"DELETE FROM \\"', []],
      ['orders stale', [2]],
      ['orders -tmp_orders', [0, 2, 3]],
      ['-orders', [4]],
      ['-"public.orders"', [1, 2, 3, 4]],
      ['user:ana', [0, 1, 4]],
      ['user:ana@acme.dev', [0, 1, 4]],
      ['user:an', []],
      ['user:an*', [0, 1, 4]],
      ['user:ana,ben kind:update,drop', [2, 3]],
      ['connection:staging', [2, 3]],
      ['target:prod role:reader', [0, 1, 4]],
      ['verdict:denied', [3]],
      ['verdict:allowed,held class:write', [2, 4]],
      ['-verdict:deny -class:read', [2, 4]],
      ['table:orders', [0, 2]],
      ['table:public.orders,TMP_ORDERS', [0, 1, 2]],
      ['table:übung', [4]],
      ['kind:begin kind:delete', [4]],
      ['via:claude', [0, 1, 4]],
      ['rule:no-drop', [3]],
      ['rule:"role reader may read" user:ben', [2]],
      ['session:s-ben', [2, 3]],
      ['rows:>1000', [1]],
      ['rows:>=1000', [1]],
      ['rows:5000', [1]],
      ['rows:>5000', []],
      ['rows:>1000 tmp', [1]],
      ['rows:>2', [1, 2]],
      ['rows:3', [2]],
      ['-rows:>1', [0, 3, 4]],
      ['ms:>=250', [2]],
      ['outcome:error', [4]],
      ['-outcome:ok', [3, 4]],
      ['sqlstate:42P01', [4]],
      ['', [2, 3, 4], { since: Date.parse('2026-03-02T12:00:00Z') }],
      ['orders', [0, 1], { until: Date.parse('2026-03-02T11:30:00Z') }],
      ['', [], { since: Date.parse('2027-01-01T00:00:00Z') }],
      ['', [], { until: Date.parse('2020-01-01T00:00:00Z') }],
      ['', [3, 4], { limit: 2 }],
      ['orders', [2, 3], { limit: 2 }],
      ['', [2, 3], { only: BEN }],
      ['user:ana', [], { only: BEN }],
      ['-user:ben', [], { only: BEN }],
      ['', [], { only: { issuer: 'other', subject: '2' } }],
    ]
    for (const [query, found, options = {}] of cases) {
      it(`finds ${found.length} of ${JSON.stringify(query)} ${JSON.stringify(options)}`, async () => {
        const rows = await index.search(query, options)
        assert.deepEqual(
          rows.map(row => row.id),
          found.map(number => ids[number]),
        )
      })
    }

    it('gives everything a row of the list shows', async () => {
      const [row] = await index.search('status')
      assert.ok(row !== undefined)
      const { sha256, n, ...rest } = row
      const line = readFileSync(join(place.logDir, 'audit-000001.log'), 'utf8')
        .split('\n')
        .find(each => each.includes(`"id":"${row.id}"`))
      assert.ok(line?.startsWith(`${sha256} {"n":${n},`))
      const sql = "UPDATE orders SET status = 'stale'\n  WHERE id = 42"
      assert.deepEqual(rest, {
        v: 1,
        id: 's-benbbb.1',
        t: '2026-03-02T12:00:00.000Z',
        user: 'ben@acme.dev',
        via: 'psql',
        target: 'staging',
        role: 'writer',
        session: 's-benbbb',
        class: 'write',
        kind: 'UPDATE',
        tables: ['public.orders'],
        sql,
        sql_sha256: createHash('sha256').update(sql).digest('hex'),
        background: false,
        request: null,
        request_state: null,
        approved_by: [],
        masked: [],
        verdict: 'allow',
        rule: 'role reader may read',
        outcome: 'ok',
        rows: 3,
        bytes: 10,
        ms: 250,
        sqlstate: null,
        client: 'psql',
        ip: '10.0.0.7',
      })
    })

    it('goes by the strongest of several statements, and knows what was never completed', async () => {
      const [multi] = await index.search('kind:begin')
      assert.deepEqual([multi?.kind, multi?.class], ['DELETE', 'write'])
      const [denied] = await index.search('verdict:denied')
      assert.deepEqual([denied?.rows, denied?.ms, denied?.outcome], [null, null, null])
    })

    it('says what is wrong with a query', async () => {
      await assert.rejects(index.search('colour:red'), { code: 'USAGE' })
    })

    it('lists sessions with what happened in them', async () => {
      const sessions = await index.sessions()
      assert.deepEqual(
        sessions.map(({ id, user, statements, denied, rows }) => [
          id,
          user,
          statements,
          denied,
          rows,
        ]),
        [
          ['s-anaaaa', 'ana@acme.dev', 3, 0, 5001],
          ['s-benbbb', 'ben@acme.dev', 2, 1, 3],
        ],
      )
      const one = await index.sessions({ id: 's-b', target: 'staging', only: BEN })
      assert.partialDeepStrictEqual(one, [
        { database: 'app', ip: '10.0.0.7', started_at: '2026-03-02T12:00:00.000Z', ended_at: null },
      ])
      assert.deepEqual(await index.sessions({ user: 'nobody' }), [])
    })
  })

  it('finds a statement as soon as its commit has returned, and its end later', async () => {
    const place = new Place()
    try {
      const log = await place.openLog()
      const index = await place.openIndex()
      const session = log.begin({
        ...(await import('../record/builders.ts')).sessionFacts('s-now'),
      })
      for (let i = 0; i < 30; i++) {
        const id = session.stage({
          protocol: 'simple',
          text: `SELECT ${i}`,
          statements: [],
          verdict: 'allow',
          rule: 'r',
        })
        session.commit()
        const found = await index.search(`session:s-now "SELECT ${i}"`)
        assert.deepEqual(
          found.map(row => [row.id, row.outcome]),
          [[id, null]],
        )
        session.complete(id, { outcome: 'ok', rows: i, bytes: 1, durationUs: 1 })
      }
      session.end('bye')
      log.append({ type: 'server.stop', reason: 'x' })
      assert.equal((await index.search('session:s-now outcome:ok')).length, 30)
      const [row] = await index.sessions()
      assert.deepEqual([row?.reason, row?.rows, row?.statements], ['bye', 435, 30])
    } finally {
      await place.close()
    }
  })

  it('finds what was asked, approved, masked, and hides what tools ask by themselves', async () => {
    const place = new Place()
    try {
      const log = await place.openLog()
      const approved: Told = {
        ...{ session: ana, text: 'DELETE FROM orders', request: 'h-7f3k' },
        ...{ verdict: 'hold' as const, rule: 'writes' },
      }
      const said = { issuer: 'i', subject: '2', user: 'ben@acme.dev' }
      log.note({
        ...{ type: 'request.filed', id: 'h-7f3k', state: 'waiting', ...said, agent: '' },
        ...{ target: 'prod', role: 'writer', rule: 'writes', by: ['dba'], need: 1, expires: 'x' },
        ...{ session: 's-held', text: 'DELETE FROM orders' },
      })
      const held = statementFacts('DELETE FROM orders', { verdict: 'hold', rule: 'writes' })
      log.begin(sessionFacts('s-held')).deny(held)
      log.note({ type: 'request.voted', id: 'h-7f3k', vote: 'approve', ...said, presence: false })
      log.note({ type: 'request.settled', id: 'h-7f3k', state: 'approved' })
      const catalog = (name: string) => ({
        kind: 'SELECT',
        class: 'read',
        relations: [{ name, schema: 'pg_catalog', access: 'read' }],
      })
      const ids = tell(log, [
        approved,
        { text: 'select relname from pg_catalog.pg_class', statements: [catalog('pg_class')] },
        { text: '/* ping */ SELECT 1;' },
        { text: 'select query from pg_stat_activity', statements: [catalog('pg_stat_activity')] },
        { text: 'select my_fn() from pg_class', statements: [catalog('pg_class')] },
        { text: 'SET ROLE boss', statements: [{ kind: 'SET', class: 'session', relations: [] }] },
        { text: 'SELECT email FROM users', end: { masked: ['public.users.email'] } },
      ])
      const index = await place.openIndex()
      const found = async (query: string, options: SearchOptions = {}) =>
        (await index.search(query, options)).map(({ id }) => ids.indexOf(id))
      assert.deepEqual(await found('request:h-7f3k'), [-1, 0])
      assert.deepEqual(await found('verdict:approved'), [0])
      const [row] = await index.search('verdict:approved')
      assert.deepEqual(
        [row?.request, row?.request_state, row?.approved_by],
        ['h-7f3k', 'approved', ['ben@acme.dev']],
      )
      assert.deepEqual(await found('background:yes'), [1, 2])
      assert.deepEqual(await found('', { hideBackground: true }), [-1, 0, 3, 4, 5, 6])
      assert.deepEqual(await found('background:yes,no pg_class', { hideBackground: true }), [1, 4])
      assert.deepEqual(await found('masked:users.email'), [6])
      assert.deepEqual(await found('masked:email'), [6])
      assert.deepEqual(await found('masked:orders.email'), [])
      assert.deepEqual(await found(`id:${ids[3]}`), [3])
      const counts = await index.count('class:read', { hideBackground: true })
      assert.deepEqual(counts, { matches: 5, hidden: 2, total: 8, limit: 2000 })
      const until = place.at - 1
      assert.equal((await index.count('', { until })).total, 0)
      assert.equal((await index.count('', { since: until })).total, 8)
      const rows = await index.search('', { limit: 2 })
      assert.deepEqual(await found('', { after: rows[0]?.n, limit: 5 }), [6])
      await assert.rejects(index.search('background:perhaps'), { code: 'USAGE' })
    } finally {
      await place.close()
    }
  })

  it('keeps apart two sessions that got the same id', async () => {
    const place = new Place()
    try {
      const log = await place.openLog()
      tell(log, [{ session: { ...ana, id: 's-same' }, text: 'SELECT ana', end: { rows: 1 } }])
      tell(log, [{ session: { ...ben, id: 's-same' }, text: 'SELECT ben', end: { rows: 2 } }])
      const index = await place.openIndex()
      tell(log, [{ session: { ...ana, id: 's-same' }, text: 'SELECT more', end: { rows: 3 } }])
      const found = await index.search('session:s-same')
      assert.deepEqual(
        found.map(({ user, sql, rows }) => [user, sql, rows]),
        [
          ['ana@acme.dev', 'SELECT ana', 1],
          ['ben@acme.dev', 'SELECT ben', 2],
          ['ana@acme.dev', 'SELECT more', 3],
        ],
      )
      assert.deepEqual(
        (await index.sessions()).map(({ rows }) => rows),
        [1, 2, 3],
      )
    } finally {
      await place.close()
    }
  })

  it('finds statements of an hour that came twice, when the clock was set back', async () => {
    const place = new Place()
    try {
      const log = await place.openLog()
      const at = place.at
      for (const step of [0, 3_600_000, 0]) {
        place.at = at + step
        tell(log, [{ session: { id: `s-${log.head.n}` }, text: `SELECT ${step}` }])
      }
      const index = await place.openIndex()
      assert.equal((await index.search('', { until: at + 1000 })).length, 2)
      assert.equal((await index.search('', { since: at + 1000 })).length, 1)
    } finally {
      await place.close()
    }
  })

  const damages: [string, (file: string) => void][] = [
    ['is missing', file => rmSync(file)],
    ['is empty', file => truncateSync(file, 0)],
    ['is cut off', file => truncateSync(file, 9000)],
    ['is no database', file => writeFileSync(file, 'x'.repeat(20_000))],
    [
      'has holes',
      file =>
        writeFileSync(file, readFileSync(file).fill(0xaa, 4096, readFileSync(file).length - 100)),
    ],
  ]
  for (const [what, damage] of damages) {
    it(`builds an index anew that ${what}`, async () => {
      const place = new Place()
      try {
        tell(await place.openLog(), STATEMENTS)
        const index = await place.openIndex()
        const before = await index.search('orders')
        assert.equal(before.length, 4)
        await index.close()
        assert.ok(!existsSync(`${place.file}-wal`))
        damage(place.file)
        const again = await place.openIndex()
        assert.deepEqual(await again.search('orders'), before)
        assert.equal((await again.status()).statements, 5)
      } finally {
        await place.close()
      }
    })
  }

  it('drops what it knows when the log is another one', async () => {
    const place = new Place()
    try {
      tell(await place.openLog(), STATEMENTS)
      const index = await place.openIndex()
      assert.equal((await index.status()).statements, 5)
      await place.log?.close()
      rmSync(place.logDir, { recursive: true })
      tell(await place.openLog(), [{ text: 'SELECT another' }])
      const found = await index.search('')
      assert.deepEqual(
        found.map(row => row.sql),
        ['SELECT another'],
      )
      assert.equal((await index.sessions()).length, 1)
    } finally {
      await place.close()
    }
  })

  it('finds the rest of a log that was tampered with', async () => {
    const place = new Place()
    try {
      tell(await place.openLog(), STATEMENTS)
      await place.log?.close()
      const path = join(place.logDir, 'audit-000001.log')
      const lines = readFileSync(path, 'utf8').split('\n')
      const odd = [
        'rubbish',
        `${'0'.repeat(64)} {"n":3,"t":"2026-03-02T12:00:00.000Z","type":"statement"}`,
        `${'0'.repeat(64)} {"n":3,"t":"yesterday","type":"completed"}`,
        lines[2] ?? '', // a statement that stands twice
      ]
      lines.splice(3, 0, ...odd)
      writeFileSync(path, lines.join('\n'))
      const index = await place.openIndex()
      const status = await index.status()
      assert.deepEqual([status.statements, status.unreadable], [5, 4])
      assert.equal((await index.search('orders')).length, 4)
    } finally {
      await place.close()
    }
  })

  it('keeps hostile text as it is', async () => {
    const place = new Place()
    try {
      const texts = [
        "'; DROP TABLE statements; --",
        '"words" MATCH "x" OR 1=1 *',
        '\u001b]52;c;x\u0007 \u202e',
        'x'.repeat(3_000_000),
        '',
      ]
      const log = await place.openLog()
      tell(
        log,
        texts.map(text => ({ text, rule: text.slice(0, 100) })),
      )
      const index = await place.openIndex()
      assert.deepEqual(
        (await index.search('')).map(row => row.sql),
        texts,
      )
      for (const text of texts.slice(0, 3)) {
        const found = await index.search(`"${text.replaceAll('"', ' ')}"`)
        assert.ok(found.length <= 1)
      }
      assert.equal((await index.search('"\'; DROP TABLE statements; --"')).length, 1)
      assert.equal((await index.search(`rule:"'; drop table statements; --"`)).length, 1)
    } finally {
      await place.close()
    }
  })

  it('keeps its files for the owner alone', async () => {
    const place = new Place()
    try {
      tell(await place.openLog(), STATEMENTS)
      const index = await place.openIndex()
      await index.search('')
      for (const suffix of ['', '-wal', '-shm']) {
        assert.equal(statSync(place.file + suffix).mode & 0o777, 0o600, suffix)
      }
    } finally {
      await place.close()
    }
  })

  it('says so where the index cannot be used, and works again when it can', async () => {
    const place = new Place()
    try {
      const log = await place.openLog()
      tell(log, STATEMENTS)
      const index = await place.openIndex()
      await index.search('')
      const other = new DatabaseSync(place.file)
      other.exec('BEGIN IMMEDIATE')
      tell(log, [{ session: { id: 's-late' }, text: 'SELECT late' }])
      await assert.rejects(index.search('late'), { message: 'audit index cannot be used' })
      other.exec('ROLLBACK')
      other.close()
      assert.equal((await index.search('late')).length, 1)
    } finally {
      await place.close()
    }
  })

  it('answers many at once, and none after close', async () => {
    const place = new Place()
    try {
      tell(await place.openLog(), STATEMENTS)
      const index = await place.openIndex()
      const answers = await Promise.all(
        ['orders', 'user:ben', 'verdict:denied', ''].map(query => index.search(query)),
      )
      assert.deepEqual(
        answers.map(rows => rows.length),
        [4, 2, 1, 5],
      )
      await index.rebuild()
      assert.equal((await index.search('orders')).length, 4)
      await index.close()
      await assert.rejects(index.search('orders'), { code: 'INTERNAL' })
    } finally {
      await place.close()
    }
  })
})
