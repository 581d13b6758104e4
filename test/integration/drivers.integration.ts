import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CamelCasePlugin, Kysely, PostgresDialect, sql } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import postgres from 'postgres'
import { EVERYTHING, startGate, type TestGate } from '../helpers/gate.ts'
import { type Database, freshDatabase, postgres15, postgres18 } from '../helpers/postgres.ts'

/** Work done with a driver; what it returns must be the same directly and through dbgate. */
type Work = (url: string) => Promise<unknown>

const VALUES = `select 1::int2 a, 2::int4 b, 9007199254740993::int8 c, 1.50::numeric d, 0.1::float4 e,
  0.1::float8 f, true g, 'é🎉'::text h, null::text i, '\\x00ff'::bytea j, '2024-02-29'::date k,
  '2024-02-29 12:34:56.789+02'::timestamptz l, interval '1 day 02:03' m, '{"a":[1,null]}'::jsonb n,
  '{1,NULL,3}'::int[] o, '{"a b","c\\"d"}'::text[] p, 'f47ac10b-58cc-4372-a567-0e02b2c3d479'::uuid q`

async function withPg<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** An error as a program sees it. */
const failure = (thrown: unknown): unknown => {
  if (!(thrown instanceof Error)) return thrown
  const { message } = thrown
  const fields = JSON.parse(JSON.stringify(thrown))
  return { message, ...fields, query: undefined, client: undefined }
}

const PG: Readonly<Record<string, Work>> = {
  'values of every type': url =>
    withPg(url, async client => {
      const text = await client.query(VALUES)
      const extended = await client.query({ text: `${VALUES}, $1::text`, values: ['x'] })
      return [
        text.rows,
        extended.rows,
        text.fields.map(({ name, dataTypeID }) => [name, dataTypeID]),
      ]
    }),
  'binary results': url =>
    withPg(url, async client => {
      const config = { text: 'select $1::int4, $2::float8, $3::text', values: [7, 1.5, 'x'] }
      return (await client.query({ ...config, rowMode: 'array', binary: true } as pg.QueryConfig))
        .rows
    }),
  'named prepared statements': url =>
    withPg(url, async client => {
      const seen = []
      for (let i = 0; i < 20; i++) {
        const name = `s${i % 3}`
        seen.push(
          (await client.query({ name, text: `select ${i % 3} + $1::int n`, values: [i] })).rows,
        )
      }
      return seen
    }),
  'errors with every field': url =>
    withPg(url, async client => {
      await client.query('drop table if exists e; create table e (n int primary key check (n > 0))')
      const seen: unknown[] = []
      for (const text of [
        'selec',
        'select 1/0',
        'insert into e values (0)',
        'insert into e values (1), (1)',
        'select * from missing',
        `select 'x'::int`,
      ]) {
        seen.push(await client.query(text).catch(failure))
        seen.push(await client.query({ text, values: [] }).catch(failure))
        seen.push(await client.query({ text: text.replace('0', '$1'), values: [0] }).catch(failure))
      }
      return seen
    }),
  'transactions and savepoints': url =>
    withPg(url, async client => {
      await client.query('create temp table t (n int)')
      await client.query('begin')
      await client.query('insert into t values ($1)', [1])
      await client.query('savepoint s')
      const failed = await client.query('select 1/0').catch(failure)
      await client.query('rollback to s')
      await client.query('commit')
      return [failed, (await client.query('table t')).rows]
    }),
  'queries queued without waiting': url =>
    withPg(url, async client => {
      const texts = Array.from({ length: 200 }, (_, i) => `select ${i} / (${i} % 7)`)
      return Promise.all(
        texts.map(text => client.query({ text, values: [] }).then(r => r.rows, failure)),
      )
    }),
  'a pipelined connection': async url => {
    const client = new pg.Client({ connectionString: url, pipeline: true } as pg.ClientConfig)
    await client.connect()
    const work = Array.from({ length: 300 }, (_, i) =>
      client
        .query({ text: `select $1::int / ${i % 11} as n`, values: [i] })
        .then(({ rows }) => rows, failure),
    )
    const results = await Promise.all(work)
    await client.end()
    return results
  },
  'a pool of many connections': async url => {
    const pool = new pg.Pool({ connectionString: url, max: 12 })
    const work = Array.from({ length: 60 }, (_, i) => pool.query('select $1::int as n', [i]))
    const rows = (await Promise.all(work)).map(({ rows: [row] }) => row.n)
    await pool.end()
    return rows
  },
  'a cursor read in parts': url =>
    withPg(url, async client => {
      const cursor = client.query(new Cursor('select g, g * 2 as d from generate_series(1, 250) g'))
      const sizes: unknown[] = []
      for (let rows = await cursor.read(100); rows.length > 0; rows = await cursor.read(100)) {
        sizes.push([rows.length, rows[0]])
      }
      await cursor.close()
      const early = client.query(new Cursor('select generate_series(1, 100000)'))
      const first = await early.read(3)
      await early.close()
      return [sizes, first, (await client.query('select 1 as alive')).rows]
    }),
  'a query stream': url =>
    withPg(url, async client => {
      let sum = 0
      const stream = client.query(
        new QueryStream('select g from generate_series(1, 20000) g', [], { batchSize: 333 }),
      )
      for await (const row of stream) sum += row.g
      const broken = client.query(
        new QueryStream('select 1 / (500 - g) from generate_series(1, 1000) g'),
      )
      const seen: unknown[] = []
      try {
        for await (const row of broken) seen.push(row)
      } catch (thrown) {
        seen.push(failure(thrown))
      }
      return [sum, seen.length, seen.at(-1), (await client.query('select 1 as alive')).rows]
    }),
  'copy streams both ways': url =>
    withPg(url, async client => {
      await client.query('create temp table c (n int, t text)')
      const lines = Array.from({ length: 30_000 }, (_, i) => `${i}\trow number ${i}\n`)
      await pipeline(Readable.from(lines), client.query(copyFrom('copy c from stdin')))
      let bytes = 0
      const counting = new Writable({
        write(chunk, _encoding, done) {
          bytes += chunk.length
          done()
        },
      })
      await pipeline(client.query(copyTo('copy c to stdout')), counting)
      const bad = Readable.from(['1\tok\n', 'not a number\tx\n'])
      const failed = await pipeline(bad, client.query(copyFrom('copy c from stdin'))).catch(failure)
      return [bytes, failed, (await client.query('select count(*)::int from c')).rows]
    }),
  'notices and notifications': url =>
    withPg(url, async client => {
      const notices: unknown[] = []
      client.on('notice', notice => notices.push([notice.message, notice.code, notice.hint]))
      await client.query('listen ears')
      const heard = once(client, 'notification')
      await client.query(`do $$ begin raise warning 'look' using hint = 'there'; end $$`)
      await withPg(url, other => other.query(`notify ears, 'hello'`))
      const [{ channel, payload }] = await heard
      return [notices, channel, payload]
    }),
  'large values': url =>
    withPg(url, async client => {
      const big = 'x'.repeat(5_000_000)
      const { rows } = await client.query('select length($1::text) as n, $1::text || $2 as t', [
        big,
        '!',
      ])
      return [rows[0].n, rows[0].t.length, rows[0].t.slice(-3)]
    }),
  'a statement timeout and what comes after': url =>
    withPg(url, async client => {
      await client.query(`set statement_timeout = '30ms'`)
      const failed = await client.query('select pg_sleep(5)').catch(failure)
      return [failed, (await client.query('select 1 as alive')).rows]
    }),
}

const POSTGRES_JS: Readonly<Record<string, Work>> = {
  'values, fragments, transactions': async url => {
    const db = postgres(url, { max: 3, onnotice: () => {} })
    try {
      await db`create schema if not exists pj`
      await db`create table if not exists pj.t (id int primary key, tags text[], doc jsonb)`
      await db`truncate pj.t`
      const rows = [1, 2, 3].map(id => ({ id, tags: [`t${id}`, 'x'], doc: { id } }))
      for (const { id, tags, doc } of rows) {
        await db`insert into pj.t values (${id}, ${tags}, ${db.json(doc)})`
      }
      const kept = await db`select * from pj.t where id in ${db([1, 3])} order by id`
      const failed = await db
        .begin(async tx => {
          await tx`delete from pj.t`
          await tx`select 1/0`
        })
        .catch(failure)
      const saved = await db.begin(async tx => {
        await tx`update pj.t set id = id + 10 where id = 3`
        await tx.savepoint(inner => inner`insert into pj.t values (1, null, null)`).catch(() => {})
        return tx`select id from pj.t order by id`
      })
      return [[...kept], failed, [...saved]]
    } finally {
      await db.end()
    }
  },
  'many at once on one connection': async url => {
    const db = postgres(url, { max: 1 })
    try {
      const work = Array.from({ length: 300 }, (_, i) => db`select ${i}::int as n`)
      return (await Promise.all(work)).map(([row]) => row?.n)
    } finally {
      await db.end()
    }
  },
  'simple multi-statement queries, cursors, copy': async url => {
    const db = postgres(url, { max: 1, onnotice: () => {} })
    try {
      const many = await db.unsafe('select 1 as a; select 2 as b').simple()
      const seen: unknown[] = []
      await db`select * from generate_series(1, 25) g`.cursor(10, async part => {
        seen.push(part.length)
      })
      await db`create temp table c (n int)`
      await pipeline(Readable.from(['1\n', '2\n']), await db`copy c from stdin`.writable())
      const chunks: string[] = []
      for await (const chunk of await db`copy c to stdout`.readable()) chunks.push(String(chunk))
      return [many, seen, chunks.join('')]
    } finally {
      await db.end()
    }
  },
  'listen and notify': async url => {
    const db = postgres(url, { max: 2 })
    try {
      const heard = new Promise(resolve => {
        void db.listen('pj', resolve, () => void db.notify('pj', 'heard'))
      })
      return await heard
    } finally {
      await db.end()
    }
  },
}

const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '001_people': {
    up: async db => {
      await db.schema
        .createTable('person')
        .addColumn('id', 'serial', column => column.primaryKey())
        .addColumn('first_name', 'text', column => column.notNull())
        .addColumn('joined_at', 'timestamptz', column => column.defaultTo('2024-01-01T00:00:00Z'))
        .execute()
    },
    down: async db => db.schema.dropTable('person').execute(),
  },
  '002_pets': {
    up: async db => {
      await db.schema
        .createTable('pet')
        .addColumn('id', 'serial', column => column.primaryKey())
        .addColumn('owner_id', 'integer', column =>
          column.references('person.id').onDelete('cascade'),
        )
        .addColumn('name', 'varchar(20)')
        .execute()
      await db.schema.createIndex('pet_owner').on('pet').column('owner_id').execute()
    },
    down: async db => db.schema.dropTable('pet').execute(),
  },
}

type Tables = {
  person: { id: number; firstName: string; joinedAt: Date }
  pet: { id: number; ownerId: number; name: string }
}

const KYSELY: Readonly<Record<string, Work>> = {
  'migrations up and down, and a day of queries': async url => {
    const pool = new pg.Pool({ connectionString: url, max: 4 })
    const dialect = new PostgresDialect({ pool, cursor: Cursor })
    const db = new Kysely<Tables>({ dialect, plugins: [new CamelCasePlugin()] })
    const migrator = new Migrator({
      db: new Kysely<unknown>({ dialect }),
      provider: { getMigrations: async () => ({ ...MIGRATIONS }) },
    })
    try {
      const up = await migrator.migrateToLatest()
      if (up.error !== undefined) throw up.error
      const insert = (id: number, firstName: string) =>
        db
          .insertInto('person')
          .values({ id, firstName, joinedAt: new Date(0) })
          .execute()
      await insert(1, 'Ada')
      await insert(2, 'Bob')
      await db
        .insertInto('pet')
        .values([{ id: 1, ownerId: 1, name: 'Cat' }])
        .execute()
      const joined = await db
        .selectFrom('person')
        .leftJoin('pet', 'pet.ownerId', 'person.id')
        .select(['person.firstName', 'pet.name', 'person.joinedAt'])
        .orderBy('person.id')
        .execute()
      const updated = await db
        .updateTable('person')
        .set({ firstName: sql<string>`first_name || '!'` })
        .where('id', '=', 2)
        .returningAll()
        .executeTakeFirst()
      const streamed: unknown[] = []
      for await (const row of db.selectFrom('person').selectAll().orderBy('id').stream(1)) {
        streamed.push(row)
      }
      const conflict = await insert(1, 'again').catch(failure)
      const rolledBack = await db
        .transaction()
        .setIsolationLevel('serializable')
        .execute(async tx => {
          await tx.deleteFrom('person').execute()
          throw new Error('no')
        })
        .catch(failure)
      const tables = (await db.introspection.getTables()).map(({ name, columns }) => [
        name,
        columns.map(column => [column.name, column.dataType, column.isNullable]),
      ])
      const down = [await migrator.migrateDown(), await migrator.migrateDown()]
      const steps = [up, ...down].map(({ results }) => results)
      return [steps, joined, updated, streamed, conflict, rolledBack, tables]
    } finally {
      await pool.end()
    }
  },
}

const DRIVERS = { pg: PG, 'postgres.js': POSTGRES_JS, kysely: KYSELY }

describe('drivers cannot tell', function () {
  this.timeout(60_000)
  for (const [version, start] of Object.entries({ 18: postgres18, 15: postgres15 })) {
    describe(`PostgreSQL ${version}`, () => {
      let database: Database
      let gate: TestGate
      let through: string

      before(async () => {
        database = await freshDatabase(await start(), 'drivers')
        const target = {
          upstream: database.upstream,
          databases: [database.name],
          may: { engineering: EVERYTHING },
        }
        gate = await startGate({ targets: { work: target } })
        through = (await gate.connect('work')).url
      })

      after(async () => {
        await gate.close()
        await database.drop()
      })

      for (const [driver, works] of Object.entries(DRIVERS)) {
        for (const [name, work] of Object.entries(works)) {
          it(`${driver}: ${name}`, async () => {
            const directly = await work(database.url)
            await database.query('drop table if exists kysely_migration, kysely_migration_lock')
            const indirectly = await work(through)
            await database.query('drop table if exists kysely_migration, kysely_migration_lock')
            assert.deepEqual(indirectly, directly)
          })
        }
      }
    })
  }
})
