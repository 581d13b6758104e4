import assert from 'node:assert/strict'
import fc from 'fast-check'
import { DbgateError } from '../../src/errors.ts'
import { type CopyOptions, type Mask, openMasks } from '../../src/mask/index.ts'
import { frameOf, message } from '../helpers/bytes.ts'
import { SEED } from '../helpers/seed.ts'
import { rowBody } from './row-bytes.ts'

const masks = openMasks({ key: Buffer.alloc(32, 1) })
const PLAIN: CopyOptions = {
  format: 'text',
  delimiter: '\t',
  quote: '"',
  escape: '"',
  null: '\\N',
  header: false,
  types: [],
}
const TEXT = { oid: 25, modifier: -1 }

/** What goes out for these bytes, cut at these places into CopyData messages, put together again. */
function through(
  columns: readonly (Mask | null)[],
  options: CopyOptions,
  bytes: Buffer,
  cuts: readonly number[],
): Buffer {
  const masker = masks.copy(columns, { ...options, types: columns.map(() => TEXT) })
  const out: Buffer[] = []
  const places = [0, ...cuts.map(cut => cut % (bytes.length + 1)).sort((a, b) => a - b)]
  places.forEach((from, index) => {
    const piece = bytes.subarray(from, places[index + 1] ?? bytes.length)
    const sent = masker.data(frameOf(message('d', Buffer.from(piece))))
    if (sent.length === 0) return
    assert.equal(sent.readInt32BE(1), sent.length - 1)
    out.push(sent)
  })
  assert.equal(masker.end().length, 0)
  return Buffer.concat(out.map(sent => Buffer.from(sent.subarray(5))))
}

const escapedText = (value: string, delimiter: string) =>
  [...value]
    .map(letter => {
      const control = '\b\f\n\r\t\v'.indexOf(letter)
      if (control >= 0) return `\\${'bfnrtv'[control]}`
      return letter === '\\' || letter === delimiter ? `\\${letter}` : letter
    })
    .join('')

/** Values as PostgreSQL writes them: CopyAttributeOutText and CopyAttributeOutCSV of copyto.c. */
function write(rows: readonly (readonly (string | null)[])[], options: CopyOptions): Buffer {
  const { format, delimiter, quote } = options
  const value = (text: string | null) => {
    if (text === null) return options.null
    if (format === 'text') return escapedText(text, delimiter)
    const isSpecial =
      text === options.null || [delimiter, quote, '\n', '\r'].some(c => text.includes(c))
    if (!isSpecial && !text.startsWith('!')) return text
    const inner = [...text]
      .map(c => (c === quote || c === options.escape ? options.escape + c : c))
      .join('')
    return `${quote}${inner}${quote}`
  }
  const lines = rows.map(row => `${row.map(value).join(delimiter)}\n`)
  return Buffer.from(
    `${options.header ? `${rows[0]?.map(() => 'c').join(delimiter)}\n` : ''}${lines.join('')}`,
  )
}

function writeBinary(rows: readonly (readonly (string | null)[])[]): Buffer {
  const header = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
  const bodies = rows.map(row =>
    rowBody(row.map(text => (text === null ? null : Buffer.from(text)))),
  )
  return Buffer.concat([header, ...bodies, Buffer.from([0xff, 0xff])])
}

const aText = fc.oneof(
  fc.constant(null),
  fc.constantFrom(
    '',
    '\\N',
    '\\.',
    'a"b',
    "it's",
    'two\nlines',
    'a,b',
    'x\ty',
    '\r',
    '!q',
    'ÄÖ',
    '""',
  ),
  fc.string({ maxLength: 12, unit: 'grapheme' }).filter(text => !text.includes('\0')),
)
const aMask = fc.constantFrom<(Mask | null)[]>(null, { kind: 'redact' }, { kind: 'nullify' })
const aTable = fc.array(aMask, { minLength: 1, maxLength: 5 }).chain(columns =>
  fc.record({
    columns: fc.constant(columns),
    rows: fc.array(fc.tuple(...columns.map(() => aText)), { maxLength: 6 }),
    cuts: fc.array(fc.nat(), { maxLength: 12 }),
  }),
)
const shown = (mask: Mask | null | undefined, text: string | null) => {
  if (mask === null || mask === undefined || text === null) return text
  return mask.kind === 'redact' ? '••••' : null
}

describe('CopyMasker', () => {
  const forms: readonly Partial<CopyOptions>[] = [
    { format: 'text' },
    { format: 'text', header: true },
    { format: 'text', delimiter: '|', null: 'nothing' },
    { format: 'csv', delimiter: ',', null: '' },
    { format: 'csv', delimiter: ';', null: 'NULL', quote: "'", escape: "'", header: true },
    { format: 'csv', delimiter: ',', null: '', escape: '\\' },
    { format: 'binary' },
  ]
  for (const form of forms) {
    const options = { ...PLAIN, ...form }
    it(`masks ${JSON.stringify(form)} cut anywhere and nothing else (seed ${SEED})`, () => {
      fc.assert(
        fc.property(aTable, ({ columns, rows, cuts }) => {
          const masked = rows.map(row => row.map((text, at) => shown(columns[at], text)))
          // A value in quotes stays in quotes, which PostgreSQL need not have put around bullets.
          const isBinary = options.format === 'binary'
          const bytes = isBinary ? writeBinary(rows) : write(rows, options)
          const out = through(columns, options, bytes, cuts)
          const expected = isBinary ? writeBinary(masked) : write(masked, options)
          const loose = (all: Buffer) =>
            all.toString('latin1').replaceAll(`${options.quote}${BULLETS}${options.quote}`, BULLETS)
          assert.equal(loose(out), loose(expected))
        }),
        { seed: SEED, numRuns: 400 },
      )
    })
  }

  it('hands on one message for each that held a row, as the server sent them', () => {
    const masker = masks.copy([{ kind: 'redact' }, null], { ...PLAIN, types: [TEXT, TEXT] })
    const sent = masker.data(frameOf(message('d', Buffer.from('secret\tshown\n'))))
    assert.deepEqual(sent, message('d', Buffer.from('••••\tshown\n')))
    assert.deepEqual(masker.counts, { rows: 1, values: 1 })
    const piece = frameOf(message('d', Buffer.from('sec')))
    assert.equal(masker.data({ ...piece, part: 'head' }).length, 0)
    const tail = Buffer.from('ret\ty\n')
    const rest = { tag: 0x64, buf: tail, start: 0, end: tail.length, part: 'tail' } as const
    assert.deepEqual(masker.data(rest), message('d', Buffer.from('••••\ty\n')))
  })

  it('refuses rows of other columns, open quotes, and what ends within a row', () => {
    const csv: CopyOptions = { ...PLAIN, format: 'csv', delimiter: ',', null: '' }
    const refused = (options: CopyOptions, bytes: string) => {
      const columns: Mask[] = [{ kind: 'redact' }, { kind: 'redact' }]
      const from = Buffer.from(bytes, 'latin1')
      assert.throws(
        () => through(columns, options, from, []),
        (thrown: unknown) => thrown instanceof DbgateError && thrown.code === 'PROTOCOL',
        bytes,
      )
    }
    for (const bytes of ['a\n', 'a\tb\tc\n', '\n', 'a\tb', 'a\tb\\\n', 'a\\x\tb\n'])
      refused(PLAIN, bytes)
    for (const bytes of ['a\n', 'a,b,c\n', '"a,b\n', '"a"x,b\n', 'a"b,c\n', '"a"b",c\n'])
      refused(csv, bytes)
    const binary: CopyOptions = { ...PLAIN, format: 'binary' }
    const header = 'PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0'
    for (const rest of ['', '\0\x01', '\0\x03', '\0\x02\xff\xff\xff\xfe', '\xff\xffx']) {
      refused(binary, header + rest)
    }
    refused(binary, 'PGCOPY\n\xff\r\n\0\0\x01\0\0\0\0\0\0\xff\xff')
    refused(binary, 'not a copy, but as long as a header')
  })

  it(`refuses or masks any bytes, and never breaks (seed ${SEED})`, () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...forms),
        fc.uint8Array({ maxLength: 80 }),
        fc.array(fc.nat(), { maxLength: 5 }),
        (form, body, cuts) => {
          try {
            through([{ kind: 'redact' }, null], { ...PLAIN, ...form }, Buffer.from(body), cuts)
          } catch (thrown) {
            assert.ok(thrown instanceof DbgateError && thrown.code === 'PROTOCOL', String(thrown))
          }
        },
      ),
      { seed: SEED, numRuns: 3000 },
    )
  })
})

const BULLETS = Buffer.from('••••').toString('latin1')
