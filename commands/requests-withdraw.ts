import { string as arg } from '@oclif/core/args'
import { visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { openSignedIn } from './signed-in.ts'

export default class RequestsWithdraw extends BaseCommand {
  static override summary = 'take your own request back, or an approval you have not used'
  static override examples = ['dbgate requests withdraw h-7f3k']
  static override args = { id: arg({ description: 'the whole id', required: true }) }
  static override flags = {}

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(RequestsWithdraw)
    const { api } = await openSignedIn(this.io, flags.server)
    const request = await api.withdraw(args.id)
    this.result(flags.json, request.raw, () => {
      this.terminal.say(`${this.terminal.marks.ok} ${visible(request.id)} withdrawn`)
    })
  }
}
