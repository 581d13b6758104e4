import assert from 'node:assert/strict'
import { createApiClient, peekFingerprint } from '../../src/api/index.ts'
import { Dialer, type DialerOptions } from '../../src/tunnel/index.ts'
import { until } from '../helpers/run.ts'
import { SECOND } from './certificates.ts'
import { echoBackend, emptySeen } from './scripted-backend.ts'
import { failure, type ScriptedServer, scriptedServer } from './scripted-server.ts'

describe('tunnel/dial', () => {
  let server: ScriptedServer
  let dialer: Dialer | undefined
  beforeEach(async () => {
    server = await scriptedServer({ onTunnel: echoBackend(emptySeen()) })
  })
  afterEach(async () => {
    dialer?.close()
    dialer = undefined
    await server.kill()
  })

  function open(more: Partial<DialerOptions> = {}): Dialer {
    dialer = new Dialer({
      route: { server: { url: server.url, pin: server.pin }, target: 'prod' },
      token: async () => 'token',
      now: Date.now,
      sessions: new Map(),
      ...more,
    })
    return dialer
  }

  it('keeps one connection ready, and makes the next when it is taken', async () => {
    const made = open()
    await made.warmUp()
    assert.equal(made.warm, 1)
    const { socket, isWarm } = await made.dial()
    assert.equal(isWarm, true)
    await until('the next one', () => made.warm === 1)
    assert.equal(server.upgrades.length, 2)
    socket.destroy()
  })

  it('keeps more ready after a burst, up to its limit', async () => {
    const made = open({ maxWarm: 3 })
    await made.warmUp()
    const taken = await Promise.all(Array.from({ length: 8 }, () => made.dial()))
    await until('three ready', () => made.warm === 3)
    assert.equal(taken.filter(({ isWarm }) => isWarm).length, 1)
    for (const { socket } of taken) socket.destroy()
  })

  it('keeps nothing ready when told so', async () => {
    const made = open({ maxWarm: 0 })
    await made.warmUp()
    const { socket, isWarm } = await made.dial()
    assert.equal(isWarm, false)
    assert.equal(made.warm, 0)
    socket.destroy()
  })

  it('replaces a connection that lay ready for too long, and gives up after a while without clients', async () => {
    let now = 0
    const made = open({ warmForMs: 60, now: () => now })
    await made.warmUp()
    await until('replaced', () => server.upgrades.length >= 2)
    now = 10 * 60_000
    await until('none left', () => made.warm === 0 && server.tunnels.size === 0)
    const before = server.upgrades.length
    await new Promise(resolve => setTimeout(resolve, 150))
    assert.equal(server.upgrades.length, before)
  })

  it('drops a connection that the server closed', async () => {
    const made = open()
    await made.warmUp()
    for (const socket of server.tunnels) socket.end()
    await until('noticed', () => made.warm === 0)
  })

  it('resumes its TLS sessions', async () => {
    const sessions = new Map<string, Buffer>()
    const made = open({ sessions, maxWarm: 0 })
    const first = await made.dialCold()
    await until('ticket', () => sessions.size === 1)
    const second = await made.dialCold()
    assert.ok('isSessionReused' in second && typeof second.isSessionReused === 'function')
    assert.equal(second.isSessionReused(), true)
    first.destroy()
    second.destroy()
  })

  describe('whose certificate it is', () => {
    it('sends nothing to a server with another certificate than the pinned one', async () => {
      const { port, pin } = server
      await server.kill()
      server = await scriptedServer({
        port,
        certificate: SECOND,
        onTunnel: () => assert.fail('a tunnel was opened'),
        routes: { 'GET /.well-known/dbgate': () => assert.fail('a request was sent') },
      })
      const address = { url: server.url, pin }
      const made = open({ route: { server: address, target: 'prod' } })
      await assert.rejects(made.dial(), {
        code: 'UNREACHABLE',
        message: /shows another certificate than before/,
      })
      const api = createApiClient({ server: address, token: async () => 'token' })
      await assert.rejects(api.discover(), { code: 'UNREACHABLE' })
    })

    it('is not fooled by a session resumed from before the certificate changed', async () => {
      const sessions = new Map<string, Buffer>()
      const made = open({ sessions, maxWarm: 0 })
      ;(await made.dialCold()).destroy()
      await until('ticket', () => sessions.size === 1)
      const { port } = server
      await server.kill()
      server = await scriptedServer({ port, certificate: SECOND, onTunnel: () => {} })
      await assert.rejects(made.dialCold(), { code: 'UNREACHABLE' })
      assert.equal(sessions.size, 0)
    })

    it('verifies against the public authorities without a pin', async () => {
      const made = open({ route: { server: { url: server.url }, target: 'prod' } })
      await assert.rejects(made.dial(), {
        code: 'UNREACHABLE',
        message: /cannot verify the certificate/,
      })
    })

    it('shows the fingerprint for a person to compare', async () => {
      assert.equal(await peekFingerprint({ url: server.url }), server.pin)
    })
  })

  describe('what the server answers', () => {
    const answers: readonly (readonly [
      status: number,
      body: unknown,
      code: string,
      message: RegExp,
    ])[] = [
      [401, failure('unauthorized', 'token refused'), 'UNAUTHORIZED', /^token refused$/],
      [404, failure('no_target', 'no target'), 'NO_TARGET', /^no target$/],
      [503, failure('draining', 'going down'), 'DRAINING', /^going down$/],
      [500, failure('something_new', 'what?'), 'INTERNAL', /^what\?$/],
      [502, '<html>', 'PROTOCOL', /answered with HTTP 502/],
      [200, { v: 1, ok: true }, 'PROTOCOL', /did not open the tunnel/],
    ]
    for (const [status, body, code, message] of answers) {
      it(`throws ${code} for HTTP ${status}`, async () => {
        await server.kill()
        server = await scriptedServer({ onTunnel: () => {}, refuse: () => [status, body] })
        await assert.rejects(open().dial(), { code, message })
      })
    }

    it('says which host cannot be reached, and why', async () => {
      await server.kill()
      await assert.rejects(open().dial(), {
        code: 'UNREACHABLE',
        message: `cannot reach 127.0.0.1:${server.port} (connection refused)`,
      })
    })
  })
})
