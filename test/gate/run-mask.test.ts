import assert from 'node:assert/strict'
import { RunMask } from '../../src/gate/run-mask.ts'
import { type ColumnPlan, type GuardPlan, type MaskSet, openMasks } from '../../src/mask/index.ts'
import type { Catalog, Statement } from '../../src/sql/index.ts'
import { BackendTag, type Frame } from '../../src/wire/index.ts'

const USERS = 16_400
const TEXT = 25
const masks = openMasks({ key: Buffer.alloc(32, 7) })

const column = (number: number, mask: ColumnPlan['mask']): ColumnPlan => ({
  name: `c${number}`,
  mask,
  why: '',
  at: undefined,
  sources: mask === null ? [] : ['users.email'],
  reported: [{ relation: USERS, column: number }],
  from: [{ relation: USERS, column: number }],
  type: { oid: TEXT, modifier: -1 },
})
const EMAIL = column(2, { kind: 'redact' })
const NAME = column(3, null)

const masked = { relation: USERS, column: 2 }
const SET = {
  isEmpty: false,
  of: (origin: typeof masked) =>
    origin.relation === masked.relation && origin.column === masked.column
      ? { origin: masked, name: 'users.email' }
      : undefined,
  relations: new Set([USERS]),
  columns: [{ origin: masked, name: 'users.email' }],
  detectors: [],
} as unknown as MaskSet

const CATALOG = { relations: new Map([[USERS, {}]]) } as unknown as Catalog

const guard = (...columns: readonly ColumnPlan[]): GuardPlan => ({
  outcome: 'guard',
  columns,
  masked: ['users.email'],
  lineage: {
    columns: undefined,
    uses: [],
    stored: [],
    literals: [],
    relations: [USERS],
    statistics: [],
    runsCode: false,
    isExplain: false,
    unknown: [],
  },
})
const runMask = (plan: GuardPlan | undefined, statement?: Partial<Statement>) =>
  new RunMask({
    guard: plan,
    set: SET,
    catalog: CATALOG,
    masks,
    statement: statement as Statement | undefined,
  })

const frame = (tag: number, body: Buffer): Frame => {
  const buf = Buffer.concat([Buffer.from([tag, 0, 0, 0, 0]), body])
  buf.writeInt32BE(buf.length - 1, 1)
  return { tag, buf, start: 0, end: buf.length, part: 'whole' }
}
const int16 = (value: number) => Buffer.from([value >> 8, value & 255])
const int32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const description = (...fields: readonly (readonly [table: number, column: number])[]) =>
  frame(
    BackendTag.RowDescription,
    Buffer.concat([
      int16(fields.length),
      ...fields.flatMap(([table, number]) => [
        Buffer.from('any\0'),
        int32(table),
        int16(number),
        int32(TEXT),
        int16(-1),
        int32(-1),
        int16(0),
      ]),
    ]),
  )
const row = (...values: readonly string[]) =>
  frame(
    BackendTag.DataRow,
    Buffer.concat([
      int16(values.length),
      ...values.flatMap(value => [int32(Buffer.byteLength(value)), Buffer.from(value)]),
    ]),
  )
const copyOut = (format: number, columns: number) =>
  frame(
    BackendTag.CopyOutResponse,
    Buffer.concat([
      Buffer.from([format]),
      int16(columns),
      ...Array.from({ length: columns }, () => int16(format)),
    ]),
  )
const CHANGED = { code: 'CHANGED', sqlstate: '40001' }

describe('gate/run-mask', () => {
  it('masks the columns that are planned to be, and no other', () => {
    const mask = runMask(guard(EMAIL, NAME))
    mask.described(description([USERS, 2], [USERS, 3]))
    const sent = mask.row(row('ana@example.com', 'Ana'))?.toString() ?? ''
    assert.ok(!sent.includes('example'))
    assert.ok(sent.endsWith('Ana'))
  })

  it('passes rows on as they are where none is', () => {
    const mask = runMask(guard(NAME))
    mask.described(description([USERS, 3]))
    assert.equal(mask.row(row('Ana')), null)
    assert.equal(mask.isRewriting, false)
  })

  it('shows no row that was not described before', () => {
    assert.throws(() => runMask(guard(EMAIL)).row(row('a')), CHANGED)
    assert.throws(() => runMask(undefined).row(row('a')), CHANGED)
    assert.throws(
      () => runMask(guard(NAME)).copyData(frame(BackendTag.CopyData, int16(1))),
      CHANGED,
    )
  })

  for (const [what, plan, described] of [
    ['fewer columns', guard(EMAIL, NAME), description([USERS, 2])],
    ['more columns', guard(EMAIL), description([USERS, 2], [USERS, 3])],
    ['a column of another place', guard(EMAIL, NAME), description([USERS, 3], [USERS, 2])],
    ['another table', guard(NAME), description([USERS + 1, 3])],
    ['a masked column for one that is shown', guard(NAME), description([USERS, 2])],
    ['a whole row that is shown', guard(NAME), description([USERS, 0])],
    ['rows of what returns none', { ...guard(), columns: undefined }, description([USERS, 3])],
    ['rows of what nothing is known of', undefined, description([0, 0])],
  ] as const) {
    it(`takes ${what} for a change of the schema`, () => {
      assert.throws(() => runMask(plan).described(described), CHANGED)
    })
  }

  it('takes an expression and a system column for what was judged', () => {
    runMask(guard(NAME)).described(description([0, 0]))
    runMask(guard(NAME)).described(description([USERS, -1]))
  })

  it('takes a table of the session for a temporary one only where one was foreseen', () => {
    const temporary = { ...NAME, reported: [{ relation: 0, column: 0 }] }
    runMask(guard(temporary)).described(description([USERS + 9, 1]))
    assert.throws(() => runMask(guard(NAME)).described(description([USERS + 9, 1])), CHANGED)
    assert.throws(() => runMask(guard(temporary)).described(description([USERS, 2])), CHANGED)
  })

  it('masks what is copied out, as the statement writes it', () => {
    const mask = runMask(guard(EMAIL, NAME), {
      copyOptions: [{ name: 'format', value: 'csv' }],
    })
    mask.copyOut(copyOut(0, 2))
    const sent = mask.copyData(frame(BackendTag.CopyData, Buffer.from('"a@x.example",Ana\n')))
    assert.ok(sent?.toString().endsWith(',Ana\n'))
    assert.ok(!sent?.toString().includes('example'))
    assert.equal(mask.copyDone()?.length, 0)
  })

  it('copies nothing out in another shape than was judged', () => {
    assert.throws(() => runMask(guard(EMAIL)).copyOut(copyOut(0, 2)), CHANGED)
    assert.throws(() => runMask(undefined).copyOut(copyOut(0, 1)), CHANGED)
    assert.throws(() => runMask(guard(EMAIL), {}).copyOut(copyOut(1, 1)), { code: 'UNSUPPORTED' })
  })

  it('names for an error only what the catalog has', () => {
    assert.deepEqual(runMask(guard(EMAIL)).relationNames, ['users'])
    assert.deepEqual(runMask(undefined).relationNames, [])
  })
})
