import assert from 'node:assert/strict'
import { join } from 'node:path'
import { ConfigProblems, loadPolicy, loadServerConfig } from '../../src/config/index.ts'
import { SAMPLE } from '../policy/sample.ts'
import { ENV, serverFile, unmark, withFiles } from './files.ts'

const SERVER = serverFile({
  targets: `targets:
  prod:
    url: postgresql://db-main.internal:5432/app
    environment: production
    credentials:
      reader: { from: env, user: PROD_USER, password: PROD_PASSWORD }
      writer: { from: env, user: PROD_USER, password: PROD_PASSWORD }
      migrator: { from: env, user: PROD_USER, password: PROD_PASSWORD }
  analytics:
    url: postgresql://wh.internal:5432/warehouse
    credentials: { reader: { from: env, user: PROD_USER, password: PROD_PASSWORD } }
  staging:
    url: postgresql://db-staging.internal:5432/app
    credentials: { writer: { from: env, user: PROD_USER, password: PROD_PASSWORD } }`,
})

const HEAD = `version: 1
roles: { reader: { may: [read] }, writer: { may: [read, write] }, migrator: { may: [ddl] } }
people: [{ groups: [engineering], roles: { prod: writer } }]
`

/** What is wrong with a policy, as `line:column message`. */
async function problemsOf(policy: string): Promise<string[]> {
  return withFiles({ 'dbgate.yaml': SERVER, 'policy/main.yaml': policy }, async dir => {
    try {
      await loadServerConfig(join(dir, 'dbgate.yaml'), ENV)
    } catch (error) {
      assert(error instanceof ConfigProblems, String(error))
      return error.problems.map(({ line, column, message, hint }) => {
        return `${line}:${column} ${message}${hint === undefined ? '' : ` | ${hint}`}`
      })
    }
    return assert.fail('the policy was taken')
  })
}

async function warningsOf(policy: string): Promise<string[]> {
  return withFiles({ 'dbgate.yaml': SERVER, 'policy/main.yaml': policy }, async dir => {
    const { warnings } = await loadServerConfig(join(dir, 'dbgate.yaml'), ENV)
    return warnings.map(({ line, column, message }) => `${line}:${column} ${message}`)
  })
}

const MESSAGE = 'x'.repeat(240)

/** Each `§` marks where a problem must be shown; the messages are in the order of the marks. */
const TABLE: readonly (readonly [title: string, text: string, ...messages: readonly string[]])[] = [
  [
    'keys that are none, with the nearest',
    `rules:
  - name: a
    §onn: [prod]
    when: { §clas: write, unless: { §group: [x] }, or: [{ kind: DROP, §tabels: [t] }] }
    then: deny
    §sya: No.
  - name: b
    then: { approve: { by: [dba], §needs: 2 }, §hodl: 30s }
limits: [{ §row: { max: 1 }, time: 1s }]
access: [{ grant: { prod: [writer] }, max: 1h, approve: { by: [dba] }, §break: x }]
tests: [{ as: { §group: [x], user: a }, on: prod, expect: [{ sql: SELECT 1, gives: allowed, §rul: x }] }]`,
    'unknown key "onn", did you mean "on"?',
    'unknown key "clas", did you mean "class"?',
    'unknown key "group", did you mean "groups"?',
    'unknown key "tabels", did you mean "tables"?',
    'unknown key "sya", did you mean "say"?',
    'unknown key "needs", did you mean "need"?',
    'unknown key "hodl", did you mean "hold"?',
    'unknown key "row", did you mean "rows"?',
    'unknown key "break" | Valid here: grant, max, reason, approve, notify, break_glass.',
    'unknown key "group", did you mean "groups"?',
    'unknown key "rul", did you mean "rule"?',
  ],
  [
    'words that are not on the list, with the nearest',
    `rules:
  - name: a
    when:
      class: §wirte
      kind: [§TRUNCTE, DROP, §DROP TABEL, §COPY PROGRAMM]
      hazards: [files, §progam]
      where: §mising
    then: §denny
  - name: b
    then: { approve: { by: [dba], presence: §stepup }, in_transaction: §abort }
functions: { app.total: §read, §"app.*": reads }
unknown: §reject
mode: { prod: §watch }
limits: [{ rows: { max: 10, over: §fail } }]`,
    'expected one of read, write, ddl, admin, session, transaction | Did you mean write?',
    'expected a kind of statement like DELETE, DROP TABLE or COPY PROGRAM, did you mean "TRUNCATE"?',
    'expected a kind of statement like DELETE, DROP TABLE or COPY PROGRAM, did you mean "DROP TABLE"?',
    'expected a kind of statement like DELETE, DROP TABLE or COPY PROGRAM, did you mean "COPY PROGRAM"?',
    'expected one of files, program, code, roles, settings, server, replication, extension, network, sleep, advisory-lock, sequence, large-object, unknown | Did you mean program?',
    'expected one of missing, trivial, present | Did you mean missing?',
    'expected allow, deny or a map with approve | Did you mean deny?',
    'expected step-up | Did you mean step-up?',
    'expected wait or fail',
    'expected reads, writes or admin | Did you mean reads?',
    'expected a function like total or app.total',
    'expected deny or hold',
    'expected enforce or observe',
    'expected error or cut',
  ],
  [
    'values of another shape',
    `rules:
  - name: a
    when:
      tables: [§a.b.c, public.orders]
      time: { outside: §"Mo-Fr 7-19", zone: §Europe/Berln }
      rows_estimate: §"< 5"
      in_transaction: §yes
    then: { approve: { by: §[], need: §0, self: §true, expires: §1s }, hold: §90 }
  - name: b
    when: { time: §{ zone: UTC }, unless: §{} }
    then: deny
  - name: §Bad Name
    when: §{ or: { kind: DROP } }
    then: deny
limits: [§{ on: [prod] }, { time: §1ms }]
tests: [{ as: §{ via: x }, on: prod, at: §yesterday, expect: §[] }]`,
    'expected a table like orders, public.orders or audit.*',
    'expected a window like "Mon-Fri 07:00-19:00", "Sat,Sun" or "22:00-06:00"',
    'expected a time zone like Europe/Berlin, did you mean "Europe/Berlin"?',
    'expected a bound like "> 1000"',
    'expected true or false, got text | Only true and false are booleans; yes, no, on and off are text.',
    'expected a list of groups with at least one entry',
    'expected a whole number from 1 to 10',
    'expected false: nobody approves their own',
    'expected between 1m and 7d',
    'expected a duration like 30s, 15m, 4h or 400d, got 90',
    'time needs either inside or outside',
    'this needs at least one key, or it would hold for everything',
    'expected a name of lower-case letters, digits, - and _, starting with a letter',
    'or adds to the other keys: there are none',
    'this needs time, connections or statements_per_minute',
    'expected a duration like 30s, 15m, 4h or 400d',
    'this needs groups, user or both',
    'expected a time like 2026-03-03T10:00:00+01:00',
    'expected a list of { sql, gives, rule } with at least one entry',
  ],
  [
    'names that stand for nothing',
    `access:
  - grant: { §prd: [writer], prod: [§wirter], staging: [§reader] }
    max: 1h
    approve: { by: [dba] }
rules:
  - name: a
    on: [prod, §stagin, "*"]
    when: { environment: §prodution, or: [{ environment: [production, §dev] }] }
    then: deny
  - { name: §a, then: deny }
  - { name: §role, then: deny }
limits: [{ on: [§prd], roles: [writer, §redaer], time: 1s }]
unknown: { prod: hold, production: deny, §prduction: deny }
mode: { §production: enforce }
tests:
  - as: { groups: [x], role: §ownr }
    on: §prd
    expect: [{ sql: SELECT 1, gives: denied, rule: §b }, { sql: SELECT 1, gives: denied, rule: a }]`,
    'there is no target "prd", did you mean "prod"?',
    'there is no role "wirter", did you mean "writer"?',
    'target "staging" has no credential for role "reader" | It has: writer.',
    'there is no target "stagin", did you mean "staging"?',
    'there is no environment "prodution", did you mean "production"?',
    'there is no environment "dev"',
    'rule "a" is defined at …/main.yaml:9 already',
    '"role" names what dbgate decides by itself: choose another name',
    'there is no target "prd", did you mean "prod"?',
    'there is no role "redaer", did you mean "reader"?',
    'there is no target or environment "prduction", did you mean "production"?',
    'there is no target "production"',
    'there is no role "ownr"',
    'there is no target "prd", did you mean "prod"?',
    'there is no rule "b", did you mean "a"?',
  ],
  [
    "what would rest on the client's own word",
    `rules:
  - { name: a, when: { class: write, unless: { §via: psql } }, then: deny }
  - { name: b, when: { class: write, unless: [{ groups: [x], §application: y }] }, then: { approve: { by: [dba] } } }
  - { name: c, when: { §via: psql, class: write }, then: allow }
  - { name: d, when: { via: agent, or: { application: x } }, then: deny }`,
    "via is the client's own word and may only make things stricter: it can't take a rule away",
    "application is the client's own word and may only make things stricter: it can't take a rule away",
    "via is the client's own word and may only make things stricter: it can't allow anything",
  ],
  [
    'access that nobody decides about, or without a bound',
    `access:
  - §grant: { prod: [writer] }
    max: 1h
  - §grant: { prod: [writer] }
    approve: { by: [dba] }
  - grant: { prod: [writer] }
    §max: 1h
    break_glass: { for: [x], max: 1h }
  - grant: §{}
    max: 1h
    approve: { by: [dba] }`,
    'this needs approve or break_glass',
    'missing key "max": expected a duration like 4h',
    'max goes with approve; the one for emergencies stands under break_glass',
    'grant needs at least one target',
  ],
  [
    'answers that would be cut',
    `rules:
  - { name: a, then: deny, §say: ${MESSAGE}, next: ${MESSAGE} }
  - { name: b, then: deny, say: ok, next: fine }
  - { name: c, then: deny, §say: ${MESSAGE}${MESSAGE} }`,
    'its answer is 522 characters long, and 300 are shown: shorten say or next',
    'its answer is 522 characters long, and 300 are shown: shorten say or next',
  ],
  [
    'what has another name',
    `§connections: {}
rules: [{ name: a, then: { approve: { by: [dba] }, §mask: [x] } }]`,
    '"connections": this is called "targets"',
    '"mask": what is masked stands under masks',
  ],
  [
    'masks that are none',
    `masks:
  - labels: { "pii:email": §emial, "pii:x": { §keep_lst: 4 }, §"pii email": redact }
    §reveel: [dba]
  - columns: [§ssn, users.email, §a.b.c.d]
    mask: §hsah
  - columns: [users.ssn]
    mask: { keep_last: §9 }
    filters: §equalty
    writes: §never
    derived: §mask
  - columns: [users.ssn]
    mask: redact
    §role: [reader]
  - §mask: redact
  - values: { matches: §card-numbr }
    mask: §{}
  - §columns: [users.ssn]
  - labels: { "pii:*": redact }
    §mask: redact
    §domain: customer
  - columns: [users.ssn]
    on: [§prdo]
    roles: [§redaer]
    mask: nullify
    filters: { §approve: { need: 2 }, §hodl: 3s }
  - values: { matches: email }
    mask: redact
    §filters: allow
tests:
  - { as: { groups: [x] }, on: prod, expect: [{ sql: SELECT 1, gives: §maskd, columns: { a: §hid } }] }`,
    'expected one of redact, nullify, email, hash, token, year | Did you mean email?',
    'unknown key "keep_lst", did you mean "keep_last"?',
    'expected a label like pii:email or pii:*',
    'unknown key "reveel", did you mean "reveal"?',
    'expected a column like users.email, public.users.ssn or *.password*',
    'expected a column like users.email, public.users.ssn or *.password*',
    'expected one of redact, nullify, email, hash, token, year | Did you mean hash?',
    'expected a whole number from 1 to 8',
    'expected deny, equality or allow | Did you mean equality?',
    'expected deny or allow',
    'expected deny or redact',
    'unknown key "role", did you mean "roles"?',
    'this needs labels, columns or values',
    'expected one of card-number, email, national-id | Did you mean card-number?',
    'this needs keep_last, keep_first or both',
    'missing key "mask": expected what is shown instead, like redact',
    'labels say their masks themselves: mask goes with columns and values',
    'domain goes with hash: nothing here is hashed',
    'there is no target "prdo", did you mean "prod"?',
    'there is no role "redaer", did you mean "reader"?',
    'missing key "by": expected a list of groups',
    'unknown key "hodl", did you mean "hold"?',
    'filters is about columns, and values names none',
    'expected one of allowed, masked, denied, held | Did you mean masked?',
    'expected one of shown, redact, nullify, email, token, hash, keep, year',
  ],
]

describe('config/policy', () => {
  for (const [title, marked, ...messages] of TABLE) {
    it(`shows ${title}`, async () => {
      const { text, places } = unmark(HEAD + marked)
      const got = (await problemsOf(text)).map(line =>
        line.replace(/ at \S*\/main\.yaml/, ' at …/main.yaml'),
      )
      assert.deepEqual(
        got,
        messages.map((message, index) => `${places[index] ?? '?'} ${message}`),
      )
    })
  }

  it('takes the sample policy, and says that nobody is told yet', async () => {
    assert.deepEqual(await warningsOf(SAMPLE), [
      '31:57 there is no notify "db-approvals" in dbgate.yaml',
      '54:16 there is no notify "db-approvals" in dbgate.yaml',
      '61:16 there is no notify "db-approvals" in dbgate.yaml',
    ])
  })

  it('says what is taken but may not be meant', async () => {
    const warnings = await warningsOf(`${HEAD}  # nothing
rules: [{ name: a, when: { time: { inside: Sat } }, then: deny }]
mode: { prod: observe }
access: [{ grant: { prod: [writer] }, max: 1h, approve: { by: [dba] } }]`)
    assert.deepEqual(warnings, [
      '5:28 no zone: these are hours in UTC',
      '6:15 observe: nothing is denied or held on "prod"',
    ])
    const unasked = await warningsOf(
      HEAD.replace(
        'roles: { prod: writer }',
        'roles: { prod: writer }, may_request: { prod: [migrator] }',
      ),
    )
    assert.deepEqual(unasked, [
      '3:82 no access entry says who approves "migrator" on "prod": it can\'t be asked for',
    ])
  })

  it('puts the most exact label of an entry first, and keeps what is left unsaid unsaid', async () => {
    const policy = `${HEAD}masks:
  - labels: { "*": redact, "pii:*": nullify, "pii:email": email, "pii:phone": { keep_last: 4 } }
    reveal: [dba]
  - columns: [users.id]
    values: { matches: card-number }
    via: agent
    mask: hash
    domain: user
    filters: { approve: { by: [dba] }, hold: 10s }
    writes: deny
    derived: redact
`
    await withFiles({ 'main.yaml': policy }, async dir => {
      const file = join(dir, 'main.yaml')
      const [labels, columns] = (await loadPolicy([file])).policy.masks ?? []
      assert.deepEqual(labels, {
        on: ['*'],
        roles: undefined,
        via: undefined,
        reveal: ['dba'],
        labels: [
          { label: 'pii:email', mask: { kind: 'email' } },
          { label: 'pii:phone', mask: { kind: 'keep', first: 0, last: 4 } },
          { label: 'pii:*', mask: { kind: 'nullify' } },
          { label: '*', mask: { kind: 'redact' } },
        ],
        columns: [],
        values: [],
        mask: undefined,
        filters: undefined,
        writes: undefined,
        derived: undefined,
        at: `${file}:5`,
      })
      assert.deepEqual(columns?.mask, { kind: 'token', domain: 'user' })
      assert.deepEqual(columns?.via, ['agent'])
      assert.deepEqual(columns?.values, ['card-number'])
      assert.equal(columns?.filters?.does, 'approve')
      assert.deepEqual(columns?.writes, { does: 'deny' })
    })
  })

  it('fills in what is left out', async () => {
    await withFiles(
      {
        'a.yaml': `version: 1
rules:
  - { name: ask, when: { class: write }, then: { approve: { by: [dba] } } }
  - { name: night, on: [prod], when: { time: { outside: "mon-fri  07:00-19:00", zone: UTC } }, then: deny }
  - { name: many, when: { kind: [drop table, Copy], rows_estimate: "> 10" }, then: allow, say: Hm. }
unknown: hold
functions: { app.total: reads }
tests:
  - as: { user: ana@acme.dev }
    on: prod
    at: 2026-03-03T10:00:00+01:00
    expect: [{ sql: SELECT 1, gives: allowed }]`,
      },
      async dir => {
        const { policy } = await loadPolicy([join(dir, 'a.yaml')])
        const at = (line: number) => `${join(dir, 'a.yaml')}:${line}`
        assert.deepEqual(policy.rules, [
          {
            name: 'ask',
            on: ['*'],
            when: { class: ['write'] },
            or: [],
            unless: [],
            effect: {
              does: 'approve',
              approve: { by: ['dba'], need: 1, expiresMs: 900_000, presence: undefined },
              holdMs: 30_000,
              notify: [],
              inTransaction: 'wait',
            },
            say: undefined,
            next: undefined,
            at: at(3),
          },
          {
            name: 'night',
            on: ['prod'],
            when: {
              time: {
                is: 'outside',
                windows: [
                  {
                    text: 'mon-fri 07:00-19:00',
                    days: [0, 1, 2, 3, 4],
                    fromMinute: 420,
                    toMinute: 1140,
                  },
                ],
                zone: 'UTC',
              },
            },
            or: [],
            unless: [],
            effect: { does: 'deny' },
            say: undefined,
            next: undefined,
            at: at(4),
          },
          {
            name: 'many',
            on: ['*'],
            when: { kind: ['DROP TABLE', 'COPY'], rowsEstimate: { text: '> 10', atLeast: 11 } },
            or: [],
            unless: [],
            effect: { does: 'allow' },
            say: 'Hm.',
            next: undefined,
            at: at(5),
          },
        ])
        assert.deepEqual(policy.unknown, [{ on: '*', is: 'hold', at: at(6) }])
        assert.deepEqual(policy.functions, [{ name: 'app.total', does: 'reads', at: at(7) }])
        assert.deepEqual(policy.tests, [
          {
            as: {
              groups: [],
              user: 'ana@acme.dev',
              via: undefined,
              role: undefined,
              grant: undefined,
            },
            on: 'prod',
            time: Date.parse('2026-03-03T09:00:00Z'),
            expect: [
              {
                sql: 'SELECT 1',
                gives: 'allowed',
                rule: undefined,
                columns: undefined,
                rowsEstimate: undefined,
                inTransaction: false,
                at: at(12),
              },
            ],
          },
        ])
        assert(Object.isFrozen(policy.rules?.[0]?.when.class))
      },
    )
  })
})
