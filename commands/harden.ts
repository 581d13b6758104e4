import { string as arg } from '@oclif/core/args'
import { boolean, string } from '@oclif/core/flags'
import { visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { usage } from './report.ts'

export default class Harden extends BaseCommand {
  static override summary =
    'a second line in the database itself: roles that cannot read what is masked'
  static override description =
    'Prints the script that makes two roles with the rights of a login: dbgate_full, and dbgate_plain without what is masked. With --apply it runs in one transaction; --undo takes the roles away. It needs the logins of the server file.\nWhat it gives today: a login that is in dbgate_plain only is refused by the database itself whatever touches a masked column, also to show it masked. The gate does not switch between the two roles yet.'
  static override usage = 'harden TARGET --config FILE [flags]'
  static override examples = [
    'dbgate harden prod --config /etc/dbgate/dbgate.yaml > harden.sql',
    'dbgate harden prod --config /etc/dbgate/dbgate.yaml --apply --with owner',
    'dbgate harden prod --config /etc/dbgate/dbgate.yaml --undo --with owner',
  ]
  static override args = { target: arg({ description: 'the target', required: true }) }
  static override flags = {
    config: string({
      description: "the server's file",
      env: 'DBGATE_CONFIG',
      helpValue: 'FILE',
      required: true,
    }),
    role: string({
      description: 'whose login and masks it is about; the first with a login if left out',
      helpValue: 'NAME',
    }),
    with: string({
      description: 'run it with the login of this role, which may create roles and grant',
      helpValue: 'NAME',
    }),
    apply: boolean({ description: 'run it, in one transaction' }),
    undo: boolean({ description: 'take the roles away again, in one transaction' }),
  }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Harden)
    if (flags.apply && flags.undo) throw usage('either --apply or --undo', 'harden')
    const runs = flags.apply || flags.undo
    if (runs && flags.with === undefined) {
      throw usage('--with says whose login may create roles and grant', 'harden')
    }
    const { loadServerConfig } = await import('../src/config/index.ts')
    const inspect = await import('../src/inspect/index.ts')
    const { config, policy } = await loadServerConfig(flags.config, this.io.env)
    const roles = Object.keys(inspect.targetOf(config, args.target).roles)
    const role = flags.role ?? roles[0] ?? ''
    const options = {
      config,
      policy,
      target: args.target,
      role,
      env: this.io.env,
      now: this.io.now,
      randomBytes: this.io.random,
    }
    const found = await inspect.harden(options)
    const statements = flags.undo ? found.script.undo : found.script.apply
    const text = inspect.inTransaction(statements)
    const ran = runs
      ? await inspect.hardenOn({ ...options, as: flags.with ?? role }, statements)
      : undefined
    const { target, login, masked, derived, gaps } = found
    const applied = ran === undefined ? 'no' : flags.undo ? 'undone' : 'applied'
    this.result(
      flags.json,
      { target, login, role, masked, derived, gaps, script: text, applied, with: ran?.login },
      () => {
        const { terminal } = this
        const { marks, paint } = terminal
        const say = (mark: string, line: string) => terminal.say(`${mark} ${visible(line)}`)
        if (ran === undefined) terminal.out(text.trimEnd())
        else if (flags.undo) {
          say(marks.ok, `${inspect.PLAIN} and ${inspect.FULL} have no rights on ${target} any more`)
        } else {
          say(
            marks.ok,
            `${inspect.PLAIN} and ${inspect.FULL} are set up on ${target}, as ${ran.login}`,
          )
        }
        if (flags.undo) return
        say(
          marks.live,
          `${masked.length} columns are out of reach of ${inspect.PLAIN}: ${masked.join(', ')}`,
        )
        if (derived.length > 0) say(marks.live, `and what is made of them: ${derived.join(', ')}`)
        for (const gap of gaps) say(paint.yellow(marks.note), gap)
        say(
          marks.next,
          `make a login for a role that never needs them: CREATE ROLE name LOGIN PASSWORD '...' IN ROLE ${inspect.PLAIN}, and name it under credentials`,
        )
        say(
          paint.yellow(marks.note),
          'the gate does not switch between the two roles yet: such a login is refused masked columns, it does not see them masked',
        )
      },
    )
  }
}
