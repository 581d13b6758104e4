import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { makeCertificates } from '../helpers/certificates.ts'
import { EVERYTHING, type GateTarget, startGate, type TestGate } from '../helpers/gate.ts'
import {
  AUTH_PASSWORD,
  AUTH_ROLES,
  ownPostgres,
  postgres18,
  postgresTls,
  type Upstream,
  withClient,
} from '../helpers/postgres.ts'
import { until } from '../helpers/run.ts'

const may = { engineering: EVERYTHING }

describe('the way to the database', function () {
  this.timeout(60_000)
  let directory: string

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dbgate-upstream-'))
  })

  after(() => rm(directory, { recursive: true, force: true }))

  describe('TLS and logins', () => {
    let gate: TestGate

    before(async () => {
      const [tls, plain, stranger] = [
        await postgresTls(),
        await postgres18(),
        await makeCertificates(),
      ]
      const [ca, wrongCa] = [join(directory, 'ca.pem'), join(directory, 'wrong.pem')]
      await writeFile(ca, tls.certificates.ca)
      await writeFile(wrongCa, stranger.ca)
      const target = (upstream: Upstream, ...lines: string[]): GateTarget => ({
        upstream,
        databases: ['postgres'],
        may,
        lines,
      })
      const verified = ['sslmode: verify-full', `sslrootcert: ${ca}`]
      const logins = AUTH_ROLES.map(user => {
        const login = { user, password: AUTH_PASSWORD }
        return [user.replace('_', '-'), { ...target(tls, ...verified), login }] as const
      })
      gate = await startGate({
        targets: {
          ...Object.fromEntries(logins),
          full: target(tls, ...verified),
          ca: target(tls, 'sslmode: verify-ca', `sslrootcert: ${ca}`),
          require: target(tls, 'sslmode: require'),
          prefer: target(tls, 'sslmode: prefer'),
          wrong: target(tls, 'sslmode: verify-full', `sslrootcert: ${wrongCa}`),
          disabled: target(tls, 'sslmode: disable'),
          'plain-prefer': target(plain, 'sslmode: prefer'),
          'plain-default': target(plain),
          'plain-disable': target(plain, 'sslmode: disable'),
          'plain-require': target(plain, 'sslmode: require'),
          'bad-password': { ...target(plain), login: { user: 'postgres', password: 'not this' } },
        },
      })
    })

    after(() => gate.close())

    for (const user of AUTH_ROLES) {
      it(`logs in ${user}`, async () => {
        const { rows } = await ask(user.replace('_', '-'))
        assert.deepEqual(rows, [{ user, ssl: true }])
      })
    }

    for (const name of ['full', 'ca', 'require', 'prefer']) {
      it(`is encrypted with sslmode ${name}`, async () => {
        assert.deepEqual((await ask(name)).rows, [{ user: 'postgres', ssl: true }])
      })
    }

    for (const name of ['plain-prefer', 'plain-default', 'plain-disable']) {
      it(`reaches a server without TLS as ${name}`, async () => {
        assert.deepEqual((await ask(name)).rows, [{ user: 'postgres', ssl: false }])
      })
    }

    for (const name of ['wrong', 'plain-require', 'disabled', 'bad-password']) {
      it(`refuses ${name} with a reason that tells no secret`, async () => {
        const thrown = await ask(name).catch(cause => cause)
        assert.match(thrown.code, /^(08001|28000|28P01)$/)
        assert.equal(thrown.severity, 'FATAL')
        assert.ok(!`${thrown.message}${thrown.detail}`.includes('not this'))
      })
    }

    it('logs in with a password that was changed since a command told it', async () => {
      const upstream = await postgres18()
      const login = { user: 'rotated', password: 'one' }
      const admin = (sql: string) =>
        withClient(
          `postgresql://postgres:${upstream.password}@${upstream.host}:${upstream.port}/postgres`,
          client => client.query(sql),
        )
      await admin("drop role if exists rotated; create role rotated login password 'one'")
      const own = await startGate({
        targets: { own: { upstream, databases: ['postgres'], may, login, isLoginTold: true } },
      })
      try {
        const { url } = await own.connect('own')
        const who = () => withClient(url, client => client.query('select session_user as user'))
        assert.deepEqual((await who()).rows, [{ user: 'rotated' }])
        await admin("alter role rotated password 'two'")
        const thrown = await who().catch(cause => cause)
        assert.equal(thrown.code, '08001')
        const path = join(own.directory, 'credentials', 'own.json')
        await writeFile(path, JSON.stringify({ ...login, password: 'two' }))
        assert.deepEqual((await who()).rows, [{ user: 'rotated' }])
        await admin("alter role rotated password 'three'")
        await writeFile(path, JSON.stringify({ ...login, password: 'three' }))
        assert.deepEqual((await who()).rows, [{ user: 'rotated' }])
      } finally {
        await own.close()
        await admin('drop role rotated')
      }
    })

    async function ask(target: string) {
      const { url } = await gate.connect(target)
      const sql = 'select session_user as user, ssl from pg_stat_ssl where pid = pg_backend_pid()'
      return withClient(url, client => client.query(sql))
    }
  })

  describe('when it breaks', () => {
    let upstream: Upstream
    let gate: TestGate

    before(async () => {
      upstream = await ownPostgres(18)
      gate = await startGate({ targets: { db: { upstream, databases: ['postgres'], may } } })
    })

    after(async () => {
      await gate.close()
      await upstream.running.stop()
    })

    it("tells a restart in PostgreSQL's own words, and the port serves again", async () => {
      const { url } = await gate.connect('db')
      const client = new pg.Client({ connectionString: url })
      const errors: unknown[] = []
      client.on('error', thrown => errors.push(thrown))
      await client.connect()
      await upstream.running.restart()
      await until('the session was ended', () => errors.length > 0)
      assert.equal((errors[0] as { code: string }).code, '57P01')
      await until('new sessions work', async () => {
        return (await withClient(url, again => again.query('select 1'))).rowCount === 1
      })
    })

    it('says that a database is down, and leaves every other target alone', async () => {
      const { url } = await gate.connect('db')
      await upstream.running.stop()
      const thrown = await withClient(url, async () => undefined).catch(cause => cause)
      assert.match(thrown.code, /^08/)
      assert.match(thrown.message, /^dbgate: /)
    })

    it('closes the server in no time although sessions were refused', async () => {
      const other = await startGate({
        targets: { gone: { upstream, databases: ['postgres'], may } },
        lines: ['drain: 10s'],
      })
      const { url } = await other.connect('gone')
      for (let i = 0; i < 5; i++) await withClient(url, async () => {}).catch(() => {})
      const startedAt = Date.now()
      await other.close()
      assert.ok(Date.now() - startedAt < 5000)
    })
  })
})
