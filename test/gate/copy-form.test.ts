import assert from 'node:assert/strict'
import { copyFormatOf } from '../../src/gate/copy-form.ts'
import { createAnalyser, EMPTY_SCOPE } from '../../src/sql/index.ts'

describe('gate/copy-form', () => {
  const analyser = createAnalyser()
  before(() => analyser.ready())
  after(() => analyser.close())

  const formOf = async (options: string) => {
    const text = Buffer.from(`copy t to stdout ${options}`)
    const analysis = await analyser.analyse(text, EMPTY_SCOPE)
    assert.ok(analysis.ok, options)
    return copyFormatOf(analysis.statements[0])
  }
  const TEXT = {
    format: 'text',
    delimiter: '\t',
    quote: '"',
    escape: '"',
    null: '\\N',
    header: false,
  }
  const CSV = { ...TEXT, format: 'csv', delimiter: ',', null: '' }

  for (const [options, form] of [
    ['', TEXT],
    ['(format text)', TEXT],
    [`with delimiter '|' null ''`, { ...TEXT, delimiter: '|', null: '' }],
    ['csv header', { ...CSV, header: true }],
    ['(format csv, header false)', CSV],
    [
      `(format csv, quote '''', delimiter ';')`,
      { ...CSV, quote: "'", escape: "'", delimiter: ';' },
    ],
    ['(format binary)', { ...TEXT, format: 'binary' }],
    [`(encoding 'UTF8')`, TEXT],
  ] as const) {
    it(`reads ${options === '' ? 'no options' : options}`, async () => {
      assert.deepEqual(await formOf(options), form)
    })
  }

  for (const options of [
    '(format csv, force_quote *)',
    '(format csv, force_quote (a))',
    `(encoding 'LATIN1')`,
    `(delimiter 'é')`,
    `(format csv, delimiter '"')`,
    `(format other)`,
    '(future_option true)',
  ]) {
    it(`has no form for ${options}`, async () => {
      assert.equal(await formOf(options), undefined)
    })
  }
})
