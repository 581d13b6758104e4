import assert from 'node:assert/strict'
import type { Planned } from '../../src/gate/masking.ts'
import { isWithheld, withoutValues } from '../../src/gate/withheld.ts'
import type { MaskSet } from '../../src/mask/index.ts'
import type { LineageLiteral, Statement } from '../../src/sql/index.ts'

const EMAIL = { relation: 1, column: 1 }
const NAME = { relation: 1, column: 2 }
const SET = {
  isEmpty: false,
  of: (origin: typeof EMAIL) => (origin.column === 1 ? {} : undefined),
} as unknown as MaskSet

const statement = (text: string, kind = 'SELECT') =>
  ({ text, kind, executes: kind === 'EXECUTE' ? ['p'] : [] }) as unknown as Statement
const planned = (...literals: readonly LineageLiteral[]) =>
  ({ plan: { outcome: 'clear' }, set: SET, lineage: { literals } }) as unknown as Planned
const literal = (text: string, value: string, origin = EMAIL): LineageLiteral => {
  const offset = Buffer.from(text.slice(0, text.indexOf(value))).length
  return { origin, role: 'compared', at: { offset, length: Buffer.byteLength(value) }, value }
}
const recorded = (text: string) => ({ text, base64: undefined })

describe('gate/withheld', () => {
  it('leaves out values of masked columns and no others', () => {
    const text = `select 'é', id from users where email = 'a@x' and name = 'Ana'`
    const plan = planned(literal(text, `'a@x'`), literal(text, `'Ana'`, NAME))
    assert.equal(
      withoutValues(recorded(` ${text} ;`), [{ statement: statement(text), planned: plan }]).text,
      ` select 'é', id from users where email = '•••' and name = 'Ana' ;`,
    )
  })

  it('finds each statement of several, also of the same text', () => {
    const text = `select 1 where email = 'a'`
    const parts = [1, 2].map(() => ({
      statement: statement(text),
      planned: planned(literal(text, `'a'`)),
    }))
    assert.equal(
      withoutValues(recorded(`${text}; ${text}`), parts).text,
      `select 1 where email = '•••'; select 1 where email = '•••'`,
    )
  })

  it('keeps what has nothing to leave out, with its bytes', () => {
    const one = { text: 'select 1', base64: 'AA==' }
    assert.equal(
      withoutValues(one, [{ statement: statement('select 1'), planned: planned() }]),
      one,
    )
  })

  it('drops the bytes of a text that lost a value', () => {
    const text = `select 1 where email = 'a'`
    const one = { text, base64: 'AA==' }
    const parts = [{ statement: statement(text), planned: planned(literal(text, `'a'`)) }]
    assert.equal(withoutValues(one, parts).base64, undefined)
  })

  it('shows no value of an EXECUTE whose text compares a masked column', () => {
    const text = `execute p('a@x')`
    const at = { parameter: 1 }
    const plan = planned({ origin: EMAIL, role: 'compared', at, value: undefined })
    const parts = [{ statement: statement(text, 'EXECUTE'), planned: plan }]
    assert.equal(withoutValues(recorded(text), parts).text, 'EXECUTE p (•••)')
    assert.equal(isWithheld(plan, 1), true)
    assert.equal(isWithheld(plan, 2), false)
  })

  it('shows nothing of a text it can not find the statement in', () => {
    const text = `select 1 where email = 'a'`
    const parts = [{ statement: statement(text), planned: planned(literal(text, `'a'`)) }]
    assert.equal(withoutValues(recorded('something else'), parts).text, 'SELECT •••')
  })
})
