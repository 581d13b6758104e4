import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ChildTunnel, childEnvironment, runChild } from '../../src/tunnel/index.ts'
import { until } from '../helpers/run.ts'

const TUNNEL: ChildTunnel = {
  url: 'postgresql://ana:pw@127.0.0.1:6401/app',
  host: '127.0.0.1',
  port: 6401,
  user: 'ana',
  password: 'pw',
  database: 'app',
  server: 'bastion.test',
  target: 'prod',
  role: 'writer',
}

describe('tunnel/child', () => {
  let folder: string
  let signals: EventEmitter
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dbgate-child-'))
  })
  after(() => rm(folder, { recursive: true }))
  beforeEach(() => {
    signals = new EventEmitter()
  })

  const shell = (script: string, graceMs?: number) =>
    runChild({
      file: 'sh',
      args: ['-c', script],
      env: { PATH: process.env.PATH ?? '', FOLDER: folder },
      signals,
      ...(graceMs === undefined ? {} : { graceMs }),
    })
  const started = (name: string) =>
    until('the child', () => readFile(join(folder, name), 'utf8').then(text => text !== ''))

  it("passes the command's exit code on", async () => {
    assert.deepEqual(await shell('exit 0'), { exitCode: 0 })
    assert.deepEqual(await shell('exit 42'), { exitCode: 42 })
  })

  it('gives 128 and the signal for a command that a signal ended', async () => {
    assert.deepEqual(await shell('kill -KILL $$'), { exitCode: 137 })
  })

  it('gives 127 for a command that is not there, 126 for one that cannot be run', async () => {
    const run = (file: string) =>
      runChild({ file, args: [], env: { PATH: '/usr/bin:/bin' }, signals })
    assert.deepEqual(await run('no-such-command'), {
      exitCode: 127,
      notStarted: 'command not found',
    })
    const plain = join(folder, 'plain.txt')
    await writeFile(plain, 'text')
    await chmod(plain, 0o644)
    assert.deepEqual(await run(plain), { exitCode: 126, notStarted: 'not executable' })
  })

  for (const [signal, exitCode] of [
    ['SIGTERM', 31],
    ['SIGHUP', 32],
  ] as const) {
    it(`passes ${signal} on`, async () => {
      const name = signal.slice(3)
      const ended = shell(
        `trap 'exit ${exitCode}' ${name}; echo up > $FOLDER/${name}; while :; do sleep 0.02; done`,
      )
      await started(name)
      signals.emit(signal)
      assert.deepEqual(await ended, { exitCode })
    })
  }

  it('leaves SIGINT to the command', async () => {
    const ended = shell('echo up > $FOLDER/int; sleep 0.3; exit 5')
    await started('int')
    assert.equal(signals.listenerCount('SIGINT'), 1)
    signals.emit('SIGINT')
    assert.deepEqual(await ended, { exitCode: 5 })
  })

  it('kills a command that ignores SIGTERM for too long', async () => {
    const ended = shell(
      `trap '' TERM; echo up > $FOLDER/ignores; while :; do sleep 0.02; done`,
      150,
    )
    await started('ignores')
    signals.emit('SIGTERM')
    assert.deepEqual(await ended, { exitCode: 137 })
  })

  it('leaves no listener behind', async () => {
    await shell('exit 0')
    assert.deepEqual(signals.eventNames(), [])
  })

  describe('environment', () => {
    it('points every client at the tunnel and nowhere else', () => {
      const env = childEnvironment(
        {
          PATH: '/bin',
          PGSERVICE: 'other',
          PGHOSTADDR: '10.0.0.1',
          PGSSLNEGOTIATION: 'direct',
          PGPASSFILE: '/x',
          EMPTY: undefined,
        },
        TUNNEL,
        ['DATABASE_URL', 'PRISMA_URL'],
        'psql',
      )
      assert.deepEqual(env, {
        PATH: '/bin',
        DATABASE_URL: TUNNEL.url,
        PRISMA_URL: TUNNEL.url,
        PGHOST: '127.0.0.1',
        PGPORT: '6401',
        PGUSER: 'ana',
        PGPASSWORD: 'pw',
        PGDATABASE: 'app',
        PGSSLMODE: 'disable',
        PGAPPNAME: 'psql',
        DBGATE_SERVER: 'bastion.test',
        DBGATE_TARGET: 'prod',
        DBGATE_ROLE: 'writer',
      })
    })

    it("keeps our own token from the command, and the command's own name for itself", () => {
      const env = childEnvironment(
        { DBGATE_TOKEN: 'secret', PGAPPNAME: 'nightly' },
        TUNNEL,
        [],
        'psql',
      )
      assert.equal(env.PGAPPNAME, 'nightly')
      assert.ok(!Object.values(env).includes('secret'))
    })
  })
})
