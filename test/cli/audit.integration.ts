import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { startGate, type TestGate } from '../helpers/gate.ts'
import { browse } from '../helpers/oidc.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import { until } from '../helpers/run.ts'
import { type Cli, person } from './cli.ts'

describe('dbgate audit, against a real server', function () {
  this.timeout(60_000)
  let database: Database
  let gate: TestGate
  let ana: Cli

  before(async () => {
    const upstream = await postgres18()
    database = await freshDatabase(upstream, 'audit')
    await database.query('create table orders(id int, note text)')
    gate = await startGate({
      targets: {
        shop: {
          upstream,
          databases: [database.name],
          may: { engineering: ['read', 'write'] },
          lines: ['sslmode: disable'],
        },
      },
    })
    ana = await person()
    const host = new URL(gate.url).host
    const login = ana.start(['login', host, '--fingerprint', gate.pin])
    const link = await until('the link', () => /https?:\/\/\S+/.exec(login.said.err)?.[0])
    await browse(link, 'ana')
    assert.equal((await login.ended).code, 0)
    await sql("insert into orders values (1, 'first')")
    await sql('select * from orders')
    await sql('drop table orders')
  })
  after(async () => {
    await ana?.close()
    await gate?.close()
    await database?.drop()
  })

  const sql = (text: string) => ana.run(['sql', 'shop', text])

  it('tells an empty answer from an empty log', async () => {
    const { code, err } = await ana.run(['audit', 'search', 'table:nowhere'])
    assert.equal(code, 0)
    assert.match(err, /No statements match\. \d+ statements in the last 24 h · only your own/)
  })

  it('follows, shows each statement once, and ends with 130 and a count', async () => {
    const tail = ana.start(['audit', 'tail', 'orders', '--json', '--last', '1'])
    const rows = () => tail.said.out.split('\n').filter(line => line !== '')
    await until('the last one', () => (rows().length === 1 ? true : undefined))
    await sql("insert into orders values (2, 'second')")
    await sql('select note from orders where id = 2')
    await until('both', () => (rows().length >= 3 ? true : undefined))
    tail.child.kill('SIGINT')
    const { code, err } = await tail.ended
    assert.equal(code, 130)
    assert.match(err, /^3 statements$/m)
    const seen = rows().map(line => JSON.parse(line))
    assert.match(seen[1].sql, /second/)
    assert.equal(seen[1].outcome, 'ok')
    assert.equal(new Set(seen.map(row => row.id)).size, 3)
  })

  it('exports in each format, with a manifest, and never over a file', async () => {
    const out = (name: string) => join(ana.home, name)
    const jsonl = await ana.run(['audit', 'export', 'orders', '--out', out('a.jsonl')])
    assert.equal(jsonl.code, 0, jsonl.err)
    const text = await readFile(out('a.jsonl'))
    const manifest = JSON.parse(await readFile(out('a.jsonl.manifest.json'), 'utf8'))
    const rows = text.toString().trimEnd().split('\n')
    assert.equal(manifest.statements, rows.length)
    assert.equal(manifest.sha256, createHash('sha256').update(text).digest('hex'))
    assert.equal(manifest.exported_by, 'ana@acme.example')
    assert.equal((await stat(out('a.jsonl'))).mode & 0o777, 0o600)
    const again = await ana.run(['audit', 'export', '--out', out('a.jsonl')])
    assert.equal(again.code, 2)
    assert.deepEqual(await readFile(out('a.jsonl')), text)
    const ocsf = ['audit', 'export', 'drop', '--format', 'ocsf', '--out', out('a.ocsf')]
    assert.equal((await ana.run(ocsf)).code, 0)
    const event = JSON.parse(await readFile(out('a.ocsf'), 'utf8'))
    assert.deepEqual([event.class_uid, event.type_uid, event.status], [6005, 600599, 'Failure'])
    assert.equal(event.query_info.query_string, 'drop table orders')
  })

  it('builds the index anew for auditors alone', async () => {
    assert.equal((await ana.run(['audit', 'reindex'])).code, 5)
  })
})
