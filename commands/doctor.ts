import { boolean, string } from '@oclif/core/flags'
import { visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import type { Check } from './doctor-checks.ts'
import { wrap } from './report.ts'

const NAME_WIDTH = 12

export default class Doctor extends BaseCommand {
  static override summary = 'see what is wrong, and what to type'
  static override description =
    'Looks at this machine, the way to the server and the sign-in. With --server and no name, on the bastion itself: the configuration, the policy and its tests, the state directory, the end of the audit log, each database with each of its logins, and connections that did not come through dbgate. Exit 0 with warnings, else the code of the first failure.'
  static override examples = [
    'dbgate doctor',
    'dbgate doctor --server --config /etc/dbgate/dbgate.yaml',
  ]
  static override flags = {
    'on-server': boolean({ description: 'the same as --server without a name' }),
    config: string({
      description: "the server's file (with --server)",
      env: 'DBGATE_CONFIG',
      default: '/etc/dbgate/dbgate.yaml',
      helpValue: 'FILE',
    }),
  }

  override async run(): Promise<void> {
    const { flags } = await this.parse(Doctor, withOnServer(this.argv))
    const found: Check[] = []
    for await (const check of await this.#checks(flags)) {
      found.push(check)
      if (!flags.json) this.#print(check)
    }
    if (flags.json) this.result(true, found, () => undefined)
    this.finish(found.find(({ state }) => state === 'fail')?.exit ?? 0)
  }

  async #checks(flags: {
    readonly 'on-server': boolean
    readonly config: string
    readonly server?: string | undefined
  }): Promise<AsyncIterable<Check>> {
    if (flags['on-server']) {
      const { serverChecksOf } = await import('./doctor-server.ts')
      return serverChecksOf(this.io, flags.config)
    }
    const { clientChecks } = await import('./doctor-client.ts')
    return clientChecks(this.io, flags.server)
  }

  #print({ name, state, says, next }: Check): void {
    const { terminal } = this
    const { marks, paintOut } = terminal
    const painted = {
      ok: paintOut.green(marks.ok),
      warn: paintOut.yellow(marks.note),
      fail: paintOut.red(marks.no),
    }
    const indent = ' '.repeat(2 + NAME_WIDTH)
    const [first = '', ...rest] = wrap(visible(says), terminal.columns - indent.length)
    terminal.out(`${painted[state]} ${visible(name).padEnd(NAME_WIDTH)}${first}`)
    for (const line of rest) terminal.out(`${indent}${line}`)
    if (next !== undefined) terminal.out(`${indent}${marks.next} ${visible(next)}`)
  }
}

/** `--server` names a server everywhere; without a name it means the one on this machine. */
function withOnServer(argv: readonly string[]): string[] {
  return argv.map((word, i) => {
    const next = argv[i + 1]
    return word === '--server' && (next === undefined || next.startsWith('-'))
      ? '--on-server'
      : word
  })
}
