"""Functions that authors may expect and that are not offered, with the way to say it instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from feature_platform.compiler.codes import NOT_REPRODUCIBLE, UNKNOWN_FUNCTION
from feature_platform.errors import Code

_CLOCK: Final = "write the time as a column or a literal; a run's own time is added by the platform"
_ENTROPY: Final = "use a column; for stable buckets take md5 of a key"
_SESSION: Final = "leave it out; a query sees tables only"
_FILES: Final = "declare a source and read it by name"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a function is not offered, and what to write."""

    code: Code
    why: str
    mend: str


def _all(names: str, code: Code, why: str, mend: str) -> dict[str, Refusal]:
    return {name: Refusal(code, why, mend) for name in names.split()}


REFUSED: Final[dict[str, Refusal]] = {
    **_all(
        "now today current_date current_time current_timestamp get_current_timestamp get_current_time "
        "transaction_timestamp "
        "statement_timestamp clock_timestamp localtime localtimestamp current_localtimestamp getdate sysdate age "
        "currentdate "
        "currenttime currenttimestamp currentdatetime",
        NOT_REPRODUCIBLE,
        "it reads the clock, so it gives another value each time",
        _CLOCK,
    ),
    **_all(
        "random rand uuid gen_random_uuid uuidv4 uuidv7 setseed nextval currval txid_current",
        NOT_REPRODUCIBLE,
        "it gives another value each time",
        _ENTROPY,
    ),
    **_all(
        "current_user session_user user current_role current_schema current_schemas current_database current_catalog "
        "version "
        "current_setting set_config getvariable getenv pg_backend_pid inet_client_addr pg_sleep currentuser "
        "currentversion currentschema "
        "sessionuser pg_read_file pg_ls_dir lo_import dblink query query_table json_execute_serialized_sql "
        "duckdb_settings "
        "duckdb_tables duckdb_logs duckdb_variables duckdb_secrets duckdb_columns duckdb_functions "
        "duckdb_prepared_statements duckdb_external_file_cache duckdb_temporary_files duckdb_table_sample "
        "pragma_storage_info storage_info pragma_table_info table_info pragma_show show show_tables show_databases "
        "database_list which_secret write_log stats current_query current_query_id current_transaction_id "
        "current_connection_id json_serialize_sql json_deserialize_sql json_serialize_plan user_agent "
        "pragma_user_agent truncate_duckdb_logs parse_duckdb_log_message checkpoint force_checkpoint enable_logging "
        "python_map_function",
        NOT_REPRODUCIBLE,
        "it reads the session, the server or its files",
        _SESSION,
    ),
    **_all(
        "read_csv read_csv_auto read_parquet parquet_scan read_json read_json_auto read_text read_blob glob "
        "sniff_csv parquet_metadata "
        "parquet_bloom_probe readcsv readparquet delta_scan iceberg_scan sqlite_scan postgres_scan mysql_scan "
        "seq_scan summary parquet_schema parquet_file_metadata parquet_full_metadata parquet_kv_metadata "
        "read_json_objects read_ndjson read_duckdb read_xlsx st_read arrow_scan pandas_scan python_arrow_scan "
        "copy_database import_database test_all_types json_each json_tree",
        UNKNOWN_FUNCTION,
        "it reads files or tables that nobody declared",
        _FILES,
    ),
    **_all(
        "any_value anyvalue arbitrary",
        NOT_REPRODUCIBLE,
        "which row comes first is not fixed",
        "use first(x ORDER BY ...), arg_min(x, by), arg_max(x, by), min or max",
    ),
    **_all(
        "mode",
        NOT_REPRODUCIBLE,
        "of equally frequent values the engine chooses",
        "rank the counts with row_number and a full ORDER BY",
    ),
    **_all(
        "approx_count_distinct approxdistinct approx_quantile approxquantile approx_top_k approxtopk "
        "reservoir_quantile",
        NOT_REPRODUCIBLE,
        "each engine approximates in its own way",
        "use count(DISTINCT x) or quantile_cont(x, share)",
    ),
    **_all(
        "json_group_array json_group_object json_group_structure",
        UNKNOWN_FUNCTION,
        "the engine chooses the order",
        "use to_json(array_agg(x ORDER BY ...)), or to_json(map_from_entries(array_agg({'k': k, 'v': v} ORDER BY k)))",
    ),
    **_all("hash", UNKNOWN_FUNCTION, "its values differ between engines and versions", "use md5(text) or sha256(text)"),
    **_all(
        "initcap soundex",
        UNKNOWN_FUNCTION,
        "engines do not agree on it",
        "use another text function",
    ),
    **_all(
        "regexp_split_to_array",
        UNKNOWN_FUNCTION,
        "engines pick different matches",
        "use regexp_matches, split_part, replace or substr",
    ),
    **_all(
        "error", UNKNOWN_FUNCTION, "it would put values into error messages", "use CASE and a contract of the feature"
    ),
    **_all(
        "strptime strtotime to_date todate",
        UNKNOWN_FUNCTION,
        "engines read formats differently",
        "use TRY_CAST(text AS date) or TRY_CAST(text AS timestamp) for ISO 8601",
    ),
    **_all(
        "date_add dateadd date_sub datesub to_days todays to_hours",
        UNKNOWN_FUNCTION,
        "it means different things in different engines",
        "write time + INTERVAL 3 DAYS, or date_diff('day', start, end)",
    ),
    **_all(
        "generate_series generateseries range",
        UNKNOWN_FUNCTION,
        "it may make any number of them",
        "write at most 1,000 numbers between constants: range(10)",
    ),
    **_all("iff", UNKNOWN_FUNCTION, "it is another dialect's", "write CASE WHEN ... THEN ... END"),
    **_all(
        "octet_length bit_length",
        UNKNOWN_FUNCTION,
        "it counts bytes",
        "use length(text), which counts code points",
    ),
    **_all(
        "quantile quantile_disc percentiledisc percentile_disc",
        UNKNOWN_FUNCTION,
        "it is not offered",
        "use quantile_cont(x, share)",
    ),
}
"""By lower-case name, and by the lower-case class name of the parser where that differs."""


def refusal_of(call: exp.Expr, name: str) -> Refusal | None:
    """Why a call is refused, if there is more to say than that it is not in the catalogue."""
    return REFUSED.get(name.lower()) or REFUSED.get(type(call).__name__.lower())
