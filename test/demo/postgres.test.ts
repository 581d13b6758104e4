import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { SHOP_ROLES, shopSetup } from '../../src/demo/index.ts'
import { ownPostgres, postgres15, postgres18, urlOf, withClient } from '../helpers/postgres.ts'
import { until } from '../helpers/run.ts'

const PASSWORDS = { shop_reader: 'r', shop_writer: 'w', shop_owner: 'o' }

const OWNER = `
import { npmBinaries, startPostgres } from './src/demo/index.ts'
const binaries = await npmBinaries()
const { directory, port } = await startPostgres({ binaries, password: 'p' })
console.log(JSON.stringify({ directory, port }))
setInterval(() => {}, 1000)`

describe('demo/postgres', function () {
  this.timeout(60_000)

  it('runs 18 from npm and 15 of the system', async () => {
    for (const upstream of [await postgres18(), await postgres15()]) {
      const { rows } = await withClient(urlOf(upstream, 'postgres'), client =>
        client.query('show server_version_num'),
      )
      assert.equal(Math.floor(rows[0].server_version_num / 10_000), upstream.major)
    }
  })

  it('asks for a password', async () => {
    const upstream = await postgres18()
    const url = urlOf({ ...upstream, password: 'wrong' }, 'postgres')
    await assert.rejects(
      withClient(url, async () => {}),
      { code: '28P01' },
    )
  })

  it('restarts on the same port with its data', async () => {
    const upstream = await ownPostgres(18)
    try {
      const url = urlOf(upstream, 'postgres')
      await withClient(url, client => client.query('create table kept as select 7 as n'))
      await upstream.running.restart()
      const { rows } = await withClient(url, client => client.query('select n from kept'))
      assert.deepEqual(rows, [{ n: 7 }])
    } finally {
      await upstream.running.stop()
    }
    assert.equal(existsSync(upstream.running.directory), false)
  })

  it('says what PostgreSQL said when setup fails', async () => {
    const setup = [{ database: 'postgres', sql: 'create tabel nonsense;' }]
    await assert.rejects(ownPostgres(18, { setup }), /postgres failed/)
  })

  it('leaves no process and no file when its owner is killed', async () => {
    const owner = spawn(process.execPath, ['--input-type=module-typescript', '-e', OWNER], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = await once(createInterface(owner.stdout), 'line')
    const { directory, port } = JSON.parse(line)
    owner.kill('SIGKILL')
    await until('the database is gone', () => !existsSync(directory))
    const url = `postgresql://postgres:p@127.0.0.1:${port}/postgres`
    await assert.rejects(
      withClient(url, async () => {}),
      { code: 'ECONNREFUSED' },
    )
  })
})

describe('demo/shop', function () {
  this.timeout(60_000)

  it('holds the same rows on every PostgreSQL', async () => {
    const digests = await Promise.all([
      digestOf(await ownPostgres(18, { setup: shopSetup(PASSWORDS) })),
      digestOf(await ownPostgres(15, { setup: shopSetup(PASSWORDS) })),
    ])
    assert.deepEqual(digests[0], digests[1])
    assert.equal(digests[0]?.customers, 800)
    assert.equal(digests[0]?.invalid_cards, 0)
  })

  it('lets the reader read only, the writer write only, the owner change the schema', async () => {
    const upstream = await ownPostgres(18, { setup: shopSetup(PASSWORDS) })
    const attempt = async (role: (typeof SHOP_ROLES)[number], sql: string) => {
      const url = `postgresql://${role}:${PASSWORDS[role]}@127.0.0.1:${upstream.port}/shop`
      return withClient(url, async client => {
        await client.query(`begin; ${sql}; rollback`)
        return 'ok'
      }).catch(thrown => thrown.code)
    }
    const statements = [
      'select * from customers, order_totals limit 1',
      `update orders set status = 'stale' where id = 1`,
      'drop table payments',
    ]
    const seen = []
    for (const role of SHOP_ROLES) {
      seen.push(await Promise.all(statements.map(sql => attempt(role, sql))))
    }
    await upstream.running.stop()
    assert.deepEqual(seen, [
      ['ok', '42501', '42501'],
      ['ok', 'ok', '42501'],
      ['ok', 'ok', 'ok'],
    ])
  })
})

async function digestOf(upstream: Awaited<ReturnType<typeof ownPostgres>>) {
  const sql = `select (select count(*)::int from customers) as customers,
    (select md5(string_agg(c::text, '|' order by id)) from customers c) as people,
    (select md5(string_agg(i::text, '|' order by order_id, product_id)) from order_items i) as items,
    (select md5(string_agg(p::text, '|' order by id)) from payments p) as payments,
    (select count(*)::int from payments p where 0 <> (select sum(case when i % 2 = 0 then d
       else d * 2 / 10 + d * 2 % 10 end) % 10 from generate_series(1, 16) i,
       lateral (select substr(p.card_number, i, 1)::int as d) x)) as invalid_cards`
  try {
    const { rows } = await withClient(urlOf(upstream, 'shop'), client => client.query(sql))
    return rows[0]
  } finally {
    await upstream.running.stop()
  }
}
