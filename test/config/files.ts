import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** Writes files into a new directory and hands it to `use`; it is gone afterwards. Secrets get mode 0600. */
export async function withFiles<T>(
  files: Readonly<Record<string, string>>,
  use: (dir: string) => Promise<T>,
): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'dbgate-config-'))
  try {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(dir, name)), { recursive: true })
      await writeFile(join(dir, name), text)
      if (name.endsWith('.json')) await chmod(join(dir, name), 0o600)
    }
    return await use(dir)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** A text without its `§` marks, and the `line:column` of each. */
export function unmark(marked: string): { text: string; places: string[] } {
  const places: string[] = []
  const lines = marked.split('\n').map((line, index) => {
    let rest = line
    for (let at = rest.indexOf('§'); at >= 0; at = rest.indexOf('§')) {
      places.push(`${index + 1}:${at + 1}`)
      rest = rest.slice(0, at) + rest.slice(at + 1)
    }
    return rest
  })
  return { text: lines.join('\n'), places }
}

/** A server file that is right, with sections to replace. */
export function serverFile(sections: Readonly<Record<string, string>> = {}): string {
  return Object.values({ ...SERVER, ...sections }).join('\n')
}

const SERVER = {
  version: 'version: 1',
  server: `server:
  url: https://bastion.acme.dev
  listen: 0.0.0.0:443
  state: state
  policy: policy/*.yaml`,
  issuers: `issuers:
  okta:
    issuer: https://acme.okta.com
    client_id: 0oa1b2c3d4e5`,
  targets: `targets:
  prod:
    url: postgresql://db-main.internal:5432/app
    credentials:
      reader: { from: env, user: PROD_USER, password: PROD_PASSWORD }`,
}

export const POLICY = `version: 1
roles:
  reader: { may: [read] }
people:
  - groups: [engineering]
    roles: { prod: reader }
`

export const ENV = { PROD_USER: 'app_ro', PROD_PASSWORD: 'hunter2' }
