import type { PolicyDocument } from '../config/index.ts'
import { DbgateError } from '../errors.ts'
import type { Database } from '../gate/index.ts'
import { type MaskSet, NO_MEMORY, selectMasks } from '../mask/index.ts'
import type { MaskRule } from '../policy/index.ts'
import { type Analyser, type Catalog, createAnalyser, EMPTY_SCOPE } from '../sql/index.ts'
import { connectTo, type Reach, targetOf } from './schemas.ts'
import { FULL, type HardenedRelation, PLAIN, quoted, type Script, scriptFor } from './script.ts'

/** A second line in a database: what sets it up, and what it does not reach. */
export type Hardening = {
  readonly target: string
  /** The login whose rights the roles get. */
  readonly login: string
  readonly masked: readonly string[]
  /** Views that are made of masked columns. */
  readonly derived: readonly string[]
  readonly script: Script
  /** What stands in the way, each with what to do. */
  readonly gaps: readonly string[]
}

export type HardenOptions = Reach & {
  readonly policy: PolicyDocument
  readonly target: string
  /** The role of the policy whose login and masks it is about. */
  readonly role: string
}

/**
 * Works out the script for a target.
 *
 * Throws: USAGE nothing is masked there; UNREACHABLE, UPSTREAM.
 */
export async function harden(options: HardenOptions): Promise<Hardening> {
  const { policy, role } = options
  const target = targetOf(options.config, options.target)
  const rules = (policy.masks ?? []).filter(
    ({ on, roles }) =>
      (on.includes('*') || on.includes(target.name)) &&
      (roles === undefined || roles.includes(role)),
  )
  const database = await connectTo(options, target, role)
  const analyser = createAnalyser()
  try {
    await analyser.ready()
    return { target: target.name, ...(await workOut(database, rules, analyser)) }
  } finally {
    await analyser.close()
    database.close()
  }
}

/**
 * Runs the statements in one transaction, with the login of another role. `undo` takes the roles away.
 *
 * Throws: DENIED the database refuses one of them; nothing has changed then.
 */
export async function hardenOn(
  options: HardenOptions & { readonly as: string },
  statements: readonly string[],
): Promise<{ readonly login: string }> {
  const database = await connectTo(options, targetOf(options.config, options.target), options.as)
  try {
    await database.query(inTransaction(statements))
    return { login: database.user }
  } catch (cause) {
    const why = cause instanceof Error && cause.cause instanceof Error ? cause.cause.message : ''
    throw new DbgateError('DENIED', `${database.user} could not do it: ${why}`, {
      detail: 'Nothing was changed.',
      hint: 'It takes a login that owns the tables and may create roles: --with ROLE, or run the printed script as an administrator.',
      cause,
    })
  } finally {
    database.close()
  }
}

/** As one text, for people to read and for psql to run. */
export function inTransaction(statements: readonly string[]): string {
  return `${['BEGIN', ...statements, 'COMMIT'].join(';\n')};\n`
}

async function workOut(
  database: Database,
  rules: readonly MaskRule[],
  analyser: Analyser,
): Promise<Omit<Hardening, 'target'>> {
  const catalog = await database.catalog()
  const set = selectMasks(rules, catalog, NO_MEMORY)
  if (set.columns.length === 0) {
    throw new DbgateError('USAGE', 'no mask matches a column there: there is nothing to harden', {
      next: ['dbgate policy check --config FILE --databases'],
    })
  }
  const rights = await readRights(database)
  const derived = await derivedFrom(set, catalog, analyser)
  const relations = [...catalog.relations.values()].flatMap((relation): HardenedRelation[] => {
    const privileges = rights.relations.get(relation.oid)
    if (privileges === undefined) return []
    const masked = set.columns.filter(({ origin }) => origin.relation === relation.oid)
    const numbers = new Set(masked.map(({ origin }) => origin.column))
    return [{ relation, masked: numbers, isDerived: derived.has(relation.oid), privileges }]
  })
  const named = (oid: number) => {
    const { schema = '', name = '' } = catalog.relations.get(oid) ?? {}
    return `${schema}.${name}`
  }
  const open = [...new Set([...set.relations, ...derived])].filter(oid => rights.toPublic.has(oid))
  return {
    login: database.user,
    masked: set.columns.map(({ name }) => name),
    derived: [...derived].map(named),
    script: scriptFor(relations, rights.sequences),
    gaps: [
      ...open.map(
        oid => `everybody may read ${named(oid)}: REVOKE SELECT ON ${named(oid)} FROM PUBLIC`,
      ),
      ...rights.definers.map(
        name =>
          `${name} runs with its owner's rights and may read anything: REVOKE EXECUTE from PUBLIC`,
      ),
    ],
  }
}

type Rights = {
  readonly relations: ReadonlyMap<number, readonly string[]>
  readonly toPublic: ReadonlySet<number>
  readonly sequences: readonly string[]
  readonly definers: readonly string[]
}

const NOT_OURS = "('pg_catalog', 'information_schema', 'pg_toast')"
const RELATIONS = `SELECT json_build_array(c.oid::int8, (SELECT json_agg(p) FROM
    unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p WHERE has_table_privilege(c.oid, p)),
    has_table_privilege('public', c.oid, 'SELECT'))::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname NOT IN ${NOT_OURS} AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
    AND has_schema_privilege(n.oid, 'USAGE')`
const SEQUENCES = `SELECT format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname NOT IN ${NOT_OURS} AND c.relkind = 'S' AND has_schema_privilege(n.oid, 'USAGE')
    AND CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'USAGE') END ORDER BY 1`
const DEFINERS = `SELECT p.oid::regprocedure::text FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE n.nspname NOT IN ${NOT_OURS} AND p.prosecdef AND has_function_privilege('public', p.oid, 'EXECUTE') ORDER BY 1`

async function readRights(database: Database): Promise<Rights> {
  const rows = (await database.query(RELATIONS)).map(row => JSON.parse(row ?? '[]') as unknown[])
  const isText = (value: string | null) => value !== null
  return {
    relations: new Map(
      rows.map(([oid, privileges]) => [
        Number(oid),
        Array.isArray(privileges) ? privileges.map(String) : [],
      ]),
    ),
    toPublic: new Set(rows.filter(([, , open]) => open === true).map(([oid]) => Number(oid))),
    sequences: (await database.query(SEQUENCES)).filter(isText),
    definers: (await database.query(DEFINERS)).filter(isText),
  }
}

/** Views that show, or go by, what is masked. One that is not understood may. */
async function derivedFrom(
  set: MaskSet,
  catalog: Catalog,
  analyser: Analyser,
): Promise<ReadonlySet<number>> {
  const derived = new Set<number>()
  for (const { oid, kind, schema, name } of catalog.relations.values()) {
    if (kind !== 'v' && kind !== 'm') continue
    const text = `SELECT * FROM ${quoted(schema)}.${quoted(name)}`
    const analysis = await analyser.analyse(Buffer.from(text), EMPTY_SCOPE, catalog)
    const [statement] = analysis.ok ? analysis.statements : []
    const lineage = statement && analyser.lineage(statement, EMPTY_SCOPE, catalog)
    const origins = [
      ...(lineage?.columns?.flatMap(({ from }) => from) ?? []),
      ...(lineage?.uses.map(({ origin }) => origin) ?? []),
    ]
    const isSafe = lineage !== undefined && lineage.unknown.length === 0
    if (!isSafe || origins.some(origin => set.of(origin) !== undefined)) derived.add(oid)
  }
  return derived
}

/** Columns that the plain role can read all the same: of a target that is hardened there are none. */
export async function readableByPlain(
  database: Database,
  set: MaskSet,
): Promise<readonly string[]> {
  const [exists] = await database.query(`SELECT 1 FROM pg_roles WHERE rolname = '${PLAIN}'`)
  if (exists === undefined) return set.columns.map(({ name }) => name)
  const found: string[] = []
  for (const { origin, name } of set.columns) {
    const asked = `SELECT has_column_privilege('${PLAIN}', ${origin.relation}::oid, ${origin.column}::int2, 'SELECT')::text`
    const [isReadable] = await database.query(asked)
    if (isReadable === 'true') found.push(name)
  }
  return found
}

export { FULL, PLAIN }
