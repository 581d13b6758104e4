import { join } from 'node:path'
import type { PolicyDocument, ServerConfig, TargetConfig } from '../config/index.ts'
import { resolveCredential } from '../config/index.ts'
import { asDbgateError, DbgateError } from '../errors.ts'
import { type Database, openDatabase } from '../gate/index.ts'
import type { Remembered } from '../mask/index.ts'
import { checkMasks, type MaskWarning, NO_MEMORY, placeOf, selectMasks } from '../mask/index.ts'
import type { Catalog } from '../sql/index.ts'
import { MaskMemory } from '../store/index.ts'

/** What reaching a database takes. */
export type Reach = {
  readonly config: ServerConfig
  readonly env: Readonly<Record<string, string | undefined>>
  readonly now: () => number
  readonly randomBytes: (count: number) => Buffer
}

/** Schemas of targets, each read once. */
export type Schemas = {
  /** As a role sees it; without one, as the first that gets in. Throws: UNREACHABLE, UPSTREAM. */
  readonly of: (
    target: string,
    role?: string,
  ) => Promise<{ readonly catalog: Catalog; readonly memory: readonly Remembered[] }>
  /** What of a policy's masks may not be meant on a target. */
  readonly check: (policy: PolicyDocument, target: string) => Promise<readonly MaskWarning[]>
}

/** What the server remembers of masked columns; it may be running. */
export function openMaskMemory({ stateDir }: ServerConfig): MaskMemory {
  return new MaskMemory(join(stateDir, 'masks.jsonl'))
}

/** Reads schemas with the logins of a server's file. */
export function openSchemas(reach: Reach): Schemas {
  const read = new Map<string, Promise<Catalog>>()
  const memory = openMaskMemory(reach.config)
  const of: Schemas['of'] = async (name, role) => {
    const target = targetOf(reach.config, name)
    const key = `${name}/${role ?? ''}`
    const reading = read.get(key) ?? readSchema(reach, target, role)
    read.set(key, reading)
    return { catalog: await reading, memory: memory.of(placeOf(name, target.database)) }
  }
  return {
    of,
    check: async (policy, name) => {
      const rules = (policy.masks ?? []).filter(({ on }) => on.includes('*') || on.includes(name))
      if (rules.length === 0) return []
      const { catalog } = await of(name)
      return checkMasks(rules, selectMasks(rules, catalog, NO_MEMORY), catalog)
    },
  }
}

async function readSchema(reach: Reach, target: TargetConfig, role?: string): Promise<Catalog> {
  const database = await connectTo(reach, target, role)
  try {
    return await database.catalog()
  } finally {
    database.close()
  }
}

/** Connects with the login of a role; without one, of the first that gets in. Throws: UNREACHABLE. */
export async function connectTo(
  { env, now, randomBytes }: Reach,
  target: TargetConfig,
  role?: string,
): Promise<Database> {
  let failed: unknown
  for (const [name, source] of Object.entries(target.roles)) {
    if (role !== undefined && role !== name) continue
    try {
      return await openDatabase(target, await resolveCredential(source, env, now), randomBytes)
    } catch (cause) {
      failed = cause
    }
  }
  if (failed !== undefined) throw asDbgateError(failed)
  throw new DbgateError('USAGE', `there is no login for ${role ?? 'any role'} on ${target.name}`)
}

/** The target of a name. Throws: USAGE there is none. */
export function targetOf({ targets }: ServerConfig, name: string): TargetConfig {
  const target = targets.find(each => each.name === name)
  if (target !== undefined) return target
  const names = targets.map(each => each.name).join(', ')
  throw new DbgateError('USAGE', `there is no target "${name}" in dbgate.yaml`, {
    hint: `It has: ${names}.`,
  })
}
