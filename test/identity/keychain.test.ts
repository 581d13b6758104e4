import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { chooseKeychain, openKeychain } from '../../src/identity/index.ts'
import { run } from '../helpers/run.ts'

const CHILD = join(import.meta.dirname, 'keychain-child.ts')

/** A session bus with an unlocked Secret Service, which ends with the command run in it. */
const SESSION = `
export XDG_RUNTIME_DIR="$HOME/run"; mkdir -m 700 "$XDG_RUNTIME_DIR"
printf 'testpw\\n' | gnome-keyring-daemon --unlock --foreground --components=secrets >/dev/null 2>&1 &
daemon=$!
for try in $(seq 100); do
  busctl --user status org.freedesktop.secrets >/dev/null 2>&1 && break
  gdbus call --session --dest org.freedesktop.DBus --object-path /org/freedesktop/DBus \
    --method org.freedesktop.DBus.NameHasOwner org.freedesktop.secrets 2>/dev/null | grep -q true && break
  sleep 0.05
done
"$@"; code=$?
kill $daemon
exit $code
`

const has = (program: string) =>
  (process.env.PATH ?? '').split(delimiter).some(dir => existsSync(join(dir, program)))
const hasKeytar = await import('keytar').then(
  () => true,
  () => false,
)
const hasSecretService = has('dbus-run-session') && has('gnome-keyring-daemon')

describe('identity/keychain', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'dbgate-keychain-'))
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  /** HOME and all that is derived from it lie in the test's directory: no keyring of this machine is touched. */
  const env = (more: Record<string, string | undefined> = {}) => ({
    ...process.env,
    HOME: dir,
    DISPLAY: undefined,
    WAYLAND_DISPLAY: undefined,
    DBUS_SESSION_BUS_ADDRESS: undefined,
    XDG_RUNTIME_DIR: undefined,
    XDG_DATA_HOME: undefined,
    XDG_CACHE_HOME: undefined,
    XDG_CONFIG_HOME: undefined,
    ...more,
  })
  const child = (kind: string) => run(process.execPath, [CHILD, dir, kind], { env: env() })
  const inSession = (kind: string) =>
    run(
      'dbus-run-session',
      ['--', 'bash', '-c', SESSION, 'session', process.execPath, CHILD, dir, kind],
      { env: env() },
    )

  if (process.platform === 'linux' && hasSecretService) {
    // keytar is optional: without libsecret it is not built.
    const kinds = hasKeytar ? ['keytar', 'keyring'] : ['keyring']
    for (const kind of kinds) {
      it(`keeps secrets in a real Secret Service with ${kind}`, async () => {
        const { stdout, stderr } = await inSession(kind)
        assert.equal(stdout.toString(), 'ok', stderr.toString())
      })
    }

    it(`chooses ${kinds[0]} where it works, without a warning`, async () => {
      const { stdout, stderr } = await inSession('choose')
      const { kind, warning } = JSON.parse(stdout.toString() || `"${stderr}"`)
      assert.deepEqual([kind, warning], [kinds[0], undefined])
    })
  }

  if (process.platform === 'linux') {
    it('falls back to a file with a warning where there is no keyring', async () => {
      const { stdout, stderr } = await child('choose')
      const { kind, warning, reasons } = JSON.parse(stdout.toString() || `"${stderr}"`)
      assert.equal(kind, 'file')
      assert.equal(
        warning,
        `No system keyring. The sign-in is stored unencrypted in ${dir}/secrets (0600).`,
      )
      assert.deepEqual(
        reasons.map((reason: string) => reason.split(':')[0]),
        ['keytar', 'keyring'],
      )
    })

    for (const kind of ['keytar', 'keyring']) {
      it(`says that ${kind} cannot be used rather than forget what it is given`, async () => {
        const { code, stderr } = await child(kind)
        assert.equal(code, 1)
        assert.match(
          stderr.toString(),
          new RegExp(`the system keyring cannot be used \\(${kind}\\)`),
        )
      })
    }
  }

  it('keeps secrets in files only their owner can read', async () => {
    const { stdout, stderr } = await child('file')
    assert.equal(stdout.toString(), 'ok', stderr.toString())
    const keychain = await openKeychain('file', dir)
    await keychain.set('../../escape', 'x')
    assert.deepEqual(await readdir(join(dir, 'secrets')), ['..%2F..%2Fescape'])
    const path = join(dir, 'secrets', '..%2F..%2Fescape')
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.equal((await stat(join(dir, 'secrets'))).mode & 0o777, 0o700)
    await chmod(path, 0o604)
    await assert.rejects(keychain.get('../../escape'), { code: 'INVALID' })
  })

  it('uses the keychain it is told to, and none other', async () => {
    const { keychain, warning } = await chooseKeychain({ dir, only: 'file', random: randomBytes })
    assert.equal(keychain.kind, 'file')
    assert.match(warning ?? '', /unencrypted/)
    assert.deepEqual(await readdir(join(dir, 'secrets')), [])
  })
})
