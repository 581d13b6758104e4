import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { string } from '@oclif/core/flags'
import { DbgateError, systemCode } from '../src/errors.ts'
import { counted } from './audit-lines.ts'
import { BaseCommand } from './base.ts'
import { openSignedIn } from './signed-in.ts'

export default class AuditReindex extends BaseCommand {
  static override summary = 'build the index of the audit log anew'
  static override description =
    'The index holds nothing that is not in the log, so it can be thrown away at any time. With --state it works on the files of a server that is stopped; otherwise the server does it, and only auditors may ask. A damaged index, or one of another version, is built anew without being asked.'
  static override examples = [
    'dbgate audit reindex',
    'dbgate audit reindex --state /var/lib/dbgate',
  ]
  static override flags = {
    state: string({ description: "the server's state directory", helpValue: 'DIR' }),
  }

  override async run(): Promise<void> {
    const { flags } = await this.parse(AuditReindex)
    const statements =
      flags.state === undefined
        ? await (await openSignedIn(this.io, flags.server)).api.reindexAudit()
        : await reindexFiles(flags.state)
    this.result(flags.json, { statements }, () => {
      const { marks, paintOut } = this.terminal
      const count = counted(statements, Infinity)
      this.terminal.out(`${paintOut.green(marks.ok)} ${count} statements on index`)
    })
  }
}

async function reindexFiles(state: string): Promise<number> {
  const logDir = join(state, 'audit')
  try {
    await stat(logDir)
  } catch (cause) {
    const why = systemCode(cause) ?? 'unknown reason'
    throw new DbgateError('NOT_FOUND', `no audit log in ${state} (${why})`, { cause })
  }
  const { AuditIndex } = await import('../src/store/index.ts')
  const index = await AuditIndex.open({ logDir, file: join(state, 'index.sqlite') })
  try {
    await index.rebuild()
    return (await index.status()).statements
  } finally {
    await index.close()
  }
}
