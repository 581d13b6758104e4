import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type DetectorMask, openMasks } from '../../src/mask/index.ts'
import { frameOf } from '../helpers/bytes.ts'
import { SEED } from '../helpers/seed.ts'
import { dataRow, valuesOf } from './row-bytes.ts'

const masks = openMasks({ key: Buffer.alloc(32, 1) })
const ALL: readonly DetectorMask[] = [
  { matches: 'card-number', mask: { kind: 'keep', first: 0, last: 4 } },
  { matches: 'email', mask: { kind: 'email' } },
  { matches: 'national-id', mask: { kind: 'redact' } },
]

function shown(value: string, typeOid = 25, detectors = ALL, typeModifier = -1): string | null {
  const masker = masks.rows([null], [{ typeOid, typeModifier, format: 0 }], detectors)
  return valuesOf(masker.mask(frameOf(dataRow([Buffer.from(value)]))))[0]?.toString() ?? null
}

describe('detectors', () => {
  it('masks card numbers that Luhn agrees with, however they are grouped', () => {
    assert.equal(shown('Paid with 4111 1111 1111 1111, ok'), 'Paid with ••••1111, ok')
    assert.equal(shown('4111-1111-1111-1111'), '••••1111')
    assert.equal(shown('378282246310005 é'), '••••0005 é')
    for (const none of ['4111111111111112', '41111111111111111111111', '1234', '']) {
      assert.equal(shown(none), none)
    }
  })

  it('masks e-mail addresses within a text', () => {
    assert.equal(shown('ask <alice@acme.dev>!'), 'ask <a•••@acme.dev>!')
    assert.equal(shown('a@b.de,c@d.de'), 'a•••@b.de,c•••@d.de')
    for (const none of ['a@b', '@acme.dev', 'me @ home', '@@@']) assert.equal(shown(none), none)
  })

  it('masks national ids', () => {
    assert.equal(shown('SSN 912-45-6781.'), 'SSN ••••.')
    for (const none of ['000-45-6781', '912-00-6781', '912-45-67811', '1912-45-6781']) {
      assert.equal(shown(none), none)
    }
  })

  it('shows NULL where nothing can be cut out, or there is no room', () => {
    assert.equal(shown('{"mail": "alice@acme.dev"}', 3802), null)
    assert.equal(shown('{alice@acme.dev}', 1009), null)
    assert.equal(shown('{"a": 1}', 3802), '{"a": 1}')
    assert.equal(
      shown('alice@acme.dev', 25, [{ matches: 'email', mask: { kind: 'nullify' } }]),
      null,
    )
    assert.equal(shown('a@b.de', 1043, ALL, 4 + 6), null)
    assert.equal(shown('4111111111111111', 1700), '4111111111111111')
  })

  it(`leaves no address in any text, and text without one as it is (seed ${SEED})`, () => {
    const noise = fc.string({
      unit: fc.constantFrom(' ', '@', 'é', '"', '.', '4', '-'),
      maxLength: 20,
    })
    fc.assert(
      fc.property(noise, noise, (before, behind) => {
        const none = before.replaceAll('@', 'x')
        assert.equal(shown(none), none)
        assert.ok(!shown(`${before} alice@acme.dev ${behind}`)?.includes('alice'))
      }),
      { seed: SEED, numRuns: 1000 },
    )
  })

  it('reads a long text in a time that grows with its length only', () => {
    for (const unit of ['@', 'a@', 'a', '4 ', '4', '1-', 'a.', 'a@a.']) {
      const started = performance.now()
      shown(unit.repeat(200_000 / unit.length))
      assert.ok(performance.now() - started < 2000, unit)
    }
  })
})
