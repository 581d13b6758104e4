import { string } from '@oclif/core/flags'
import {
  type ExplanationAnswer,
  openLocalPolicy,
  readExplanation,
  supposed,
} from '../src/api/index.ts'
import { pad, visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { loadPolicyFiles } from './policy-files.ts'
import { usage } from './report.ts'
import { groupsOf } from './request-card.ts'
import { openSignedIn } from './signed-in.ts'

const EXITS: Readonly<Record<string, number>> = { allowed: 0, denied: 5, held: 8 }

export default class PolicyExplain extends BaseCommand {
  static override summary = 'what becomes of a statement, rule by rule, and why'
  static override description =
    'It asks the server, as you; auditors may ask for other groups. With --file it needs no server.\nNothing is run. Exit codes: 0 allowed; 5 denied; 8 would be held.'
  static override examples = [
    'dbgate policy explain --on prod --sql "delete from orders"',
    'dbgate policy explain --file policy/main.yaml --groups dba --on prod --sql "drop table t"',
  ]
  static override flags = {
    sql: string({ description: 'the statement', required: true, helpValue: 'SQL' }),
    on: string({ description: 'on which target', required: true, helpValue: 'NAME' }),
    role: string({ description: 'the role to use instead of the strongest', helpValue: 'NAME' }),
    groups: string({ description: 'as somebody of these groups: a,b', helpValue: 'NAMES' }),
    as: string({ description: 'as the person of this name', helpValue: 'USER' }),
    via: string({ description: 'through this tool, such as claude', helpValue: 'TOOL' }),
    at: string({ description: 'at that time', helpValue: 'TIME' }),
    file: string({ description: 'by these files', multiple: true, helpValue: 'FILE' }),
    config: string({ description: 'by the files of this server file', helpValue: 'FILE' }),
  }

  override async run(): Promise<void> {
    const { flags } = await this.parse(PolicyExplain)
    const at = flags.at === undefined ? undefined : Date.parse(flags.at)
    if (at !== undefined && Number.isNaN(at)) {
      throw usage(`--at is not a time: ${flags.at}`, 'policy explain', 'Such as 2026-03-01T12:00Z.')
    }
    const groups = flags.groups?.split(',').map(group => group.trim())
    const { sql, on: target, role, via: agent } = flags
    const asked = { sql, target, role, agent }
    const isLocal = flags.file !== undefined || flags.config !== undefined
    const found = isLocal
      ? await this.#local(asked, at ?? this.io.now(), groups, flags)
      : await (await openSignedIn(this.io, flags.server)).api.explain({
          ...asked,
          groups,
          user: flags.as,
          at: at === undefined ? undefined : new Date(at).toISOString(),
        })
    this.result(flags.json, found.raw, () => this.#print(found, sql, target))
    this.finish(EXITS[found.verdict] ?? 1)
  }

  async #local(
    asked: Pick<Parameters<Local['explain']>[1], 'sql' | 'target' | 'role' | 'agent'>,
    at: number,
    groups: readonly string[] | undefined,
    flags: {
      readonly file: string[] | undefined
      readonly config: string | undefined
      readonly as: string | undefined
    },
  ): Promise<ExplanationAnswer> {
    if (groups === undefined && flags.as === undefined) {
      throw usage('as whom? --groups or --as', 'policy explain')
    }
    const files = flags.file ?? []
    const found = await loadPolicyFiles(this.io, files, flags.config, 'policy explain')
    const environment = found.targets.find(({ name }) => name === asked.target)?.environment
    const policy = await openLocalPolicy(found.policy)
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
    const { verdict, rules, role, statements, message, next, approvers, decidedBy } = found
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
    say('decided by', decidedBy.join(', '))
    if (verdict === 'held') say('approvers', groupsOf(approvers))
    if (message !== undefined) say('message', message)
    if (next !== undefined) say('next', next)
  }
}

type Local = Awaited<ReturnType<typeof openLocalPolicy>>

function same(text: string): string {
  return text
}
