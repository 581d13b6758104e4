/** The servers this person has signed in to: all there is to know of each, save its secrets. */

import { randomBytes } from 'node:crypto'
import { isAbsolute, join } from 'node:path'
import { DbgateError } from '../errors.ts'
import type { KeychainKind } from './keychain-kind.ts'
import { withLock } from './lock.ts'
import { makePrivateDir, readPrivate, writePrivate } from './private-files.ts'

/**
 * One server.
 *
 * Shape: `name` is its host, with the port if that is not 443; `url` its origin; `pin` the SHA-256 of its certificate
 * in hex where no public authority vouches for it; `keychain` where its secrets are.
 */
export type Profile = {
  readonly name: string
  readonly url: string
  readonly pin?: string | undefined
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret?: string | undefined
  readonly scopes: readonly string[]
  readonly keychain: KeychainKind
}

/** All profiles, in one file that processes may change at the same time. */
export type Profiles = {
  list(): Promise<readonly Profile[]>
  /** By name, or the one used last. */
  get(name?: string): Promise<Profile | undefined>
  /** Stores a profile and makes it the one used last. */
  save(profile: Profile): Promise<void>
  /** Makes a profile the one used last. */
  use(name: string): Promise<void>
  remove(name: string): Promise<void>
}

type Env = Readonly<Record<string, string | undefined>>

/** Where the CLI keeps things. Source: XDG Base Directory Specification; macOS and Windows use the same. */
export type UserDirs = { readonly config: string; readonly state: string; readonly cache: string }

/** The directories from the environment and home that are passed in. */
export function userDirs(env: Env, home: string): UserDirs {
  const base = (name: string, fallback: string): string => {
    const value = env[name]
    // A relative path is to be ignored, says the specification.
    return value !== undefined && isAbsolute(value) ? value : join(home, fallback)
  }
  const own = env.DBGATE_CONFIG_DIR
  return {
    config:
      own !== undefined && isAbsolute(own)
        ? own
        : join(base('XDG_CONFIG_HOME', '.config'), 'dbgate'),
    state: join(base('XDG_STATE_HOME', '.local/state'), 'dbgate'),
    cache: join(base('XDG_CACHE_HOME', '.cache'), 'dbgate'),
  }
}

/** The name of a server: what people type after `dbgate login`, in its shortest form. */
export function profileName(url: string): string {
  return new URL(url).host
}

type Stored = { readonly current: string | undefined; readonly profiles: readonly Profile[] }

/** Opens the profiles under a directory; nothing is created before the first `save`. */
export function openProfiles(dir: string): Profiles {
  const path = join(dir, 'profiles.json')
  const read = async (): Promise<Stored> => parse(await readPrivate(path), path)
  const change = async (to: (stored: Stored) => Stored): Promise<void> => {
    await makePrivateDir(dir)
    await withLock(join(dir, 'profiles.lock'), async () => {
      const text = JSON.stringify({ v: 1, ...to(await read()) }, null, 2)
      await writePrivate(path, `${text}\n`, randomBytes(6).toString('hex'))
    })
  }
  return {
    list: async () => (await read()).profiles,
    get: async name => {
      const { current, profiles } = await read()
      return profiles.find(profile => profile.name === (name ?? current))
    },
    save: profile =>
      change(({ profiles }) => ({
        current: profile.name,
        profiles: [...profiles.filter(other => other.name !== profile.name), profile],
      })),
    use: name => change(stored => ({ ...stored, current: name })),
    remove: name =>
      change(({ current, profiles }) => {
        const left = profiles.filter(profile => profile.name !== name)
        return { current: current === name ? left.at(-1)?.name : current, profiles: left }
      }),
  }
}

function parse(text: string | undefined, path: string): Stored {
  if (text === undefined) return { current: undefined, profiles: [] }
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value) && value.v === 1 && Array.isArray(value.profiles)) {
      const profiles = value.profiles.map(profileOf)
      return { current: typeof value.current === 'string' ? value.current : undefined, profiles }
    }
  } catch {
    // Said below, like anything else that is not ours.
  }
  throw new DbgateError('INVALID', `${path} is not a file of this version of dbgate`, {
    hint: 'Remove it and sign in again.',
  })
}

function profileOf(value: unknown): Profile {
  if (!isObject(value)) throw new TypeError('a profile is a map')
  const { pin, clientSecret, keychain, scopes } = value
  if (keychain !== 'keytar' && keychain !== 'keyring' && keychain !== 'file') {
    throw new TypeError('a profile names a keychain')
  }
  return {
    name: text(value.name),
    url: text(value.url),
    ...(pin === undefined ? {} : { pin: text(pin) }),
    issuer: text(value.issuer),
    clientId: text(value.clientId),
    ...(clientSecret === undefined ? {} : { clientSecret: text(clientSecret) }),
    scopes: Array.isArray(scopes) ? scopes.map(text) : [],
    keychain,
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function text(value: unknown): string {
  if (typeof value === 'string') return value
  throw new TypeError('a profile holds text')
}
