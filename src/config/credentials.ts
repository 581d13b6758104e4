/**
 * Logins and secrets from where the configuration says they are. Nothing here ever puts a value, or what a
 * command wrote to stderr, into an error: commands print secrets there more often than their authors think.
 */

import { execFile } from 'node:child_process'
import { type FileHandle, open } from 'node:fs/promises'
import { DbgateError, systemCode } from '../errors.ts'
import { isRecord } from './explain.ts'
import type { Problem } from './problems.ts'
import type { CredentialSource, SecretSource, ServerConfig } from './types.ts'
import type { Path, Source } from './yaml.ts'

/** A PostgreSQL login. */
export type Credential = { readonly user: string; readonly password: string }

type Env = Readonly<Record<string, string | undefined>>
type ExecSource = Extract<CredentialSource | SecretSource, { readonly from: 'exec' }>
type Answer = { readonly output: Promise<string>; readonly until: number }

const MAX_SECRET_BYTES = 64 * 1024
/** Keyed by the source object: a reloaded configuration has new ones, so it asks again. */
const answers = new WeakMap<ExecSource, Answer>()

/**
 * Reads a login. Commands are run without a shell and asked again only after `cacheMs`; callers at the same
 * time share one run. A failure is not remembered.
 *
 * Throws: UPSTREAM (08006) with what is wrong with the source, never with a value.
 */
export async function resolveCredential(
  source: CredentialSource,
  env: Env,
  now: () => number = Date.now,
): Promise<Credential> {
  if (source.from === 'env') {
    return { user: variable(env, source.user), password: variable(env, source.password) }
  }
  if (source.from === 'file') {
    const found = login(await readSecretFile(source.path))
    if (found === undefined) {
      throw refused(`credential file ${source.path} does not hold {"user": …, "password": …}`)
    }
    return found
  }
  const output = await run(source, env, now)
  try {
    return fromCommand(source, output)
  } catch (error) {
    answers.delete(source)
    throw error
  }
}

/** Reads a single secret, without the line end most editors add. Throws as `resolveCredential`. */
export async function resolveSecret(
  source: SecretSource,
  env: Env,
  now: () => number = Date.now,
): Promise<string> {
  const value =
    source.from === 'env'
      ? variable(env, source.value)
      : source.from === 'file'
        ? await readSecretFile(source.path)
        : await run(source, env, now)
  const secret = value.replace(/\r?\n$/, '')
  if (secret === '' || /[\r\n\0]/.test(secret)) {
    forgetCredential(source)
    throw refused(`${nameOf(source)} is not one line`)
  }
  return secret
}

/** Drops what a command answered, after the database refused it: the next look asks again. */
export function forgetCredential(source: CredentialSource | SecretSource): void {
  if (source.from === 'exec') answers.delete(source)
}

function variable(env: Env, name: string): string {
  const value = env[name]
  if (value === undefined || value === '') throw refused(`environment variable ${name} is not set`)
  if (value.includes('\0')) throw refused(`environment variable ${name} holds a NUL byte`)
  return value
}

function fromCommand(source: ExecSource, output: string): Credential {
  const command = nameOf(source)
  if (output.trimStart().startsWith('{')) {
    const found = login(output)
    if (found === undefined) throw refused(`${command} printed JSON without user and password`)
    return found
  }
  const password = output.replace(/\r?\n$/, '')
  if (password === '' || /[\r\n\0]/.test(password)) {
    throw refused(`${command} printed neither JSON nor one line with a password`)
  }
  const user = 'user' in source ? source.user : undefined
  if (user === undefined) {
    throw refused(`${command} printed only a password, and the credential has no user`)
  }
  return { user, password }
}

function login(text: string): Credential | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // JSON.parse quotes its input in the error, which here is the secret.
    return undefined
  }
  if (!isRecord(value)) return undefined
  const { user, password } = value
  if (typeof user !== 'string' || typeof password !== 'string') return undefined
  if (user === '' || password === '' || `${user}${password}`.includes('\0')) return undefined
  return { user, password }
}

async function run(source: ExecSource, env: Env, now: () => number): Promise<string> {
  const known = answers.get(source)
  if (known !== undefined && now() < known.until) return known.output
  const output = execute(source, env)
  answers.set(source, { output, until: now() + Math.max(source.cacheMs, source.timeoutMs) })
  try {
    const result = await output
    answers.set(source, { output, until: now() + source.cacheMs })
    return result
  } catch (error) {
    if (answers.get(source)?.output === output) answers.delete(source)
    throw error
  }
}

function execute(source: ExecSource, env: Env): Promise<string> {
  const [program = '', ...args] = source.command
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      {
        encoding: 'utf8',
        env: { ...env },
        maxBuffer: MAX_SECRET_BYTES,
        timeout: source.timeoutMs,
        killSignal: 'SIGKILL',
        windowsHide: true,
      },
      (error, stdout) => {
        if (error === null) return resolve(stdout)
        reject(refused(`${nameOf(source)} ${failure(error, source.timeoutMs)}`))
      },
    )
    child.stdin?.end()
  })
}

function failure(error: Error & { code?: unknown; killed?: unknown }, timeoutMs: number): string {
  const code = systemCode(error)
  if (code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return 'printed more than 64 KiB'
  if (code === 'ENOENT') return 'does not exist'
  if (code === 'EACCES') return 'may not be run'
  if (error.killed === true) return `did not finish within ${timeoutMs / 1000} s`
  return typeof error.code === 'number' ? `ended with exit code ${error.code}` : 'failed'
}

/** Only the program is named: its arguments may hold what nobody should read in a log. */
function nameOf(source: CredentialSource | SecretSource): string {
  if (source.from === 'exec') return `command ${source.command[0] ?? ''}`
  if (source.from === 'file') return `file ${source.path}`
  return 'value' in source ? `environment variable ${source.value}` : 'environment'
}

async function readSecretFile(path: string): Promise<string> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    const why = systemCode(error) === 'ENOENT' ? 'does not exist' : 'cannot be opened'
    throw refused(`credential file ${path} ${why}`)
  }
  try {
    // The open file is asked, not the path: another could have been put there in between.
    const { mode, uid, size } = await file.stat()
    const why = looseness(mode, uid)
    if (why !== undefined) {
      throw refused(`credential file ${path} ${why}`, `Run: chmod 600 ${path}`)
    }
    if (size > MAX_SECRET_BYTES) throw refused(`credential file ${path} is larger than 64 KiB`)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

/** Why others could read or swap a file, or undefined. Windows has no such modes; its ACLs are not looked at. */
function looseness(mode: number, uid: number): string | undefined {
  const me = process.geteuid?.()
  if (me === undefined) return undefined
  if (uid !== me) return 'belongs to another user'
  return (mode & 0o077) === 0 ? undefined : 'can be read by others (mode 0600 is needed)'
}

function refused(message: string, hint?: string): DbgateError {
  return new DbgateError('UPSTREAM', message, hint === undefined ? {} : { hint })
}

/** Warnings for credentials that could not be used if they were needed now. No command is run for it. */
export async function missingSources(
  config: ServerConfig,
  source: Source,
  env: Env,
): Promise<readonly Problem[]> {
  const warnings: Problem[] = []
  const tryOut = async (resolving: Promise<unknown>, at: Path) => {
    try {
      await resolving
    } catch (error) {
      if (!(error instanceof DbgateError)) throw error
      warnings.push(source.problemAt(at, error.message, error.hint))
    }
  }
  for (const channel of config.notify) {
    const [secret, key] =
      channel.kind === 'slack' ? [channel.url, 'webhook'] : [channel.secret, 'secret']
    if (secret.from === 'exec') continue
    await tryOut(resolveSecret(secret, env), ['notify', channel.name, channel.kind, key])
  }
  for (const target of config.targets) {
    for (const [role, credential] of Object.entries(target.roles)) {
      if (credential.from === 'exec') continue
      const at = ['targets', target.name, 'credentials', role]
      await tryOut(resolveCredential(credential, env), at)
    }
  }
  return warnings
}
