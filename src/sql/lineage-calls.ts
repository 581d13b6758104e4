import type { FuncCall, Node, WindowDef } from 'libpg-query'
import type { CatalogFunction } from './catalog.ts'
import { builtinEffect, isBuiltinName, isBuiltinOperator } from './functions.ts'
import { traceFunctionBody } from './lineage-functions.ts'
import type { Level } from './lineage-names.ts'
import { candidates } from './lineage-relations.ts'
import { traceExpressionText } from './lineage-texts.ts'
import type { Trace } from './lineage-trace.ts'
import {
  CONSTANT,
  type Column,
  depending,
  derived,
  isTotal,
  NO_ORIGINS,
  type Origins,
  rowOf,
  TEXT_CONSTANT,
  union,
  unionOf,
  type Value,
} from './lineage-value.ts'
import type { Name } from './raw.ts'
import { qualifiedName } from './walk.ts'

const words = (text: string): Set<string> => new Set(text.trim().split(/\s+/))

/** Functions of strings that give a string or a number, and never fail. */
const TOTAL =
  words(`ascii bit_length btrim char_length character_length concat concat_ws initcap length lower ltrim
  md5 octet_length quote_ident quote_literal replace reverse rtrim starts_with strpos position translate upper`)

/** Never fail where their other arguments are literal numbers, and not negative. */
const TOTAL_WITH_NUMBERS = words('left right substr substring lpad rpad')

/** Any argument is fine: they write values out as text. */
const TOTAL_OF_ANYTHING = words('concat concat_ws')

/** Never fail on rows and plain values: they put what they get into one value. */
const CONTAINERS = words(
  'row_to_json to_json to_jsonb json_agg jsonb_agg json_build_array jsonb_build_array',
)

/** The same where what stands in the places of keys is known; a key that is NULL is an error. */
const KEYED_CONTAINERS = words('json_build_object jsonb_build_object')

/** The first argument says what row comes out. */
const ROWS_OF_FIRST = words(
  'jsonb_populate_record json_populate_record jsonb_populate_recordset json_populate_recordset unnest array_agg first_value last_value lag lead nth_value min max any_value',
)

/** Functions that show what others wrote, or what the text does not name. */
const REVEALING =
  words(`currtid2 dblink_build_sql_delete dblink_build_sql_insert dblink_build_sql_update
  lo_get loread pg_stat_get_activity pg_stat_get_backend_activity pg_stat_statements pg_show_all_file_settings
  pg_config pg_mcv_list_items pg_get_sequence_data`)

/**
 * Functions in C of well-known extensions that give what their arguments hold, and read nothing. Being installed by a
 * superuser, they are taken at their name.
 */
const EXTENSION_FUNCTIONS =
  words(`akeys avals armor bytea_import citext citext_cmp citext_eq citext_ge citext_gt citext_hash
  citext_larger citext_le citext_lt citext_ne citext_smaller citextin citextout cosine_distance crypt cube
  cube_distance daitch_mokotoff dearmor decrypt decrypt_iv defined delete digest difference dmetaphone dmetaphone_alt
  each encrypt encrypt_iv exist exists_all exists_any fetchval gen_random_bytes gen_random_uuid gen_salt hmac
  hs_concat hs_contained hs_contains hstore hstore_to_array hstore_to_json hstore_to_json_loose hstore_to_jsonb
  hstore_to_jsonb_loose hstore_to_matrix index inner_product int_array_enum isdefined isexists
  l1_distance l2_distance lca levenshtein levenshtein_less_equal ltree2text metaphone nlevel pg_size_bytes
  pgp_key_id pgp_pub_decrypt pgp_pub_encrypt pgp_sym_decrypt pgp_sym_encrypt populate_record regexp_match
  regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table replace set_limit show_limit show_trgm
  similarity similarity_dist similarity_op skeys slice soundex split_part strict_word_similarity
  strict_word_similarity_op strpos subltree subpath svals text2ltree text_soundex translate unaccent
  uuid_generate_v1 uuid_generate_v1mc uuid_generate_v3 uuid_generate_v4 uuid_generate_v5 uuid_nil uuid_ns_dns
  uuid_ns_oid uuid_ns_url uuid_ns_x500 vector_dims vector_norm word_similarity word_similarity_op`)

/** A call as it is written, with its FILTER and its window. */
export function traceCall(call: FuncCall, level: Level, trace: Trace): Value {
  const [schema, name = ''] = qualifiedName(call.funcname)
  const args = argumentsOf(call.args ?? [], level, trace)
  const sorted = trace.originsOf(call.agg_order, level)
  const filtered =
    call.agg_filter === undefined ? NO_ORIGINS : trace.evaluate(call.agg_filter, level).from
  const over = call.over === undefined ? NO_ORIGINS : windowOf(call.over, level, trace)
  const others = union([sorted, filtered, over])
  if (name === 'count' && others.size === 0 && isPlain({ schema, name }, trace)) {
    return countOf(call, args, trace)
  }
  if (call.agg_distinct === true) trace.decideAll(unionOf(args), 'DISTINCT')
  const value = traceFunction({ schema, name }, args, trace, call.args)
  return depending(value, others)
}

function argumentsOf(nodes: readonly Node[], level: Level, trace: Trace): Value[] {
  return nodes.map(node => {
    const star = trace.star(node, level)
    return star === undefined ? trace.evaluate(node, level) : rowOf(star)
  })
}

/** Whether a name means PostgreSQL's own function and nothing else. */
function isPlain(name: Name, trace: Trace): boolean {
  return (
    isBuiltinName(name) && candidates(trace.catalog.functionsNamed, name, trace.path).length === 0
  )
}

function countOf(call: FuncCall, args: readonly Value[], trace: Trace): Value {
  const from = unionOf(args)
  if (call.agg_distinct === true) trace.decideAll(from, 'DISTINCT')
  // What can fail tells by failing.
  return derived(from, args.every(isTotal) ? 'counted' : 'derived')
}

/** What a window depends on; the same columns decide what falls into it. */
export function windowOf(window: WindowDef, level: Level, trace: Trace): Origins {
  const named = [window.name, window.refname].flatMap(name =>
    name === undefined ? [] : (findWindow(name, level) ?? []),
  )
  const bounds = [window.startOffset, window.endOffset].flatMap(bound => bound ?? [])
  const from = union([
    ...named,
    trace.originsOf(window.partitionClause, level),
    trace.originsOf(window.orderClause, level),
    trace.originsOf(bounds, level),
  ])
  trace.decideAll(from, 'WINDOW')
  return from
}

function findWindow(name: string, level: Level): Origins | undefined {
  for (let at: Level | undefined = level; at !== undefined; at = at.outer) {
    const found = at.windows.get(name)
    if (found !== undefined) return found
  }
  return undefined
}

/** What a function gives for arguments: of every function that the name may mean. */
export function traceFunction(
  name: Name,
  args: readonly Value[],
  trace: Trace,
  nodes: readonly Node[] = [],
): Value {
  const found = candidates(trace.catalog.functionsNamed, name, trace.path)
  const from = unionOf(args)
  if (found.length === 0) return traceBuiltin(name, args, from, trace, nodes)
  const results = found.map(called => traceUser(called, args, from, trace))
  if (isBuiltinName(name)) results.push(traceBuiltin(name, args, from, trace, nodes))
  const [only] = results
  if (results.length === 1 && only !== undefined) return only
  return derived(unionOf(results))
}

function traceBuiltin(
  name: Name,
  args: readonly Value[],
  from: Origins,
  trace: Trace,
  nodes: readonly Node[],
): Value {
  const effect = builtinEffect(name.schema, name.name)
  if (name.schema === 'information_schema' && name.name.startsWith('_pg_')) {
    const row = systemRow(name.name, trace)?.map(field => ({ ...field, value: derived(from) }))
    return { ...derived(from), row }
  }
  if (!isBuiltinName(name)) {
    const field =
      name.schema === undefined && args.length === 1 ? fieldNamed(name.name, args) : undefined
    if (field !== undefined) return field
    trace.refuse(`function ${name.schema === undefined ? '' : `${name.schema}.`}${name.name}`)
    return derived(from)
  }
  const isPlainSet = name.name === 'set_config' && nodes.length > 0 && nodes.every(isConstant)
  if (REVEALING.has(name.name) || (effect.need === 'admin' && !isPlainSet)) {
    trace.statistics.add(name.name)
  }
  if (effect.hazard === 'code' || effect.hazard === 'network') trace.refuse(`function ${name.name}`)
  // What it does may be seen elsewhere: a setting, a sequence, a lock, a message.
  if (effect.need !== 'read' || effect.hazard !== undefined) {
    if (from.size > 0) trace.store(undefined, from, `${name.name}()`)
  }
  const result = totalOf(name.name, args, from, nodes) ?? derived(from)
  const row = ROWS_OF_FIRST.has(name.name) ? args[0]?.row : systemRow(name.name, trace)
  if (row === undefined) return result
  return { ...result, row: row.map(field => ({ ...field, value: depending(field.value, from) })) }
}

/** The columns that a function of PostgreSQL's own gives, where it gives more than one. */
function systemRow(name: string, trace: Trace): readonly Column[] | undefined {
  const names = trace.catalog.systemRows.get(name)
  if (names === undefined || names.length < 2) return undefined
  return names.map(column => ({ name: column, value: CONSTANT }))
}

/** `f(x)` is `x.f` where x has a column f. */
function fieldNamed(name: string, args: readonly Value[]): Value | undefined {
  const value = args[0]?.row?.find(field => field.name === name)?.value
  return value === undefined ? undefined : { ...value, reported: [] }
}

function totalOf(
  name: string,
  args: readonly Value[],
  from: Origins,
  nodes: readonly Node[],
): Value | undefined {
  if (!args.every(isTotal)) return undefined
  if (CONTAINERS.has(name)) return derived(from, 'total')
  if (KEYED_CONTAINERS.has(name)) {
    const isKnown = args.every((arg, i) => i % 2 === 1 || arg.from.size === 0)
    return isKnown ? derived(from, 'total') : undefined
  }
  if (name === 'array_agg' && args.every(arg => arg.isText || arg.row !== undefined)) {
    return derived(from, 'total')
  }
  if (TOTAL_OF_ANYTHING.has(name) && args.every(arg => arg.row === undefined)) {
    return derived(from, 'total', true)
  }
  const isString = args.every(arg => arg.isText)
  if (TOTAL.has(name) && isString) return derived(from, 'total', true)
  const [text, ...numbers] = args
  const areNumbers = nodes.length === args.length && nodes.slice(1).every(isNatural)
  if (!TOTAL_WITH_NUMBERS.has(name) || text?.isText !== true || numbers.length === 0)
    return undefined
  return areNumbers ? derived(from, 'total', true) : undefined
}

/** SET in another spelling, where it says all there is to say. */
function isConstant(node: Node): boolean {
  return 'A_Const' in node
}

const MAX_LITERAL_LENGTH = 10_000

function isNatural(node: Node): boolean {
  if (!('A_Const' in node) || node.A_Const.ival === undefined) return false
  const value = node.A_Const.ival.ival ?? 0
  return value >= 0 && value <= MAX_LITERAL_LENGTH
}

function traceUser(
  called: CatalogFunction,
  args: readonly Value[],
  from: Origins,
  trace: Trace,
): Value {
  if (called.kind === 'a') {
    const parts = called.parts.map(part => traceFunction(part, args, trace))
    return derived(union([from, unionOf(parts)]))
  }
  if (called.language === 'c' && EXTENSION_FUNCTIONS.has(called.name)) return derived(from)
  if (called.language === 'internal') {
    return traceBuiltin({ schema: 'pg_catalog', name: called.source }, args, from, trace, [])
  }
  if (called.language === 'c' && called.name === 'pg_stat_statements') {
    trace.statistics.add(called.name)
    return derived(from)
  }
  trace.runsCode = true
  return traceFunctionBody(called, from, trace)
}

/** What an operator gives; `total` for those of strings that can't fail. */
export function traceOperator(name: Name, args: readonly Value[], trace: Trace): Value {
  const found = candidates(trace.catalog.operatorsNamed, name, trace.path)
  const results = found.map(({ function: called }) => {
    const functions = candidates(trace.catalog.functionsNamed, called, trace.path)
    // Operators of extensions compare and combine; only superusers bring code in C.
    if (functions.length > 0 && functions.every(({ language }) => language === 'c')) return CONSTANT
    return traceFunction(called, args, trace)
  })
  if (found.length > 0) return derived(unionOf(results))
  if (!isBuiltinOperator(name.schema, name.name)) trace.refuse(`operator ${name.name}`)
  return name.name === '||' ? TOTAL_JOIN : CONSTANT
}

const TOTAL_JOIN: Value = { ...TEXT_CONSTANT, flow: 'total' }

/** What converting to a user's type may bring in: its checks, and the functions of casts. */
export function traceConversion(type: Name, value: Value, trace: Trace, depth = 0): Origins {
  const results: Origins[] = []
  for (const cast of trace.catalog.castsTo.get(type.name) ?? []) {
    results.push(traceFunction(cast, [value], trace).from)
  }
  for (const domain of candidates(trace.catalog.domainsNamed, type, trace.path)) {
    for (const check of domain.checks) {
      results.push(
        traceExpressionText(check, [{ name: 'value', value: derived(value.from) }], trace).from,
      )
    }
    if (depth < 32) results.push(traceConversion(domain.base, value, trace, depth + 1))
  }
  return union(results)
}
