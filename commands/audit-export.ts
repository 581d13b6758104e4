import { createHash } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { string as arg } from '@oclif/core/args'
import { boolean, string } from '@oclif/core/flags'
import { DbgateError, systemCode } from '../src/errors.ts'
import { EXPORT_FORMATS, type ExportFormat, headerOf, lineOf } from './audit-formats.ts'
import { counted, momentOf } from './audit-lines.ts'
import { BaseCommand } from './base.ts'
import { version } from './package.ts'
import { usage } from './report.ts'
import { openSignedIn } from './signed-in.ts'

const PAGE = 2000

export default class AuditExport extends BaseCommand {
  static override summary = 'write what was found to a file'
  static override description =
    'Writes every statement that fits as JSON lines, CSV or OCSF (Datastore Activity, class 6005), and beside it FILE.manifest.json with the count, the range, the SHA-256 of the file, the query and who exported. The query is that of audit search. That it was exported is on record.'
  static override usage = 'audit export [QUERY...] --out FILE [flags]'
  static override examples = [
    'dbgate audit export --since 30d --out march.jsonl',
    'dbgate audit export verdict:denied --format csv --out denied.csv',
  ]
  static override strict = false
  static override args = { query: arg({ description: 'words and key:value' }) }
  static override flags = {
    out: string({ description: 'the file to write', required: true, helpValue: 'FILE' }),
    format: string({
      description: 'jsonl, csv or ocsf',
      options: [...EXPORT_FORMATS],
      default: 'jsonl',
    }),
    since: string({ description: 'from when on; everything without it', helpValue: 'TIME' }),
    until: string({ description: 'until when', helpValue: 'TIME' }),
    force: boolean({ description: 'replace the file' }),
  }

  override async run(): Promise<void> {
    const { argv, flags } = await this.parse(AuditExport)
    const { io, terminal } = this
    const now = io.now()
    const format = EXPORT_FORMATS.find(one => one === flags.format)
    if (format === undefined) throw usage(`unknown format ${flags.format}`, 'audit export')
    const at = (text: string | undefined, flag: string) =>
      text === undefined ? undefined : momentOf(text, flag, 'audit export', now)
    const range = { since: at(flags.since, 'since'), until: at(flags.until, 'until') ?? now }
    const query = argv.map(String).join(' ')
    const { api, name } = await openSignedIn(io, flags.server)
    const me = await api.whoami()
    const pages = async function* () {
      for (let after = 0; ; ) {
        const page = await api.audit({ q: query, ...range, after, limit: PAGE, for: 'export' })
        yield page.map(({ raw }) => raw)
        const last = page.at(-1)?.n
        if (last === undefined || page.length < PAGE) return
        after = last
      }
    }
    const written = await writeExport(flags.out, format, pages(), flags.force)
    const manifest = {
      ...{ v: 1, file: flags.out, format, ...written, query },
      since: range.since === undefined ? null : new Date(range.since).toISOString(),
      until: new Date(range.until).toISOString(),
      ...{ server: name, exported_by: me.user, exported_at: new Date(now).toISOString() },
      ...{ dbgate: version() },
    }
    await writeWhole(`${flags.out}.manifest.json`, `${JSON.stringify(manifest, null, 2)}\n`)
    this.result(flags.json, manifest, () => {
      const { marks, paintOut } = terminal
      const count = counted(written.statements, Infinity)
      terminal.out(`${paintOut.green(marks.ok)} ${count} statements in ${flags.out}`)
      terminal.out(`  sha256 ${written.sha256}`)
    })
  }
}

type Written = {
  readonly statements: number
  readonly bytes: number
  readonly sha256: string
  readonly first: unknown
  readonly last: unknown
}

/** Writes to a file beside it first: what stands under the name is whole. */
async function writeExport(
  path: string,
  format: ExportFormat,
  pages: AsyncIterable<readonly Readonly<Record<string, unknown>>[]>,
  isForced: boolean,
): Promise<Written> {
  if (!isForced) await reserve(path)
  const partial = `${path}.partial`
  const made = version()
  const hash = createHash('sha256')
  let [statements, bytes] = [0, 0]
  let first: unknown = null
  let last: unknown = null
  try {
    const file = await open(partial, 'w', 0o600)
    const write = async (text: string) => {
      const chunk = Buffer.from(text)
      hash.update(chunk)
      bytes += chunk.length
      await file.writeFile(chunk)
    }
    try {
      await write(headerOf(format))
      for await (const page of pages) {
        await write(page.map(entry => lineOf(format, entry, made)).join(''))
        statements += page.length
        first ??= page[0]?.t ?? null
        last = page.at(-1)?.t ?? last
      }
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(partial, path)
  } catch (cause) {
    await rm(partial, { force: true })
    if (!isForced) await rm(path, { force: true })
    throw cause instanceof DbgateError ? cause : cannotWrite(path, cause)
  }
  return { statements, bytes, sha256: hash.digest('hex'), first, last }
}

/** Throws: USAGE the file is there already. */
async function reserve(path: string): Promise<void> {
  let file: FileHandle
  try {
    file = await open(path, 'wx', 0o600)
  } catch (cause) {
    if (systemCode(cause) !== 'EEXIST') throw cannotWrite(path, cause)
    throw usage(`${path} is there already`, 'audit export', 'With --force it is replaced.')
  }
  await file.close()
}

async function writeWhole(path: string, text: string): Promise<void> {
  try {
    const file = await open(path, 'w', 0o600)
    await file.writeFile(text).finally(() => file.close())
  } catch (cause) {
    throw cannotWrite(path, cause)
  }
}

function cannotWrite(path: string, cause: unknown): DbgateError {
  const why = systemCode(cause) ?? 'unknown reason'
  return new DbgateError('USAGE', `cannot write ${path} (${why})`, { cause })
}
