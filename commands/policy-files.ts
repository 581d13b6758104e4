import { glob } from 'node:fs/promises'
import type { PolicyDocument, Problem } from '../src/config/index.ts'
import type { Io } from './io.ts'
import { usage } from './report.ts'

/** Policy files as they would be loaded, and the targets that they speak of. */
export type PolicyFiles = {
  readonly files: readonly string[]
  readonly policy: PolicyDocument
  readonly policyDigest: string
  readonly warnings: readonly Problem[]
  readonly targets: readonly { readonly name: string; readonly environment: string | undefined }[]
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
    return { ...loaded, targets }
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
  return { ...loaded, files, targets }
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
