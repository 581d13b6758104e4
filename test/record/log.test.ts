import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import type { NoteRecord, StatementFacts } from '../../src/record/index.ts'
import { AuditLog, readRecords, recordedParameter, verifyLog } from '../../src/record/index.ts'
import {
  entriesOf,
  eventually,
  ok,
  recordsOf,
  selectFacts,
  sessionFacts,
  temporaryDirectory,
} from './builders.ts'

const now = () => 1_770_000_000_123

describe('record/log', () => {
  it('has a statement on file when commit returns, before anything is closed or flushed', async () => {
    using dir = temporaryDirectory()
    const log = await AuditLog.open(dir.path, { now })
    const session = log.begin(sessionFacts())
    const id = session.stage(selectFacts('SELECT 1', { parameters: ['a', null] }))
    session.commit()
    const [start, statement] = await recordsOf(dir.path)
    await log.close()
    assert.deepEqual(start, {
      n: 1,
      t: '2026-02-02T02:40:00.123Z',
      type: 'session.start',
      session: 's-8k2m4q',
      ...(({ id: _, ...rest }) => rest)(sessionFacts()),
    })
    assert.deepEqual(statement, {
      n: 2,
      t: '2026-02-02T02:40:00.123Z',
      type: 'statement',
      session: 's-8k2m4q',
      user: 'ana@acme.dev',
      agent: 'psql',
      target: 'prod',
      role: 'reader',
      id: 's-8k2m4q.1',
      protocol: 'simple',
      text: 'SELECT 1',
      parameters: ['a', null],
      statements: [{ kind: 'SELECT', class: 'read', relations: [] }],
      verdict: 'allow',
      rule: 'role reader may read',
    })
    assert.equal(id, 's-8k2m4q.1')
  })

  it('keeps file and directory for the owner alone', async () => {
    using dir = temporaryDirectory()
    const path = join(dir.path, 'state', 'audit')
    const log = await AuditLog.open(path, { now })
    await log.close()
    assert.equal(statSync(path).mode & 0o777, 0o700)
    for (const name of readdirSync(path)) {
      assert.equal(statSync(join(path, name)).mode & 0o777, 0o600, name)
    }
  })

  it('writes one commit of many sessions in the order of staging', async () => {
    using dir = temporaryDirectory()
    const log = await AuditLog.open(dir.path, { now })
    const [a, b] = [log.begin(sessionFacts('s-a')), log.begin(sessionFacts('s-b'))]
    a.stage(selectFacts('1'))
    b.stage(selectFacts('2'))
    a.stage(selectFacts('3'))
    log.commit()
    await log.close()
    const texts = (await recordsOf(dir.path)).flatMap(r => (r.type === 'statement' ? [r.id] : []))
    assert.deepEqual(texts, ['s-a.1', 's-b.1', 's-a.2'])
  })

  it('puts completions, denials and the end of a session on file by itself', async () => {
    using dir = temporaryDirectory()
    const log = await AuditLog.open(dir.path, { now, flushMs: 5 })
    const session = log.begin(sessionFacts())
    const id = session.stage(selectFacts('DELETE FROM t'))
    session.commit()
    session.complete(id, { ...ok, outcome: 'error', sqlstate: '42P01', tag: 'DELETE 0' })
    session.deny(selectFacts('DROP TABLE t', { verdict: 'deny', rule: 'no-drop' }))
    session.end('client closed')
    await eventually(() => (log.head.n === 5 ? true : undefined))
    const [, , completed, denied, end] = await recordsOf(dir.path)
    await log.close()
    assert.ok(completed?.type === 'completed' && completed.sqlstate === '42P01')
    assert.ok(denied?.type === 'denied' && denied.id === 's-8k2m4q.2' && denied.rule === 'no-drop')
    assert.ok(end?.type === 'session.end' && end.statements === 2)
  })

  it('refuses a second writer of the directory and lets it in after the first closed', async () => {
    using dir = temporaryDirectory()
    const first = await AuditLog.open(dir.path, { now })
    await assert.rejects(AuditLog.open(dir.path, { now }), { code: 'IN_USE' })
    await assert.rejects(AuditLog.open(dir.path, { now }), { code: 'IN_USE' })
    await first.close()
    const second = await AuditLog.open(dir.path, { now })
    await second.close()
  })

  it('refuses statements after close', async () => {
    using dir = temporaryDirectory()
    const log = await AuditLog.open(dir.path, { now })
    const session = log.begin(sessionFacts())
    await log.close()
    assert.throws(() => session.stage(selectFacts('SELECT 1')), { code: 'UNAUDITED' })
    assert.throws(() => log.append({ type: 'server.stop', reason: 'x' }), { code: 'UNAUDITED' })
    session.end('late')
    await log.close()
  })

  it('continues numbers and chain over segments and restarts', async () => {
    using dir = temporaryDirectory()
    for (let round = 0; round < 3; round++) {
      const log = await AuditLog.open(dir.path, { now, maxSegmentBytes: 2000 })
      const session = log.begin(sessionFacts(`s-${round}`))
      for (let i = 0; i < 20; i++) {
        session.stage(selectFacts(`SELECT ${i}`))
        session.commit()
      }
      await log.close()
    }
    const found = await verifyLog(dir.path)
    assert.equal(found.isWhole, true, JSON.stringify(found.broken))
    assert.equal(found.records, 63)
    assert.ok(found.segments > 10)
    const numbers = (await recordsOf(dir.path)).map(record => record.n)
    assert.deepEqual(
      numbers,
      Array.from({ length: 63 }, (_, index) => index + 1),
    )
  })

  it('is not confused by a clock that steps back', async () => {
    using dir = temporaryDirectory()
    let at = 2_000_000_000_000
    const log = await AuditLog.open(dir.path, { now: () => at })
    const session = log.begin(sessionFacts())
    for (const step of [0, -3_600_000, 1000, -5]) {
      at += step
      session.stage(selectFacts('SELECT 1'))
      session.commit()
    }
    session.end('done')
    await log.close()
    const records = await recordsOf(dir.path)
    assert.deepEqual(
      records.map(record => record.n),
      [1, 2, 3, 4, 5, 6],
    )
    assert.ok((records[2]?.t ?? '') < (records[1]?.t ?? ''))
    const end = records.at(-1)
    assert.ok(end?.type === 'session.end' && end.durationMs === 0)
    assert.equal((await verifyLog(dir.path)).isWhole, true)
  })

  it('goes on in a new segment when its file was taken away, and says so', async () => {
    using dir = temporaryDirectory()
    const log = await AuditLog.open(dir.path, { now, fsyncMs: 5 })
    const session = log.begin(sessionFacts())
    unlinkSync(join(dir.path, 'audit-000001.log'))
    session.stage(selectFacts('SELECT 1'))
    session.commit()
    await eventually(() => log.failure)
    session.stage(selectFacts('SELECT 2'))
    session.commit()
    assert.equal(log.failure, undefined)
    await log.close()
    const [gap, statement] = await recordsOf(dir.path)
    assert.ok(gap?.type === 'gap' && gap.reason === 'the segment file was removed')
    assert.ok(statement?.type === 'statement' && statement.text === 'SELECT 2')
    assert.equal((await verifyLog(dir.path)).broken?.kind, 'missing-segment')
  })

  it('keeps any text: 10 MB, lone surrogates, control characters, what is no UTF-8', async () => {
    using dir = temporaryDirectory()
    const log = await AuditLog.open(dir.path, { now })
    const session = log.begin(sessionFacts('s-x', { agent: '\ud800"\n', application: '\u0000' }))
    const texts = ['\ud83d', '\udc00x\ud800', '\n\r\u2028\u0001"\\', 'é😀', 'x'.repeat(10_485_760)]
    const raw = Buffer.from([0x53, 0xff, 0xfe])
    for (const text of texts) session.stage(selectFacts(text))
    session.stage(selectFacts('S\ufffd\ufffd', { textBase64: raw.toString('base64') }))
    session.commit()
    await log.close()
    const records = (await recordsOf(dir.path)).filter(record => record.type === 'statement')
    assert.deepEqual(
      records.slice(0, -1).map(record => record.text),
      texts,
    )
    assert.deepEqual(Buffer.from(records.at(-1)?.textBase64 ?? '', 'base64'), raw)
    assert.equal(records[0]?.agent, '\ud800"\n')
    assert.equal((await verifyLog(dir.path)).isWhole, true)
  })

  it('refuses a statement that is too long for a record, and only that one', async () => {
    using dir = temporaryDirectory()
    const log = await AuditLog.open(dir.path, { now })
    const session = log.begin(sessionFacts())
    const parameters = Array.from({ length: 1100 }, () => 'p'.repeat(65_000))
    assert.throws(() => session.stage(selectFacts('x', { parameters })), { code: 'LIMIT' })
    session.stage(selectFacts('SELECT 1'))
    session.commit()
    await log.close()
    assert.equal((await recordsOf(dir.path)).length, 2)
  })

  it('puts parameters on record as text, base64 or digest', () => {
    assert.equal(recordedParameter(null, 'text'), null)
    assert.equal(recordedParameter(Buffer.from('né'), 'text'), 'né')
    assert.deepEqual(recordedParameter(Buffer.from([0xff, 0]), 'text'), { base64: '/wA=' })
    assert.deepEqual(recordedParameter(Buffer.from('abc'), 'binary'), { base64: 'YWJj' })
    assert.deepEqual(recordedParameter(Buffer.alloc(65537, 'a'), 'text'), {
      bytes: 65537,
      sha256: createHash('sha256').update('a'.repeat(65537)).digest('hex'),
    })
  })

  it('reads back what was written, for any sequence of records', async () => {
    const plain = { noNullPrototype: true }
    const text = fc.string({ unit: 'binary', maxLength: 300 })
    const statement = fc.record({
      do: fc.constant('stage' as const),
      text,
      parameters: fc.array(fc.oneof(text, fc.constant(null), fc.record({ base64: text }, plain))),
      rule: text,
    })
    const note = fc.record({ do: fc.constant('note' as const), reason: text })
    const commit = fc.record({ do: fc.constant('commit' as const) })
    const steps = fc.array(fc.oneof({ weight: 4, arbitrary: statement }, note, commit))
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 500, max: 5000 }), async (plan, bytes) => {
        using dir = temporaryDirectory()
        const log = await AuditLog.open(dir.path, { now, maxSegmentBytes: bytes })
        const session = log.begin(sessionFacts('s-p', { agent: plan.length.toString() }))
        const expected: (StatementFacts | NoteRecord)[] = []
        for (const step of plan) {
          if (step.do === 'commit') session.commit()
          if (step.do === 'note') {
            const record = { type: 'server.stop', reason: step.reason } as const
            log.note(record)
            expected.push(record)
          }
          if (step.do === 'stage') {
            const facts = selectFacts(step.text, { rule: step.rule, parameters: step.parameters })
            session.stage(facts)
            expected.push(facts)
          }
        }
        await log.close()
        const records = (await recordsOf(dir.path)).slice(1)
        assert.equal(records.length, expected.length)
        for (const [index, record] of records.entries()) {
          const { parameters = [], ...rest } = { parameters: undefined, ...expected[index] }
          assert.partialDeepStrictEqual(record, rest)
          if (record.type === 'statement') assert.deepEqual(record.parameters ?? [], parameters)
        }
        assert.equal((await verifyLog(dir.path)).isWhole, true)
      }),
      { numRuns: 60 },
    )
  })

  it('reads on from any record', async () => {
    using dir = temporaryDirectory()
    const log = await AuditLog.open(dir.path, { now, maxSegmentBytes: 1000 })
    const session = log.begin(sessionFacts())
    for (let i = 0; i < 10; i++) {
      session.stage(selectFacts(`SELECT ${i}`))
      session.commit()
    }
    await log.close()
    const entries = await entriesOf(dir.path)
    for (const [index, entry] of entries.entries()) {
      const rest: number[] = []
      for await (const { record } of readRecords(dir.path, { from: entry.next }))
        rest.push(record.n)
      assert.deepEqual(
        rest,
        entries.slice(index + 1).map(({ record }) => record.n),
      )
    }
  })
})
