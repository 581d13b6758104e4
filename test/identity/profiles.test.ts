import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openProfiles, type Profile, profileName, userDirs } from '../../src/identity/index.ts'

const profile = (name: string, more: Partial<Profile> = {}): Profile => ({
  name,
  url: `https://${name}`,
  issuer: 'https://id.acme.dev',
  clientId: 'x',
  scopes: ['openid'],
  keychain: 'file',
  ...more,
})

describe('identity/profiles', () => {
  let dir: string
  beforeEach(async () => {
    dir = join(await mkdtemp(join(tmpdir(), 'dbgate-profiles-')), 'dbgate')
  })
  afterEach(() => rm(join(dir, '..'), { recursive: true, force: true }))

  it('keeps profiles, and which was used last', async () => {
    const profiles = openProfiles(dir)
    assert.equal(await profiles.get(), undefined)
    const one = profile('one.dev', { pin: 'ab'.repeat(32), clientSecret: 'public' })
    const two = profile('two.dev:8443', { keychain: 'keytar' })
    await profiles.save(one)
    await profiles.save(two)
    assert.deepEqual(await openProfiles(dir).list(), [one, two])
    assert.deepEqual(await profiles.get(), two)
    assert.deepEqual(await profiles.get('one.dev'), one)
    await profiles.use('one.dev')
    assert.deepEqual(await profiles.get(), one)
    await profiles.remove('one.dev')
    assert.deepEqual(await profiles.get(), two)
    await profiles.save({ ...two, clientId: 'y' })
    assert.deepEqual(await profiles.list(), [{ ...two, clientId: 'y' }])
  })

  it('loses none when many are stored at the same time', async () => {
    const names = Array.from({ length: 12 }, (_, i) => `s${i}.dev`)
    await Promise.all(names.map(name => openProfiles(dir).save(profile(name))))
    const stored = (await openProfiles(dir).list()).map(({ name }) => name)
    assert.deepEqual(stored.sort(), names.sort())
    assert.deepEqual(
      (await readdir(dir)).filter(name => name.endsWith('.tmp')),
      [],
    )
  })

  it('is readable by its owner only, and refuses a file that is not', async () => {
    const profiles = openProfiles(dir)
    await profiles.save(profile('one.dev'))
    const path = join(dir, 'profiles.json')
    assert.equal((await stat(dir)).mode & 0o777, 0o700)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    await chmod(path, 0o644)
    await assert.rejects(profiles.list(), { code: 'INVALID' })
  })

  it('does not follow a link out of its directory', async () => {
    await openProfiles(dir).save(profile('one.dev'))
    await rm(join(dir, 'profiles.json'))
    await writeFile(join(dir, 'elsewhere'), '{"v":1,"profiles":[]}', { mode: 0o600 })
    await symlink(join(dir, 'elsewhere'), join(dir, 'profiles.json'))
    await assert.rejects(openProfiles(dir).list(), { code: 'ELOOP' })
  })

  for (const text of [
    '',
    '{}',
    '{"v":2,"profiles":[]}',
    '{"v":1,"profiles":[{"name":"x"}]}',
    '[1',
  ]) {
    it(`refuses ${text === '' ? 'an empty file' : text}`, async () => {
      await openProfiles(dir).save(profile('one.dev'))
      await writeFile(join(dir, 'profiles.json'), text)
      await assert.rejects(openProfiles(dir).list(), { code: 'INVALID' })
    })
  }

  it('names a server by its host, and the port only where it needs one', () => {
    assert.equal(profileName('https://bastion.acme.dev'), 'bastion.acme.dev')
    assert.equal(profileName('https://bastion.acme.dev:443/'), 'bastion.acme.dev')
    assert.equal(profileName('https://127.0.0.1:8443'), '127.0.0.1:8443')
  })

  it('finds the directories in the environment it is given', () => {
    assert.deepEqual(userDirs({}, '/home/ana'), {
      config: '/home/ana/.config/dbgate',
      state: '/home/ana/.local/state/dbgate',
      cache: '/home/ana/.cache/dbgate',
    })
    const env = { XDG_CONFIG_HOME: '/c', XDG_STATE_HOME: 'relative', DBGATE_CONFIG_DIR: '' }
    assert.equal(userDirs(env, '/home/ana').config, '/c/dbgate')
    assert.equal(userDirs(env, '/home/ana').state, '/home/ana/.local/state/dbgate')
    assert.equal(userDirs({ DBGATE_CONFIG_DIR: '/own' }, '/home/ana').config, '/own')
  })
})
