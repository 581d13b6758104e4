import assert from 'node:assert/strict'
import { Exchange } from '../../src/gate/exchange.ts'
import { Names } from '../../src/gate/names.ts'
import { SessionScope } from '../../src/gate/session-scope.ts'
import { EMPTY_SCOPE, type Statement } from '../../src/sql/index.ts'
import { Workbench } from './lab.ts'

describe('gate/session-scope', () => {
  let bench: Workbench
  let names: Names
  let exchange: Exchange
  let scope: SessionScope

  before(async () => {
    bench = await Workbench.open()
  })

  beforeEach(() => {
    names = new Names()
    exchange = new Exchange(names, { finished: () => {} })
    scope = new SessionScope(names, 'UTF8')
  })

  after(() => bench.close())

  const statement = (text: string): Statement => {
    const analysis = bench.analyser.analyse(Buffer.from(text), scope.current)
    assert.ok(!(analysis instanceof Promise) && analysis.ok)
    const [first] = analysis.statements
    assert.ok(first !== undefined)
    return first
  }
  const analysis = (text: string) => ({ ok: true, statements: [statement(text)] }) as const
  const send = (text: string, cycle = 0) => scope.foresee(statement(text), cycle)
  const run = (text: string, cycle = 0) => send(text, cycle)?.(exchange)
  const texts = (statements: readonly Statement[]) => statements.map(({ text }) => text)

  it('begins with nothing', () => {
    assert.equal(scope.current, EMPTY_SCOPE)
    assert.equal(scope.encoding, 'UTF8')
  })

  it('costs nothing for a statement that makes and ends nothing', () => {
    assert.equal(send('select 1'), null)
    assert.equal(send('begin'), null)
    assert.equal(send('savepoint a'), null)
    assert.equal(send('rollback to a'), null)
    assert.equal(scope.current, EMPTY_SCOPE)
  })

  it('knows a PREPARE as soon as it is sent', () => {
    send('prepare s as select 1')
    assert.deepEqual(texts(scope.prepared('s')), ['prepare s as select 1'])
  })

  it('knows what a DEALLOCATE may have removed until it is done', () => {
    run('prepare s as select 1')
    const done = send('deallocate s')
    assert.equal(scope.prepared('s').length, 1)
    done?.(exchange)
    assert.equal(scope.prepared('s').length, 0)
  })

  it('keeps what a failed DEALLOCATE did not remove', () => {
    run('prepare s as select 1')
    send('deallocate all')
    assert.equal(scope.prepared('s').length, 1)
  })

  it('has both a PREPARE and what came before it, until one is settled', () => {
    run('prepare s as select 1')
    send('deallocate s; ')
    send('prepare s as select 2')
    assert.equal(scope.prepared('s').length, 2)
  })

  it('tells which PREPAREs are still under way', () => {
    send('prepare s as select 1', 4)
    assert.deepEqual(texts(scope.preparing('s', 4)), ['prepare s as select 1'])
    assert.deepEqual(scope.preparing('t', 4), [])
    assert.deepEqual(scope.preparing('s', 5), [])
    assert.deepEqual(scope.preparing('s', 4), [])
  })

  it('lets SQL execute what the protocol parsed, and forgets it with Close', () => {
    scope.parsed('s', analysis('select 1'))
    assert.deepEqual(texts(scope.prepared('s')), ['select 1'])
    const done = scope.closed('s')
    assert.equal(scope.prepared('s').length, 1)
    done?.(exchange)
    assert.equal(scope.prepared('s').length, 0)
  })

  it('keeps a Parse that was sent behind the Close of its name', () => {
    scope.parsed('s', analysis('select 1'))
    const closed = scope.closed('s')
    const parsed = scope.parsed('s', analysis('select 2'))
    closed?.(exchange)
    parsed?.(exchange)
    assert.deepEqual(texts(scope.prepared('s')), ['select 2'])
  })

  it('has no unnamed statement for SQL', () => {
    assert.equal(scope.parsed('', analysis('select 1')), null)
    assert.equal(scope.current, EMPTY_SCOPE)
  })

  it('takes the names of protocol and SQL for the same', () => {
    const judgement = {
      bytes: Buffer.from('select 1'),
      catalog: undefined,
      recorded: { text: 'select 1', base64: undefined },
      analysis: analysis('select 1'),
      scope: EMPTY_SCOPE,
      either: [],
    }
    const prepared = { judgement, cycle: 0, parameterTypes: [] }
    for (const text of ['deallocate s', 'deallocate all', 'discard all', 'prepare s as select 2']) {
      names.confirm('s', prepared)
      run(text)
      assert.deepEqual(names.candidates('s', 9), [], text)
    }
    names.confirm('s', prepared)
    run('discard plans')
    assert.deepEqual(names.candidates('s', 9), [prepared])
  })

  it('forgets cursors with their transaction, but those that are held', () => {
    run('declare c cursor for select 1')
    run('declare h cursor with hold for select 2')
    assert.equal(scope.cursor('c').length, 1)
    scope.transactionEnded()
    assert.deepEqual(texts(scope.cursor('c')), [])
    assert.deepEqual(texts(scope.cursor('h')), ['declare h cursor with hold for select 2'])
    run('close h')
    assert.deepEqual(scope.cursor('h'), [])
  })

  it('forgets everything with DISCARD ALL', () => {
    run('prepare s as select 1')
    run('declare h cursor with hold for select 2')
    run('discard all')
    assert.deepEqual([scope.current.prepared.size, scope.current.cursors.size], [0, 0])
    run('declare h cursor for select 3')
    scope.transactionEnded()
    assert.deepEqual(scope.cursor('h'), [])
  })

  it('no longer knows where names lead once a search path was set, or may have been', () => {
    for (const text of [
      'set search_path = a',
      'set local search_path = a',
      'reset all',
      'discard all',
    ]) {
      const own = new SessionScope(new Names(), 'UTF8')
      assert.equal(own.current.searchPath, 'initial')
      own.foresee(statement(text), 0)
      assert.equal(own.current.searchPath, 'moved', text)
    }
    assert.equal(
      new SessionScope(new Names(), 'UTF8', new Map([['Search_Path', 'a']])).current.searchPath,
      'moved',
    )
    send('set statement_timeout = 1')
    assert.equal(scope.current.searchPath, 'initial')
  })

  it('reads a name that is not plain ASCII as SQL does', () => {
    run('prepare "é" as select 1')
    assert.equal(scope.prepared(Buffer.from('é').toString('latin1')).length, 1)
  })

  it('depends on names where a text executes or fetches', () => {
    run('prepare s as select 1')
    assert.ok(scope.dependsOn(analysis('execute s')))
    assert.ok(scope.dependsOn(analysis('fetch c')))
    assert.ok(!scope.dependsOn(analysis('select 1')))
    assert.ok(
      !scope.dependsOn({
        ok: false,
        error: { message: 'no', position: undefined, reason: 'syntax' },
      }),
    )
  })
})
