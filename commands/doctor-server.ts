import { readdir, readFile, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { openLocalPolicy } from '../src/api/index.ts'
import {
  loadServerConfig,
  resolveCredential,
  type ServerConfig,
  type TargetConfig,
} from '../src/config/index.ts'
import { systemCode } from '../src/errors.ts'
import { visit } from '../src/inspect/index.ts'
import { type Check, fail, failed, ok, warn } from './doctor-checks.ts'
import type { Io } from './io.ts'

const CLOCK_WARN_MS = 5000
const FULL_BYTES = 200e6
const TIGHT_PART = 0.1
const LISTED = 10

/** Looks at everything a server needs, from the file it is configured by to the databases behind it. */
export async function* serverChecksOf(io: Io, file: string): AsyncGenerator<Check> {
  const check = `dbgate serve --check --config ${file}`
  let config: ServerConfig
  try {
    const loaded = await loadServerConfig(file, io.env)
    config = loaded.config
    const { targets } = config
    if (loaded.warnings.length === 0) yield ok('config', `${file}, ${targets.length} targets`)
    for (const { message } of loaded.warnings) yield warn('config', message, check)
    yield await policyCheck(config, loaded.policy, file)
  } catch (cause) {
    yield failed('config', cause, `dbgate policy check --config ${file}`)
    return
  }
  yield* stateChecks(config)
  const own = await ownBackends(io, config.stateDir)
  for (const target of config.targets) {
    for (const role of Object.keys(target.roles)) yield* roleChecks(io, target, role)
    yield await bypassCheck(io, config, target, own)
  }
}

async function policyCheck(
  config: ServerConfig,
  document: Parameters<typeof openLocalPolicy>[0],
  file: string,
): Promise<Check> {
  const policy = await openLocalPolicy(document, async () => undefined)
  const environments = new Map(config.targets.map(({ name, environment }) => [name, environment]))
  const results = await policy.runTests(target => environments.get(target))
  await policy.close()
  const failing = results.filter(({ passed, isOpen }) => !passed && !isOpen).length
  const test = `dbgate policy test --config ${file}`
  if (failing > 0) return fail('policy', `${failing} of ${results.length} tests fail`, test, 12)
  if (results.length === 0) return warn('policy', 'it has no tests', test)
  return ok('policy', `${results.length} tests pass`)
}

async function* stateChecks({ stateDir }: ServerConfig): AsyncGenerator<Check> {
  try {
    const { mode } = await stat(stateDir)
    const open = (mode & 0o077).toString(8)
    if (open === '0') yield ok('state', `${stateDir} is its owner's alone`)
    else yield fail('state', `${stateDir} is open to others`, `chmod 700 ${stateDir}`)
  } catch (cause) {
    const why = systemCode(cause) ?? 'unknown reason'
    const next = why === 'ENOENT' ? 'dbgate serve   (it makes it)' : `ls -ld ${stateDir}`
    yield warn('state', `${stateDir} cannot be looked at (${why})`, next)
    return
  }
  const { bavail, blocks, bsize } = await statfs(stateDir)
  const free = bavail * bsize
  const says = `${(free / 1e9).toFixed(1)} GB free (${((100 * bavail) / blocks).toFixed(0)} %)`
  if (free < FULL_BYTES)
    yield fail('disk', `${says}: without the log nothing runs`, `df -h ${stateDir}`)
  else if (bavail / blocks < TIGHT_PART) yield warn('disk', says, `df -h ${stateDir}`)
  else yield ok('disk', says)
  yield await tailCheck(join(stateDir, 'audit'))
}

/** The newest segment only: the whole log is `audit verify`'s business. */
async function tailCheck(dir: string): Promise<Check> {
  const { verifyLog } = await import('../src/record/index.ts')
  const all = `dbgate audit verify --dir ${dir}`
  try {
    const segments = (await readdir(dir)).filter(name => /^audit-\d+\.log$/.test(name)).sort()
    const newest = segments.at(-1)
    if (newest === undefined) return warn('audit', `no log in ${dir} yet`, all)
    const { isWhole, records, last } = await verifyLog(join(dir, newest))
    if (!isWhole) return fail('audit', `${newest} does not fit together`, all, 11)
    return ok('audit', `chain unbroken in ${newest}, ${records} records, last at ${last?.t ?? '-'}`)
  } catch (cause) {
    return failed('audit', cause, all)
  }
}

async function* roleChecks(io: Io, target: TargetConfig, role: string): AsyncGenerator<Check> {
  const name = `${target.name} ${role}`
  let found: Awaited<ReturnType<Awaited<ReturnType<typeof visit>>['privileges']>>
  try {
    const database = await open(io, target, role)
    try {
      found = await database.privileges()
    } finally {
      database.close()
    }
  } catch (cause) {
    yield failed(name, cause, `psql -h ${target.host} -p ${target.port} -d ${target.database}`)
    return
  }
  const { user, version, ownedTables, logStatement } = found
  const alter = `psql -c 'ALTER ROLE "${user}" NOSUPERUSER NOCREATEROLE NOBYPASSRLS'`
  yield ok(name, `PostgreSQL ${version} as ${user}`)
  if (found.isSuperuser) yield warn(name, `${user} is a superuser: no policy can hold it`, alter)
  else {
    const strong = [
      ...(found.canCreateRoles ? ['may make roles'] : []),
      ...(found.bypassesRowSecurity ? ['is not bound by row security'] : []),
      ...(found.canReplicate ? ['may replicate'] : []),
      ...(found.reachesServer ? ["reaches the server's files or programs"] : []),
    ]
    if (strong.length > 0) yield warn(name, `${user} ${strong.join(', ')}`, alter)
  }
  if (ownedTables > 0) {
    const says = `${user} owns ${ownedTables} tables, and may change or drop them whatever it was granted`
    yield warn(name, says, `psql -c 'REASSIGN OWNED BY "${user}" TO owner'`)
  }
  if (logStatement !== null && logStatement !== 'none') {
    const says = `log_statement is ${logStatement}: the database's own log has statements unmasked`
    yield warn(name, says, `psql -c 'ALTER ROLE "${user}" SET log_statement = none'`)
  }
  const apartMs = Math.abs(io.now() - found.now)
  if (apartMs > CLOCK_WARN_MS) {
    yield warn(name, `its clock is ${(apartMs / 1000).toFixed(0)} s away from this one`, 'date -u')
  }
}

async function bypassCheck(
  io: Io,
  config: ServerConfig,
  target: TargetConfig,
  own: Own | undefined,
): Promise<Check> {
  const name = `${target.name} bypass`
  let isBlind = true
  for (const role of Object.keys(target.roles)) {
    try {
      const database = await open(io, target, role)
      const { found, seesAll } = await database
        .strangers(own?.servers ?? {})
        .finally(() => database.close())
      isBlind = !seesAll
      const except = new Set(config.bypass.except)
      const strangers = found.filter(({ user }) => !except.has(user ?? ''))
      if (isBlind && strangers.length === 0) continue
      if (strangers.length === 0) return ok(name, 'every connection came through dbgate')
      const shown = strangers
        .slice(0, LISTED)
        .map(
          ({ pid, user, address }) =>
            `${pid} ${user} from ${address ?? (isBlind ? '?' : 'a socket')}`,
        )
      const more = strangers.length > LISTED ? ` and ${strangers.length - LISTED} more` : ''
      const who =
        own === undefined ? 'no dbgate serve runs here, and there are' : 'not through dbgate:'
      return warn(
        name,
        `${who} ${shown.join(', ')}${more}`,
        `psql -c 'SELECT * FROM pg_stat_activity'`,
      )
    } catch {
      // The role's own line has told that it cannot be logged in as.
    }
  }
  const grant = `psql -c 'GRANT pg_read_all_stats TO ...'   (to the login of one role)`
  return isBlind
    ? warn(name, 'cannot be seen: no login may read pg_stat_activity', grant)
    : ok(name, 'every connection came through dbgate')
}

async function open(io: Io, target: TargetConfig, role: string) {
  const source = target.roles[role]
  if (source === undefined) throw new TypeError(`no credential for ${role}`)
  return visit(target, await resolveCredential(source, io.env), io.random)
}

type Own = { readonly servers: Readonly<Record<string, readonly number[]>> }

/** What a running server says are its own connections; undefined where none runs. */
async function ownBackends(io: Io, stateDir: string): Promise<Own | undefined> {
  try {
    const told = JSON.parse(await readFile(join(stateDir, 'backends.json'), 'utf8'))
    io.signals.kill(told.pid, 0)
    return { servers: told.servers }
  } catch {
    return undefined
  }
}
