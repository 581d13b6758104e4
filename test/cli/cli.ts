import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { cleanEnvironment, type Ran, run } from '../helpers/run.ts'

export const BIN = resolve(import.meta.dirname, '../../bin/dbgate.js')

/** What a command printed, as text. */
export type Said = { readonly code: number | null; readonly out: string; readonly err: string }

/** A person at a terminal of their own: an empty home, no keychain, no browser. */
export type Cli = {
  readonly home: string
  readonly env: Readonly<Record<string, string | undefined>>
  run(
    args: readonly string[],
    more?: { env?: Record<string, string>; input?: string },
  ): Promise<Said>
  /** Starts a command that stays; kill it when done. */
  start(args: readonly string[], env?: Record<string, string>): Running
  close(): Promise<void>
}

/** A command that is running; `out` and `err` grow. */
export type Running = {
  readonly child: ChildProcess
  readonly said: { out: string; err: string }
  readonly ended: Promise<Said>
}

export async function person(): Promise<Cli> {
  const home = await mkdtemp(join(tmpdir(), 'dbgate-cli-'))
  const env = {
    ...cleanEnvironment(),
    HOME: home,
    // The compiled sources may be shared: they hold nothing of a person.
    XDG_CACHE_HOME: join(tmpdir(), 'dbgate-test-cache'),
    XDG_CONFIG_HOME: undefined,
    XDG_STATE_HOME: undefined,
    DISPLAY: undefined,
    WAYLAND_DISPLAY: undefined,
    SSH_CONNECTION: undefined,
    DBUS_SESSION_BUS_ADDRESS: undefined,
    NO_COLOR: '1',
    CLAUDECODE: undefined,
    GITHUB_ACTIONS: undefined,
  }
  const running = new Set<ChildProcess>()
  return {
    home,
    env,
    run: async (args, { env: extra = {}, input } = {}) => {
      const options = { env: { ...env, ...extra }, ...(input === undefined ? {} : { input }) }
      return said(await run(process.execPath, [BIN, ...args], options))
    },
    start: (args, extra = {}) => {
      const child = spawn(process.execPath, [BIN, ...args], {
        env: { ...env, ...extra },
        stdio: 'pipe',
      })
      running.add(child)
      const spoken = { out: '', err: '' }
      child.stdout.on('data', chunk => {
        spoken.out += chunk
      })
      child.stderr.on('data', chunk => {
        spoken.err += chunk
      })
      const ended = new Promise<Said>(resolve => {
        child.once('close', code => {
          running.delete(child)
          resolve({ code, ...spoken })
        })
      })
      return { child, said: spoken, ended }
    },
    close: async () => {
      for (const child of running) child.kill('SIGKILL')
      await rm(home, { recursive: true, force: true })
    },
  }
}

function said(ran: Ran): Said {
  return { code: ran.code, out: ran.stdout.toString('utf8'), err: ran.stderr.toString('utf8') }
}
