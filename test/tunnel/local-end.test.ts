import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { promisify } from 'node:util'
import pg from 'pg'
import { DbgateError } from '../../src/errors.ts'
import {
  openTunnel,
  type Tunnel,
  type TunnelEvent,
  type TunnelOptions,
} from '../../src/tunnel/index.ts'
import { echoBackend, emptySeen, type Seen } from './scripted-backend.ts'
import { failure, type ScriptedServer, scriptedServer } from './scripted-server.ts'

const run = promisify(execFile)
const PASSWORD = 'Kq7cT2mX9vB4nR8w'

function signIn(token = 'good') {
  const current = async () => ({ token, expiresAt: Date.now() + 3_600_000 })
  return { current, renew: current }
}

describe('tunnel/local end', () => {
  let server: ScriptedServer
  let tunnel: Tunnel
  let seen: Seen
  let events: TunnelEvent[]

  async function open(more: Partial<TunnelOptions> = {}): Promise<Tunnel> {
    return openTunnel({
      server: { url: server.url, pin: server.pin },
      target: 'prod',
      role: undefined,
      agent: undefined,
      signIn: signIn(),
      user: 'ana',
      password: PASSWORD,
      database: 'app',
      host: '127.0.0.1',
      port: 0,
      anyPort: false,
      now: Date.now,
      random: randomBytes,
      onEvent: event => events.push(event),
      ...more,
    })
  }

  function psql(args: readonly string[], more: Record<string, string> = {}) {
    const env = { PATH: process.env.PATH, PGPASSWORD: PASSWORD, PGCONNECT_TIMEOUT: '8', ...more }
    const where = ['-h', '127.0.0.1', '-p', String(tunnel.port), '-U', 'ana', '-d', 'app']
    return run('psql', ['-XAtq', ...where, ...args], { env })
  }

  beforeEach(async () => {
    seen = emptySeen()
    events = []
    server = await scriptedServer({ onTunnel: echoBackend(seen) })
    tunnel = await open()
  })
  afterEach(async () => {
    await tunnel.close()
    await server.kill()
  })

  describe('signing in', () => {
    it('lets psql in with the password and forwards its startup packet as it came', async () => {
      const { stdout } = await psql(['-c', 'select 42'], { PGAPPNAME: 'my app' })
      assert.equal(stdout, 'select 42\n')
      const parameters = Object.fromEntries(seen.startups[0]?.parameters ?? [])
      assert.equal(parameters.user, 'ana')
      assert.equal(parameters.database, 'app')
      assert.equal(parameters.application_name, 'my app')
    })

    it('lets pg in with the printed URL', async () => {
      const client = new pg.Client(tunnel.url)
      await client.connect()
      const result = await client.query('select 1')
      assert.deepEqual(result.rows, [{ value: 'select 1' }])
      await client.end()
      assert.equal(seen.terminated, 1)
    })

    it('answers a request for TLS or GSS with N, and psql goes on without', async () => {
      const { stdout } = await psql(['-c', 'x'], { PGSSLMODE: 'prefer', PGGSSENCMODE: 'prefer' })
      assert.equal(stdout, 'x\n')
      await assert.rejects(
        psql(['-c', 'x'], { PGSSLMODE: 'require' }),
        /server does not support SSL/,
      )
    })

    it('refuses a wrong password and a wrong user with the same words and code', async () => {
      const wrong = async (user: string, password: string) => {
        const client = new pg.Client({
          host: '127.0.0.1',
          port: tunnel.port,
          user,
          password,
          database: 'app',
        })
        client.on('error', () => {})
        const error = await client.connect().then(
          () => assert.fail('let in'),
          caught => caught,
        )
        return {
          code: error.code,
          message: error.message.replace(`"${user}"`, '"X"'),
          hint: error.hint,
        }
      }
      const byPassword = await wrong('ana', 'guess')
      const byUser = await wrong('ben', PASSWORD)
      assert.equal(byPassword.code, '28P01')
      assert.deepEqual(byUser, byPassword)
      assert.equal(byPassword.message, 'password authentication failed for user "X"')
      assert.equal(seen.startups.length, 0)
      assert.equal(server.upgrades.length, 1, 'no tunnel but the one kept ready')
    })

    it('sends salts for unknown names that stay the same and differ between names', async () => {
      const salt = async (user: string) => {
        const bytes = await exchangeFirst(tunnel.port, user)
        return /s=([^,]+),i=4096/.exec(bytes.toString('latin1'))?.[1]
      }
      const [ana, ben, benAgain] = [await salt('ana'), await salt('ben'), await salt('ben')]
      assert.ok(ana !== undefined && ben !== undefined)
      assert.equal(ben, benAgain)
      assert.notEqual(ana, ben)
    })

    it('drops what is not PostgreSQL without a word', async () => {
      for (const garbage of [
        'GET / HTTP/1.1\r\n\r\n',
        '\x16\x03\x01\x02\x00\x01',
        '\0\0\0\x04\0\0\0\0',
        '\xff'.repeat(9),
      ]) {
        assert.equal((await talk(tunnel.port, Buffer.from(garbage, 'latin1'))).length, 0, garbage)
      }
    })

    it('closes a client that asks for TLS again and again', async () => {
      const ask = Buffer.from('0000000804d2162f', 'hex')
      assert.equal((await talk(tunnel.port, Buffer.concat([ask, ask, ask]))).toString(), 'N')
    })

    it('refuses protocol 2 in words', async () => {
      const answer = await talk(tunnel.port, Buffer.from('0000000800020000', 'hex'))
      assert.match(answer.toString('latin1'), /0A000.*unsupported frontend protocol 2\.0/s)
    })
  })

  describe('what passes', () => {
    it('carries a large query and a large answer whole', async () => {
      const client = new pg.Client(tunnel.url)
      await client.connect()
      const text = 'é'.repeat(3_000_000)
      const result = await client.query(text)
      assert.equal(result.rows[0].value, text)
      await client.end()
    })

    it('passes bytes that came with the password on', async () => {
      // A driver may send its first query without waiting for AuthenticationOk.
      const client = new pg.Client(tunnel.url)
      await client.connect()
      await Promise.all(['a', 'b', 'c'].map(text => client.query(text)))
      assert.deepEqual(seen.queries, ['a', 'b', 'c'])
      await client.end()
    })

    it('forwards a cancel request through a tunnel of its own and closes when it is done', async () => {
      const answer = await talk(tunnel.port, Buffer.from('0000001004d2162e0000126701020304', 'hex'))
      assert.equal(answer.length, 0)
      assert.equal(seen.cancels, 1)
    })

    it('reports clients by the name they give themselves', async () => {
      const client = new pg.Client({ connectionString: tunnel.url, application_name: 'report' })
      await client.connect()
      assert.deepEqual(
        tunnel.clients.map(one => one.application),
        ['report'],
      )
      await client.end()
      await until(() => tunnel.clients.length === 0)
      assert.deepEqual(
        events.map(event => event.type),
        ['client-opened', 'client-closed'],
      )
    })
  })

  describe('the server away', () => {
    it('keeps the port while the server restarts, and works again by itself', async () => {
      const before = new pg.Client(tunnel.url)
      await before.connect()
      const lost = new Promise<{ code?: string; message: string }>(resolve =>
        before.on('error', resolve),
      )
      await server.kill()
      const error = await lost
      assert.equal(error.code, '57P01')
      assert.match(error.message, /^dbgate: connection to 127\.0\.0\.1:\d+ lost; reconnect/)

      const waiting = psql(['-c', 'again'])
      await until(() => events.some(event => event.type === 'reconnecting'))
      server = await scriptedServer({ port: server.port, onTunnel: echoBackend(seen) })
      assert.equal((await waiting).stdout, 'again\n')
      assert.ok(events.some(event => event.type === 'connected'))
    })

    it('tells a client to try again when the server stays away', async () => {
      const { Link } = await import('../../src/tunnel/link.ts')
      const away = async () => {
        throw new DbgateError('UNREACHABLE', 'cannot reach it')
      }
      const attempts: number[] = []
      const link = new Link({
        dial: away,
        dialCold: away,
        renew: away,
        serverName: 'bastion.test',
        onEvent: event => event.type === 'reconnecting' && attempts.push(event.nextMs),
        patienceMs: 900,
      })
      await assert.rejects(link.open(), {
        code: 'STARTING',
        sqlstate: '57P03',
        message: 'dbgate: reconnecting to bastion.test, try again shortly',
      })
      assert.deepEqual(attempts.slice(0, 2), [250, 500])
      link.close()
    })

    it('uses a new tunnel when the one that lay ready died unseen', async () => {
      // The server takes the first tunnel away the moment something is said in it.
      await tunnel.close()
      await server.kill()
      let count = 0
      const echo = echoBackend(seen)
      server = await scriptedServer({
        onTunnel: socket => {
          count += 1
          if (count === 1) socket.once('data', () => socket.destroy())
          else echo(socket)
        },
      })
      tunnel = await open()
      assert.equal((await psql(['-c', 'still here'])).stdout, 'still here\n')
    })
  })

  describe('the sign-in', () => {
    it('tells a client that it ended: 28000, and what to type', async () => {
      await tunnel.close()
      let isEnded = false
      const token = async () => {
        if (isEnded) throw new DbgateError('UNAUTHORIZED', 'no')
        return { token: 't', expiresAt: Date.now() + 21_000 }
      }
      let now = Date.now()
      tunnel = await open({ signIn: { current: token, renew: token }, now: () => now })
      isEnded = true
      now += 60_000
      for (const socket of server.tunnels) socket.destroy()
      await until(() => server.tunnels.size === 0)
      const client = new pg.Client(tunnel.url)
      client.on('error', () => {})
      await assert.rejects(client.connect(), {
        code: '28000',
        message: 'dbgate: sign-in expired. Run: dbgate login',
      })
      assert.ok(events.some(event => event.type === 'sign-in-ended'))
    })

    it('gets a new token when the server refuses the one in hand', async () => {
      await tunnel.close()
      await server.kill()
      server = await scriptedServer({
        onTunnel: echoBackend(seen),
        refuse: request =>
          request.headers.authorization === 'Bearer old' && server.upgrades.length > 0
            ? [401, failure('UNAUTHORIZED', 'token refused')]
            : undefined,
      })
      tunnel = await open({
        signIn: {
          current: async () => ({ token: 'old', expiresAt: Date.now() + 3_600_000 }),
          renew: async () => ({ token: 'new', expiresAt: Date.now() + 3_600_000 }),
        },
      })
      for (const socket of server.tunnels) socket.destroy()
      await until(() => server.tunnels.size === 0)
      assert.equal((await psql(['-c', 'ok'])).stdout, 'ok\n')
    })
  })

  it('fails at once where no tunnel can be made', async () => {
    await tunnel.close()
    await server.kill()
    server = await scriptedServer({
      onTunnel: echoBackend(seen),
      refuse: () => [404, failure('NO_TARGET', 'no target "prd"')],
    })
    await assert.rejects(open({ target: 'prd' }), { code: 'NO_TARGET', message: 'no target "prd"' })
  })

  it('takes a port nearby only when it may', async () => {
    await assert.rejects(open({ port: tunnel.port }), { code: 'PORT', exitCode: 10 })
    const other = await open({ port: tunnel.port, anyPort: true })
    assert.notEqual(other.port, tunnel.port)
    await other.close()
  })

  it('sends target, role and agent with the request', async () => {
    const other = await open({ target: 'a b/ü', role: 'reader', agent: 'my tool' })
    const request = server.upgrades.at(-1)
    assert.equal(request?.url, '/api/v1/targets/a%20b%2F%C3%BC/tunnel')
    assert.equal(request?.headers['x-dbgate-role'], 'reader')
    assert.equal(request?.headers['x-dbgate-agent'], 'my%20tool')
    assert.equal(request?.headers.authorization, 'Bearer good')
    await other.close()
  })
})

/** Sends bytes and returns everything that comes back until the other end closes. */
function talk(port: number, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.on('data', chunk => chunks.push(chunk as Buffer))
    socket.on('error', () => {})
    socket.on('close', () => resolve(Buffer.concat(chunks)))
    socket.setTimeout(5_000, () => reject(new Error('the port neither answered nor closed')))
  })
}

/** Starts an exchange as `user` and returns the answer to the first SASL message. */
function exchangeFirst(port: number, user: string): Promise<Buffer> {
  const parameters = Buffer.from(`user\0${user}\0\0`)
  const startup = Buffer.concat([
    Buffer.from([0, 0, 0, parameters.length + 8, 0, 3, 0, 0]),
    parameters,
  ])
  const first = Buffer.from('n,,n=,r=abcdef')
  const body = Buffer.concat([
    Buffer.from('SCRAM-SHA-256\0'),
    Buffer.from([0, 0, 0, first.length]),
    first,
  ])
  const sasl = Buffer.concat([Buffer.from('p'), Buffer.from([0, 0, 0, body.length + 4]), body])
  return new Promise(resolve => {
    const socket: Socket = connect(port, '127.0.0.1', () =>
      socket.write(Buffer.concat([startup, sasl])),
    )
    let all = Buffer.alloc(0)
    socket.on('data', chunk => {
      all = Buffer.concat([all, chunk as Buffer])
      if (all.includes(',i=4096')) socket.destroy()
    })
    socket.on('close', () => resolve(all))
  })
}

async function until(condition: () => boolean, deadlineMs = 8_000): Promise<void> {
  const end = Date.now() + deadlineMs
  while (!condition()) {
    if (Date.now() > end) throw new Error(`still not: ${condition}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
