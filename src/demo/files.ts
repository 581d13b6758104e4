/** The demo's configuration, written out so that a newcomer can read what a real one looks like. */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SHOP_ROLES, type ShopRole } from './shop.ts'

/** Passwords of the superuser and of the shop's roles. Nobody types them; dbgate's server reads them from files. */
export type Passwords = Readonly<Record<ShopRole | 'postgres', string>>

export type DemoFiles = { readonly configPath: string; readonly policyPath: string }

/** Everything the two files need to name. */
export type DemoFacts = {
  readonly directory: string
  readonly serverPort: number
  readonly databasePort: number
  readonly localPort: number
  readonly issuer: string
  readonly clientId: string
}

/** Returns the passwords kept in the folder, or makes them and keeps them there with mode 0600. */
export async function demoPasswords(directory: string): Promise<Passwords> {
  const folder = join(directory, 'credentials')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const password = async (user: ShopRole | 'postgres'): Promise<string> => {
    const path = join(folder, `${user}.json`)
    const kept = await readFile(path, 'utf8').catch(() => undefined)
    if (kept !== undefined) return String(JSON.parse(kept).password)
    const fresh = randomBytes(18).toString('base64url')
    await writeFile(path, `${JSON.stringify({ user, password: fresh })}\n`, { mode: 0o600 })
    return fresh
  }
  const [postgres, shop_reader, shop_writer, shop_owner] = [
    await password('postgres'),
    ...(await Promise.all(SHOP_ROLES.map(password))),
  ]
  return {
    postgres,
    shop_reader: shop_reader ?? '',
    shop_writer: shop_writer ?? '',
    shop_owner: shop_owner ?? '',
  }
}

/** Writes dbgate.yaml and policy.yaml. */
export async function writeDemoFiles(facts: DemoFacts): Promise<DemoFiles> {
  const configPath = join(facts.directory, 'dbgate.yaml')
  const policyPath = join(facts.directory, 'policy.yaml')
  await writeFile(configPath, config(facts), { mode: 0o600 })
  await writeFile(policyPath, POLICY, { mode: 0o600 })
  return { configPath, policyPath }
}

// A JSON string is a YAML string too: paths may hold anything.
const quoted = (text: string) => JSON.stringify(text)

function config(facts: DemoFacts): string {
  const credential = (role: ShopRole) =>
    `{ from: file, path: ${quoted(join(facts.directory, 'credentials', `${role}.json`))} }`
  return `# Where things are. Who may do what stands in policy.yaml.
version: 1

server:
  url: https://127.0.0.1:${facts.serverPort}
  listen: 127.0.0.1:${facts.serverPort}
  state: ${quoted(join(facts.directory, 'state'))}      # certificate, audit log, index
  policy: ${quoted(join(facts.directory, 'policy.yaml'))}

issuers:
  acme:                                # a pretend identity provider, part of the demo
    issuer: ${facts.issuer}
    client_id: ${facts.clientId}
    device_login: true

targets:
  demo:
    title: A small shop
    url: postgresql://127.0.0.1:${facts.databasePort}/shop
    local_port: ${facts.localPort}
    credentials:                       # one PostgreSQL login for each role; people never see them
      reader: ${credential('shop_reader')}
      writer: ${credential('shop_writer')}
      owner: ${credential('shop_owner')}

auditors:
  groups: [dba]                        # may read everyone's audit records
`
}

const POLICY = `# Who may do what. Change it while the demo runs: it is read again at once.
version: 1

roles:
  reader: { may: [read] }
  writer: { may: [read, write] }
  owner: { may: [read, write, ddl] }

people:
  - groups: [support]                  # Lee
    roles: { demo: reader }
  - groups: [engineering]              # Ana
    roles: { demo: writer }
  - groups: [dba]                      # Ben
    roles: { demo: owner }

masks:                                 # by the labels in the comments of columns; \\d+ customers shows them
  - labels:
      "pii:email": hash                # the same for the same address, so that joins and counts work
      "pii:phone": { keep_last: 4 }
      "pii:card": { keep_last: 4 }
      "pii:salary": nullify
      "pii:ssn": redact
    domain: email
    reveal: [dba]                      # Ben sees what there is

rules:
  - name: deletes
    on: [demo]
    when: { kind: [DELETE] }           # wherever it hides: in a CTE, a function, EXPLAIN ANALYZE
    then:
      approve: { by: [dba], need: 1, expires: 15m }
      hold: 5s                         # how long the client waits; the approval lives on
    say: A second pair of eyes before rows go.
`
