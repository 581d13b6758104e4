import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SAMPLE } from '../policy/sample.ts'
import { type Cli, person } from './cli.ts'

const WRONG = `version: 1
roles: { reader: { may: [read, wirte] } }
people: [{ groups: [a], roles: { prod: raeder } }]
`

describe('dbgate policy, without a server', function () {
  this.timeout(60_000)
  let cli: Cli
  let main: string
  let wrong: string
  let failing: string

  before(async () => {
    cli = await person()
    const dir = join(cli.home, 'policy')
    await mkdir(dir)
    ;[main = '', wrong = '', failing = ''] = ['main.yaml', 'wrong.yaml', 'failing.yaml'].map(name =>
      join(dir, name),
    )
    await writeFile(main, SAMPLE)
    await writeFile(wrong, WRONG)
    await writeFile(failing, SAMPLE.replace('gives: allowed', 'gives: held'))
  })
  after(() => cli.close())

  it('check says what the files come to', async () => {
    const { code, out, err } = await cli.run(['policy', 'check', main])
    assert.deepEqual([code, err], [0, ''])
    assert.match(out, /main\.yaml {2}3 roles, 6 rules, 1 limit, 3 tests\n/)
    assert.match(
      out,
      /\nprod {7}migrator ci-migrations · writer engineering, dba · reader support\n/,
    )
    assert.match(out, /\n {11}can be asked for: migrator engineering, dba · writer support\n/)
    const json = JSON.parse((await cli.run(['policy', 'check', main, '--json'])).out)
    assert.deepEqual(
      json.data.targets.map((each: { target: string }) => each.target),
      ['prod', 'analytics', 'staging'],
    )
  })

  it('check names every mistake where it stands', async () => {
    const { code, out, err } = await cli.run(['policy', 'check', wrong])
    assert.deepEqual([code, out], [3, ''])
    assert.match(err, /^✗ 2 problems in /)
    assert.match(err, /wrong\.yaml:2:32 {2}expected one of read, write,\s+ddl, admin\n/)
    assert.match(err, /wrong\.yaml:3:40 {2}there is no role "raeder", did\s+you mean "reader"\?\n/)
  })

  it('check wants files', async () => {
    assert.equal((await cli.run(['policy', 'check'])).code, 2)
    assert.equal((await cli.run(['policy', 'check', join(cli.home, 'none.yaml')])).code, 3)
  })

  it('test passes, or shows the difference', async () => {
    const passed = await cli.run(['policy', 'test', main])
    assert.deepEqual([passed.code, passed.out], [0, '✓ 5 passed\n'])
    const failed = await cli.run(['policy', 'test', failing])
    assert.equal(failed.code, 12)
    assert.match(failed.out, /^✗ .*failing\.yaml:\d+ {2}engineering on prod\n/)
    assert.match(
      failed.out,
      /\n {4}select email from users\n {2}- held\n {2}\+ allowed by role:writer\n/,
    )
    assert.match(failed.out, /\n✗ 4 passed, 1 failed\n$/)
    const json = await cli.run(['policy', 'test', failing, '--json', '--filter', 'email'])
    const { data } = JSON.parse(json.out)
    assert.deepEqual([json.code, data.passed, data.failed], [12, 0, 1])
  })

  const cases: readonly [sql: string, more: readonly string[], code: number, verdict: RegExp][] = [
    ['select 1', [], 0, /^● ALLOWED {3}select 1\n/],
    ['drop table orders', [], 5, /^✗ DENIED .*\n[\s\S]*no-drop-prod +matched +deny .*<- decided/],
    [
      'delete from orders where id = 1',
      ['--at', '2026-03-03T10:00:00+01:00'],
      8,
      /^… HELD .*\n[\s\S]*@dba/,
    ],
    ['select \u001b]52;c;aGk=\u0007', [], 5, /␛]52/],
  ]
  for (const [sql, more, code, verdict] of cases) {
    it(`explain gives ${code} for ${JSON.stringify(sql)}`, async () => {
      const args = ['policy', 'explain', '--file', main, '--groups', 'engineering', '--on', 'prod']
      const said = await cli.run([...args, '--sql', sql, ...more])
      assert.equal(said.code, code, said.err + said.out)
      assert.match(said.out, verdict)
      assert.doesNotMatch(said.out, /[\u0007\u001b]/)
    })
  }

  it('explain says as JSON what decided', async () => {
    const day = ['--at', '2026-03-03T10:00:00+01:00']
    const args = [
      'policy',
      'explain',
      '--file',
      main,
      '--groups',
      'support',
      '--on',
      'prod',
      ...day,
    ]
    const { code, out } = await cli.run([
      ...args,
      '--sql',
      'delete from orders where id = 1',
      '--json',
    ])
    const { data } = JSON.parse(out)
    assert.equal(code, 5)
    assert.deepEqual([data.verdict, data.decided_by], ['denied', ['role:reader']])
    assert.equal((await cli.run([...args.with(5, 'nobody'), '--sql', 'select 1'])).code, 6)
  })

  it('diff finds nothing between policies that say the same in another order', async () => {
    const again = join(cli.home, 'again.yaml')
    await writeFile(
      again,
      SAMPLE.replace('kind: [DROP, TRUNCATE]', 'kind: [TRUNCATE, DROP]')
        .replace(
          '  - groups: [support]\n    roles: { prod: reader }\n    may_request: { prod: [writer] }\n',
          '',
        )
        .replace(
          'people:\n',
          'people:\n  - { groups: [support], may_request: { prod: [writer] }, roles: { prod: reader } }\n  - { groups: [support], roles: { prod: reader } }\n',
        ),
    )
    const { code, out, err } = await cli.run(['policy', 'diff', main, again])
    assert.deepEqual([code, err], [0, ''])
    assert.equal(out, '✓ they say the same; of 5 statements in tests all come out as before\n')
  })

  it('diff names what two policies say differently, and whose statements come out otherwise', async () => {
    const next = join(cli.home, 'next.yaml')
    await writeFile(
      next,
      SAMPLE.replace('kind: [DROP, TRUNCATE]', 'kind: TRUNCATE')
        .replace('roles: { prod: reader }', 'roles: { prod: writer }')
        .replace('approve: { by: [dba], need: 1 }', 'approve: { by: [dba], need: 2 }')
        .replace('connections: 10', 'connections: 5')
        .replace(
          '\ntests:',
          '\nmasks: [{ on: [prod], columns: [users.email], mask: email }]\n\ntests:',
        ),
    )
    const { code, out, err } = await cli.run(['policy', 'diff', main, next])
    assert.deepEqual([code, err], [13, ''])
    assert.equal(
      out,
      `people @support on prod
  - role: reader
  + role: writer
access writer on prod
  - approve: 1 of dba, expires 15m, at most 4h, reason required
  + approve: 2 of dba, expires 15m, at most 4h, reason required
rule no-drop-prod
  - when kind: DROP, TRUNCATE
  + when kind: TRUNCATE
mask users.email on prod for every role
  + mask: email
limit reader on prod
  - connections: 10
  + connections: 5
limit writer on prod
  - connections: 10
  + connections: 5
test support on prod
    delete from orders where id = 1
  - denied by role:reader
  + held by prod-writes
test engineering via agent on prod
    drop table orders
  - denied by no-drop-prod
  + denied by role:writer
! 6 differences; of 5 statements in tests 2 come out otherwise
`,
    )
    const json = await cli.run(['policy', 'diff', main, next, '--json'])
    const { data } = JSON.parse(json.out)
    assert.deepEqual([json.code, json.err, data.same, data.tests], [13, '', false, 5])
    assert.deepEqual(data.changes[3], {
      about: 'mask',
      name: 'users.email on prod for every role',
      field: 'mask',
      old: null,
      new: 'email',
    })
    assert.equal(data.outcomes.length, 2)
  })

  it('diff takes folders, and says what of them does not validate', async () => {
    const folder = join(cli.home, 'policy')
    assert.equal((await cli.run(['policy', 'diff', main, folder])).code, 3)
    assert.equal((await cli.run(['policy', 'diff', main])).code, 2)
    assert.equal((await cli.run(['policy', 'diff', main, join(cli.home, 'none')])).code, 3)
  })
})
