import { string as arg } from '@oclif/core/args'
import { string } from '@oclif/core/flags'
import { openLocalPolicy } from '../src/api/index.ts'
import { visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { databases, loadPolicyFiles, schemasFor } from './policy-files.ts'

const FAILED = 12

export default class PolicyTest extends BaseCommand {
  static override summary = 'run the tests that stand in policy files, under `tests:`'
  static override description =
    'It needs no server and no sign-in; names stand for what the text alone says. Exit code 12 if one fails.'
  static override usage = 'policy test [FILE...] [flags]'
  static override examples = [
    'dbgate policy test policy/*.yaml',
    'dbgate policy test --filter drop',
  ]
  static override strict = false
  static override args = {
    file: arg({ description: 'policy files; those in policy/ if left out' }),
  }
  static override flags = {
    config: string({
      description: 'the server file that names them',
      env: 'DBGATE_CONFIG',
      helpValue: 'FILE',
    }),
    databases,
    filter: string({ description: 'only those whose SQL or people have this', helpValue: 'TEXT' }),
  }

  override async run(): Promise<void> {
    const { argv, flags } = await this.parse(PolicyTest)
    const { terminal } = this
    const found = await loadPolicyFiles(this.io, argv.map(String), flags.config, 'policy test')
    const environments = new Map(found.targets.map(each => [each.name, each.environment]))
    const schemas = await schemasFor(this.io, found, flags.databases, 'policy test')
    const policy = await openLocalPolicy(found.policy, async (target, role) =>
      schemas?.of(target, role),
    )
    const all = await policy.runTests(target => environments.get(target))
    await policy.close()
    const filter = flags.filter?.toLowerCase() ?? ''
    const results = all.filter(({ who, sql }) => `${who} ${sql}`.toLowerCase().includes(filter))
    const failed = results.filter(({ passed, isOpen }) => !passed && !isOpen)
    const open = results.filter(({ isOpen }) => isOpen).length
    const passed = results.length - failed.length - open
    this.result(flags.json, { passed, failed: failed.length, open, results }, () => {
      const { marks, paintOut } = terminal
      for (const { at, who, sql, expected, got } of failed) {
        terminal.out(`${paintOut.red(marks.no)} ${visible(`${at}  ${who}`)}`)
        terminal.out(`    ${visible(sql)}`)
        terminal.out(`  - ${visible(outcomeOf(expected, expected.rule))}`)
        terminal.out(`  + ${visible(outcomeOf(got, got.rules.join(', ')))}`)
      }
      const rest = failed.length === 0 ? '' : `, ${failed.length} failed`
      const mark = failed.length === 0 ? paintOut.green(marks.ok) : paintOut.red(marks.no)
      terminal.out(`${mark} ${passed} passed${rest}`)
      if (open > 0) {
        const are = open === 1 ? '1 is' : `${open} are`
        terminal.say(
          `${terminal.paint.yellow(marks.note)} ${are} about masks, which takes the databases: --config FILE --databases`,
        )
      }
    })
    if (failed.length > 0) this.finish(FAILED)
  }
}

type Outcome = {
  readonly gives: string
  readonly columns: Readonly<Record<string, string>> | undefined
}

function outcomeOf({ gives, columns = {} }: Outcome, rule: string | undefined): string {
  const shown = Object.entries(columns).map(([name, mask]) => `${name}: ${mask}`)
  const by = rule === undefined || rule === '' ? gives : `${gives} by ${rule}`
  return shown.length === 0 ? by : `${by} (${shown.join(', ')})`
}
