/**
 * What recordings cost: one dbgate that records sessions beside one that does not, everything else alike, over
 * the listener that speaks PostgreSQL itself, interleaved in one run. `node bench/recording.ts [rounds]`
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../src/demo/index.ts'
import { EVERYTHING, startGate } from '../test/helpers/gate.ts'
import { type Database, freshDatabase, ownPostgres } from '../test/helpers/postgres.ts'
import { succeed } from '../test/helpers/run.ts'
import { bulk, type Load, median, pgbench, type Sample } from './measure.ts'
import type { Path } from './paths.ts'

const ROUNDS = Number(process.argv[2] ?? 5)
const ROWS = 300_000
const SECONDS = 2

const LOADS: readonly (Omit<Load, 'seconds'> & { readonly name: string })[] = [
  { name: 'simple, 1 client', clients: 1, mode: 'simple' },
  { name: 'simple, 8 clients', clients: 8, mode: 'simple' },
  { name: 'prepared, 8 clients', clients: 8, mode: 'prepared' },
  { name: 'new connections', clients: 1, mode: 'simple', isConnecting: true },
]

const directory = await mkdtemp(join(tmpdir(), 'dbgate-bench-recording-'))
const upstream = await ownPostgres(18, { settings: { max_connections: '200' } })
try {
  const database = await freshDatabase(upstream, 'bench')
  await succeed('pgbench', ['-i', '-q', '-s', '3', database.url], { timeoutMs: 120_000 })
  const off = await start(database, 'off', 'none')
  const on = await start(database, 'on', 'all')
  for (const path of [off, on]) await pgbench(path, { clients: 2, mode: 'simple', seconds: 2 })
  for (const { name, ...load } of LOADS) {
    await compare(name, off, on, path => pgbench(path, { ...load, seconds: SECONDS }))
  }
  await compare(`select of ${ROWS} rows`, off, on, path =>
    bulk(path, 'select', ROWS, join(directory, 'none')),
  )
  await off.stop()
  await on.stop()
} finally {
  await upstream.running.stop()
  await rm(directory, { recursive: true, force: true })
}
process.exit(0)

async function start(database: Database, name: string, statements: string): Promise<Path> {
  const port = await freePort()
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
      `postgres_listen: 127.0.0.1:${port}`,
    ],
    top: [`recording: { statements: ${statements} }`],
    inChild: true,
    state: join(directory, name),
  })
  const token = await gate.issuer.mint('ana', { exp: Math.floor(Date.now() / 1000) + 3600 })
  const url = `postgresql://ana:${token}@127.0.0.1:${port}/bench?sslmode=require`
  return { name, url, pids: [gate.child?.pid ?? 0], stop: gate.close }
}

/** Both in each round, in turns: what disturbs one disturbs the other. */
async function compare(
  name: string,
  off: Path,
  on: Path,
  measure: (path: Path) => Promise<Sample>,
): Promise<void> {
  const ratios: number[] = []
  const cpu: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const order = round % 2 === 0 ? [off, on] : [on, off]
    const samples = new Map<Path, Sample>()
    for (const path of order) samples.set(path, await measure(path))
    const [without, with_] = [samples.get(off), samples.get(on)]
    ratios.push((with_?.rate ?? Number.NaN) / (without?.rate ?? Number.NaN))
    cpu.push((with_?.cpuUs ?? Number.NaN) / (without?.cpuUs ?? Number.NaN))
  }
  const [low, high] = [Math.min(...ratios), Math.max(...ratios)]
  const range = `(${low.toFixed(2)}–${high.toFixed(2)})`
  console.log(
    `${name.padEnd(24)} on/off ${median(ratios).toFixed(2)} ${range}, CPU ${median(cpu).toFixed(2)}`,
  )
}
