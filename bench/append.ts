/**
 * What putting a statement on record costs before it may be forwarded: `stage` and `commit`, in µs, for one
 * statement a commit and for sixteen. Beside it, interleaved in the same run, the bare write of as many
 * bytes to a file, below which no log can be. `node bench/append.ts [seconds]`
 */
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AuditLog, type SessionLog, verifyLog } from '../src/record/index.ts'

const SECONDS = Number(process.argv[2] ?? 6)
const SIZES = [1, 16]
const ROUNDS = 6

const dir = mkdtempSync(join(tmpdir(), 'dbgate-bench-append-'))
const statements = [
  {
    kind: 'SELECT',
    class: 'read',
    relations: [{ schema: undefined, name: 'pgbench_accounts', access: 'read' }],
  },
]

/** Runs `work` for some time and returns how long each call took, in µs. */
async function timed(ms: number, work: (i: number) => number): Promise<number[]> {
  const took: number[] = []
  const until = performance.now() + ms
  for (let i = 0; performance.now() < until; i++) {
    took.push(work(i))
    // The log's own timers get their turn, as in a server.
    if (i % 200 === 199) await new Promise(setImmediate)
  }
  return took
}

function commitOnce(log: AuditLog, session: SessionLog, size: number, i: number): number {
  const ids: string[] = []
  const start = performance.now()
  for (let k = 0; k < size; k++) {
    const aid = (i * 16 + k) * 7919 * 13
    const text = `SELECT abalance FROM pgbench_accounts WHERE aid = ${aid % 1_000_000};`
    const more = { protocol: 'simple', statements, verdict: 'allow', rule: 'role reader' } as const
    ids.push(session.stage({ text, ...more }))
  }
  log.commit()
  const took = (performance.now() - start) * 1000
  const end = { outcome: 'ok', rows: 1, bytes: 30, durationUs: 150, tag: 'SELECT 1' } as const
  for (const id of ids) session.complete(id, end)
  return took
}

function percentile(sorted: readonly number[], part: number): string {
  return (sorted[Math.floor(sorted.length * part)] ?? Number.NaN).toFixed(1).padStart(8)
}

function print(name: string, took: readonly number[], size: number): void {
  const sorted = took.toSorted((a, b) => a - b)
  const each = (sorted[Math.floor(sorted.length / 2)] ?? Number.NaN) / size
  const columns = [0.1, 0.5, 0.9, 0.99].map(part => percentile(sorted, part)).join('')
  console.log(`${name.padEnd(34)}${columns}${each.toFixed(2).padStart(10)}`)
}

try {
  const log = await AuditLog.open(join(dir, 'audit'), { now: Date.now })
  const session = log.begin({
    id: 's-8k2m4q',
    principal: {
      issuer: 'https://id',
      subject: '1',
      user: 'ana@acme.dev',
      name: 'Ana',
      groups: [],
    },
    agent: 'pgbench',
    target: 'prod',
    role: 'reader',
    database: 'bench',
    client: '127.0.0.1:5000',
    application: 'pgbench',
  })
  const bare = openSync(join(dir, 'bare'), 'a')
  const lineBytes = 420
  const took = new Map<string, number[]>()
  const note = (name: string, more: number[]) => took.set(name, (took.get(name) ?? []).concat(more))
  const ms = (SECONDS * 1000) / (ROUNDS * SIZES.length * 2)
  for (let round = 0; round < ROUNDS; round++) {
    for (const size of SIZES) {
      const bytes = Buffer.alloc(lineBytes * size, 'x')
      const write = () => {
        const start = performance.now()
        writeSync(bare, bytes)
        return (performance.now() - start) * 1000
      }
      const commits = await timed(ms, i => commitOnce(log, session, size, i))
      const writes = await timed(ms, write)
      // The first round warms up.
      if (round > 0) note(`stage + commit, ${size} a commit`, commits)
      if (round > 0) note(`bare write of ${size} x ${lineBytes} bytes`, writes)
    }
  }
  closeSync(bare)
  await log.close()
  console.log(`${'µs'.padEnd(34)}     p10     p50     p90     p99  per statement`)
  for (const [name, all] of took) print(name, all, Number(/(?:, |of )(\d+)/.exec(name)?.[1]))
  const start = performance.now()
  const { isWhole, records } = await verifyLog(join(dir, 'audit'))
  const seconds = (performance.now() - start) / 1000
  const rate = Math.round(records / seconds / 1000)
  console.log(`verify: ${records} records, ${isWhole ? 'whole' : 'BROKEN'}, ${rate}k records/s`)
  console.log(
    `bytes: ${statSync(join(dir, 'audit', 'audit-000001.log')).size} in the first segment`,
  )
} finally {
  rmSync(dir, { recursive: true, force: true })
}
