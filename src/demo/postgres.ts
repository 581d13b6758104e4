/**
 * A throw-away PostgreSQL: made, filled and started in about two seconds, gone without a trace.
 *
 * Invariant: the database never outlives this process, not even after kill -9. A shell owns it and
 * ends it when its pipe to us closes, which the kernel does for us.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DbgateError } from '../errors.ts'
import { type Binaries, EXE, isOpenToOthers, reachableBinaries } from './binaries.ts'
import { freePort } from './ports.ts'

/** SQL to run in one database before the server listens. Statements end with `;` and an empty line. */
export type SetupSql = { readonly database: string; readonly sql: string }

export type PostgresOptions = {
  readonly binaries: Binaries
  /** Of the superuser `postgres`, who logs in with SCRAM-SHA-256. */
  readonly password: string
  readonly setup?: readonly SetupSql[]
  /** Lines of postgresql.conf; safe-for-throw-away defaults stand below them. */
  readonly settings?: Readonly<Record<string, string>>
  /** Lines put in front of pg_hba.conf. */
  readonly hba?: readonly string[]
  /** Written into the data folder with mode 0600 (a certificate and its key, for example). */
  readonly files?: Readonly<Record<string, string>>
  /** Kept, with the database in it, and taken up again next time; a temporary one when left out. */
  readonly directory?: string
}

export type RunningPostgres = {
  readonly host: string
  readonly port: number
  readonly directory: string
  readonly logFile: string
  /** Stops and starts again on the same port; open connections end with 57P01. */
  readonly restart: () => Promise<void>
  /** Stops and removes every file, unless the folder was to be kept. */
  readonly stop: () => Promise<void>
}

/** Nothing in a throw-away database is worth a disk flush. */
const DEFAULTS = {
  listen_addresses: `'127.0.0.1'`,
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '200',
  max_prepared_transactions: '10',
  lc_messages: 'C',
} as const

const START_TIMEOUT_MS = 30_000

/**
 * Makes a cluster in a fresh temporary folder, runs the setup in it and starts it on a free port of
 * 127.0.0.1. Run as root, it uses the OS user `postgres`, or `nobody` where there is none.
 *
 * Throws: UNREACHABLE with the end of PostgreSQL's own log.
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const isKept = options.directory !== undefined
  const owner = await unprivilegedOwner()
  const directory = options.directory ?? (await temporaryDirectory(owner))
  try {
    const binaries = await givenTo(owner, directory, options.binaries)
    const cluster = new Cluster(directory, binaries, owner, isKept)
    await cluster.make(options)
    await cluster.start()
    return {
      host: '127.0.0.1',
      port: cluster.port,
      directory,
      logFile: cluster.logFile,
      restart: async () => {
        await cluster.end('keep')
        await cluster.start()
      },
      stop: async () => {
        await cluster.end('remove')
        if (!isKept) await rm(directory, { recursive: true, force: true })
      },
    }
  } catch (thrown) {
    if (!isKept) await rm(directory, { recursive: true, force: true })
    throw thrown
  }
}

/** A fresh folder that the owner can get to: TMPDIR may be a private place of root's. */
async function temporaryDirectory(owner: Owner | undefined): Promise<string> {
  const isUsable = owner === undefined || (await isOpenToOthers(tmpdir()))
  return mkdtemp(join(isUsable ? tmpdir() : '/tmp', 'dbgate-pg-'))
}

/** Hands the folder to its owner and returns binaries they can run. */
async function givenTo(
  owner: Owner | undefined,
  directory: string,
  binaries: Binaries,
): Promise<Binaries> {
  if (owner === undefined) return binaries
  if (!(await isOpenToOthers(dirname(directory)))) {
    throw new DbgateError('USAGE', `PostgreSQL cannot get to ${directory}`, {
      detail: 'It does not run as root, and its own user may not enter a folder on the way there.',
      next: ['mkdir /var/tmp/dbgate-demo', 'dbgate demo --keep /var/tmp/dbgate-demo'],
    })
  }
  await chown(directory, owner.uid, owner.gid)
  return reachableBinaries(binaries, directory)
}

type Owner = { readonly uid: number; readonly gid: number }

/** PostgreSQL refuses to run as root. */
async function unprivilegedOwner(): Promise<Owner | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const passwd = await readFile('/etc/passwd', 'utf8')
  for (const name of ['postgres', 'nobody']) {
    const fields = passwd
      .split('\n')
      .map(line => line.split(':'))
      .find(([user]) => user === name)
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) }
  }
  return { uid: 65534, gid: 65534 }
}

/**
 * $0 postgres, $1 the folder to remove in the end if any, the rest its arguments. File descriptor 3 is
 * the pipe to us: the word `keep` or its end stops the database; its end also removes the folder.
 */
const KEEPER = `
work=$1; shift
"$0" "$@" </dev/null 3<&- & pid=$!
( read -r word <&3; kill -INT $pid 2>/dev/null
  while kill -0 $pid 2>/dev/null; do sleep 0.05; done
  [ "$word" = keep ] || [ -z "$work" ] || rm -rf "$work" ) </dev/null >/dev/null 2>&1 &
exec 3<&-
wait $pid`

class Cluster {
  readonly logFile: string
  port = 0
  readonly #directory: string
  readonly #data: string
  readonly #binaries: Binaries
  readonly #owner: Owner | undefined
  readonly #isKept: boolean
  #child: ChildProcess | undefined

  constructor(directory: string, binaries: Binaries, owner: Owner | undefined, isKept: boolean) {
    this.#directory = directory
    this.#isKept = isKept
    this.#data = join(directory, 'data')
    this.logFile = join(directory, 'postgres.log')
    this.#binaries = binaries
    this.#owner = owner
  }

  async make(options: PostgresOptions): Promise<void> {
    const made = join(this.#directory, 'made')
    if (existsSync(made)) return // kept from last time
    await rm(this.#data, { recursive: true, force: true }) // half made, should there be one
    const passwordFile = join(this.#directory, 'password')
    await this.#write(passwordFile, `${options.password}\n`)
    await this.#run('initdb', [
      ...['-D', this.#data, '-U', 'postgres', '-A', 'scram-sha-256', '--pwfile', passwordFile],
      ...['--no-sync', '--no-locale', '-E', 'UTF8'],
    ])
    await rm(passwordFile)
    for (const [name, text] of Object.entries(options.files ?? {})) {
      await this.#write(join(this.#data, name), text)
    }
    const settings = {
      ...DEFAULTS,
      unix_socket_directories: process.platform === 'win32' ? `''` : `'${this.#directory}'`,
      ...options.settings,
    }
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`)
    await this.#append('postgresql.conf', lines.join(''))
    if (options.hba !== undefined) {
      const hba = join(this.#data, 'pg_hba.conf')
      await this.#write(hba, `${options.hba.join('\n')}\n${await readFile(hba, 'utf8')}`)
    }
    for (const { database, sql } of options.setup ?? []) {
      const single = ['--single', '-j', '-D', this.#data, '-c', 'exit_on_error=on', database]
      await this.#run('postgres', single, `${sql}\n\n`)
    }
    await this.#write(made, '')
  }

  async start(): Promise<void> {
    if (this.port === 0) this.port = await freePort()
    const log = await open(this.logFile, 'a', 0o600)
    if (this.#owner !== undefined) await log.chown(this.#owner.uid, this.#owner.gid)
    const postgres = join(this.#binaries.directory, `postgres${EXE}`)
    const args = ['-D', this.#data, '-p', String(this.port)]
    const [command, argv] =
      process.platform === 'win32'
        ? [postgres, args]
        : ['/bin/sh', ['-c', KEEPER, postgres, this.#isKept ? '' : this.#directory, ...args]]
    const child = spawn(command, argv, {
      ...this.#identity(),
      cwd: this.#directory,
      detached: true, // a ^C in the terminal is for us alone
      stdio: ['ignore', log.fd, log.fd, 'pipe'],
    })
    await log.close()
    child.unref()
    const keeper = child.stdio[3]
    if (keeper !== null && keeper !== undefined && 'unref' in keeper) unref(keeper)
    this.#child = child
    await this.#untilReady(child)
  }

  /** Ends the running database; with `remove`, its folder too. */
  async end(what: 'keep' | 'remove'): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    this.#child = undefined
    const gone = new Promise<void>(resolve => child.once('exit', () => resolve()))
    if (child.exitCode !== null || child.signalCode !== null) return
    const keeper = child.stdio[3]
    child.ref()
    if (process.platform === 'win32') child.kill()
    else if (keeper && 'end' in keeper) keeper.end(what === 'keep' ? 'keep\n' : '')
    await gone
  }

  async #untilReady(child: ChildProcess): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT_MS
    while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
      const log = await readFile(this.logFile, 'utf8')
      const started = log.slice(log.lastIndexOf('starting PostgreSQL'))
      if (started.includes('ready to accept connections') && (await answers(this.port))) return
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    throw await this.#failure('postgres did not start', await readFile(this.logFile, 'utf8'))
  }

  /** Runs one of the binaries to its end, as the unprivileged user. */
  async #run(name: string, args: readonly string[], input = ''): Promise<void> {
    const child = spawn(join(this.#binaries.directory, `${name}${EXE}`), args, {
      ...this.#identity(),
      cwd: this.#directory,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let output = ''
    child.stdout.on('data', chunk => (output += chunk))
    child.stderr.on('data', chunk => (output += chunk))
    child.stdin.on('error', () => {}) // it ended before reading all: its exit code tells
    child.stdin.end(input)
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    if (code !== 0) throw await this.#failure(`${name} failed`, output)
  }

  async #failure(what: string, output: string): Promise<DbgateError> {
    const tail = output.trim().split('\n').slice(-8).join('\n')
    return new DbgateError('UNREACHABLE', what, { detail: tail })
  }

  #identity() {
    // PG* of the person's shell must not steer the demo's database.
    const env = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' }
    return this.#owner === undefined ? { env } : { env, ...this.#owner }
  }

  async #write(path: string, text: string): Promise<void> {
    await writeFile(path, text, { mode: 0o600 })
    await chmod(path, 0o600)
    if (this.#owner !== undefined) await chown(path, this.#owner.uid, this.#owner.gid)
  }

  async #append(name: string, text: string): Promise<void> {
    const path = join(this.#data, name)
    await this.#write(path, `${await readFile(path, 'utf8')}\n${text}`)
  }
}

async function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

function unref(stream: object): void {
  if ('unref' in stream && typeof stream.unref === 'function') stream.unref()
}
