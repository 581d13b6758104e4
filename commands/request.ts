import { string as arg } from '@oclif/core/args'
import { boolean, string } from '@oclif/core/flags'
import type { AccessMade, ApiClient, RequestAnswer } from '../src/api/index.ts'
import { DbgateError } from '../src/errors.ts'
import { visible } from '../src/terminal.ts'
import { ask } from './ask.ts'
import { BaseCommand } from './base.ts'
import { requireApproved } from './outcome.ts'
import { usage } from './report.ts'
import { groupsOf } from './request-card.ts'
import { openSignedIn, parseTarget } from './signed-in.ts'
import { clockTime, parseSpan, span } from './times.ts'

export default class Request extends BaseCommand {
  static override summary = 'ask for a role for a while'
  static override description =
    'Somebody else has to approve it; --break-glass takes it at once, where the policy lets you, and people look at it afterwards.\nExit codes: 0 asked, or approved with --wait; 5 denied, or not to be had; 8 still waiting when --wait is over.'
  static override examples = [
    'dbgate request prod --role writer --for 1h --reason "INC-4021 refund stuck"',
    'dbgate request prod --role writer --wait 30m',
  ]
  static override args = {
    target: arg({ description: 'a name from dbgate ls, or name@server', required: true }),
  }
  static override flags = {
    role: string({ description: 'the role to have', helpValue: 'NAME', required: true }),
    for: string({ description: 'how long: 30m, 1h', helpValue: 'TIME' }),
    reason: string({ description: 'why, for whoever decides', helpValue: 'TEXT' }),
    ticket: string({ description: 'where it is written down', helpValue: 'ID' }),
    wait: string({ description: 'wait for the decision so long', helpValue: 'TIME' }),
    'break-glass': boolean({ description: 'in an emergency: at once, and everybody hears of it' }),
    yes: boolean({ char: 'y', description: 'do not ask' }),
  }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Request)
    const { io, terminal } = this
    const { target, server } = parseTarget(args.target)
    const forMs = spanFlag(flags.for, 'for')
    const waitMs = spanFlag(flags.wait, 'wait')
    const { api } = await openSignedIn(io, server ?? flags.server)
    if (flags['break-glass']) await this.#confirm(target, flags)
    const reason = flags.reason ?? (await this.#askReason(flags))
    const { role, ticket } = flags
    const wish = { target, role, forMs, reason, ticket, isBreakGlass: flags['break-glass'] }
    const made = await api.access(wish)
    if (!flags.json) this.#say(made)
    const request = waitMs === undefined ? made.request : await this.#wait(api, made, waitMs)
    this.result(flags.json, { ...request.raw, is_new: made.isNew, told: made.told }, () => {
      const { marks } = terminal
      if (request.state === 'open') {
        terminal.say(`  ${marks.next} dbgate requests show ${visible(request.id)}`)
        return
      }
      const until = clockTime(request.expiresAt, io.now())
      const what = `${request.role} on ${request.connection} until ${until}`
      terminal.say(`${marks.ok} ${visible([request.id, what].join(` ${marks.dot} `))}`)
    })
  }

  async #wait(api: ApiClient, { request }: AccessMade, waitMs: number): Promise<RequestAnswer> {
    if (request.state !== 'open') return request
    const settled = await api.waitFor(request.id, waitMs)
    requireApproved(settled, this.io.now())
    return settled
  }

  #say({ request, isNew, told }: AccessMade): void {
    const { terminal } = this
    const { marks } = terminal
    if (request.state !== 'open') {
      if (told.length > 0) terminal.say(`${marks.note} told ${visible(told.join(', '))}`)
      return
    }
    const parts = [
      `${request.id}  ${request.role} on ${request.connection} for ${span(request.access?.forMs ?? 0)}`,
      `needs ${request.need} of ${groupsOf(request.approvers)}`,
      ...(isNew ? [] : ['asked for already']),
    ]
    terminal.say(`${marks.wait} ${visible(parts.join(` ${marks.dot} `))}`)
  }

  async #askReason(flags: Asking): Promise<string | undefined> {
    if (!this.mayAsk(flags)) return undefined // The server says whether there must be one.
    const reason = await ask(this.io, 'Why?')
    return reason === '' ? undefined : reason
  }

  /** Typed, never answered by a flag: a tool that acts for somebody must not do this by itself. */
  async #confirm(target: string, flags: Asking): Promise<void> {
    if (flags.yes || !this.mayAsk(flags)) {
      throw usage(
        '--break-glass needs a person at a terminal',
        'request',
        'The name of the connection has to be typed; --yes does not answer for it.',
      )
    }
    const typed = await ask(
      this.io,
      `This is on record and will be looked at. Type ${visible(target)}:`,
    )
    if (typed !== target) throw new DbgateError('USAGE', 'not confirmed, nothing was done')
  }
}

type Asking = { readonly yes: boolean; readonly 'no-input': boolean; readonly json: boolean }

function spanFlag(given: string | undefined, flag: string): number | undefined {
  if (given === undefined) return undefined
  const ms = parseSpan(given)
  if (ms === undefined) {
    throw usage(`--${flag} is not a time: ${given}`, 'request', 'Such as 30m, 1h.')
  }
  return ms
}
