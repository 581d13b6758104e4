import { string as arg } from '@oclif/core/args'
import { boolean, string } from '@oclif/core/flags'
import { openLocalPolicy } from '../src/api/index.ts'
import { DbgateError } from '../src/errors.ts'
import { pad, visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { loadPolicyFiles, type PolicyFiles } from './policy-files.ts'

export default class PolicyCheck extends BaseCommand {
  static override summary = 'what policy files come to, and everything that is wrong with them'
  static override description =
    'It needs no server and no sign-in. Exit code 3 if the files would not be loaded, all problems at once.'
  static override usage = 'policy check [FILE...] [flags]'
  static override examples = [
    'dbgate policy check policy/*.yaml',
    'dbgate policy check --config /etc/dbgate/dbgate.yaml --strict',
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
    strict: boolean({ description: 'warnings are problems too' }),
  }

  override async run(): Promise<void> {
    const { argv, flags } = await this.parse(PolicyCheck)
    const found = await loadPolicyFiles(this.io, argv.map(String), flags.config, 'policy check')
    const policy = await openLocalPolicy(found.policy)
    const views = found.targets.map(({ name, environment }) => policy.describe(name, environment))
    await policy.close()
    const { files, policyDigest, warnings } = found
    this.result(flags.json, { files, policy: policyDigest, warnings, targets: views }, () =>
      this.#print(found, views),
    )
    if (flags.strict && warnings.length > 0) {
      if (flags.json) this.finish(new DbgateError('INVALID', '').exitCode)
      else throw new DbgateError('INVALID', `${count(warnings.length, 'warning')}, with --strict`)
    }
  }

  #print({ files, policy, warnings }: PolicyFiles, views: readonly View[]): void {
    const { terminal } = this
    const { marks, paint, paintOut } = terminal
    const parts = [
      count(Object.keys(policy.roles).length, 'role'),
      count(policy.rules?.length ?? 0, 'rule'),
      count(policy.limits?.length ?? 0, 'limit'),
      count(policy.tests?.length ?? 0, 'test'),
    ]
    terminal.out(`${paintOut.green(marks.ok)} ${visible(files.join(' '))}  ${parts.join(', ')}`)
    for (const { file, line, message } of warnings) {
      terminal.say(`${paint.yellow(marks.note)} ${visible(`${file}:${line}  ${message}`)}`)
    }
    const width = Math.max(0, ...views.map(({ target }) => visible(target).length))
    for (const view of views) {
      const lines = linesOf(view, ` ${marks.dot} `).map(line => visible(line))
      lines.forEach((line, index) => {
        terminal.out(`${pad(index === 0 ? visible(view.target) : '', width)}  ${line}`)
      })
    }
  }
}

type View = Awaited<ReturnType<typeof openLocalPolicy>>['describe'] extends (
  ...args: never[]
) => infer T
  ? T
  : never

/** Who is what on a target, who can ask for what, and what applies. */
function linesOf({ roles, mayRequest, rules, limits, mode, unknown }: View, dot: string): string[] {
  const who = ({ role, groups, users }: View['roles'][number]) =>
    `${role} ${[...groups, ...users].join(', ')}`
  const asks = mayRequest.length === 0 ? [] : [`can be asked for: ${mayRequest.map(who).join(dot)}`]
  const what = [
    count(rules.length, 'rule'),
    ...(limits.length === 0 ? [] : [count(limits.length, 'limit')]),
    ...(mode === 'observe' ? ['only observed, nothing is refused'] : []),
    `unknown: ${unknown === 'hold-if-sure' ? 'hold' : unknown}`,
  ]
  return [roles.length === 0 ? 'nobody' : roles.map(who).join(dot), ...asks, what.join(dot)]
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
