import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, renameSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AuditLog, readRecords, verifyLog } from '../../src/record/index.ts'
import { recordsOf, selectFacts, sessionFacts, temporaryDirectory } from './builders.ts'

/** A log of three segments; each has a first line and some of the 26 records. */
async function writeLog(dir: string): Promise<void> {
  const log = await AuditLog.open(dir, { now: () => 1_770_000_000_000, maxSegmentBytes: 3500 })
  const session = log.begin(sessionFacts())
  for (let i = 0; i < 25; i++) {
    session.stage(selectFacts(`SELECT ${100 + i}`))
    session.commit()
  }
  await log.close()
}

const file = (dir: string, segment: number) => join(dir, `audit-00000${segment}.log`)

function linesOf(dir: string, segment: number): string[] {
  return readFileSync(file(dir, segment), 'utf8').trimEnd().split('\n')
}

function rewrite(dir: string, segment: number, edit: (lines: string[]) => void): void {
  const lines = linesOf(dir, segment)
  edit(lines)
  writeFileSync(file(dir, segment), `${lines.join('\n')}\n`)
}

function hashed(previousLine: string, json: string): string {
  const previous = Buffer.from(previousLine.slice(0, 64), 'hex')
  return `${createHash('sha256').update(previous).update(json).digest('hex')} ${json}`
}

describe('record/verify', () => {
  it('finds nothing wrong with an untouched log, whole or segment by segment', async () => {
    using dir = temporaryDirectory()
    await writeLog(dir.path)
    const found = await verifyLog(dir.path)
    assert.equal(found.isWhole, true)
    assert.deepEqual([found.segments, found.records, found.breaks], [3, 26, 0])
    assert.deepEqual(found.byType, { 'session.start': 1, statement: 25 })
    assert.deepEqual([found.first?.n, found.last?.n], [1, 26])
    for (const segment of [1, 2, 3]) {
      const one = await verifyLog(file(dir.path, segment))
      assert.equal(one.isWhole, true, JSON.stringify(one.broken))
    }
  })

  it('follows the format as documented, line by line', async () => {
    using dir = temporaryDirectory()
    await writeLog(dir.path)
    let previous = '0'.repeat(64)
    for (const segment of [1, 2, 3]) {
      for (const line of linesOf(dir.path, segment)) {
        assert.equal(line, hashed(previous, line.slice(65)))
        previous = line
      }
    }
  })

  it('finds a change of any one byte of the log', async () => {
    using dir = temporaryDirectory()
    await writeLog(dir.path)
    for (const segment of [1, 2, 3]) {
      const path = file(dir.path, segment)
      const bytes = readFileSync(path)
      for (let at = 0; at < bytes.length - 1; at += 37) {
        const changed = Buffer.from(bytes)
        changed[at] = (changed[at] ?? 0) ^ 1
        writeFileSync(path, changed)
        const found = await verifyLog(dir.path)
        assert.equal(found.isWhole, false, `segment ${segment}, byte ${at}`)
        const line = bytes.subarray(0, at).toString().split('\n').length
        // The line itself, or the next one where a hash or newline was hit.
        const off = (found.broken?.line ?? 0) - line
        assert.ok(found.broken?.segment === segment && off >= 0 && off <= 1, `${at}: ${off}`)
      }
      writeFileSync(path, bytes)
    }
  })

  const middle = 5
  const cases: {
    name: string
    do: (dir: string) => void
    expect: Record<string, unknown>
    breaks?: number
  }[] = [
    {
      name: 'a changed record',
      do: dir => rewrite(dir, 2, lines => lines.splice(middle, 1, edited(lines[middle]))),
      expect: { kind: 'changed', segment: 2, line: middle + 1 },
      breaks: 1,
    },
    {
      name: 'a changed record with a fitting hash',
      do: dir =>
        rewrite(dir, 2, lines => {
          lines[middle] = hashed(lines[middle - 1] ?? '', edited(lines[middle]).slice(65))
        }),
      expect: { kind: 'changed', segment: 2, line: middle + 2 },
      breaks: 1,
    },
    {
      name: 'a removed record',
      do: dir => rewrite(dir, 2, lines => lines.splice(middle, 1)),
      expect: { kind: 'removed', segment: 2, line: middle + 1, message: /^record \d+ is missing$/ },
      breaks: 1,
    },
    {
      name: 'several removed records',
      do: dir => rewrite(dir, 2, lines => lines.splice(middle, 2)),
      expect: { kind: 'removed', segment: 2, line: middle + 1, message: /^records \d+ to \d+ / },
      breaks: 1,
    },
    {
      name: 'two swapped records',
      do: dir => rewrite(dir, 2, lines => lines.splice(middle, 0, ...lines.splice(middle + 1, 1))),
      expect: { kind: 'reordered', segment: 2, line: middle + 1 },
    },
    {
      name: 'a record that stands twice',
      do: dir => rewrite(dir, 2, lines => lines.splice(middle, 0, lines[middle - 1] ?? '')),
      expect: { kind: 'inserted', segment: 2, line: middle + 1 },
      breaks: 1,
    },
    {
      name: 'a record put in with a fitting hash and number',
      do: dir =>
        rewrite(dir, 2, lines => {
          const json = lines[middle]?.slice(65).replace('SELECT', 'DELETE') ?? ''
          lines.splice(middle, 0, hashed(lines[middle - 1] ?? '', json))
        }),
      expect: { kind: 'inserted', segment: 2, line: middle + 1 },
      breaks: 1,
    },
    {
      name: 'a line that is no record',
      do: dir => rewrite(dir, 2, lines => lines.splice(middle, 0, 'rubbish')),
      expect: { kind: 'malformed', segment: 2, line: middle + 1 },
      breaks: 1,
    },
    {
      name: 'a segment cut off between two records',
      do: dir => rewrite(dir, 2, lines => lines.pop()),
      expect: { kind: 'truncated-segment', segment: 2 },
      breaks: 1,
    },
    {
      name: 'a segment cut off within a record',
      do: dir => truncateSync(file(dir, 2), readFileSync(file(dir, 2)).length - 20),
      expect: { kind: 'truncated-segment', segment: 2 },
      breaks: 1,
    },
    {
      name: 'a segment without its first line',
      do: dir => rewrite(dir, 2, lines => lines.shift()),
      expect: { kind: 'removed', segment: 2, line: 1 },
      breaks: 1,
    },
    {
      name: 'a removed segment',
      do: dir => unlinkSync(file(dir, 2)),
      expect: { kind: 'missing-segment', segment: 2, message: 'segment 2 is missing' },
      breaks: 1,
    },
    {
      name: 'the first segment removed',
      do: dir => unlinkSync(file(dir, 1)),
      expect: { kind: 'missing-segment', segment: 1 },
      breaks: 1,
    },
    {
      name: 'two segments exchanged',
      do: dir => {
        renameSync(file(dir, 2), join(dir, 'x'))
        renameSync(file(dir, 3), file(dir, 2))
        renameSync(join(dir, 'x'), file(dir, 3))
      },
      expect: { kind: 'reordered', segment: 2, line: 1 },
    },
    {
      name: 'an older copy of a segment put back',
      do: dir => writeFileSync(file(dir, 2), `${linesOf(dir, 2).slice(0, 4).join('\n')}\n`),
      expect: { kind: 'truncated-segment', segment: 2 },
      breaks: 1,
    },
  ]

  for (const { name, do: tamper, expect, breaks } of cases) {
    it(`names the place of ${name}`, async () => {
      using dir = temporaryDirectory()
      await writeLog(dir.path)
      tamper(dir.path)
      const found = await verifyLog(dir.path)
      const { message, ...rest } = expect
      assert.partialDeepStrictEqual(found.broken, rest, JSON.stringify(found.broken))
      if (message instanceof RegExp) assert.match(found.broken?.message ?? '', message)
      if (breaks !== undefined) assert.equal(found.breaks, breaks)
    })
  }

  it('takes an unfinished last line for one that is being written', async () => {
    using dir = temporaryDirectory()
    await writeLog(dir.path)
    const path = file(dir.path, 3)
    const bytes = readFileSync(path)
    const lastLine = bytes.lastIndexOf('\n', bytes.length - 2) + 1
    for (let end = lastLine; end < bytes.length; end += 11) {
      writeFileSync(path, bytes.subarray(0, end))
      const found = await verifyLog(dir.path)
      assert.deepEqual([found.isWhole, found.unfinishedBytes], [true, end - lastLine])
      assert.equal((await recordsOf(dir.path)).length, 25)
    }
  })

  it('never calls a log broken that is being written', async () => {
    using dir = temporaryDirectory()
    const log = await AuditLog.open(dir.path, { now: Date.now, maxSegmentBytes: 200_000 })
    const session = log.begin(sessionFacts())
    let isDone = false
    const writing = (async () => {
      for (let i = 0; i < 3000; i++) {
        session.stage(selectFacts(`SELECT ${'x'.repeat(i % 700)}`))
        session.commit()
        if (i % 5 === 0) await new Promise(setImmediate)
      }
      isDone = true
    })()
    let runs = 0
    while (!isDone) {
      const found = await verifyLog(dir.path)
      assert.equal(found.isWhole, true, JSON.stringify(found.broken))
      runs++
    }
    await writing
    await log.close()
    assert.ok(runs > 2)
    assert.equal((await verifyLog(dir.path)).records, 3001)
  })

  it('refuses a format of a later version', async () => {
    using dir = temporaryDirectory()
    await writeLog(dir.path)
    rewrite(dir.path, 1, lines => {
      lines[0] = hashed('0'.repeat(64), lines[0]?.slice(65).replace('"v":1', '"v":2') ?? '')
    })
    await assert.rejects(verifyLog(dir.path), { code: 'INTEGRITY' })
  })

  it('lets a reader pass over what is no record, or stops it', async () => {
    using dir = temporaryDirectory()
    await writeLog(dir.path)
    rewrite(dir.path, 2, lines => lines.splice(3, 0, 'rubbish', ''))
    await assert.rejects(recordsOf(dir.path), { code: 'INTEGRITY' })
    let unreadable = 0
    let records = 0
    const onUnreadable = () => {
      unreadable++
    }
    for await (const _ of readRecords(dir.path, { onUnreadable })) records++
    assert.deepEqual([records, unreadable], [26, 2])
  })
})

function edited(line: string | undefined): string {
  return line?.replace('SELECT 1', 'SELECT 9') ?? ''
}
