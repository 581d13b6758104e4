import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DbgateError } from '../../src/errors.ts'
import {
  decodeClaims,
  type Keychain,
  loginInBrowser,
  openKeychain,
  openProfiles,
  openSignIn,
  type Profile,
  type SignIn,
  type TokenSet,
} from '../../src/identity/index.ts'
import { browse, CLIENT_ID, startTestIssuer, type TestIssuer } from '../helpers/oidc.ts'

const HOUR = 3_600_000

describe('identity/sign-in', () => {
  let issuer: TestIssuer
  let dir: string
  let keychain: Keychain
  let profile: Profile
  let clock: number
  before(async () => {
    issuer = await startTestIssuer()
  })
  after(() => issuer.stop())
  beforeEach(async () => {
    clock = Date.now()
    dir = await mkdtemp(join(tmpdir(), 'dbgate-sign-in-'))
    keychain = await openKeychain('file', dir)
    profile = {
      name: 'bastion.acme.dev',
      url: 'https://bastion.acme.dev',
      issuer: issuer.issuer,
      clientId: CLIENT_ID,
      scopes: ['openid', 'email', 'groups', 'offline_access'],
      keychain: 'file',
    }
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  const open = (fetchIt?: typeof fetch): SignIn =>
    openSignIn(profile, { keychain, dir, now: () => clock, random: randomBytes, fetch: fetchIt })
  const login = async (): Promise<TokenSet> => {
    const { promise, resolve: onUrl } = Promise.withResolvers<string>()
    const finished = loginInBrowser(profile, { now: () => clock, onUrl })
    const [tokens] = await Promise.all([finished, promise.then(url => browse(url, 'ana'))])
    return tokens
  }
  const refused = async (work: Promise<unknown>): Promise<DbgateError> => {
    try {
      await work
    } catch (error) {
      assert.ok(error instanceof DbgateError, String(error))
      return error
    }
    return assert.fail('it worked')
  }

  it('hands out the stored token while it is good, and renews it before it ends', async () => {
    const first = await login()
    const signIn = open()
    await signIn.save(first)
    assert.equal((await signIn.current()).token, first.token)
    clock += HOUR - 31_000
    assert.equal((await signIn.current()).token, first.token)
    clock += 2000
    const second = await signIn.current()
    assert.notEqual(second.refreshToken, first.refreshToken)
    assert.equal(decodeClaims(second.token).email, 'ana@acme.example')
    assert.deepEqual(await open().stored(), second)
  })

  it('renews although the token is good, but not what another has just renewed', async () => {
    const [one, two] = [open(), open()]
    await one.save(await login())
    await two.current()
    const renewed = await one.renew()
    assert.equal((await two.renew()).refreshToken, renewed.refreshToken)
    assert.notEqual((await two.renew()).refreshToken, renewed.refreshToken)
  })

  it('renews once when two processes need it at the same time', async () => {
    const stale = { ...(await login()), expiresAt: Date.now() - 1 }
    await open().save(stale)
    await openProfiles(dir).save(profile)
    const children = await Promise.all([1, 2].map(() => startChild(dir)))
    for (const child of children) child.go()
    const digests = await Promise.all(children.map(child => child.digest))
    const stored = await open().stored()
    const password = await open().localPassword()
    const expected = createHash('sha256').update(`${stored?.token} ${password}`).digest('hex')
    assert.deepEqual(digests, [expected, expected])
    assert.notEqual(stored?.refreshToken, stale.refreshToken)
    // Had two of them used the same refresh token, the provider would have ended the sign-in.
    assert.ok((await open().renew()).token)
  })

  it('asks for a new sign-in once the provider has ended it, and does not try again', async () => {
    const tokens = await login()
    await open().save(tokens)
    await open().renew()
    await open().save({ ...tokens, expiresAt: clock - 1 }) // An old one: its use is theft to the provider.
    const error = await refused(open().current())
    assert.deepEqual([error.code, error.message], ['UNAUTHORIZED', 'the sign-in has expired'])
    assert.deepEqual(error.next, ['dbgate login'])
    assert.doesNotMatch(`${error.stack}${error.detail}`, new RegExp(tokens.refreshToken ?? ''))
    const noFetch: typeof fetch = () => assert.fail('the provider was asked again')
    assert.equal((await refused(open(noFetch).current())).message, 'the sign-in has expired')
  })

  it('keeps the sign-in while the provider cannot be reached', async () => {
    const tokens = { ...(await login()), expiresAt: clock - 1 }
    await open().save(tokens)
    const down: typeof fetch = () =>
      Promise.reject(new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } }))
    const error = await refused(open(down).current())
    assert.equal(error.code, 'UNREACHABLE')
    assert.deepEqual(await open().stored(), tokens)
    assert.ok((await open().current()).token)
  })

  it('says who is not signed in', async () => {
    assert.equal((await refused(open().current())).message, 'not signed in to bastion.acme.dev')
    await open().save({
      token: await issuer.mint('ana'),
      expiresAt: clock + HOUR,
      refreshToken: undefined,
    })
    assert.equal((await refused(open().renew())).message, 'the sign-in cannot be renewed')
  })

  it('revokes at the end, and forgets the tokens but not the port’s password', async () => {
    const tokens = await login()
    const signIn = open()
    await signIn.save(tokens)
    const password = await signIn.localPassword()
    assert.deepEqual(await signIn.end(), { revoked: true, why: undefined })
    assert.equal(await signIn.stored(), undefined)
    assert.equal(await signIn.localPassword(), password)
    await signIn.save({ ...tokens, expiresAt: clock - 1 })
    assert.equal((await refused(signIn.current())).message, 'the sign-in has expired')
  })

  it('forgets the tokens also when the provider cannot be told', async () => {
    await open().save(await login())
    const down: typeof fetch = () => Promise.reject(new TypeError('fetch failed'))
    const { revoked, why } = await open(down).end()
    assert.equal(revoked, false)
    assert.match(why ?? '', /^cannot reach the identity provider/)
    assert.equal(await open().stored(), undefined)
    assert.deepEqual(await open().end(), { revoked: false, why: 'there was no sign-in' })
  })

  it('makes one password for each server, with at least 24 random bytes', async () => {
    const [a, b] = await Promise.all([open().localPassword(), open().localPassword()])
    assert.equal(a, b)
    assert.equal(Buffer.from(a, 'base64url').length, 24)
    assert.match(a, /^[\w-]{32}$/)
    profile = { ...profile, name: 'other.acme.dev' }
    assert.notEqual(await open().localPassword(), a)
  })

  it('leaves nothing on disk that others can read, and no secret outside secrets/', async () => {
    const tokens = await login()
    await openProfiles(dir).save(profile)
    await open().save(tokens)
    await open().localPassword()
    const names = await readdir(dir, { recursive: true })
    for (const name of names) {
      const path = join(dir, name)
      const { mode } = await stat(path)
      if (!name.endsWith('.lock')) assert.equal(mode & 0o077, 0, name)
      if (name.startsWith('secrets') || (mode & 0o040000) !== 0) continue
      assert.doesNotMatch(await readFile(path, 'utf8'), new RegExp(tokens.token.slice(0, 30)))
    }
    assert.deepEqual(
      names.filter(name => name.endsWith('.tmp')),
      [],
    )
  })
})

async function startChild(dir: string): Promise<{ go: () => void; digest: Promise<string> }> {
  const script = join(import.meta.dirname, 'renew-child.ts')
  const child: ChildProcessWithoutNullStreams = spawn(process.execPath, [script, dir])
  let complaint = ''
  child.stderr.on('data', chunk => {
    complaint += chunk
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ready = await lines.next()
  assert.equal(ready.value, 'ready', complaint)
  return {
    go: () => child.stdin.write('go\n'),
    digest: lines.next().then(line => String(line.value ?? complaint)),
  }
}
