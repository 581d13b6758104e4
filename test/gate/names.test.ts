import assert from 'node:assert/strict'
import type { Judgement } from '../../src/gate/judgement.ts'
import { identifierOf, Names, nameOf, type Portal, type Prepared } from '../../src/gate/names.ts'
import { EMPTY_SCOPE } from '../../src/sql/index.ts'

const judgement: Judgement = {
  bytes: Buffer.from('select 1'),
  catalog: undefined,
  recorded: { text: 'select 1', base64: undefined },
  analysis: { ok: true, statements: [] },
  scope: EMPTY_SCOPE,
  either: [],
}

const prepared = (cycle: number): Prepared => ({
  judgement,
  cycle,
  parameterTypes: [],
})
const portal = (name = 'p'): Portal => ({
  name,
  judgement,
  run: null,
  prepared: null,
  formats: [],
  parameters: [],
  state: 'sent',
  replaces: null,
})

describe('gate/names', () => {
  describe('prepared statements', () => {
    it('takes a Parse of the same cycle for certain', () => {
      const names = new Names()
      const [old, latest] = [prepared(0), prepared(3)]
      names.prepare('s', old)
      names.confirm('s', old)
      names.prepare('s', latest)
      assert.deepEqual(names.candidates('s', 3), [latest])
    })

    it('keeps both in mind once a Sync lies between a Parse and its use', () => {
      const names = new Names()
      const [old, latest] = [prepared(0), prepared(1)]
      names.prepare('s', old)
      names.confirm('s', old)
      names.prepare('s', latest)
      assert.deepEqual(names.candidates('s', 2), [latest, old])
    })

    it('has one text left when the server has taken the Parse', () => {
      const names = new Names()
      const [old, latest] = [prepared(0), prepared(1)]
      names.prepare('s', old)
      names.confirm('s', old)
      names.prepare('s', latest)
      names.confirm('s', latest)
      assert.deepEqual(names.candidates('s', 2), [latest])
    })

    it('leaves a name what it had when a duplicate is refused or skipped', () => {
      for (const end of ['refuse', 'withdraw'] as const) {
        const names = new Names()
        const [old, latest] = [prepared(0), prepared(1)]
        names.prepare('s', old)
        names.confirm('s', old)
        names.prepare('s', latest)
        names[end]('s', latest)
        assert.deepEqual(names.candidates('s', 2), [old], end)
      }
    })

    it('loses the unnamed statement to a Parse that fails, not to one that is skipped', () => {
      for (const [end, left] of [
        ['refuse', 0],
        ['withdraw', 1],
      ] as const) {
        const names = new Names()
        const [old, latest] = [prepared(0), prepared(1)]
        names.prepare('', old)
        names.confirm('', old)
        names.prepare('', latest)
        names[end]('', latest)
        assert.equal(names.candidates('', 2).length, left, end)
      }
    })

    it('keeps a Parse that was sent behind what empties the name', () => {
      const names = new Names()
      const [old, latest] = [prepared(0), prepared(1)]
      names.prepare('s', old)
      names.confirm('s', old)
      names.prepare('s', latest)
      names.forgetStatements()
      names.forget('s')
      assert.deepEqual(names.candidates('s', 1), [latest])
      names.confirm('s', latest)
      assert.deepEqual(names.candidates('s', 9), [latest])
    })

    it('answers several Parses of one name in the order they were sent', () => {
      const names = new Names()
      const all = [prepared(0), prepared(1), prepared(2)]
      for (const one of all) names.prepare('', one)
      assert.deepEqual(names.candidates('', 3), all.toReversed())
      for (const one of all) names.confirm('', one)
      assert.deepEqual(names.candidates('', 3), [all[2]])
    })
  })

  describe('portals', () => {
    it('ends those that are bound with their transaction, and no others', () => {
      const names = new Names()
      const [bound, sent] = [portal('a'), portal('b')]
      names.bind(bound)
      names.bound(bound)
      names.bind(sent)
      assert.deepEqual(names.endTransaction(), [bound])
      assert.equal(names.portal('a'), undefined)
      assert.equal(names.portal('b'), sent)
    })

    it('hands out what a Bind replaces once that is done', () => {
      const names = new Names()
      const [old, latest] = [portal(), portal()]
      names.bind(old)
      names.bound(old)
      names.bind(latest)
      assert.equal(names.portal('p'), latest)
      assert.equal(old.state, 'bound')
      assert.deepEqual(names.bound(latest), [old])
      assert.equal(old.state, 'gone')
    })

    it('gives the name back when the Bind comes to nothing', () => {
      const names = new Names()
      const [old, second, third] = [portal(), portal(), portal()]
      names.bind(old)
      names.bound(old)
      names.bind(second)
      names.bind(third)
      names.unbind(second)
      assert.equal(names.portal('p'), third)
      names.unbind(third)
      assert.equal(names.portal('p'), old)
    })

    it('gives the name back to nobody when the transaction has ended in between', () => {
      const names = new Names()
      const [old, latest] = [portal(), portal()]
      names.bind(old)
      names.bound(old)
      names.bind(latest)
      assert.deepEqual(names.endTransaction(), [old])
      names.unbind(latest)
      assert.equal(names.portal('p'), undefined)
    })

    it('leaves a later portal alone when an earlier one of its name is closed', () => {
      const names = new Names()
      const [old, latest] = [portal(), portal()]
      names.bind(old)
      names.bound(old)
      names.bind(latest)
      names.unbind(old)
      assert.equal(names.portal('p'), latest)
      names.unbind(latest)
      assert.equal(names.portal('p'), undefined)
    })

    it('holds no chain of portals that were replaced', () => {
      const names = new Names()
      let last = portal('')
      for (let count = 0; count < 100; count += 1) {
        last = portal('')
        names.bind(last)
        names.bound(last)
      }
      assert.equal(last.replaces, null)
      assert.equal(names.size, 1)
    })

    it('hands out everything at the end, what is being replaced too', () => {
      const names = new Names()
      const all = [portal('a'), portal('a'), portal('b')]
      for (const one of all) names.bind(one)
      assert.deepEqual(new Set(names.clear()), new Set(all))
      assert.equal(names.size, 0)
    })
  })

  it('counts statements and portals', () => {
    const names = new Names()
    names.prepare('s', prepared(0))
    names.bind(portal('p'))
    names.bind(portal('q'))
    assert.equal(names.size, 3)
  })

  it('turns names of the wire into those of SQL and back', () => {
    assert.equal(identifierOf(Buffer.from('é').toString('latin1')), 'é')
    assert.equal(nameOf('é'), Buffer.from('é').toString('latin1'))
    assert.equal(identifierOf('plain'), 'plain')
  })
})
