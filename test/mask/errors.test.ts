import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type Sanitising, sanitised } from '../../src/mask/index.ts'
import { decodeErrorFields } from '../../src/wire/index.ts'
import { frameOf, message } from '../helpers/bytes.ts'
import { SEED } from '../helpers/seed.ts'

const ASK: Sanitising = { relationNames: ['public.users'], runsCode: false }
const REASON =
  "dbgate left the server's own words out, because they could hold confidential values of public.users."

function error(fields: Record<string, string>, tag = 'E'): Buffer {
  const all = { S: 'ERROR', V: 'ERROR', ...fields }
  const body = Object.entries(all).map(([code, text]) => `${code}${text}\0`)
  return message(tag, Buffer.from(`${body.join('')}\0`))
}

function shown(fields: Record<string, string>, ask: Partial<Sanitising> = {}) {
  const bytes = sanitised(frameOf(error(fields)), { ...ASK, ...ask })
  assert.ok(bytes)
  return Object.fromEntries(decodeErrorFields(frameOf(bytes)))
}

describe('sanitised', () => {
  it('leaves of an error its severity, its code and the name of that', () => {
    const full = { ...{ D: 'Key (ssn)=(912)', H: '912', q: '912', W: '912', n: '912', P: '912' } }
    assert.deepEqual(shown({ C: '23505', M: 'duplicate key 912', ...full }), {
      S: 'ERROR',
      V: 'ERROR',
      C: '23505',
      M: 'unique violation',
      D: REASON,
      R: 'dbgate:sanitised',
    })
    assert.equal(shown({ C: '22P02', M: 'invalid input: "912"' }).M, 'invalid text representation')
    assert.equal(shown({ S: 'FATAL', V: 'FATAL', C: '57P01', M: 'x' }).S, 'FATAL')
    assert.equal(shown({ S: '912', V: '912', C: '22012', M: 'x' }).S, 'ERROR')
  })

  it('knows no code that PostgreSQL does not, nor one that code of users chose', () => {
    for (const C of ['91245', 'P0001', 'P0004', '', 'xx']) {
      assert.equal(shown({ C, M: '912' }).C, 'XX000')
      assert.equal(shown({ C, M: '912' }).M, 'internal error')
    }
    const raised = { C: '22012', M: '912', W: 'PL/pgSQL function f() line 1 at RAISE' }
    assert.equal(shown(raised, { runsCode: true }).C, 'XX000')
    assert.equal(shown({ ...raised, C: '40001' }, { runsCode: true }).C, '40001')
  })

  it('tells errors of the analysis in full, and of nothing else that has their codes', () => {
    const analysis = { C: '42703', M: 'column "emial" does not exist', H: 'Perhaps email.', P: '8' }
    assert.equal(shown(analysis).M, analysis.M)
    assert.equal(shown(analysis).H, 'Perhaps email.')
    const cast = { C: '42P01', M: 'relation "912-45-6781" does not exist' }
    assert.equal(shown(cast).M, 'undefined table')
    assert.equal(shown(cast, { isParsing: true }).M, cast.M)
    for (const inside of [{ W: 'x' }, { q: 'x' }, { p: '1' }]) {
      assert.equal(shown({ ...analysis, ...inside }).M, 'undefined column')
    }
    assert.equal(shown(analysis, { runsCode: true }).M, 'undefined column')
    assert.equal(shown({ ...analysis, C: '22P02' }).M, 'invalid text representation')
  })

  it('says why a statement was cancelled in the words that are always the same', () => {
    const words = 'canceling statement due to statement timeout'
    assert.equal(shown({ C: '57014', M: words }).M, words)
    assert.equal(shown({ C: '57014', M: `${words} 912` }).M, 'query canceled')
  })

  it('drops notices', () => {
    assert.equal(sanitised(frameOf(error({ C: '00000', M: '912' }, 'N')), ASK), null)
  })

  it(`shows no text of an error that is none of the analysis (seed ${SEED})`, () => {
    const text = fc.string({ unit: fc.constantFrom('s', '3', 'k', '\n', 'é') }).map(t => `_${t}_`)
    const letter = fc.constantFrom(...'SVCMDHqWstcdnFLRZx')
    fc.assert(
      fc.property(fc.array(fc.tuple(letter, text)), fc.boolean(), (fields, runsCode) => {
        const bytes = sanitised(frameOf(error(Object.fromEntries(fields))), { ...ASK, runsCode })
        for (const value of Object.values(Object.fromEntries(fields))) {
          assert.ok(!bytes?.includes(value), value)
        }
      }),
      { seed: SEED, numRuns: 1000 },
    )
  })
})
