import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigProblems, loadServerConfig } from '../../src/config/index.ts'
import { ENV, POLICY, serverFile, unmark, withFiles } from './files.ts'

type Case = readonly [title: string, text: string, ...messages: readonly string[]]

/** Each `§` marks where a problem must be shown; the messages are in the order of the marks. */
const SERVER_CASES: readonly Case[] = [
  [
    'an unknown key with the nearest valid one',
    serverFile({
      server: `server:
  url: https://b.acme.dev
  §lisen: 0.0.0.0:443
  listen: 0.0.0.0:443
  state: state
  policy: policy/*.yaml`,
    }),
    'unknown key "lisen", did you mean "listen"?',
  ],
  [
    'a key that stands twice, and what comes after it',
    serverFile({
      targets: `targets:
  prod:
    url: postgresql://db/app
    §url: postgresql://db/app
    local_port: §80
    credentials: { reader: { from: env, user: A, password: B } }`,
    }),
    'key "url" stands here twice',
    'expected a whole number from 1024 to 65535',
  ],
  [
    'a missing key at the map that lacks it',
    serverFile({
      server: '§server:\n  url: https://b.acme.dev\n  state: s\n  policy: policy/*.yaml',
    }),
    'missing key "listen": expected an address like 0.0.0.0:443 or [::]:443',
  ],
  [
    'plain passwords wherever they stand',
    serverFile({
      server: `server:
  url: https://b.acme.dev
  listen: 0.0.0.0:443
  state: state
  §password: s3cret-one
  policy: policy/*.yaml`,
      targets: `targets:
  prod:
    url: §postgresql://app:s3cret-two@db/app
    credentials:
      reader: { from: file, path: x.json, §password: s3cret-three }
      writer: { from: env, user: A, password: §s3cret-four }`,
    }),
    'a plain password is refused here',
    'the url holds a password: use credentials instead',
    'a plain password is refused here',
    'expected the name of an environment variable, in capitals',
  ],
  [
    'a secret in the place of its source',
    serverFile({
      issuers: `issuers:
  okta: { issuer: 'https://acme.okta.com', client_id: x, client_secret: §s3cret-five }`,
    }),
    'expected a source like { from: file, path: /etc/dbgate/secret }, got text',
  ],
  [
    'what this version does not do yet',
    serverFile({
      issuers: `issuers:
  okta: { issuer: 'https://acme.okta.com', client_id: x, §session: { max: 12h } }`,
      targets: `targets:
  prod:
    url: postgresql://db/app
    §mode: observe
    credentials:
      reader: { from: §vault, path: database/creds/app }
      writer: { from: §aws-iam, region: eu-west-1 }`,
      recording: `recording:
  statements: §held-and-denied
  results: { rows: 50, §masked: true }
  audit: { fsync: each, §file: /var/log/audit.jsonl }`,
    }),
    '"session": not supported by this version yet',
    '"mode": this stands in the policy, as mode: { prod: observe }',
    '"vault": not supported by this version yet',
    '"aws-iam": not supported by this version yet',
    '"held-and-denied": not supported by this version yet',
    '"masked": this is always so: what is recorded is what was shown',
    '"file": the audit log is kept under server.state',
  ],
  [
    'channels that would tell nobody, or the wrong ones',
    serverFile({
      notify: `notify:
  none: §{}
  both:
    §slack: { webhook: { from: env, value: HOOK } }
    webhook: { url: https://siem.acme.dev/in, secret: { from: env, value: KEY } }
  §Upper: { slack: { webhook: { from: env, value: HOOK } } }
  open: { slack: { webhook: §https://hooks.slack.com/services/s3cret-nine } }
  plain: { webhook: { url: §http://siem.acme.dev/in, secret: { from: env, value: KEY } } }
  unsigned: { §webhook: { url: http://127.0.0.1:9/in } }
  login: { webhook: { url: §https://ana:s3cret@siem.acme.dev/in, secret: { from: env, value: KEY } } }
  typed: §{ §slakc: { webhook: { from: env, value: HOOK } } }`,
    }),
    'expected either slack or webhook',
    'expected either slack or webhook',
    'expected a name of lower-case letters, digits, - and _, starting with a letter',
    'expected a source like { from: file, path: /etc/dbgate/secret }, got text',
    'expected https: whoever is on the way could read what is asked for, and by whom',
    'missing key "secret": expected a source like { from: file, path: /etc/dbgate/secret }',
    'expected a URL like https://siem.example.com/in',
    'expected either slack or webhook',
    'unknown key "slakc", did you mean "slack"?',
  ],
  [
    'the old name of targets',
    serverFile({ old: '§connections: {}' }),
    '"connections": this is called "targets"',
  ],
  [
    'booleans and durations that are none',
    serverFile({
      server: `server:
  url: https://b.acme.dev
  listen: 0.0.0.0:443
  state: state
  policy: policy/*.yaml
  drain: §30
  limits: { startup: §10 sec, message: §64MB, sessions_per_principal: §0 }`,
      issuers: `issuers:
  okta: { issuer: 'https://acme.okta.com', client_id: x, device_login: §yes, clock_tolerance: §2h }`,
      recording: 'recording: { audit: { fsync: §sometimes } }',
    }),
    'expected a duration like 30s, 15m, 4h or 400d, got 30',
    'expected a duration like 30s, 15m, 4h or 400d',
    'expected a size like 64KiB, 16MiB or 1GiB',
    'expected a whole number from 1 to 10000',
    'expected true or false, got text',
    'expected between 0ms and 5m',
    'expected each, or a duration like 50ms, 1s or 1m',
  ],
  [
    'checkpoints where they cannot be put',
    serverFile({
      recording: `recording:
  results: { rows: §-1 }
  keep: { results: §1h }
  audit: { checkpoint: { every: 5m, to: §s3://acme-audit/dbgate/ } }`,
    }),
    'expected a whole number from 0 to 10000',
    'expected between 1d and 10000d',
    'buckets are not supported by this version yet: expected the path of a file',
  ],
  [
    'algorithms that prove nothing',
    serverFile({
      issuers: `issuers:
  okta:
    issuer: https://acme.okta.com
    client_id: x
    algorithms: [RS256, §none, §HS256, §RS265]`,
    }),
    'algorithm none is refused: it is no signature',
    'HS algorithms are refused: who can check such a token can also forge one',
    'expected one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA',
  ],
  [
    'issuers that can be impersonated or confused',
    serverFile({
      issuers: `issuers:
  plain: { issuer: §'http://id.acme.dev', client_id: x }
  one: { issuer: 'https://id.acme.dev', client_id: x }
  §two: { issuer: 'https://id.acme.dev', client_id: y, audience: [z, x] }`,
    }),
    'expected https: whoever is on the way could forge every sign-in',
    'the same issuer and audience as "one": nobody could tell their tokens apart',
  ],
  [
    'job issuers that would let in everybody',
    serverFile({
      issuers: `issuers:
  github:
    kind: ci
    issuer: https://token.actions.githubusercontent.com
    audience: https://b.acme.dev
    accept:
      - { match: §{ environment: production }, as: ci/one }
      - { match: §{}, as: ci/two }
      - { match: { repository: acme/shop }, as: §ana@acme.dev }
  gitlab:
    kind: ci
    issuer: https://gitlab.com
    audience: https://b.acme.dev
    accept: §[]
  other: { kind: §robots, issuer: 'https://x.dev' }`,
    }),
    'match must say whose job it is: one of repository, repository_id, repository_owner, repository_owner_id, sub',
    'match needs at least one claim, or every job anywhere would be let in',
    'expected a name like ci/shop-migrations',
    'expected a list of { match, as, groups } with at least one entry',
    'expected one of people, ci',
  ],
  [
    'target URLs that are none',
    serverFile({
      targets: `targets:
  a: { url: §'mysql://db/app', credentials: { reader: { from: env, user: A, password: B } } }
  b: { url: §'postgresql://db1:5432,db2:5432/app', credentials: { reader: { from: env, user: A, password: B } } }
  c: { url: §'postgresql://db:5432', credentials: { reader: { from: env, user: A, password: B } } }
  d: { url: §'postgresql://db/app?sslmode=allow', credentials: { reader: { from: env, user: A, password: B } } }
  e: { url: §'postgresql://db/app?options=x', credentials: { reader: { from: env, user: A, password: B } } }
  f: { url: 'postgresql://db/app?sslmode=require', §sslmode: require, credentials: { reader: { from: env, user: A, password: B } } }
  g: { url: 'postgresql://db/app', databases: §[shop], credentials: §{} }
  h: { url: 'postgresql://db/app', local_port: 6401, credentials: { reader: { from: env, user: A, password: B } } }
  i: { url: 'postgresql://db/app', local_port: §6401, credentials: { reader: { from: env, user: A, password: B } } }
  §J: { url: 'postgresql://db/app', local_port: 6402, credentials: { §Reader: { from: env, user: A, password: B } } }`,
    }),
    'expected a URL like postgresql://db.example.com:5432/app',
    'expected one host and port, like postgresql://db.example.com:5432/app',
    'the url needs a database after the host',
    'expected sslmode to be one of disable, prefer, require, verify-ca, verify-full',
    'the url may only carry sslmode and sslrootcert, not options',
    'sslmode stands in the url already: say it once',
    'databases must hold the database of the url',
    'credentials needs at least one role',
    'local_port 6401 is that of "h" too',
    'expected a name of lower-case letters, digits, - and _, starting with a letter',
    'expected a name of lower-case letters, digits, - and _, starting with a letter',
  ],
  [
    'policy patterns without a file',
    serverFile({
      server: `server:
  url: https://b.acme.dev
  listen: 0.0.0.0:443
  state: state
  policy: [policy/*.yaml, §policies/*.yaml]`,
    }),
    'no policy file matches this',
  ],
  [
    'broken syntax, and nothing that only follows from it',
    'version: 1\nserver:\n  url: [https://b.acme.dev\n§issuers: {}\n',
    'not valid YAML: flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  [
    'tags, loose aliases and odd keys',
    serverFile({
      auditors: 'auditors: { groups: [§!secret dba], users: §§*nobody, §[a, b]: c }',
    }),
    'tags are not used here',
    'expected a list of users, got nothing',
    'this alias has no anchor before it',
    'a key must be a plain word',
  ],
  ['another version', serverFile({ version: 'version: §2' }), 'expected version 1'],
]

const POLICY_CASES: readonly Case[] = [
  [
    'targets and roles that do not exist or have no credential',
    `version: 1
roles: { reader: { may: [read] }, writer: { may: [read, §wirte] } }
people:
  - groups: [engineering]
    roles: { §prd: reader }
  - users: [ana@acme.dev]
    roles: { prod: §writer }
  - users: [ben@acme.dev]
    roles: { prod: §raeder }
  - §roles: { prod: reader }`,
    'expected one of read, write, ddl, admin',
    'there is no target "prd", did you mean "prod"?',
    'target "prod" has no credential for role "writer"',
    'there is no role "raeder", did you mean "reader"?',
    'this needs groups, users or both',
  ],
]

async function problemsOf(files: Readonly<Record<string, string>>): Promise<ConfigProblems> {
  return withFiles(files, async dir => {
    try {
      await loadServerConfig(join(dir, 'dbgate.yaml'), ENV)
    } catch (error) {
      assert.ok(error instanceof ConfigProblems, String(error))
      return error
    }
    return assert.fail('the files were taken')
  })
}

function shown({ problems }: ConfigProblems): string[] {
  return problems.map(({ line, column, message }) => `${line}:${column} ${message}`)
}

describe('config/problems', () => {
  for (const [title, marked, ...messages] of SERVER_CASES) {
    it(`shows ${title}`, async () => {
      const { text, places } = unmark(marked)
      const error = await problemsOf({ 'dbgate.yaml': text, 'policy/main.yaml': POLICY })
      const own = error.problems.filter(problem => problem.file.endsWith('dbgate.yaml'))
      const other = error.problems.filter(problem => !problem.file.endsWith('dbgate.yaml'))
      const expected = messages.map((message, index) => `${places[index]} ${message}`)
      assert.deepEqual(
        own.map(({ line, column, message }) => `${line}:${column} ${message}`),
        expected,
      )
      for (const problem of other) assert.match(problem.message, /^there is no target "prod"/)
      assert.doesNotMatch(`${error.message}${error.detail}${error.hint}`, /s3cret/)
    })
  }

  for (const [title, marked, ...messages] of POLICY_CASES) {
    it(`shows ${title} in a policy`, async () => {
      const { text, places } = unmark(marked)
      const error = await problemsOf({ 'dbgate.yaml': serverFile(), 'policy/main.yaml': text })
      assert.deepEqual(
        shown(error),
        messages.map((message, index) => `${places[index]} ${message}`),
      )
    })
  }

  it('shows the problems of all files in one run, each with its line', async () => {
    const error = await problemsOf({
      'dbgate.yaml': serverFile({ version: 'version: 3' }),
      'policy/a.yaml': 'version: 1\nroles:\n  reader: { may: [read] }\npeple: []\n',
      'policy/b.yaml': 'version: 1\nroles:\n  reader: { may: [write] }\n',
      'policy/c.yaml': 'version: 1\nroles: [\n',
    })
    assert.equal(error.code, 'INVALID')
    assert.equal(error.exitCode, 3)
    assert.deepEqual(
      error.problems.map(({ file, line, excerpt }) => [file.split('/').at(-1), line, excerpt]),
      [
        ['dbgate.yaml', 1, 'version: 3'],
        ['a.yaml', 4, 'peple: []'],
        ['b.yaml', 3, 'reader: { may: [write] }'],
        ['c.yaml', 3, ''],
      ],
    )
    assert.match(
      error.detail ?? '',
      /a\.yaml:4:1 {2}unknown key "peple", did you mean "people"\?\n/,
    )
  })

  it('names files that are missing, not text or a directory', async () => {
    await withFiles({}, async dir => {
      const messageOf = (path: string) =>
        loadServerConfig(path, ENV).then(
          () => assert.fail('taken'),
          error => error.problems[0].message,
        )
      await writeFile(join(dir, 'latin.yaml'), Buffer.from([0x61, 0xff, 0xfe]))
      assert.equal(await messageOf(join(dir, 'none.yaml')), 'there is no such file')
      assert.equal(await messageOf(dir), 'this is a directory')
      assert.equal(await messageOf(join(dir, 'latin.yaml')), 'the file is not UTF-8')
    })
  })

  it('gives up on aliases that grow without end', async () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
    for (let i = 1; i < 9; i += 1) {
      lines.push(
        `a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      )
    }
    const error = await problemsOf({ 'dbgate.yaml': lines.join('\n') })
    assert.ok(error.problems.some(problem => problem.message === 'the file has too many values'))
  })
})
