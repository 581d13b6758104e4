import assert from 'node:assert/strict'
import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { startGate, type TestGate } from '../helpers/gate.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import { Receiver, until } from './receiver.ts'

const RULES = `rules:
  - name: writes
    when: { class: write }
    then:
      approve: { by: [dba], need: 1, expires: 15m }
      hold: 0s
      notify: [db-approvals]
`

describe('notify, from a running server', function () {
  this.timeout(60_000)
  const receiver = new Receiver()
  let database: Database
  let gate: TestGate

  before(async () => {
    const upstream = await postgres18()
    database = await freshDatabase(upstream, 'notify')
    await database.query('create table orders(id int)')
    await receiver.listen()
    gate = await startGate({
      targets: {
        shop: {
          upstream,
          databases: [database.name],
          may: { engineering: ['read', 'write'], dba: ['read'] },
        },
      },
    })
    const hook = join(gate.directory, 'hook')
    await writeFile(hook, `${receiver.url}/T0/s3cret\n`, { mode: 0o600 })
    await appendFile(
      gate.configPath,
      `notify:\n  db-approvals: { slack: { webhook: { from: file, path: ${hook} } } }\n`,
    )
    await until(() => gate.log.some(line => line.includes('config.reloaded')), 'the channel')
    const reloads = gate.log.length
    await appendFile(gate.policyPath, RULES)
    await until(
      () => gate.log.slice(reloads).some(line => line.includes('config.reloaded')),
      'the policy',
    )
  })
  after(async () => {
    await gate?.close()
    await receiver.close()
    await database?.drop()
  })

  it('tells the channel of a rule what it holds, and no log has its address', async () => {
    const tunnel = await gate.connect('shop')
    const client = new pg.Client({ connectionString: tunnel.url })
    await client.connect()
    let message = ''
    try {
      await client.query('DELETE FROM orders WHERE id = $1', [407_812])
    } catch (error) {
      message = error instanceof Error ? error.message : ''
    } finally {
      await client.end()
    }
    const [id = 'none'] = /h-[a-z0-9]+/.exec(message) ?? []
    await until(() => receiver.got.length > 0, `a message about ${message}`)
    const text = receiver.texts[0] ?? ''
    assert.ok(text.includes(`dbgate approve ${id}`), text)
    assert.ok(text.includes('DELETE FROM orders WHERE id = $1'), text)
    assert.ok(!text.includes('407812'), text)
    assert.ok(!gate.log.join('').includes('s3cret'))
  })
})
