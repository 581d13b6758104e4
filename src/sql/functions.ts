import { OPERATORS, STABLE_FUNCTIONS, VOLATILE_FUNCTIONS } from './builtins.ts'
import type { Hazard, Need } from './statement.ts'

/** What calling a function may do. `known: false` is a guess about a function nobody described. */
export type FunctionEffect = {
  readonly need: Need
  readonly hazard: Hazard | undefined
  readonly known: boolean
}

/** Volatile by nature, without an effect that outlives the statement. */
const HARMLESS = `array_sample array_shuffle clock_timestamp current_query currtid2 currval
  gen_random_uuid lastval pg_advisory_unlock pg_advisory_unlock_all pg_advisory_unlock_shared
  pg_available_wal_summaries pg_blocking_pids pg_collation_actual_version pg_control_checkpoint
  pg_control_init pg_control_recovery pg_control_system pg_current_wal_flush_lsn
  pg_current_wal_insert_lsn pg_current_wal_lsn pg_database_collation_actual_version pg_database_size
  pg_export_snapshot pg_get_aios pg_get_backend_memory_contexts pg_get_loaded_modules
  pg_get_multixact_members pg_get_sequence_data pg_get_shmem_allocations
  pg_get_shmem_allocations_numa pg_get_wait_events pg_get_wal_replay_pause_state
  pg_get_wal_resource_managers pg_get_wal_summarizer_state pg_indexes_size pg_is_in_recovery
  pg_is_wal_replay_paused pg_isolation_test_session_is_blocked pg_jit_available
  pg_last_committed_xact pg_last_wal_receive_lsn pg_last_wal_replay_lsn
  pg_last_xact_replay_timestamp pg_lock_status pg_notification_queue_usage pg_partition_ancestors
  pg_partition_tree pg_prepared_xact pg_relation_size pg_safe_snapshot_blocking_pids
  pg_sequence_last_value pg_show_replication_origin_status pg_stat_clear_snapshot
  pg_stat_force_next_flush pg_stat_get_backend_io pg_stat_get_backend_wal pg_stat_get_io
  pg_stat_get_recovery_prefetch pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit
  pg_stat_get_xact_function_calls pg_stat_get_xact_function_self_time
  pg_stat_get_xact_function_total_time pg_stat_get_xact_numscans pg_stat_get_xact_tuples_deleted
  pg_stat_get_xact_tuples_fetched pg_stat_get_xact_tuples_hot_updated
  pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_newpage_updated
  pg_stat_get_xact_tuples_returned pg_stat_get_xact_tuples_updated pg_stat_have_stats pg_table_size
  pg_tablespace_size pg_total_relation_size pg_wal_summary_contents pg_xact_commit_timestamp
  pg_xact_commit_timestamp_origin pg_xact_status random random_normal setseed timeofday txid_status
  uuidv4 uuidv7`

const SLEEPING = 'pg_sleep pg_sleep_for pg_sleep_until'

const WRITING = `brin_desummarize_range brin_summarize_new_values brin_summarize_range
  gin_clean_pending_list nextval pg_notify`

const SEQUENCE = 'setval'

/**
 * Called by name it is judged by its arguments; under another name, as part of an aggregate, those
 * are not seen.
 */
const SETTING = 'set_config'

/** A lock that outlives its statement; releasing one is harmless. */
const LOCKING = `pg_advisory_lock pg_advisory_lock_shared pg_advisory_xact_lock
  pg_advisory_xact_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared
  pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared`

const LARGE_OBJECT = `lo_close lo_creat lo_create lo_from_bytea lo_get lo_lseek lo_lseek64 lo_open lo_put
  lo_tell lo_tell64 lo_truncate lo_truncate64 lo_unlink loread lowrite`

const FILES = `lo_export lo_import pg_current_logfile pg_file_read pg_file_rename pg_file_sync
  pg_file_unlink pg_file_write pg_hba_file_rules pg_ident_file_mappings pg_logdir_ls
  pg_ls_archive_statusdir pg_ls_dir pg_ls_logdir pg_ls_logicalmapdir pg_ls_logicalsnapdir
  pg_ls_replslotdir pg_ls_summariesdir pg_ls_tmpdir pg_ls_waldir pg_read_binary_file pg_read_file
  pg_show_all_file_settings pg_stat_file`

/**
 * Run SQL, or read relations, that are named in a string: the text does not show what they touch.
 */
const RUN_TEXT = `cursor_to_xml cursor_to_xmlschema database_to_xml database_to_xml_and_xmlschema
  database_to_xmlschema query_to_xml query_to_xml_and_xmlschema query_to_xmlschema schema_to_xml
  schema_to_xml_and_xmlschema schema_to_xmlschema table_to_xml table_to_xml_and_xmlschema
  table_to_xmlschema ts_rewrite ts_stat`

const REPLICATION = `pg_copy_logical_replication_slot pg_copy_physical_replication_slot
  pg_create_logical_replication_slot pg_create_physical_replication_slot pg_drop_replication_slot
  pg_logical_emit_message pg_logical_slot_get_binary_changes pg_logical_slot_get_changes
  pg_logical_slot_peek_binary_changes pg_logical_slot_peek_changes pg_replication_origin_advance
  pg_replication_origin_create pg_replication_origin_drop pg_replication_origin_progress
  pg_replication_origin_session_is_setup pg_replication_origin_session_progress
  pg_replication_origin_session_reset pg_replication_origin_session_setup
  pg_replication_origin_xact_reset pg_replication_origin_xact_setup pg_replication_slot_advance
  pg_sync_replication_slots`

/**
 * From the dblink and postgres_fdw extensions: they reach other databases, or this one as somebody
 * else.
 */
const NETWORK = `dblink dblink_build_sql_delete dblink_build_sql_insert dblink_build_sql_update
  dblink_cancel_query dblink_close dblink_connect dblink_connect_u dblink_current_query
  dblink_disconnect dblink_error_message dblink_exec dblink_fetch dblink_get_connections
  dblink_get_notify dblink_get_pkey dblink_get_result dblink_is_busy dblink_open dblink_send_query
  postgres_fdw_disconnect postgres_fdw_disconnect_all postgres_fdw_get_connections`

/** From uuid-ossp, pgcrypto, pg_trgm and pg_stat_statements. */
const EXTENSIONS = `armor dearmor gen_random_bytes gen_salt pg_stat_statements
  pg_stat_statements_info pgp_pub_encrypt pgp_pub_encrypt_bytea pgp_sym_encrypt
  pgp_sym_encrypt_bytea set_limit show_limit uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4`

const words = (text: string): string[] => text.trim().split(/\s+/)

const EFFECTS = buildEffects()
const NETWORK_NAMES = new Set(words(NETWORK))
const HARMLESS_EXTENSIONS = new Set(words(EXTENSIONS))
const BUILTIN_OPERATORS = new Set([
  ...words(OPERATORS),
  'BETWEEN',
  'NOT BETWEEN',
  'BETWEEN SYMMETRIC',
  'NOT BETWEEN SYMMETRIC',
])

/**
 * What is not described anywhere may write: any function can. A volatile built-in that has not been
 * looked at, and a `pg_` name this version does not know, need 'admin'.
 */
const UNKNOWN: FunctionEffect = { need: 'write', hazard: undefined, known: false }
const UNKNOWN_SYSTEM: FunctionEffect = { need: 'admin', hazard: 'server', known: false }

/** Later groups win over earlier ones. */
function buildEffects(): ReadonlyMap<string, FunctionEffect> {
  const groups: [string, Need, Hazard | undefined][] = [
    [STABLE_FUNCTIONS, 'read', undefined],
    [VOLATILE_FUNCTIONS, 'admin', 'server'],
    [HARMLESS, 'read', undefined],
    [SLEEPING, 'read', 'sleep'],
    [WRITING, 'write', undefined],
    [SEQUENCE, 'write', 'sequence'],
    [SETTING, 'admin', 'settings'],
    [LOCKING, 'write', 'advisory-lock'],
    [LARGE_OBJECT, 'write', 'large-object'],
    [FILES, 'admin', 'files'],
    [RUN_TEXT, 'admin', 'code'],
    [REPLICATION, 'admin', 'replication'],
    [NETWORK, 'admin', 'network'],
  ]
  const effects = new Map<string, FunctionEffect>()
  for (const [names, need, hazard] of groups) {
    for (const name of words(names)) effects.set(name, { need, hazard, known: true })
  }
  return effects
}

/**
 * Says what calling a function may do, from its name alone.
 *
 * An unqualified built-in name counts as the built-in: only a catalog can know that a user's
 * function of the same name fits better. A name qualified with another schema than pg_catalog is
 * never built in.
 */
export function builtinEffect(schema: string | undefined, name: string): FunctionEffect {
  const effect = EFFECTS.get(name)
  if (schema === undefined || schema === 'pg_catalog') {
    if (effect !== undefined) return effect
    return schema !== undefined || name.startsWith('pg_') ? UNKNOWN_SYSTEM : UNKNOWN
  }
  // An extension's functions can be installed in any schema.
  return effect?.need === 'admin' ? effect : UNKNOWN
}

/** Whether a name, as it stands, can mean a function that PostgreSQL brings. */
export function isBuiltinName({
  schema,
  name,
}: {
  schema: string | undefined
  name: string
}): boolean {
  return (
    (schema === undefined || schema === 'pg_catalog') &&
    EFFECTS.has(name) &&
    !NETWORK_NAMES.has(name)
  )
}

/**
 * Whether a volatile C function of a well-known extension has no effect that outlives the
 * statement.
 */
export function isHarmlessExtension(name: string): boolean {
  return HARMLESS_EXTENSIONS.has(name)
}

/** Whether an operator is one that PostgreSQL brings. */
export function isBuiltinOperator(schema: string | undefined, name: string): boolean {
  return (schema === undefined || schema === 'pg_catalog') && BUILTIN_OPERATORS.has(name)
}
