import { string as arg } from '@oclif/core/args'
import { string } from '@oclif/core/flags'
import { visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { requireApproved } from './outcome.ts'
import { usage } from './report.ts'
import { stateOf } from './request-card.ts'
import { openSignedIn } from './signed-in.ts'
import { parseSpan } from './times.ts'

export default class RequestsWait extends BaseCommand {
  static override summary = 'wait until a request is decided'
  static override description =
    'Exit codes: 0 approved; 5 denied; 8 still waiting when the time is up; 9 expired, withdrawn or abandoned.'
  static override examples = ['dbgate requests wait h-7f3k --timeout 10m']
  static override args = {
    id: arg({ description: 'the id, or the start of it', required: true }),
  }
  static override flags = {
    timeout: string({ description: 'how long', default: '10m', helpValue: 'TIME' }),
  }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(RequestsWait)
    const { io, terminal } = this
    const timeoutMs = parseSpan(flags.timeout)
    if (timeoutMs === undefined) {
      throw usage(`--timeout is not a time: ${flags.timeout}`, 'requests wait', 'Such as 30s, 10m.')
    }
    const { api } = await openSignedIn(io, flags.server)
    if (!flags.json && !flags.quiet) {
      terminal.say(`${terminal.marks.wait} waiting for ${visible(args.id)}, up to ${flags.timeout}`)
    }
    const request = await api.waitFor(args.id, timeoutMs)
    requireApproved(request, io.now())
    this.result(flags.json, request.raw, () => {
      const { marks } = terminal
      terminal.say(`${marks.ok} ${visible(request.id)} ${visible(stateOf(request, io.now()))}`)
    })
  }
}
