import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withLock } from '../../src/identity/lock.ts'

describe('identity/lock', () => {
  let dir: string
  let path: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'dbgate-lock-'))
    path = join(dir, 'x.lock')
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  it('lets one caller at a time in', async () => {
    let inside = 0
    let most = 0
    const work = () =>
      withLock(path, async () => {
        inside += 1
        most = Math.max(most, inside)
        await new Promise(resolve => setImmediate(resolve))
        inside -= 1
      })
    await Promise.all(Array.from({ length: 8 }, work))
    assert.equal(most, 1)
  })

  it('is a file of its owner alone', async () => {
    const old = process.umask(0)
    try {
      await withLock(path, async () => {})
    } finally {
      process.umask(old)
    }
    assert.equal((await stat(path)).mode & 0o777, 0o600)
  })

  it('is free again after work that fails', async () => {
    await assert.rejects(
      withLock(path, () => Promise.reject(new Error('no'))),
      { message: 'no' },
    )
    assert.equal(await withLock(path, async () => 7), 7)
  })

  it('waits for another process, and is free when that one is killed', async () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'lock-child.ts'), path])
    await once(child.stdout, 'data')
    await assert.rejects(
      withLock(path, async () => 1, 60),
      { code: 'UNREACHABLE', message: 'another dbgate is busy with this sign-in' },
    )
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
    assert.equal(await withLock(path, async () => 2, 1000), 2)
  })
})
