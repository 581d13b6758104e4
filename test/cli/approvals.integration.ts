import assert from 'node:assert/strict'
import { appendFile } from 'node:fs/promises'
import { startGate, type TestGate } from '../helpers/gate.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import { until } from '../helpers/run.ts'
import { type Cli, person, type Running, type Said } from './cli.ts'
import { terminal } from './pty.ts'

const POLICY = `  - groups: [support]
    roles: { shop: read }
    may_request: { shop: [read-write] }
access:
  - grant: { shop: [read-write] }
    max: 4h
    reason: required
    approve: { by: [dba], need: 1 }
rules:
  - name: writes
    on: [shop]
    when: { class: write }
    then:
      approve: { by: [dba], need: 1, expires: 15m }
      hold: 30s
`

describe('approving, against a real server', function () {
  this.timeout(90_000)
  let database: Database
  let gate: TestGate
  let cli: Cli
  const env: Record<string, Record<string, string>> = {}

  before(async () => {
    const upstream = await postgres18()
    database = await freshDatabase(upstream, 'approvals')
    await database.query('create table orders(id int, note text)')
    await database.query(`insert into orders select n, 'note ' || n from generate_series(1, 9) n`)
    gate = await startGate({
      targets: {
        shop: {
          upstream,
          databases: [database.name],
          may: { engineering: ['read', 'write'], dba: ['read'], support: ['read'] },
        },
      },
    })
    cli = await person()
    for (const name of ['ana', 'ben', 'lee']) {
      env[name] = {
        DBGATE_TOKEN: await gate.issuer.mint(name),
        DBGATE_SERVER: new URL(gate.url).host,
        DBGATE_FINGERPRINT: gate.pin,
      }
    }
    await appendFile(gate.policyPath, POLICY)
    await until('the policy', () => gate.log.find(line => line.includes('config.reloaded')))
  })
  after(async () => {
    await cli?.close()
    await gate?.close()
    await database?.drop()
  })

  const as = (name: string, args: readonly string[], more: Record<string, string> = {}) =>
    cli.run(args, { env: { ...env[name], ...more } })

  /** Sends a statement as Ana and returns it once it waits for approval. */
  async function held(sql: string): Promise<{ readonly id: string; readonly running: Running }> {
    const before = await open()
    const running = cli.start(['sql', 'shop', sql], env.ana)
    const id = await until('the hold', async () => {
      if (running.child.exitCode !== null) throw new Error(running.said.err)
      return (await open()).find(each => !before.includes(each))
    })
    return { id, running }
  }

  async function open(): Promise<readonly string[]> {
    const said = await as('ben', ['requests', '--json'])
    assert.equal(said.code, 0, said.err + said.out)
    return JSON.parse(said.out)
      .data.filter((each: { waits_for_you: boolean }) => each.waits_for_you)
      .map((each: { id: string }) => each.id)
  }

  function last({ code, err }: Said): readonly [number | null, string] {
    return [code, err.split('\n')[0] ?? '']
  }

  it('holds a statement, shows all of it, and lets it run once', async () => {
    const { id, running } = await held('delete from orders\nwhere id = 1')
    const shown = await as('ben', ['requests', 'show', id])
    assert.match(shown.out, /\n {4}delete from orders\n {4}where id = 1\n/)
    const { code, out, err } = await as('ben', ['approve', id, '--yes'])
    assert.equal(code, 0, err)
    assert.match(out, /\n {4}delete from orders\n {4}where id = 1\n/)
    assert.match(err, new RegExp(`^✓ ${id} approved, it ran: DELETE 1 \\(\\d+\\.\\d s\\)\\n$`))
    assert.equal((await running.ended).code, 0)
    const again = await as('ben', ['deny', id, '--reason', 'late'])
    assert.equal(again.code, 9)
    assert.match(again.err, new RegExp(`^✗ ${id} was approved by ben@acme\\.example and ran`))
  })

  it('shows who decides what the database would do, and runs nothing for that', async () => {
    const { id, running } = await held('delete from orders where id = 77')
    const plain = await as('ben', ['approve', id, '--yes', '--explain', '--json'])
    assert.equal(plain.code, 0, plain.err + plain.out)
    const { plan } = JSON.parse(plain.out).data
    assert.match(
      plan.join('\n'),
      /^Delete on orders[\s\S]*Seq Scan on orders[\s\S]*Filter: \(id = 77\)/,
    )
    assert.equal((await running.ended).code, 0)
    await database.query('create sequence planned')
    await database.query(
      `create function touched() returns int stable language plpgsql as $$ begin perform nextval('planned'); return 1; end $$`,
    )
    const risky = await held('delete from orders where id = touched() + 100')
    const refused = await as('ben', ['approve', risky.id, '--yes', '--explain'])
    assert.match(refused.out, /there is no plan of /)
    await risky.running.ended
  })

  it('says no, with the reason, to both', async () => {
    const { id, running } = await held('delete from orders where id = 2')
    assert.equal((await as('ana', ['policy', 'explain', id])).code, 8)
    assert.equal((await as('ben', ['policy', 'explain', id])).code, 2)
    const { code, err } = await as('ben', ['deny', id, '--reason', 'wrong table'])
    assert.deepEqual([code, err], [0, `✓ ${id} denied\n`])
    const ended = await running.ended
    assert.equal(ended.code, 5)
    assert.match(ended.err, /denied by ben@acme\.example: "wrong table"/)
    const waited = await as('ana', ['requests', 'wait', id])
    assert.equal(waited.code, 5)
  })

  it('lets neither who asked nor an agent approve, and forgets nothing of it', async () => {
    const { id, running } = await held('delete from orders where id = 3')
    const own = await as('ana', ['approve', id, '--yes'])
    assert.deepEqual(last(own), [5, `✗ ${id} is yours: somebody else in @dba has to decide`])
    const agent = await as('ben', ['approve', id, '--yes'], { CLAUDECODE: '1' })
    assert.deepEqual(last(agent), [5, '✗ approving needs a person'])
    assert.match(agent.err, new RegExp(`→ ask the user to run: dbgate approve ${id}\n`))
    assert.equal((await as('lee', ['approve', id, '--yes'])).code, 6)
    assert.deepEqual(last(await as('ben', ['approve', 'h-0000', '--yes'])), [
      6,
      '✗ no request h-0000',
    ])
    assert.equal((await as('ben', ['approve', id.slice(0, 4), '--yes'])).code, 2)
    assert.equal((await as('ana', ['requests', 'withdraw', id])).code, 0)
    assert.notEqual((await running.ended).code, 0)
    assert.equal((await as('ana', ['requests', 'wait', id])).code, 9)
  })

  it('asks on a terminal, and approves with the word it asks for', async () => {
    const { id, running } = await held('delete from orders where true')
    const screen = await terminal({ ...cli, env: { ...cli.env, ...env.ben } }, ['approve', id])
    try {
      await until('the screen', async () => (await screen.text()).includes('a approve once'))
      assert.match(await screen.text(), /cannot be undone/)
      // The screen is deaf for its first moment.
      await until('the question', async () => {
        if (!(await screen.text()).includes('to approve:')) await screen.press('a')
        return (await screen.text()).includes(`type DELETE or ${id} to approve`)
      })
      await until('an empty line', async () => {
        const typed = /to approve: (a*)_/.exec(await screen.text())?.[1]
        if (typed !== undefined && typed !== '') await screen.press('BSpace')
        return typed === ''
      })
      await screen.press('D', 'E', 'L', 'E', 'T', 'E', 'Enter')
      const ended = await until('the end', async () => /exit \d+/.exec(await screen.text())?.[0])
      assert.equal(ended, 'exit 0', await screen.text())
      assert.match(await screen.text(), new RegExp(`✓ ${id} approved`))
    } finally {
      await screen.close()
    }
    assert.equal((await running.ended).code, 0)
  })

  it('asks on a line where CI is set, since no screen is drawn there', async () => {
    const { id, running } = await held('delete from orders where id = 8')
    const screen = await terminal({ ...cli, env: { ...cli.env, ...env.ben } }, ['approve', id], {
      more: { CI: 'true' },
    })
    try {
      await until('the question', async () =>
        (await screen.text()).includes('Type yes to approve:'),
      )
      assert.match(await screen.text(), /delete from orders where id = 8/)
      await screen.press('y', 'e', 's', 'Enter')
      await until('the end', async () => (await screen.text()).includes('exit 0'))
    } finally {
      await screen.close()
    }
    assert.equal((await running.ended).code, 0)
  })

  it('prints nothing of a statement that a terminal would obey', async () => {
    const { id, running } = await held(
      "delete from orders where note = '\u001b]52;c;aGk=\u0007\u001b[8m\u009b2J\u202e\u200b'",
    )
    const dangerous = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e]/
    for (const args of [['requests'], ['requests', 'show', id], ['approve', id, '--yes']]) {
      const { out, err } = await as('ben', args)
      assert.ok(out.includes('␛]52;c;aGk='), out)
      assert.doesNotMatch(out + err, dangerous)
    }
    assert.equal((await running.ended).code, 0)
  })

  it('watches for what is new until ^C', async () => {
    const watching = cli.start(['requests', '--watch', '--json'], env.ben)
    const { id, running } = await held('delete from orders where id = 7')
    const line = await until('the line', () =>
      watching.said.out.split('\n').find(text => text.includes(`"${id}"`)),
    )
    assert.equal(JSON.parse(line).sql, 'delete from orders where id = 7')
    watching.child.kill('SIGINT')
    assert.equal((await watching.ended).code, 130)
    assert.equal((await as('ben', ['deny', id, '--reason', 'seen'])).code, 0)
    assert.equal((await running.ended).code, 5)
  })

  it('gives a role for a while, until it is ended', async () => {
    const wish = ['request', 'shop', '--role', 'read-write', '--for', '1h']
    assert.equal((await as('lee', wish)).code, 2)
    const asked = await as('lee', [...wish, '--reason', 'INC-4021', '--json'])
    assert.equal(asked.code, 0, asked.err + asked.out)
    const { id } = JSON.parse(asked.out).data
    assert.equal((await as('lee', [...wish, '--reason', 'again', '--wait', '1s'])).code, 8)
    const { code, err } = await as('ben', ['approve', id, '--yes'])
    assert.equal(code, 0, err)
    assert.match(
      err,
      new RegExp(`^✓ ${id} approved\\. lee is read-write until \\d\\d:\\d\\d\\.\\n$`),
    )
    const whoami = (await as('lee', ['whoami'])).out
    assert.match(
      whoami,
      /\ngrants {3}shop read-write until \d\d:\d\d · INC-4021 · approved by ben@/,
    )
    assert.match(whoami, /\ncan ask {2}shop read-write, up to 4 h 00 min\n/)
    assert.match((await as('lee', ['grants', 'ls'])).out, new RegExp(`${id} .* read-write`))
    const ended = await as('lee', ['grants', 'end', id])
    assert.match(ended.err, new RegExp(`^✓ ${id} · read-write on shop of lee@acme\\.example ended`))
    assert.equal((await as('lee', ['grants', 'end', id])).code, 9)
    assert.deepEqual(last(await as('ben', wish.with(3, 'read'))), [
      5,
      '✗ nobody can be asked for read on shop from your groups',
    ])
  })

  it('says why, without running anything', async () => {
    const explain = ['policy', 'explain', '--on', 'shop', '--sql']
    const { code, out } = await as('ana', [...explain, 'delete from orders'])
    assert.equal(code, 8)
    assert.match(out, /^… HELD {3}delete from orders\n/)
    assert.equal((await as('ana', [...explain, 'select 1'])).code, 0)
    const refused = await as('ana', ['sql', 'shop', 'drop table orders'])
    const [, id = ''] = /dbgate policy explain (s-\S+)/.exec(refused.err) ?? []
    const why = await until('the record', async () => {
      const said = await as('ana', ['policy', 'explain', id])
      return said.code === 6 ? undefined : said
    })
    assert.deepEqual([why.code, why.out.split('\n')[0]], [5, '✗ DENIED   drop table orders'])
    assert.equal((await as('ben', ['policy', 'explain', id])).code, 2)
    assert.equal((await as('ana', [...explain, 'drop table orders'])).code, 5)
    assert.equal((await as('ana', [...explain, 'select 1', '--groups', 'dba'])).code, 5)
    assert.equal((await as('ben', [...explain, 'select 1', '--groups', 'support'])).code, 0)
  })
})
