import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { openInBrowser } from '../../src/identity/index.ts'
import { until } from '../helpers/run.ts'

const URL_WITH_ALL = 'https://id.acme.dev/auth?a=1&b=%24(id)&c=`id`;d'

describe('identity/open-browser', () => {
  let dir: string
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'dbgate-opener-'))
  })
  after(() => rm(dir, { recursive: true, force: true }))

  const opener = async (name: string, script: string) => {
    await writeFile(join(dir, name), `#!/bin/sh\n${script}\n`)
    await chmod(join(dir, name), 0o700)
  }
  const env = () => ({ PATH: [dir, '/usr/bin', '/bin'].join(delimiter), OUT: join(dir, 'out') })

  for (const [platform, name, more, index] of [
    ['linux', 'xdg-open', {}, 0],
    ['linux', 'wslview', { WSL_DISTRO_NAME: 'Debian' }, 0],
    ['darwin', 'open', {}, 0],
    ['win32', 'rundll32.exe', {}, 1],
  ] as const) {
    it(`hands the link as one argument to ${name} on ${platform}`, async () => {
      await opener(name, 'printf "%s\\n" "$@" > "$OUT.tmp" && mv "$OUT.tmp" "$OUT"')
      assert.equal(
        await openInBrowser(URL_WITH_ALL, { platform, env: { ...env(), ...more } }),
        true,
      )
      const written = await until('the opener', () => readFile(join(dir, 'out'), 'utf8'))
      assert.equal(written.trimEnd().split('\n')[index], URL_WITH_ALL)
      await rm(join(dir, 'out'))
    })
  }

  it('says so when nothing opens it', async () => {
    await opener('xdg-open', 'exit 3')
    assert.equal(await openInBrowser(URL_WITH_ALL, { platform: 'linux', env: env() }), false)
    const none = { PATH: join(dir, 'nowhere') }
    assert.equal(await openInBrowser(URL_WITH_ALL, { platform: 'linux', env: none }), false)
  })

  it('opens web pages and nothing else', async () => {
    await opener('xdg-open', 'touch "$OUT"')
    for (const url of ['file:///etc/passwd', 'javascript:alert(1)', 'ssh://x', '--help', '']) {
      assert.equal(await openInBrowser(url, { platform: 'linux', env: env() }), false)
    }
    await assert.rejects(readFile(join(dir, 'out')), { code: 'ENOENT' })
  })
})
