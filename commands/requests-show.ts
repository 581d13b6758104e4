import { string as arg } from '@oclif/core/args'
import { BaseCommand } from './base.ts'
import { cardLines, cardOf } from './request-card.ts'
import { openSignedIn } from './signed-in.ts'

export default class RequestsShow extends BaseCommand {
  static override summary = 'one request, whole: what would run, whose it is and what it takes'
  static override examples = ['dbgate requests show h-7f3k', 'dbgate requests show h-7f3k --json']
  static override args = {
    id: arg({ description: 'the id, or the start of it', required: true }),
  }
  static override flags = {}

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(RequestsShow)
    const { api } = await openSignedIn(this.io, flags.server)
    const request = await api.request(args.id)
    this.result(flags.json, request.raw, () => {
      const card = cardOf(request, this.terminal, this.io.now())
      for (const line of cardLines(card)) this.terminal.out(line)
    })
  }
}
