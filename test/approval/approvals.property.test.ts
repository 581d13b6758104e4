import assert from 'node:assert/strict'
import fc from 'fast-check'
import { DbgateError } from '../../src/errors.ts'
import type { Principal } from '../../src/identity/index.ts'
import type { Hold, Terms } from '../../src/store/index.ts'
import { SEED } from '../helpers/seed.ts'
import {
  ana,
  ben,
  Desk,
  filing,
  kim,
  lee,
  MINUTE,
  p1,
  person,
  START,
  sam,
  terms,
  voter,
} from './builders.ts'

/** Ana and Ben once more, by another issuer: never somebody else. */
const PEOPLE = [ana, ben, kim, sam, lee, person('Ana', ['dba'], 'x'), person('BEN', ['dba'], 'x')]
const TERMS = [
  terms(),
  terms(['dba'], 2),
  terms(['dba', 'sre-lead'], 2),
  terms(['dba'], 1, { expiresMs: 5 * MINUTE }),
  terms(['dba'], 1, { presence: 'step-up' }),
]
const TEXTS = ['DELETE FROM a', 'DELETE FROM b']

const who = fc.constantFrom(...PEOPLE, ben, kim, sam)
const under = fc.oneof(
  { weight: 5, arbitrary: fc.constant(terms()) },
  { weight: 3, arbitrary: fc.constantFrom(...TERMS) },
)
const text = fc.constantFrom(...TEXTS)
const presence = fc.oneof(fc.constant(true), fc.boolean())
const requester = fc.constantFrom(ana, ana, ana, lee)
const pick = fc.nat(5)
const minutes = fc.integer({ min: 1, max: 9 })

/** Often what leads somewhere, sometimes what leads nowhere. */
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('file'), requester, text, under, line: fc.boolean() }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('approve'), who, pick, presence }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('take'), requester, text, under }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('deny'), who, pick, presence }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('giveBack'), pick }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('ran'), pick }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass'), minutes }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('setBack'), minutes }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('withdraw'), who, pick }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave'), pick, isTold: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('log'), isFull: fc.boolean() }) },
)

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
type Yes = { readonly by: Principal; readonly presence: boolean }

/** What has truly happened, kept apart from what is under test. Units: ms of a clock that nobody sets. */
class Truth {
  readonly target: string
  now = 0
  readonly ids: string[] = []
  readonly requesters = new Map<string, Principal>()
  readonly yes = new Map<string, Yes[]>()
  readonly approvedAt = new Map<string, number>()
  readonly inUse = new Set<string>()
  readonly over = new Set<string>()
  readonly taken: Hold[] = []

  constructor(target: string) {
    this.target = target
  }

  /** Distinct persons among those who said yes, without the requester, in one of the groups. */
  persons(id: string, { by, presence }: Terms): number {
    const name = (principal: Principal | undefined) => principal?.name.toLowerCase()
    const counted = (this.yes.get(id) ?? [])
      .filter(yes => presence === undefined || yes.presence)
      .filter(yes => yes.by.groups.some(group => by.includes(group)))
      .map(yes => name(yes.by))
      .filter(each => each !== name(this.requesters.get(id)))
    return new Set(counted).size
  }
}

describe('approvals, whatever happens', () => {
  let desk: Desk
  let runs = 0
  let uses = 0

  before(() => {
    desk = new Desk()
  })

  after(() => desk.close())

  /** Refusals are answers too; anything else is a mistake. */
  async function tried<T>(run: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await run()
    } catch (error) {
      if (error instanceof DbgateError && error.code !== 'INTERNAL') return undefined
      throw error
    }
  }

  function assertTaken(truth: Truth, hold: Hold, by: Principal, now: Terms): void {
    const { id } = hold
    uses++
    assert.equal(truth.inUse.has(id), false, `${id} is used twice`)
    assert.equal(truth.over.has(id), false, `${id} was over`)
    assert.equal(hold.requester.subject, by.subject)
    const approvedAt = truth.approvedAt.get(id)
    assert(approvedAt !== undefined, `${id} is used without an approval`)
    const livesMs = Math.min(now.expiresMs, hold.terms.expiresMs)
    assert(truth.now - approvedAt < livesMs, `${id} is used ${truth.now - approvedAt} ms later`)
    for (const asked of [hold.terms, now]) {
      assert(truth.persons(id, asked) >= asked.need, `${id} is used with too few approvals`)
    }
    truth.inUse.add(id)
    truth.taken.push(hold)
  }

  async function vote(truth: Truth, one: Extract<Step, { who: Principal; presence: boolean }>) {
    const id = truth.ids[one.pick % truth.ids.length]
    if (id === undefined) return
    const what = one.do === 'approve' ? 'approve' : 'deny'
    const as = voter(one.who, { presence: one.presence })
    const done = await tried(() => desk.approvals.decide({ id, vote: what }, as, p1))
    if (done === undefined) return
    assert.notEqual(one.who.name.toLowerCase(), truth.requesters.get(id)?.name.toLowerCase())
    if (what === 'deny') truth.over.add(id)
    else truth.yes.set(id, [...(truth.yes.get(id) ?? []), { by: one.who, presence: one.presence }])
    const { state, terms: asked } = done.request
    if (state !== 'approved') return
    assert(truth.persons(id, asked) >= asked.need, `${id} is approved by too few`)
    truth.approvedAt.set(id, truth.now)
  }

  async function happen(truth: Truth, one: Step): Promise<void> {
    const { approvals } = desk
    const where = { target: truth.target }
    if ('requester' in one) {
      const { requester: principal } = one
      if (!('line' in one)) {
        const as = { terms: one.under }
        const what = desk.take(one.text, { ...where, principal }, as)
        if (what.outcome === 'taken') assertTaken(truth, what.hold, principal, one.under)
        return
      }
      const more = { principal, where, terms: one.under, isOnLine: one.line }
      const filed = await tried(() => approvals.holds.file(filing(one.text, more)))
      if (filed?.isNew !== true) return
      truth.ids.push(filed.hold.id)
      truth.requesters.set(filed.hold.id, principal)
    } else if ('presence' in one) await vote(truth, one)
    else if ('minutes' in one) {
      const ms = one.minutes * MINUTE
      if (one.do === 'pass') {
        desk.clock.time += ms
        truth.now += ms
        if (one.minutes % 2 === 0) approvals.expireDue()
      } else {
        // What passes between two looks at a clock that is set back in between is nobody's to know.
        approvals.expireDue()
        desk.clock.time -= ms
        approvals.expireDue()
      }
    } else if ('who' in one) {
      const id = truth.ids[one.pick % truth.ids.length] ?? ''
      const viewer = { principal: one.who, isAuditor: false }
      if ((await tried(() => approvals.withdraw(id, viewer))) === undefined) return
      assert.equal(one.who.subject, truth.requesters.get(id)?.subject)
      truth.over.add(id)
    } else if ('isTold' in one) {
      const id = truth.ids[one.pick % truth.ids.length]
      if (id === undefined) return
      if (one.isTold) approvals.holds.letGo(id)
      else if (approvals.holds.abandon(id, 'gone').state === 'abandoned') truth.over.add(id)
    } else if ('isFull' in one) desk.log.isFull = one.isFull
    else if ('pick' in one) {
      const hold = truth.taken[one.pick % truth.taken.length]
      if (hold === undefined) return
      if (one.do === 'ran') {
        const ran = { outcome: 'ok', tag: undefined, rows: 0, durationMs: 0 }
        approvals.holds.ran(hold, 's-1.1', ran)
        return
      }
      try {
        approvals.holds.giveBack(hold)
        truth.inUse.delete(hold.id)
      } catch (error) {
        if (!(error instanceof TypeError)) throw error // Given back before, or it ran.
      }
    } else {
      desk.start()
      desk.approvals.expireAtStart()
    }
  }

  it('are used once at a time, in time, by who asked, after enough others said yes', async function () {
    this.timeout(120_000)
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }),
        async steps => {
          const truth = new Truth(`target${runs++}`)
          desk.log.isFull = false
          for (const one of steps) await happen(truth, one)
          // Nothing of this run is left to the next.
          desk.log.isFull = false
          desk.clock.time = Math.max(desk.clock.time, START) + 24 * 60 * MINUTE
          desk.approvals.expireDue()
        },
      ),
      { seed: SEED, numRuns: 200 },
    )
    assert.ok(uses > 50, `only ${uses} approvals were used`)
  })
})
