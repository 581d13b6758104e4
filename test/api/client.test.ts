import assert from 'node:assert/strict'
import { createApiClient, parsePin, parseServerUrl } from '../../src/api/index.ts'
import {
  failure,
  type Routes,
  type ScriptedServer,
  scriptedServer,
} from '../tunnel/scripted-server.ts'

const ENTRY = {
  ...{ id: 's-1.1', t: '2026-03-02T14:02:00Z', user: 'ana@acme.dev', via: 'psql', target: 'prod' },
  ...{ role: 'writer', session: 's-1', sql: 'select 1', verdict: 'allow', rule: 'role:writer' },
  ...{ outcome: 'ok', rows: 1, ms: 0.4, sqlstate: null, something_new: true },
}

describe('api/client', () => {
  let server: ScriptedServer | undefined
  afterEach(() => server?.kill())

  async function client(routes: Routes) {
    const running = await scriptedServer({ routes, onTunnel: () => {} })
    server = running
    return createApiClient({
      server: { url: running.url, pin: running.pin },
      token: async () => 'the-token',
      timeoutMs: 3_000,
    })
  }
  const data = (value: unknown) => () => [200, { v: 1, ok: true, data: value }] as const

  it('asks as the person, and without a token where none is needed', async () => {
    const seen: (string | undefined)[] = []
    const api = await client({
      'GET /api/v1/targets': request => {
        seen.push(request.headers.authorization)
        return [200, { v: 1, ok: true, data: [] }]
      },
      'GET /.well-known/dbgate': request => {
        seen.push(request.headers.authorization)
        return [200, { v: 1, server: { version: '1.0.0' }, login: [] }]
      },
    })
    assert.deepEqual(await api.targets(), [])
    assert.deepEqual(await api.discover(), { version: '1.0.0', login: [] })
    assert.deepEqual(seen, ['Bearer the-token', undefined])
  })

  it('reads times as text or as milliseconds, null as absent, and passes over what it does not know', async () => {
    const api = await client({
      'GET /api/v1/audit': data([ENTRY, { ...ENTRY, t: 1_772_460_120_000, rows: null }]),
    })
    const [first, second] = await api.audit({ q: 'x' })
    assert.equal(first?.at, Date.parse('2026-03-02T14:02:00Z'))
    assert.equal(second?.at, 1_772_460_120_000)
    assert.deepEqual([first?.rows, second?.rows, first?.sqlstate], [1, undefined, undefined])
  })

  it('sends a query as it is meant', async () => {
    let asked = ''
    const api = await client({
      'GET /api/v1/audit': request => {
        asked = request.url ?? ''
        return [200, { v: 1, ok: true, data: [] }]
      },
    })
    await api.audit({ q: 'user:ana "a & b"', since: 0, limit: 7 })
    const { searchParams } = new URL(asked, 'https://x')
    assert.deepEqual(Object.fromEntries(searchParams), {
      q: 'user:ana "a & b"',
      since: '1970-01-01T00:00:00.000Z',
      limit: '7',
    })
  })

  it('throws the error that the server states, with its code, detail and next step', async () => {
    const error = { code: 'denied', message: 'no', detail: 'Because.', next: ['dbgate whoami'] }
    const api = await client({ 'GET /api/v1/whoami': () => [403, { v: 1, ok: false, error }] })
    await assert.rejects(api.whoami(), {
      code: 'DENIED',
      message: 'no',
      detail: 'Because.',
      next: ['dbgate whoami'],
      exitCode: 5,
    })
  })

  const wrong: readonly (readonly [what: string, answer: unknown, message: RegExp])[] = [
    ['a page of something else', '<html>', /answer is not an object/],
    ['a missing field', { v: 1, data: [{ name: 'prod' }] }, /targets\[0\]\.role is not a text/],
    ['a field of another type', { v: 1, data: {} }, /targets is not a list/],
  ]
  for (const [what, answer, message] of wrong) {
    it(`names the field for ${what}`, async () => {
      const api = await client({ 'GET /api/v1/targets': () => [200, answer] })
      await assert.rejects(api.targets(), { code: 'PROTOCOL', message })
    })
  }

  it('says that something else is listening there', async () => {
    const api = await client({ 'GET /api/v1/targets': () => [502, 'Bad gateway'] })
    await assert.rejects(api.targets(), { code: 'PROTOCOL', message: /answered with HTTP 502/ })
  })

  it('gives up on a server that does not answer', async () => {
    const running = await scriptedServer({ onTunnel: () => {} })
    server = running
    const api = createApiClient({
      server: { url: running.url, pin: running.pin },
      token: async () => new Promise<string>(resolve => setTimeout(() => resolve('t'), 10)),
      timeoutMs: 1,
    })
    await assert.rejects(api.targets(), { code: 'UNREACHABLE' })
  })

  it('knows an unknown code for an error of a newer server', async () => {
    const api = await client({
      'GET /api/v1/whoami': () => [418, failure('teapot', 'short and stout')],
    })
    await assert.rejects(api.whoami(), { code: 'INTERNAL', message: 'short and stout' })
  })

  it('reads servers as people type them', () => {
    assert.equal(parseServerUrl('bastion.acme.dev'), 'https://bastion.acme.dev')
    assert.equal(parseServerUrl('https://bastion.acme.dev:443/'), 'https://bastion.acme.dev')
    assert.equal(parseServerUrl('127.0.0.1:6598'), 'https://127.0.0.1:6598')
    assert.equal(parseServerUrl('[::1]:6598'), 'https://[::1]:6598')
    for (const text of [
      'http://x',
      'ftp://x',
      'https://x/path',
      'https://u:p@x',
      'https://x?q',
      '',
    ]) {
      assert.throws(() => parseServerUrl(text), { code: 'USAGE' }, text)
    }
  })

  it('reads fingerprints as dbgate and openssl print them', () => {
    const hex = 'ab'.repeat(32)
    const colons = `${'AB:'.repeat(31)}AB`
    for (const text of [hex, `sha256:${hex}`, colons, ` sha256:${hex}\n`])
      assert.equal(parsePin(text), hex)
    for (const text of ['', 'ab', `${hex}00`, `sha1:${hex}`]) {
      assert.throws(() => parsePin(text), { code: 'USAGE' }, text)
    }
  })
})
