import { string } from '@oclif/core/flags'
import { readVerification, type VerificationAnswer } from '../src/api/index.ts'
import { DbgateError, systemCode } from '../src/errors.ts'
import { visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { openSignedIn } from './signed-in.ts'

export default class AuditVerify extends BaseCommand {
  static override summary = 'check that no record was changed, removed or moved'
  static override description =
    "With --dir or --file it reads the log itself and needs no server and no sign-in; otherwise the server checks its own and only auditors may ask.\nThe chain proves that what is there fits together. That nothing was cut off its end, only an older copy of the last record's hash can prove."
  static override examples = [
    'dbgate audit verify',
    'dbgate audit verify --dir /var/lib/dbgate/audit',
    'dbgate audit verify --file audit-000001.log',
  ]
  static override flags = {
    dir: string({ description: "the log's directory", helpValue: 'DIR', exclusive: ['file'] }),
    file: string({ description: 'one segment of the log', helpValue: 'FILE' }),
  }

  override async run(): Promise<void> {
    const { flags } = await this.parse(AuditVerify)
    const path = flags.dir ?? flags.file
    const found = path === undefined ? await this.#remote(flags.server) : await verifyPath(path)
    if (!found.isWhole) throw broken(found, path)
    this.result(flags.json, found, () => {
      const { terminal } = this
      const { marks, paintOut } = terminal
      const count = found.records === 1 ? '1 record' : `${found.records} records`
      terminal.out(`${paintOut.green(marks.ok)} ${count}, chain unbroken`)
      if (found.last !== undefined) {
        terminal.out(
          `  last: record ${found.last.n}, ${visible(found.last.t)}, ${visible(found.last.sha256)}`,
        )
      }
      if (found.unfinishedBytes > 0) {
        terminal.out(
          '  an unfinished last line: the log is being written, or its writer was killed',
        )
      }
    })
  }

  async #remote(server: string | undefined): Promise<VerificationAnswer> {
    const { api } = await openSignedIn(this.io, server)
    return api.verifyAudit()
  }
}

async function verifyPath(path: string): Promise<VerificationAnswer> {
  const { verifyLog } = await import('../src/record/index.ts')
  try {
    return readVerification(await verifyLog(path))
  } catch (cause) {
    const code = systemCode(cause)
    if (code === undefined) throw cause
    throw new DbgateError('NOT_FOUND', `cannot read ${path} (${code})`, { cause })
  }
}

function broken(found: VerificationAnswer, path: string | undefined): DbgateError {
  const place = found.broken
  const where = place === undefined ? '' : ` (segment ${place.segment}, line ${place.line})`
  const what = place === undefined ? 'the log does not fit together' : place.message
  const after =
    found.breaks === 1
      ? 'After it the chain is whole: one place was changed, or a copy was put back.'
      : `${found.breaks} places do not fit.`
  return new DbgateError('INTEGRITY', `audit log broken: ${what}${where}`, {
    detail: after,
    next: [
      path === undefined
        ? 'dbgate audit verify --dir DIR   (on the server)'
        : `cp -a ${path} SOMEWHERE   (keep it as it is)`,
    ],
  })
}
