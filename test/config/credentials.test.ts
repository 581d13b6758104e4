import assert from 'node:assert/strict'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type CredentialSource,
  forgetCredential,
  resolveCredential,
  resolveSecret,
} from '../../src/config/index.ts'
import { DbgateError } from '../../src/errors.ts'
import { withFiles } from './files.ts'

const SECRET = 's3cret-value'

function exec(script: string, more: Partial<Extract<CredentialSource, { from: 'exec' }>> = {}) {
  const command = [process.execPath, '-e', script]
  return { from: 'exec', command, user: 'app', timeoutMs: 5000, cacheMs: 60_000, ...more } as const
}

async function refusal(source: CredentialSource, env: Record<string, string> = {}) {
  try {
    await resolveCredential(source, env)
  } catch (error) {
    assert.ok(error instanceof DbgateError, String(error))
    assert.equal(error.code, 'UPSTREAM')
    assert.doesNotMatch(`${error.stack}${error.detail}${error.hint}${error.cause}`, /s3cret/)
    return error.message
  }
  return assert.fail('resolved')
}

describe('config/credentials', () => {
  it('reads user and password from the environment it is given', async () => {
    const source = { from: 'env', user: 'U', password: 'P' } as const
    assert.deepEqual(await resolveCredential(source, { U: 'app', P: SECRET }), {
      user: 'app',
      password: SECRET,
    })
    assert.equal(await refusal(source, { U: 'app' }), 'environment variable P is not set')
    assert.equal(await refusal(source, { U: 'app', P: '' }), 'environment variable P is not set')
    assert.equal(
      await refusal(source, { U: 'app', P: `${SECRET}\0` }),
      'environment variable P holds a NUL byte',
    )
  })

  it('reads a file only its owner can read', async () => {
    const content = JSON.stringify({ user: 'app', password: SECRET })
    await withFiles({ 'a.json': content }, async dir => {
      const path = join(dir, 'a.json')
      const source = { from: 'file', path } as const
      for (const mode of [0o600, 0o400]) {
        await chmod(path, mode)
        assert.equal((await resolveCredential(source, {})).password, SECRET)
      }
      for (const mode of [0o640, 0o604, 0o620, 0o610]) {
        await chmod(path, mode)
        assert.equal(
          await refusal(source),
          `credential file ${path} can be read by others (mode 0600 is needed)`,
        )
      }
    })
  })

  it('refuses files that hold something else, without showing it', async () => {
    for (const content of [
      `{"user":"app","password":"${SECRET}"`,
      `{"user":"app","passwort":"${SECRET}"}`,
      `{"user":"app","password":["${SECRET}"]}`,
      `["${SECRET}"]`,
      SECRET,
    ]) {
      await withFiles({ 'a.json': content }, async dir => {
        assert.match(await refusal({ from: 'file', path: join(dir, 'a.json') }), /does not hold/)
      })
    }
    assert.match(await refusal({ from: 'file', path: '/nonexistent/a' }), /does not exist$/)
  })

  it('runs a command without a shell', async () => {
    const source = exec('console.log(process.argv[1])', {
      command: [process.execPath, '-p', 'process.argv[1]', '$(id); `id` "'],
    })
    assert.deepEqual(await resolveCredential(source, {}), {
      user: 'app',
      password: '$(id); `id` "',
    })
  })

  it('takes JSON or a plain password, and gives the command the environment', async () => {
    const json = exec('console.log(JSON.stringify({user: process.env.WHO, password: "x y"}))')
    assert.deepEqual(await resolveCredential(json, { WHO: 'ann' }), {
      user: 'ann',
      password: 'x y',
    })
    const plain = exec('console.log("x y ")')
    assert.deepEqual(await resolveCredential(plain, {}), { user: 'app', password: 'x y ' })
    assert.match(
      await refusal(exec(`console.log("${SECRET}")`, { user: undefined })),
      /printed only a password, and the credential has no user$/,
    )
  })

  it('says how a command failed, and nothing it printed', async () => {
    const failing: [script: string, expected: RegExp][] = [
      [`console.error("${SECRET}"); console.log("${SECRET}"); process.exit(3)`, /exit code 3$/],
      [`console.log("${SECRET}\\n${SECRET}")`, /neither JSON nor one line with a password$/],
      [`console.log('{"password": "${SECRET}"}')`, /JSON without user and password$/],
      [`console.log('{"password": "${SECRET}')`, /JSON without user and password$/],
      ['', /neither JSON nor one line with a password$/],
      [`console.log("${SECRET}".repeat(9999))`, /printed more than 64 KiB$/],
    ]
    for (const [script, expected] of failing) assert.match(await refusal(exec(script)), expected)
    const none = exec('', { command: ['/nonexistent/pw', SECRET] })
    assert.equal(await refusal(none), 'command /nonexistent/pw does not exist')
  })

  it('kills a command that takes too long', async () => {
    const source = exec('process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)', {
      timeoutMs: 300,
    })
    assert.match(await refusal(source), /did not finish within 0.3 s$/)
  })

  it('asks a command once for all who ask at once, and again after the cache time', async () => {
    await withFiles({ count: '' }, async dir => {
      const count = join(dir, 'count')
      const script = `const f=require("fs"); f.appendFileSync(${JSON.stringify(count)}, "x"); console.log("p"+f.readFileSync(${JSON.stringify(count)}).length)`
      const source = exec(script)
      let clock = 1000
      const ask = async () => (await resolveCredential(source, process.env, () => clock)).password
      assert.deepEqual(await Promise.all([ask(), ask(), ask()]), ['p1', 'p1', 'p1'])
      clock += 59_999
      assert.equal(await ask(), 'p1')
      clock += 1
      assert.equal(await ask(), 'p2')
      forgetCredential(source)
      assert.equal(await ask(), 'p3')
      assert.equal((await readFile(count, 'utf8')).length, 3)
    })
  })

  it('does not remember a failure', async () => {
    await withFiles({ ready: '' }, async dir => {
      const path = join(dir, 'ready')
      const source = exec(
        `process.stdout.write(require("fs").readFileSync(${JSON.stringify(path)}, "utf8"))`,
      )
      assert.match(await refusal(source), /neither JSON nor one line/)
      await writeFile(path, 'pw\n')
      assert.equal((await resolveCredential(source, {})).password, 'pw')
    })
  })

  it('reads single secrets', async () => {
    assert.equal(await resolveSecret({ from: 'env', value: 'S' }, { S: SECRET }), SECRET)
    await withFiles({ 's.json': `${SECRET}\r\n`, 'two.json': `a\n${SECRET}\n` }, async dir => {
      assert.equal(await resolveSecret({ from: 'file', path: join(dir, 's.json') }, {}), SECRET)
      await assert.rejects(
        resolveSecret({ from: 'file', path: join(dir, 'two.json') }, {}),
        (error: Error) => /is not one line$/.test(error.message) && !/s3cret/.test(error.message),
      )
    })
  })
})
