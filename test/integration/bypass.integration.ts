import assert from 'node:assert/strict'
import pg from 'pg'
import { startGate, type TestGate } from '../helpers/gate.ts'
import { type Database, freshDatabase, postgres18, type Upstream } from '../helpers/postgres.ts'
import { until } from '../helpers/run.ts'
import { recordsOf } from '../record/builders.ts'

describe('connections that do not come through the gate', function () {
  this.timeout(60_000)
  let upstream: Upstream
  let database: Database
  let gate: TestGate

  before(async () => {
    upstream = await postgres18()
    database = await freshDatabase(upstream, 'bypass')
    gate = await startGate({
      top: ['bypass: { every: 1s }'],
      targets: {
        shop: {
          upstream,
          databases: [database.name],
          may: { engineering: ['read'] },
          lines: ['sslmode: disable'],
        },
      },
    })
  })
  after(async () => {
    await gate?.close()
    await database?.drop()
  })

  it('are on record once each, whatever they call themselves; those through it are not', async () => {
    const tunnel = await gate.connect('shop')
    const through = new pg.Client({ connectionString: tunnel.url })
    await through.connect()
    const own = await through.query('select pg_backend_pid() as pid')
    const past = new pg.Client({
      connectionString: database.url,
      application_name: 'dbgate catalog',
    })
    await past.connect()
    const stranger = await past.query('select pg_backend_pid() as pid')
    const seen = async () =>
      (await recordsOf(gate.auditDirectory)).filter(record => record.type === 'bypass.seen')
    try {
      const ours = async () => (await seen()).filter(({ pid }) => pid === stranger.rows[0].pid)
      await until('the record', async () => ((await ours()).length > 0 ? true : undefined), 20_000)
      // The second one shows that another look has passed, which did not tell of the first again.
      const second = new pg.Client({ connectionString: database.url })
      await second.connect()
      const another = await second.query('select pg_backend_pid() as pid')
      const isSeen = async () => (await seen()).some(({ pid }) => pid === another.rows[0].pid)
      await until('the second', isSeen, 20_000).finally(() => second.end())
      assert.equal((await ours()).length, 1)
      const [record] = await ours()
      assert.equal(record?.database, database.name)
      assert.equal(record?.application, 'dbgate catalog')
      assert.ok((await seen()).every(({ pid }) => pid !== own.rows[0].pid))
    } finally {
      await past.end()
      await through.end()
      await tunnel.close()
    }
  })
})
