/** Reads the configuration from disk: everything, or a list of all that is wrong with it. */

import { createHash } from 'node:crypto'
import { glob, readFile } from 'node:fs/promises'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { systemCode } from '../errors.ts'
import { buildServer } from './build.ts'
import { missingSources } from './credentials.ts'
import { checkServer } from './cross-checks.ts'
import { validate, valueAt } from './explain.ts'
import { buildPolicy } from './policy-build.ts'
import { checkPolicies } from './policy-checks.ts'
import type { PolicyDocument } from './policy-document.ts'
import { policySchema } from './policy-schema.ts'
import { ConfigProblems, type Problem, sortProblems } from './problems.ts'
import { serverSchema } from './server-schema.ts'
import type { ServerConfig } from './types.ts'
import { readYaml, type Source, unreadSource } from './yaml.ts'

const MAX_FILE_BYTES = 4 * 1024 ** 2

/**
 * What was read.
 *
 * Shape: `files` are all files read, absolute, for watching; `policyDigest` is the SHA-256 of the policy files
 * in hex, so that a log can say which policy decided; `warnings` are problems that don't stop the start.
 */
export type Loaded = {
  readonly config: ServerConfig
  readonly policy: PolicyDocument
  readonly policyDigest: string
  readonly files: readonly string[]
  readonly warnings: readonly Problem[]
}

/** A policy by itself, without a server to hold it against. */
export type LoadedPolicy = Pick<Loaded, 'policy' | 'policyDigest' | 'warnings'>

type Env = Readonly<Record<string, string | undefined>>

/**
 * Reads `dbgate.yaml` and the policy files it names. `env` is only asked whether variables that credentials name
 * are set; their values are read when a credential is resolved.
 *
 * Throws: ConfigProblems (INVALID) with every problem of every file.
 */
export async function loadServerConfig(path: string, env: Env): Promise<Loaded> {
  const file = resolve(path)
  const dir = dirname(file)
  const server = await readSource(path)
  const main = validate(serverSchema, server.source)
  const own = checkServer(server.source)
  const found = await findPolicies(server.source, dirname(path))
  const policies = await Promise.all(found.files.map(readSource))
  const checked = checkPolicySources(
    policies.map(policy => policy.source),
    server.source,
  )
  const problems = [...main.problems, ...own.problems, ...found.problems, ...checked.problems]
  if (main.output === undefined || checked.policy === undefined || problems.length > 0) {
    throw new ConfigProblems(problems, [path, ...found.files])
  }
  const config = buildServer(file, dir, main.output)
  const warnings = [
    ...own.warnings,
    ...checked.warnings,
    ...(await missingSources(config, server.source, env)),
  ]
  return {
    config,
    policy: checked.policy,
    policyDigest: digest(policies.map(policy => policy.text)),
    files: [file, ...found.files.map(found => resolve(found))],
    warnings: sortProblems(warnings, [path, ...found.files]),
  }
}

/** Reads policy files by themselves, as `policy check` does on a machine that has no server. */
export async function loadPolicy(paths: readonly string[]): Promise<LoadedPolicy> {
  const policies = await Promise.all(paths.map(readSource))
  const checked = checkPolicySources(
    policies.map(policy => policy.source),
    undefined,
  )
  if (checked.policy === undefined) throw new ConfigProblems(checked.problems, paths)
  return {
    policy: checked.policy,
    policyDigest: digest(policies.map(policy => policy.text)),
    warnings: sortProblems(checked.warnings, paths),
  }
}

function checkPolicySources(
  sources: readonly Source[],
  server: Source | undefined,
): {
  readonly policy?: PolicyDocument
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
} {
  const parsed: Parameters<typeof buildPolicy>[0][number][] = []
  const problems: Problem[] = []
  for (const source of sources) {
    const result = validate(policySchema, source)
    problems.push(...result.problems)
    if (result.output !== undefined) parsed.push({ source, parsed: result.output })
  }
  const cross = checkPolicies(sources, server)
  problems.push(...cross.problems)
  if (problems.length > 0) return { problems, warnings: cross.warnings }
  return { policy: buildPolicy(parsed), problems, warnings: cross.warnings }
}

/** Policy files by the patterns of the server's file; a pattern that matches nothing is a problem. */
async function findPolicies(
  server: Source,
  dir: string,
): Promise<{ readonly files: readonly string[]; readonly problems: readonly Problem[] }> {
  const files = new Set<string>()
  const problems: Problem[] = []
  const written = valueAt(server.value, ['server', 'policy'])
  const patterns = Array.isArray(written) ? written : [written]
  for (const [index, pattern] of patterns.entries()) {
    if (typeof pattern !== 'string' || pattern === '') continue
    const matches: string[] = []
    for await (const match of glob(pattern, { cwd: dir }))
      matches.push(isAbsolute(match) ? match : join(dir, match))
    for (const match of matches.sort()) files.add(match)
    if (matches.length === 0) {
      const at = ['server', 'policy', ...(Array.isArray(written) ? [index] : [])]
      problems.push(server.problemAt(at, 'no policy file matches this'))
    }
  }
  return { files: [...files], problems }
}

type Read = { readonly source: Source; readonly text: string }

async function readSource(file: string): Promise<Read> {
  let text = ''
  let why: string | undefined
  try {
    const bytes = await readFile(file)
    if (bytes.byteLength > MAX_FILE_BYTES) why = 'the file is larger than 4 MiB'
    else text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    const code = systemCode(error)
    why = code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'the file is not UTF-8' : unreadable(code)
  }
  if (why !== undefined) return { source: unreadSource(file, why), text }
  return { source: readYaml(file, text), text }
}

function unreadable(code: string | undefined): string {
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'EACCES') return 'the file may not be read by this user'
  if (code === 'EISDIR') return 'this is a directory'
  return `the file cannot be read${code === undefined ? '' : ` (${code})`}`
}

function digest(texts: readonly string[]): string {
  const hash = createHash('sha256')
  for (const text of texts) hash.update(`${Buffer.byteLength(text)}\n`).update(text)
  return hash.digest('hex')
}
