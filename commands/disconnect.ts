import { string as arg } from '@oclif/core/args'
import { boolean } from '@oclif/core/flags'
import { DbgateError } from '../src/errors.ts'
import { visible } from '../src/terminal.ts'
import { closeRunning, listRunning } from '../src/tunnel/index.ts'
import { BaseCommand } from './base.ts'
import { usage } from './report.ts'
import { dirsOf, runDirectory } from './signed-in.ts'

export default class Disconnect extends BaseCommand {
  static override summary = 'close a tunnel that runs on this machine'
  static override examples = ['dbgate disconnect prod', 'dbgate disconnect --all']
  static override args = { target: arg({ description: 'whose tunnel to close' }) }
  static override flags = { all: boolean({ description: 'close every tunnel here' }) }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Disconnect)
    if (args.target === undefined && !flags.all) throw usage('which tunnel?', 'disconnect')
    const directory = runDirectory(await dirsOf(this.io))
    const running = await listRunning(directory)
    const chosen = running.filter(tunnel => flags.all || tunnel.target === args.target)
    if (chosen.length === 0 && !flags.all) {
      throw new DbgateError('NOT_FOUND', `no tunnel to ${args.target} is open here`, {
        next: ['dbgate status'],
      })
    }
    for (const tunnel of chosen) await closeRunning(directory, tunnel)
    const names = chosen.map(tunnel => tunnel.target)
    this.result(flags.json, { closed: names }, () => {
      const { terminal } = this
      terminal.say(
        `${terminal.marks.ok} closed: ${names.length === 0 ? 'none' : visible(names.join(', '))}`,
      )
    })
  }
}
