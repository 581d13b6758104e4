import type { Hazard, Need } from './statement.ts'

/** What changing a setting takes: `need` is undefined for a harmless one. */
export type SettingEffect = { readonly need: Need | undefined; readonly hazard: Hazard | undefined }

/**
 * Presentation, planning, time limits and memory: they change neither what text means nor what may
 * be done.
 */
const HARMLESS = new Set(
  `application_name array_nulls bytea_output check_function_bodies client_connection_check_interval
  commit_delay commit_siblings constraint_exclusion cpu_index_tuple_cost cpu_operator_cost
  cpu_tuple_cost cursor_tuple_fraction datestyle default_statistics_target
  default_table_access_method default_tablespace default_text_search_config
  default_toast_compression default_transaction_deferrable default_transaction_isolation
  effective_cache_size effective_io_concurrency enable_async_append enable_bitmapscan
  enable_distinct_reordering enable_gathermerge enable_group_by_reordering enable_hashagg
  enable_hashjoin enable_incremental_sort enable_indexonlyscan enable_indexscan enable_material
  enable_memoize enable_mergejoin enable_nestloop enable_parallel_append enable_parallel_hash
  enable_partition_pruning enable_partitionwise_aggregate enable_partitionwise_join
  enable_presorted_aggregate enable_self_join_elimination enable_seqscan enable_sort enable_tidscan
  escape_string_warning extra_float_digits from_collapse_limit geqo geqo_effort geqo_generations
  geqo_pool_size geqo_seed geqo_selection_bias geqo_threshold gin_fuzzy_search_limit
  gin_pending_list_limit hash_mem_multiplier idle_in_transaction_session_timeout
  idle_session_timeout intervalstyle jit jit_above_cost jit_expressions jit_inline_above_cost
  jit_optimize_above_cost jit_tuple_deforming join_collapse_limit lc_monetary lc_numeric lc_time
  lock_timeout maintenance_io_concurrency maintenance_work_mem max_parallel_maintenance_workers
  max_parallel_workers max_parallel_workers_per_gather min_parallel_index_scan_size
  min_parallel_table_scan_size parallel_leader_participation parallel_setup_cost
  parallel_tuple_cost plan_cache_mode quote_all_identifiers random_page_cost
  recursive_worktable_factor search_path seed seq_page_cost statement_timeout
  stats_fetch_consistency synchronize_seqscans synchronous_commit tcp_keepalives_count
  tcp_keepalives_idle tcp_keepalives_interval tcp_user_timeout temp_buffers temp_tablespaces
  timezone timezone_abbreviations transaction_deferrable transaction_isolation transaction_timeout
  vacuum_buffer_usage_limit vacuum_cost_delay vacuum_cost_limit vacuum_cost_page_dirty
  vacuum_cost_page_hit vacuum_cost_page_miss wal_skip_threshold work_mem xmlbinary`
    .trim()
    .split(/\s+/),
)

/** Spelled as the parser names it, blank included. */
const SNAPSHOT = 'transaction snapshot'

const IDENTITY = new Set(['role', 'session_authorization'])

const READ_ONLY = new Set(['transaction_read_only', 'default_transaction_read_only'])

/** Settings whose usual values are harmless, and only those. */
const HARMLESS_VALUES: Readonly<Record<string, ReadonlySet<string>>> = {
  client_encoding: new Set(['utf8', 'utf-8', 'unicode']),
  client_min_messages: new Set(['notice', 'warning', 'error']),
  standard_conforming_strings: new Set(['on', 'true', '1', 'yes']),
}

const ON = new Set(['on', 'true', '1', 'yes', 't', 'y'])

const NOTHING: SettingEffect = { need: undefined, hazard: undefined }

/**
 * Says what it takes to change a setting.
 *
 * `value` is undefined for RESET and DEFAULT, null when it is not a literal. What is not on a list
 * needs 'admin': a setting can change how text is read (standard_conforming_strings), who one is
 * (role), or what row security shows (any custom one).
 */
export function settingEffect(name: string, value: string | undefined | null): SettingEffect {
  const key = name.toLowerCase()
  if (IDENTITY.has(key)) return { need: 'admin', hazard: 'roles' }
  if (READ_ONLY.has(key)) {
    // Read-only can be asked for by anyone; leaving it takes the right to write.
    const isOn = typeof value === 'string' && ON.has(value.toLowerCase())
    return isOn ? NOTHING : { need: 'write', hazard: 'settings' }
  }
  const harmless = Object.hasOwn(HARMLESS_VALUES, key) ? HARMLESS_VALUES[key] : undefined
  if (harmless !== undefined) {
    const isHarmless =
      value === undefined || (typeof value === 'string' && harmless.has(value.toLowerCase()))
    return isHarmless ? NOTHING : { need: 'admin', hazard: 'settings' }
  }
  return HARMLESS.has(key) || key === SNAPSHOT ? NOTHING : { need: 'admin', hazard: 'settings' }
}
