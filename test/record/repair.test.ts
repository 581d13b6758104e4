import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  readdirSync,
  readFileSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { RepairedRecord, Verification } from '../../src/record/index.ts'
import { AuditLog, verifyLog } from '../../src/record/index.ts'
import { recordsOf, selectFacts, sessionFacts, temporaryDirectory } from './builders.ts'

const options = { now: () => 1_770_000_000_000, maxSegmentBytes: 8000 }

/** Ten records in one segment, or more in several. */
async function writeLog(dir: string, statements = 9): Promise<void> {
  const log = await AuditLog.open(dir, options)
  const session = log.begin(sessionFacts())
  for (let i = 0; i < statements; i++) {
    session.stage(selectFacts(`SELECT ${100 + i}`))
    session.commit()
  }
  await log.close()
}

/** Opens and closes the log and adds a record, as the next server would. */
async function reopen(dir: string): Promise<{ found: Verification; repaired: RepairedRecord[] }> {
  const log = await AuditLog.open(dir, options)
  log.append({ type: 'server.start', version: '1', pid: 1 })
  await log.close()
  const records = await recordsOf(dir)
  assert.equal(records.at(-1)?.type, 'server.start')
  return {
    found: await verifyLog(dir),
    repaired: records.filter(record => record.type === 'repaired'),
  }
}

const file = (dir: string, segment: number) => join(dir, `audit-00000${segment}.log`)
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

describe('record/repair', () => {
  it('cuts off an unfinished line wherever the writer was stopped, and says so', async () => {
    using dir = temporaryDirectory()
    await writeLog(dir.path)
    const whole = readFileSync(file(dir.path, 1))
    const lastLine = whole.lastIndexOf('\n', whole.length - 2) + 1
    for (let end = lastLine + 1; end < whole.length - 1; end += 23) {
      writeFileSync(file(dir.path, 1), whole.subarray(0, end))
      const { found, repaired } = await reopen(dir.path)
      assert.equal(found.isWhole, true, JSON.stringify(found.broken))
      assert.partialDeepStrictEqual(repaired, [
        {
          what: 'torn',
          segment: 1,
          offset: lastLine,
          bytes: end - lastLine,
          sha256: sha256(whole.subarray(lastLine, end)),
        },
      ])
      assert.equal(found.records, 11)
    }
  })

  it('keeps a last record that only lacks its newline', async () => {
    using dir = temporaryDirectory()
    await writeLog(dir.path)
    truncateSync(file(dir.path, 1), readFileSync(file(dir.path, 1)).length - 1)
    const { found, repaired } = await reopen(dir.path)
    assert.deepEqual([found.isWhole, found.records, repaired], [true, 11, []])
  })

  it('moves what a power cut left aside, and nothing is lost', async () => {
    using dir = temporaryDirectory()
    await writeLog(dir.path)
    const whole = readFileSync(file(dir.path, 1))
    const holes = Buffer.concat([Buffer.alloc(4096), Buffer.from('\n'), Buffer.alloc(100)])
    appendFileSync(file(dir.path, 1), holes)
    const { found, repaired } = await reopen(dir.path)
    assert.equal(found.isWhole, true)
    assert.equal(found.records, 12)
    const [{ what, kept = '' } = {}] = repaired
    assert.equal(what, 'damaged')
    assert.deepEqual(readFileSync(join(dir.path, kept)), holes)
    assert.equal(repaired[0]?.offset, whole.length)
  })

  it('goes on from the segment before where a new one has no first line', async () => {
    for (const content of ['', 'f00', '\0'.repeat(300), '\n\n']) {
      using dir = temporaryDirectory()
      await writeLog(dir.path)
      writeFileSync(file(dir.path, 2), content)
      const { found, repaired } = await reopen(dir.path)
      assert.deepEqual([found.isWhole, found.segments], [true, 1], content)
      assert.equal(repaired.length, content === '' ? 0 : 1)
      for (const { kept = '' } of repaired) {
        assert.equal(readFileSync(join(dir.path, kept), 'utf8'), content)
      }
    }
  })

  it('begins again where not even the first segment has a first line', async () => {
    using dir = temporaryDirectory()
    await writeLog(dir.path, 0)
    truncateSync(file(dir.path, 1), 10)
    const { found, repaired } = await reopen(dir.path)
    assert.deepEqual([found.isWhole, found.records, repaired.length], [true, 2, 1])
  })

  it('leaves a log that was tampered with as it is, and goes on in a new segment', async () => {
    using dir = temporaryDirectory()
    await writeLog(dir.path)
    const changed = readFileSync(file(dir.path, 1), 'utf8').replace('SELECT 103', 'SELECT 999')
    writeFileSync(file(dir.path, 1), changed)
    const { found, repaired } = await reopen(dir.path)
    assert.equal(readFileSync(file(dir.path, 1), 'utf8'), changed)
    assert.partialDeepStrictEqual(found.broken, { kind: 'changed', segment: 1, n: 5 })
    assert.deepEqual([found.breaks, found.segments, found.records], [1, 2, 12])
    assert.equal(repaired[0]?.what, 'broken')
  })

  it('does not touch other files of the directory', async () => {
    using dir = temporaryDirectory()
    await writeLog(dir.path, 40)
    for (const name of ['audit-1.log', 'audit-000002.log.gz', 'notes.txt']) {
      writeFileSync(join(dir.path, name), 'x')
    }
    const before = readdirSync(dir.path)
    const { found } = await reopen(dir.path)
    assert.equal(found.isWhole, true)
    assert.deepEqual(
      before.filter(name => !readdirSync(dir.path).includes(name)),
      [],
    )
  })

  it('starts anew in a directory whose log was taken away', async () => {
    using dir = temporaryDirectory()
    await writeLog(dir.path)
    unlinkSync(file(dir.path, 1))
    const { found } = await reopen(dir.path)
    assert.deepEqual([found.isWhole, found.first?.n, found.records], [true, 1, 1])
  })
})
