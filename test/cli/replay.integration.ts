import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { appendFile, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { EVERYTHING, startGate, type TestGate } from '../helpers/gate.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import { run, until } from '../helpers/run.ts'
import { DANGEROUS, HOSTILE as EVIL } from '../replay/builders.ts'
import { type Cli, person } from './cli.ts'
import { type Screen, type TerminalOptions, terminal } from './pty.ts'

// A text that PostgreSQL takes: it knows no NUL.
const HOSTILE = `${EVIL.replace('\u0000', '')}' as evil`
const POLICY = `rules:
  - name: no-drop
    on: [shop]
    when: { kind: DROP }
    then: deny
    say: Nobody drops tables here.
  - name: second-pair-of-eyes
    on: [shop]
    when: { kind: TRUNCATE }
    then:
      approve: { by: [dba], need: 1, expires: 15m }
      hold: 30s
`

type Listed = { readonly id: string; readonly is_live: boolean; readonly statements: number }

describe('replaying sessions, against a real server', function () {
  this.timeout(120_000)
  let database: Database
  let gate: TestGate
  let cli: Cli
  let id = ''
  const env: Record<string, Record<string, string>> = {}

  before(async () => {
    const upstream = await postgres18()
    database = await freshDatabase(upstream, 'replay')
    await database.query('create table orders(id int, note text)')
    await database.query(`insert into orders select n, 'note ' || n from generate_series(1, 9) n`)
    gate = await startGate({
      targets: {
        shop: {
          upstream,
          databases: [database.name],
          may: { engineering: EVERYTHING, dba: EVERYTHING, support: ['read'] },
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
    const client = await open('ana')
    id = (await listed('ana'))[0]?.id ?? ''
    await client.query('select id, note from orders order by id limit 2')
    await client.query(HOSTILE)
    await client.query('update orders set note = $1 where id = $2', ['changed', 9])
    for (const sql of ['select nothing', 'drop table orders']) {
      await assert.rejects(client.query(sql))
    }
    await client.end()
    await until('the end', async () => (await listed('ana'))[0]?.is_live === false)
  })
  after(async () => {
    await cli?.close()
    await gate?.close()
    await database?.drop()
  })

  async function open(name: string): Promise<Client> {
    const { url } = await gate.connect('shop', name)
    const client = new Client({ connectionString: url, application_name: 'tests' })
    client.on('error', () => {}) // the server may end it
    await client.connect()
    return client
  }

  const as = (name: string, args: readonly string[], more: Record<string, string> = {}) =>
    cli.run(args, { env: { ...env[name], ...more } })

  async function listed(name: string, ...flags: readonly string[]): Promise<readonly Listed[]> {
    const { code, out, err } = await as(name, ['sessions', '--json', ...flags])
    assert.equal(code, 0, err + out)
    return JSON.parse(out).data
  }

  async function on(
    name: string,
    args: readonly string[],
    options: TerminalOptions,
    look: (screen: Screen) => Promise<void>,
  ): Promise<void> {
    const screen = await terminal({ ...cli, env: { ...cli.env, ...env[name] } }, args, options)
    try {
      await look(screen)
    } finally {
      await screen.close()
    }
  }

  const shows = (screen: Screen, what: RegExp) =>
    until(`${what}`, async () => what.test(await screen.text())).catch(async cause => {
      throw new Error(await screen.text(), { cause })
    })

  /** Records of that kind in the audit log. */
  async function onRecord(part: string): Promise<readonly string[]> {
    const names = (await readdir(gate.auditDirectory)).filter(name => name.endsWith('.log'))
    const texts = await Promise.all(
      names.map(name => readFile(join(gate.auditDirectory, name), 'utf8')),
    )
    return texts
      .join('')
      .split('\n')
      .filter(line => line.includes(part))
  }

  it('lists and shows sessions, by any start of an id', async () => {
    const { out } = await as('ana', ['sessions'])
    assert.match(out, new RegExp(`${id} +ana \\(tests\\) +shop +\\S+ +\\d+ s +5 +- +1\\n`))
    const shown = await as('ana', ['sessions', 'show', id.slice(0, 7)])
    assert.equal(shown.code, 0, shown.err)
    assert.match(shown.out, /\nstatements +5, 1 failed, 1 denied, 0 held, \d+ rows\n/)
    assert.match(shown.out, /\nrules .*no-drop \(deny\) 1/)
    assert.match(shown.out, /\nrecording +\d+ bytes, sha256 [0-9a-f]{64}\n/)
  })

  it("shows others' sessions to auditors and to nobody else", async () => {
    const first = ({ err }: { err: string }) => err.split('\n')[0]
    assert.deepEqual(await listed('lee'), [])
    assert.deepEqual(await listed('ben'), [])
    assert.ok((await listed('ben', '--all')).some(session => session.id === id))
    const all = await as('lee', ['sessions', '--all'])
    assert.deepEqual([all.code, first(all)], [5, "✗ only auditors see other people's sessions"])
    const other = await as('lee', ['replay', id])
    assert.deepEqual([other.code, first(other)], [5, "✗ only auditors see other people's sessions"])
    const guessed = await as('lee', ['replay', id.slice(0, 5)])
    assert.equal(guessed.code, 6)
    assert.equal((await as('ben', ['replay', id])).code, 0)
    assert.equal((await as('ana', ['replay', 's-00000000'])).code, 6)
  })

  it('prints a transcript off a terminal, and what was hostile is inert', async () => {
    const { code, out, err } = await as('ana', ['replay', id])
    assert.equal(code, 0, err)
    assert.match(out, new RegExp(`^${id} · ana@acme\\.example via test · shop/\\S+ \\S+\\nbegan `))
    assert.match(out, /\d\d:\d\d:\d\d {2}select id, note from orders order by id limit 2\n/)
    assert.match(out, /\n {10}id {2}note\n {10}1 {3}note 1\n/)
    assert.match(out, /\n {10}\$1 = "changed"\n/)
    assert.match(out, /✗ denied by no-drop, not run\n.*Nobody drops tables here/)
    assert.match(out, /✗ ERROR 42703: column "nothing" does not exist\n/)
    assert.ok(out.includes('␛]52;c;aGk=␇'), out)
    assert.doesNotMatch(out + err, DANGEROUS)
    const few = await as('ana', ['replay', id, '--only', 'denied', '--no-results'])
    assert.ok(few.out.includes('drop table orders') && !few.out.includes('limit 2'), few.out)
    assert.equal((await as('ana', ['replay', id, '--only', 'all'])).code, 2)
    assert.equal((await as('ana', ['replay'])).code, 2)
  })

  it('puts every replay on record', async () => {
    const before = (await onRecord('"action":"replay"')).length
    await as('ben', ['replay', id])
    const records = await until('the record', async () => {
      const found = await onRecord('"action":"replay"')
      return found.length > before && found
    })
    assert.match(records.at(-1) ?? '', new RegExp(`"user":"ben@acme.example".*session:${id}`))
  })

  it('exports to files that only their owner reads, and replaces none', async () => {
    for (const format of ['cast', 'html', 'sql', 'txt', 'jsonl']) {
      const path = join(cli.home, `session.${format}`)
      const { code, err } = await as('ana', ['replay', id, '--export', path])
      assert.equal(code, 0, err)
      const text = await readFile(path, 'utf8')
      assert.equal((await stat(path)).mode & 0o777, 0o600)
      assert.equal(err, `✓ ${path}: ${Buffer.byteLength(text)} bytes\n`)
      assert.ok(text.includes('update orders set note'), text)
      if (format === 'cast' || format === 'jsonl') {
        for (const line of text.trimEnd().split('\n')) JSON.parse(line)
      } else assert.doesNotMatch(text, DANGEROUS)
      assert.equal((await as('ana', ['replay', id, '--export', path])).code, 2)
      assert.equal((await as('ana', ['replay', id, '--export', path, '--force'])).code, 0)
    }
    const unclear = await as('ana', ['replay', id, '--export', join(cli.home, 'x.zip')])
    assert.equal(unclear.code, 2)
  })

  it('reads a recording file without a server, and finds what was changed', async () => {
    const day = new Date().toISOString().slice(0, 10)
    const file = join(gate.directory, 'state', 'recordings', day, `${id}.dbgr`)
    const offline = await cli.run(['replay', '--file', file])
    const online = await as('ana', ['replay', id])
    assert.deepEqual([offline.code, offline.out], [0, online.out], offline.err)
    const bytes = await readFile(file)
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
    const changed = join(cli.home, 'changed.dbgr')
    await appendFile(changed, bytes)
    assert.equal((await cli.run(['replay', '--file', changed])).code, 11)
    assert.equal((await cli.run(['replay', '--file', '/no/such/file'])).code, 6)
  })

  it('exports SQL that psql runs again, and that runs nothing else', async () => {
    const path = join(cli.home, 'again.sql')
    assert.equal((await as('ana', ['replay', id, '--export', path])).code, 0)
    const again = await freshDatabase(await postgres18(), 'again')
    try {
      await again.query('create table orders(id int, note text)')
      await again.query(`insert into orders values (9, 'note 9')`)
      const ran = await run('psql', ['-X', '-v', 'ON_ERROR_STOP=on', '-f', path, again.url], {
        cwd: cli.home,
      })
      assert.deepEqual([ran.code, ran.stderr.toString()], [0, ''])
      assert.deepEqual((await again.query('select note from orders')).rows, [{ note: 'changed' }])
      assert.equal(existsSync('/tmp/owned'), false)
      assert.match(ran.stdout.toString(), /\(1 row\)|id \| +note/)
    } finally {
      await again.drop()
    }
  })

  it('tells who let through what was held', async () => {
    const client = await open('ana')
    const running = client.query('truncate orders')
    const request = await until('the hold', async () => {
      const { out } = await as('ben', ['requests', '--json'])
      return JSON.parse(out).data[0]?.id as string | undefined
    })
    const approve = await as('ben', ['approve', request, '--yes', '--reason', 'looks right'])
    assert.equal(approve.code, 0, approve.err)
    await running
    const live = (await listed('ana')).find(session => session.is_live)?.id ?? ''
    await client.end()
    const told = await until('the recording', async () => {
      const { out } = await as('ana', ['replay', live, '--at', request])
      return out.includes('ended: ') && out
    })
    const lines = told.split('\n').map(line => line.slice(10))
    const from = lines.indexOf('truncate orders')
    assert.match(lines[from + 1] ?? '', new RegExp(`^… held as ${request} by second-pair-of-eyes`))
    const decided = lines.find(line => line.startsWith('✓ '))
    assert.match(decided ?? '', /^✓ .*ben@acme\.example.*looks right/, told)
    assert.ok(
      lines.some(line => line.startsWith('TRUNCATE TABLE')),
      told,
    )
  })

  it('tells from the audit log what has no recording any more', async () => {
    const client = await open('ana')
    await client.query('select 1 as told_from_the_log')
    const live = await until('the session', async () =>
      (await listed('ana')).find(session => session.is_live),
    )
    await client.end()
    await until('the end', async () => {
      const found = (await listed('ana')).find(session => session.id === live.id)
      return found?.is_live === false
    })
    const day = new Date().toISOString().slice(0, 10)
    await rm(join(gate.directory, 'state', 'recordings', day, `${live.id}.dbgr`))
    const gone = await as('ana', ['replay', live.id])
    assert.equal(gone.code, 9, gone.out)
    assert.match(gone.err, new RegExp(`→ dbgate replay ${live.id} --no-results`))
    const told = await as('ana', ['replay', live.id, '--no-results'])
    assert.equal(told.code, 0, told.err)
    assert.match(told.out, /select 1 as told_from_the_log\n[\s\S]*ended: /)
  })

  it('watches a session that runs, until somebody ends it', async () => {
    const client = await open('ana')
    try {
      const live = await until('the session', async () =>
        (await listed('ana')).find(session => session.is_live),
      )
      const watching = cli.start(['sessions', 'watch', live.id, '--json'], env.ben)
      const lines = cli.start(['replay', live.id, '--follow'], env.ana)
      await client.query('select 1 as before_it_ends')
      for (const { said } of [watching, lines]) {
        await until('the statement', () => said.out.includes('before_it_ends'))
      }
      const own = ['sessions', 'end', live.id]
      assert.equal((await as('ana', own)).code, 2)
      assert.equal((await as('lee', [...own, '--yes'])).code, 5)
      assert.equal((await as('ana', ['sessions', 'end', live.id.slice(0, 6), '--yes'])).code, 2)
      const ended = await as('ben', [...own, '--yes', '--reason', 'runaway report'])
      assert.equal(ended.err, `✓ ${live.id} of ana@acme.example ended\n`)
      await assert.rejects(client.query('select 2'))
      assert.equal((await watching.ended).code, 0)
      const told = await lines.ended
      assert.equal(told.code, 0, told.err)
      assert.match(told.out, /session ended by ben@acme\.example: runaway report/)
      assert.equal((await as('ana', [...own, '--yes'])).code, 9)
      assert.equal((await onRecord('"type":"session.ended-by"')).length, 1)
    } finally {
      await client.end()
    }
  })

  it('ends a watch with ^C', async () => {
    const client = await open('ana')
    try {
      const live = await until('the session', async () =>
        (await listed('ana')).find(session => session.is_live),
      )
      const watching = cli.start(['sessions', 'watch', live.id], env.ana)
      await until('the head', () => watching.said.out.includes(live.id))
      watching.child.kill('SIGINT')
      assert.equal((await watching.ended).code, 130)
    } finally {
      await client.end()
    }
  })

  it('plays on a terminal of 80 by 24, with keys', async () => {
    const args = ['replay', id, '--paused']
    await on('ana', args, { columns: 80, rows: 24 }, async screen => {
      await shows(screen, /space play/)
      await screen.press('.')
      await shows(screen, /▶ \d\d:\d\d:\d\d +select id, note from orders.* 2 rows {2}/)
      await screen.press('Enter')
      await shows(screen, /\n {2}1 +note 1\n/)
      await screen.press('Escape')
      await shows(screen, /space play/)
      await screen.press('/', 'd', 'r', 'o', 'p', 'Enter')
      await shows(screen, /▶ .*drop table orders[\s\S]*✗ denied by no-drop, not run/)
      await screen.press('[')
      await shows(screen, /▶ .*select nothing/)
      await screen.press('?')
      await shows(screen, /next, previous marker/)
      await screen.press('?', 'm')
      await shows(screen, /only marked/)
      await screen.press('e', 'C-u')
      await shows(screen, /export from here to: s-/)
      await screen.press('Escape')
      await shows(screen, /space play/)
      await screen.press('g', '>', ' ')
      await shows(screen, /\[2x\]/)
      await shows(screen, /! the end/)
      assert.doesNotMatch(await screen.text(), DANGEROUS)
      await screen.press('q')
      await shows(screen, /exit 0/)
      assert.doesNotMatch(await screen.text(), /space play/)
    })
  })

  it('follows live on a terminal, and leaves with ^C', async () => {
    const client = await open('ana')
    try {
      const live = await until('the session', async () =>
        (await listed('ana')).find(session => session.is_live),
      )
      await on('ana', ['sessions', 'watch', live.id], { columns: 80, rows: 24 }, async screen => {
        await shows(screen, /live/)
        await client.query('select 1 as while_you_watch')
        await shows(screen, /▶ .*select 1 as while_you_watch/)
        await screen.press('C-c')
        await shows(screen, /exit 130/)
      })
    } finally {
      await client.end()
    }
  })

  it('replays from what audit search found, at the statement', async () => {
    const args = ['audit', 'search', `session:${id}`]
    await on('ana', args, { columns: 80, rows: 24 }, async screen => {
      await shows(screen, /▶ .*✗ no-drop +drop table orders[\s\S]*enter details {2}r replay/)
      await screen.press('k')
      await shows(screen, /▶ .*select nothing/)
      await screen.press('Enter')
      await shows(screen, /\n {2}kind +SELECT\n/)
      await screen.press('r')
      await shows(screen, /▶ .*select nothing[\s\S]*space play/)
      assert.doesNotMatch(await screen.text(), /drop table/)
      await screen.press('q')
      await shows(screen, /▶ .*select nothing[\s\S]*enter details/)
      await screen.press('q')
      await shows(screen, /drop table orders[\s\S]*exit 0/)
    })
  })

  it('prints lines on a terminal where CI is set, since no screen is drawn there', async () => {
    await on('ana', ['replay', id], { more: { CI: 'true' } }, async screen => {
      await shows(screen, /ended: [\s\S]*exit 0/)
      assert.match(await screen.text(), /began \d/)
    })
  })
})
