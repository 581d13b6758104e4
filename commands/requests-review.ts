import { string as arg } from '@oclif/core/args'
import { string } from '@oclif/core/flags'
import { visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { refuseAgent } from './deciding.ts'
import { openSignedIn } from './signed-in.ts'

export default class RequestsReview extends BaseCommand {
  static override summary = 'say that you have looked at a role taken in an emergency'
  static override examples = [
    'dbgate requests --review',
    'dbgate requests review g-2m9x --comment "was right, see INC-4021"',
  ]
  static override args = { id: arg({ description: 'the whole id', required: true }) }
  static override flags = {
    comment: string({ description: 'what you found', required: true, helpValue: 'TEXT' }),
  }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(RequestsReview)
    await refuseAgent(this.io, args.id)
    const { api } = await openSignedIn(this.io, flags.server)
    const request = await api.review(args.id, flags.comment)
    this.result(flags.json, request.raw, () => {
      this.terminal.say(`${this.terminal.marks.ok} ${visible(request.id)} reviewed`)
    })
  }
}
