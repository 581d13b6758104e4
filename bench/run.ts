/**
 * `npm run bench [-- --quick]`: dbgate (tunnel and server, TLS, everything on record) beside a direct
 * connection and what people would pick instead, interleaved in one run on one machine. Ratios are what
 * counts: absolute numbers are this machine's, and gaps below its noise, which is printed, prove nothing.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { freshDatabase, ownPostgres } from '../test/helpers/postgres.ts'
import { succeed } from '../test/helpers/run.ts'
import { bulk, type Load, median, memory, pgbench, type Sample } from './measure.ts'
import { type Path, startPaths } from './paths.ts'

const isQuick = process.argv.includes('--quick')
const only = process.argv.find(one => one.startsWith('--only='))?.slice('--only='.length)
const ROUNDS = isQuick ? 2 : 7
const SECONDS = isQuick ? 1 : 3
const ROWS = isQuick ? 300_000 : 1_000_000
const SCALE = Math.ceil(ROWS / 100_000)
const IDLE_SESSIONS = isQuick ? 60 : 200

type Metric = {
  readonly name: string
  readonly unit: string
  readonly measure: (path: Path) => Promise<Sample>
  readonly rounds: number
}

const load = (name: string, options: Omit<Load, 'seconds'>): Metric => ({
  name,
  unit: options.isConnecting ? 'connections/s' : 'transactions/s',
  // pgbench's time begins before its logins, and each costs a SCRAM or two: on a busy machine eight take a second.
  measure: path => pgbench(path, { ...options, seconds: SECONDS + options.clients / 16 }),
  rounds: isQuick && options.clients > 8 ? 1 : ROUNDS,
})

const directory = await mkdtemp(join(tmpdir(), 'dbgate-bench-'))
const upstream = await ownPostgres(18, { settings: { max_connections: '600' } })
const database = await freshDatabase(upstream, 'bench')
const rowsFile = join(directory, 'rows.txt')

const METRICS: readonly Metric[] = [
  load('pgbench -S, simple, 1 client', { clients: 1, mode: 'simple' }),
  load('pgbench -S, simple, 8 clients', { clients: 8, mode: 'simple' }),
  load('pgbench -S, simple, 64 clients', { clients: 64, mode: 'simple' }),
  load('pgbench -S, prepared, 1 client', { clients: 1, mode: 'prepared' }),
  load('pgbench -S, prepared, 8 clients', { clients: 8, mode: 'prepared' }),
  ...(isQuick ? [] : [load('pgbench -S, prepared, 64 clients', { clients: 64, mode: 'prepared' })]),
  load('new connections, one after the other', { clients: 1, mode: 'simple', isConnecting: true }),
  ...(['select', 'copy out', 'copy in'] as const).map(kind => ({
    name: `${kind} of ${ROWS.toLocaleString('en')} rows`,
    unit: 'rows/s',
    measure: (path: Path) => bulk(path, kind, ROWS, rowsFile),
    rounds: isQuick ? 1 : 5,
  })),
]

console.log(
  `${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}, ${isQuick ? 'quick' : 'full'}`,
)
await succeed('pgbench', ['-i', '-q', '-s', String(SCALE), database.url], { timeoutMs: 300_000 })
await database.query('create unlogged table bulk_in (like pgbench_accounts)')
await succeed('sh', ['-c', 'psql -X -q "$0" -c "$1" > "$2"', database.url, copyAll(), rowsFile])
const { paths, missing } = await startPaths(database, directory)
for (const line of missing) console.log(line)
for (const path of paths) await pgbench(path, { clients: 2, mode: 'simple', seconds: SECONDS + 1 })
try {
  for (const metric of METRICS) {
    if (only === undefined || metric.name.includes(only)) report(metric, await measure(metric))
  }
  if (only === undefined || only === 'memory') await reportMemory()
} finally {
  for (const path of paths.toReversed()) await path.stop()
  await upstream.running.stop()
  await rm(directory, { recursive: true, force: true })
}
process.exit(0)

function copyAll(): string {
  return `copy (select * from pgbench_accounts limit ${ROWS}) to stdout`
}

type Measured = ReadonlyMap<Path, readonly Sample[]>

/** Every path once in each round, each round in another order: what disturbs one disturbs all. */
async function measure(metric: Metric): Promise<Measured> {
  const samples = new Map<Path, Sample[]>(paths.map(path => [path, []]))
  for (let round = 0; round < metric.rounds; round++) {
    const turn = round % paths.length
    for (const path of [...paths.slice(turn), ...paths.slice(0, turn)]) {
      samples.get(path)?.push(await metric.measure(path))
    }
  }
  return samples
}

function report({ name, unit, rounds }: Metric, measured: Measured): void {
  console.log(`\n${name} (${rounds} rounds)`)
  const header = ['', unit, 'min–max', '/ direct', '/ ssh -L', 'p50 added', 'CPU/unit']
  const base = samplesOf(measured, 'direct')
  const tunnel = samplesOf(measured, 'ssh -L')
  const rows = [...measured].map(([path, samples]) => {
    const rates = samples.map(({ rate }) => rate)
    const digits = median(rates) < 100 ? 1 : 0
    return [
      path.name,
      median(rates).toFixed(digits),
      `${Math.min(...rates).toFixed(digits)}–${Math.max(...rates).toFixed(digits)}`,
      ratio(samples, base),
      ratio(samples, tunnel),
      added(samples, base),
      path.pids.length === 0
        ? ''
        : `${median(samples.map(one => one.cpuUs ?? Number.NaN)).toFixed(1)} µs`,
    ]
  })
  table([header, ...rows])
}

function samplesOf(measured: Measured, name: string): readonly Sample[] {
  return [...measured].find(([path]) => path.name === name)?.[1] ?? []
}

/** The median of the rounds' ratios, each round against its own, with the least and the most. */
function ratio(samples: readonly Sample[], base: readonly Sample[]): string {
  const ratios = samples.flatMap((sample, i) => {
    const against = base[i]
    return against === undefined ? [] : [sample.rate / against.rate]
  })
  if (ratios.length === 0) return '-'
  const [low, high] = [Math.min(...ratios), Math.max(...ratios)]
  return `${median(ratios).toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`
}

function added(samples: readonly Sample[], base: readonly Sample[]): string {
  const differences = samples.flatMap((sample, i) => {
    const against = base[i]?.p50Us
    if (against === undefined || sample.p50Us === undefined) return []
    return [sample.p50Us - against]
  })
  return differences.length === 0 || samples === base ? '' : `${median(differences).toFixed(0)} µs`
}

async function reportMemory(): Promise<void> {
  console.log(
    `\nmemory (${IDLE_SESSIONS} idle sessions; a slow reader of ${ROWS.toLocaleString('en')} rows)`,
  )
  const lines = [['', 'idle session', 'grows for a slow reader']]
  for (const path of paths.filter(({ name }) => name.startsWith('dbgate'))) {
    const ends = path.pids.length === 2 ? ['local end', 'server'] : ['server']
    const found = await memory(path, IDLE_SESSIONS, ROWS)
    for (const [i, { idleKb, slowKb }] of found.entries()) {
      const growth = `${(slowKb / 1024).toFixed(1)} MB`
      lines.push([`${path.name}, ${ends[i]}`, `${idleKb.toFixed(0)} KB`, growth])
    }
  }
  table(lines)
}

function table(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map(row => (row[column] ?? '').length)),
  )
  for (const row of rows) {
    const cells = row.map((cell, i) =>
      i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0),
    )
    console.log(`  ${cells.join('  ')}`.trimEnd())
  }
}
