import assert from 'node:assert/strict'
import fc from 'fast-check'
import { DbgateError } from '../../src/errors.ts'
import { type Mask, openMasks } from '../../src/mask/index.ts'
import { frameOf } from '../helpers/bytes.ts'
import { SEED } from '../helpers/seed.ts'
import { dataRow, valuesOf } from './row-bytes.ts'

const masks = openMasks({ key: Buffer.alloc(32, 1) })
const TEXT = { typeOid: 25, typeModifier: -1, format: 0 }

const aMask: fc.Arbitrary<Mask | null> = fc.oneof(
  fc.constant(null),
  fc.constantFrom<Mask>(
    { kind: 'redact' },
    { kind: 'nullify' },
    { kind: 'token', domain: 'd' },
    { kind: 'email' },
    { kind: 'keep', first: 1, last: 2 },
    { kind: 'year' },
  ),
)
const aField = fc.record({
  typeOid: fc.constantFrom(0, 19, 20, 25, 1042, 1043, 1082, 1114, 1184, 2950, 3802, 99_999),
  typeModifier: fc.constantFrom(-1, 5, 8, 40),
  format: fc.constantFrom(0, 1),
})
const SECRET = 'hunter2'
const aValue = fc.oneof(
  fc.constant(null),
  fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes)),
  fc.constantFrom(SECRET, '2026-05-17', 'a@b.dev', '').map(text => Buffer.from(text)),
)
const aTable = fc
  .array(fc.record({ mask: aMask, field: aField }), { maxLength: 8 })
  .chain(columns =>
    fc.record({
      columns: fc.constant(columns),
      rows: fc.array(fc.tuple(...columns.map(() => aValue)), { minLength: 1, maxLength: 30 }),
    }),
  )

function refusal(work: () => unknown): string | undefined {
  try {
    work()
    return undefined
  } catch (thrown) {
    assert.ok(thrown instanceof DbgateError, String(thrown))
    return thrown.code
  }
}

describe('RowMasker', () => {
  it(`changes masked cells only, of any row (seed ${SEED})`, () => {
    fc.assert(
      fc.property(aTable, ({ columns, rows }) => {
        const masker = masks.rows(
          columns.map(({ mask }) => mask),
          columns.map(({ field }) => field),
        )
        // All rows first: what was handed out must stay as it is while others are written.
        const shown = rows.map(row => masker.mask(frameOf(dataRow(row))))
        let masked = 0
        shown.forEach((bytes, at) => {
          const values = valuesOf(bytes)
          assert.equal(values.length, columns.length)
          columns.forEach(({ mask }, column) => {
            const before = rows[at]?.[column] ?? null
            if (mask === null || before === null) assert.deepEqual(values[column], before)
            else {
              masked += 1
              assert.ok(before.toString() !== SECRET || !values[column]?.includes(SECRET))
            }
          })
        })
        assert.deepEqual(masker.counts, { rows: rows.length, values: masked })
      }),
      { seed: SEED, numRuns: 1000 },
    )
  })

  it(`refuses a row that is cut or says more than there is, and nothing else goes wrong (seed ${SEED})`, () => {
    const masker = masks.rows([{ kind: 'redact' }, null], [TEXT, TEXT])
    const whole = dataRow([Buffer.from('one'), Buffer.from('two')])
    for (let at = 5; at < whole.length; at++) {
      assert.equal(
        refusal(() => masker.mask(frameOf(whole.subarray(0, at)))),
        'PROTOCOL',
      )
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), body => {
        const bytes = Buffer.concat([Buffer.from('D\0\0\0\0'), body])
        bytes.writeInt32BE(bytes.length - 1, 1)
        assert.ok([undefined, 'PROTOCOL'].includes(refusal(() => masker.mask(frameOf(bytes)))))
      }),
      { seed: SEED, numRuns: 2000 },
    )
  })

  it('refuses pieces of rows, other messages and plans for other columns', () => {
    const masker = masks.rows([null], [TEXT])
    const row = dataRow([Buffer.from('x')])
    assert.equal(
      refusal(() => masker.mask({ ...frameOf(row), part: 'head' })),
      'INTERNAL',
    )
    assert.equal(
      refusal(() => masker.mask({ ...frameOf(row), tag: 0x45 })),
      'PROTOCOL',
    )
    assert.equal(
      refusal(() => masker.mask(frameOf(dataRow([null, null])))),
      'PROTOCOL',
    )
    assert.equal(
      refusal(() => masks.rows([null], [TEXT, TEXT])),
      'INTERNAL',
    )
    assert.equal(
      refusal(() => openMasks({ key: Buffer.alloc(31) })),
      'INTERNAL',
    )
  })

  it('masks rows longer than any buffer of its own', () => {
    const long = Buffer.alloc(1_000_000, 'x')
    const masker = masks.rows([null, { kind: 'redact' }, null], [TEXT, TEXT, TEXT])
    const shown = valuesOf(masker.mask(frameOf(dataRow([long, long, Buffer.from('end')]))))
    assert.deepEqual(shown, [long, Buffer.from('••••'), Buffer.from('end')])
  })
})
