import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type Analyser, type Analysis, createAnalyser, EMPTY_SCOPE } from '../../src/sql/index.ts'
import { plain, queryTokens } from './sql-arbitrary.ts'

const DEPTH = 5000

/**
 * Every kind of nesting that is known to exhaust a stack somewhere; `i` makes each text a new one.
 */
const DEEP: Readonly<Record<string, (i: number) => string>> = {
  CASE: i => `SELECT ${'CASE WHEN true THEN '.repeat(DEPTH)}${i}${' END'.repeat(DEPTH)}`,
  calls: i => `SELECT ${'f('.repeat(DEPTH)}${i}${')'.repeat(DEPTH)}`,
  sums: i => `SELECT ${i}${'+1'.repeat(DEPTH)}`,
  brackets: i => `SELECT ${'('.repeat(DEPTH)}${i}${')'.repeat(DEPTH)}`,
  AND: i => `SELECT ${i} WHERE true${' AND true'.repeat(DEPTH)}`,
  NOT: i => `SELECT ${i} WHERE ${'NOT '.repeat(DEPTH)}true`,
  'sub-selects': i => `SELECT ${'(SELECT '.repeat(DEPTH)}${i}${')'.repeat(DEPTH)}`,
  UNION: i => `SELECT ${i}${' UNION SELECT 1'.repeat(DEPTH)}`,
  FROM: i => `SELECT ${i} FROM ${'(SELECT * FROM '.repeat(DEPTH)}t${') x'.repeat(DEPTH)}`,
  JOIN: i => `SELECT ${i} FROM t${' JOIN t ON true'.repeat(DEPTH)}`,
  arrays: i => `SELECT ${'ARRAY['.repeat(DEPTH)}${i}${']'.repeat(DEPTH)}`,
  casts: i => `SELECT ${i}${'::int'.repeat(DEPTH)}`,
  subscripts: i => `SELECT a${'[1]'.repeat(DEPTH)}, ${i}`,
  WITH: i =>
    `WITH ${'a AS (WITH '.repeat(DEPTH)}b AS (SELECT ${i}) SELECT 1${') SELECT 1'.repeat(DEPTH)}`,
  'deep WHERE': i => `UPDATE t SET a = ${i} WHERE ${'NOT '.repeat(DEPTH)}id = 1`,
  'wide WHERE': i => `UPDATE t SET a = ${i} WHERE id = 1${' OR id = id'.repeat(DEPTH)}`,
  'PL/pgSQL': i =>
    `DO $$BEGIN ${'IF true THEN '.repeat(DEPTH)}PERFORM ${i};${' END IF;'.repeat(DEPTH)} END$$`,
}

describe('analysis of hostile texts', () => {
  let analyser: Analyser

  before(async () => {
    analyser = createAnalyser({ timeLimitMs: 10_000 })
    await analyser.ready()
  })

  after(() => analyser.close())

  const analyse = async (text: Buffer | string): Promise<Analysis> =>
    analyser.analyse(Buffer.from(text), EMPTY_SCOPE)

  it('outlives a hundred stacks overflowed in a row', async function () {
    this.timeout(60_000)
    const shapes = Object.entries(DEEP)
    const before = await analyse('SELECT 1 FROM orders')
    for (let i = 0; i < 100; i++) {
      const [name, shape] = shapes[i % shapes.length] ?? []
      assert(name !== undefined && shape !== undefined)
      const analysis = await analyse(shape(i))
      if (!analysis.ok) assert.equal(analysis.error.reason, 'too-deep', name)
      const statement = analysis.ok ? analysis.statements[0] : undefined
      if (name.endsWith('WHERE')) assert(statement?.needs.includes('write') ?? true)
    }
    assert.deepEqual(await analyse('SELECT 1 FROM orders'), before)
    await analyser.ready()
    const fresh = analyser.analyse(Buffer.from('SELECT 2 FROM orders'), EMPTY_SCOPE)
    assert(!(fresh instanceof Promise) && fresh.ok)
  })

  it('serves others while one parser is broken and replaced', async () => {
    const monsters = Object.values(DEEP).map(shape => analyse(shape(-1)))
    const others = await Promise.all(
      Array.from({ length: 50 }, (_, i) => analyse(`SELECT ${i} FROM orders`)),
    )
    assert(others.every(analysis => analysis.ok && analysis.statements[0]?.kind === 'SELECT'))
    for (const analysis of await Promise.all(monsters)) {
      if (!analysis.ok) assert.equal(analysis.error.reason, 'too-deep')
    }
  })

  it('refuses what is too large, unread', async () => {
    const small = createAnalyser({ maxBytes: 100 })
    await small.ready()
    const analysis = small.analyse(Buffer.from(`SELECT '${'x'.repeat(100)}'`), EMPTY_SCOPE)
    assert.deepEqual(analysis, {
      ok: false,
      error: {
        message: 'statement is larger than 100 bytes',
        position: undefined,
        reason: 'too-large',
      },
    })
    await small.close()
  })

  it('stops reading after the time limit and goes on with the next', async () => {
    const hasty = createAnalyser({ timeLimitMs: 1, maxSyncBytes: 10 })
    await hasty.ready()
    const analysis = await hasty.analyse(Buffer.from(DEEP.AND?.(1) ?? ''), EMPTY_SCOPE)
    assert(!analysis.ok && analysis.error.reason === 'parser-failed')
    const short = hasty.analyse(Buffer.from('SELECT 1'), EMPTY_SCOPE)
    assert(!(short instanceof Promise) && short.ok)
    await hasty.close()
  })

  it('says the same in the other thread as in this one', async () => {
    const apart = createAnalyser({ maxSyncBytes: 1 })
    await apart.ready()
    for (const sql of [
      'SELECT é, "ü" FROM t',
      'PREPARE p AS DELETE FROM t; EXECUTE p',
      'SELECT (',
    ]) {
      const there = apart.analyse(Buffer.from(sql), EMPTY_SCOPE)
      assert(there instanceof Promise)
      assert.deepEqual(await there, await analyse(sql))
    }
    await apart.close()
  })

  it('keeps to the bounds of its memo', async () => {
    const narrow = createAnalyser({ maxMemoEntries: 3 })
    await narrow.ready()
    const first = await narrow.analyse(Buffer.from('SELECT 0'), EMPTY_SCOPE)
    assert.equal(await narrow.analyse(Buffer.from('SELECT 0'), EMPTY_SCOPE), first)
    for (let i = 1; i < 4; i++) await narrow.analyse(Buffer.from(`SELECT ${i}`), EMPTY_SCOPE)
    assert.notEqual(await narrow.analyse(Buffer.from('SELECT 0'), EMPTY_SCOPE), first)
    await narrow.close()
  })

  it('answers any bytes', async function () {
    this.timeout(60_000)
    const pieces = fc.constantFrom(
      'select',
      'delete from',
      '(',
      ')',
      `'`,
      '"',
      '$$',
      '$a$',
      '/*',
      '*/',
      '--',
      '\n',
      ';',
      `E'\\`,
      'U&"',
      '::',
      't',
      '1',
      '$1',
      '\u0000',
      '😀',
      '\ud800',
    )
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes)),
      fc.string({ unit: 'binary', maxLength: 200 }).map(text => Buffer.from(text)),
      fc.array(pieces, { maxLength: 40 }).map(found => Buffer.from(found.join(' '))),
    )
    await fc.assert(
      fc.asyncProperty(garbage, async bytes => {
        const analysis = await analyse(bytes)
        if (analysis.ok) {
          assert(!bytes.includes(0))
          assert(analysis.statements.every(({ fingerprint }) => /^[0-9a-f]{16}$/.test(fingerprint)))
        } else assert.notEqual(analysis.error.message, '')
      }),
      { numRuns: 3000 },
    )
  })

  it('answers broken statements', async function () {
    this.timeout(60_000)
    const cut = fc.tuple(queryTokens, fc.nat(), fc.nat(), fc.uint8Array({ maxLength: 3 }))
    const started = performance.now()
    await fc.assert(
      fc.asyncProperty(cut, async ([tokens, from, length, put]) => {
        const sql = Buffer.from(plain(tokens))
        const start = from % sql.length
        const end = start + (length % 8)
        await analyse(Buffer.concat([sql.subarray(0, start), put, sql.subarray(end)]))
      }),
      { numRuns: 3000 },
    )
    assert(performance.now() - started < 50_000)
  })
})
