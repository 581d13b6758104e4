import type { CatalogPart } from './catalog.ts'

/** Objects below are PostgreSQL's own. Source: FirstUnpinnedObjectId in access/transam.h. */
const OWN = 12000

/**
 * What is not PostgreSQL's own. Between its own and FirstNormalObjectId is what initdb has made, and also what somebody
 * has made in single-user mode: those are told apart by their schema.
 */
const own = (
  oid: string,
  schema: string,
): string => `(${oid} >= 16384 OR ${oid} >= ${OWN} AND ${schema} NOT IN
    (SELECT oid FROM pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema', 'pg_toast')))`

/** A user's type as [schema, name], NULL for PostgreSQL's own. An array counts as its element. */
const userType = (oid: string): string => `(SELECT json_build_array(tn.nspname, e.typname)
    FROM pg_type t JOIN pg_type e ON e.oid = CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN t.typelem ELSE t.oid END
    JOIN pg_namespace tn ON tn.oid = e.typnamespace WHERE t.oid = ${oid} AND ${own('e.oid', 'e.typnamespace')})`

const functionName = (oid: string): string => `(SELECT json_build_array(fn.nspname, fp.proname)
    FROM pg_proc fp JOIN pg_namespace fn ON fn.oid = fp.pronamespace WHERE fp.oid = ${oid})`

/** Temporary relations belong to other sessions. */
const RELATIONS = `SELECT json_build_object('oid', c.oid::int8, 'schema', n.nspname, 'name', c.relname,
    'kind', c.relkind,
    'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END)::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE ${own('c.oid', 'c.relnamespace')} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'`

const COLUMNS = `SELECT json_build_object('relation', a.attrelid::int8, 'number', a.attnum, 'name', a.attname,
    'notNull', a.attnotnull, 'typeOid', a.atttypid::int8, 'typeModifier', a.atttypmod,
    'type', CASE WHEN a.atttypid >= ${OWN} THEN ${userType('a.atttypid')} END,
    'comment', col_description(a.attrelid, a.attnum),
    'generated', CASE WHEN a.attgenerated <> '' THEN (SELECT pg_get_expr(d.adbin, d.adrelid)
      FROM pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum) END)::text
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  WHERE ${own('c.oid', 'c.relnamespace')} AND a.attnum > 0 AND NOT a.attisdropped
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
  ORDER BY a.attrelid, a.attnum`

/** PostgreSQL's own relations are the same in every database of a server: names and types only. */
const SYSTEM_RELATIONS = `SELECT json_build_object('oid', c.oid::int8, 'schema', n.nspname, 'name', c.relname,
    'columns', (SELECT json_agg(json_build_array(a.attnum, a.attname, a.atttypid::int8, a.atttypmod) ORDER BY a.attnum)
      FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid < 16384 AND c.relkind IN ('r', 'v') AND n.nspname IN ('pg_catalog', 'information_schema')`

/** Overloads that give different columns are left out: what they give is not known by name. */
const SYSTEM_ROWS = `SELECT json_build_object('name', found.name, 'columns', min(found.columns::text)::json)::text
  FROM (SELECT p.proname AS name, (SELECT json_agg(a.name ORDER BY a.position)
      FROM unnest(p.proargmodes, p.proargnames) WITH ORDINALITY a(mode, name, position)
      WHERE a.mode IN ('o', 'b', 't')) AS columns
    FROM pg_proc p WHERE NOT ${own('p.oid', 'p.pronamespace')} AND p.proargmodes IS NOT NULL) found
  WHERE found.columns IS NOT NULL
  GROUP BY found.name HAVING count(DISTINCT found.columns::text) = 1`

/** Everything that PostgreSQL evaluates on its own when a command touches a relation. */
const EXPRESSIONS = `SELECT json_build_object('relation', found.relation::int8, 'commands', found.commands,
    'text', found.text, 'column', found.number)::text
  FROM (
    SELECT adrelid AS relation, ARRAY['INSERT', 'UPDATE'] AS commands, pg_get_expr(adbin, adrelid) AS text,
        adnum AS number
      FROM pg_attrdef WHERE adrelid >= ${OWN}
    UNION ALL
    SELECT a.attrelid, ARRAY['INSERT', 'UPDATE'], pg_get_expr(t.typdefaultbin, 0), a.attnum
      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
      WHERE a.attrelid >= ${OWN} AND NOT a.attisdropped AND t.typtype = 'd' AND t.typdefaultbin IS NOT NULL
    UNION ALL
    SELECT conrelid, ARRAY['INSERT', 'UPDATE'], pg_get_expr(conbin, conrelid), NULL
      FROM pg_constraint WHERE conrelid >= ${OWN} AND conbin IS NOT NULL
    UNION ALL
    SELECT indrelid, ARRAY['INSERT', 'UPDATE'], expression, NULL
      FROM pg_index, LATERAL (VALUES (pg_get_expr(indexprs, indrelid)), (pg_get_expr(indpred, indrelid))) v(expression)
      WHERE indrelid >= ${OWN}
    UNION ALL
    SELECT polrelid,
      CASE polcmd WHEN 'r' THEN ARRAY['SELECT'] WHEN 'a' THEN ARRAY['INSERT'] WHEN 'w' THEN ARRAY['UPDATE']
        WHEN 'd' THEN ARRAY['DELETE'] ELSE ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'] END,
      expression, NULL
      FROM pg_policy, LATERAL (VALUES (pg_get_expr(polqual, polrelid)), (pg_get_expr(polwithcheck, polrelid))) v(expression)
  ) found WHERE found.text IS NOT NULL`

/**
 * Source for the bits of tgtype: catalog/pg_trigger.h. Internal triggers are those of foreign keys.
 */
const TRIGGERS = `SELECT json_build_object('relation', t.tgrelid::int8,
    'commands', array_remove(ARRAY[CASE WHEN t.tgtype & 4 <> 0 THEN 'INSERT' END,
      CASE WHEN t.tgtype & 8 <> 0 THEN 'DELETE' END, CASE WHEN t.tgtype & 16 <> 0 THEN 'UPDATE' END,
      CASE WHEN t.tgtype & 32 <> 0 THEN 'TRUNCATE' END], NULL),
    'function', ${functionName('t.tgfoid')}, 'functionOid', t.tgfoid::int8)::text
  FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'`

const RULES = `SELECT json_build_object('relation', r.ev_class::int8,
    'commands', ARRAY[CASE r.ev_type WHEN '2' THEN 'UPDATE' WHEN '3' THEN 'INSERT' WHEN '4' THEN 'DELETE' END],
    'definition', pg_get_ruledef(r.oid))::text
  FROM pg_rewrite r WHERE r.ev_class >= ${OWN} AND r.ev_type <> '1' AND r.ev_enabled <> 'D'`

const INHERITS = `SELECT json_build_object('relation', inhrelid::int8, 'parent', inhparent::int8)::text
  FROM pg_inherits WHERE inhrelid >= ${OWN}`

const columnNames = (numbers: string, relation: string): string => `(SELECT json_agg(a.attname)
    FROM pg_attribute a WHERE a.attrelid = ${relation} AND a.attnum = ANY (${numbers}))`

const FOREIGN_KEYS = `SELECT json_build_object('relation', k.conrelid::int8, 'referenced', k.confrelid::int8,
    'columns', ${columnNames('k.conkey', 'k.conrelid')}, 'keys', ${columnNames('k.confkey', 'k.confrelid')},
    'onDelete', k.confdeltype, 'onUpdate', k.confupdtype)::text
  FROM pg_constraint k WHERE k.contype = 'f'`

const FUNCTIONS = `SELECT json_build_object('oid', p.oid::int8, 'schema', n.nspname, 'name', p.proname,
    'kind', p.prokind, 'language', l.lanname, 'volatility', p.provolatile,
    'definition', CASE WHEN l.lanname IN ('sql', 'plpgsql') AND p.prokind IN ('f', 'p')
      THEN pg_get_functiondef(p.oid) END,
    'source', CASE WHEN l.lanname IN ('c', 'internal') THEN p.prosrc END,
    'searchPath', (SELECT substr(s, 13) FROM unnest(p.proconfig) s WHERE s LIKE 'search\\_path=%'),
    'takesRow', p.pronargs >= 1 AND p.pronargs - p.pronargdefaults <= 1
      AND (SELECT t.typtype IN ('c', 'p') FROM pg_type t WHERE t.oid = p.proargtypes[0]),
    'parts', (SELECT json_agg(json_build_array(fn.nspname, fp.proname))
      FROM pg_aggregate g
      JOIN pg_proc fp ON fp.oid IN (g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggserialfn,
        g.aggdeserialfn, g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn)
      JOIN pg_namespace fn ON fn.oid = fp.pronamespace
      WHERE g.aggfnoid = p.oid))::text
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
  WHERE ${own('p.oid', 'p.pronamespace')}`

const OPERATORS = `SELECT json_build_object('schema', n.nspname, 'name', o.oprname,
    'function', ${functionName('o.oprcode')})::text
  FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE ${own('o.oid', 'o.oprnamespace')}
    AND o.oprcode <> 0`

const DOMAINS = `SELECT json_build_object('schema', n.nspname, 'name', t.typname,
    'base', (SELECT json_build_array(bn.nspname, b.typname) FROM pg_type b
      JOIN pg_namespace bn ON bn.oid = b.typnamespace WHERE b.oid = t.typbasetype),
    'checks', (SELECT json_agg(pg_get_expr(k.conbin, 0)) FROM pg_constraint k
      WHERE k.contypid = t.oid AND k.conbin IS NOT NULL))::text
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'd'
    AND ${own('t.oid', 't.typnamespace')}`

const CASTS = `SELECT json_build_object('target', t.typname, 'context', c.castcontext,
    'function', ${functionName('c.castfunc')})::text
  FROM pg_cast c JOIN pg_type t ON t.oid = c.casttarget WHERE c.oid >= ${OWN} AND c.castfunc <> 0`

const SESSION = `SELECT json_build_object('path', current_schemas(true), 'hasEventTriggers',
  EXISTS (SELECT FROM pg_event_trigger WHERE evtenabled <> 'D' AND evtevent <> 'login'))::text`

/**
 * What to run, in this order and on one connection of the role that the sessions have, to load a
 * catalog. The first column of each row of a part goes to buildCatalog() as text.
 *
 * One snapshot, so that the parts fit together; an empty search path, so that PostgreSQL writes
 * every name in full. Works with PostgreSQL 14 and later.
 */
export const CATALOG_QUERIES: readonly {
  readonly part: CatalogPart | undefined
  readonly sql: string
}[] = [
  { part: undefined, sql: 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY' },
  { part: 'session', sql: SESSION },
  { part: undefined, sql: `SET LOCAL search_path = ''` },
  { part: 'relations', sql: RELATIONS },
  { part: 'columns', sql: COLUMNS },
  { part: 'expressions', sql: EXPRESSIONS },
  { part: 'triggers', sql: TRIGGERS },
  { part: 'rules', sql: RULES },
  { part: 'inherits', sql: INHERITS },
  { part: 'foreignKeys', sql: FOREIGN_KEYS },
  { part: 'functions', sql: FUNCTIONS },
  { part: 'operators', sql: OPERATORS },
  { part: 'domains', sql: DOMAINS },
  { part: 'casts', sql: CASTS },
  { part: 'systemRelations', sql: SYSTEM_RELATIONS },
  { part: 'systemRows', sql: SYSTEM_ROWS },
  { part: undefined, sql: 'COMMIT' },
]

const VERSIONED = [
  'pg_class',
  'pg_attribute',
  'pg_attrdef',
  'pg_constraint',
  'pg_index',
  'pg_inherits',
  'pg_policy',
  'pg_proc',
  'pg_rewrite',
  'pg_trigger',
  'pg_event_trigger',
  'pg_type',
  'pg_operator',
  'pg_cast',
  'pg_namespace',
  'pg_description',
]

/**
 * One row, one text that differs once any part of the catalog has changed: cheap enough to ask
 * before it matters.
 */
export const CATALOG_VERSION_QUERY = `SELECT concat_ws(' ', current_schemas(true)::text, ${VERSIONED.map(
  table =>
    `(SELECT count(*) || ':' || coalesce(sum(xmin::text::int8), 0) FROM pg_catalog.${table})`,
).join(', ')})`
