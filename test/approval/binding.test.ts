import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type Bound, bindingOf } from '../../src/approval/index.ts'
import { SEED } from '../helpers/seed.ts'
import { ana, bound } from './builders.ts'

const value = (text: string | null, binary = false) => ({
  bytes: text === null ? null : Buffer.from(text),
  binary,
})

/** Each differs from all others in something an approval covers. */
const DIFFERENT: readonly (readonly [string, Bound])[] = [
  ['the statement', bound()],
  ['another text', bound('DELETE FROM orders WHERE id = 1')],
  ['another case', bound('delete from orders')],
  ['a comment within', bound('DELETE /* x */ FROM orders')],
  ['more white space within', bound('DELETE  FROM orders')],
  ['another subject', bound(undefined, { principal: { ...ana, subject: 'x' } })],
  ['another issuer', bound(undefined, { principal: { ...ana, issuer: 'x' } })],
  ['another target', bound(undefined, { target: 'staging' })],
  ['another role', bound(undefined, { role: 'migrator' })],
  ['another database', bound(undefined, { database: 'other' })],
  ['another search path', bound(undefined, { scope: { search_path: 'evil, public' } })],
  ['one more setting', bound(undefined, { scope: { search_path: 'public', role: '' } })],
  ['no settings', bound(undefined, { scope: {} })],
  ['a value', bound(undefined, { parameters: [value('1')] })],
  ['another value', bound(undefined, { parameters: [value('2')] })],
  ['NULL', bound(undefined, { parameters: [value(null)] })],
  ['an empty value', bound(undefined, { parameters: [value('')] })],
  ['the value in binary', bound(undefined, { parameters: [value('1', true)] })],
  ['the value twice', bound(undefined, { parameters: [value('1'), value('1')] })],
  ['both values as one', bound(undefined, { parameters: [value('11')] })],
  ['values split elsewhere', bound(undefined, { parameters: [value('11'), value('')] })],
  ['the value as int4', bound(undefined, { parameters: [value('1')], parameterTypes: [23] })],
  ['the value as text', bound(undefined, { parameters: [value('1')], parameterTypes: [25] })],
  ['a field moved into the next', bound(undefined, { target: 'prodwriter', role: '' })],
  ['a lone surrogate', bound(undefined, { database: '\ud800' })],
  ['another lone surrogate', bound(undefined, { database: '\ud801' })],
]

describe('approval/binding', () => {
  it('is another one for anything else that would run', () => {
    const seen = new Map<string, string>()
    for (const [what, each] of DIFFERENT) {
      const binding = bindingOf(each)
      assert.equal(seen.get(binding), undefined, `${what} is bound as ${seen.get(binding)}`)
      seen.set(binding, what)
    }
  })

  it('is the same for trace ids in comments, outer white space and a final semicolon', () => {
    const texts = ['\n/*traceparent=1*/ DELETE FROM orders', 'DELETE FROM orders ; -- 2']
    for (const text of texts) assert.equal(bindingOf(bound(text)), bindingOf(bound()), text)
  })

  it('does not depend on the order of settings', () => {
    const one = bound(undefined, { scope: { a: '1', b: '2' } })
    assert.equal(bindingOf(one), bindingOf({ ...one, scope: { b: '2', a: '1' } }))
  })

  it('has 64 hex digits that stay the same from version to version', () => {
    const example = bound('SELECT $1', {
      parameters: [value('1'), value(null, true)],
      parameterTypes: [23, 0],
    })
    assert.equal(
      bindingOf(example),
      '7884c459aa4d254dd1f412210d634e9f78613da8efb03a39fd775baa3619f872',
    )
  })

  it('differs whenever the values do', () => {
    const parameter = fc.record({
      bytes: fc.option(fc.uint8Array({ maxLength: 3 })),
      binary: fc.boolean(),
    })
    const list = fc.array(parameter, { maxLength: 3 })
    fc.assert(
      fc.property(list, list, (left, right) => {
        const isSame = JSON.stringify(left) === JSON.stringify(right)
        const [one, other] = [left, right].map(parameters =>
          bindingOf(bound(undefined, { parameters })),
        )
        assert.equal(one === other, isSame)
      }),
      { seed: SEED, numRuns: 2000 },
    )
  })
})
