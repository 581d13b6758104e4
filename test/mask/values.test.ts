import assert from 'node:assert/strict'
import fc from 'fast-check'
import { fits, looksMasked, type Mask, openMasks } from '../../src/mask/index.ts'
import { frameOf } from '../helpers/bytes.ts'
import { SEED } from '../helpers/seed.ts'
import { dataRow, valuesOf } from './row-bytes.ts'

const KEY = Buffer.alloc(32, 7)
const masks = openMasks({ key: KEY })
const TEXT = 25
const VARCHAR = 1043
const BPCHAR = 1042
const NAME = 19
const UUID = 2950
const INT8 = 20

type As = { readonly oid?: number; readonly modifier?: number; readonly format?: number }

function masked(mask: Mask, value: Buffer | string, { oid = TEXT, modifier = -1, format = 0 }: As) {
  const row = dataRow([Buffer.from(value)])
  const field = { typeOid: oid, typeModifier: modifier, format }
  const [shown] = valuesOf(masks.rows([mask], [field]).mask(frameOf(row)))
  return shown
}
const text = (mask: Mask, value: string, as: As = {}) => masked(mask, value, as)?.toString() ?? null
const token: Mask = { kind: 'token', domain: 'users.email' }
const keep = (first: number, last: number): Mask => ({ kind: 'keep', first, last })

describe('masked values', () => {
  it('redacts what is text and gives NULL for every other type', () => {
    for (const oid of [TEXT, VARCHAR, BPCHAR, NAME]) {
      assert.equal(text({ kind: 'redact' }, 'hunter2', { oid }), '••••')
    }
    for (const oid of [0, 16, 17, 20, 21, 23, 114, 700, 701, 869, 1007, 1009, 1082, 1083, 1114]) {
      assert.equal(text({ kind: 'redact' }, '1', { oid }), null, `type ${oid}`)
    }
    assert.equal(text({ kind: 'redact' }, 'x', { format: 2 }), null)
    assert.equal(text({ kind: 'nullify' }, 'x'), null)
  })

  it('keeps within varchar(n) and fills char(n) up', () => {
    assert.equal(text({ kind: 'redact' }, 'abc', { oid: VARCHAR, modifier: 4 + 3 }), null)
    assert.equal(text({ kind: 'redact' }, 'abcd', { oid: VARCHAR, modifier: 4 + 4 }), '••••')
    assert.equal(text({ kind: 'redact' }, 'ab    ', { oid: BPCHAR, modifier: 4 + 6 }), '••••  ')
    assert.equal(text(token, 'x', { oid: VARCHAR, modifier: 4 + 23 }), null)
    assert.equal(text(token, 'x', { oid: VARCHAR, modifier: 4 + 24 })?.length, 24)
    assert.equal(text({ kind: 'email' }, 'a@b.dev', { oid: VARCHAR, modifier: 4 + 8 }), null)
  })

  it('shows the first letter and the domain of an e-mail address, and nothing of anything else', () => {
    const email: Mask = { kind: 'email' }
    assert.equal(text(email, 'alice.adams@acme.dev'), 'a•••@acme.dev')
    assert.equal(text(email, 'änne@mail.acme.dev'), 'ä•••@mail.acme.dev')
    for (const no of [
      '',
      'x',
      '@acme.dev',
      'a@',
      'a@b',
      'a b@c.de',
      'a@b@c.de',
      'a@b.dev, 912-45',
    ]) {
      assert.equal(text(email, no), '••••', no)
    }
    assert.equal(masked(email, Buffer.from([0xff, 0x40, 0x61]), {})?.toString(), '••••')
  })

  it('keeps characters at the ends only where at least four are hidden', () => {
    assert.equal(text(keep(0, 4), '4929111122223331'), '••••3331')
    assert.equal(text(keep(2, 0), 'Robert'), 'Ro••••')
    assert.equal(text(keep(2, 0), 'Rober'), '••••')
    assert.equal(text(keep(1, 1), 'ÄÖÜßäö'), 'Ä••••ö')
    assert.equal(text(keep(0, 4), '12345678  ', { oid: BPCHAR, modifier: 4 + 10 }), '••••5678  ')
  })

  it('gives one token for one value in both formats and every text type, and none across domains', () => {
    const one = text(token, 'alice') ?? ''
    assert.match(one, /^dgt_[a-z2-7]{20}$/)
    assert.equal(text(token, 'alice', { format: 1 }), one)
    assert.equal(text(token, 'alice', { oid: VARCHAR }), one)
    assert.equal(text(token, 'alice   ', { oid: BPCHAR, modifier: 4 + 30 })?.trimEnd(), one)
    assert.notEqual(text({ kind: 'token', domain: 'other' }, 'alice'), one)
    const other = openMasks({ key: Buffer.alloc(32, 8) })
    const [otherKey] = valuesOf(
      other
        .rows([token], [{ typeOid: TEXT, typeModifier: -1, format: 0 }])
        .mask(frameOf(dataRow([Buffer.from('alice')]))),
    )
    assert.notEqual(otherKey?.toString(), one)
    assert.ok(looksMasked(one))
  })

  it('gives uuid and int8 tokens of their type, the same in both formats', () => {
    const uuid = '0f8fad5b-d9cb-469f-a165-70867728950e'
    const shown = text(token, uuid, { oid: UUID }) ?? ''
    assert.match(shown, /^db9a[0-9a-f]{4}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    const bytes = Buffer.from(uuid.replaceAll('-', ''), 'hex')
    const binary = masked(token, bytes, { oid: UUID, format: 1 })
    assert.equal(binary?.toString('hex'), shown.replaceAll('-', ''))
    const eight = Buffer.alloc(8)
    eight.writeBigInt64BE(-42n)
    const number = BigInt(text(token, '-42', { oid: INT8 }) ?? '')
    assert.equal(masked(token, eight, { oid: INT8, format: 1 })?.readBigInt64BE(), number)
    assert.ok(number >= 1n << 62n && number < 1n << 63n)
    assert.ok(looksMasked(shown) && looksMasked(String(number)))
    assert.ok(!looksMasked('4611686018427387903') && !looksMasked(uuid) && !looksMasked('alice'))
    for (const [value, as] of [
      ['x', { oid: UUID }],
      ['x', { oid: UUID, format: 1 }],
      ['99999999999999999999', { oid: INT8 }],
      ['9223372036854775808', { oid: INT8 }],
      ['1234567', { oid: INT8, format: 1 }],
    ] as const) {
      assert.equal(text(token, value, as), null)
    }
  })

  it('says of every type whether a kind fits it, and shows NULL exactly where it does not', () => {
    const samples: readonly (readonly [number, string])[] = [
      [TEXT, 'alice@acme.dev'],
      [VARCHAR, 'alice@acme.dev'],
      [BPCHAR, 'alice@acme.dev'],
      [NAME, 'alice@acme.dev'],
      [UUID, '0f8fad5b-d9cb-469f-a165-70867728950e'],
      [INT8, '42'],
      [23, '42'],
      [1082, '2024-02-03'],
      [1114, '2024-02-03 04:05:06'],
      [1184, '2024-02-03 04:05:06+00'],
      [1700, '42'],
      [3802, '{"a": 1}'],
      [1009, '{a,b}'],
      [77_777, 'of an extension'],
    ]
    const kinds: readonly Mask[] = [
      { kind: 'redact' },
      { kind: 'email' },
      token,
      keep(0, 4),
      { kind: 'year' },
    ]
    for (const mask of kinds) {
      for (const [oid, value] of samples) {
        assert.equal(text(mask, value, { oid }) !== null, fits(mask, oid), `${mask.kind} of ${oid}`)
      }
    }
    assert.ok(fits({ kind: 'nullify' }, 0))
  })
})

describe('masked years', () => {
  const year: Mask = { kind: 'year' }
  const date = (value: string) => text(year, value, { oid: 1082 })

  it('shows the first of January of what DateStyle ISO prints', () => {
    assert.equal(date('2026-05-17'), '2026-01-01')
    assert.equal(date('0044-03-15 BC'), '0044-01-01 BC')
    assert.equal(date('12345-12-31'), '12345-01-01')
    assert.equal(text(year, '2026-05-17 01:02:03.5', { oid: 1114 }), '2026-01-01 00:00:00')
    assert.equal(text(year, '0001-01-01 00:00:00 BC', { oid: 1114 }), '0001-01-01 00:00:00 BC')
    const zoned = (value: string) => text(year, value, { oid: 1184 })
    assert.equal(zoned('2026-05-17 01:02:03+02'), '2026-01-01 00:00:00+00')
    assert.equal(zoned('2026-01-01 01:02:03+05:30'), '2025-01-01 00:00:00+00')
    assert.equal(zoned('2026-12-31 23:59:59-00:44:30'), '2027-01-01 00:00:00+00')
  })

  it('shows NULL for everything else', () => {
    for (const no of [
      'infinity',
      '-infinity',
      '17.05.2026',
      '05/17/2026',
      '4714-11-24 BC',
      '',
      'x',
    ]) {
      assert.equal(date(no), null, no)
    }
    assert.equal(text(year, '2026-05-17 01:02:03+02', { oid: 1114 }), null)
    assert.equal(text(year, '2026-05-17 01:02:03', { oid: 1184 }), null)
    const most = Buffer.from('7fffffff', 'hex')
    assert.equal(masked(year, most, { oid: 1082, format: 1 }), null)
  })

  it(`agrees in text and binary on every day (seed ${SEED})`, () => {
    fc.assert(
      fc.property(fc.integer({ min: -2_400_000, max: 2_900_000 }), day => {
        const bytes = Buffer.alloc(4)
        bytes.writeInt32BE(day)
        const at = new Date(Date.UTC(2000, 0, 1) + day * 86_400_000)
        const january = Date.UTC(2000, 0, 1)
        const first = new Date(0)
        first.setUTCFullYear(at.getUTCFullYear(), 0, 1)
        const expected =
          at.getUTCFullYear() < -4712 ? null : (first.getTime() - january) / 86_400_000
        const shown = masked(year, bytes, { oid: 1082, format: 1 })
        assert.equal(shown?.readInt32BE() ?? null, expected)
        const us = Buffer.alloc(8)
        us.writeBigInt64BE(BigInt(day) * 86_400_000_000n + 86_399_999_999n)
        const shownUs = masked(year, us, { oid: 1184, format: 1 })
        assert.equal(
          shownUs?.readBigInt64BE() ?? null,
          expected === null ? null : BigInt(expected) * 86_400_000_000n,
        )
      }),
      { seed: SEED, numRuns: 2000 },
    )
  })
})
