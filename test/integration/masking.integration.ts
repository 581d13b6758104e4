import assert from 'node:assert/strict'
import pg from 'pg'
import postgres from 'postgres'
import type { PolicyDocument } from '../../src/config/index.ts'
import { type AuditRecord, readRecords } from '../../src/record/index.ts'
import { type BareGate, startBareGate } from '../helpers/bare-gate.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import { run, until } from '../helpers/run.ts'

type PolicyMask = NonNullable<PolicyDocument['masks']>[number]

const MASK: PolicyMask = {
  on: ['*'],
  roles: undefined,
  via: undefined,
  reveal: [],
  labels: [],
  columns: [],
  values: [],
  mask: { kind: 'redact' },
  filters: undefined,
  writes: undefined,
  derived: undefined,
  at: 'policy.yaml:1',
}

const MASKS: readonly PolicyMask[] = [
  { ...MASK, columns: ['*.ssn'] },
  { ...MASK, columns: ['people.email'], mask: { kind: 'token', domain: undefined } },
  { ...MASK, columns: ['people.born'], mask: { kind: 'year' } },
  { ...MASK, columns: ['people.salary'] },
]

const SCHEMA = `
create table people (
  id int primary key, name text not null, email text unique, ssn varchar(11), born date,
  salary numeric(10,2) check (salary > 0));
insert into people select n, 'name ' || n, 'person' || n || '@secret.example',
  '078-05-' || lpad(n::text, 4, '0'), date '1970-03-04' + n, 1000 + n from generate_series(1, 50) n;
create table orders (id int primary key, person int references people, total int);
insert into orders select n, 1 + n % 50, n * 3 from generate_series(1, 200) n;
create view contacts as select id, email as contact, ssn from people;
`
/** Whatever is confidential in that table has one of these in it, and nothing else has. */
const SECRET = /secret\.example|078-05-|1970-0[3-9]|10\d\d\.00/

describe('masking', () => {
  let database: Database
  let gate: BareGate
  const clients: pg.Client[] = []
  const seen: string[] = []

  before(async () => {
    database = await freshDatabase(await postgres18(), 'masking')
    await database.query(SCHEMA)
  })
  after(() => database.drop())

  beforeEach(async () => {
    gate = await startBareGate(database, { policy: { masks: MASKS } })
  })
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.end().catch(() => {})
    await gate.close()
    assert.doesNotMatch(seen.splice(0).join('\n'), SECRET)
  })

  const client = async () => {
    const one = new pg.Client({ connectionString: gate.url })
    one.on('error', () => {})
    one.on('notice', notice => seen.push(JSON.stringify(notice)))
    one.on('notification', notification => seen.push(JSON.stringify(notification)))
    await one.connect()
    clients.push(one)
    return one
  }
  const query = async (one: pg.Client, config: string | pg.QueryConfig) => {
    const result = await one.query(config)
    seen.push(JSON.stringify(result.rows))
    return result.rows
  }
  const refused = async (one: pg.Client, config: string | pg.QueryConfig) => {
    try {
      seen.push(JSON.stringify((await one.query(config)).rows))
    } catch (error) {
      assert.ok(error instanceof pg.DatabaseError, String(error))
      seen.push(JSON.stringify({ ...error, message: error.message }))
      return error
    }
    return assert.fail(`${JSON.stringify(config)} ran`)
  }
  const records = async (): Promise<AuditRecord[]> => {
    const all: AuditRecord[] = []
    for await (const { record } of readRecords(gate.auditDirectory)) all.push(record)
    return all
  }

  for (const protocol of ['simple', 'extended', 'binary'] as const) {
    const asked = (text: string): string | pg.QueryConfig =>
      protocol === 'simple'
        ? text
        : protocol === 'extended'
          ? ({ text, values: [], queryMode: 'extended' } as pg.QueryConfig)
          : ({ text, values: [], binary: true } as pg.QueryConfig)

    it(`masks rows (${protocol})`, async () => {
      const one = await client()
      const [row] = await query(one, asked('select * from people where id = 7'))
      assert.equal(row?.name, 'name 7')
      assert.match(row?.email, /^dgt_[a-z2-7]{20}$/)
      assert.equal(row?.ssn, '••••')
      assert.equal(row?.salary, null)
      assert.equal(new Date(row?.born).getUTCFullYear() >= 1969, true)
      const [view] = await query(one, asked('select contact, ssn from contacts where id = 7'))
      assert.equal(view?.contact, row?.email)
      assert.equal(view?.ssn, '••••')
    })

    it(`leaves what touches nothing masked as it is (${protocol})`, async () => {
      const one = await client()
      const rows = await query(
        one,
        asked('select count(*)::text as n, sum(total)::text from orders'),
      )
      assert.deepEqual(rows, [{ n: '200', sum: '60300' }])
    })
  }

  it('refuses what would tell values without showing them', async () => {
    const one = await client()
    for (const text of [
      `select id from people where ssn like '078%'`,
      'select id from people order by salary',
      `select ssn::int from people`,
      'explain select * from people where ssn = $$x$$',
      'create table copied as select * from people',
      'select * from pg_stats',
    ]) {
      const error = await refused(one, text)
      assert.match(error.code ?? '', /^(42501|0A000)$/, text)
    }
  })

  it('shows nothing of a whole row that is made one value', async () => {
    const one = await client()
    const rows = await query(one, 'select to_jsonb(p) as row, p as raw from people p limit 1')
    assert.deepEqual(rows, [{ row: null, raw: null }])
  })

  it('masks what RETURNING gives back, and tokens of joins and groups', async () => {
    const one = await client()
    const [row] = await query(one, `update people set name = 'name 9' where id = 9 returning *`)
    assert.match(row?.email, /^dgt_/)
    assert.equal(row?.ssn, '••••')
    const rows = await query(
      one,
      'select p.email, count(*)::int from people p join orders o on o.person = p.id group by p.email',
    )
    assert.equal(rows.length, 50)
  })

  it('shows whether a value is there where its token tells that as well', async () => {
    const one = await client()
    await database.query('insert into people (id, name) values (100, $$nobody$$)')
    const rows = await query(
      one,
      'select email, email is null as gone, email is not null as there from people where id in (1, 100) order by id',
    )
    assert.deepEqual(
      rows.map(({ email, gone, there }) => [email === null, gone, there]),
      [
        [false, false, true],
        [true, true, false],
      ],
    )
    await database.query('delete from people where id = 100')
    assert.equal((await refused(one, 'select ssn is null from people')).code, '42501')
    assert.equal((await refused(one, 'select id from people order by email is null')).code, '42501')
  })

  it('goes by what a cursor was declared for, in SQL and in the protocol', async () => {
    const one = await client()
    await one.query('begin')
    await one.query('declare c cursor for select id, email, ssn from people order by id')
    const rows = await query(one, 'fetch 3 from c')
    assert.deepEqual(
      rows.map(({ id, ssn }) => [id, ssn]),
      [
        [1, '••••'],
        [2, '••••'],
        [3, '••••'],
      ],
    )
    await one.query('declare d binary cursor for select id, ssn from people')
    seen.push(JSON.stringify(await one.query('fetch all from d')))
    await one.query('commit')
  })

  it('goes by what was prepared, in SQL and in the protocol', async () => {
    const one = await client()
    await one.query('prepare echo as select $1::text as said')
    await database.query(
      `create function ssn_of(int) returns text stable as 'select ssn from people where id = $1' language sql`,
    )
    await refused(one, 'execute echo(ssn_of(1))')
    await database.query('drop function ssn_of')
    await one.query('prepare p as select email, ssn from people where id = $1')
    assert.equal((await query(one, 'execute p(3)'))[0]?.ssn, '••••')
    const named = { name: 'q', text: 'select ssn from people where id = $1', values: [4] }
    for (let i = 0; i < 3; i++) assert.equal((await query(one, named))[0]?.ssn, '••••')
  })

  it('masks what postgres.js reads, pipelined and by cursor', async () => {
    const sql = postgres(gate.url, { max: 1, fetch_types: false })
    try {
      const all = await Promise.all(
        [1, 2, 3, 4, 5].map(id => sql`select id, email, ssn, name from people where id = ${id}`),
      )
      assert.deepEqual(
        all.map(rows => [rows[0]?.id, rows[0]?.ssn]),
        [1, 2, 3, 4, 5].map(id => [id, '••••']),
      )
      let count = 0
      for await (const rows of sql`select * from people`.cursor(7)) {
        seen.push(JSON.stringify(rows))
        count += rows.length
      }
      assert.equal(count, 50)
    } finally {
      await sql.end()
    }
  })

  it('masks COPY in every format', async () => {
    for (const options of [
      '',
      '(format csv)',
      '(format csv, header)',
      `(format text, delimiter '|')`,
    ]) {
      for (const what of ['people', '(select email, ssn from people)', 'people(ssn, id)']) {
        const ran = await run('psql', ['-X', gate.url, '-c', `copy ${what} to stdout ${options}`])
        assert.equal(ran.code, 0, ran.stderr.toString())
        const text = ran.stdout.toString()
        assert.match(text, /••••/)
        seen.push(text)
      }
    }
    const binary = await run('psql', [
      '-X',
      gate.url,
      '-c',
      'copy people to stdout (format binary)',
    ])
    assert.equal(binary.code, 0)
    assert.equal(binary.stdout.toString('latin1', 0, 6), 'PGCOPY')
    seen.push(binary.stdout.toString('latin1'))
    const odd = await run('psql', [
      '-X',
      gate.url,
      '-c',
      `copy people to stdout (format csv, force_quote *)`,
    ])
    assert.match(odd.stderr.toString(), /copied out as text, CSV or binary only/)
  })

  it('leaves values out of errors and notices', async () => {
    const one = await client()
    for (const text of [
      `insert into people (id, name, email) values (99, 'x', 'person3@' || 'secret' || '.example')`,
      'update people set salary = -salary where id = 3',
      'insert into people select * from people where id = 3',
    ]) {
      const error = await refused(one, text)
      assert.equal(error.detail?.includes('secret'), false)
    }
    const typo = await refused(one, 'select nmae from people')
    assert.match(typo.message, /column nmae/)
  })

  it('tells psql once of each column that is masked', async () => {
    const sql = 'select email, name from people where id = 1'
    const ran = await run('psql', ['-X', '-c', sql, '-c', sql, gate.url])
    assert.deepEqual(ran.stderr.toString().trim().split('\n'), [
      'WARNING:  dbgate: people.email is masked (people.email).',
    ])
  })

  it('takes what a notification says away', async () => {
    const one = await client()
    await one.query('listen news')
    const told = new Promise<pg.Notification>(resolve => one.once('notification', resolve))
    await database.query(`notify news, 'person1@secret.example'`)
    assert.equal((await told).payload, '')
  })

  it('refuses what stands behind a change of the schema in one message', async () => {
    const one = await client()
    const error = await refused(one, 'set search_path = public; select ssn from people')
    assert.equal(error.code, '0A000')
    assert.match(error.message, /one statement at a time/)
    await one.query('begin; select 1; commit')
  })

  it('lets migrations through that touch nothing masked', async () => {
    const one = await client()
    await one.query('begin')
    await one.query('create table fresh (id int primary key, note text)')
    await one.query(`insert into fresh values (1, 'hello')`)
    assert.deepEqual(await query(one, 'select note from fresh'), [{ note: 'hello' }])
    assert.equal((await query(one, 'select ssn from people where id = 1'))[0]?.ssn, '••••')
    await one.query('rollback')
  })

  it('knows temporary tables for ones into which nothing masked comes', async () => {
    const one = await client()
    await one.query('create temp table mine (id int, note text)')
    await one.query(`insert into mine select id, 'order ' || total from orders where id < 3`)
    assert.equal((await query(one, 'select * from mine join orders using (id)')).length, 2)
    for (const text of [
      'insert into mine select id, ssn from people',
      'insert into mine select 1, email from contacts',
      'create temp table theirs as select ssn from people',
      'select m.*, p.ssn || m.note from mine m join people p using (id)',
    ]) {
      assert.match((await refused(one, text)).code ?? '', /^(42501|0A000)$/, text)
    }
    const toast = await database.query(
      `select reltoastrelid::regclass::text as name from pg_class where relname = 'people'`,
    )
    await refused(one, `select * from ${toast.rows[0]?.name}`)
    await one.query('set search_path = pg_toast, public')
    await refused(one, `select * from ${String(toast.rows[0]?.name).slice('pg_toast.'.length)}`)
  })

  it('lets PostgreSQL say what a wrong name is', async () => {
    const one = await client()
    assert.equal((await refused(one, 'select * from nowhere')).code, '42P01')
    assert.equal((await refused(one, 'select nothing from orders')).code, '42703')
  })

  it('shows nothing of a table that the same transaction has changed', async () => {
    const one = await client()
    await one.query('begin')
    const denied = await refused(one, 'alter table people rename column ssn to harmless')
    assert.equal(denied.code, '42501')
    await one.query('rollback')
    await one.query('begin')
    await one.query('alter table people add column remarks text')
    const error = await refused(one, 'select name from people')
    assert.equal(error.code, '0A000')
    await one.query('rollback')
  })

  it('ends the session before a row when the schema changes under a bound statement', async () => {
    const one = await client()
    await query(one, 'select name from people where id = 1')
    // Past the gate, which takes its catalog for good for some seconds.
    await database.query('create view shifting as select name as shown from people')
    const two = await client()
    await query(two, 'select shown from shifting')
    await database.query(
      'begin; drop view shifting; create view shifting as select ssn::text as shown from people; commit',
    )
    const error = await refused(two, 'select shown from shifting')
    assert.equal(error.code, '40001')
    await database.query('drop view shifting')
    const alarms = (await records()).filter(({ type }) => type === 'masks.alarm')
    assert.equal(alarms.length, 1)
  })

  it('has on record what was masked, and not what was asked with', async () => {
    const one = await client()
    await query(one, 'select email, ssn, name from people where id = 5')
    await query(one, {
      text: 'select id from people where email = $1',
      values: ['x@secret.example'],
    })
    await query(one, `select id from people where email = 'y@secret.example'`)
    await refused(one, `select id from people where ssn = '078-05-0001'`)
    await one.end()
    const all = await until('the last completion', async () => {
      const found = await records()
      return found.some(({ type }) => type === 'session.end') ? found : undefined
    })
    const masked = all.flatMap(record => (record.type === 'completed' ? (record.masked ?? []) : []))
    assert.deepEqual(new Set(masked), new Set(['people.email', 'people.ssn']))
    seen.push(JSON.stringify(all))
    assert.match(JSON.stringify(all), /email = '•••'/)
  })
})
