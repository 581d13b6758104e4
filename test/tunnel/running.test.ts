import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  announce,
  closeRunning,
  findRunning,
  listRunning,
  type RunningTunnel,
} from '../../src/tunnel/index.ts'
import { until } from '../helpers/run.ts'

const tunnel = (target: string, port = 6401): RunningTunnel => ({
  pid: process.pid,
  server: 'bastion.test',
  target,
  role: 'writer',
  user: 'ana',
  database: 'app',
  host: '127.0.0.1',
  port,
  startedAt: 1,
  clients: [],
})

describe('tunnel/running', () => {
  let directory: string
  beforeEach(async () => {
    directory = join(await mkdtemp(join(tmpdir(), 'dbgate-run-')), 'run')
  })
  afterEach(() => rm(join(directory, '..'), { recursive: true }))

  it('answers with what the tunnel is now', async () => {
    let clients: readonly string[] = []
    const entry = await announce(
      directory,
      () => ({ ...tunnel('prod'), clients }),
      () => {},
    )
    clients = ['psql']
    assert.deepEqual(await listRunning(directory), [{ ...tunnel('prod'), clients: ['psql'] }])
    await entry.close()
    assert.deepEqual(await listRunning(directory), [])
  })

  it('finds a tunnel by server and target', async () => {
    const entries = await Promise.all([
      announce(
        directory,
        () => tunnel('prod'),
        () => {},
      ),
      announce(
        directory,
        () => tunnel('staging', 6402),
        () => {},
      ),
    ])
    assert.equal((await findRunning(directory, 'bastion.test', 'staging'))?.port, 6402)
    assert.equal(await findRunning(directory, 'other.test', 'staging'), undefined)
    for (const entry of entries) await entry.close()
  })

  it('asks a tunnel to close, and only that one', async () => {
    const asked: string[] = []
    const entries = await Promise.all([
      announce(
        directory,
        () => tunnel('prod'),
        () => asked.push('prod'),
      ),
      announce(
        directory,
        () => tunnel('staging', 6402),
        () => asked.push('staging'),
      ),
    ])
    assert.equal(await closeRunning(directory, tunnel('prod')), true)
    await until('it was asked', () => asked.length > 0)
    assert.deepEqual(asked, ['prod'])
    for (const entry of entries) await entry.close()
    assert.equal(await closeRunning(directory, tunnel('prod')), false)
  })

  it('sweeps what a killed process left behind, and takes its place', async () => {
    const module = new URL('../../src/tunnel/index.ts', import.meta.url)
    const script = `import { announce } from ${JSON.stringify(module)}
await announce(${JSON.stringify(directory)}, () => (${JSON.stringify(tunnel('prod'))}), () => {})
setInterval(() => {}, 1000)
console.log('up')`
    const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script])
    await once(child.stdout, 'data')
    assert.equal((await listRunning(directory)).length, 1)
    child.kill('SIGKILL')
    await once(child, 'exit')
    assert.equal((await readdir(directory)).length, 1)
    assert.deepEqual(await listRunning(directory), [])
    await until('swept', async () => (await readdir(directory)).length === 0)
    const entry = await announce(
      directory,
      () => tunnel('prod'),
      () => {},
    )
    assert.equal((await listRunning(directory)).length, 1)
    await entry.close()
  })

  it('lets nobody else in', async () => {
    const entry = await announce(
      directory,
      () => tunnel('prod'),
      () => {},
    )
    assert.equal((await stat(directory)).mode & 0o777, 0o700)
    await entry.close()
  })

  it('is empty where nothing ever ran', async () => {
    assert.deepEqual(await listRunning(join(directory, 'nowhere')), [])
  })
})
