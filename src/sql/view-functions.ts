const words = (text: string): ReadonlySet<string> => new Set(text.split(" "));

/**
 * Functions of the three databases whose result follows from their arguments. What is not here may be the user's own, and read
 * any table.
 */
export const PURE = words(
  "count sum avg min max total group_concat string_agg array_agg json_agg jsonb_agg json_object_agg jsonb_object_agg " +
    "json_arrayagg json_objectagg json_group_array json_group_object bool_and bool_or every bit_and bit_or bit_xor any_value " +
    "std stddev stddev_pop stddev_samp variance var_pop var_samp corr covar_pop covar_samp mode percentile_cont percentile_disc " +
    "row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value grouping " +
    "coalesce nullif ifnull iif if isnull nvl nvl2 greatest least cast convert collate " +
    "abs ceil ceiling floor round trunc truncate mod power pow sqrt cbrt exp ln log log10 log2 sign pi degrees radians " +
    "sin cos tan cot asin acos atan atan2 div width_bucket " +
    "lower upper lcase ucase initcap length len char_length character_length octet_length bit_length trim ltrim rtrim btrim " +
    "lpad rpad left right mid substr substring substring_index replace translate reverse repeat concat concat_ws instr locate " +
    "position strpos split_part overlay format printf quote quote_ident quote_literal hex unhex ascii char chr unicode space " +
    "starts_with regexp_replace regexp_match regexp_matches regexp_like regexp_substr regexp_instr regexp_split_to_array " +
    "glob like find_in_set field elt strcmp soundex md5 sha sha1 sha2 sha224 sha256 sha384 sha512 crc32 encode decode " +
    "date time datetime julianday unixepoch strftime timediff unix_timestamp from_unixtime extract date_part date_trunc " +
    "make_date make_time make_timestamp make_interval to_char to_date to_timestamp to_number year quarter month week weekday " +
    "day dayofweek dayofmonth dayofyear dayname monthname hour minute second microsecond date_format time_format date_add " +
    "date_sub adddate subdate addtime subtime datediff timestampdiff timestampadd last_day str_to_date makedate maketime " +
    "to_days from_days sec_to_time time_to_sec age interval timestamp " +
    "json jsonb st_astext astext st_asgeojson " +
    "json_extract json_value json_unquote json_object json_array json_build_object json_build_array jsonb_build_object " +
    "jsonb_build_array json_length json_array_length jsonb_array_length json_type json_typeof jsonb_typeof json_valid " +
    "json_contains json_extract_path json_extract_path_text jsonb_extract_path jsonb_extract_path_text to_json to_jsonb " +
    "row_to_json array_to_json json_each json_each_text json_tree jsonb_each jsonb_each_text json_array_elements " +
    "json_array_elements_text jsonb_array_elements jsonb_array_elements_text json_object_keys jsonb_object_keys " +
    "array_length array_to_string string_to_array array_position array_append array_cat cardinality unnest generate_series " +
    "int integer bigint smallint decimal numeric float double real varchar character bit binary varbinary",
);

/** Words that a parenthesis may follow and that call nothing. */
export const NO_CALL = words(
  "in not exists any some all as and or xor on using over by when then else case where having select distinct from join " +
    "straight_join lateral filter within group partition between is like ilike glob regexp rlike similar escape limit offset " +
    "except union intersect values with materialized recursive array row rows range groups order end return set div mod " +
    "rollup cube sets index key window",
);

/** Change without a write, in all three: by the clock, the session, or by chance. No parenthesis need follow. */
export const CHANGING_WORDS = words(
  "current_date current_time current_timestamp localtime localtimestamp current_user session_user current_role system_user " +
    "current_catalog current_schema utc_date utc_time utc_timestamp tablesample",
);

/** The same, as functions. */
export const CHANGING_CALLS = words(
  "now clock_timestamp statement_timestamp transaction_timestamp timeofday sysdate curdate curtime random random_normal " +
    "randomblob rand setseed uuid uuid_short uuidv4 uuidv7 sys_guid gen_random_uuid gen_random_bytes uuid_generate_v1 " +
    "uuid_generate_v1mc uuid_generate_v4 user database schema current_database current_schemas current_setting set_config " +
    "current_query connection_id session_id last_insert_id last_insert_rowid row_count found_rows changes total_changes nextval " +
    "currval lastval setval sleep pg_sleep benchmark get_lock is_free_lock is_used_lock release_lock txid_current " +
    "txid_current_snapshot pg_current_xact_id pg_current_snapshot pg_current_wal_lsn pg_backend_pid pg_is_in_recovery " +
    "pg_postmaster_start_time inet_client_addr inet_client_port inet_server_addr inet_server_port version",
);

/** With this many arguments or fewer, these ask the clock for the missing one. */
export const CLOCK_UNLESS_MORE: ReadonlyMap<string, number> = new Map([
  ["date", 0],
  ["time", 0],
  ["datetime", 0],
  ["julianday", 0],
  ["unixepoch", 0],
  ["unix_timestamp", 0],
  ["strftime", 1],
  ["age", 1],
]);

/** Texts that a database reads the clock for where a date is due. */
export const CLOCK_TEXTS = words("now today tomorrow yesterday subsec subsecond");
