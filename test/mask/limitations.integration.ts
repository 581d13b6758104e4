import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import pg from 'pg'
import type { PolicyMask } from '../../src/config/index.ts'
import { type BareGate, startBareGate } from '../helpers/bare-gate.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import { until } from '../helpers/run.ts'

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

const HASH = { kind: 'token', domain: undefined } as const

const MASKS: readonly PolicyMask[] = [
  { ...MASK, columns: ['people.ssn', 'papers.doc'] },
  { ...MASK, columns: ['people.email', 'people.phone'], mask: HASH },
  { ...MASK, columns: ['orders.person'], mask: HASH },
]

const SCHEMA = `
create table people (
  id int primary key, name text, note text, email text unique, phone text, ssn varchar(11));
insert into people select n, 'name ' || n, null, 'person' || n || '@secret.example', '555-010' || n % 3,
  '078-05-' || lpad(n::text, 4, '0') from generate_series(1, 9) n;
create table orders (id int primary key, person bigint, email text);
create table papers (id int primary key, doc json);
insert into papers values (1, '{"a": "\\u0000"}'), (2, '{"a": "b"}');
create table contacts (id int primary key, said text);
insert into contacts values (1, 'person1@secret.example');
`

/** What each row of the table calls itself, without its last full stop. */
function limitations(): readonly { readonly name: string; readonly row: string }[] {
  const text = readFileSync(new URL('../../KNOWN_LIMITATIONS.md', import.meta.url), 'utf8')
  const rows = text
    .split('\n')
    .filter(line => line.startsWith('| ') && !/^\| (what|-+) \|/.test(line))
  return rows.map(row => ({ name: /\*\*(.+?)\.?\*\*/.exec(row)?.[1] ?? row, row }))
}

describe('known limitations', () => {
  let database: Database
  let gate: BareGate
  let client: pg.Client
  const shown = new Set<string>()

  beforeEach(async () => {
    database = await freshDatabase(await postgres18(), 'limitations')
    await database.query(SCHEMA)
    await under(MASKS)
  })
  afterEach(async () => {
    await leave()
    await database.drop()
  })

  /** Starts a gate with these masks and a session behind it. */
  const under = async (masks: readonly PolicyMask[]) => {
    gate = await startBareGate(database, { policy: { masks } })
    client = new pg.Client({ connectionString: gate.url })
    client.on('error', () => {})
    await client.connect()
  }
  const leave = async () => {
    await client.end().catch(() => {})
    await gate.close()
  }
  const query = async (text: string) => (await client.query(text)).rows
  const codeOf = async (text: string): Promise<string | undefined> => {
    try {
      await client.query(text)
      return undefined
    } catch (error) {
      assert.ok(error instanceof pg.DatabaseError, String(error))
      return error.code
    }
  }

  /** A test that shows a row of the table. It turns red for whoever mends it: then the row goes too. */
  const shows = (name: string, how: string, show: () => Promise<void>) => {
    shown.add(name)
    it(`${name}: ${how}`, show)
  }

  it('has a test for each row of the table, or the row says that it has none', () => {
    const named = limitations()
    const open = named.filter(({ name, row }) => !shown.has(name) && !row.includes('No test'))
    assert.deepEqual(
      open.map(({ name }) => name),
      [],
    )
    const names = new Set(named.map(({ name }) => name))
    assert.deepEqual(
      [...shown].filter(name => !names.has(name)),
      [],
      'no row of the table',
    )
  })

  shows('Equality confirms guesses', 'a guess finds its row', async () => {
    const guess = (n: number) => `select id from people where email = 'person${n}@secret.example'`
    assert.deepEqual(await query(guess(7)), [{ id: 7 }])
    assert.deepEqual(await query(guess(77)), [])
  })

  shows('A unique index answers', 'INSERT fails, ON CONFLICT does nothing', async () => {
    const insert = (id: number, n: number) =>
      `insert into people (id, email) values (${id}, 'person${n}@secret.example')`
    assert.equal(await codeOf(insert(101, 7)), '23505')
    assert.equal(await codeOf(insert(102, 77)), undefined)
    const counts: (number | null)[] = []
    for (const n of [8, 88]) {
      const done = await client.query(`${insert(100 + n * 2, n)} on conflict (email) do nothing`)
      counts.push(done.rowCount)
    }
    assert.deepEqual(counts, [0, 1])
  })

  shows('Tokens tell how often', 'GROUP BY counts each value', async () => {
    await database.query(`update people set phone = '555-0100' where id < 8`)
    const rows = await query('select phone, count(*)::int as n from people group by phone')
    assert.deepEqual(rows.map(({ n }) => n).sort(), [1, 8])
  })

  shows('A written value has a token', 'a guess that is written shows it', async () => {
    const wrote = `insert into people (id, phone) values (100, '555-0101') returning phone`
    const [mine] = await query(wrote)
    const [theirs] = await query('select phone from people where id = 1')
    assert.match(theirs?.phone, /^dgt_/)
    assert.equal(mine?.phone, theirs?.phone)
  })

  shows('Counts and the time it takes', 'counts of rows follow values', async () => {
    await database.query('update people set ssn = null where id > 4')
    assert.deepEqual(await query('select count(ssn) as n from people'), [{ n: '4' }])
  })

  shows('`derived: redact` leaves an oracle', 'an error is an answer', async () => {
    const ask = (start: string) =>
      `select 1 / (case when ssn like '${start}%' then 0 else 1 end) from people where id = 1`
    assert.equal(await codeOf(ask('078')), '42501')
    await leave()
    await under([{ ...MASK, columns: ['people.ssn'], derived: 'redact' }])
    assert.equal(await codeOf(ask('078')), '22012')
    assert.equal(await codeOf(ask('079')), undefined)
  })

  shows('A json column with `\\u0000` in a masked whole row', 'to_jsonb fails', async () => {
    const whole = (id: number) => `select to_jsonb(p) as p from papers p where id = ${id}`
    assert.equal(await codeOf(whole(1)), '22P05')
    assert.deepEqual(await query(whole(2)), [{ p: null }])
  })

  shows('Copies that no mask is about', 'a backup shows what it holds', async () => {
    await database.query('create table people_old as select id, ssn from people')
    const rows = await query('select ssn from people_old where id = 1')
    assert.deepEqual(rows, [{ ssn: '078-05-0001' }])
  })

  shows('A trigger that copies', 'a later SELECT shows the copy', async () => {
    await database.query(`
      create function note_it() returns trigger language plpgsql as
        'begin new.note := new.ssn; return new; end';
      create trigger note_it before update on people for each row execute function note_it()`)
    await leave()
    await under(MASKS)
    const change = `update people set name = 'x' where id = 1`
    assert.equal(await codeOf(`${change} returning note`), '42501')
    assert.equal(await codeOf(change), undefined)
    const rows = await query('select note from people where id = 1')
    assert.deepEqual(rows, [{ note: '078-05-0001' }])
  })

  shows('Detectors (`values`) can be got around', 'reverse() does', async () => {
    await leave()
    await under([{ ...MASK, values: ['email'] }])
    const [row] = await query('select said, reverse(said) as turned from contacts')
    assert.notEqual(row?.said, 'person1@secret.example')
    assert.equal(row?.turned, 'elpmaxe.terces@1nosrep')
  })

  shows("`via: agent` goes by the tool's own word", 'who says nothing is none', async () => {
    await leave()
    await under([{ ...MASK, columns: ['people.ssn'], via: ['agent'] }])
    const rows = await query('select ssn from people where id = 1')
    assert.deepEqual(rows, [{ ssn: '078-05-0001' }])
  })

  shows('Joins on hashed columns', 'every join has to be of one domain', async () => {
    await leave()
    await under([
      {
        ...MASK,
        columns: ['people.email', 'orders.email'],
        mask: { kind: 'token', domain: 'email' },
      },
    ])
    const join = 'select o.id from people u join orders o on o.email = u.email'
    assert.equal(await codeOf(join), undefined)
    assert.equal(await codeOf(`${join} and o.person = u.id`), '42501')
  })

  shows('EXPLAIN of `SELECT *`', 'it is refused, and the columns by name are not', async () => {
    assert.equal(await codeOf('explain select * from people where id = 1'), '42501')
    assert.equal(await codeOf('explain select id, name from people where id = 1'), undefined)
  })

  shows(
    'A transaction that has changed a table with masked columns',
    'no rows until it is over',
    async () => {
      await query('begin')
      await query('alter table people add column remarks text')
      assert.equal(await codeOf('select name from people'), '0A000')
      await query('rollback')
      assert.equal(await codeOf('select name from people'), undefined)
    },
  )

  shows('A view or function that is replaced past dbgate', 'counts up to 5 s late', async () => {
    await database.query('create view shifting as select name as shown from people where id = 1')
    const ask = 'select shown from shifting'
    assert.deepEqual(await query(ask), [{ shown: 'name 1' }])
    await database.query(
      'create or replace view shifting as select ssn::text as shown from people where id = 1',
    )
    assert.deepEqual(await query(ask), [{ shown: '078-05-0001' }])
    await until(
      'the view is masked',
      async () =>
        (await codeOf(ask)) !== undefined || (await query(ask))[0]?.shown !== '078-05-0001',
      10_000,
    )
  })

  shows('A label or name that dbgate has never seen', 'it counts from the first look', async () => {
    await leave()
    const label = (text: string) => database.query(`comment on column contacts.said is ${text}`)
    await under([{ ...MASK, labels: [{ label: 'pii:*', mask: { kind: 'redact' } }] }])
    await label(`'@dbgate pii:email'`)
    await label('null')
    const rows = await query('select said from contacts')
    assert.deepEqual(rows, [{ said: 'person1@secret.example' }])
  })

  shows('The second line (`dbgate harden`)', 'all statements run as one login', async () => {
    const [plain] = await query(
      'select current_user as login from orders right join (values (1)) v on true',
    )
    const [full] = await query('select current_user as login, ssn from people where id = 1')
    assert.deepEqual(full, { login: plain?.login, ssn: '••••' })
  })

  shows(
    'Owners, superusers, direct connections, replication, backups',
    'who needs no gate sees everything',
    async () => {
      const { rows } = await database.query('select ssn from people where id = 1')
      assert.deepEqual(rows, [{ ssn: '078-05-0001' }])
    },
  )
})
