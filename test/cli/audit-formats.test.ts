import assert from 'node:assert/strict'
import { headerOf, lineOf } from '../../commands/audit-formats.ts'

const ENTRY = {
  ...{ t: '2026-03-02T14:02:00Z', id: 's-1.1', n: 7, user: 'ana@acme.dev', via: 'psql' },
  ...{ target: 'prod', role: 'writer', session: 's-1', verdict: 'allow', rule: 'r', request: null },
  ...{ approved_by: [], class: 'write', kind: 'UPDATE', tables: ['public.a', 'b'], masked: [] },
  ...{ sql: 'update a', outcome: 'ok', sqlstate: null, rows: 3, bytes: 1, ms: 0.4 },
}

function sqlCell(sql: string): string {
  const cells = lineOf('csv', { ...ENTRY, sql }, '1')
  const before = ',write,UPDATE,public.a b,,'
  return cells.slice(cells.indexOf(before) + before.length, cells.lastIndexOf(',ok,'))
}

describe('audit export formats', () => {
  it('has a CSV cell for each column', () => {
    assert.equal(headerOf('csv').split(',').length, lineOf('csv', ENTRY, '1').split(',').length)
  })

  for (const hostile of ['=1+1', '+1', '-1', '@x', '\t=1', '  =1', '＝1', '\r=1', '\0=1']) {
    it(`makes ${JSON.stringify(hostile)} inert in CSV`, () => {
      assert.equal(sqlCell(hostile), `"'${hostile}"`)
    })
  }

  it('quotes what would end a cell', () => {
    assert.equal(sqlCell('select "a", 1'), '"select ""a"", 1"')
    assert.equal(sqlCell('a\nb'), '"a\nb"')
    assert.equal(sqlCell('select 1'), 'select 1')
  })

  it('says only what is known in OCSF', () => {
    const event = JSON.parse(lineOf('ocsf', { ...ENTRY, kind: 'DROP', class: 'ddl' }, '1.0'))
    assert.equal(event.activity_id, 99)
    assert.equal(event.activity_name, 'ddl DROP')
    assert.equal(event.type_uid, 600599)
    assert.equal(event.time, Date.parse(ENTRY.t))
    const running = JSON.parse(lineOf('ocsf', { ...ENTRY, outcome: null }, '1.0'))
    assert.equal(running.status, 'Unknown')
    assert.equal(running.activity_name, 'Update')
  })
})
