import { string as arg } from '@oclif/core/args'
import { string } from '@oclif/core/flags'
import { ask } from './ask.ts'
import { BaseCommand } from './base.ts'
import { findWaiting, refuseAgent, sayDecision } from './deciding.ts'
import { usage } from './report.ts'
import { cardLines, cardOf } from './request-card.ts'
import { openSignedIn } from './signed-in.ts'

export default class Deny extends BaseCommand {
  static override summary = 'say no to what waits for you'
  static override examples = ['dbgate deny h-7f3k --reason "wrong table"']
  static override args = { id: arg({ description: 'the whole id; the only one if left out' }) }
  static override flags = {
    reason: string({ description: 'why, for whoever asked', helpValue: 'TEXT' }),
  }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Deny)
    const { io, terminal } = this
    await refuseAgent(io, args.id)
    const mayAsk = this.mayAsk(flags)
    if (flags.reason === undefined && !mayAsk) throw usage('saying no needs a --reason', 'deny')
    const { api } = await openSignedIn(io, flags.server)
    const request = await findWaiting(api, args.id, 'deny')
    if (flags.reason === undefined) {
      for (const line of cardLines(cardOf(request, terminal, io.now()))) terminal.say(line)
    }
    const comment = flags.reason ?? (await ask(io, 'Why not?'))
    const decision = await api.decide(request.id, 'deny', comment)
    this.result(flags.json, decision.raw, () =>
      sayDecision(terminal, decision, decision.request, io.now()),
    )
  }
}
