/** The ways from a client to the database that are compared: dbgate's, and what people would pick instead. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { freePort } from '../src/demo/index.ts'
import { EVERYTHING, startGate } from '../test/helpers/gate.ts'
import type { Database } from '../test/helpers/postgres.ts'
import { cleanEnvironment, run, until } from '../test/helpers/run.ts'

/** One way to the database. `pids` are all processes in between, whose processor time counts. */
export type Path = {
  readonly name: string
  readonly url: string
  readonly pids: readonly number[]
  readonly stop: () => Promise<void>
}

export type Started = { readonly paths: readonly Path[]; readonly missing: readonly string[] }

/** Starts every way that this machine has the programs for; the others are named with what they lack. */
export async function startPaths(database: Database, directory: string): Promise<Started> {
  const paths: Path[] = []
  const missing: string[] = []
  const starters = [direct, dbgate, dbgateDirect, pgbouncer, ssh, stunnel]
  const shared = await dbgateServer(database, directory)
  for (const start of starters) {
    try {
      paths.push(await start({ database, directory, ...shared }))
    } catch (thrown) {
      missing.push(thrown instanceof Error ? thrown.message : String(thrown))
    }
  }
  return { paths, missing }
}

type Ground = { readonly database: Database; readonly directory: string } & Server
type Server = Awaited<ReturnType<typeof dbgateServer>>

async function direct({ database }: Ground): Promise<Path> {
  return { name: 'direct', url: plain(database.url), pids: [], stop: async () => {} }
}

/** Direct and through are the same: no encryption asked for that the path itself does not bring. */
const plain = (url: string) => `${url}?sslmode=disable`

async function dbgateServer(database: Database, directory: string) {
  const directPort = await freePort()
  const gate = await startGate({
    targets: {
      bench: {
        upstream: database.upstream,
        databases: [database.name],
        may: { engineering: EVERYTHING },
      },
    },
    lines: [
      'limits: { sessions_per_principal: 1000 }',
      'drain: 1s',
      `postgres_listen: 127.0.0.1:${directPort}`,
    ],
    inChild: true,
    state: join(directory, 'state'),
  })
  const exp = Math.floor(Date.now() / 1000) + 6 * 3600
  return { gate, directPort, token: await gate.issuer.mint('ana', { exp }) }
}

/** `dbgate login` and `dbgate connect`, as a person would start them. */
async function dbgate({ gate, token, directory }: Ground): Promise<Path> {
  const home = join(directory, 'home')
  mkdirSync(home, { recursive: true })
  const script = join(import.meta.dirname, '..', 'bin', 'dbgate.js')
  const env = { ...cleanEnvironment(), HOME: home, DBUS_SESSION_BUS_ADDRESS: '' }
  const login = ['login', gate.url, '--fingerprint', gate.pin, '--token-stdin']
  const signedIn = await run(process.execPath, [script, ...login], { env, input: token })
  if (signedIn.code !== 0) throw new Error(`dbgate login: ${signedIn.stderr}`)
  const child = spawn(
    process.execPath,
    [script, 'connect', 'bench', '--print-url', '--plain', '--port', String(await freePort())],
    { env, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const url = await firstLine(child)
  process.once('exit', () => child.kill())
  const pids = [child.pid ?? 0, gate.child?.pid ?? 0]
  const stop = async () => {
    await ended(child)
  }
  return { name: 'dbgate', url: plain(url), pids, stop }
}

/** The listener that speaks PostgreSQL itself, over TLS, with the token as the password. */
async function dbgateDirect({ gate, token, directPort }: Ground): Promise<Path> {
  const url = `postgresql://ana:${token}@127.0.0.1:${directPort}/bench?sslmode=require`
  return { name: 'dbgate direct', url, pids: [gate.child?.pid ?? 0], stop: gate.close }
}

async function pgbouncer({ database, directory }: Ground): Promise<Path> {
  const program = find('pgbouncer', 'PgBouncer')
  const { upstream, name } = database
  const port = await freePort()
  const folder = join(directory, 'pgbouncer')
  mkdirSync(folder, { recursive: true })
  const users = join(folder, 'users.txt')
  writeFileSync(users, `"postgres" "${upstream.password}"\n`)
  const ini = join(folder, 'pgbouncer.ini')
  writeFileSync(
    ini,
    `[databases]
${name} = host=127.0.0.1 port=${upstream.port} dbname=${name} user=postgres password=${upstream.password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
pool_mode = session
default_pool_size = 150
max_client_conn = 1000
server_reset_query =
`,
  )
  const isRoot = process.getuid?.() === 0
  if (isRoot) execFileSync('chown', ['-R', 'postgres', folder])
  const child = spawn(program, isRoot ? ['-u', 'postgres', ini] : [ini], { stdio: 'ignore' })
  await until('PgBouncer listens', () => reachable(port))
  return {
    name: 'PgBouncer',
    url: `postgresql://postgres@127.0.0.1:${port}/${name}?sslmode=disable`,
    pids: [child.pid ?? 0],
    stop: () => ended(child),
  }
}

async function ssh({ database, directory }: Ground): Promise<Path> {
  const [client, server] = [find('ssh', 'ssh -L'), find('sshd', 'ssh -L')]
  const folder = join(directory, 'ssh')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const [hostKey, userKey] = [join(folder, 'host'), join(folder, 'user')]
  for (const key of [hostKey, userKey]) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  }
  const [serverPort, localPort] = [await freePort(), await freePort()]
  writeFileSync(join(folder, 'authorized'), readFileSync(`${userKey}.pub`), { mode: 0o600 })
  writeFileSync(
    join(folder, 'config'),
    `Port ${serverPort}
ListenAddress 127.0.0.1
HostKey ${hostKey}
AuthorizedKeysFile ${join(folder, 'authorized')}
StrictModes no
UsePAM no
PermitRootLogin yes
PidFile none
MaxStartups 1000
`,
  )
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true })
  const daemon = spawn(server, ['-D', '-f', join(folder, 'config')], { stdio: 'ignore' })
  await until('sshd listens', () => reachable(serverPort))
  const forward = `127.0.0.1:${localPort}:127.0.0.1:${database.upstream.port}`
  const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR']
  const args = [
    ...['-N', '-L', forward, '-i', userKey, '-p', String(serverPort), '-F', '/dev/null'],
    ...options.flatMap(option => ['-o', option]),
    `${userInfo().username}@127.0.0.1`,
  ]
  const tunnel = spawn(client, args, { stdio: 'ignore' })
  await until('ssh forwards', () => reachable(localPort))
  return {
    name: 'ssh -L',
    url: plain(portOf(database.url, localPort)),
    pids: [tunnel.pid ?? 0, ...descendants(daemon.pid ?? 0)],
    stop: async () => {
      await ended(tunnel)
      await ended(daemon)
    },
  }
}

async function stunnel({ database, directory, gate }: Ground): Promise<Path> {
  const program = find('stunnel', 'stunnel')
  const folder = join(directory, 'stunnel')
  mkdirSync(folder, { recursive: true })
  const state = join(directory, 'state')
  const [middle, local] = [await freePort(), await freePort()]
  const hop = (name: string, lines: readonly string[]) => {
    const file = join(folder, `${name}.conf`)
    writeFileSync(
      file,
      ['foreground = yes', 'pid =', 'debug = 0', '[hop]', ...lines, ''].join('\n'),
    )
    return spawn(program, [file], { stdio: 'ignore' })
  }
  const far = hop('server', [
    `accept = 127.0.0.1:${middle}`,
    `connect = 127.0.0.1:${database.upstream.port}`,
    `cert = ${join(state, 'tls.crt')}`,
    `key = ${join(state, 'tls.key')}`,
  ])
  const near = hop('client', [
    'client = yes',
    `accept = 127.0.0.1:${local}`,
    `connect = 127.0.0.1:${middle}`,
  ])
  await until(`stunnel listens beside ${gate.port}`, () => reachable(local))
  return {
    name: 'stunnel',
    url: plain(portOf(database.url, local)),
    pids: [far.pid ?? 0, near.pid ?? 0],
    stop: async () => {
      await ended(near)
      await ended(far)
    },
  }
}

function portOf(url: string, port: number): string {
  return url.replace(/:\d+\//, `:${port}/`)
}

/** Where a program is. Throws what to say about it when it is not there. */
function find(program: string, what: string): string {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  for (const folder of folders) {
    const path = join(folder, program)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // not in this folder
    }
  }
  throw new Error(`${what}: not compared, ${program} is not installed here`)
}

async function reachable(port: number): Promise<boolean> {
  const { connect } = await import('node:net')
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

function firstLine(child: ChildProcess): Promise<string> {
  const { stdout } = child
  if (stdout === null) throw new Error('no stdout')
  return new Promise((resolve, reject) => {
    createInterface(stdout).once('line', resolve)
    child.once('exit', code => reject(new Error(`dbgate connect ended with ${code}`)))
  })
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise<void>(resolve => child.once('exit', () => resolve()))
  child.kill('SIGTERM')
  await gone
}

/** A process and all that descend from it; sshd forks one for each login. */
function descendants(pid: number): readonly number[] {
  const { stdout } = spawnSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
  const children = stdout.trim().split(/\s+/).map(Number)
  return [pid, ...children.filter(one => one > 0).flatMap(descendants)]
}
