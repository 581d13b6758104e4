/** `dbgate demo`: brings everything up, says what to type, and takes everything down again. */
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { findBinaries } from './binaries.ts'
import { demoPasswords, writeDemoFiles } from './files.ts'
import { startIssuer } from './issuer.ts'
import { PEOPLE } from './people.ts'
import { portFrom } from './ports.ts'
import { type RunningPostgres, startPostgres } from './postgres.ts'
import { shopSetup } from './shop.ts'
import { invitation, type Stage, tellStory } from './story.ts'

/** The server as the demo sees it. `pin` is the SHA-256 of its certificate in hex. */
export type DemoServer = {
  readonly url: string
  readonly pin: string
  close(): Promise<void>
}

export type DemoOptions = {
  /** Starts `dbgate serve` in this process with that dbgate.yaml: src/serve.ts is no business of ours. */
  readonly serve: (configPath: string) => Promise<DemoServer>
  /** How to start the dbgate command as a child: an executable and its first arguments. */
  readonly command: readonly [string, ...string[]]
  /** What a person types for it in a second terminal. */
  readonly shownCommand: string
  readonly env: NodeJS.ProcessEnv
  readonly print: (line: string) => void
  /** Runs the story by itself instead of waiting. */
  readonly isScript: boolean
  /** Keeps everything in this folder and goes on with what is there; a temporary one when left out. */
  readonly keep?: string | undefined
  /** The local port of `dbgate connect demo`; the next free one is taken. */
  readonly port?: number | undefined
  /** Aborted when the demo shall end (^C). */
  readonly signal: AbortSignal
  readonly now: () => number
}

const LOCAL_PORT = 6499
const SERVER_PORT = 6598
const CLIENT_ID = 'dbgate-demo'

/**
 * Runs the demo until its signal is aborted, or, as a script, until the story has been told. Returns
 * whether all went as it should: for the script, that every step showed what it promised.
 *
 * Throws: UNREACHABLE if PostgreSQL or the identity provider can't be had here.
 */
export async function runDemo(options: DemoOptions): Promise<boolean> {
  const startedAt = options.now()
  const world = await World.open(options)
  try {
    const seconds = ((options.now() - startedAt) / 1000).toFixed(1)
    options.print(`✓ a small shop database, a server, three people, a policy (${seconds} s)`)
    options.print('  all of it on this machine; nothing leaves it; ^C removes everything')
    const stage: Stage = { ...options, ...world.place, server: world.server }
    if (options.isScript) return await tellStory(stage, options.signal)
    for (const line of await invitation(stage, options.shownCommand)) options.print(line)
    await aborted(options.signal)
    options.print('')
    options.print('stopping')
    return true
  } finally {
    await world.close()
  }
}

type Place = { readonly directory: string; readonly policyPath: string }
type Part = { close(): Promise<unknown> }

/** All that runs while the demo does. */
class World {
  readonly place: Place
  readonly server: DemoServer
  readonly #parts: readonly Part[]

  private constructor(place: Place, server: DemoServer, parts: readonly Part[]) {
    this.place = place
    this.server = server
    this.#parts = parts
  }

  static async open(options: DemoOptions): Promise<World> {
    const parts: Part[] = []
    try {
      const directory = await demoDirectory(options.keep)
      if (options.keep === undefined) {
        parts.unshift({ close: () => rm(directory, { recursive: true, force: true }) })
      }
      const issuer = await startIssuer({ people: PEOPLE, clientId: CLIENT_ID, now: options.now })
      parts.unshift({ close: issuer.stop })
      const postgres = await openDatabase(directory, options)
      parts.unshift({ close: postgres.stop })
      const { configPath, policyPath } = await writeDemoFiles({
        directory,
        localPort: await portFrom(options.port ?? LOCAL_PORT),
        serverPort: await portFrom(SERVER_PORT),
        databasePort: postgres.port,
        issuer: issuer.issuer,
        clientId: issuer.clientId,
      })
      const server = await options.serve(configPath)
      parts.unshift(server)
      return new World({ directory, policyPath }, server, parts)
    } catch (thrown) {
      await closeAll(parts)
      throw thrown
    }
  }

  /** Takes everything down, the last first, whatever one of them says. */
  close(): Promise<void> {
    return closeAll(this.#parts)
  }
}

async function closeAll(parts: readonly Part[]): Promise<void> {
  const failures: unknown[] = []
  for (const part of parts) await part.close().catch(thrown => failures.push(thrown))
  if (failures.length > 0) throw failures[0]
}

async function demoDirectory(keep: string | undefined): Promise<string> {
  if (keep === undefined) return mkdtemp(join(tmpdir(), 'dbgate-demo-'))
  const directory = resolve(keep)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return directory
}

async function openDatabase(directory: string, options: DemoOptions): Promise<RunningPostgres> {
  const passwords = await demoPasswords(directory)
  const base = {
    binaries: await findBinaries(options.env),
    password: passwords.postgres,
    setup: shopSetup(passwords),
  }
  if (options.keep === undefined) return startPostgres(base)
  const folder = join(directory, 'database')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  // PostgreSQL may run as another user than us, who must get through to its own folder, not read ours.
  await chmod(directory, 0o711)
  return startPostgres({ ...base, directory: folder })
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}
