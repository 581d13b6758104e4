import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { browse } from '../helpers/oidc.ts'
import { cleanEnvironment, run, until } from '../helpers/run.ts'

const DBGATE = join(import.meta.dirname, '..', '..', 'bin', 'dbgate.js')

describe('dbgate demo', function () {
  this.timeout(150_000)
  let home: string
  let env: Record<string, string | undefined>

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'dbgate-home-'))
    await chmod(home, 0o755) // what is kept in it must be open to the user PostgreSQL runs as
    const apart = { HOME: home, TMPDIR: home, DBUS_SESSION_BUS_ADDRESS: '', NO_COLOR: '1' }
    env = { ...cleanEnvironment(), ...apart }
  })

  after(() => rm(home, { recursive: true, force: true }))

  it('tells its story by itself, and every step shows what it should', async () => {
    const { code, stdout, stderr } = await run(process.execPath, [DBGATE, 'demo', '--script'], {
      env,
      timeoutMs: 140_000,
    })
    assert.equal(code, 0, `${stdout}\n${stderr}`)
    assert.match(stdout.toString('utf8'), /✓ all \d+ steps showed what they should\n$/)
  })

  it('prints commands that work, keeps what it is told to keep, and ends with ^C', async () => {
    const keep = join(home, 'kept')
    const first = await open(['--keep', keep])
    const [, url = '', pin = ''] = /login (\S+) \\\s+--fingerprint (\S+)/.exec(first.said()) ?? []
    await signIn(url, pin)
    const sql = (text: string) => run(process.execPath, [DBGATE, 'sql', 'demo', text], { env })
    const read = await sql('select name from customers order by id limit 1')
    assert.equal(read.stdout.toString('utf8'), 'name\nLiam Farkas\n', read.stderr.toString('utf8'))
    await sql(`update customers set city = 'Porto' where id = 1`)
    assert.equal(await first.interrupt(), 0)
    assert.match(await readFile(join(keep, 'policy.yaml'), 'utf8'), /may: \[read, write\]/)

    const second = await open(['--keep', keep])
    const [, url2 = '', pin2 = ''] =
      /login (\S+) \\\s+--fingerprint (\S+)/.exec(second.said()) ?? []
    assert.equal(pin2, pin)
    await signIn(url2, pin2)
    const kept = await sql('select city from customers where id = 1')
    assert.equal(kept.stdout.toString('utf8'), 'city\nPorto\n', kept.stderr.toString('utf8'))
    assert.equal(await second.interrupt(), 0)
  })

  it('leaves nothing behind', async () => {
    const demo = await open([])
    const place = /who may do what: (\S+)policy\.yaml/.exec(demo.said())?.[1] ?? ''
    assert.ok(existsSync(place))
    assert.equal(await demo.interrupt(), 0)
    assert.equal(existsSync(place), false)
    const { stdout } = await run('ps', ['-eo', 'args', '-ww'])
    assert.ok(!stdout.toString('utf8').includes(home), 'no process of the demo is left')
  })

  async function open(flags: readonly string[]) {
    const child = spawn(process.execPath, [DBGATE, 'demo', ...flags], { env, stdio: 'pipe' })
    const ended = new Promise<number | null>(resolve => child.once('exit', resolve))
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', chunk => {
        output += chunk
      })
    }
    await until(
      'the demo is up',
      () => output.includes('^C to stop') || child.exitCode !== null,
      60_000,
    )
    assert.equal(child.exitCode, null, output)
    return {
      said: () => output,
      interrupt: () => {
        child.kill('SIGINT')
        return ended
      },
    }
  }

  /** The printed login command, with a browser that picks Ana. */
  async function signIn(url: string, pin: string): Promise<void> {
    const args = [DBGATE, 'login', url, '--fingerprint', pin, '--no-browser', '--new']
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let isVisited = false
    child.stderr.on('data', chunk => {
      output += chunk
      const link = /http:\S+\/auth\?\S+(?=\s)/.exec(output)?.[0]
      if (link === undefined || isVisited) return
      isVisited = true
      void browse(link, 'ana')
    })
    const code = await new Promise(resolve => child.once('exit', resolve))
    assert.equal(code, 0, output)
  }
})
