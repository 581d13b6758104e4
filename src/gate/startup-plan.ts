import type { TargetConfig } from '../config/index.ts'
import { DbgateError } from '../errors.ts'
import { type Grant, isUnrestricted } from '../policy/index.ts'
import { type Analyser, EMPTY_SCOPE } from '../sql/index.ts'
import type { StartupMessage } from '../wire/index.ts'
import { type Standing, verdictOn } from './standing.ts'
import { isAmbiguousEncoding } from './text.ts'
import { STATEMENT_TIMEOUT, timeoutUnder } from './time-limit.ts'

/** What the gate will say to the database in place of the person's StartupMessage. */
export type StartupPlan = {
  readonly database: string
  /** As the person's tool gave it; empty if it gave none. */
  readonly applicationName: string
  /** Parameters besides user and database, in the order the server applies them. */
  readonly parameters: ReadonlyMap<string, string>
  /** The minor protocol version the person asked for, and the one spoken. */
  readonly askedMinor: number
  readonly minor: number
  /** Options of the protocol (`_pq_.…`) that were asked for and are not known. */
  readonly unrecognised: readonly string[]
}

/** The newest minor version of protocol 3 the gate speaks. */
const NEWEST_MINOR = 2
const PROTOCOL_OPTION = '_pq_.'
const MAX_NAME_BYTES = 63
/** Names that in a startup packet are no settings: among the options they would change who and where one is. */
const RESERVED = new Set(['user', 'database', 'replication', 'options'])

/**
 * Plans the upstream's startup packet. Nothing of the person's packet goes on by itself: the user is the
 * gate's, the database must be one of the target's, and each setting is judged like the SET it amounts to.
 *
 * Throws: NO_TARGET (3D000) another database; UNSUPPORTED (0A000) replication or a switch of `options` that
 * is no setting; DENIED (42501) a setting the role may not change.
 */
export async function planStartup(
  startup: StartupMessage,
  target: TargetConfig,
  standing: Standing,
  analyser: Analyser,
): Promise<StartupPlan> {
  // The server applies `options` first, wherever they stand.
  const settings = new Map(parseOptions(startup.parameters.get('options') ?? ''))
  const unrecognised: string[] = []
  for (const [name, value] of startup.parameters) {
    if (name === 'replication') refuseReplication(value)
    else if (name.startsWith(PROTOCOL_OPTION)) unrecognised.push(name)
    else if (!RESERVED.has(name)) setLast(settings, name, value)
  }
  for (const [name, value] of settings) await judgeSetting(name, value, standing, analyser)
  const applicationName = settings.get('application_name') ?? ''
  if (applicationName === '') settings.set('application_name', nameFor(standing.principal.user))
  const timeout = lastOf(settings, STATEMENT_TIMEOUT)
  for (const [name, value] of pinsFor(standing.grant, timeout)) setLast(settings, name, value)
  return {
    database: chooseDatabase(startup, target),
    applicationName,
    parameters: settings,
    askedMinor: startup.minor,
    minor: Math.min(startup.minor, NEWEST_MINOR),
    unrecognised,
  }
}

/** What a setting comes to in the end, however its name is spelled. */
function lastOf(settings: ReadonlyMap<string, string>, name: string): string | undefined {
  return [...settings].findLast(([each]) => each.toLowerCase() === name)?.[1]
}

/** As the server applies them: of two spellings of one setting, the later counts. */
function setLast(settings: Map<string, string>, name: string, value: string): void {
  for (const earlier of settings.keys()) {
    if (earlier.toLowerCase() === name.toLowerCase()) settings.delete(earlier)
  }
  settings.set(name, value)
}

/** A tool that is given no database asks for one named like the user: that means the target's own. */
function chooseDatabase(startup: StartupMessage, target: TargetConfig): string {
  const user = startup.parameters.get('user') ?? ''
  if (user === '') {
    throw new DbgateError('UNAUTHORIZED', 'no PostgreSQL user name specified in startup packet')
  }
  const asked = startup.parameters.get('database') ?? ''
  const isAllowed =
    asked === target.database || target.databases.some(name => name === '*' || name === asked)
  if (asked !== '' && isAllowed) return asked
  if (asked === '' || asked === user) return target.database
  throw new DbgateError(
    'NO_TARGET',
    `dbgate: database "${asked}" is not part of target ${target.name}. Next: connect to "${target.database}".`,
  )
}

function refuseReplication(value: string): void {
  if (['false', 'off', 'no', '0'].includes(value.toLowerCase())) return
  throw new DbgateError('UNSUPPORTED', 'dbgate: replication connections are not carried')
}

async function judgeSetting(
  name: string,
  value: string,
  standing: Standing,
  analyser: Analyser,
): Promise<void> {
  if (name === 'client_encoding' && isAmbiguousEncoding(value)) {
    throw new DbgateError(
      'UNSUPPORTED',
      `dbgate: client_encoding ${value} can't be judged safely. Next: use UTF8.`,
    )
  }
  const { grant } = standing
  if (isUnrestricted(grant)) return
  if (grant.masks.length > 0 && /^(?:role|session_authorization)$/i.test(name)) {
    throw new DbgateError(
      'UNSUPPORTED',
      `dbgate: startup parameter "${name}" can't be set where columns are masked. Next: connect without it.`,
    )
  }
  const text = `SET ${name.split('.').map(quoteIdentifier).join('.')} TO ${quoteLiteral(value)}`
  const verdict = verdictOn(standing, await analyser.analyse(Buffer.from(text), EMPTY_SCOPE))
  if (verdict.outcome === 'allow') return
  throw new DbgateError(
    'DENIED',
    `dbgate: denied, startup parameter "${name}" may not be set by ${grant.role} on ${grant.target}. Next: connect without it.`,
  )
}

/** Masks read values in these forms; what is written otherwise they show as NULL. */
const MASK_PINS: readonly (readonly [string, string])[] = [
  ['client_encoding', 'UTF8'],
  ['DateStyle', 'ISO'],
  ['IntervalStyle', 'postgres'],
  ['bytea_output', 'hex'],
]

/**
 * Settings that the gate's judgement rests on. A role that may do everything is free of them; for a role
 * that may only read, the database refuses everything else as well, and one with a limit of time it stops itself.
 */
export function pinsFor(grant: Grant, timeout: string | undefined): ReadonlyMap<string, string> {
  const pins = new Map<string, string>()
  if (isUnrestricted(grant)) return pins
  pins.set('standard_conforming_strings', 'on')
  if (grant.masks.length > 0) for (const [name, value] of MASK_PINS) pins.set(name, value)
  if (grant.may.every(need => need === 'read')) pins.set('default_transaction_read_only', 'on')
  const { timeMs } = grant.limits
  if (timeMs !== undefined) pins.set(STATEMENT_TIMEOUT, timeoutUnder(timeMs, timeout))
  return pins
}

/** Who it is, for the database's own views and logs; PostgreSQL keeps printable ASCII only, 63 bytes of it. */
function nameFor(principalName: string): string {
  return `dbgate ${principalName}`.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, MAX_NAME_BYTES)
}

/**
 * Splits the `options` parameter as PostgreSQL does and returns its settings.
 *
 * Throws: UNSUPPORTED (0A000) for a switch that is not a setting.
 * Source: pg_split_opts in src/backend/utils/init/postinit.c; process_postgres_switches for `-c` and `--`.
 */
export function parseOptions(options: string): readonly (readonly [name: string, value: string])[] {
  const settings: (readonly [string, string])[] = []
  const switches = splitOptions(options)
  for (let at = 0; at < switches.length; at += 1) {
    const current = switches[at] ?? ''
    let assignment: string | undefined
    if (current === '-c') assignment = switches[++at]
    else if (current.startsWith('-c')) assignment = current.slice(2)
    else if (current.startsWith('--')) assignment = current.slice(2)
    const equals = assignment?.indexOf('=') ?? -1
    const name = assignment?.slice(0, Math.max(equals, 0)).replaceAll('-', '_') ?? ''
    if (assignment === undefined || name === '' || isReserved(name)) {
      throw new DbgateError(
        'UNSUPPORTED',
        'dbgate: only settings may stand in startup options. Next: write them as -c name=value.',
      )
    }
    settings.push([name, assignment.slice(equals + 1)])
  }
  return settings
}

function isReserved(name: string): boolean {
  return RESERVED.has(name) || name.startsWith(PROTOCOL_OPTION)
}

/** White space separates; a backslash takes the next character as it is. */
function splitOptions(options: string): readonly string[] {
  const found = options.matchAll(/(?:\\[\s\S]|[^\\\s])+/g)
  return [...found].map(([word]) => word.replaceAll(/\\([\s\S])/g, '$1'))
}

function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

function quoteLiteral(value: string): string {
  return `'${value.replaceAll("'", "''")}'`
}
