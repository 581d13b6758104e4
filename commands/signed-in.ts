import { join } from 'node:path'
import {
  type ApiClient,
  createApiClient,
  parseServerUrl,
  type ServerAddress,
  type TargetAnswer,
  type TlsSessions,
} from '../src/api/index.ts'
import { DbgateError } from '../src/errors.ts'
import type { Profile, SignIn, UserDirs } from '../src/identity/index.ts'
import type { SignIn as TunnelSignIn } from '../src/tunnel/index.ts'
import type { Io } from './io.ts'
import { nearest } from './report.ts'

/** A server and the right to talk to it. */
export type SignedIn = {
  /** The server as people know it: its host, with the port if that is not 443. */
  readonly name: string
  readonly server: ServerAddress
  readonly signIn: TunnelSignIn
  readonly api: ApiClient
  /** The password of this machine's local ports for this server; the same each time, save in jobs. */
  readonly localPassword: () => Promise<string>
}

const LOCAL_PASSWORD_BYTES = 24

/** Where this person's profiles and running tunnels are. */
export async function dirsOf(io: Io): Promise<UserDirs> {
  const { userDirs } = await import('../src/identity/index.ts')
  return userDirs(io.env, io.home)
}

/** The directory of the sockets of running tunnels. */
export function runDirectory(dirs: UserDirs): string {
  return join(dirs.state, 'run')
}

/** Splits `prod@bastion.acme.dev` into target and server; the server is optional. */
export function parseTarget(text: string): {
  readonly target: string
  readonly server: string | undefined
} {
  const at = text.lastIndexOf('@')
  if (at <= 0 || at === text.length - 1) return { target: text, server: undefined }
  return { target: text.slice(0, at), server: text.slice(at + 1) }
}

/** The name under which a server's profile is kept. Throws: USAGE for what is no server. */
export function profileNameOf(server: string): string {
  return new URL(parseServerUrl(server)).host
}

/**
 * Opens the sign-in to a server: the one that was named, else the one used last. In jobs the token comes
 * from DBGATE_TOKEN and the fingerprint, if one is needed, from DBGATE_FINGERPRINT.
 *
 * Throws: UNAUTHORIZED if there is none.
 */
export async function openSignedIn(io: Io, server: string | undefined): Promise<SignedIn> {
  const token = io.env.DBGATE_TOKEN
  if (token !== undefined && token !== '') return openJob(io, server, token)
  const { openProfiles } = await import('../src/identity/index.ts')
  const name = server === undefined ? undefined : profileNameOf(server)
  const profile = await openProfiles((await dirsOf(io)).config).get(name)
  if (profile === undefined) throw notSignedIn(name)
  return openProfile(io, profile)
}

/** Opens the sign-in that a profile names. Nothing is read or sent before it is used. */
export async function openProfile(
  io: Io,
  profile: Profile,
): Promise<SignedIn & { readonly signIn: SignIn }> {
  const { openKeychain, openSignIn } = await import('../src/identity/index.ts')
  const dir = (await dirsOf(io)).config
  const keychain = await openKeychain(profile.keychain, dir)
  const signIn = openSignIn(profile, { keychain, dir, now: io.now, random: io.random })
  return { ...connected(io, profile, signIn), signIn, localPassword: () => signIn.localPassword() }
}

/** A profile's server and its API, with the tokens of this sign-in. */
function connected(
  io: Io,
  profile: Pick<Profile, 'name' | 'url' | 'pin'>,
  signIn: Pick<SignIn, 'current' | 'renew'>,
): Omit<SignedIn, 'localPassword'> {
  const server: ServerAddress = { url: profile.url, pin: profile.pin }
  const sessions: TlsSessions = new Map()
  const token = async () => (await signIn.current()).token
  const api = createApiClient({ server, sessions, token, agent: () => agentOf(io) })
  return { name: profile.name, server, signIn, api }
}

/** The tool that types here, if one does. `DBGATE_AGENT=yes` says so where nothing else gives it away. */
export async function agentOf(io: Io): Promise<string | undefined> {
  const { detectAgent } = await import('../src/tunnel/index.ts')
  return detectAgent(undefined, io.env) ?? (io.env.DBGATE_AGENT === 'yes' ? 'agent' : undefined)
}

/** A target as this person uses it. `user` is the name for the local port and for the database's logs. */
export type UsableTarget = TargetAnswer & { readonly user: string }

/**
 * The target of that name, if it is open to this person.
 *
 * Throws: NO_TARGET otherwise, with the name that was probably meant; never which of the two it was.
 */
export async function findTarget(
  { api, name: server }: Pick<SignedIn, 'api' | 'name'>,
  name: string,
): Promise<UsableTarget> {
  const [targets, me] = await Promise.all([api.targets(), api.whoami()])
  const target = targets.find(one => one.name === name)
  if (target !== undefined) return { ...target, user: localUser(me.user) }
  const meant = nearest(
    name,
    targets.map(one => one.name),
  )
  const question = meant === undefined ? '' : `. Did you mean ${meant}?`
  throw new DbgateError('NO_TARGET', `no target "${name}" is open to you on ${server}${question}`, {
    next: ['dbgate ls'],
  })
}

/** The part of an address before the @, without what a URL or a shell would trip over. */
function localUser(user: string): string {
  const plain = user.split('@')[0]?.replace(/[^\w.+-]/g, '-') ?? ''
  return plain === '' ? 'me' : plain
}

async function openJob(io: Io, server: string | undefined, text: string): Promise<SignedIn> {
  const { loginWithToken } = await import('../src/identity/index.ts')
  const { parsePin } = await import('../src/api/index.ts')
  if (server === undefined) {
    throw new DbgateError('USAGE', 'DBGATE_TOKEN is set, but not for which server', {
      next: ['export DBGATE_SERVER=bastion.example.com'],
    })
  }
  const url = parseServerUrl(server)
  const fingerprint = io.env.DBGATE_FINGERPRINT
  const pin = fingerprint === undefined || fingerprint === '' ? undefined : parsePin(fingerprint)
  const current = async () => loginWithToken(text, { now: io.now })
  const signIn = {
    current,
    renew: async () => {
      throw new DbgateError('UNAUTHORIZED', 'the token of DBGATE_TOKEN cannot be renewed')
    },
  }
  return {
    ...connected(io, { name: new URL(url).host, url, pin }, signIn),
    localPassword: async () => io.random(LOCAL_PASSWORD_BYTES).toString('base64url'),
  }
}

/** Throws nothing: the error for a command that needs a sign-in where there is none. */
export function notSignedIn(name: string | undefined): DbgateError {
  const where = name === undefined ? '' : ` to ${name}`
  return new DbgateError('UNAUTHORIZED', `not signed in${where}`, {
    next: [name === undefined ? 'dbgate login bastion.example.com' : `dbgate login ${name}`],
  })
}

/** Without a screen, or at the far end of ssh, a browser opened here is seen by nobody. */
export function hasScreen(io: {
  readonly env: Record<string, string | undefined>
  readonly platform: string
}): boolean {
  if (io.env.SSH_CONNECTION !== undefined) return false
  if (io.platform === 'darwin' || io.platform === 'win32') return true
  return [io.env.DISPLAY, io.env.WAYLAND_DISPLAY, io.env.WSL_DISTRO_NAME].some(
    one => (one ?? '') !== '',
  )
}
