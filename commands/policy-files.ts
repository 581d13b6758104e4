import { glob } from 'node:fs/promises'
import { boolean } from '@oclif/core/flags'
import type { PolicyDocument, Problem, ServerConfig } from '../src/config/index.ts'
import type { Schemas } from '../src/inspect/index.ts'
import type { Io } from './io.ts'
import { usage } from './report.ts'

/** Policy files as they would be loaded, and the targets that they speak of. */
export type PolicyFiles = {
  readonly files: readonly string[]
  readonly policy: PolicyDocument
  readonly policyDigest: string
  readonly warnings: readonly Problem[]
  readonly targets: readonly { readonly name: string; readonly environment: string | undefined }[]
  /** The server's own file, where the policy came through it. */
  readonly server: ServerConfig | undefined
}

const DEFAULT_FILES = 'policy/*.{yaml,yml}'

/**
 * Loads policy files, without a server and without a sign-in: those that are named, or those of a server's file,
 * or the ones in `policy/`.
 *
 * Throws: INVALID with every problem; USAGE there are none.
 */
export async function loadPolicyFiles(
  io: Io,
  named: readonly string[],
  config: string | undefined,
  command: string,
): Promise<PolicyFiles> {
  const { loadPolicy, loadServerConfig } = await import('../src/config/index.ts')
  if (named.length === 0 && config !== undefined) {
    const loaded = await loadServerConfig(config, io.env)
    const targets = loaded.config.targets.map(({ name, environment }) => ({ name, environment }))
    return { ...loaded, targets, server: loaded.config }
  }
  const files = named.length > 0 ? named : await defaultFiles()
  if (files.length === 0) {
    throw usage(
      'there are no policy files',
      command,
      `Name them, or the server's file with --config; ${DEFAULT_FILES} has none.`,
    )
  }
  const loaded = await loadPolicy(files)
  const targets = targetsIn(loaded.policy).map(name => ({ name, environment: undefined }))
  return { ...loaded, files, targets, server: undefined }
}

/** The flag of commands that can ask the databases, beside `--config`. */
export const databases = boolean({
  description: "hold masks against the databases, with the server's own logins; needs --config",
})

/**
 * The schemas of the targets, where they are asked for.
 *
 * Throws: USAGE they are, without the server's file that has the logins.
 */
export async function schemasFor(
  io: Io,
  { server }: PolicyFiles,
  isWanted: boolean,
  command: string,
): Promise<Schemas | undefined> {
  if (!isWanted) return undefined
  if (server === undefined) {
    throw usage('--databases needs --config, the file that has the logins', command)
  }
  const { openSchemas } = await import('../src/inspect/index.ts')
  return openSchemas({ config: server, env: io.env, now: io.now, randomBytes: io.random })
}

async function defaultFiles(): Promise<readonly string[]> {
  const found: string[] = []
  for await (const file of glob(DEFAULT_FILES)) found.push(file)
  return found.sort()
}

function targetsIn({ people, rules = [], access = [] }: PolicyDocument): readonly string[] {
  const names = [
    ...people.flatMap(({ roles, mayRequest = {} }) => [roles, mayRequest]).flatMap(Object.keys),
    ...access.flatMap(({ grant }) => Object.keys(grant)),
    ...rules.flatMap(({ on }) => on),
  ]
  return [...new Set(names)].filter(name => name !== '*')
}
