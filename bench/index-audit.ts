/**
 * What the index of the audit log costs: CPU for each statement that it takes in, and how long searches take
 * once it holds many. The statements are like those of pgbench and of an application, each with its
 * completion, in a thousand sessions. `node bench/index-audit.ts [statements]`, 200,000 without a number.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AuditLog, type SessionLog } from '../src/record/index.ts'
import { AuditIndex } from '../src/store/index.ts'

const STATEMENTS = Number(process.argv[2] ?? 200_000)
const SESSIONS = 1000
const DAYS = 30
const ROUNDS = 15

const QUERIES = [
  '',
  'background:yes',
  'user:user7',
  'verdict:approved',
  'table:orders verdict:denied',
  'class:write -user:user3 refund',
  '"status = \'stale\'"',
  'nothing_has_this_word',
  'rows:>100000',
  'sqlstate:23505',
  'session:s-k00001',
]

const dir = mkdtempSync(join(tmpdir(), 'dbgate-bench-index-'))
const start = Date.now() - DAYS * 86_400_000
let clock = start

/** One in so many, the same ones in each run. */
const every = (i: number, n: number) => (i * 2_654_435_761) % n === 0

function textOf(i: number): { text: string; kind: string; class: string; table: string } {
  const id = (i * 7919 * 13) % 1_000_000
  if (every(i, 10)) {
    const text = `UPDATE orders SET status = 'stale', note = $1 WHERE id = ${id} AND created_at < now()`
    return { text, kind: 'UPDATE', class: 'write', table: 'orders' }
  }
  if (every(i + 1, 50)) {
    const text = `INSERT INTO order_refunds (order_id, amount, reason) VALUES (${id}, 12.50, 'refund of ${id}')`
    return { text, kind: 'INSERT', class: 'write', table: 'order_refunds' }
  }
  if (every(i + 2, 5)) {
    const text = `SELECT u.id, u.email, o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = ${id} ORDER BY o.created_at DESC LIMIT 20`
    return { text, kind: 'SELECT', class: 'read', table: 'users' }
  }
  if (every(i + 6, 20)) {
    return { text: 'SELECT 1', kind: 'SELECT', class: 'read', table: '' }
  }
  const text = `SELECT abalance FROM pgbench_accounts WHERE aid = ${id};`
  return { text, kind: 'SELECT', class: 'read', table: 'pgbench_accounts' }
}

function tell(session: SessionLog, i: number): void {
  const { text, kind, table, class: effect } = textOf(i)
  const relations = table === '' ? [] : [{ schema: 'public', name: table, access: 'read' }]
  const statements = [{ kind, class: effect, relations }]
  const facts = { protocol: 'simple', text, statements } as const
  if (every(i + 3, 500)) {
    session.deny({ ...facts, verdict: 'deny', rule: 'no-writes-at-night' })
    return
  }
  const isApproved = every(i, 1000)
  const statement = session.stage(
    isApproved
      ? { ...facts, verdict: 'hold', rule: 'prod-writes', request: `h-${i}` }
      : { ...facts, verdict: 'allow', rule: 'role reader may read' },
  )
  if (i % 16 === 0) log.commit()
  const isError = every(i + 4, 1000)
  session.complete(statement, {
    outcome: isError ? 'error' : 'ok',
    rows: every(i + 5, 10_000) ? 250_000 : 1,
    bytes: 30,
    durationUs: 150,
    ...(isError ? { sqlstate: '23505' } : { tag: `${kind} 1` }),
  })
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function megabytes(file: string): string {
  return `${(statSync(file).size / 1e6).toFixed(0)} MB`
}

const log = await AuditLog.open(join(dir, 'audit'), { now: () => clock, fsyncMs: 60_000 })
try {
  const sessions: SessionLog[] = []
  for (let i = 0; i < STATEMENTS; i++) {
    clock = start + Math.floor((i / STATEMENTS) * DAYS * 86_400_000)
    const number = Math.floor((i / STATEMENTS) * SESSIONS)
    sessions[number] ??= log.begin({
      id: `s-k${String(number).padStart(5, '0')}`,
      principal: {
        ...{ issuer: 'https://id', subject: `${number % 50}`, name: 'A Name', groups: [] },
        user: `user${number % 50}@acme.dev`,
      },
      ...{ agent: 'pgbench', target: 'prod', role: 'reader', database: 'shop' },
      ...{ client: '127.0.0.1:5000', application: 'pgbench' },
    })
    const session = sessions[number]
    if (session !== undefined) tell(session, i)
    if (i % 5000 === 0) await new Promise(setImmediate)
  }
  log.commit()
  await log.close()
  const file = join(dir, 'index.sqlite')
  const index = await AuditIndex.open({ logDir: join(dir, 'audit'), file })
  const from = performance.now()
  const before = process.cpuUsage()
  const status = await index.status()
  const { user, system } = process.cpuUsage(before)
  const took = performance.now() - from
  console.log(`${status.statements} statements indexed in ${(took / 1000).toFixed(1)} s`)
  console.log(`  CPU per statement: ${((user + system) / status.statements).toFixed(1)} µs`)
  console.log(
    `  on disk: ${megabytes(file)} for ${megabytes(join(dir, 'audit/audit-000001.log'))} of the first segment`,
  )
  console.log('\nsearch, ms of the median and the slowest, and what was found')
  for (const query of QUERIES) {
    const times: number[] = []
    let found = 0
    for (let round = 0; round < ROUNDS; round++) {
      const begun = performance.now()
      found = (await index.search(query, { until: clock })).length
      times.push(performance.now() - begun)
    }
    const row = [median(times).toFixed(1), Math.max(...times).toFixed(1), String(found)]
    console.log(`  ${(query || '(all)').padEnd(34)}${row.map(cell => cell.padStart(9)).join('')}`)
  }
  const begun = performance.now()
  const counts = await index.count('table:orders class:write', { hideBackground: true })
  const countMs = (performance.now() - begun).toFixed(0)
  console.log(
    `  counting ${counts.matches} of ${counts.total} matches for the footer: ${countMs} ms`,
  )
  await index.close()
} finally {
  rmSync(dir, { recursive: true, force: true })
}
