import assert from 'node:assert/strict'
import pg from 'pg'
import type { PolicyDocument } from '../../src/config/index.ts'
import { type AuditRecord, readRecords } from '../../src/record/index.ts'
import { type BareGate, startBareGate } from '../helpers/bare-gate.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import { run } from '../helpers/run.ts'

type Limit = NonNullable<PolicyDocument['limits']>[number]

const NONE: Limit = {
  on: ['*'],
  roles: undefined,
  rows: undefined,
  timeMs: undefined,
  connections: undefined,
  statementsPerMinute: undefined,
  at: 'policy.yaml:1',
}

describe('limits', () => {
  let database: Database
  let gate: BareGate
  const clients: pg.Client[] = []

  before(async () => {
    database = await freshDatabase(await postgres18(), 'limits')
  })

  after(() => database.drop())

  afterEach(async () => {
    for (const client of clients.splice(0)) await client.end()
    await gate.close()
  })

  const start = async (policy: Pick<PolicyDocument, 'limits' | 'mode' | 'rules'>) => {
    gate = await startBareGate(database, { policy })
  }
  const client = async (application_name = 'pg') => {
    const one = new pg.Client({ connectionString: gate.url, application_name })
    await one.connect()
    clients.push(one)
    return one
  }

  it('stops a statement that takes too long, and says whose limit it is', async () => {
    await start({ limits: [{ ...NONE, timeMs: 300 }] })
    const one = await client()
    const shown = await one.query('show statement_timeout')
    assert.equal(shown.rows[0]?.statement_timeout, '300ms')
    await assert.rejects(one.query('select pg_sleep(20)'), {
      code: '57014',
      message: 'dbgate: stopped after 0.3 s (limit on test).',
    })
    assert.equal((await one.query('select 1 as one')).rows[0]?.one, 1)
    await assert.rejects(one.query('set statement_timeout = 0'), { code: '42501' })
    await one.query('set statement_timeout = 50')
    await assert.rejects(one.query('select pg_sleep(20)'), {
      code: '57014',
      message: 'canceling statement due to statement timeout',
    })
    await one.query('reset statement_timeout')
    const again = await one.query('show statement_timeout')
    assert.equal(again.rows[0]?.statement_timeout, '300ms')
  })

  it('stops it for psql, which may not ask for more time at its start', async () => {
    await start({ limits: [{ ...NONE, timeMs: 300 }] })
    const options = { env: { PGOPTIONS: '-c statement_timeout=0' } }
    const ran = await run('psql', ['-X', '-c', 'select pg_sleep(20)', gate.url], options)
    assert.equal(ran.stderr.toString(), 'ERROR:  dbgate: stopped after 0.3 s (limit on test).\n')
  })

  it('stops what lifts the limit where it can not be seen', async () => {
    await database.query(`
      create or replace function lift() returns void language plpgsql as
      $$ begin execute 'set statement_timeout = 0'; end $$`)
    await start({ limits: [{ ...NONE, timeMs: 500 }] })
    const one = await client()
    await one.query('select lift()')
    const shown = await one.query('show statement_timeout')
    assert.equal(shown.rows[0]?.statement_timeout, '0')
    await assert.rejects(one.query('select pg_sleep(20)'), {
      code: '57014',
      message: 'dbgate: stopped after 0.5 s (limit on test).',
    })
  })

  it('turns away one connection too many, and names the tools', async () => {
    await start({ limits: [{ ...NONE, connections: 3 }] })
    for (const tool of ['DBeaver', 'DBeaver', 'psql']) await client(tool)
    await assert.rejects(client(), {
      code: '53300',
      severity: 'FATAL',
      message: 'dbgate: 3 of 3 connections in use on test (DBeaver 2, psql 1). Close some.',
    })
    await clients.pop()?.end()
    const deadline = Date.now() + 10_000
    while (gate.gate.sessions.length > 2 && Date.now() < deadline) {
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    await client()
  })

  it('counts statements over all connections, whatever their number', async () => {
    await start({ limits: [{ ...NONE, statementsPerMinute: 3 }] })
    const one = await client()
    for (let sent = 0; sent < 2; sent += 1) await one.query('select 1')
    const other = await client()
    await other.query('select $1::int', [1])
    await assert.rejects(other.query('select 1'), {
      code: '54000',
      message:
        /^dbgate: limit, more than 3 statements a minute on test\. Not run\. Next: wait \d+ s\.$/,
    })
    await assert.rejects(one.query('select $1::int', [1]), { code: '54000' })
  })

  it('has on record what mode observe let through', async () => {
    await database.query('create table if not exists seen (i int)')
    const rule: NonNullable<PolicyDocument['rules']>[number] = {
      name: 'no-deletes',
      on: ['*'],
      when: { kind: ['DELETE'] },
      or: [],
      unless: [],
      effect: { does: 'deny' },
      say: undefined,
      next: undefined,
      at: 'policy.yaml:1',
    }
    await start({ rules: [rule], mode: [{ on: '*', is: 'observe', at: 'policy.yaml:2' }] })
    const one = await client()
    await one.query('delete from seen')
    await one.query('select 1')
    const records: AuditRecord[] = []
    for await (const { record } of readRecords(gate.auditDirectory)) records.push(record)
    const statements = records.filter(record => record.type === 'statement')
    assert.deepEqual(
      statements.map(({ verdict, observed }) => [verdict, observed]),
      [
        ['allow', { outcome: 'deny', rule: 'no-deletes' }],
        ['allow', undefined],
      ],
    )
  })
})
