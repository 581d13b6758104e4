import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { DbgateError } from '../../src/errors.ts'
import { type Hold, HoldStore } from '../../src/store/index.ts'
import { temporaryDirectory } from '../record/builders.ts'

const hold: Hold = {
  kind: 'statement',
  id: 'h-7f3k',
  state: 'open',
  requester: { issuer: 'okta', subject: '42', user: 'ana@acme.dev', name: 'Ana' },
  agent: 'claude',
  target: 'prod',
  role: 'writer',
  rule: 'prod-writes',
  reason: undefined,
  terms: {
    requirements: [{ rule: 'prod-writes', by: ['dba'], need: 1 }],
    ...{ by: ['dba'], need: 1, expiresMs: 900_000, presence: undefined },
  },
  policy: 'p1',
  notify: [],
  votes: [],
  filedAt: 1000,
  expiresAt: 2000,
  decided: undefined,
  finished: undefined,
  binding: 'b1',
  statement: {
    ...{ session: 's-8k2m', database: 'app', application: 'psql' },
    ...{ text: 'DELETE FROM "ö" WHERE a = \'€\n\'', textBase64: undefined },
    ...{ parameters: ['1', null], parameterDigests: ['a', 'b'], scope: { search_path: 'public' } },
    ...{ statements: [], inTransaction: false, rowsEstimate: 7 },
  },
  line: 0,
  isLetGo: false,
  uses: 0,
  use: undefined,
}

describe('store/holds', () => {
  let dir: ReturnType<typeof temporaryDirectory>
  let file: string
  let store: HoldStore

  beforeEach(() => {
    dir = temporaryDirectory()
    file = join(dir.path, 'holds.sqlite')
    store = HoldStore.open(file)
  })

  afterEach(() => {
    store.close()
    dir[Symbol.dispose]()
  })

  const codeOf = (run: () => unknown): string => {
    try {
      run()
    } catch (error) {
      if (error instanceof DbgateError) return error.code
      throw error
    }
    throw new Error('nothing was thrown')
  }
  /** JSON leaves out what is undefined. */
  const plain = (value: unknown) => JSON.parse(JSON.stringify(value))

  it('keeps a request as it is, for the next process too', () => {
    store.insert(hold)
    assert.deepEqual(plain(store.find('h-7f3k')), plain(hold))
    const used = { ...hold, state: 'used', finished: { at: 1500, by: undefined, why: undefined } }
    store.replace({ ...used, state: 'used' })
    store.close()
    store = HoldStore.open(file)
    assert.deepEqual(plain(store.find('h-7f3k')), plain(used))
  })

  it('writes every change to disk, in files for nobody else', () => {
    const db = new DatabaseSync(file)
    assert.equal(db.prepare('PRAGMA journal_mode').get()?.journal_mode, 'wal')
    db.close()
    store.insert(hold)
    for (const name of readdirSync(dir.path)) {
      assert.equal(statSync(join(dir.path, name)).mode & 0o777, 0o600, name)
    }
  })

  it('undoes all of a change that throws', () => {
    const change = () => {
      store.insert(hold)
      store.see(7)
      throw new Error('no')
    }
    assert.throws(() => store.transaction(change), /^Error: no$/)
    assert.equal(store.find('h-7f3k'), undefined)
    assert.equal(store.seen(), 0)
    store.transaction(() => store.insert(hold))
    assert.notEqual(store.find('h-7f3k'), undefined)
  })

  it('has one open hold of a binding at most', () => {
    store.insert(hold)
    assert.equal(
      codeOf(() => store.insert({ ...hold, id: 'h-2222' })),
      'NO_STORE',
    )
    store.insert({ ...hold, id: 'h-3333', binding: 'b2' })
    store.replace({ ...hold, state: 'approved' })
    store.insert({ ...hold, id: 'h-4444' })
    assert.deepEqual(
      store.holdsOf('b1').map(({ id, state }) => [id, state]),
      [
        ['h-4444', 'open'],
        ['h-7f3k', 'approved'],
      ],
    )
  })

  it('finds by the start of an id', () => {
    for (const [n, id] of ['h-7f3k', 'h-7f3m', 'h-7g22', 'g-7f3k'].entries()) {
      store.insert({ ...hold, id, binding: `b${n}` })
    }
    const found = (prefix: string) => store.findByPrefix(prefix, 10).map(({ id }) => id)
    assert.deepEqual(found('h-7f'), ['h-7f3k', 'h-7f3m'])
    assert.deepEqual(found('h-7f3k'), ['h-7f3k'])
    assert.deepEqual(found('h-%'), [])
    assert.equal(store.findByPrefix('h', 1).length, 1)
  })

  it('finds what is due, the first to end first', () => {
    for (const [n, state] of (['open', 'approved', 'used', 'denied'] as const).entries()) {
      store.insert({ ...hold, id: `h-${n}`, binding: `b${n}`, state, expiresAt: 2000 - n })
    }
    const due = (now: number) => store.due(now, 10).map(({ id }) => id)
    assert.deepEqual([due(1998), due(1999), due(2000)], [[], ['h-1'], ['h-1', 'h-0']])
    assert.equal(store.due(2000, 1).length, 1)
    store.shorten(500)
    assert.deepEqual(due(1500), ['h-1', 'h-0'])
    assert.deepEqual(
      ['h-2', 'h-3'].map(id => store.find(id)?.expiresAt),
      [1498, 1997],
    )
  })

  it('deletes for good, but remembers the ids', () => {
    store.insert(hold)
    assert.deepEqual(store.finishedBefore(5000, 10), [])
    store.replace({
      ...hold,
      state: 'denied',
      finished: { at: 1500, by: undefined, why: undefined },
    })
    assert.deepEqual(store.finishedBefore(1500, 10), [])
    assert.deepEqual(store.finishedBefore(1501, 10), ['h-7f3k'])
    assert.equal(store.isSpent('h-7f3k'), true)
    store.delete(['h-7f3k'])
    assert.equal(store.find('h-7f3k'), undefined)
    assert.equal(store.isSpent('h-7f3k'), true)
    assert.equal(store.isSpent('h-7f3m'), false)
  })

  it('leaves nothing of a deleted statement in the file', () => {
    store.insert(hold)
    store.delete([hold.id])
    store.close()
    const bytes = readdirSync(dir.path).map(name => readFileSync(join(dir.path, name)))
    assert.equal(Buffer.concat(bytes).includes('DELETE FROM'), false)
    store = HoldStore.open(file)
  })

  it('notices what another connection has written', () => {
    const other = HoldStore.open(file)
    assert.equal(store.hasChangedElsewhere(), false)
    store.insert(hold)
    assert.equal(store.hasChangedElsewhere(), false)
    other.see(7)
    assert.deepEqual(
      [1, 2].map(() => store.hasChangedElsewhere()),
      [true, false],
    )
    other.close()
  })

  it('waits no longer than it may for another process', () => {
    const other = new DatabaseSync(file)
    other.exec('BEGIN IMMEDIATE')
    const impatient = HoldStore.open(file, { busyMs: 1 })
    assert.equal(
      codeOf(() => impatient.transaction(() => undefined)),
      'NO_STORE',
    )
    assert.equal(impatient.find('h-7f3k'), undefined, 'reading goes on')
    other.exec('ROLLBACK')
    impatient.transaction(() => impatient.insert(hold))
    impatient.close()
    other.close()
  })

  it('leaves alone what is damaged or of another version', () => {
    store.close()
    writeFileSync(file, 'x'.repeat(5000))
    assert.equal(
      codeOf(() => HoldStore.open(file)),
      'INTEGRITY',
    )
    assert.equal(readFileSync(file, 'utf8'), 'x'.repeat(5000))
    const newer = join(dir.path, 'newer.sqlite')
    const db = new DatabaseSync(newer)
    db.exec('PRAGMA user_version = 99')
    db.close()
    assert.equal(
      codeOf(() => HoldStore.open(newer)),
      'INVALID',
    )
  })
})
