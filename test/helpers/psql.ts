import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from './run.ts'

/** What a psql script left behind, with only what must differ between two runs made equal. */
export type Transcript = {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** Digest and length of each file the script wrote. */
  readonly files: Readonly<Record<string, string>>
}

/**
 * Runs a script with psql in a folder of its own. Byte sequences that are no UTF-8 stay visible: text
 * is read as latin1.
 */
export async function transcript(url: string, script: string): Promise<Transcript> {
  const directory = await mkdtemp(join(tmpdir(), 'dbgate-psql-'))
  try {
    const args = ['-X', '-a', '-v', 'ON_ERROR_STOP=off', '-f', script, url]
    const ran = await run('psql', args, { cwd: directory, timeoutMs: 90_000 })
    const files: Record<string, string> = {}
    for (const name of (await readdir(directory)).sort()) {
      const content = await readFile(join(directory, name))
      const text = createHash('sha256').update(content).digest('hex')
      files[name] = `${content.length} ${text}`
    }
    const { code, stdout, stderr } = ran
    return { code, stdout: normal(stdout), stderr: normal(stderr), files }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/**
 * What two runs of the same script against the same server differ in already:
 * the pid in a notification, the clock in the title of `\watch`, large object ids the server picks,
 * and the query identifier, which is made of object ids.
 */
function normal(output: Buffer): string {
  return output
    .toString('latin1')
    .replace(/(received from server process with PID )\d+/g, '$1N')
    .replace(/^\w{3} \w{3} .* (\(every [\d.]+s\))$/gm, 'NOW $1')
    .replace(/^(lo_import|lo_unlink) \d+$/gm, '$1 N')
    .replace(/(ERROR: {2}large object )\d{5}( does not)/g, '$1N$2')
    .replace(/(Query Identifier"?: )-?\d+/g, '$1N')
}
