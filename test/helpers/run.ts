import { spawn } from 'node:child_process'

export type Ran = {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: Buffer
}

export type RunOptions = {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly input?: string | Buffer
  readonly cwd?: string
  readonly timeoutMs?: number
}

/** Runs a program to its end and keeps what it wrote. PG* of this shell do not leak in. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ran> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...cleanEnvironment(), ...options.env },
    stdio: 'pipe',
    timeout: options.timeoutMs ?? 60_000,
    killSignal: 'SIGKILL',
  })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', chunk => stdout.push(chunk))
  child.stderr.on('data', chunk => stderr.push(chunk))
  child.stdin.on('error', () => {}) // it may end before it has read everything
  child.stdin.end(options.input ?? '')
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) =>
      resolve({ code, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) }),
    )
  })
}

/** Like `run`, but a failure throws with everything the program said; returns its stdout as text. */
export async function succeed(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const ran = await run(command, args, options)
  if (ran.code === 0) return ran.stdout.toString('utf8')
  const said = `${ran.stdout.toString('utf8').slice(-4000)}\n${ran.stderr.toString('utf8').slice(-4000)}`
  throw new Error(`${command} ended with ${ran.code ?? ran.signal}:\n${said}`)
}

/** This process's environment without anything that steers a PostgreSQL client or dbgate. */
export function cleanEnvironment(): Record<string, string | undefined> {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(PG|DBGATE_|DATABASE_URL)/.test(name),
  )
  return { ...Object.fromEntries(kept), LC_ALL: 'C.UTF-8', TZ: 'UTC' }
}

/** Tries until it holds, or throws what it last was. For what happens in another process. */
export async function until<T>(
  what: string,
  attempt: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs
  let last: unknown
  while (Date.now() < deadline) {
    try {
      const value = await attempt()
      if (value !== undefined && value !== false) return value
    } catch (thrown) {
      last = thrown
    }
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause: last })
}
