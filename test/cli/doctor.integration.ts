import assert from 'node:assert/strict'
import { chmod } from 'node:fs/promises'
import { dirname } from 'node:path'
import pg from 'pg'
import { startGate, type TestGate } from '../helpers/gate.ts'
import { browse } from '../helpers/oidc.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import { until } from '../helpers/run.ts'
import { type Cli, person } from './cli.ts'

type Check = { name: string; state: string; says: string; next?: string }

describe('dbgate doctor, against a real server', function () {
  this.timeout(60_000)
  let database: Database
  let gate: TestGate
  let ana: Cli

  before(async () => {
    const upstream = await postgres18()
    database = await freshDatabase(upstream, 'doctor')
    gate = await startGate({
      inChild: true,
      targets: {
        shop: {
          upstream,
          databases: [database.name],
          may: { engineering: ['read'] },
          lines: ['sslmode: disable'],
        },
      },
    })
    ana = await person()
  })
  after(async () => {
    await ana?.close()
    await gate?.close()
    await database?.drop()
  })

  async function look(...args: string[]): Promise<{ code: number | null; checks: Check[] }> {
    const { code, out, err } = await ana.run(['doctor', ...args, '--json'])
    assert.equal(err, '')
    const { data }: { data: Check[] } = JSON.parse(out)
    for (const { state, next } of data) assert.equal(next === undefined, state === 'ok')
    return { code, checks: data }
  }
  const stateOf = (checks: readonly Check[], name: string) =>
    checks.filter(check => check.name === name).map(({ state }) => state)

  it('says what to type when nobody is signed in, and that all is well once somebody is', async () => {
    const before = await look()
    assert.equal(before.code, 4)
    assert.deepEqual(stateOf(before.checks, 'sign-in'), ['fail'])
    const login = ana.start(['login', new URL(gate.url).host, '--fingerprint', gate.pin])
    const link = await until('the link', () => /https?:\/\/\S+/.exec(login.said.err)?.[0])
    await browse(link, 'ana')
    assert.equal((await login.ended).code, 0)
    const { code, checks } = await look()
    assert.equal(code, 0)
    for (const name of ['server', 'certificate', 'clock', 'sign-in', 'ports']) {
      assert.deepEqual(stateOf(checks, name), ['ok'], name)
    }
    const text = await ana.run(['doctor'])
    assert.match(text.out, /✓ server\s+127\.0\.0\.1:\d+ answers in \d+ ms, TLSv1\.3/)
  })

  it('looks at the server from its own machine, and sees who came past it', async () => {
    const past = new pg.Client({ connectionString: database.url })
    await past.connect()
    const tunnel = await gate.connect('shop')
    const through = new pg.Client({ connectionString: tunnel.url })
    await through.connect()
    try {
      const { rows } = await past.query('select pg_backend_pid() as pid')
      const own = await through.query('select pg_backend_pid() as pid')
      const seen = await until(
        'the stranger',
        async () => {
          const { checks } = await look('--server', '--config', gate.configPath)
          const bypass = checks.find(({ name }) => name === 'shop bypass')
          return bypass?.says.includes(`${rows[0].pid} `) === true ? { checks, bypass } : undefined
        },
        20_000,
      )
      assert.ok(seen.bypass.says.startsWith('not through dbgate:'), seen.bypass.says)
      assert.ok(!seen.bypass.says.includes(`${own.rows[0].pid} `), seen.bypass.says)
      for (const name of ['audit', 'state']) {
        assert.deepEqual(stateOf(seen.checks, name), ['ok'], name)
      }
      assert.ok(!stateOf(seen.checks, 'config').includes('fail'))
      assert.ok(seen.checks.some(({ says }) => /^PostgreSQL 18.* as /.test(says)))
    } finally {
      await through.end()
      await tunnel.close()
      await past.end()
    }
  })

  it('fails for a state directory that others can read, and for a file that does not validate', async () => {
    const state = dirname(gate.auditDirectory)
    await chmod(state, 0o755)
    const { checks, code } = await look('--server', '--config', gate.configPath)
    assert.deepEqual(stateOf(checks, 'state'), ['fail'])
    assert.equal(code, 1)
    await chmod(state, 0o700)
    assert.equal((await look('--server', '--config', gate.policyPath)).code, 3)
  })
})
