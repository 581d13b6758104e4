import { createHash } from 'node:crypto'
import { mkdir, readdir, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'

/**
 * Which tunnels run on this machine. No daemon and no list that could go stale: each tunnel has a socket
 * in one directory, and who connects to it is told what that tunnel is now. A socket nobody answers is
 * left over from a crash and is removed.
 */

/** What a running tunnel says of itself. Never its password. Units: epoch ms. */
export type RunningTunnel = {
  readonly pid: number
  readonly server: string
  readonly target: string
  readonly role: string
  readonly user: string
  readonly database: string
  readonly host: string
  readonly port: number
  readonly startedAt: number
  readonly clients: readonly string[]
}

/** A tunnel's entry in the directory. */
export type Registration = { close(): Promise<void> }

const ANSWER_MS = 1_000
const MAX_ANSWER_BYTES = 64 * 1024
const CLOSE = 'close\n'

/**
 * Announces a tunnel in `directory`, which only its owner may enter.
 *
 * @param describe called for each question, so that the answer is always current
 * @param onClose called when another dbgate of the same user asks the tunnel to close
 * Throws: the system's error, such as a path too long for a socket.
 */
export async function announce(
  directory: string,
  describe: () => RunningTunnel,
  onClose: () => void,
): Promise<Registration> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const path = socketPath(directory, describe())
  await unlinkStale(path)
  const server = createServer(socket => {
    socket.on('error', () => {}) // Whoever asked has left.
    socket.setTimeout(ANSWER_MS, () => socket.destroy())
    socket.on('data', chunk => {
      if (chunk.toString('latin1') === CLOSE) onClose()
    })
    socket.end(`${JSON.stringify(describe())}\n`)
  })
  await listen(server, path)
  server.unref()
  return {
    close: () => new Promise(resolve => server.close(() => resolve())),
  }
}

/** The tunnels that answer, by name. Sockets that nobody answers are removed. */
export async function listRunning(directory: string): Promise<readonly RunningTunnel[]> {
  const names = await readdir(directory).catch(() => [])
  const paths = names.filter(name => name.endsWith('.sock')).map(name => join(directory, name))
  const answers = await Promise.all(paths.map(path => ask(path)))
  return answers
    .filter(answer => answer !== undefined)
    .toSorted((left, right) => left.target.localeCompare(right.target))
}

/** The tunnel to this target of this server, if one runs. */
export async function findRunning(
  directory: string,
  server: string,
  target: string,
): Promise<RunningTunnel | undefined> {
  const running = await listRunning(directory)
  return running.find(tunnel => tunnel.server === server && tunnel.target === target)
}

/** Asks a tunnel to close. True if it was there to hear it. */
export async function closeRunning(directory: string, tunnel: RunningTunnel): Promise<boolean> {
  return (await ask(socketPath(directory, tunnel), CLOSE)) !== undefined
}

/** Short whatever the names are: a socket's path may have 107 bytes on Linux, 103 on macOS. */
function socketPath(directory: string, tunnel: RunningTunnel): string {
  const key = createHash('sha256').update(`${tunnel.server} ${tunnel.target} ${tunnel.port}`)
  return join(directory, `${key.digest('hex').slice(0, 12)}.sock`)
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

async function unlinkStale(path: string): Promise<void> {
  if ((await ask(path)) === undefined) await unlink(path).catch(() => {})
}

function ask(path: string, question = ''): Promise<RunningTunnel | undefined> {
  return new Promise(resolve => {
    const socket = connect(path)
    let answer = ''
    socket.setTimeout(ANSWER_MS, () => socket.destroy())
    socket.on('connect', () => socket.write(question))
    socket.on('data', chunk => {
      answer += chunk.toString('utf8')
      if (answer.length > MAX_ANSWER_BYTES) socket.destroy()
    })
    socket.on('error', error => {
      // Refused: the file is there, its process is not.
      if ('code' in error && error.code === 'ECONNREFUSED') unlink(path).catch(() => {})
    })
    socket.on('close', () => resolve(parse(answer)))
  })
}

function parse(answer: string): RunningTunnel | undefined {
  try {
    const value: unknown = JSON.parse(answer)
    return isRunning(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isRunning(value: unknown): value is RunningTunnel {
  if (typeof value !== 'object' || value === null) return false
  const fields = {
    pid: 'number',
    server: 'string',
    target: 'string',
    role: 'string',
    user: 'string',
  }
  const more = { database: 'string', host: 'string', port: 'number', startedAt: 'number' }
  const record: Record<string, unknown> = { ...value }
  return (
    Object.entries({ ...fields, ...more }).every(([name, type]) => typeof record[name] === type) &&
    Array.isArray(record.clients)
  )
}
