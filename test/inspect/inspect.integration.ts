import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import { MaskMemory } from '../../src/store/index.ts'
import { type Cli, person } from '../cli/cli.ts'
import { type Database, freshDatabase, postgres18, urlOf, withClient } from '../helpers/postgres.ts'

const POLICY = `version: 1
roles: { reader: { may: [read] }, owner: { may: [read, write, ddl, admin] } }
people: [{ groups: [eng], roles: { shop: reader } }, { groups: [dba], roles: { shop: owner } }]
masks:
  - labels: { "pii:email": hash, "pii:none": redact }
  - columns: [people.ssn, people.gone]
    mask: redact
    reveal: [dba]
  - columns: [people.born]
    mask: { keep_last: 4 }
tests:
  - as: { groups: [eng] }
    on: shop
    expect:
      - sql: select id, mail, ssn, row_to_json(p) as row from people p
        gives: masked
        columns: { id: shown, mail: token, ssn: redact, row: nullify }
      - { sql: select id from people, gives: allowed, columns: { id: shown } }
      - { sql: select id from people where ssn > '5', gives: denied, rule: mask }
      - { sql: select count(*) from plain, gives: allowed }
`

const SCHEMA = `
create table people (id int primary key, mail text, ssn text, born date, phone text, city text);
comment on column people.mail is 'Where receipts go. @dbgate pii:email';
comment on column people.city is '@dbgate geo';
create table plain (a int);
create view mails as select id, mail from people;
create view ids as select id from people;
create function peek() returns text language sql security definer as 'select max(ssn) from people';
insert into people values (1, 'ana@acme.dev', '912-45-6781', '1981-02-03', '1', 'Lyon');`

describe('inspect: what the databases say of a policy', function () {
  this.timeout(120_000)
  let cli: Cli
  let database: Database
  let config: string
  const suffix = process.pid
  const [login, admin] = [`insp_login_${suffix}`, `insp_admin_${suffix}`]

  before(async () => {
    cli = await person()
    const upstream = await postgres18()
    database = await freshDatabase(upstream, 'inspect')
    await database.query(SCHEMA)
    await database.query(`
      create role ${login} login password 'p';
      create role ${admin} superuser login password 'p';
      grant select, insert on people to ${login};
      grant select on mails, ids, plain to ${login};`)
    config = join(cli.home, 'dbgate.yaml')
    await writeFile(join(cli.home, 'policy.yaml'), POLICY)
    await writeFile(
      config,
      `version: 1
server: { url: "https://localhost:1", listen: "127.0.0.1:1", state: state, policy: policy.yaml }
issuers: { idp: { issuer: "https://idp.example", client_id: x } }
targets:
  shop:
    url: postgresql://${upstream.host}:${upstream.port}/${database.name}
    credentials:
      reader: { from: env, user: LOGIN, password: PASSWORD }
      owner: { from: env, user: ADMIN, password: PASSWORD }
`,
    )
  })
  after(async () => {
    await database?.query(`drop owned by ${login}; drop role ${login}`)
    await database?.drop()
    await withClient(urlOf(database.upstream, 'postgres'), client =>
      client.query(
        `drop role if exists ${admin}; drop role if exists dbgate_plain; drop role if exists dbgate_full`,
      ),
    )
    await cli?.close()
  })

  const dbgate = (...args: readonly string[]) =>
    cli.run([...args, '--config', config], { env: { LOGIN: login, ADMIN: admin, PASSWORD: 'p' } })

  it('check says which masks match nothing, show nothing, and what has none', async () => {
    const { code, err } = await dbgate('policy', 'check', '--databases')
    assert.equal(code, 0)
    const told = err.replaceAll(/\n {2,}/g, ' ')
    assert.match(told, /policy\.yaml:6 {2}shop: "people\.gone" matches no column/)
    assert.match(told, /policy\.yaml:5 {2}shop: no column is labelled "pii:none"/)
    assert.match(told, /shop: people\.city is labelled "geo", which masks nothing/)
    assert.match(told, /policy\.yaml:9 {2}shop: people\.born is of a type that keep does not fit/)
    assert.match(told, /shop: looks confidential and has no mask: people\.phone/)
    const strict = await dbgate('policy', 'check', '--databases', '--strict', '--json')
    assert.equal(strict.code, 3)
    assert.equal(JSON.parse(strict.out).data.masks.length, 5)
  })

  it('test holds masks against the schema, and says what it cannot without', async () => {
    const { code, out, err } = await dbgate('policy', 'test', '--databases')
    assert.deepEqual([code, out, err], [0, '✓ 4 passed\n', ''])
    const without = await dbgate('policy', 'test')
    assert.deepEqual([without.code, without.out], [0, '✓ 1 passed\n'])
    assert.match(without.err, /3 are about masks, which takes the databases/)
  })

  it('explain says of each column where it comes from and why', async () => {
    const explain = (groups: string, sql: string) =>
      dbgate('policy', 'explain', '--databases', '--on', 'shop', '--groups', groups, '--sql', sql)
    const { code, out } = await explain(
      'eng',
      'select m.id, m.mail, upper(ssn) from mails m, people',
    )
    assert.equal(code, 0)
    assert.match(out, /^● MASKED/)
    assert.match(out, /id +public\.people\.id +no mask matches +→ shown\n/)
    assert.match(out, /mail +public\.people\.mail +people\.mail: label pii:email +→ token .*:5\n/)
    assert.match(out, /upper +public\.people\.ssn +people\.ssn: people\.ssn, computed +→ nullify/)
    const denied = await explain('eng', "select id from people where ssn like '9%'")
    assert.equal(denied.code, 5)
    assert.match(denied.out, /people\.ssn is confidential and may not be used in WHERE/)
    const revealed = await explain('dba', "select ssn from people where ssn like '9%'")
    assert.equal(revealed.code, 0)
  })

  it('harden prints the script; applied, the database itself refuses', async () => {
    const { code, out, err } = await dbgate('harden', 'shop')
    assert.equal(code, 0, err)
    assert.match(out, /^BEGIN;\n[\s\S]*\nCOMMIT;\n$/)
    assert.match(
      out,
      /GRANT SELECT \("id", "phone", "city"\) ON "public"\."people" TO dbgate_plain;/,
    )
    assert.match(out, /GRANT SELECT ON "public"\."mails" TO dbgate_full;/)
    assert.match(out, /GRANT SELECT ON "public"\."ids" TO dbgate_plain, dbgate_full;/)
    assert.match(err, /peek\(\) runs with its owner's rights/)
    assert.match(err, /does not\s+switch between the two roles yet/)

    const refused = await dbgate('harden', 'shop', '--apply', '--with', 'reader')
    assert.equal(refused.code, 5)
    assert.match(refused.err, /permission denied to create role/)

    assert.equal((await dbgate('harden', 'shop', '--apply', '--with', 'owner')).code, 0)
    const plain = (sql: string) => asRole(database, 'dbgate_plain', sql)
    assert.deepEqual(await plain('select id, city from people'), [{ id: 1, city: 'Lyon' }])
    assert.deepEqual(await plain('select id from ids'), [{ id: 1 }])
    for (const sql of [
      'select * from people',
      'select 1 from people where ssn is null',
      'select people from people',
      'select mail from mails',
      'copy people to stdout',
    ]) {
      await assert.rejects(plain(sql), /permission denied/, sql)
    }
    assert.deepEqual(await asRole(database, 'dbgate_full', 'select ssn from people'), [
      { ssn: '912-45-6781' },
    ])

    assert.equal((await dbgate('harden', 'shop', '--undo', '--with', 'owner')).code, 0)
    const left = await database.query(
      "select 1 from pg_roles where rolname in ('dbgate_plain', 'dbgate_full')",
    )
    assert.equal(left.rowCount, 0)
    assert.equal((await asRole(database, login, 'select ssn from people')).length, 1)
  })

  it('accept-labels lists what is gone, and lets it go', async () => {
    const column = (name: string, label?: string) => ({
      relation: 1,
      column: 2,
      name: { schema: 'public', relation: 'people', column: name },
      label,
    })
    const state = join(cli.home, 'state')
    await mkdir(state, { recursive: true })
    const memory = new MaskMemory(join(state, 'masks.jsonl'))
    const place = `shop/${database.name}`
    memory.learn(place, [column('mail', 'pii:email')], [])
    memory.learn(place, [], [column('mail', 'pii:email')])

    const listed = await dbgate('policy', 'accept-labels')
    assert.equal(listed.code, 0)
    assert.match(listed.out, /public\.people\.mail has lost pii:email: still masked/)
    assert.equal((await dbgate('policy', 'accept-labels', 'other')).code, 6)
    const accepted = await dbgate('policy', 'accept-labels', 'shop')
    assert.match(accepted.out, /no longer masked by it/)
    assert.match((await dbgate('policy', 'accept-labels')).out, /nothing is gone/)
  })
})

async function asRole(database: Database, role: string, sql: string): Promise<unknown[]> {
  return withClient(database.url, async (client: pg.Client) => {
    await client.query(`set role ${role}`)
    return (await client.query(sql)).rows
  })
}
