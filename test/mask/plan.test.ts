import assert from 'node:assert/strict'
import { checkParameters, type Plan, planMasks, selectMasks } from '../../src/mask/index.ts'
import type { ColumnUse, Flow, Lineage, Origin } from '../../src/sql/index.ts'
import { lineage, output, rulesOf, tables } from './samples.ts'

const { catalog, at } = tables(
  {
    users: ['id', 'name', 'email', 'ssn', 'dob'],
    orders: ['id', 'email', 'note', 'ssn'],
    v: ['email', 'masked'],
    plain: ['a'],
  },
  { v: { kind: 'v' } },
)

const MASKS = `masks:
  - { columns: [users.email, orders.email], mask: hash, domain: email }
  - { columns: ["*.ssn"], mask: redact }
  - { columns: [users.dob], mask: year, derived: redact, filters: { approve: { by: [dba] } }, writes: deny }
  - { columns: [v.masked], mask: { keep_last: 4 } }`

describe('mask/plan', () => {
  const masks = { set: selectMasks([], catalog) }
  before(async () => {
    masks.set = selectMasks(await rulesOf(MASKS), catalog)
  })
  const plan = (given: Partial<Lineage>) => planMasks(masks.set, lineage(given), catalog)

  const selecting = (flow: Flow, ...names: readonly string[]) =>
    plan({ columns: [output(names.map(at), { flow, name: 'out' })] })
  const using = (name: string, given: Partial<ColumnUse>, more: Partial<Lineage> = {}) =>
    plan({ columns: [], uses: [use(name, given)], ...more })

  describe('what an output may hold', () => {
    it('masks what is unchanged, also through a view', () => {
      assert.equal(shown(selecting('same', 'users.email')), 'token email of users.email')
      assert.equal(shown(selecting('same', 'users.ssn')), 'redact of users.ssn')
      assert.equal(shown(selecting('same', 'v.email', 'users.email')), 'token email of users.email')
      assert.equal(shown(selecting('same', 'users.name')), 'null of ')
      assert.equal(shown(selecting('same', 'plain.a')), 'clear')
    })

    it('masks a view by its own column, whatever it is computed from', () => {
      const own = output([at('v.masked'), at('plain.a')], { flow: 'derived' })
      assert.equal(shown(plan({ columns: [own] })), 'keep of v.masked')
      assert.match(
        shown(plan({ columns: [{ ...own, reported: [] }] })),
        /v\.masked is confidential/,
      )
    })

    it('never gives a token for what is merged or computed', () => {
      assert.equal(shown(selecting('merged', 'users.email', 'plain.a')), 'nullify of users.email')
      assert.equal(shown(selecting('merged', 'users.ssn', 'plain.a')), 'redact of users.ssn')
      assert.equal(
        shown(selecting('merged', 'users.email', 'users.ssn')),
        'nullify of users.email, users.ssn',
      )
      assert.equal(shown(selecting('total', 'users.email')), 'nullify of users.email')
      assert.equal(shown(selecting('counted', 'users.ssn')), 'null of ')
    })

    it('shows whether a value is NULL only where its token would', () => {
      assert.equal(shown(selecting('tested', 'users.email')), 'null of ')
      assert.match(shown(selecting('tested', 'users.ssn')), /^42501 .*computes with it/)
      assert.match(shown(selecting('tested', 'users.email', 'users.ssn')), /^42501/)
    })

    it('refuses what can fail for what the value is, unless that is accepted', () => {
      assert.equal(
        shown(selecting('derived', 'users.ssn', 'users.id')),
        '42501 dbgate: denied, users.ssn is confidential, and column "out" computes with it in a way that could tell it. Not run. Next: select the column itself, or count it.',
      )
      assert.equal(shown(selecting('derived', 'users.dob')), 'nullify of users.dob')
      assert.match(shown(selecting('derived', 'users.dob', 'users.email')), /users\.email is conf/)
    })
  })

  describe('what decides about rows', () => {
    it('refuses masked columns, in the words of the clause', () => {
      assert.equal(
        shown(using('users.ssn', { isEquality: true })),
        '42501 dbgate: denied, users.ssn is confidential and may not be used in WHERE here. Not run. Next: leave users.ssn out there, and filter by a key such as an id.',
      )
      for (const place of [
        'JOIN',
        'GROUP BY',
        'ORDER BY',
        'DISTINCT',
        'LIMIT',
        'COLUMN',
      ] as const) {
        assert.match(shown(using('users.ssn', { place })), /^42501 dbgate: denied, users\.ssn/)
      }
      assert.equal(shown(using('users.name', {}, { relations: [1000] })), '')
    })

    it('lets tokens be compared for equality, with few values', () => {
      const given = (count: number) => ({
        literals: Array.from({ length: count }, (_, index) => ({
          origin: at('users.email'),
          role: 'compared' as const,
          at: { parameter: index + 1 },
          value: undefined,
        })),
      })
      const equal = { isEquality: true }
      assert.equal(shown(using('users.email', equal, given(1))), '')
      assert.equal(shown(using('users.email', equal, given(5))), '')
      assert.equal(
        shown(using('users.email', equal, given(6))),
        '42501 dbgate: denied, users.email is confidential and may not be used like this in WHERE. Not run. Next: users.email = one value, IN with up to 5, GROUP BY, or a join with a column hashed alike.',
      )
      assert.match(shown(using('users.email', {})), /like this in WHERE/)
      assert.match(shown(using('users.email', { place: 'ORDER BY' })), /like this in ORDER BY/)
      assert.match(shown(using('users.email', { place: 'LIMIT' })), /like this in LIMIT/)
      assert.equal(shown(using('users.email', { place: 'GROUP BY' })), '')
      assert.equal(shown(using('users.email', { place: 'DISTINCT' })), '')
    })

    it('lets tokens be joined with those of their domain only', () => {
      const join = (...names: readonly string[]) =>
        plan({
          columns: [],
          uses: names.map(name => use(name, { place: 'JOIN', isJoin: true })),
        })
      assert.equal(shown(join('users.email', 'orders.email')), '')
      assert.match(shown(join('users.email', 'plain.a')), /like this in JOIN/)
      assert.match(shown(join('users.email', 'users.ssn')), /like this in JOIN/)
    })

    it('asks who can approve, and says what runs then', () => {
      const found = using('users.dob', {}, { columns: [output([at('users.ssn')])] })
      assert(found.outcome === 'approve')
      assert.deepEqual(found.approve.by, ['dba'])
      assert.equal(found.reason, 'uses users.dob in WHERE')
      assert.deepEqual(found.guard.masked, ['users.ssn'])
      assert.match(
        shown(plan({ uses: [use('users.dob', {}), use('users.ssn', {})], columns: [] })),
        /^42501 .*users\.ssn/,
        'what is refused is not asked for',
      )
    })
  })

  describe('what is stored', () => {
    const storing = (from: string, target: Origin | undefined, where = 'column x.y') =>
      plan({ stored: [{ target, from: [at(from)], where }] })

    it('refuses to copy to where it is not masked alike', () => {
      assert.equal(
        shown(storing('users.ssn', undefined, 'CREATE TABLE AS')),
        '42501 dbgate: denied, this would copy users.ssn to CREATE TABLE AS, where it is not masked alike. Not run. Next: leave users.ssn out.',
      )
      assert.match(shown(storing('users.ssn', at('orders.note'))), /would copy users\.ssn/)
      assert.match(shown(storing('users.ssn', at('orders.email'))), /would copy users\.ssn/)
      assert.equal(shown(storing('users.ssn', at('orders.ssn'))), '')
      assert.equal(shown(storing('users.email', at('orders.email'))), '')
      assert.equal(shown(storing('users.name', at('orders.email'))), '')
    })

    it('goes by writes for what is written', () => {
      const written = (name: string, value?: string) =>
        plan({
          relations: [at(name).relation],
          literals: [{ origin: at(name), role: 'written', at: { offset: 0, length: 1 }, value }],
        })
      assert.equal(shown(written('users.ssn', '1')), '')
      assert.equal(
        shown(written('users.dob', '2000-01-01')),
        '42501 dbgate: denied, users.dob is confidential and may not be written here. Not run. Next: leave users.dob out.',
      )
      const token = `dgt_${'a'.repeat(20)}`
      assert.equal(
        shown(written('users.email', token)),
        '42501 dbgate: denied, this would store a masked value in users.email. Not run. Next: leave that column out.',
      )
      assert.match(shown(written('plain.a', 'x •••• y')), /would store a masked value\. Not run/)
    })

    it('looks at what comes with a Bind too', () => {
      const token = `dgt_${'b'.repeat(20)}`
      const check = (role: 'written' | 'compared', name: string, value: string | undefined) =>
        checkParameters(
          masks.set,
          lineage({
            literals: [{ origin: at(name), role, at: { parameter: 2 }, value: undefined }],
          }),
          ['1', value],
        )?.message
      assert.match(check('written', 'users.email', token) ?? '', /would store a masked value in u/)
      assert.match(check('written', 'plain.a', token) ?? '', /would store a masked value/)
      assert.match(check('compared', 'users.email', token) ?? '', /compares users\.email with a m/)
      assert.equal(check('compared', 'plain.a', token), undefined)
      assert.equal(check('written', 'users.email', 'ana@acme.dev'), undefined)
      assert.equal(check('written', 'users.email', undefined), undefined)
    })

    it('refuses a token that is compared in the text', () => {
      const value = `dgt_${'c'.repeat(20)}`
      const literals = [
        {
          origin: at('users.email'),
          role: 'compared',
          at: { offset: 0, length: 1 },
          value,
        } as const,
      ]
      assert.match(
        shown(using('users.email', { isEquality: true }, { literals })),
        /compares users\.email with a masked value/,
      )
    })
  })

  describe('the rest', () => {
    it('refuses what is not understood, what shows statistics and plans of what is masked', () => {
      assert.equal(
        shown(plan({ unknown: ['node JsonTable'] })),
        '0A000 dbgate: statement could not be proven safe (node JsonTable). Not run, since confidential columns might be read. Next: write it more simply.',
      )
      assert.match(
        shown(plan({ unknown: ['column nope'] })),
        /\(column nope\)\. Not run, .* Next: check the name nope, it is not known here\.$/,
      )
      assert.match(shown(plan({ statistics: ['pg_stats'] })), /^42501 dbgate: denied, pg_stats can/)
      const explained = { isExplain: true, columns: [output([])] }
      assert.equal(shown(plan({ ...explained, relations: [at('users.id').relation] })), '')
      assert.equal(
        shown(plan({ ...explained, uses: [use('users.email', { isEquality: true })] })),
        '42501 dbgate: denied, the plan of this statement could tell values of users.email. Not run. Next: EXPLAIN it without users.email: name the columns instead of *.',
      )
    })

    it('looks at what runs code, and at texts where there are detectors', async () => {
      assert.equal(shown(plan({ columns: [], runsCode: true })), '')
      assert.equal(shown(plan({ columns: [output([at('plain.a')])] })), 'clear')
      const rules = await rulesOf('masks: [{ values: { matches: email }, mask: redact }]')
      const set = selectMasks(rules, catalog)
      const of = (given: Partial<Lineage>) => planMasks(set, lineage(given), catalog).outcome
      assert.equal(of({ columns: [output([at('plain.a')])] }), 'guard')
      assert.equal(of({}), 'clear')
    })

    it('lets everything pass where nothing is masked', async () => {
      const rules = await rulesOf('masks: [{ columns: [nowhere.x], mask: redact }]')
      const set = selectMasks(rules, catalog)
      assert.equal(planMasks(set, lineage({ unknown: ['x'] }), catalog).outcome, 'clear')
    })

    it('says each thing in one line that drivers show whole', () => {
      const long = `${'n'.repeat(60)}\n${'m'.repeat(60)}`
      const wide = tables({ [long]: [long] })
      const origin = wide.at(`${long}.${long}`)
      const all: Partial<Lineage>[] = [
        { uses: [{ ...use('users.ssn', {}), origin }] },
        { columns: [output([origin], { flow: 'derived', name: long })] },
        { stored: [{ target: undefined, from: [origin], where: long }] },
        { isExplain: true, columns: [output([origin])] },
        { statistics: [long, long, long] },
        { unknown: [long, long, long] },
      ]
      return rulesOf('masks: [{ columns: ["n*.*"], mask: redact }]').then(rules => {
        const set = selectMasks(rules, wide.catalog)
        for (const given of all) {
          const found = planMasks(set, lineage(given), wide.catalog)
          assert(found.outcome === 'deny')
          assert(found.error.message.length <= 300, found.error.message)
          assert.doesNotMatch(found.error.message, /\n/)
        }
      })
    })
  })
})

function use(name: string, given: Partial<ColumnUse>): ColumnUse {
  return { origin: at(name), place: 'WHERE', isEquality: false, isJoin: false, ...given }
}

/** A plan in a line: its refusal, or what is shown of each column. */
function shown(plan: Plan): string {
  switch (plan.outcome) {
    case 'clear':
      return 'clear'
    case 'deny':
      return `${plan.error.sqlstate} ${plan.error.message}`
    case 'approve':
      return `approve ${plan.reason}`
    case 'guard':
      return (plan.columns ?? [])
        .filter(({ from }) => from.length > 0)
        .map(({ mask, sources }) => {
          const domain = mask?.kind === 'token' ? ` ${mask.domain}` : ''
          return `${mask?.kind ?? 'null'}${domain} of ${sources.join(', ')}`
        })
        .join('; ')
    default:
      return plan satisfies never
  }
}
