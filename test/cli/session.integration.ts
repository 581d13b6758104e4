import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { freePort } from '../../src/demo/index.ts'
import { startGate, type TestGate } from '../helpers/gate.ts'
import { browse } from '../helpers/oidc.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import { until } from '../helpers/run.ts'
import { type Cli, person, type Running } from './cli.ts'

describe('the command line, against a real server', function () {
  this.timeout(60_000)
  let database: Database
  let gate: TestGate
  let ana: Cli
  let host: string

  before(async () => {
    const upstream = await postgres18()
    database = await freshDatabase(upstream, 'cli')
    await database.query('create table orders(id int, note text)')
    await database.query(`insert into orders select n, 'note ' || n from generate_series(1, 3) n`)
    gate = await startGate({
      targets: {
        shop: {
          upstream,
          databases: [database.name],
          may: { engineering: ['read', 'write'] },
          lines: ['sslmode: disable', 'environment: production', 'title: The shop'],
        },
        vault: { upstream, databases: [database.name], may: { dba: ['read'] } },
      },
    })
    host = new URL(gate.url).host
    ana = await person()
    await signIn(ana)
  })
  after(async () => {
    await ana?.close()
    await gate?.close()
    await database?.drop()
  })

  /** Signs in as Ana does, in a browser. */
  async function signIn(cli: Cli, ...flags: string[]): Promise<string> {
    const login = cli.start(['login', host, '--fingerprint', gate.pin, ...flags])
    const link = await until('the link', () => /https?:\/\/\S+/.exec(login.said.err)?.[0])
    const page = await browse(link, 'ana')
    assert.equal(page.status, 200)
    const { code, err } = await login.ended
    assert.equal(code, 0, err)
    return err
  }

  /** Opens a tunnel that stays and returns it with its URL. */
  async function connect(...flags: string[]): Promise<Running & { readonly url: string }> {
    const running = ana.start(['connect', 'shop', '--port', String(await freePort()), ...flags])
    const url = await until(
      'the URL',
      () => /postgresql:[^\s"]+(?=[\n"])/.exec(running.said.out)?.[0],
    )
    return { ...running, url }
  }

  async function rows(url: string, sql: string): Promise<unknown[]> {
    const client = new pg.Client(url)
    await client.connect()
    try {
      return (await client.query(sql)).rows
    } finally {
      await client.end()
    }
  }

  describe('login', () => {
    it('shows the certificate of an unknown server instead of trusting it', async () => {
      const stranger = await person()
      const { code, err } = await stranger.run(['login', host])
      assert.equal(code, 7)
      assert.match(err, new RegExp(`^✗ cannot verify the certificate of ${host}\\n`))
      assert.ok(err.includes(`→ dbgate login ${host} --fingerprint sha256:${gate.pin}\n`))
      await stranger.close()
    })

    it('says who signed in, until when, and what to type next', async () => {
      const cli = await person()
      const said = await signIn(cli)
      assert.match(said, /^Open in your browser: http:\/\/127\.0\.0\.1:\d+\/auth\?/)
      assert.match(
        said,
        /✓ Ana Ruiz \(ana@acme\.example\) · engineering\n {2}until \d\d:\d\d, renews/,
      )
      assert.match(said, /\n {2}1 target: shop\n {2}→ dbgate connect shop\n$/)
      await cli.close()
    })

    it('keeps its files to their owner', async () => {
      const config = join(ana.home, '.config/dbgate')
      for (const name of await readdir(config, { recursive: true })) {
        // Locks are empty, below a directory that only its owner may enter.
        if (name.endsWith('.lock')) continue
        assert.equal((await stat(join(config, name))).mode & 0o077, 0, name)
      }
    })

    it('is done at once when already signed in', async () => {
      const { code, err } = await ana.run(['login'])
      assert.equal(code, 0)
      assert.match(err, /^✓ Ana Ruiz/)
    })

    it('takes a token from elsewhere', async () => {
      const cli = await person()
      const input = await gate.issuer.mint('ana')
      const flags = ['login', host, '--fingerprint', gate.pin, '--token-stdin', '--json']
      const { code, out, err } = await cli.run(flags, { input })
      assert.equal(code, 0, err)
      assert.equal(JSON.parse(out).data.user.email, 'ana@acme.example')
      await cli.close()
    })

    it('stores nothing of a token that the server refuses', async () => {
      const cli = await person()
      const input = await gate.issuer.forge('ana')
      const flags = ['login', host, '--fingerprint', gate.pin, '--token-stdin']
      const { code, err } = await cli.run(flags, { input })
      assert.equal(code, 4)
      assert.ok(!err.includes(input))
      assert.equal((await cli.run(['whoami'])).code, 4)
      await cli.close()
    })

    it('does without a sign-in where a job brings its token', async () => {
      const job = await person()
      const env = {
        DBGATE_TOKEN: await gate.issuer.mint('ana'),
        DBGATE_SERVER: host,
        DBGATE_FINGERPRINT: gate.pin,
      }
      const { code, out } = await job.run(['sql', 'shop', 'select count(*) from orders'], { env })
      assert.deepEqual([code, out], [0, 'count\n3\n'])
      await job.close()
    })
  })

  describe('whoami and ls', () => {
    it('say who you are and what is open to you', async () => {
      const { out } = await ana.run(['whoami'])
      assert.match(
        out,
        /^ana@acme\.example · Ana Ruiz · 127\.0\.0\.1:\d+\ngroups {3}engineering\nuntil/,
      )
      assert.match(out, /\nmay {6}shop {2}read-write \(read, write\)\n$/)
    })

    it('list only what is granted', async () => {
      const { out } = await ana.run(['ls', '--json'])
      const { data } = JSON.parse(out)
      assert.deepEqual(
        data.map((target: { name: string }) => target.name),
        ['shop'],
      )
      assert.equal(data[0].environment, 'production')
      assert.match((await ana.run(['ls', '--plain'])).out, /^shop\tread-write\t\d+\tThe shop\t\n$/)
    })
  })

  describe('sql', () => {
    it('prints CSV in a pipe', async () => {
      const { code, out } = await ana.run([
        'sql',
        'shop',
        'select *, null as x from orders where id < 3',
      ])
      assert.deepEqual([code, out], [0, 'id,note,x\n1,note 1,\n2,note 2,\n'])
    })

    it('prints one JSON document', async () => {
      const { out } = await ana.run(['sql', 'shop', '--json', 'select 1 as a; select null as b'])
      assert.deepEqual(JSON.parse(out).data, [
        { tag: 'SELECT 1', columns: [{ name: 'a', type_oid: 23 }], rows: [['1']] },
        { tag: 'SELECT 1', columns: [{ name: 'b', type_oid: 25 }], rows: [[null]] },
      ])
    })

    it('reads SQL from stdin', async () => {
      const { out } = await ana.run(['sql', 'shop'], { input: 'select 7 as seven' })
      assert.equal(out, 'seven\n7\n')
    })

    it('exits with 5 for what the policy denies, with the reason', async () => {
      const { code, out, err } = await ana.run(['sql', 'shop', 'drop table orders'])
      assert.deepEqual([code, out], [5, ''])
      assert.match(err, /^✗ dbgate: denied, you are read-write on shop/)
      assert.equal((await database.query('select count(*)::int n from orders')).rows[0].n, 3)
    })

    it('exits with 1 for an SQL error and 2 for SQL that is none', async () => {
      const failed = await ana.run(['sql', 'shop', 'select 1/0', '--json'])
      assert.equal(failed.code, 1)
      assert.deepEqual(
        [JSON.parse(failed.out).error.code, JSON.parse(failed.out).error.sqlstate],
        ['sql_error', '22012'],
      )
      assert.equal((await ana.run(['sql', 'shop', 'selec 1'])).code, 2)
    })

    it('cancels in the database on ^C', async () => {
      const asked = ana.start(['sql', 'shop', 'select pg_sleep(600)'])
      const isRunning = `select 1 from pg_stat_activity where query = 'select pg_sleep(600)' and state = 'active'`
      await until('it runs', async () => (await database.query(isRunning)).rows.length === 1)
      asked.child.kill('SIGINT')
      const { code, err } = await asked.ended
      assert.equal(code, 130)
      assert.match(err, /57014/)
      assert.equal((await database.query(isRunning)).rows.length, 0)
      const { out } = await ana.run(['audit', 'search', 'pg_sleep'])
      assert.match(out, /! cancelled 57014/)
    })

    it('does not tell a target that is not granted from one that does not exist', async () => {
      const [vault, nothing] = await Promise.all(
        ['vault', 'nothing'].map(name => ana.run(['sql', name, 'select 1'])),
      )
      assert.equal(vault?.code, 6)
      assert.equal(vault?.err, nothing?.err.replace('nothing', 'vault'))
    })
  })

  describe('audit', () => {
    it('finds what was run and what was denied', async () => {
      const { out } = await ana.run(['audit', 'search', 'verdict:denied', 'drop'])
      assert.match(out, /^TIME +USER +ON +VERDICT +SQL +ROWS\n/)
      assert.match(out, /ana\/dbgate +shop +✗ role:read-write +drop table orders +-\n$/)
    })

    it('gives JSON lines, and says when nothing matches', async () => {
      const { out } = await ana.run(['audit', 'search', '"from orders"', '--json', '--limit', '1'])
      assert.equal(JSON.parse(out).user, 'ana@acme.example')
      const none = await ana.run(['audit', 'search', 'nosuchword'])
      assert.deepEqual({ code: none.code, out: none.out }, { code: 0, out: '' })
      assert.match(
        none.err,
        /^No statements match\. \d+ statements in the last 24 h · only your own statements\n$/,
      )
    })

    it('refuses an unknown key with the list of keys', async () => {
      const { code, err } = await ana.run(['audit', 'search', 'foo:bar'])
      assert.equal(code, 2)
      assert.match(err, /unknown key "foo"/)
    })

    it('verifies the log without a server, and lets only auditors ask the server', async () => {
      const local = await ana.run(['audit', 'verify', '--dir', gate.auditDirectory])
      assert.equal(local.code, 0)
      assert.match(local.out, /^✓ \d+ records, chain unbroken\n/)
      assert.equal((await ana.run(['audit', 'verify'])).code, 5)
    })
  })

  describe('connect', () => {
    it('prints the URL on stdout and a ready line on stderr, and closes on ^C', async () => {
      const { child, said, url, ended } = await connect()
      assert.match(url, /^postgresql:\/\/ana:[\w-]{32}@127\.0\.0\.1:\d+\/cli_\w+$/)
      assert.match(said.err, /^ready shop 127\.0\.0\.1:\d+ role=read-write\n/)
      assert.ok(!said.err.includes(new URL(url).password), 'the password is on stdout only')
      assert.deepEqual(await rows(url, 'select 1 as one'), [{ one: 1 }])
      child.kill('SIGINT')
      const { code, err } = await ended
      assert.equal(code, 130)
      assert.match(err, /shop closed after \d+ s\n$/)
    })

    it('tells events as JSON lines', async () => {
      const { child, said, url, ended } = await connect('--json')
      await rows(url, 'select 1')
      await until('the client left', () => said.out.includes('"closed"'))
      child.kill('SIGTERM')
      assert.equal((await ended).code, 143)
      const events = said.out
        .trim()
        .split('\n')
        .map(line => JSON.parse(line))
      assert.deepEqual(
        events.map(event => event.event),
        ['ready', 'client', 'client', 'closed'],
      )
      assert.match(events[0].server_version, /^18/)
      assert.equal(events[0].target, 'shop')
    })

    it('runs a command inside, and its exit code is the result', async () => {
      const script =
        'psql -XAtc "select count(*) from orders" && echo "$DBGATE_TARGET $DATABASE_URL" && exit 7'
      const { code, out, err } = await ana.run(['connect', 'shop', '--', 'sh', '-c', script])
      assert.equal(code, 7)
      assert.match(out, /^3\nshop postgresql:\/\/ana:/)
      assert.match(err, /^shop · read-write · DATABASE_URL set\nshop closed after \d+ s\n$/)
    })

    it('says when the command is not there', async () => {
      const { code, err } = await ana.run(['connect', 'shop', '--', 'no-such-command'])
      assert.equal(code, 127)
      assert.match(err, /✗ no-such-command: command not found \(tunnel closed again\)/)
    })

    it('names the target that was probably meant', async () => {
      const { code, err } = await ana.run(['connect', 'shp'])
      assert.equal(code, 6)
      assert.match(err, /^✗ no target "shp" is open to you on \S+\. Did you mean shop\?\n/)
    })

    it('takes a port strictly when told so', async () => {
      const first = await connect()
      const taken = new URL(first.url).port
      const job = await person()
      const env = {
        DBGATE_TOKEN: await gate.issuer.mint('ana'),
        DBGATE_SERVER: host,
        DBGATE_FINGERPRINT: gate.pin,
      }
      const { code, err } = await job.run(['connect', 'shop', '--port', taken], { env })
      assert.equal(code, 10)
      assert.match(
        err,
        new RegExp(`^✗ port ${taken} on 127\\.0\\.0\\.1 is used by another program\\n`),
      )
      await job.close()
      first.child.kill('SIGTERM')
      await first.ended
    })

    it('is on the list while it runs, is used by a second call, and can be closed from elsewhere', async () => {
      const { url, ended } = await connect()
      const port = Number(new URL(url).port)
      const status = JSON.parse((await ana.run(['status', '--json'])).out)
      assert.deepEqual([status.data[0].target, status.data[0].port], ['shop', port])
      assert.ok(!JSON.stringify(status).includes(new URL(url).password))
      assert.equal(JSON.parse((await ana.run(['ls', '--json'])).out).data[0].open.port, port)

      const again = await ana.run(['connect', 'shop'])
      assert.deepEqual([again.code, again.out], [0, `${url}\n`])
      assert.match(again.err, /^shop is already open \(pid \d+, \d+ s\); using it\n$/)
      const inside = await ana.run(['connect', 'shop', '--', 'psql', '-XAtc', 'select 5'])
      assert.equal(inside.out, '5\n')

      assert.equal((await ana.run(['disconnect', 'shop'])).code, 0)
      assert.equal((await ended).code, 0)
      assert.deepEqual(JSON.parse((await ana.run(['status', '--json'])).out).data, [])
    })

    it('has the same password each time, so that saved settings keep working', async () => {
      const passwords: string[] = []
      for (let time = 0; time < 2; time += 1) {
        const { child, url, ended } = await connect()
        passwords.push(new URL(url).password)
        child.kill('SIGTERM')
        await ended
      }
      assert.equal(passwords[0], passwords[1])
    })

    it('says that the database is down where the server is not', async () => {
      const { code, err } = await ana.run(['connect', 'shop', '--db', 'no_such_database'])
      assert.equal(code, 7)
      assert.match(err, /^✗ \S+ answers, but shop does not: /)
    })
  })

  describe('the panel', () => {
    it('shows the tunnel on a terminal, copies its URL and closes', async () => {
      const { terminal } = await import('./pty.ts')
      const screen = await terminal(ana, ['connect', 'shop', '--port', String(await freePort())])
      try {
        await until('the panel', async () => /q quit/.test(await screen.text()))
        const shown = await screen.text()
        assert.match(shown, /✓ shop · read-write · PostgreSQL 18\S* · recorded/)
        const url = /postgresql:\/\/\S+/.exec(shown.replaceAll('\n', ''))?.[0] ?? ''
        assert.deepEqual(await rows(url, 'select 1 as one'), [{ one: 1 }])
        const client = new pg.Client({
          connectionString: url,
          application_name: '\u001b[31mev\u202eil',
        })
        await client.connect()
        await until('the client', async () =>
          /1 client \(␛\[31mev<U\+202E>il\)/.test(await screen.text()),
        )
        await screen.press('c')
        await until('the clipboard', async () => (await screen.clipboard()) === url)
        await screen.press('?')
        await until('the help', async () =>
          /copy the URL to the clipboard/.test(await screen.text()),
        )
        await screen.press('q')
        await until('the question', async () => /1 client is connected/.test(await screen.text()))
        await client.end()
        await screen.press('q')
        await until('the end', async () =>
          /shop closed after \d+ s\nexit 0/.test(await screen.text()),
        )
      } finally {
        await screen.close()
      }
    })
  })

  it('signs out, closes its tunnels and forgets', async () => {
    const cli = await person()
    await signIn(cli)
    const tunnel = cli.start(['connect', 'shop', '--port', String(await freePort())])
    await until('the tunnel', () => tunnel.said.err.includes('ready'))
    const { code, err } = await cli.run(['logout'])
    assert.equal(code, 0)
    assert.match(err, /✓ signed out of \S+ 1 tunnel closed\.\n/)
    assert.equal((await tunnel.ended).code, 0)
    assert.equal((await cli.run(['ls'])).code, 4)
    await cli.close()
  })

  it('writes no token and no password to its files but the secrets', async () => {
    const { url, child, ended } = await connect()
    child.kill('SIGTERM')
    await ended
    const { password } = new URL(url)
    const places = ['.config/dbgate', '.local/state/dbgate'].map(place => join(ana.home, place))
    for (const place of places) {
      for (const name of await readdir(place, { recursive: true }).catch(() => [])) {
        if (name.startsWith('secrets')) continue
        const content = await readFile(join(place, name), 'utf8').catch(() => '')
        assert.ok(!content.includes(password) && !/eyJ[\w-]{20}/.test(content), name)
      }
    }
  })
})
