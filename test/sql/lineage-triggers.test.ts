import assert from 'node:assert/strict'
import { fieldsNamed } from '../../src/sql/lineage-triggers.ts'

describe('sql/lineage-triggers', () => {
  const fieldsIn = (body: string) => {
    const fields = fieldsNamed(`BEGIN ${body} RETURN NEW; END`)
    return fields === 'all' ? fields : [...fields].join()
  }

  it('finds the fields of the row that a trigger names', () => {
    assert.equal(fieldsIn(''), '')
    assert.equal(fieldsIn('NEW.updated_at := now();'), 'updated_at')
    assert.equal(fieldsIn('new . Note = OLD."S""n";'), 'note,S"n')
    assert.equal(fieldsIn('IF NEW.a IS NULL THEN RETURN old; END IF;'), 'a')
    assert.equal(fieldsIn('renew := newest;'), '')
  })

  it('takes a trigger for one that carries everything when it does more with the row', () => {
    for (const body of [
      'r := NEW;',
      'r := to_jsonb(NEW.*);',
      'NEW/**/.note := x;',
      '"new".note := x;',
      'new.U&"\\006eote" := x;',
      'U&"\\006eew".note := U&"\\006eew".ssn;',
      'NEW := f(x);',
    ]) {
      assert.equal(fieldsIn(body), 'all', body)
    }
  })
})
