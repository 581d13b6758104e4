import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run, until } from '../helpers/run.ts'
import { BIN, type Cli, person } from './cli.ts'

/** Makes this Node look like an old one to the launcher, though not to what it starts. */
const OLD = [
  '--import',
  `data:text/javascript,Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })`,
]

describe('the launcher, under a Node that is too old', () => {
  let cli: Cli
  before(async () => {
    cli = await person()
  })
  after(() => cli.close())

  it('goes on with the Node that came with the packages, and passes its exit code on', async () => {
    const { code, stdout, stderr } = await run(process.execPath, [...OLD, BIN, 'ls'], {
      env: cli.env,
    })
    assert.deepEqual([code, stdout.toString()], [4, ''])
    assert.match(stderr.toString(), /^✗ not signed in\n/)
  })

  it('passes a signal on', async () => {
    const child = spawn(process.execPath, [...OLD, BIN, 'sql', 'prod'], {
      env: cli.env,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const grandchild = await until('the real one', async () => {
      const { stdout } = await run('ps', ['-o', 'pid=', '--ppid', String(child.pid)])
      return Number(stdout.toString().trim()) || undefined
    })
    child.kill('SIGTERM')
    const [code, signal] = await once(child, 'exit')
    assert.deepEqual([code, signal], [null, 'SIGTERM'])
    await until('it is gone', async () => (await run('ps', ['-p', String(grandchild)])).code !== 0)
  })

  it('says what to do where there is none', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'dbgate-bin-'))
    await cp(BIN, join(folder, 'bin/dbgate.js'))
    await cp(join(BIN, '../../package.json'), join(folder, 'package.json'))
    const { code, stderr } = await run(process.execPath, [...OLD, join(folder, 'bin/dbgate.js')])
    assert.equal(code, 1)
    assert.match(
      stderr.toString(),
      /^dbgate needs Node 24 or newer and this is v\S+: nodejs\.org, or npm ci in a clone\n$/,
    )
    await rm(folder, { recursive: true })
  })
})
