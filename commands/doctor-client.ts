import { execFile } from 'node:child_process'
import { access, constants, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { createServer } from 'node:net'
import { arch, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectTls, type ServerAddress, serverName, type TargetAnswer } from '../src/api/index.ts'
import { DbgateError, systemCode } from '../src/errors.ts'
import { type Check, fail, failed, ok, warn } from './doctor-checks.ts'
import type { Io } from './io.ts'
import { version } from './package.ts'
import { dirsOf, openSignedIn, runDirectory, type SignedIn } from './signed-in.ts'
import { clockTime } from './times.ts'

const CLOCK_WARN_MS = 30_000
const CLOCK_FAIL_MS = 120_000
const EXPIRES_SOON_MS = 30 * 86_400_000
const ANSWER_MS = 10_000

/** Looks at this machine and at the way to the server, in the order in which things depend on each other. */
export async function* clientChecks(io: Io, named: string | undefined): AsyncGenerator<Check> {
  yield ok(
    'dbgate',
    `${version()}, node ${process.versions.node}, ${io.platform} ${release()} ${arch()}`,
  )
  yield await directoryCheck(io)
  yield await programCheck(io)
  let signedIn: SignedIn
  try {
    signedIn = await openSignedIn(io, named)
  } catch (cause) {
    yield failed('sign-in', cause, 'dbgate login bastion.example.com')
    return
  }
  const reached: Check[] = []
  for await (const check of serverChecks(io, signedIn.server)) {
    reached.push(check)
    yield check
  }
  yield await keychainCheck(io, named)
  if (reached.some(({ state, name }) => state === 'fail' && name === 'server')) return
  yield* signInChecks(io, signedIn)
}

async function directoryCheck(io: Io): Promise<Check> {
  const { state } = await dirsOf(io)
  try {
    const dir = await mkdtemp(join(tmpdir(), 'dbgate-doctor-'))
    await writeFile(join(dir, 'x'), 'x')
    await rm(dir, { recursive: true })
  } catch (cause) {
    const why = systemCode(cause) ?? 'unknown reason'
    return fail('files', `${tmpdir()} cannot be written (${why})`, `ls -ld ${tmpdir()}`)
  }
  try {
    await access(state, constants.W_OK)
  } catch (cause) {
    if (systemCode(cause) !== 'ENOENT') {
      return fail('files', `${state} cannot be written`, `ls -ld ${state}`)
    }
  }
  return ok('files', `${tmpdir()} and ${state} can be written`)
}

function programCheck(io: Io): Promise<Check> {
  return new Promise(resolve => {
    execFile('psql', ['--version'], { env: { ...io.env }, timeout: 5000 }, (error, out) => {
      const install =
        io.platform === 'darwin' ? 'brew install libpq' : 'apt install postgresql-client'
      if (error === null) resolve(ok('psql', out.trim()))
      else resolve(warn('psql', 'not found; dbgate sql does for small things', install))
    })
  })
}

async function* serverChecks(io: Io, server: ServerAddress): AsyncGenerator<Check> {
  const name = serverName(server)
  try {
    const from = performance.now()
    const socket = await connectTls(server, { timeoutMs: ANSWER_MS })
    const certificate = socket.getPeerCertificate()
    const tookMs = performance.now() - from
    yield ok('server', `${name} answers in ${tookMs.toFixed(0)} ms, ${socket.getProtocol()}`)
    yield certificateCheck(io, server, certificate.valid_to, certificate.issuer?.CN)
    const date = await dateOf(server, socket)
    yield clockCheck(io, date)
  } catch (cause) {
    yield failed('server', cause, `curl -vk ${server.url}/health`)
  }
}

function certificateCheck(
  io: Io,
  server: ServerAddress,
  validTo: string,
  issuer: string | string[] | undefined,
): Check {
  const until = Date.parse(validTo)
  const by = server.pin === undefined ? `issued by ${[issuer].flat().join(' ')}` : 'pinned at login'
  const says = `${by}, until ${new Date(until).toISOString().slice(0, 10)}`
  const leftMs = until - io.now()
  if (Number.isNaN(until) || server.pin !== undefined) return ok('certificate', says)
  const look = `openssl s_client -connect ${serverName(server)} </dev/null | openssl x509 -noout -dates`
  return leftMs < EXPIRES_SOON_MS
    ? warn('certificate', `${says}: soon`, look)
    : ok('certificate', says)
}

function dateOf(
  server: ServerAddress,
  socket: Awaited<ReturnType<typeof connectTls>>,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(new URL('/health', server.url), {
      createConnection: () => socket,
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    asked.on('response', response => {
      response.resume()
      socket.destroy()
      resolve(response.headers.date)
    })
    asked.on('error', cause =>
      reject(new DbgateError('UNREACHABLE', `${serverName(server)} does not answer`, { cause })),
    )
    asked.end()
  })
}

function clockCheck(io: Io, date: string | undefined): Check {
  const at = Date.parse(date ?? '')
  if (Number.isNaN(at)) return warn('clock', 'the server did not say what time it has', 'date -u')
  // The header has whole seconds.
  const apartMs = Math.max(0, Math.abs(io.now() - at - 500) - 500)
  const says = `${(apartMs / 1000).toFixed(1)} s apart from the server's`
  if (apartMs > CLOCK_FAIL_MS) return fail('clock', `${says}: tokens will be refused`, 'date -u', 4)
  return apartMs > CLOCK_WARN_MS ? warn('clock', says, 'date -u') : ok('clock', says)
}

async function keychainCheck(io: Io, named: string | undefined): Promise<Check> {
  if ((io.env.DBGATE_TOKEN ?? '') !== '')
    return ok('keychain', 'not used: the token is DBGATE_TOKEN')
  const { openProfiles } = await import('../src/identity/index.ts')
  const { profileNameOf } = await import('./signed-in.ts')
  const name = named === undefined ? undefined : profileNameOf(named)
  const profile = await openProfiles((await dirsOf(io)).config).get(name)
  if (profile?.keychain === 'file') {
    const says = 'none: the sign-in is stored in a file that only you can read'
    return warn('keychain', says, 'dbgate login --help')
  }
  return ok('keychain', profile?.keychain ?? 'not used')
}

async function* signInChecks(io: Io, { api, signIn, name }: SignedIn): AsyncGenerator<Check> {
  let targets: readonly TargetAnswer[]
  try {
    const { expiresAt } = await signIn.current()
    const me = await api.whoami()
    const until = expiresAt === undefined ? '' : ` until ${clockTime(expiresAt, io.now())}`
    yield ok('sign-in', `${me.user}${until}`)
    targets = await api.targets()
  } catch (cause) {
    yield failed('sign-in', cause, `dbgate login ${name}`)
    return
  }
  if (targets.length === 0) yield warn('targets', 'none is open to you', 'dbgate ls --all')
  else yield await portsCheck(io, targets)
}

async function portsCheck(io: Io, targets: readonly TargetAnswer[]): Promise<Check> {
  const { listRunning } = await import('../src/tunnel/index.ts')
  const running = await listRunning(runDirectory(await dirsOf(io)))
  const ours = new Set(running.map(({ port }) => port))
  const ports = targets.map(({ localPort }) => localPort)
  const taken: number[] = []
  for (const port of ports) if (!ours.has(port) && !(await isFree(port))) taken.push(port)
  if (taken.length === 0) return ok('ports', `${ports.join(' ')} free or ours`)
  const says = `${taken.join(' ')} taken by something else; dbgate connect then takes the next one`
  return warn('ports', says, `lsof -i :${taken[0]}`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
