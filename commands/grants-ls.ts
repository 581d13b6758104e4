import { boolean } from '@oclif/core/flags'
import { table, visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { openSignedIn } from './signed-in.ts'
import { clockTime } from './times.ts'

export default class GrantsLs extends BaseCommand {
  static override summary = 'roles that you have for a while'
  static override examples = ['dbgate grants ls', 'dbgate grants ls --all']
  static override flags = {
    all: boolean({ description: "everybody's, for auditors" }),
  }

  override async run(): Promise<void> {
    const { flags } = await this.parse(GrantsLs)
    const { io, terminal } = this
    const { api } = await openSignedIn(io, flags.server)
    const grants = await api.grants({ all: flags.all })
    this.result(
      flags.json,
      grants.map(({ raw }) => raw),
      () => {
        if (grants.length === 0) {
          terminal.say(
            flags.all ? 'Nobody has a role for a while.' : 'You have no role for a while.',
          )
          return
        }
        const rows = grants.map(({ id, user, connection, role, expiresAt, reason, access }) =>
          [
            id,
            user,
            connection,
            role,
            `until ${clockTime(expiresAt, io.now())}`,
            access?.from === 'break-glass' ? 'break-glass' : '',
            reason ?? '',
          ].map(text => visible(text)),
        )
        const titles = ['ID', 'WHO', 'ON', 'ROLE', 'UNTIL', 'HOW', 'WHY']
        const columns = titles.map(title => ({ title, flexible: title === 'WHY' }))
        const width = terminal.isOutTTY ? terminal.columns : Number.MAX_SAFE_INTEGER
        for (const line of table(columns, rows, width)) terminal.out(line)
      },
    )
  }
}
