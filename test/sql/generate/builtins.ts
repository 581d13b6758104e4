/**
 * Writes src/sql/builtins.ts: what a real PostgreSQL 18's pg_proc and pg_operator hold.
 *
 * Run: node test/sql/generate/builtins.ts postgres://USER@HOST:PORT/postgres   (an untouched server
 * of that major)
 */
import { writeFileSync } from 'node:fs'
import { Client } from 'pg'

/**
 * Not callable from SQL with a value a client can make: planner support, handlers, triggers, type
 * I/O.
 */
const CALLABLE = `NOT ('internal'::regtype = ANY (proargtypes) OR 'cstring'::regtype = ANY (proargtypes)
  OR prorettype IN ('internal'::regtype, 'cstring'::regtype, 'trigger'::regtype, 'event_trigger'::regtype,
    'language_handler'::regtype, 'index_am_handler'::regtype, 'table_am_handler'::regtype,
    'tsm_handler'::regtype, 'fdw_handler'::regtype))`

/**
 * A name counts as volatile when any function of that name is: the parser can't tell overloads
 * apart.
 */
const FUNCTIONS = `SELECT proname AS name, bool_or(provolatile = 'v') AS volatile FROM pg_proc
  WHERE pronamespace = 'pg_catalog'::regnamespace AND ${CALLABLE} GROUP BY 1 ORDER BY proname COLLATE "C"`

const OPERATORS = `SELECT DISTINCT oprname COLLATE "C" AS name FROM pg_operator
  WHERE oprnamespace = 'pg_catalog'::regnamespace ORDER BY 1`

const TYPES = `SELECT typname AS name FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace
  AND typtype <> 'c' AND typname !~ '^_' ORDER BY typname COLLATE "C"`

/** Renders names as a template literal, wrapped to the project's line width. */
function block(names: readonly string[]): string {
  const lines: string[] = []
  let line = ''
  for (const name of names) {
    if (line.length + name.length + 1 > 98) {
      lines.push(line)
      line = ''
    }
    line = line === '' ? name : `${line} ${name}`
  }
  return [...lines, line].join('\n').replaceAll('\\', '\\\\').replaceAll('`', '\\`')
}

/** Renders the whole file from a connection to the server it describes. */
export async function renderBuiltins(client: Client): Promise<string> {
  const functions = (await client.query<{ name: string; volatile: boolean }>(FUNCTIONS)).rows
  const operators = (await client.query<{ name: string }>(OPERATORS)).rows.map(row => row.name)
  const types = (await client.query<{ name: string }>(TYPES)).rows.map(row => row.name)
  const stable = functions.filter(row => !row.volatile).map(row => row.name)
  const volatile = functions.filter(row => row.volatile).map(row => row.name)
  return `/**
 * Names that PostgreSQL 18 itself brings. Generated: node test/sql/generate/builtins.ts URL
 *
 * Shape: names separated by blanks and newlines. A function's name is volatile when any overload of
 * it is.
 */
export const STABLE_FUNCTIONS = \`
${block(stable)}
\`

export const VOLATILE_FUNCTIONS = \`
${block(volatile)}
\`

export const OPERATORS = \`
${block(operators)}
\`

export const TYPES = \`
${block(types)}
\`
`
}

const url = process.argv[2]
if (url !== undefined && import.meta.filename === process.argv[1]) {
  const client = new Client({ connectionString: url })
  await client.connect()
  writeFileSync(
    new URL('../../../src/sql/builtins.ts', import.meta.url),
    await renderBuiltins(client),
  )
  await client.end()
}
