import { boolean, integer, string } from '@oclif/core/flags'
import type { SessionAnswer } from '../src/api/index.ts'
import { table, visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { usage } from './report.ts'
import { openSignedIn } from './signed-in.ts'
import { clockTime, parseMoment, span } from './times.ts'

const DEFAULT_SINCE = '24h'

export default class Sessions extends BaseCommand {
  static override summary = 'sessions that run or ran: whose, where, and what came of them'
  static override description =
    "Your own; with --all everybody's, which only auditors may see. Those that still run have a mark."
  static override examples = [
    'dbgate sessions',
    'dbgate sessions --all --since 7d --user ben@acme.dev',
    'dbgate sessions --json',
  ]
  static override flags = {
    all: boolean({ description: "everybody's, for auditors" }),
    since: string({
      description: `that ran since: 15m, 24h, 7d or a time (${DEFAULT_SINCE})`,
      helpValue: 'TIME',
    }),
    until: string({ description: 'that ran until', helpValue: 'TIME' }),
    user: string({ description: 'only of this user, with --all', helpValue: 'USER' }),
    target: string({ description: 'only on this target', helpValue: 'NAME' }),
    limit: integer({
      description: 'the newest so many',
      default: 50,
      min: 1,
      max: 1_000,
      helpValue: 'N',
    }),
  }

  override async run(): Promise<void> {
    const { flags } = await this.parse(Sessions)
    const { io, terminal } = this
    const moment = (text: string, flag: string): number => {
      const at = parseMoment(text, io.now())
      if (at !== undefined) return at
      const such = 'Such as 15m, 24h, 7d or 2026-03-01T12:00Z.'
      throw usage(`--${flag} is not a time: ${text}`, 'sessions', such)
    }
    const sinceText = flags.since ?? DEFAULT_SINCE
    const since = moment(sinceText, 'since')
    const until = flags.until === undefined ? undefined : moment(flags.until, 'until')
    const { api } = await openSignedIn(io, flags.server)
    const { all: isAll, user, target, limit } = flags
    const found = await api.sessions({ isAll, since, until, user, target, limit })
    this.result(
      flags.json,
      found.map(({ raw }) => raw),
      () => {
        if (found.length === 0) terminal.say(`No sessions (since ${visible(sinceText)}).`)
        else this.#print(found)
      },
    )
  }

  #print(found: readonly SessionAnswer[]): void {
    const { terminal } = this
    const right = 'right' as const
    const columns = [
      { title: '' },
      { title: 'ID' },
      { title: 'WHO', flexible: true },
      { title: 'ON' },
      { title: 'START' },
      { title: 'LENGTH' },
      { title: 'STATEMENTS', align: right },
      { title: 'HELD', align: right },
      { title: 'DENIED', align: right },
    ]
    const width = terminal.isOutTTY ? terminal.columns : Number.MAX_SAFE_INTEGER
    for (const line of table(
      columns,
      found.map(each => this.#cells(each)),
      width,
    )) {
      terminal.out(line)
    }
  }

  #cells(session: SessionAnswer): readonly string[] {
    const { marks } = this.terminal
    const now = this.io.now()
    const user = session.user.split('@')[0] ?? session.user
    const tool = session.application || session.via
    const some = (count: number): string => (count === 0 ? '-' : String(count))
    return [
      session.isLive ? marks.live : '',
      session.id,
      tool === '' || tool === 'unknown' ? user : `${user} (${tool})`,
      session.target,
      clockTime(session.startedAt, now),
      lengthOf(session),
      String(session.statements),
      some(session.held),
      some(session.denied),
    ].map(text => visible(text))
  }
}

/** How long a session was, or that it runs; `lost` is one that nobody saw the end of. */
export function lengthOf({ isLive, startedAt, endedAt }: SessionAnswer): string {
  if (isLive) return 'running'
  return endedAt === undefined ? 'lost' : span(endedAt - startedAt)
}
