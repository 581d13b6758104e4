import { parseArgs } from 'node:util'
import { ownPostgres } from '../helpers/postgres.ts'
import { SEED } from '../helpers/seed.ts'
import { fuzz } from './differential.ts'

/** `node test/fuzz/run.ts [--count 20000] [--seed N]`: two worlds, the same questions, the same answers. */
const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '20000' },
    seed: { type: 'string', default: String(SEED) },
  },
})
const upstream = await ownPostgres(18, { settings: { autovacuum: 'off' } })
try {
  const seed = Number(values.seed)
  const report = await fuzz(upstream, {
    seed,
    count: Number(values.count),
    onTurn: at => {
      if (at > 0 && at % 1000 === 0) console.error(`${at} …`)
    },
  })
  for (const { seed: found, sql, answers } of report.different) {
    console.log(
      `seed ${found}: ${sql.join('; ')}\n  ${answers.map(text => JSON.stringify(text)).join('\n  ')}`,
    )
  }
  const { different, ...counts } = report
  console.log(`seed ${seed}: ${JSON.stringify(counts)}, different ${different.length}`)
  process.exitCode = different.length === 0 ? 0 : 1
} finally {
  await upstream.running.stop()
}
