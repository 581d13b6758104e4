/** What is measured on each path: with PostgreSQL's own tools, one run at a time. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { run, succeed } from '../test/helpers/run.ts'
import type { Path } from './paths.ts'

/** One run: how much per second, and what it cost. Units as the metric says. */
export type Sample = {
  readonly rate: number
  /** The median transaction. */
  readonly p50Us?: number | undefined
  /** Processor time of all processes between client and database, for each unit of `rate`. */
  readonly cpuUs?: number | undefined
}

export type Load = {
  readonly clients: number
  readonly mode: 'simple' | 'prepared'
  readonly seconds: number
  readonly isConnecting?: boolean
}

const LONGEST_SECONDS = 30

/** pgbench -S: transactions per second, the median of their latency, and processor time for each. */
export async function pgbench(path: Path, load: Load): Promise<Sample> {
  const directory = mkdtempSync(join(tmpdir(), 'dbgate-bench-log-'))
  try {
    const args = [
      ...[
        '-n',
        '-S',
        '-M',
        load.mode,
        '-c',
        String(load.clients),
        '-T',
        String(Math.ceil(load.seconds)),
      ],
      ...['-j', load.clients > 1 ? '2' : '1', '--log', '--log-prefix', join(directory, 'log')],
      ...(load.isConnecting ? ['-C'] : []),
      path.url,
    ]
    const before = cpuMs(path)
    const output = await succeed('pgbench', args, { timeoutMs: 120_000 })
    const spentMs = cpuMs(path) - before
    const rate = Number(/tps = ([\d.]+)/.exec(output)?.[1])
    const done = Number(/actually processed: (\d+)/.exec(output)?.[1])
    if (/failed transactions: [1-9]/.test(output)) throw new Error(output)
    // The logins took all of the time: nothing is known yet of how fast transactions are.
    if (done === 0) return await pgbench(path, { ...load, seconds: longer(load.seconds, output) })
    return { rate, p50Us: medianLatency(directory), cpuUs: (spentMs * 1000) / done }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Throws where not even so long is long enough. */
function longer(seconds: number, output: string): number {
  if (seconds > LONGEST_SECONDS) throw new Error(`no transaction in ${seconds} s: ${output}`)
  return seconds * 2
}

/** pgbench logs `client_id transaction_no time …`, the time in microseconds. */
function medianLatency(directory: string): number {
  const lines = readdirSync(directory).flatMap(name =>
    readFileSync(join(directory, name), 'utf8').trim().split('\n'),
  )
  return median(lines.map(line => Number(line.split(' ')[2])))
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** Rows per second of what psql reads or writes. */
export async function bulk(
  path: Path,
  kind: 'select' | 'copy out' | 'copy in',
  rows: number,
  file: string,
): Promise<Sample> {
  const sql = {
    select: `select * from pgbench_accounts limit ${rows}`,
    'copy out': `copy (select * from pgbench_accounts limit ${rows}) to stdout`,
    'copy in': `\\copy bulk_in from '${file}'`,
  }[kind]
  if (kind === 'copy in') {
    await succeed('psql', ['-X', '-q', path.url, '-c', 'truncate bulk_in'])
  }
  const before = cpuMs(path)
  const startedAt = performance.now()
  // Through a shell, so that no process of ours has to read what psql prints.
  await succeed('sh', ['-c', 'exec psql -X -q -At "$0" -c "$1" >/dev/null', path.url, sql], {
    timeoutMs: 120_000,
  })
  const seconds = (performance.now() - startedAt) / 1000
  return { rate: rows / seconds, cpuUs: ((cpuMs(path) - before) * 1000) / rows }
}

/** Processor time spent so far by everything in between. */
function cpuMs(path: Path): number {
  const TICK_MS = 10 // sysconf(_SC_CLK_TCK) is 100 on Linux
  let ticks = 0
  for (const pid of path.pids) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      ticks += Number(fields[11]) + Number(fields[12])
    } catch {
      return Number.NaN // no /proc on this system
    }
  }
  return ticks * TICK_MS
}

function residentKb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

export type Memory = { readonly pid: number; readonly idleKb: number; readonly slowKb: number }

/**
 * Resident memory of each process of a path: for each of `sessions` idle ones, and how much it grows while
 * somebody reads `rows` rows as slowly as they can.
 */
export async function memory(
  path: Path,
  sessions: number,
  rows: number,
): Promise<readonly Memory[]> {
  const warm = await openMany(path, 20) // what is allocated once is not counted for each
  await closeAll(warm)
  await settle()
  const before = path.pids.map(residentKb)
  const idle = await openMany(path, sessions)
  await settle()
  const after = path.pids.map(residentKb)
  await closeAll(idle)
  await settle()
  const start = path.pids.map(residentKb)
  const peak = await slowReader(path, rows, start)
  return path.pids.map((pid, i) => ({
    pid,
    idleKb: ((after[i] ?? 0) - (before[i] ?? 0)) / sessions,
    slowKb: (peak[i] ?? 0) - (start[i] ?? 0),
  }))
}

async function openMany(path: Path, count: number): Promise<pg.Client[]> {
  const clients: pg.Client[] = []
  for (let i = 0; i < count; i++) {
    const client = new pg.Client(clientConfig(path))
    client.on('error', () => {}) // one that is lost fails what comes next
    await client.connect()
    await client.query('select 1')
    clients.push(client)
  }
  return clients
}

function clientConfig({ url }: Path): pg.ClientConfig {
  const isTls = url.includes('sslmode=require')
  const connectionString = url.replace(/\?sslmode=\w+/, '')
  return { connectionString, ...(isTls ? { ssl: { rejectUnauthorized: false } } : {}) }
}

const closeAll = (clients: readonly pg.Client[]) => Promise.all(clients.map(one => one.end()))
const settle = () => new Promise(resolve => setTimeout(resolve, 1500))

/** Reads a result in sips for five seconds, then to its end; returns the largest size each process had. */
async function slowReader(
  path: Path,
  rows: number,
  start: readonly number[],
): Promise<readonly number[]> {
  const peak = [...start]
  const look = () => {
    for (const [i, pid] of path.pids.entries()) peak[i] = Math.max(peak[i] ?? 0, residentKb(pid))
  }
  const sql = `copy (select * from pgbench_accounts limit ${rows}) to stdout`
  const child = run('sh', [
    '-c',
    `psql -X -q "$0" -c "$1" | { for i in 1 2 3 4 5 6 7 8 9 10; do head -c 200000 >/dev/null; sleep 0.5; done; cat >/dev/null; }`,
    path.url,
    sql,
  ])
  const timer = setInterval(look, 50)
  const ran = await child
  clearInterval(timer)
  look()
  if (ran.code !== 0) throw new Error(ran.stderr.toString('utf8'))
  return peak
}
