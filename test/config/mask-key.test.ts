import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ownMaskKey } from '../../src/config/index.ts'

describe('config/mask-key', () => {
  let directory = ''
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dbgate-key-'))
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))

  it('makes a key for the owner alone, and the same is read from then on', async () => {
    const made = await ownMaskKey(directory, randomBytes)
    assert.equal(made.length, 32)
    assert.equal((await stat(join(directory, 'masks.key'))).mode & 0o777, 0o600)
    assert.deepEqual(await ownMaskKey(directory, randomBytes), made)
  })

  it('refuses a key that others can read', async () => {
    await ownMaskKey(directory, randomBytes)
    await chmod(join(directory, 'masks.key'), 0o640)
    await assert.rejects(ownMaskKey(directory, randomBytes), { code: 'INVALID' })
  })

  it('refuses what is no key', async () => {
    await writeFile(join(directory, 'masks.key'), 'short', { mode: 0o600 })
    await assert.rejects(ownMaskKey(directory, randomBytes), { code: 'INVALID' })
  })
})
