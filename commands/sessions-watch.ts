import { string as arg } from '@oclif/core/args'
import { BaseCommand } from './base.ts'
import Replay from './replay.ts'

export default class SessionsWatch extends BaseCommand {
  static override summary = 'watch a session while it runs; the same as replay --follow'
  static override examples = ['dbgate sessions watch s-8k2m']
  static override args = {
    id: arg({ description: 'the id, or the start of it', required: true }),
  }
  static override flags = {}

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(SessionsWatch)
    const { io, terminal } = this
    const given = [
      '--follow',
      ...(flags.server === undefined ? [] : ['--server', flags.server]),
      ...(flags.json ? ['--json'] : []),
      ...(flags['no-input'] ? ['--no-input'] : []),
      args.id,
    ]
    this.finish(await Replay.start(given, this.config, { io, terminal }))
  }
}
