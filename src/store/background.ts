import type { Judged } from './shape.ts'

/**
 * Tells what a tool asks on its own account (the tree of tables in a GUI, keep-alives, settings of a
 * driver) from what somebody wanted to know. It is folded away where people look, and never dropped.
 *
 * Whoever wants to hide cannot make use of it: it takes an allowed read or setting, and a text that
 * touches catalogs without other people's data, or one of a closed list.
 */
export function isBackground(record: Judged): boolean {
  if (record.type !== 'statement' || record.verdict !== 'allow') return false
  const { statements, text } = record
  return statements.length === 1 && text.length <= MAX_CHARS && isChatter(statements[0], text)
}

type Analysis = Judged['statements'][number]

const MAX_CHARS = 20_000

/** Settings that drivers make when they connect. Not roles, nor what changes what a statement means. */
const SETTING =
  /^(?:set\s+(?:session\s+)?(?:application_name|extra_float_digits|datestyle|intervalstyle|client_encoding|client_min_messages|bytea_output|timezone|time\s+zone|names|statement_timeout|lock_timeout|idle_in_transaction_session_timeout|standard_conforming_strings)\b|show\s+[\w.]+\s*$|show\s+transaction\s+isolation\s+level\s*$)/

/** What asks whether anybody is there, and who. */
const KEEP_ALIVE =
  /^select\s+(?:1|'1'|null|true|'keep ?alive'|version\(\)|now\(\)|current_(?:database|schema|user)(?:\(\))?|session_user|pg_backend_pid\(\)|pg_is_in_recovery\(\)|current_setting\('[\w.]+'\))(?:\s+as\s+"?\w+"?)?\s*$/

/** Catalogs that show what other people do, keep or may: reading those is no chatter. */
const TELLING =
  /^(?:pg_(?:authid|shadow|stat|largeobject|user_mapping|hba|file_settings|subscription|config|ident|backend_memory|shmem|prepared|cursors|locks)|user_mapping)/

/** What stands before a parenthesis in such texts: words of SQL, and functions that only look things up. */
const LOOKING_UP =
  /^(?:in|and|or|not|any|all|some|exists|select|from|join|values|as|on|case|when|then|else|using|where|over|filter|union|except|intersect|by|with|array|row|cast|lateral|limit|like|pg_get_\w+|pg_\w+_is_visible|pg_(?:table|relation|total_relation|indexes|tablespace|database)_size|pg_encoding_to_char|pg_size_pretty|pg_options_to_table|pg_describe_object|pg_relation_filenode|pg_has_role|pg_postmaster_start_time|pg_is_in_recovery|pg_my_temp_schema|pg_is_other_temp_schema|pg_index_column_has_property|pg_indexam_has_property|information_schema|_pg_\w+|has_\w+_privilege|format_type|to_reg\w+|obj_description|col_description|shobj_description|quote_ident|current_\w+|version|count|min|max|sum|bool_or|bool_and|coalesce|nullif|greatest|least|array_\w+|string_agg|string_to_array|unnest|generate_series|generate_subscripts|cardinality|lower|upper|replace|substring|substr|trim|left|right|length|strpos|position|concat|concat_ws|regexp_\w+|format|row_number|rank|age|row_to_json|json_\w+|jsonb_\w+|to_json\w*|varchar|char|numeric|int4|int8|text|oid|name|bit|bigint|integer|aclexplode|acldefault|makeaclitem|txid_current|split_part)$/

function callsOnlyCatalog(text: string): boolean {
  const folded = text.toLowerCase()
  if (/"\s*\(/.test(folded)) return false
  const calls = folded.replace(/'(?:[^']|'')*'/g, "''").matchAll(/([\w$\u0080-\uffff]+)\s*\(/g)
  for (const [, name = ''] of calls) if (!LOOKING_UP.test(name)) return false
  return true
}

function isChatter(analysis: Analysis | undefined, text: string): boolean {
  if (analysis === undefined) return false
  const folded = plainText(text)
  if (analysis.relations.length === 0) return KEEP_ALIVE.test(folded) || SETTING.test(folded)
  return (
    analysis.class === 'read' &&
    (analysis.kind === 'SELECT' || analysis.kind === 'SHOW') &&
    analysis.relations.every(isCatalog) &&
    callsOnlyCatalog(text)
  )
}

/** An unqualified name that starts with `pg_` is the catalog's: PostgreSQL looks there first. */
function isCatalog({ schema, name, access }: Analysis['relations'][number]): boolean {
  if (access !== 'read' || TELLING.test(name)) return false
  return schema === undefined
    ? name.startsWith('pg_')
    : schema === 'pg_catalog' || schema === 'information_schema'
}

/** Without comments at its ends and the semicolon. */
function plainText(text: string): string {
  if (text.length > 300) return ''
  return text
    .replace(/^(?:\s|--[^\n]*\n|\/\*[^*]*\*\/)+/, '')
    .replace(/[\s;]+$/, '')
    .toLowerCase()
}
