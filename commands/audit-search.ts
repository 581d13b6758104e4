import { string as arg } from '@oclif/core/args'
import { integer, string } from '@oclif/core/flags'
import type { AuditPage } from '../src/api/index.ts'
import { auditTable, counted, DEFAULT_SINCE, momentOf } from './audit-lines.ts'
import { BaseCommand } from './base.ts'
import { openSignedIn } from './signed-in.ts'

export default class AuditSearch extends BaseCommand {
  static override summary = 'who ran what, and what became of it'
  static override description =
    'Words are looked for in the SQL; key:value narrows down (user target verdict table class kind via rule session role request masked outcome sqlstate rows:>1000 ms:>500), a comma separates alternatives, - turns one round. All must hold. What tools ask by themselves (background) is left out; background:yes shows it. Whoever is not an auditor sees only their own statements.'
  static override usage = 'audit search [QUERY...] [flags]'
  static override examples = [
    'dbgate audit search',
    'dbgate audit search user:ana verdict:denied --since 7d',
    'dbgate audit search table:orders verdict:approved --since 7d',
    'dbgate audit search table:orders class:write --json',
    'dbgate audit search -- -via:psql delete',
  ]
  static override strict = false
  static override args = { query: arg({ description: 'words and key:value' }) }
  static override flags = {
    since: string({
      description: `from when on: 15m, 24h, 7d or a time (${DEFAULT_SINCE})`,
      helpValue: 'TIME',
    }),
    until: string({ description: 'until when', helpValue: 'TIME' }),
    limit: integer({
      description: 'the newest so many',
      default: 50,
      min: 1,
      max: 10_000,
      helpValue: 'N',
    }),
  }

  override async run(): Promise<void> {
    const { argv, flags } = await this.parse(AuditSearch)
    const now = this.io.now()
    const from = flags.since ?? DEFAULT_SINCE
    const since = momentOf(from, 'since', 'audit search', now)
    const until =
      flags.until === undefined ? undefined : momentOf(flags.until, 'until', 'audit search', now)
    const q = argv.map(String).join(' ')
    const { api } = await openSignedIn(this.io, flags.server)
    const asked = { q, since, until, limit: flags.limit }
    if (flags.json) {
      for (const { raw } of await api.audit(asked)) this.terminal.out(JSON.stringify(raw))
      return
    }
    const time = /^\d+[smhd]$/.test(from) ? `the last ${spelled(from)}` : `the time since ${from}`
    const page = await api.auditPage(asked)
    if (this.terminal.isOutTTY && this.mayDraw(flags) && page.entries.length > 0) {
      const { browse } = await import('./audit-browse.ts')
      const { io, terminal, config } = this
      const footer = footerOf(page, time).join(` ${terminal.marks.dot} `)
      this.finish(await browse(page.entries, footer, flags.server, { io, terminal, config }))
    }
    this.#print(page, time)
  }

  #print({ entries, counts }: AuditPage, time: string): void {
    const { terminal } = this
    const dot = ` ${terminal.marks.dot} `
    const own = counts?.everybody === false ? ['only your own statements'] : []
    const { matches = entries.length, hidden = 0, total, limit = Infinity } = counts ?? {}
    if (entries.length === 0) {
      const all =
        total === undefined
          ? ''
          : ` ${counted(total, own.length === 0 ? Infinity : limit)} statements in ${time}`
      terminal.say([`No statements match.${all}`, ...hiddenPart(hidden, limit), ...own].join(dot))
      return
    }
    for (const line of auditTable(terminal, entries, this.io.now())) terminal.out(line)
    if (!terminal.isOutTTY) return
    terminal.say(terminal.paint.dim(footerOf({ entries, counts }, time).join(dot)))
    if (entries.length < matches) terminal.say(terminal.paint.dim('the newest ones: --limit'))
  }
}

function footerOf({ entries, counts }: AuditPage, time: string): readonly string[] {
  const { matches = entries.length, hidden = 0, limit = Infinity } = counts ?? {}
  const own = counts?.everybody === false ? ['only your own statements'] : []
  const shown = `${entries.length} of ${counted(matches, limit)}`
  return [shown, time.replace(/^the /, ''), ...hiddenPart(hidden, limit), ...own]
}

function hiddenPart(hidden: number, limit: number): readonly string[] {
  if (hidden === 0) return []
  return [`${counted(hidden, limit)} background statements hidden (background:yes)`]
}

function spelled(span: string): string {
  return span.replace('s', ' s').replace('m', ' min').replace('h', ' h').replace('d', ' d')
}
