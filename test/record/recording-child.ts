/**
 * A server's records under load, for ever: sessions with statements and rows, telling on stdout of each
 * statement that was permitted (`+id`). Arguments: directory.
 */
import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { AuditLog, Recordings } from '../../src/record/index.ts'
import { ok, selectFacts, sessionFacts } from './builders.ts'

const [dir = ''] = process.argv.slice(2)
const log = await AuditLog.open(join(dir, 'audit'), { now: Date.now, fsyncMs: 20 })
const recordings = await Recordings.open(
  {
    directory: join(dir, 'recordings'),
    results: { rows: 50, bytes: 100_000 },
    parameters: 'full',
    isRequired: false,
    now: Date.now,
    clock: () => performance.now(),
    report: (session, reason) => {
      throw new Error(`${session}: ${reason}`)
    },
  },
  log,
)
log.append({ type: 'server.start', version: '0', pid: process.pid })
writeSync(1, 'ready\n')

for (let count = 0; ; count++) {
  const id = `s-${process.pid}x${count}`
  const recording = recordings.begin(sessionFacts(id), () => {})
  const session = log.begin(sessionFacts(id, { recording: recording.file }), {
    statement: statement => recording.add(`"e":"statement","id":"${statement}"}`, false),
    completed: statement => recording.add(`"e":"complete","id":"${statement}"}`, false),
    ended: reason => recording.end(reason),
    sealed: () => recording.sealed(),
  })
  for (let n = 0; n < 40; n++) {
    const statement = session.stage(selectFacts(`SELECT ${n}`))
    session.commit()
    writeSync(1, `+${statement}\n`)
    const cell = Buffer.from(String(Math.random())).toString('base64').repeat(40)
    recording.add(`"e":"rows","id":"${statement}","rows":[["${cell}"]]}`, true)
    session.complete(statement, ok)
    if (n % 10 === 0) await new Promise(resolve => setTimeout(resolve, 1))
  }
  session.end('end')
}
