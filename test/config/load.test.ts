import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { loadPolicy, loadServerConfig, publishedSchemas } from '../../src/config/index.ts'
import { ENV, POLICY, serverFile, withFiles } from './files.ts'

const load = (files: Readonly<Record<string, string>>, env: Record<string, string> = ENV) =>
  withFiles({ 'policy/main.yaml': POLICY, ...files }, async dir => ({
    dir,
    ...(await loadServerConfig(join(dir, 'dbgate.yaml'), env)),
  }))

describe('config/load', () => {
  it('fills in the defaults', async () => {
    const { dir, config, policy, warnings } = await load({ 'dbgate.yaml': serverFile() })
    assert.deepEqual(config, {
      file: join(dir, 'dbgate.yaml'),
      url: 'https://bastion.acme.dev',
      listen: { host: '0.0.0.0', port: 443 },
      postgresListen: undefined,
      tls: undefined,
      stateDir: join(dir, 'state'),
      policy: [join(dir, 'policy/*.yaml')],
      bypass: { everyMs: 300_000, except: [] },
      exports: [],
      drainMs: 30_000,
      limits: { startupMs: 10_000, messageBytes: 64 * 1024 * 1024, sessionsPerPrincipal: 50 },
      issuers: [
        {
          name: 'okta',
          kind: 'people',
          issuer: 'https://acme.okta.com',
          audience: ['0oa1b2c3d4e5'],
          algorithms: ['RS256', 'ES256', 'EdDSA', 'PS256'],
          clockToleranceMs: 30_000,
          clientId: '0oa1b2c3d4e5',
          clientSecret: undefined,
          claims: { user: 'email', name: 'name', groups: 'groups' },
          deviceLogin: false,
        },
      ],
      targets: [
        {
          name: 'prod',
          title: 'prod',
          host: 'db-main.internal',
          port: 5432,
          database: 'app',
          sslmode: 'verify-full',
          sslrootcert: undefined,
          localPort: 16_484,
          environment: undefined,
          databases: ['app'],
          roles: { reader: { from: 'env', user: 'PROD_USER', password: 'PROD_PASSWORD' } },
        },
      ],
      recording: {
        statements: 'all',
        parameters: 'masked',
        results: { rows: 50, bytes: 262_144 },
        keep: { sessionsMs: 400 * 86_400_000, resultsMs: 30 * 86_400_000 },
        isRequired: false,
        audit: { fsync: { everyMs: 1000 }, checkpoint: undefined },
      },
      auditors: { groups: [], users: [] },
      notify: [],
    })
    assert.deepEqual(policy, {
      version: 1,
      roles: { reader: { may: ['read'] } },
      people: [
        {
          groups: ['engineering'],
          roles: { prod: 'reader' },
          at: `${join(dir, 'policy/main.yaml')}:5`,
        },
      ],
      access: [],
      rules: [],
      limits: [],
      masks: [],
      functions: [],
      unknown: [],
      mode: [],
      tests: [],
    })
    assert.deepEqual(warnings, [])
  })

  it('takes all that may be said', async () => {
    const text = `version: 1
server:
  url: https://bastion.acme.dev/
  listen: '[::]:8443'
  tls: { cert: tls.crt, key: /etc/dbgate/tls.key }
  state: /var/lib/dbgate
  policy: [policy/*.yaml]
  postgres_listen: 127.0.0.1:5432
  drain: 2m
  limits: { startup: 5s, message: 1GiB, sessions_per_principal: 7 }
issuers:
  okta:
    issuer: https://acme.okta.com/
    client_id: x
    client_secret: { from: env, value: OKTA_SECRET }
    audience: [x, api://dbgate]
    algorithms: [ES384]
    claims: { user: upn, groups: realm_access.roles }
    clock_tolerance: 1m
    device_login: true
  github:
    kind: ci
    issuer: https://token.actions.githubusercontent.com
    audience: https://bastion.acme.dev
    accept:
      - match: { repository: acme/shop, environment: [production, staging] }
        as: ci/shop
        groups: [ci]
targets:
  prod:
    title: Shop, production
    url: postgres://[2001:db8::1]:6432/my%20app?sslmode=verify-ca&sslrootcert=db-ca.pem
    local_port: 6401
    environment: production
    databases: [my app, other]
    credentials:
      reader: { from: file, path: prod.json }
      writer: { from: exec, command: [/bin/pw, app], user: app, timeout: 3s, cache: 10m }
  local:
    url: postgresql://localhost/app
    credentials: { reader: { from: exec, command: [./pw] } }
recording: { audit: { fsync: each } }
auditors: { groups: [security], users: [kim@acme.dev] }
notify:
  db-approvals: { slack: { webhook: { from: env, value: SLACK_WEBHOOK } } }
  siem: { webhook: { url: https://siem.acme.dev/in, secret: { from: file, path: hook } } }
`
    const { dir, config, warnings } = await load({
      'dbgate.yaml': text,
      'prod.json': '{"user":"a","password":"b"}',
      'policy/main.yaml':
        'version: 1\nroles: { reader: { may: [read] }, writer: { may: [read, write] } }\n',
    })
    const [prod, local] = config.targets
    assert.deepEqual(prod, {
      name: 'prod',
      title: 'Shop, production',
      host: '2001:db8::1',
      port: 6432,
      database: 'my app',
      sslmode: 'verify-ca',
      sslrootcert: join(dir, 'db-ca.pem'),
      localPort: 6401,
      environment: 'production',
      databases: ['my app', 'other'],
      roles: {
        reader: { from: 'file', path: join(dir, 'prod.json') },
        writer: {
          from: 'exec',
          command: ['/bin/pw', 'app'],
          user: 'app',
          timeoutMs: 3000,
          cacheMs: 600_000,
        },
      },
    })
    assert.equal(local?.sslmode, 'prefer')
    assert.deepEqual(config.issuers[1], {
      name: 'github',
      kind: 'ci',
      issuer: 'https://token.actions.githubusercontent.com',
      audience: ['https://bastion.acme.dev'],
      algorithms: ['RS256', 'ES256', 'EdDSA', 'PS256'],
      clockToleranceMs: 30_000,
      accept: [
        {
          match: { repository: ['acme/shop'], environment: ['production', 'staging'] },
          as: 'ci/shop',
          groups: ['ci'],
        },
      ],
    })
    assert.deepEqual(config.notify, [
      { name: 'db-approvals', kind: 'slack', url: { from: 'env', value: 'SLACK_WEBHOOK' } },
      {
        name: 'siem',
        kind: 'webhook',
        url: 'https://siem.acme.dev/in',
        secret: { from: 'file', path: join(dir, 'hook') },
      },
    ])
    assert.deepEqual(config.listen, { host: '::', port: 8443 })
    assert.deepEqual(config.tls, { cert: join(dir, 'tls.crt'), key: '/etc/dbgate/tls.key' })
    assert.deepEqual(config.recording.audit.fsync, 'each')
    assert.equal(config.url, 'https://bastion.acme.dev')
    assert.deepEqual(
      warnings.map(({ line, column, message }) => `${line}:${column} ${message}`),
      [
        '32:10 sslmode verify-ca does not prove which server answers: the password may go to another',
        '45:37 environment variable SLACK_WEBHOOK is not set',
        `46:61 credential file ${join(dir, 'hook')} does not exist`,
      ],
    )
  })

  it('warns of what will not work or is not safe, without stopping', async () => {
    const text = serverFile({
      issuers: `issuers:
  demo: { issuer: 'http://127.0.0.1:9000', client_id: x }`,
      targets: `targets:
  prod:
    url: postgresql://db/app?sslmode=require
    credentials:
      reader: { from: env, user: PROD_USER, password: NOT_SET }
      raeder: { from: file, path: none.json }`,
    })
    const { dir, warnings } = await load({ 'dbgate.yaml': text })
    assert.deepEqual(
      warnings.map(({ line, message }) => [line, message.replaceAll(dir, '.')]),
      [
        [8, 'an issuer without https: only for trying things out'],
        [11, 'sslmode require does not prove which server answers: the password may go to another'],
        [13, 'environment variable NOT_SET is not set'],
        [14, 'no policy defines a role "raeder", did you mean "reader"?: nobody can use this'],
        [14, 'credential file ./none.json does not exist'],
      ],
    )
  })

  it('puts policy files together in the order of their names', async () => {
    const { dir, policy, files } = await load({
      'dbgate.yaml': serverFile(),
      'policy/a.yaml':
        'version: 1\npeople:\n  - users: [ana@acme.dev]\n    roles: { prod: reader }\n',
    })
    assert.deepEqual(
      policy.people.map(({ at }) => relative(dir, at ?? '')),
      ['policy/a.yaml:3', 'policy/main.yaml:5'],
    )
    assert.deepEqual(
      files.map(file => relative(dir, file)),
      ['dbgate.yaml', 'policy/a.yaml', 'policy/main.yaml'],
    )
  })

  it('gives another digest for another policy, and the same for the same', async () => {
    const digestOf = (policy: string) =>
      load({ 'dbgate.yaml': serverFile(), 'policy/main.yaml': policy }).then(l => l.policyDigest)
    const first = await digestOf(POLICY)
    assert.match(first, /^[0-9a-f]{64}$/)
    assert.equal(await digestOf(POLICY), first)
    assert.notEqual(await digestOf(`${POLICY}\n`), first)
  })

  it('returns values nobody can change', async () => {
    const { config, policy } = await load({ 'dbgate.yaml': serverFile() })
    const writable = (value: unknown): boolean =>
      typeof value === 'object' &&
      value !== null &&
      (!Object.isFrozen(value) || Object.values(value).some(writable))
    assert.equal(writable(config), false)
    assert.equal(writable(policy), false)
  })

  it('reads a policy without a server', async () => {
    await withFiles({ 'main.yaml': POLICY }, async dir => {
      const { policy } = await loadPolicy([join(dir, 'main.yaml')])
      assert.deepEqual(Object.keys(policy.roles), ['reader'])
    })
  })

  it('keeps a target’s port when other targets come and go', async () => {
    const portOf = async (more: string) => {
      const targets = `targets:
${more}
  prod:
    url: postgresql://db/app
    credentials: { reader: { from: env, user: PROD_USER, password: PROD_PASSWORD } }`
      const { config } = await load({ 'dbgate.yaml': serverFile({ targets }) })
      return config.targets.find(target => target.name === 'prod')?.localPort
    }
    const other = `  other: { url: 'postgresql://db/b', credentials: { reader: { from: exec, command: [x] } } }`
    assert.equal(await portOf(''), await portOf(other))
  })
})

describe('config/schema', () => {
  for (const [name, schema] of Object.entries(publishedSchemas())) {
    it(`publishes schema/${name}.json as the validation has it`, async () => {
      const path = join(import.meta.dirname, '../../schema', `${name}.json`)
      assert.deepEqual(
        JSON.parse(await readFile(path, 'utf8')),
        JSON.parse(JSON.stringify(schema)),
        'run: node test/config/write-schemas.ts',
      )
    })
  }

  it('describes the sections of both files', () => {
    const text = JSON.stringify(publishedSchemas())
    for (const key of ['credentials', 'client_id', 'postgres_listen', 'may', 'people']) {
      assert.match(text, new RegExp(`"${key}":\\{`))
    }
  })
})
