/**
 * Times the analysis of statements: new texts (each with a literal never seen) and repeated ones.
 *
 * Run: node bench/analyse.ts [rounds]
 */
import { createAnalyser, EMPTY_SCOPE } from '../src/sql/index.ts'

/** Statements of the sizes that perf.md names; `#` becomes a number that differs each time. */
const STATEMENTS: Readonly<Record<string, string>> = {
  'pgbench -S': 'SELECT abalance FROM pgbench_accounts WHERE aid = #;',
  insert: "INSERT INTO orders (id, status) VALUES (#, 'new') ON CONFLICT (id) DO NOTHING",
  update: 'UPDATE pgbench_accounts SET abalance = abalance + # WHERE aid = #',
  cte: `WITH recent AS (SELECT * FROM orders WHERE id > # AND created_at > now() - interval '1 day')
    SELECT c.name, count(*), sum(r.total) FROM recent r JOIN customers c ON c.id = r.customer_id
    LEFT JOIN LATERAL (SELECT max(paid_at) FROM payments p WHERE p.order_id = r.id) x ON true
    GROUP BY c.name ORDER BY 3 DESC LIMIT 20`,
}

const rounds = Number(process.argv[2] ?? 20_000)
const analyser = createAnalyser({ maxMemoEntries: 1000 })
await analyser.ready()
let counter = 0

/** Returns p50 and p99 in microseconds of one analysis each. */
function time(next: () => Buffer): { p50: number; p99: number } {
  const durations = new Float64Array(rounds)
  for (let i = 0; i < rounds; i++) {
    const text = next()
    const start = performance.now()
    const analysis = analyser.analyse(text, EMPTY_SCOPE)
    durations[i] = (performance.now() - start) * 1000
    if (analysis instanceof Promise || !analysis.ok) throw new Error(`refused: ${text}`)
  }
  durations.sort()
  return { p50: durations[rounds >> 1] ?? 0, p99: durations[Math.floor(rounds * 0.99)] ?? 0 }
}

const figure = (value: number): string => value.toFixed(1).padStart(9)

process.stdout.write('µs                 new p50  new p99  again p50 again p99\n')
for (const [name, text] of Object.entries(STATEMENTS)) {
  const fresh = () => Buffer.from(text.replaceAll('#', () => String(counter++)))
  time(fresh)
  const first = time(fresh)
  const same = fresh()
  const again = time(() => same)
  const columns = [first.p50, first.p99, again.p50, again.p99].map(figure)
  process.stdout.write(`${name.padEnd(16)}${columns.join('')}\n`)
}
const { rss } = process.memoryUsage()
process.stdout.write(`memory after it all: ${Math.round(rss / 1e6)} MB\n`)
await analyser.close()
