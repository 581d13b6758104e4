import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import pg from 'pg'
import { shopSetup } from '../../src/demo/index.ts'
import { EVERYTHING, startGate, type TestGate } from '../helpers/gate.ts'
import { type Database, freshDatabase, postgres15, urlOf, withClient } from '../helpers/postgres.ts'
import { cleanEnvironment, run, succeed, until } from '../helpers/run.ts'

const CLIENTS = 4
const TRANSACTIONS = 100

describe('the tools of PostgreSQL cannot tell', function () {
  this.timeout(120_000)
  let database: Database
  let copy: Database
  let gate: TestGate
  let through: string

  before(async () => {
    const upstream = await postgres15() // the tools here are of 15, and pg_dump wants no newer server
    database = await freshDatabase(upstream, 'tools')
    copy = await freshDatabase(upstream, 'tools_copy')
    const target = {
      upstream,
      databases: [database.name, copy.name],
      may: { engineering: EVERYTHING },
    }
    gate = await startGate({ targets: { work: target } })
    through = (await gate.connect('work')).url
  })

  after(async () => {
    await gate.close()
    await database.drop()
    await copy.drop()
  })

  describe('pgbench', () => {
    before(() => succeed('pgbench', ['-i', '-q', '-s', '1', through]))

    for (const mode of ['simple', 'extended', 'prepared']) {
      for (const script of ['select-only', 'tpcb-like']) {
        it(`runs ${script} in mode ${mode} without an error`, async () => {
          const args = [
            '-n',
            '-M',
            mode,
            '-b',
            script,
            '-c',
            String(CLIENTS),
            '-t',
            `${TRANSACTIONS}`,
          ]
          const output = await succeed('pgbench', [...args, through])
          const done = CLIENTS * TRANSACTIONS
          assert.match(output, new RegExp(`transactions actually processed: ${done}/${done}`))
          assert.match(output, /number of failed transactions: 0 /)
        })
      }
    }

    it('leaves the books balanced', async () => {
      const { rows } = await database.query(`select (select sum(abalance) from pgbench_accounts) =
        (select sum(delta) from pgbench_history) as balanced, count(*)::int from pgbench_history`)
      assert.deepEqual(rows, [{ balanced: true, count: 3 * CLIENTS * TRANSACTIONS }])
    })

    it('connects anew for each transaction', async () => {
      const output = await succeed('pgbench', ['-n', '-S', '-C', '-c', '4', '-t', '10', through])
      assert.match(output, /number of failed transactions: 0 /)
    })

    it('pipelines', async () => {
      const script = join(import.meta.dirname, 'pgbench-pipeline.sql')
      const args = ['-n', '-M', 'extended', '-f', script, '-c', '2', '-t', '100', through]
      assert.match(await succeed('pgbench', args), /number of failed transactions: 0 /)
    })
  })

  describe('pg_dump', () => {
    before(async () => {
      const passwords = { shop_reader: 'x', shop_writer: 'x', shop_owner: 'x' }
      const [, shop] = shopSetup(passwords)
      await database.query(`do $$ begin create role shop_reader; create role shop_writer;
        create role shop_owner; exception when duplicate_object then null; end $$`)
      const sql = shop?.sql ?? ''
      await succeed('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', database.url], { input: sql })
      await database.query(`select lo_from_bytea(0, decode(repeat('00ff', 50000), 'hex'))`)
      await database.query('create publication everything for all tables')
    })

    for (const format of ['plain', 'custom']) {
      it(`dumps the same in format ${format}, and what is restored through dbgate dumps the same again`, async () => {
        const directly = await dump(database.url, format)
        const indirectly = await dump(through, format)
        assert.ok(directly.length > 200_000)
        assert.equal(script(indirectly), script(directly))
        await copy.query('drop owned by current_user').catch(() => {})
        await withClient(urlOf(copy.upstream, 'postgres'), async client => {
          await client.query(`drop database ${copy.name}`)
          await client.query(`create database ${copy.name}`)
        })
        const target = through.replace(`/${database.name}`, `/${copy.name}`)
        if (format === 'plain') {
          const args = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', target]
          await succeed('psql', args, { input: indirectly })
        } else {
          await succeed('pg_restore', ['--exit-on-error', '-d', target], { input: indirectly })
        }
        assert.equal(
          script(await dump(copy.url, 'plain')),
          script(await dump(database.url, 'plain')),
        )
      })
    }

    async function dump(url: string, format: string): Promise<Buffer> {
      const ran = await run('pg_dump', [`--format=${format}`, '--compress=0', url])
      assert.equal(ran.stderr.toString('utf8'), '')
      assert.equal(ran.code, 0)
      return ran.stdout
    }

    /** A dump without the key psql's \restrict wants, and without the time and name in a custom one's header. */
    function script(dumped: Buffer): string {
      const text = dumped.toString('latin1')
      if (!text.startsWith('PGDMP')) return text.replace(/^\\(un)?restrict .*$/gm, '')
      return text.slice(text.indexOf(database.name))
    }
  })

  describe('cancel', () => {
    it('works from psql with ^C', async () => {
      const child = spawn('psql', ['-X', through], { env: cleanEnvironment(), stdio: 'pipe' })
      let output = ''
      child.stdout.on('data', chunk => {
        output += chunk
      })
      child.stderr.on('data', chunk => {
        output += chunk
      })
      child.stdin.write(`select 'asleep' from pg_sleep(60);\n`)
      await until('it sleeps', () => isRunning('pg_sleep(60)'))
      child.kill('SIGINT')
      await new Promise(resolve => child.once('close', resolve))
      assert.match(
        output,
        /^Cancel request sent\nERROR: {2}canceling statement due to user request\n$/,
      )
      assert.equal(await isRunning('pg_sleep(60)'), false)
    })

    it('works in a COPY, in a result being read, and hits nobody else', async () => {
      const bystander = new pg.Client({ connectionString: through })
      await bystander.connect()
      const slow = bystander.query('select pg_sleep(1.5)::text, 1 as spared')
      const client = new pg.Client({ connectionString: through })
      await client.connect()
      const victim = client.query('select g, pg_sleep(0.001) from generate_series(1, 1000000) g')
      await until('it runs', () => isRunning('generate_series(1, 1000000)'))
      await cancel(client)
      await assert.rejects(victim, { code: '57014' })
      assert.equal((await client.query('select 1 as n')).rows[0].n, 1)
      assert.equal((await slow).rows[0].spared, 1)
      await client.end()
      await bystander.end()
    })

    async function cancel(client: pg.Client): Promise<void> {
      const { processID, secretKey } = client as unknown as Record<string, number>
      const { host, port } = client
      const bytes = Buffer.alloc(16)
      for (const [i, value] of [16, 80877102, processID ?? 0, secretKey ?? 0].entries()) {
        bytes.writeInt32BE(value, i * 4)
      }
      const { connect } = await import('node:net')
      const socket = connect(port, host)
      socket.end(bytes)
      await new Promise(resolve => socket.once('close', resolve))
    }
  })

  describe('what waits', () => {
    it('is left alone when idle in a transaction, and told when PostgreSQL ends it', async () => {
      const client = new pg.Client({ connectionString: through })
      const errors: unknown[] = []
      client.on('error', thrown => errors.push(thrown))
      await client.connect()
      await client.query(`set idle_in_transaction_session_timeout = '300ms'`)
      await client.query('begin')
      await until('the session was ended', () => errors.length > 0)
      assert.equal((errors[0] as { code: string }).code, '25P03')
    })

    it('takes locks as they come and breaks deadlocks like PostgreSQL', async () => {
      await database.query(
        'create table locks (n int primary key); insert into locks values (1), (2)',
      )
      const [one, two] = [through, through].map(url => new pg.Client({ connectionString: url }))
      assert.ok(one && two)
      await Promise.all([one.connect(), two.connect()])
      await one.query(`set deadlock_timeout = '50ms'`)
      await one.query('begin; update locks set n = n where n = 1')
      await two.query('begin; update locks set n = n where n = 2')
      const first = one.query('update locks set n = n where n = 2').then(
        () => 'ok',
        e => e.code,
      )
      const second = two.query('update locks set n = n where n = 1').then(
        () => 'ok',
        e => e.code,
      )
      assert.deepEqual((await Promise.all([first, second])).sort(), ['40P01', 'ok'])
      await Promise.all([one.end(), two.end()])
    })
  })

  async function isRunning(text: string): Promise<boolean> {
    const sql = `select 1 from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()
      and position($1 in query) > 0 and datname = current_database()`
    return (await database.query(sql, [text])).rows.length > 0
  }
})
