import { string as arg } from '@oclif/core/args'
import { string } from '@oclif/core/flags'
import { visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { openSignedIn } from './signed-in.ts'

export default class GrantsEnd extends BaseCommand {
  static override summary = 'end a role before its time: your own, or one you could have approved'
  static override examples = ['dbgate grants end g-2m9x']
  static override args = { id: arg({ description: 'the whole id', required: true }) }
  static override flags = {
    reason: string({ description: 'why, for whoever had it', helpValue: 'TEXT' }),
  }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(GrantsEnd)
    const { api } = await openSignedIn(this.io, flags.server)
    const request = await api.endGrant(args.id, flags.reason)
    this.result(flags.json, request.raw, () => {
      const { marks } = this.terminal
      const what = `${request.role} on ${request.connection} of ${request.user} ended`
      this.terminal.say(`${marks.ok} ${visible(`${request.id} ${marks.dot} ${what}`)}`)
    })
  }
}
