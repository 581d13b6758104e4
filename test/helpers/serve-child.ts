// A server in a process of its own, for tests that kill it: its first line says where it is, the rest is its log.
import { randomBytes } from 'node:crypto'
import { serve } from '../../src/serve.ts'

const early: string[] = []
let tell = (line: string): void => void early.push(line)
const server = await serve({
  configPath: process.argv[2] ?? '',
  version: '0.0.0-test',
  env: {},
  now: Date.now,
  clock: () => performance.now(),
  randomBytes,
  log: event => tell(JSON.stringify(event)),
})
tell = line => void process.stdout.write(`${line}\n`)
tell(JSON.stringify({ url: server.url, pin: server.pin }))
for (const line of early) tell(line)
process.once('SIGTERM', () => void server.close('SIGTERM').then(() => process.exit(0)))
