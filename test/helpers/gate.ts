import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { freePort } from '../../src/demo/index.ts'
import { serve } from '../../src/serve.ts'
import { openTunnel, type Tunnel } from '../../src/tunnel/index.ts'
import { type TestIssuer, testIssuer } from './oidc.ts'
import type { Upstream } from './postgres.ts'

export type Need = 'read' | 'write' | 'ddl' | 'admin'

export type GateTarget = {
  readonly upstream: Upstream
  readonly databases: readonly string[]
  /** What each group may do here; groups without a line have no grant. */
  readonly may: Readonly<Record<string, readonly Need[]>>
  /** The login on the upstream; its superuser when left out. */
  readonly login?: { readonly user: string; readonly password: string }
  /** The login is told by a command, which prints `credentials/NAME.json` of the gate's directory, for an hour. */
  readonly isLoginTold?: boolean
  /** More lines of the target, as YAML. */
  readonly lines?: readonly string[]
}

export type GateOptions = {
  /** More lines of the configuration, from the left margin. */
  readonly top?: readonly string[]
  readonly targets: Readonly<Record<string, GateTarget>>
  /** Where the state directory lies; a temporary one when left out. */
  readonly state?: string
  /** More lines of `server:`, as YAML. */
  readonly lines?: readonly string[]
  /** A process of its own, which can be killed, instead of this one. */
  readonly inChild?: boolean
  /** Put before the child's command, like `prlimit`. */
  readonly childPrefix?: readonly string[]
}

/** A whole dbgate: server, API, gate, log; reached as its users reach it. */
export type TestGate = {
  readonly url: string
  readonly port: number
  readonly pin: string
  readonly issuer: TestIssuer
  readonly directory: string
  readonly configPath: string
  readonly policyPath: string
  readonly auditDirectory: string
  readonly child: ChildProcess | undefined
  /** What the server wrote to its log, as JSON lines. */
  readonly log: string[]
  /** Opens the local end for a person (by id) and returns it; it closes with the gate. */
  readonly connect: (target: string, person?: string, token?: string) => Promise<Tunnel>
  /** A request to the API as a person, or with any token. */
  readonly close: () => Promise<void>
}

export const EVERYTHING: readonly Need[] = ['read', 'write', 'ddl', 'admin']

export async function startGate(options: GateOptions): Promise<TestGate> {
  const issuer = await testIssuer()
  const directory = await mkdtemp(join(tmpdir(), 'dbgate-serve-'))
  const state = options.state ?? join(directory, 'state')
  const paths = await writeFiles(directory, state, issuer, options, await freePort())
  const log: string[] = []
  const running = options.inChild
    ? await serveInChild(paths.configPath, log, options.childPrefix ?? [])
    : await serveHere(paths.configPath, log)
  const tunnels: Tunnel[] = []
  return {
    ...paths,
    issuer,
    directory,
    auditDirectory: join(state, 'audit'),
    log,
    url: running.url,
    port: Number(new URL(running.url).port),
    pin: running.pin,
    child: running.child,
    connect: async (target, person = 'ana', token) => {
      const shown = token ?? (await issuer.mint(person))
      const expiresAt = Date.now() + 600_000
      const tunnel = await openTunnel({
        server: { url: running.url, pin: running.pin },
        target,
        role: undefined,
        agent: 'test',
        signIn: {
          current: async () => ({ token: shown, expiresAt }),
          renew: async () => ({ token: shown, expiresAt }),
        },
        user: 'postgres',
        password: randomBytes(12).toString('hex'),
        database: options.targets[target]?.databases[0] ?? 'postgres',
        host: '127.0.0.1',
        port: await freePort(),
        anyPort: true,
        now: Date.now,
        random: randomBytes,
        onEvent: () => {},
      })
      tunnels.push(tunnel)
      return tunnel
    },
    close: async () => {
      for (const tunnel of tunnels) await tunnel.close()
      await running.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

type Running = {
  readonly url: string
  readonly pin: string
  readonly child: ChildProcess | undefined
  readonly close: () => Promise<void>
}

async function serveHere(configPath: string, log: string[]): Promise<Running> {
  const server = await serve({
    configPath,
    version: '0.0.0-test',
    env: {},
    now: Date.now,
    clock: () => performance.now(),
    randomBytes,
    log: event => log.push(JSON.stringify(event)),
  })
  const close = () => server.close()
  return { url: server.url, pin: server.pin, child: undefined, close }
}

async function serveInChild(
  configPath: string,
  log: string[],
  prefix: readonly string[],
): Promise<Running> {
  const script = join(import.meta.dirname, 'serve-child.ts')
  const [command = '', ...args] = [...prefix, process.execPath, script, configPath]
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stderr.on('data', chunk => log.push(String(chunk)))
  const lines = createInterface(child.stdout)
  const first = await new Promise<string>((resolve, reject) => {
    lines.once('line', resolve)
    child.once('exit', code => reject(new Error(`the server ended with ${code}: ${log.join('')}`)))
  })
  lines.on('line', text => log.push(text))
  const { url, pin } = JSON.parse(first)
  const close = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGTERM')
    await gone
  }
  return { url, pin, child, close }
}

async function writeFiles(
  directory: string,
  state: string,
  issuer: TestIssuer,
  options: GateOptions,
  port: number,
) {
  const configPath = join(directory, 'dbgate.yaml')
  const policyPath = join(directory, 'policy.yaml')
  const credentials = join(directory, 'credentials')
  await mkdir(credentials)
  const targets: string[] = []
  const roles = new Map<string, string>()
  const people: string[] = []
  for (const [name, target] of Object.entries(options.targets)) {
    const { upstream, databases } = target
    const login = target.login ?? { user: 'postgres', password: upstream.password }
    const path = join(credentials, `${name}.json`)
    await writeFile(path, JSON.stringify(login), { mode: 0o600 })
    const granted = Object.entries(target.may).map(([group, may]) => {
      const role = may.length === 0 ? 'nothing' : may.join('-')
      roles.set(role, `  ${role}: { may: [${may.join(', ')}] }`)
      people.push(`  - { groups: [${group}], roles: { ${name}: ${role} } }`)
      return role
    })
    targets.push(
      `  ${name}:`,
      `    url: postgresql://${upstream.host}:${upstream.port}/${databases[0]}`,
      `    databases: [${databases.join(', ')}]`,
      ...(target.lines ?? ['sslmode: disable']).map(text => `    ${text}`),
      '    credentials:',
      ...[...new Set(granted)].map(
        role =>
          `      ${role}: ${target.isLoginTold ? `{ from: exec, command: [/bin/cat, ${path}], cache: 1h }` : `{ from: file, path: ${path} }`}`,
      ),
    )
  }
  const config = [
    'version: 1',
    'server:',
    `  url: https://127.0.0.1:${port}`,
    `  listen: 127.0.0.1:${port}`,
    `  state: ${state}`,
    `  policy: ${policyPath}`,
    ...(options.lines ?? ['limits: { sessions_per_principal: 500 }', 'drain: 1s']).map(
      text => `  ${text}`,
    ),
    'issuers:',
    `  test: { issuer: "${issuer.issuer}", client_id: ${issuer.clientId} }`,
    'targets:',
    ...targets,
    'auditors: { groups: [dba] }',
    ...(options.top ?? []),
  ]
  const policy = ['version: 1', 'roles:', ...roles.values(), 'people:', ...people]
  await writeFile(configPath, `${config.join('\n')}\n`)
  await writeFile(policyPath, `${policy.join('\n')}\n`)
  return { configPath, policyPath }
}
