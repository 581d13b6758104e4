import assert from 'node:assert/strict'
import { ownPostgres, type Upstream } from '../helpers/postgres.ts'
import { SEED } from '../helpers/seed.ts'
import { schemaSql } from '../mask/evasion/corpus.ts'
import { fuzz, otherwise } from './differential.ts'

describe('two worlds', () => {
  let upstream: Upstream
  before(async () => {
    upstream = await ownPostgres(18, { settings: { autovacuum: 'off' } })
  })
  after(() => upstream.running.stop())

  it('differ in every confidential value and in nothing else', () => {
    const [one, other] = [schemaSql(), otherwise(schemaSql())]
    const secret = /9\d\d-\d\d-\d{4}|\w+@secret|4929\d{12}|5454\d{12}|'77\d\d'/
    assert.match(one, secret)
    assert.doesNotMatch(other, secret)
    assert.equal(one.split('\n').length, other.split('\n').length)
  })

  it(`look the same through masks, whatever is asked (seed ${SEED})`, async function () {
    this.timeout(180_000)
    const report = await fuzz(upstream, { seed: SEED, count: 400 })
    assert.deepEqual(report.different, [])
    // Where everything is refused, nothing is proven.
    assert.ok(report.answered > 100, JSON.stringify(report))
  })

  it('look different without masks, or it would prove nothing', async function () {
    this.timeout(60_000)
    const { different } = await fuzz(upstream, { seed: SEED, count: 40, masks: [] })
    assert.ok(different.length > 5)
  })
})
