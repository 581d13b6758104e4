import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { EVERYTHING, startGate, type TestGate } from '../helpers/gate.ts'
import { postgres15, postgres18, type Upstream, urlOf, withClient } from '../helpers/postgres.ts'
import { transcript } from '../helpers/psql.ts'

const SCRIPTS = join(import.meta.dirname, 'psql')

// Both runs use a database of this name, made anew: names show in what psql prints.
const WORK = 'psql_work'

type Side = { readonly upstream: Upstream; readonly through: string }

describe('psql cannot tell', function () {
  this.timeout(120_000)
  const gates: TestGate[] = []
  const sides: Side[] = []

  before(async () => {
    for (const start of [postgres18, postgres15]) {
      const upstream = await start()
      await renew(upstream)
      const target = { upstream, databases: [WORK], may: { engineering: EVERYTHING } }
      const gate = await startGate({ targets: { work: target } })
      gates.push(gate)
      sides.push({ upstream, through: (await gate.connect('work')).url })
    }
  })

  after(async () => {
    for (const gate of gates) await gate.close()
    for (const { upstream } of sides) await renew(upstream)
  })

  for (const name of readdirSync(SCRIPTS)) {
    it(`${name}, on 18 and on 15`, async () => {
      await Promise.all(sides.map(side => compare(side, join(SCRIPTS, name))))
    })
  }

  async function compare({ upstream, through }: Side, script: string): Promise<void> {
    await renew(upstream)
    const directly = await transcript(urlOf(upstream, WORK), script)
    await renew(upstream)
    const indirectly = await transcript(through, script)
    const { major } = upstream
    assert.deepEqual({ major, ...indirectly }, { major, ...directly })
  }

  async function renew(upstream: Upstream): Promise<void> {
    await withClient(urlOf(upstream, 'postgres'), async client => {
      await client.query(`drop database if exists ${WORK} with (force)`)
      await client.query(`create database ${WORK}`)
    })
  }
})
