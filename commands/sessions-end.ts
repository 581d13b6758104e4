import { string as arg } from '@oclif/core/args'
import { boolean, string } from '@oclif/core/flags'
import { visible } from '../src/terminal.ts'
import { ask } from './ask.ts'
import { BaseCommand } from './base.ts'
import { usage } from './report.ts'
import { openSignedIn } from './signed-in.ts'

export default class SessionsEnd extends BaseCommand {
  static override summary = 'end a running session, whatever it does'
  static override description =
    'Your own, or any on a target you are admin of. What runs is cancelled, the client is told why, and it is on record who did it.'
  static override examples = ['dbgate sessions end s-8k2m4qxz --reason "runaway report"']
  static override args = { id: arg({ description: 'the whole id', required: true }) }
  static override flags = {
    reason: string({ description: 'why, for whoever it is', helpValue: 'TEXT' }),
    yes: boolean({ char: 'y', description: 'do not ask' }),
  }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(SessionsEnd)
    const { io, terminal } = this
    if (!flags.yes && !this.mayAsk(flags)) {
      throw usage('nobody is there to ask; --yes ends it', 'sessions end')
    }
    const { api } = await openSignedIn(io, flags.server)
    if (!flags.yes) {
      const { id, user, target, statements } = await api.session(args.id)
      const what = `${id} of ${user} on ${target}, ${statements} statements`
      const said = await ask(io, `End ${visible(what)}? [y/N]`)
      if (!/^y(es)?$/i.test(said)) {
        terminal.say(`${visible(id)} is as it was`)
        return
      }
    }
    const ended = await api.endSession(args.id, flags.reason)
    this.result(flags.json, ended.raw, () =>
      terminal.say(`${terminal.marks.ok} ${visible(`${ended.id} of ${ended.user} ended`)}`),
    )
  }
}
