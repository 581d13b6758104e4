import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { EVERYTHING, startGate, type TestGate } from '../helpers/gate.ts'
import { postgres15, postgres18, type Upstream, urlOf, withClient } from '../helpers/postgres.ts'
import { transcript } from '../helpers/psql.ts'

const SCRIPTS = join(import.meta.dirname, 'psql')

// Both runs use a database of this name, made anew: names show in what psql prints.
const WORK = 'psql_work'

describe('psql cannot tell', () => {
  for (const [version, start] of Object.entries({ 18: postgres18, 15: postgres15 })) {
    describe(`PostgreSQL ${version}`, function () {
      this.timeout(120_000)
      let upstream: Upstream
      let gate: TestGate
      let through: string

      before(async () => {
        upstream = await start()
        await renew()
        const target = { upstream, databases: [WORK], may: { engineering: EVERYTHING } }
        gate = await startGate({ targets: { work: target } })
        through = (await gate.connect('work')).url
      })

      after(async () => {
        await gate.close()
        await renew()
      })

      for (const name of readdirSync(SCRIPTS)) {
        it(name, async () => {
          await renew()
          const directly = await transcript(urlOf(upstream, WORK), join(SCRIPTS, name))
          await renew()
          const indirectly = await transcript(through, join(SCRIPTS, name))
          assert.deepEqual(indirectly, directly)
        })
      }

      async function renew(): Promise<void> {
        await withClient(urlOf(upstream, 'postgres'), async client => {
          await client.query(`drop database if exists ${WORK} with (force)`)
          await client.query(`create database ${WORK}`)
        })
      }
    })
  }
})
