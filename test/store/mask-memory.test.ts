import assert from 'node:assert/strict'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MaskMemory, type SeenColumn } from '../../src/store/index.ts'
import { withFiles } from '../config/files.ts'

const seen = (column: string, label?: string): SeenColumn => ({
  relation: 1,
  column: 2,
  name: { schema: 'public', relation: 'users', column },
  label,
})
const EMAIL = seen('email', 'pii:email')
const SSN = seen('ssn')
const PLACE = 'prod/app'

describe('store/mask-memory', () => {
  it('remembers over a restart, until it is accepted that something is gone', async () => {
    await withFiles({}, async dir => {
      const file = join(dir, 'masks.jsonl')
      const memory = new MaskMemory(file)
      assert.deepEqual(memory.of(PLACE), [])
      assert.deepEqual(memory.learn(PLACE, [EMAIL, SSN], []), [])
      assert.deepEqual(memory.learn(PLACE, [SSN], [EMAIL]), [EMAIL], 'newly gone')
      assert.deepEqual(memory.learn(PLACE, [SSN], [EMAIL]), [], 'known to be gone')
      assert.deepEqual(new MaskMemory(file).of(PLACE), [EMAIL, SSN])
      assert.deepEqual(new MaskMemory(file).gone(), [{ place: PLACE, columns: [EMAIL] }])

      const other = new MaskMemory(file)
      assert.deepEqual(other.accept('staging/app'), [])
      assert.deepEqual(other.accept(PLACE), [EMAIL])
      assert.deepEqual(memory.of(PLACE), [EMAIL, SSN], 'until it looks')
      assert.equal(memory.refresh(), true)
      assert.deepEqual(memory.of(PLACE), [SSN])
      assert.equal(memory.refresh(), false)
      assert.equal(memory.of(PLACE), memory.of(PLACE), 'the same list while nothing changes')
    })
  })

  it('takes what comes back as there again', async () => {
    await withFiles({}, async dir => {
      const file = join(dir, 'masks.jsonl')
      const memory = new MaskMemory(file)
      memory.learn(PLACE, [EMAIL], [])
      memory.learn(PLACE, [], [EMAIL])
      memory.learn(PLACE, [EMAIL], [])
      assert.deepEqual(memory.gone(), [])
      assert.deepEqual(new MaskMemory(file).gone(), [])
    })
  })

  it('passes over a line that a crash has cut', async () => {
    await withFiles({}, async dir => {
      const file = join(dir, 'masks.jsonl')
      new MaskMemory(file).learn(PLACE, [EMAIL], [])
      await appendFile(file, '{"v":1,"place":"prod/app","was":"acc')
      const memory = new MaskMemory(file)
      assert.deepEqual(memory.of(PLACE), [EMAIL])
      memory.learn(PLACE, [SSN], [])
      assert.deepEqual(new MaskMemory(file).of(PLACE), [EMAIL, SSN])
    })
  })
})
