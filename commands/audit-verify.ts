import { join } from 'node:path'
import { string } from '@oclif/core/flags'
import { readVerification, type VerificationAnswer } from '../src/api/index.ts'
import { DbgateError, systemCode } from '../src/errors.ts'
import { visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { openSignedIn } from './signed-in.ts'

type Flags = {
  readonly dir: string | undefined
  readonly file: string | undefined
  readonly against: string | undefined
  readonly key: string | undefined
  readonly recordings: string | undefined
}

export default class AuditVerify extends BaseCommand {
  static override summary = 'check that no record was changed, removed or moved'
  static override description =
    "With --dir or --file it reads the log itself and needs no server and no sign-in; otherwise the server checks its own and only auditors may ask.\nThe chain proves that what is there fits together, and the recordings beside it that none was changed or taken away. That nothing was cut off the log's end, only checkpoints kept elsewhere can prove: --against FILE, with the server's public key (checkpoint.pub in its state directory, copied while it could be trusted)."
  static override examples = [
    'dbgate audit verify',
    'dbgate audit verify --dir /var/lib/dbgate/audit --against checkpoints.jsonl --key checkpoint.pub',
    'dbgate audit verify --file audit-000001.log',
  ]
  static override flags = {
    dir: string({ description: "the log's directory", helpValue: 'DIR', exclusive: ['file'] }),
    file: string({ description: 'one segment of the log', helpValue: 'FILE' }),
    against: string({
      description: 'checkpoints that were kept elsewhere',
      helpValue: 'CHECKPOINTS',
      dependsOn: ['dir'],
    }),
    key: string({
      description: 'the public key they are signed with',
      helpValue: 'PUB',
      dependsOn: ['against'],
    }),
    recordings: string({
      description: 'where the recordings lie, if not beside the log',
      helpValue: 'DIR',
      dependsOn: ['dir'],
    }),
  }

  override async run(): Promise<void> {
    const { flags } = await this.parse(AuditVerify)
    const path = flags.dir ?? flags.file
    const found =
      path === undefined ? await this.#remote(flags.server) : await verifyPath(path, flags)
    if (!found.isWhole) throw broken(found, path)
    const key = path === undefined ? undefined : await publicKeyBeside(path)
    this.result(flags.json, found, () => this.#print(found, key))
  }

  #print(found: VerificationAnswer, key: string | undefined): void {
    const { terminal } = this
    const { marks, paintOut } = terminal
    const count = found.records === 1 ? '1 record' : `${spaced(found.records)} records`
    terminal.out(
      found.records === 0
        ? `${paintOut.yellow(marks.note)} the log is empty: it cannot tell what it once held`
        : `${paintOut.green(marks.ok)} ${count}, chain unbroken`,
    )
    if (found.last !== undefined) {
      terminal.out(
        `  last: record ${found.last.n}, ${visible(found.last.t)}, ${visible(found.last.sha256)}`,
      )
    }
    for (const line of comparedLines(found)) terminal.out(`  ${line}`)
    if (found.unfinishedBytes > 0) {
      terminal.out('  an unfinished last line: the log is being written, or its writer was killed')
    }
    if (key !== undefined) terminal.out(`  checkpoint key: ${key}`)
  }

  async #remote(server: string | undefined): Promise<VerificationAnswer> {
    const { api } = await openSignedIn(this.io, server)
    return api.verifyAudit()
  }
}

/** What the log was held against, and what that leaves open. */
function comparedLines({ checkpoints, recordings }: VerificationAnswer): string[] {
  const lines: string[] = []
  if (recordings !== undefined) {
    lines.push(`${spaced(recordings.recordings)} recordings are as they were finished`)
  }
  if (checkpoints === undefined) {
    lines.push('not held against checkpoints: that nothing was cut off its end is not proved')
    return lines
  }
  const { matching, notCovered, isSignatureChecked } = checkpoints
  lines.push(`${spaced(matching)} of ${spaced(checkpoints.checkpoints)} checkpoints match`)
  if (!isSignatureChecked) lines.push('their signatures were not checked: that needs --key PUB')
  if (notCovered > 0) lines.push(`not covered yet: ${spaced(notCovered)} records since the last`)
  return lines
}

/** Thousands apart, as people read them. */
function spaced(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ' ')
}

async function verifyPath(path: string, flags: Flags): Promise<VerificationAnswer> {
  const { readCheckpoints, readPublicKey, verifyLog } = await import('../src/record/index.ts')
  const key = flags.key === undefined ? undefined : await readPublicKey(flags.key)
  const checkpoints =
    flags.against === undefined ? undefined : await readCheckpoints(flags.against, key)
  if (checkpoints?.length === 0) {
    throw new DbgateError('NOT_FOUND', `${flags.against} holds no checkpoint`)
  }
  const recordings = flags.recordings ?? (await recordingsBeside(flags.dir))
  try {
    const found = await verifyLog(path, { checkpoints, recordings })
    if (found.segments > 0 || checkpoints !== undefined) return readVerification(found)
  } catch (cause) {
    const code = systemCode(cause)
    if (code === undefined) throw cause
    throw new DbgateError('NOT_FOUND', `cannot read ${path} (${code})`, { cause })
  }
  throw new DbgateError('NOT_FOUND', `no audit log in ${path}: there is not a single segment`)
}

/** The directory of recordings that a server keeps beside its log, if there is one. */
async function recordingsBeside(dir: string | undefined): Promise<string | undefined> {
  if (dir === undefined) return undefined
  const { existsSync } = await import('node:fs')
  const path = join(dir, '..', 'recordings')
  return existsSync(path) ? path : undefined
}

/** The public key of the server whose log this is, with its fingerprint, if it lies beside it. */
async function publicKeyBeside(path: string): Promise<string | undefined> {
  const { fingerprintOf, readPublicKey } = await import('../src/record/index.ts')
  const file = join(path, '..', 'checkpoint.pub')
  try {
    return `${fingerprintOf(await readPublicKey(file))} (${file})`
  } catch (error) {
    if (error instanceof DbgateError && error.code === 'NOT_FOUND') return undefined
    throw error
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
