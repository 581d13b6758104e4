import assert from 'node:assert/strict'
import { driftOf, type MaskSet, seenIn, selectMasks } from '../../src/mask/index.ts'
import { rulesOf, tables } from './samples.ts'

const shown = (masks: MaskSet) =>
  masks.columns.map(({ name, mask, why }) => {
    const more = Object.entries(mask).flatMap(([key, value]) =>
      key === 'kind' ? [] : [`${value}`],
    )
    return `${name} ${[mask.kind, ...more].join(' ')} (${why})`
  })

const USERS = { users: ['id', 'email', 'ssn', 'phone'], 'audit.users': ['id', 'SSN'] }

describe('mask/select', () => {
  it('finds columns by name, in every schema if none is named, without case', async () => {
    const { catalog } = tables(USERS)
    const found = async (pattern: string) =>
      shown(
        selectMasks(await rulesOf(`masks: [{ columns: ["${pattern}"], mask: redact }]`), catalog),
      )
    assert.deepEqual(await found('users.ssn'), [
      'users.ssn redact (users.ssn)',
      'audit.users.SSN redact (users.ssn)',
    ])
    assert.deepEqual(await found('public.users.ssn'), ['users.ssn redact (public.users.ssn)'])
    assert.deepEqual(await found('a*.*.ssn'), ['audit.users.SSN redact (a*.*.ssn)'])
    assert.deepEqual(await found('*.*mai*'), ['users.email redact (*.*mai*)'])
    assert.deepEqual(await found('sers.ssn'), [])
  })

  it('finds columns by labels in comments, of an entry the most exact', async () => {
    const { catalog } = tables({
      users: [
        'id',
        'email Where receipts go. @dbgate pii:email.',
        'phone @dbgate pii:phone',
        'mixed Both: @dbgate pii:phone,pii:email and prose',
        'note mentions pii:email only',
        'other @dbgate secret',
      ],
    })
    const masks = selectMasks(
      await rulesOf('masks: [{ labels: { "pii:*": redact, "pii:email": email } }]'),
      catalog,
    )
    assert.deepEqual(shown(masks), [
      'users.email email (label pii:email)',
      'users.phone redact (label pii:phone)',
      'users.mixed redact (label pii:phone)',
    ])
  })

  it('takes the strictest of all masks, whatever their order', async () => {
    const { catalog } = tables({ t: ['a', 'b', 'c', 'd', 'e'] })
    const entries = [
      '{ columns: [t.*], mask: hash }',
      '{ columns: [t.a, t.b, t.c, t.d], mask: email }',
      '{ columns: [t.a, t.b, t.c], mask: { keep_last: 4 } }',
      '{ columns: [t.b, t.c], mask: { keep_last: 2 } }',
      '{ columns: [t.c], mask: redact }',
    ]
    const expected = ['keep 0 4', 'keep 0 2', 'redact', 'email', 'token public.t.e']
    for (const list of [entries, entries.toReversed()]) {
      const masks = selectMasks(await rulesOf(`masks: [${list.join(', ')}]`), catalog)
      assert.deepEqual(
        shown(masks).map(line => line.split(' ').slice(1).join(' ').split(' (')[0]),
        expected,
      )
    }
  })

  it('takes the strictest of what masks let be done, by default what the mask tells anyway', async () => {
    const { catalog, at } = tables({ t: ['a', 'b', 'c', 'd'] })
    const masks = selectMasks(
      await rulesOf(`masks:
  - { columns: [t.a, t.b], mask: hash }
  - { columns: [t.b], mask: redact, filters: allow }
  - { columns: [t.c], mask: redact, filters: allow, writes: deny, derived: redact }
  - { columns: [t.c], mask: redact, filters: { approve: { by: [dba] } } }
  - { columns: [t.d], mask: redact, derived: redact }
  - { columns: [t.d], mask: year, filters: { approve: { by: [dba], need: 2, expires: 5m } } }
  - { columns: [t.d], mask: year, filters: { approve: { by: [sec] } } }`),
      catalog,
    )
    const of = (name: string) => masks.of(at(name))
    assert.equal(of('t.a')?.filters.does, 'equality')
    assert.equal(of('t.b')?.filters.does, 'equality')
    const c = of('t.c')
    assert.equal(c?.filters.does, 'approve')
    assert.equal(c?.writes.does, 'deny')
    assert.equal(c?.derived, 'deny')
    const d = of('t.d')
    assert.equal(d?.filters.does, 'deny', 'redact by itself refuses')
    assert.equal(d?.writes.does, 'allow')
  })

  it('masks parents and children alike, with tokens of one domain', async () => {
    const { catalog } = tables(
      { p: ['id', 'ssn'], c1: ['id', 'ssn', 'own'], c2: ['ssn', 'id'], other: ['ssn'] },
      { p: { kind: 'p' }, c1: { parents: [1000] }, c2: { parents: [1000] } },
    )
    const masks = selectMasks(
      await rulesOf('masks: [{ columns: [c1.ssn, c1.own], mask: hash }]'),
      catalog,
    )
    assert.deepEqual(shown(masks), [
      'p.ssn token public.p.ssn (c1.ssn)',
      'c1.ssn token public.p.ssn (c1.ssn)',
      'c1.own token public.p.own (c1.own)',
      'c2.ssn token public.p.ssn (c1.ssn)',
    ])
  })

  it('leaves out whom an entry lets see, other roles and other tools', async () => {
    const { catalog } = tables({ t: ['a', 'b', 'c'] })
    const masks = `masks:
  - { columns: [t.a], mask: redact, reveal: [dba] }
  - { columns: [t.b], mask: redact, roles: [reader] }
  - { columns: [t.c], mask: redact, via: agent }`
    const seen = async (who: Parameters<typeof rulesOf>[1]) =>
      selectMasks(await rulesOf(masks, who), catalog).columns.map(({ name }) => name)
    assert.deepEqual(await seen({}), ['t.a'])
    assert.deepEqual(await seen({ agent: 'claude-code/2.1' }), ['t.a', 't.c'])
    assert.deepEqual(await seen({ groups: ['support'], agent: 'psql' }), ['t.a', 't.b'])
    const dba = await rulesOf(masks, { groups: ['engineering', 'dba'], agent: 'psql' })
    assert.equal(dba.length, 0)
    assert(selectMasks(dba, catalog).isEmpty)
  })

  it('is the same value for the same masks, catalog and memory', async () => {
    const { catalog } = tables({ t: ['a'] })
    const rules = await rulesOf('masks: [{ columns: [t.a], mask: redact }]')
    assert.equal(selectMasks(rules, catalog), selectMasks(rules, catalog))
    assert.notEqual(selectMasks(rules, catalog), selectMasks(rules, tables({ t: ['a'] }).catalog))
  })

  it('goes on masking what lost its label, was renamed or made anew', async () => {
    const rules = await rulesOf(`masks:
  - { labels: { "pii:*": redact } }
  - { columns: [users.ssn], mask: nullify }`)
    const before = tables({ users: ['id', 'email @dbgate pii:email', 'ssn'] })
    const seen = seenIn(rules, before.catalog)
    assert.equal(seen.length, 2)

    const renamed = tables({ users: ['id', 'mail a comment without it', 'x'] }).catalog
    assert.deepEqual(shown(selectMasks(rules, renamed)), [])
    assert.deepEqual(shown(selectMasks(rules, renamed, seen)), [
      'users.mail redact (label pii:email)',
      'users.x nullify (users.ssn)',
    ])
    assert.deepEqual(driftOf(renamed, seen), seen)
    assert.deepEqual(driftOf(before.catalog, seen), [])

    const again = tables({ users: ['email', 'id'] }, {}, 2000).catalog
    assert.deepEqual(shown(selectMasks(rules, again, seen)), [
      'users.email redact (label pii:email)',
    ])
    assert.deepEqual(
      driftOf(again, seen).map(({ label }) => label),
      ['pii:email'],
    )
  })

  it('finds detectors, of the same the strictest', async () => {
    const rules = await rulesOf(`masks:
  - { values: { matches: card-number }, mask: { keep_last: 4 } }
  - { values: { matches: [email, card-number] }, mask: redact }`)
    const { detectors, columns } = selectMasks(rules, tables({ t: ['a'] }).catalog)
    assert.deepEqual(detectors, [
      { matches: 'card-number', mask: { kind: 'redact' } },
      { matches: 'email', mask: { kind: 'redact' } },
    ])
    assert.deepEqual(columns, [])
  })
})
