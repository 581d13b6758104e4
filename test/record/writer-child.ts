/**
 * Writes statements for ever, telling on stdout of each one that was permitted (`+id`) or refused (`-id`),
 * after the log has answered: what the gate would do. Arguments: directory, session id, batch, text bytes.
 */
import { writeSync } from 'node:fs'
import { AuditLog } from '../../src/record/index.ts'
import { ok, selectFacts, sessionFacts } from './builders.ts'

const [dir = '', id = 's-x', batch = '1', bytes = '10', limit = 'Infinity'] = process.argv.slice(2)
const log = await AuditLog.open(dir, { now: Date.now, maxSegmentBytes: 400_000, fsyncMs: 20 })
const session = log.begin(sessionFacts(id))
writeSync(1, 'ready\n')

for (let commits = 0; commits < Number(limit); commits++) {
  const ids = Array.from({ length: Number(batch) }, () =>
    session.stage(selectFacts(`SELECT '${'x'.repeat(Number(bytes))}'`)),
  )
  let sign = '+'
  try {
    session.commit()
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'UNAUDITED')) throw error
    sign = '-'
  }
  writeSync(1, ids.map(statement => `${sign}${statement}\n`).join(''))
  if (sign === '+') for (const statement of ids) session.complete(statement, ok)
  if (commits % 50 === 0) await new Promise(setImmediate)
}
session.end('done')
await log.close()
