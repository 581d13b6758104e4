import { string as arg } from '@oclif/core/args'
import { integer, string } from '@oclif/core/flags'
import type { AuditEntry } from '../src/api/index.ts'
import { table, visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { usage } from './report.ts'
import { openSignedIn } from './signed-in.ts'
import { clockTime, parseMoment } from './times.ts'

const DEFAULT_SINCE = '24h'

export default class AuditSearch extends BaseCommand {
  static override summary = 'who ran what, and what became of it'
  static override description =
    'Words are looked for in the SQL; key:value narrows down (user target verdict table class kind via rule session role outcome rows:>1000 ms:>500), a comma separates alternatives, - turns one round. All must hold. Whoever is not an auditor sees only their own statements.'
  static override usage = 'audit search [QUERY...] [flags]'
  static override examples = [
    'dbgate audit search',
    'dbgate audit search user:ana verdict:denied --since 7d',
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
    const { io } = this
    const since = momentOf(flags.since ?? DEFAULT_SINCE, 'since', io.now())
    const until = flags.until === undefined ? undefined : momentOf(flags.until, 'until', io.now())
    const q = argv.map(String).join(' ')
    const { api } = await openSignedIn(io, flags.server)
    const entries = await api.audit({ q, since, until, limit: flags.limit })
    if (flags.json) {
      for (const entry of entries) this.terminal.out(JSON.stringify(entry.raw))
      return
    }
    this.#print(entries, flags.since ?? DEFAULT_SINCE, flags.limit)
  }

  #print(entries: readonly AuditEntry[], since: string, limit: number): void {
    const { terminal } = this
    if (entries.length === 0) {
      terminal.say(`No statements match (since ${since}).`)
      return
    }
    const rows = entries.map(entry => this.#cells(entry))
    const columns = [
      { title: 'TIME' },
      { title: 'USER' },
      { title: 'ON' },
      {
        title: 'VERDICT',
        paint: (text: string, row: number) => this.#paintVerdict(entries[row], text),
      },
      { title: 'SQL', flexible: true },
      { title: 'ROWS', align: 'right' as const },
    ]
    // A pipe gets every statement whole; only a screen has a width.
    const width = terminal.isOutTTY ? terminal.columns : Number.MAX_SAFE_INTEGER
    for (const line of table(columns, rows, width)) terminal.out(line)
    if (!terminal.isOutTTY) return
    const more = entries.length === limit ? ', there may be more: --limit' : ''
    terminal.say(terminal.paint.dim(`${entries.length} since ${since}${more}`))
  }

  #cells(entry: AuditEntry): readonly string[] {
    const user = entry.user.split('@')[0] ?? entry.user
    const isKnownAgent = entry.agent !== undefined && entry.agent !== 'unknown'
    return [
      clockTime(entry.at, this.io.now()),
      isKnownAgent ? `${user}/${entry.agent}` : user,
      entry.target,
      this.#verdict(entry),
      entry.sql.replace(/\s+/g, ' ').trim(),
      entry.rows === undefined ? '-' : String(entry.rows),
    ].map(text => visible(text))
  }

  /** What was decided and, for what was allowed, what became of it. */
  #verdict({ verdict, rule, outcome, sqlstate }: AuditEntry): string {
    const { marks } = this.terminal
    if (verdict === 'deny') return `${marks.no} ${rule ?? 'denied'}`
    if (verdict === 'hold') return `${marks.wait} held`
    if (outcome === 'ok') return `${marks.ok} ran`
    if (outcome === undefined) return `${marks.wait} no end yet`
    const code = sqlstate === undefined ? '' : ` ${sqlstate}`
    return `${marks.note} ${outcome}${code}`
  }

  #paintVerdict(entry: AuditEntry | undefined, text: string): string {
    if (entry?.verdict === 'deny') return this.terminal.paintOut.red(text)
    return entry?.verdict === 'hold' ? this.terminal.paintOut.yellow(text) : text
  }
}

function momentOf(text: string, flag: string, now: number): number {
  const at = parseMoment(text, now)
  if (at === undefined)
    throw usage(
      `--${flag} is not a time: ${text}`,
      'audit search',
      'Such as 15m, 24h, 7d or 2026-03-01T12:00Z.',
    )
  return at
}
