import assert from 'node:assert/strict'
import { createHmac, createPublicKey, type KeyObject } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import https from 'node:https'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import pg from 'pg'
import { freePort } from '../../src/demo/index.ts'
import { startGate, type TestGate } from '../helpers/gate.ts'
import { startTestIssuer, type TestIssuer } from '../helpers/oidc.ts'
import { type Database, freshDatabase, postgres18, withClient } from '../helpers/postgres.ts'
import { run, until } from '../helpers/run.ts'

type Answer = { readonly status: number; readonly body: string }

describe("only its owner's", function () {
  this.timeout(60_000)
  let database: Database
  let gate: TestGate
  let strange: TestIssuer
  let directPort: number
  /** Everything that must never be seen anywhere: tokens and passwords used in this suite. */
  const secrets = new Set<string>()
  /** Everything anybody was told. */
  const told: string[] = []

  before(async () => {
    database = await freshDatabase(await postgres18(), 'owner')
    await database.query('create table kept (n int); insert into kept values (1)')
    directPort = await freePort()
    strange = await startTestIssuer()
    const target = { upstream: database.upstream, databases: [database.name] }
    gate = await startGate({
      targets: {
        open: { ...target, may: { engineering: ['read', 'write'], support: ['read'] } },
        closed: { ...target, may: { dba: ['read', 'write', 'ddl', 'admin'] } },
      },
      inChild: true,
      lines: [
        'limits: { startup: 1s, sessions_per_principal: 100 }',
        'drain: 1s',
        `postgres_listen: 127.0.0.1:${directPort}`,
      ],
    })
    secrets.add(database.upstream.password)
  })

  after(async () => {
    await gate.close()
    await strange.stop()
    await database.drop()
  })

  describe('the local port', () => {
    it('tells a wrong password, a wrong user and none apart in nothing: 28P01', async () => {
      const tunnel = await gate.connect('open')
      const { password } = new URL(tunnel.url)
      secrets.add(password)
      await withClient(tunnel.url, client => client.query('select 1'))
      const seen = []
      for (const [user, wrong] of [
        ['postgres', 'wrong'],
        ['somebody', password],
      ]) {
        const url = new URL(tunnel.url)
        url.username = user ?? ''
        url.password = wrong ?? ''
        const thrown = await withClient(url.href, async () => {}).catch(cause => cause)
        seen.push([thrown.code, thrown.severity])
        told.push(String(thrown))
      }
      assert.deepEqual(seen, Array(2).fill(['28P01', 'FATAL']))
    })

    it('lets psql in with the URL and not without', async () => {
      const { url } = await gate.connect('open')
      secrets.add(new URL(url).password)
      const good = await run('psql', ['-X', '-Atc', 'select 7', url])
      assert.equal(good.stdout.toString(), '7\n')
      const bare = new URL(url)
      bare.password = 'guess'
      const bad = await run('psql', ['-X', '-Atc', 'select 7', bare.href])
      told.push(bad.stderr.toString())
      assert.equal(bad.code, 2)
      assert.match(bad.stderr.toString(), /password authentication failed/)
    })
  })

  describe('tokens', () => {
    const nowS = () => Math.floor(Date.now() / 1000)

    async function badTokens(): Promise<Record<string, string>> {
      const { issuer } = gate
      const good = await issuer.mint('ana')
      const [header = '', payload = '', signature = ''] = good.split('.')
      return {
        'forged by another key': await issuer.forge('ana'),
        expired: await issuer.mint('ana', { exp: nowS() - 3600, iat: nowS() - 7200 }),
        'not valid yet': await issuer.mint('ana', { nbf: nowS() + 3600 }),
        'for another audience': await issuer.mint('ana', { aud: 'another-client' }),
        'for no audience': await issuer.mint('ana', { aud: [] }),
        'of another issuer': await strange.mint('ana'),
        'of another issuer under our name': await strange.mint('ana', { iss: issuer.issuer }),
        'alg none': issuer.unsigned('ana'),
        'alg none with a signature': `${issuer.unsigned('ana')}${signature}`,
        'HS256 with the public key as secret': await confused(issuer),
        'without its signature': `${header}.${payload}.`,
        'with other claims under its signature': `${header}.${Buffer.from(
          JSON.stringify({
            ...JSON.parse(Buffer.from(payload, 'base64url').toString()),
            sub: 'ben',
          }),
        ).toString('base64url')}.${signature}`,
        'without expiry': await issuer.mint('ana', { exp: undefined }),
        'no token at all': 'gibberish',
        'ten thousand dots': '.'.repeat(10_000),
      }
    }

    it('that are not good get 401 everywhere, all with the same words', async () => {
      const answers = new Set<string>()
      for (const [name, token] of Object.entries(await badTokens())) {
        secrets.add(token)
        for (const path of [
          '/api/v1/whoami',
          '/api/v1/targets',
          '/api/v1/audit',
          tunnelPath('open'),
        ]) {
          const { status, body } = await ask(path, token)
          assert.equal(status, 401, `${name} at ${path}: ${body}`)
          answers.add(body)
          told.push(body)
        }
        await assert.rejects(gate.connect('open', 'ana', token), { code: 'UNAUTHORIZED' }, name)
      }
      assert.equal(answers.size, 1, [...answers].join('\n'))
    })

    it('are asked for', async () => {
      for (const path of ['/api/v1/whoami', tunnelPath('open')]) {
        assert.equal((await ask(path, undefined)).status, 401)
      }
    })

    it('that are not good get 28000 at the direct listener', async () => {
      for (const [name, token] of Object.entries(await badTokens())) {
        if (token.length > 5000) continue
        const thrown = await withDirect('open', token, async () => undefined).catch(cause => cause)
        told.push(String(thrown))
        assert.equal(thrown?.code, '28000', name)
      }
    })

    it('that are good are good everywhere', async () => {
      const token = await gate.issuer.mint('ana')
      secrets.add(token)
      const { status, body } = await ask('/api/v1/whoami', token)
      told.push(body)
      assert.equal(status, 200)
      const { data } = JSON.parse(body)
      assert.equal(data.user, 'ana@acme.example')
      assert.deepEqual(
        data.targets.map((one: { name: string }) => one.name),
        ['open'],
      )
      const rows = await withDirect('open', token, client => client.query('select n from kept'))
      assert.deepEqual(rows.rows, [{ n: 1 }])
    })
  })

  describe('a target not granted', () => {
    it('answers like one that does not exist', async () => {
      const token = await gate.issuer.mint('ana')
      secrets.add(token)
      const [closed, missing] = [
        await ask(tunnelPath('closed'), token),
        await ask(tunnelPath('nowhere'), token),
      ]
      assert.equal(closed.status, 404)
      assert.equal(missing.status, 404)
      assert.equal(closed.body.replaceAll('closed', 'X'), missing.body.replaceAll('nowhere', 'X'))
      const listed = await ask('/api/v1/targets', token)
      assert.ok(!listed.body.includes('closed'))
      const refusals = []
      for (const name of ['closed', 'nowhere']) {
        const thrown = await withDirect(name, token, async () => undefined).catch(cause => cause)
        refusals.push([
          thrown.code,
          thrown.message.replaceAll(name, 'X'),
          thrown.detail,
          thrown.hint,
        ])
      }
      assert.deepEqual(refusals[0], refusals[1])
    })

    it('is open to whom it is granted', async () => {
      const { url } = await gate.connect('closed', 'ben')
      secrets.add(new URL(url).password)
      await withClient(url, client =>
        client.query('create table by_ben (n int); drop table by_ben'),
      )
    })
  })

  describe('a role', () => {
    it('may what it may: 42501 for the rest, before PostgreSQL sees it, and the session goes on', async () => {
      const { url } = await gate.connect('open', 'lee')
      secrets.add(new URL(url).password)
      await withClient(url, async client => {
        for (const sql of [
          'insert into kept values (2)',
          'with d as (delete from kept returning n) select * from d',
          'explain analyze delete from kept',
          'select 1; drop table kept',
          'do $$ begin delete from kept; end $$',
          'prepare p as delete from kept',
          'copy kept from stdin',
          'create temp table t as select 1',
        ]) {
          const thrown = await client.query(sql).catch(cause => cause)
          told.push(String(thrown))
          assert.equal(thrown.code, '42501', sql)
          assert.match(thrown.message, /^dbgate: denied/, sql)
          assert.doesNotMatch(thrown.message, /\n/)
        }
        await assert.rejects(client.query('delete from kept where n = $1', [1]), { code: '42501' })
        await client.query('begin')
        await assert.rejects(client.query('delete from kept'), { code: '42501' })
        await assert.rejects(client.query('select 1'), { code: '25P02' })
        await client.query('rollback')
        assert.deepEqual((await client.query('select n from kept')).rows, [{ n: 1 }])
      })
    })

    it("does not show anybody's statements to anybody else", async () => {
      const mine = await gate.issuer.mint('lee')
      const auditor = await gate.issuer.mint('ben')
      for (const token of [mine, auditor]) secrets.add(token)
      const { url } = await gate.connect('open', 'ana')
      secrets.add(new URL(url).password)
      await withClient(url, client => client.query(`select 'only ana ran this'`))
      const found = await until('the auditor finds it', async () => {
        const { body } = await ask('/api/v1/audit?q=%22only+ana%22', auditor)
        return body.includes('only ana ran this') ? body : undefined
      })
      assert.match(found, /ana@acme\.example/)
      const { status, body } = await ask('/api/v1/audit?q=%22only+ana%22', mine)
      assert.equal(status, 200)
      assert.deepEqual(JSON.parse(body).data, [])
      assert.equal((await ask('/api/v1/audit?verify', mine)).status, 403)
    })
  })

  describe('strangers at the doors', () => {
    const openings: Record<string, Buffer> = {
      'nothing at all': Buffer.alloc(0),
      'one byte': Buffer.from('G'),
      'plain HTTP': Buffer.from('GET /health HTTP/1.1\r\nHost: x\r\n\r\n'),
      'a PostgreSQL startup': Buffer.from('0000000800030000', 'hex'),
      'an SSLRequest': Buffer.from('0000000804d2162f', 'hex'),
      'half a TLS record': Buffer.from('160301ffff01', 'hex'),
      zeros: Buffer.alloc(4096),
    }
    for (const [name, bytes] of Object.entries(openings)) {
      it(`who say ${name} are shut out of both, soon`, async () => {
        for (const port of [directPort, gate.port]) await shutOut(port, bytes)
        assert.equal((await ask('/health', undefined)).status, 200)
      })
    }

    it('cannot hold anything up, however many', async () => {
      const all = Array.from({ length: 150 }, () => shutOut(directPort, Buffer.from('x')))
      const token = await gate.issuer.mint('ana')
      secrets.add(token)
      const { rows } = await withDirect('open', token, client => client.query('select 1 as n'))
      assert.deepEqual(rows, [{ n: 1 }])
      await Promise.all(all)
    })

    it('who never finish a request are shut out, soon', async () => {
      const startedAt = Date.now()
      await talkTls('GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ')
      assert.ok(Date.now() - startedAt < 18_000, 'the server closed it, not the test')
    })

    it('get no further with huge or endless requests', async () => {
      const cases = [
        `GET /${'a'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
        `GET /health HTTP/1.1\r\n${'X: y\r\n'.repeat(5000)}\r\n`,
        `POST /api/v1/renew HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n${'z'.repeat(1000)}`,
        'GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n',
        'NONSENSE\r\n\r\n',
      ]
      for (const text of cases) {
        const answer = await talkTls(text)
        assert.match(answer, /^HTTP\/1\.1 [45]\d\d |^HTTP\/1\.1 200 |^$/)
      }
      assert.equal((await ask('/health', undefined)).status, 200)
    })
  })

  describe('after all of that', () => {
    it('no token and no password is in any log, answer, record or process list', async () => {
      const files = await readdir(gate.auditDirectory)
      const records = await Promise.all(
        files.map(name => readFile(join(gate.auditDirectory, name), 'utf8')),
      )
      const processes = await run('ps', ['-eo', 'args', '-ww'])
      const places = {
        'the server log': gate.log.join('\n'),
        'what people were told': told.join('\n'),
        'the audit log': records.join('\n'),
        'the process list': processes.stdout.toString('utf8'),
      }
      assert.ok(places['the server log'].length > 100 && places['the audit log'].length > 1000)
      for (const secret of secrets) {
        // A JWT's signature is its secret part; short and dotted ones of these tests are no secrets.
        const parts = secret.split('.')
        const needle = parts.length === 3 ? (parts[2] ?? '') : secret
        if (needle.length < 16 || /^\.+$/.test(secret)) continue
        for (const [place, text] of Object.entries(places)) {
          assert.ok(!text.includes(needle), `a secret is in ${place}`)
        }
      }
    })
  })

  const tunnelPath = (name: string) => `/api/v1/targets/${name}/tunnel`

  /** A request as the tunnel's end or the CLI makes it; a tunnel that opens counts as 101. */
  function ask(path: string, token: string | undefined): Promise<Answer> {
    const isTunnel = path.endsWith('/tunnel')
    const headers = {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(isTunnel ? { connection: 'Upgrade', upgrade: 'dbgate-postgres' } : {}),
    }
    return new Promise((resolve, reject) => {
      const request = https.get(`${gate.url}${path}`, {
        rejectUnauthorized: false,
        agent: false,
        maxHeaderSize: 65_536,
        headers,
      })
      request.once('error', reject)
      request.once('upgrade', (_response, socket) => {
        socket.destroy()
        resolve({ status: 101, body: '' })
      })
      request.once('response', response => {
        let body = ''
        response.on('data', chunk => {
          body += chunk
        })
        response.once('end', () => resolve({ status: response.statusCode ?? 0, body }))
      })
    })
  }

  async function withDirect<T>(
    target: string,
    token: string,
    work: (client: pg.Client) => Promise<T>,
  ) {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: directPort,
      user: 'ana',
      password: token,
      database: target,
      ssl: { rejectUnauthorized: false },
    })
    client.on('error', () => {})
    await client.connect()
    try {
      return await work(client)
    } finally {
      await client.end()
    }
  }

  function shutOut(port: number, bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connectTcp({ port, host: '127.0.0.1' })
      const timer = setTimeout(() => {
        socket.destroy()
        reject(new Error(`port ${port} is still open after 15 s`))
      }, 15_000)
      socket.on('error', () => {})
      socket.resume()
      socket.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
      socket.write(bytes)
    })
  }

  function talkTls(text: string): Promise<string> {
    return new Promise(resolve => {
      const socket = connectTls({ port: gate.port, host: '127.0.0.1', rejectUnauthorized: false })
      let answer = ''
      socket.setTimeout(20_000, () => socket.destroy())
      socket.on('data', chunk => {
        answer += chunk
        socket.end()
      })
      socket.on('error', () => {})
      socket.once('close', () => resolve(answer))
      socket.write(text)
    })
  }
})

/** The classic: an HMAC made with the public key, for a verifier that lets the token choose the algorithm. */
async function confused(issuer: TestIssuer): Promise<string> {
  const { keys } = (await (await fetch(`${issuer.issuer}/jwks`)).json()) as {
    keys: Record<string, string>[]
  }
  const key: KeyObject = createPublicKey({ key: keys[0] ?? {}, format: 'jwk' })
  const secret = key.export({ type: 'spki', format: 'pem' })
  const [, payload] = (await issuer.mint('ana')).split('.')
  const header = Buffer.from(JSON.stringify({ alg: 'HS256', kid: 'test-key' })).toString(
    'base64url',
  )
  const signature = createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url')
  return `${header}.${payload}.${signature}`
}
