import { string as arg } from '@oclif/core/args'
import { boolean, string } from '@oclif/core/flags'
import { openLocalPolicy } from '../src/api/index.ts'
import { asDbgateError, DbgateError } from '../src/errors.ts'
import type { Schemas } from '../src/inspect/index.ts'
import { pad, visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { databases, loadPolicyFiles, type PolicyFiles, schemasFor } from './policy-files.ts'

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
    databases,
    strict: boolean({ description: 'warnings are problems too' }),
  }

  override async run(): Promise<void> {
    const { argv, flags } = await this.parse(PolicyCheck)
    const found = await loadPolicyFiles(this.io, argv.map(String), flags.config, 'policy check')
    const policy = await openLocalPolicy(found.policy)
    const views = found.targets.map(({ name, environment }) => policy.describe(name, environment))
    await policy.close()
    const schemas = await schemasFor(this.io, found, flags.databases, 'policy check')
    const seen = await this.#look(schemas, found)
    const { files, policyDigest, warnings } = found
    const data = { files, policy: policyDigest, warnings, masks: seen, targets: views }
    this.result(flags.json, data, () => this.#print(found, seen, views))
    const total = warnings.length + seen.length
    if (flags.strict && total > 0) {
      if (flags.json) this.finish(new DbgateError('INVALID', '').exitCode)
      else throw new DbgateError('INVALID', `${count(total, 'warning')}, with --strict`)
    }
  }

  /** What of the masks may not be meant, by what the databases have. */
  async #look(schemas: Schemas | undefined, { policy, targets }: PolicyFiles): Promise<Seen[]> {
    if (schemas === undefined) return []
    const found = await Promise.all(
      targets.map(async ({ name }) => {
        try {
          const warnings = await schemas.check(policy, name)
          return warnings.map(({ at, message }) => ({ target: name, at, message }))
        } catch (error) {
          const { message } = asDbgateError(error)
          return [{ target: name, at: undefined, message: `masks not checked: ${message}` }]
        }
      }),
    )
    return found.flat()
  }

  #print(
    { files, policy, warnings }: PolicyFiles,
    seen: readonly Seen[],
    views: readonly View[],
  ): void {
    const { terminal } = this
    const { marks, paint, paintOut } = terminal
    const parts = [
      count(Object.keys(policy.roles).length, 'role'),
      count(policy.rules?.length ?? 0, 'rule'),
      ...(policy.masks?.length ? [count(policy.masks.length, 'mask')] : []),
      count(policy.limits?.length ?? 0, 'limit'),
      count(policy.tests?.length ?? 0, 'test'),
    ]
    terminal.out(`${paintOut.green(marks.ok)} ${visible(files.join(' '))}  ${parts.join(', ')}`)
    for (const { file, line, message } of warnings) {
      terminal.say(`${paint.yellow(marks.note)} ${visible(`${file}:${line}  ${message}`)}`)
    }
    for (const { target, at, message } of seen) {
      const place = at === undefined ? target : `${at}  ${target}`
      terminal.say(`${paint.yellow(marks.note)} ${visible(`${place}: ${message}`)}`)
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

type Seen = {
  readonly target: string
  readonly at: string | undefined
  readonly message: string
}

type View = Awaited<ReturnType<typeof openLocalPolicy>>['describe'] extends (
  ...args: never[]
) => infer T
  ? T
  : never

/** Who is what on a target, who can ask for what, and what applies. */
function linesOf(
  { roles, mayRequest, rules, masks, limits, mode, unknown }: View,
  dot: string,
): string[] {
  const who = ({ role, groups, users }: View['roles'][number]) =>
    `${role} ${[...groups, ...users].join(', ')}`
  const asks = mayRequest.length === 0 ? [] : [`can be asked for: ${mayRequest.map(who).join(dot)}`]
  const what = [
    count(rules.length, 'rule'),
    ...(masks.length === 0 ? [] : [count(masks.length, 'mask')]),
    ...(limits.length === 0 ? [] : [count(limits.length, 'limit')]),
    ...(mode === 'observe' ? ['only observed, nothing is refused'] : []),
    `unknown: ${unknown === 'hold-if-sure' ? 'hold' : unknown}`,
  ]
  return [roles.length === 0 ? 'nobody' : roles.map(who).join(dot), ...asks, what.join(dot)]
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
