import assert from 'node:assert/strict'
import { explainFor, rowsOfPlan } from '../../src/gate/estimate.ts'
import { createAnalyser, EMPTY_SCOPE } from '../../src/sql/index.ts'

const plan = (root: object) => JSON.stringify([{ Plan: root }])

describe('gate/estimate', () => {
  const analyser = createAnalyser({})
  before(() => analyser.ready())
  after(() => analyser.close())

  const asked = async (text: string, hasParameters = false, settings = {}) => {
    const analysis = await analyser.analyse(Buffer.from(text), EMPTY_SCOPE)
    assert.ok(analysis.ok, text)
    return explainFor(analysis.statements, hasParameters, settings)
  }

  it('asks for the plan of a statement that stands alone', async () => {
    assert.equal(
      await asked('delete from t where i < 9;'),
      'EXPLAIN (FORMAT JSON) delete from t where i < 9',
    )
    const generic = 'EXPLAIN (GENERIC_PLAN, FORMAT JSON) delete from t where i < $1'
    assert.equal(await asked('delete from t where i < $1', true), generic)
  })

  it('asks for lines to be read by people, and never runs anything', async () => {
    const analysis = await analyser.analyse(Buffer.from('delete from t'), EMPTY_SCOPE)
    assert.ok(analysis.ok)
    const asked = explainFor(analysis.statements, false, {}, 'TEXT')
    assert.equal(asked, 'EXPLAIN (FORMAT TEXT) delete from t')
  })

  it('asks nothing that planning could run, that is no plan, or that may mean something else', async () => {
    for (const text of [
      'delete from t; delete from u',
      'delete from t where i = mine(1)',
      'create table u (i int)',
      'drop table t',
      'explain analyze delete from t',
      'execute p',
      "select pg_read_file('x')",
    ]) {
      assert.equal(await asked(text), undefined, text)
    }
    for (const settings of [{ search_path: 'x' }, { role: 'x' }, { 'prepared p': 'x' }]) {
      assert.equal(await asked('delete from t', false, settings), undefined)
    }
    assert.ok(await asked('delete from t', false, { client_encoding: 'UTF8', DateStyle: 'ISO' }))
  })

  it('takes what a change is fed with, wherever it stands', () => {
    const scan = (rows: number) => ({ 'Node Type': 'Seq Scan', 'Plan Rows': rows })
    const change = (...Plans: object[]) => ({ 'Node Type': 'ModifyTable', 'Plan Rows': 0, Plans })
    assert.equal(rowsOfPlan(plan(scan(7))), 7)
    assert.equal(rowsOfPlan(plan(change(scan(840)))), 840)
    const inCte = { 'Node Type': 'Aggregate', 'Plan Rows': 1, Plans: [change(scan(9), scan(3))] }
    assert.equal(rowsOfPlan(plan(inCte)), 12)
  })

  it('makes nothing of what is no plan', () => {
    for (const text of ['', 'no', '[]', '{}', '[{"Plan":{}}]', '[{"Plan":[{"Plan Rows":"9"}]}]']) {
      assert.equal(rowsOfPlan(text), undefined, text)
    }
  })
})
