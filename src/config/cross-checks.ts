/**
 * What only shows when parts of the files are held against each other. All of it looks at the values as they
 * were written, not at validated ones, so that one wrong key does not hide what else is wrong.
 */

import { defaultLocalPort, sslModeOf } from './build.ts'
import { isRecord, valueAt } from './explain.ts'
import { nearest, type Problem } from './problems.ts'
import { SSL_MODES } from './server-schema.ts'
import { isLoopback, readTargetUrl } from './target-url.ts'
import { wrongName } from './values.ts'
import type { Path, Source } from './yaml.ts'

/** Problems stop the start; warnings are said and lived with. */
export type Findings = { readonly problems: Problem[]; readonly warnings: Problem[] }

/** Checks `dbgate.yaml` within itself. */
export function checkServer(source: Source): Findings {
  const found: Findings = { problems: [], warnings: [] }
  if (source.isBroken) return found
  found.problems.push(
    ...wrongNames(source, ['issuers']),
    ...wrongNames(source, ['targets']),
    ...wrongNames(source, ['notify']),
    ...needsSomebody(source, ['auditors']),
  )
  const ports = new Map<unknown, string>()
  for (const [name, target] of entries(source.value, ['targets'])) {
    found.problems.push(...wrongNames(source, ['targets', name, 'credentials']))
    checkTarget(source, name, target, found)
    checkPort(source, name, target, ports, found)
  }
  const seen = new Map<string, string>()
  for (const [name, issuer] of entries(source.value, ['issuers'])) {
    checkIssuer(source, name, issuer, found)
    for (const key of identities(issuer)) {
      const other = seen.get(key)
      if (other === undefined) seen.set(key, name)
      else {
        const message = `the same issuer and audience as "${other}": nobody could tell their tokens apart`
        found.problems.push(source.problemAtKey(['issuers', name], message))
      }
    }
  }
  return found
}

function checkTarget(source: Source, name: string, target: Fields, found: Findings): void {
  const at = ['targets', name, 'url']
  if (typeof target.url !== 'string' || !/^postgres(ql)?:\/\/\S+$/.test(target.url)) return
  const url = readTargetUrl(target.url)
  if (typeof url === 'string') {
    found.problems.push(source.problemAt(at, url))
    return
  }
  if (url.sslmode !== undefined && !SSL_MODES.some(mode => mode === url.sslmode)) {
    found.problems.push(
      source.problemAt(at, `expected sslmode to be one of ${SSL_MODES.join(', ')}`),
    )
    return
  }
  for (const key of ['sslmode', 'sslrootcert'] as const) {
    if (url[key] !== undefined && target[key] !== undefined) {
      const message = `${key} stands in the url already: say it once`
      found.problems.push(source.problemAtKey(['targets', name, key], message))
    }
  }
  const databases = target.databases
  if (Array.isArray(databases) && !databases.includes(url.database)) {
    const message = 'databases must hold the database of the url'
    found.problems.push(source.problemAt(['targets', name, 'databases'], message))
  }
  const asked = typeof target.sslmode === 'string' ? target.sslmode : url.sslmode
  const mode = sslModeOf(url.host, asked)
  if (!isLoopback(url.host) && mode !== 'verify-full') {
    const where = target.sslmode === undefined ? at : ['targets', name, 'sslmode']
    const message = `sslmode ${mode} does not prove which server answers: the password may go to another`
    found.warnings.push(source.problemAt(where, message))
  }
}

function checkPort(
  source: Source,
  name: string,
  target: Fields,
  ports: Map<unknown, string>,
  found: Findings,
): void {
  const port = target.local_port ?? defaultLocalPort(name)
  const other = ports.get(port)
  if (other !== undefined) {
    const message = `local_port ${String(port)} is that of "${other}" too`
    found.problems.push(source.problemAt(['targets', name, 'local_port'], message))
  }
  ports.set(port, name)
}

/** Claims that say whose job it is; without one of them, any user of the service would be let in. */
const JOB_OWNERS: Record<string, readonly string[]> = {
  'token.actions.githubusercontent.com': [
    'repository',
    'repository_id',
    'repository_owner',
    'repository_owner_id',
    'sub',
  ],
  'gitlab.com': ['project_path', 'project_id', 'namespace_path', 'namespace_id', 'sub'],
}

function checkIssuer(source: Source, name: string, issuer: Fields, found: Findings): void {
  const url = URL.parse(String(issuer.issuer ?? ''))
  if (url === null) return
  const at = ['issuers', name, 'issuer']
  if (url.protocol === 'http:') {
    if (isLoopback(url.hostname)) {
      found.warnings.push(
        source.problemAt(at, 'an issuer without https: only for trying things out'),
      )
    } else {
      found.problems.push(
        source.problemAt(at, 'expected https: whoever is on the way could forge every sign-in'),
      )
    }
  }
  const owners = JOB_OWNERS[url.hostname]
  if (owners === undefined || issuer.kind !== 'ci') return
  for (const [index, entry] of list(issuer.accept).entries()) {
    const match = isRecord(entry) ? entry.match : undefined
    if (!isRecord(match) || Object.keys(match).length === 0) continue
    if (!owners.some(claim => Object.hasOwn(match, claim))) {
      const message = `match must say whose job it is: one of ${owners.join(', ')}`
      found.problems.push(source.problemAt(['issuers', name, 'accept', index, 'match'], message))
    }
  }
}

function identities(issuer: Fields): string[] {
  const audience = issuer.audience ?? issuer.client_id
  const audiences = Array.isArray(audience) ? audience : [audience]
  return audiences.map(one => JSON.stringify([issuer.issuer, one]))
}

/** A problem for each key of a map that is no name. */
export function wrongNames(source: Source, path: Path): Problem[] {
  return entries(source.value, path).flatMap(([key]) => {
    const why = wrongName(key)
    return why === undefined ? [] : [source.problemAtKey([...path, key], why)]
  })
}

/** A problem if a map names neither groups nor users. */
export function needsSomebody(source: Source, path: Path): Problem[] {
  const who = valueAt(source.value, path)
  if (!isRecord(who) || who.groups !== undefined || who.users !== undefined) return []
  return [source.problemAt(path, 'this needs groups, users or both')]
}

/** The words to add where something near to what was typed exists. */
export function suggest(typed: string, valid: readonly string[]): string {
  const near = nearest(typed, valid)
  return near === undefined ? '' : `, did you mean "${near}"?`
}

/** A map whose keys have not been checked. */
export type Fields = Record<string, unknown>

/** The maps in a map, by their keys. */
export function entries(value: unknown, path: Path): [string, Fields][] {
  const found = valueAt(value, path)
  if (!isRecord(found)) return []
  return Object.entries(found).map(([key, inner]) => [key, isRecord(inner) ? inner : {}])
}

/** The items, of what may be no list. */
export function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}
