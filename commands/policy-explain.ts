import { string as arg } from '@oclif/core/args'
import { string } from '@oclif/core/flags'
import {
  type ApiClient,
  type ExplanationAnswer,
  openLocalPolicy,
  readExplanation,
  supposed,
} from '../src/api/index.ts'
import { DbgateError } from '../src/errors.ts'
import { pad, visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { databases, loadPolicyFiles, schemasFor } from './policy-files.ts'
import { usage } from './report.ts'
import { groupsOf } from './request-card.ts'
import { openSignedIn } from './signed-in.ts'

const EXITS: Readonly<Record<string, number>> = { allowed: 0, masked: 0, denied: 5, held: 8 }

export default class PolicyExplain extends BaseCommand {
  static override summary = 'what becomes of a statement, rule by rule, and why'
  static override description =
    'It asks the server, as you; auditors may ask for other groups. With --file it needs no server.\nNothing is run. Exit codes: 0 allowed, also if columns are masked; 5 denied; 8 would be held.'
  static override usage = 'policy explain [ID] [flags]'
  static override examples = [
    'dbgate policy explain h-7f3k',
    'dbgate policy explain s-8k2m4q7h.17',
    'dbgate policy explain --on prod --sql "delete from orders"',
    'dbgate policy explain --on prod --sql "select email from users"',
    'dbgate policy explain --file policy/main.yaml --groups dba --on prod --sql "drop table t"',
  ]
  static override args = {
    id: arg({ description: 'a statement of yours, held or on record, instead of --sql and --on' }),
  }
  static override flags = {
    sql: string({ description: 'the statement', helpValue: 'SQL' }),
    on: string({ description: 'on which target', helpValue: 'NAME' }),
    role: string({ description: 'the role to use instead of the strongest', helpValue: 'NAME' }),
    groups: string({ description: 'as somebody of these groups: a,b', helpValue: 'NAMES' }),
    as: string({ description: 'as the person of this name', helpValue: 'USER' }),
    via: string({ description: 'through this tool, such as claude', helpValue: 'TOOL' }),
    at: string({ description: 'at that time', helpValue: 'TIME' }),
    file: string({ description: 'by these files', multiple: true, helpValue: 'FILE' }),
    config: string({ description: 'by the files of this server file', helpValue: 'FILE' }),
    databases,
  }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(PolicyExplain)
    const at = flags.at === undefined ? undefined : Date.parse(flags.at)
    if (at !== undefined && Number.isNaN(at)) {
      throw usage(`--at is not a time: ${flags.at}`, 'policy explain', 'Such as 2026-03-01T12:00Z.')
    }
    const groups = flags.groups?.split(',').map(group => group.trim())
    const isLocal = flags.file !== undefined || flags.config !== undefined
    const signedIn = isLocal ? undefined : await openSignedIn(this.io, flags.server)
    const asked = await this.#asked(args.id, flags, signedIn?.api)
    const found =
      signedIn === undefined
        ? await this.#local(asked, at ?? this.io.now(), groups, flags)
        : await signedIn.api.explain({
            ...asked,
            groups,
            user: flags.as,
            at: at === undefined ? undefined : new Date(at).toISOString(),
          })
    const { sql, target } = asked
    this.result(flags.json, found.raw, () => this.#print(found, sql, target))
    this.finish(EXITS[found.verdict] ?? 1)
  }

  /** The statement that was named, or the one that is held under an id. */
  async #asked(id: string | undefined, flags: Named, api: ApiClient | undefined): Promise<Asked> {
    const { sql, on: target, role, via: agent } = flags
    if (id === undefined) {
      if (sql === undefined || target === undefined) {
        throw usage('what is to be explained? an ID, or --sql and --on', 'policy explain')
      }
      return { sql, target, role, agent }
    }
    if (api === undefined || sql !== undefined || target !== undefined) {
      throw usage('an ID is explained by the server, without --sql and --on', 'policy explain')
    }
    if (id.startsWith('s-')) return recorded(api, id)
    const request = await api.request(id)
    const { statement, isYours, connection } = request
    if (statement === undefined || !isYours) {
      throw new DbgateError('USAGE', `${request.id} is no held statement of yours`, {
        detail: 'What decides is what its owner may do, which only they can ask.',
        next: [`dbgate requests show ${request.id}`],
      })
    }
    return { sql: statement.sql, target: connection, role: request.role, agent: request.via }
  }

  async #local(
    asked: Asked,
    at: number,
    groups: readonly string[] | undefined,
    flags: {
      readonly file: string[] | undefined
      readonly config: string | undefined
      readonly databases: boolean
      readonly as: string | undefined
    },
  ): Promise<ExplanationAnswer> {
    if (groups === undefined && flags.as === undefined) {
      throw usage('as whom? --groups or --as', 'policy explain')
    }
    const files = flags.file ?? []
    const found = await loadPolicyFiles(this.io, files, flags.config, 'policy explain')
    const environment = found.targets.find(({ name }) => name === asked.target)?.environment
    const schemas = await schemasFor(this.io, found, flags.databases, 'policy explain')
    const policy = await openLocalPolicy(found.policy, async (target, role) =>
      schemas?.of(target, role),
    )
    try {
      const principal = supposed(groups ?? [], flags.as)
      return readExplanation(await policy.explain(principal, { ...asked, at, environment }))
    } finally {
      await policy.close()
    }
  }

  #print(found: ExplanationAnswer, sql: string, target: string): void {
    const { terminal } = this
    const { marks, paintOut } = terminal
    const { verdict, rules, role, statements, message, next, approvers, decidedBy, columns } = found
    const paint = verdict === 'denied' ? paintOut.red : verdict === 'held' ? paintOut.yellow : same
    const mark = verdict === 'denied' ? marks.no : verdict === 'held' ? marks.wait : marks.live
    terminal.out(`${paint(`${mark} ${verdict.toUpperCase()}`)}   ${visible(sql)}`)
    terminal.out(visible(`  ${target} ${marks.dot} ${role.name}`))
    terminal.out('')
    const say = (name: string, text: string) => terminal.out(`  ${pad(name, 10)}  ${visible(text)}`)
    for (const { kind, class: classed, tables, where, unread } of statements) {
      const parts = [`class ${classed}`, `kind ${kind === '' ? 'unknown' : kind}`]
      if (tables.length > 0) parts.push(`table ${tables.join(', ')}`)
      if (where !== 'none') parts.push(`where ${where}`)
      say('statement', unread === undefined ? parts.join(', ') : `not understood: ${unread}`)
    }
    const lacks = role.missing.length === 0 ? '' : `, not enough: needs ${role.missing.join(', ')}`
    say('role', `${role.name} may: ${role.may.join(', ')}${lacks}`)
    const width = Math.max(0, ...rules.map(({ name }) => visible(name).length))
    rules.forEach(({ name, matched, effect, why, at, isDecisive }, index) => {
      const how = matched === 'no' ? 'no       ' : matched === 'maybe' ? 'may match' : 'matched  '
      const does = matched === 'no' ? '' : `${effect}  ${at}${isDecisive ? '  <- decided' : ''}  `
      say(index === 0 ? 'rules' : '', `${name.padEnd(width)}  ${how}  ${does}${why}`)
    })
    if (rules.length === 0) say('rules', 'none')
    linesOf(columns, marks.next).forEach((line, index) => {
      say(index === 0 ? 'columns' : '', line)
    })
    say('decided by', decidedBy.join(', '))
    if (verdict === 'held') say('approvers', groupsOf(approvers))
    if (message !== undefined) say('message', message)
    if (next !== undefined) say('next', next)
    const note = noteOf(found)
    if (note !== undefined) say('note', note)
  }
}

type Named = Readonly<Record<'sql' | 'on' | 'role' | 'via', string | undefined>>
type Asked = {
  readonly sql: string
  readonly target: string
  readonly role: string | undefined
  readonly agent: string | undefined
}

/** What was not asked of the database, if anything. */
function noteOf({ isLookedUp, masks }: ExplanationAnswer): string | undefined {
  if (isLookedUp) return undefined
  const text = 'read from its text alone; triggers, views and functions count when it runs'
  if (masks === 0) return text
  return `${text}, and ${masks === 1 ? '1 entry' : `${masks} entries`} of masks too`
}

/** `email  public.users.email  label pii:email  -> email  policy/main.yaml:35` for each column of a result. */
function linesOf(columns: ExplanationAnswer['columns'], arrow: string): readonly string[] {
  const rows = columns.map(({ name, from, mask, why, at }) => [
    visible(name),
    visible(namesOf(from)),
    visible(why),
    `${arrow} ${visible(mask ?? 'shown')}${at === undefined ? '' : `  ${visible(at)}`}`,
  ])
  const widths = [0, 1, 2].map(index => Math.max(0, ...rows.map(row => row[index]?.length ?? 0)))
  return rows.map(row =>
    row
      .map((cell, index) => pad(cell, widths[index] ?? 0))
      .join('  ')
      .trim(),
  )
}

const MAX_NAMES = 2

/** A row as a whole comes from many columns. */
function namesOf(from: readonly string[]): string {
  if (from.length === 0) return '-'
  const more = from.length > MAX_NAMES ? ` and ${from.length - MAX_NAMES} more` : ''
  return `${from.slice(0, MAX_NAMES).join(', ')}${more}`
}

function same(text: string): string {
  return text
}

/** A statement by the id of its record, as a refusal names it: what would become of it now. */
async function recorded(api: ApiClient, id: string): Promise<Asked> {
  const [entry] = await api.audit({ q: `id:${id}`, limit: 1 })
  if (entry === undefined || entry.id !== id) {
    throw new DbgateError('NOT_FOUND', `no statement ${visible(id)} of yours is on record`, {
      next: ['dbgate audit search'],
    })
  }
  const { user } = await api.whoami()
  if (entry.user !== user) {
    throw new DbgateError('USAGE', `${entry.id} is no statement of yours`, {
      detail: 'What decides is what its owner may do, which only they can ask.',
    })
  }
  const { sql, target, role, agent } = entry
  return { sql, target, role, agent }
}
