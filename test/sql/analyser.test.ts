import assert from 'node:assert/strict'
import {
  type Analyser,
  anticipate,
  createAnalyser,
  EMPTY_SCOPE,
  type Scope,
  type Statement,
  settle,
} from '../../src/sql/index.ts'

describe('analyser', () => {
  let analyser: Analyser

  before(async () => {
    analyser = createAnalyser()
    await analyser.ready()
  })

  after(() => analyser.close())

  async function statements(text: string, scope: Scope = EMPTY_SCOPE): Promise<Statement[]> {
    const analysis = await analyser.analyse(Buffer.from(text), scope)
    assert(analysis.ok, `${text}: ${analysis.ok ? '' : analysis.error.message}`)
    return [...analysis.statements]
  }

  async function only(text: string, scope?: Scope): Promise<Statement> {
    const [statement, ...more] = await statements(text, scope)
    assert(statement !== undefined && more.length === 0, text)
    return statement
  }

  it('answers at once when it is ready', () => {
    assert(!(analyser.analyse(Buffer.from('SELECT 42'), EMPTY_SCOPE) instanceof Promise))
  })

  it('finds a DELETE in a WITH nobody reads from', async () => {
    const statement = await only('WITH a AS (SELECT 1), b AS (DELETE FROM orders) SELECT * FROM a')
    assert.equal(statement.kind, 'SELECT')
    assert.equal(statement.class, 'write')
    assert.deepEqual(statement.needs, ['read', 'write'])
    assert.deepEqual(statement.kinds, ['SELECT', 'DELETE'])
    assert.equal(statement.where, 'missing')
    assert.deepEqual(statement.relations, [{ schema: undefined, name: 'orders', access: 'write' }])
  })

  it('takes the last of duplicate EXPLAIN options', async () => {
    const run = await only('EXPLAIN (ANALYZE off, ANALYZE) DELETE FROM orders')
    assert.deepEqual(run.needs, ['read', 'write'])
    const planned = await only('EXPLAIN (ANALYZE, ANALYZE off) DELETE FROM orders')
    assert.deepEqual(planned.needs, ['read'])
    assert.deepEqual(planned.kinds, ['EXPLAIN'])
  })

  it('cuts statements at byte offsets', async () => {
    const found = await statements('SELECT \'é€😀\' ; \n DELETE FROM "ö" -- x\n; ;')
    assert.deepEqual(
      found.map(statement => statement.text),
      ["SELECT 'é€😀'", 'DELETE FROM "ö" -- x'],
    )
    assert.equal(found[1]?.relations[0]?.name, 'ö')
  })

  it('reports the position of an error in characters', () => {
    const analysis = analyser.analyse(Buffer.from("select 'é', é fromm x where"), EMPTY_SCOPE)
    assert.deepEqual(analysis, {
      ok: false,
      error: { message: 'syntax error at or near "x"', position: 21, reason: 'syntax' },
    })
  })

  it('refuses NUL and bytes that are not UTF-8', () => {
    for (const text of ['select 1\0; drop table x', Buffer.from([0x53, 0xff])]) {
      const analysis = analyser.analyse(Buffer.from(text), EMPTY_SCOPE)
      assert(!(analysis instanceof Promise) && !analysis.ok && analysis.error.reason === 'syntax')
    }
  })

  it('runs what PREPARE named, within a text and across texts', async () => {
    const [prepare, execute] = await statements('PREPARE d AS DELETE FROM orders; EXECUTE d')
    assert(prepare !== undefined && execute !== undefined)
    assert.deepEqual(execute.kinds, ['EXECUTE', 'DELETE'])
    assert.equal(execute.where, 'missing')

    assert.deepEqual((await only('EXECUTE d')).needs, ['admin'])
    const scope = anticipate(EMPTY_SCOPE, prepare)
    assert.deepEqual((await only('EXECUTE d', scope)).needs, ['write'])
    const settled = settle(scope, await only('DEALLOCATE d'))
    assert.deepEqual((await only('EXECUTE d', settled)).needs, ['admin'])
  })

  it('counts every statement a name may stand for', async () => {
    const first = await only('PREPARE d AS DELETE FROM orders')
    const deallocate = await only('DEALLOCATE d')
    const second = await only('PREPARE d AS SELECT 1')
    // On their way, not answered: DEALLOCATE may fail in an aborted transaction.
    const scope = [first, deallocate, second].reduce(anticipate, EMPTY_SCOPE)
    assert.deepEqual((await only('EXECUTE d', scope)).needs, ['read', 'write'])
    const settled = [deallocate, second].reduce(settle, settle(scope, first))
    assert.deepEqual((await only('EXECUTE d', settled)).needs, ['read'])
  })
})
