import { join } from 'node:path'
import { boolean, integer, string } from '@oclif/core/flags'
import { visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { packageRoot, version } from './package.ts'

export default class Demo extends BaseCommand {
  static override summary = 'try it here: a database, people, a server, nothing to set up'
  static override description =
    'Everything runs on this machine and listens on loopback only; ^C removes it. With --script the story tells itself and the exit code says whether every step showed what it should.'
  static override examples = [
    'dbgate demo',
    'dbgate demo --script',
    'dbgate demo --keep ~/dbgate-demo',
  ]
  static override flags = {
    port: integer({
      description: 'the local port of the demo target, or the next free one',
      min: 1,
      max: 65_535,
      helpValue: 'N',
    }),
    keep: string({ description: 'keep everything in this folder', helpValue: 'DIR' }),
    script: boolean({ description: 'tell the story without anybody typing' }),
  }

  override async run(): Promise<void> {
    const { flags } = await this.parse(Demo)
    const { io, terminal } = this
    const [{ runDemo }, { serve }] = await Promise.all([
      import('../src/demo/index.ts'),
      import('../src/serve.ts'),
    ])
    const stop = new AbortController()
    const onSignal = (): void => stop.abort()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) io.signals.on(signal, onSignal)
    try {
      const isGood = await runDemo({
        serve: configPath =>
          serve({
            configPath,
            version: version(),
            env: io.env,
            now: io.now,
            clock: () => performance.now(),
            randomBytes: io.random,
            log: ({ level, message }) => {
              if (level !== 'info') terminal.say(`${terminal.marks.note} ${visible(message)}`)
            },
          }),
        command: [process.execPath, join(packageRoot(), 'bin/dbgate.js')],
        shownCommand: 'dbgate',
        env: io.env,
        print: line => terminal.out(line),
        isScript: flags.script,
        keep: flags.keep,
        port: flags.port,
        signal: stop.signal,
        now: io.now,
      })
      if (!isGood) this.finish(1)
    } finally {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
        io.signals.off(signal, onSignal)
    }
  }
}
