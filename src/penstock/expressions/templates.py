"""SQL for what the dialects write differently, or would answer with an error where the language says null.

`{0}` is the first argument, `{0:p}` the same in parentheses where it is an operator, `{rest}` all but the first.
"""

DIALECTS = ("duckdb", "postgres", "spark")
"""The dialects that conditions are translated to; "penstock" is the language itself, "*" stands for all others."""

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth (IUGG)."""

Templates = dict[str, str]


def everywhere(text: str) -> Templates:
    """One template for every dialect; in the language itself it stays a plain call."""
    return dict.fromkeys(DIALECTS, text)


def double(dialect: str, text: str) -> str:
    """A result that is a float, whatever the dialect would make of it."""
    return f"CAST({text} AS {'DOUBLE PRECISION' if dialect == 'postgres' else 'DOUBLE'})"


def floats(duckdb: str, postgres: str | None = None, spark: str | None = None) -> Templates:
    """Templates whose results are cast to floats; those not given are DuckDB's."""
    texts = (duckdb, postgres or duckdb, spark or duckdb)
    return {dialect: double(dialect, text) for dialect, text in zip(DIALECTS, texts, strict=True)}


_HAVERSINE = (
    "POWER(SIN(RADIANS({2:p} - {0:p}) / 2), 2) + "
    "COS(RADIANS({0})) * COS(RADIANS({2})) * POWER(SIN(RADIANS({3:p} - {1:p}) / 2), 2)"
)
DISTANCE_KM = everywhere(
    "CASE WHEN ABS({0}) <= 90 AND ABS({2}) <= 90 AND {1:p} IS NOT NULL AND {3:p} IS NOT NULL "
    f"THEN {2 * EARTH_RADIUS_KM} * ASIN(SQRT(LEAST(1, {_HAVERSINE}))) END"
)
_EXPONENT = "{1:p} * LN(NULLIF(ABS({0}), 0))"
POWER = everywhere(
    "CASE WHEN ({0:p} = 0 AND {1:p} < 0) OR ({0:p} < 0 AND {1:p} <> FLOOR({1})) THEN NULL "
    f"WHEN {_EXPONENT} > 709.78 THEN NULL WHEN {_EXPONENT} < -708 THEN 0 ELSE POWER({{0}}, {{1}}) END"
)
EXP = everywhere("CASE WHEN {0:p} > 709.78 THEN NULL WHEN {0:p} < -708 THEN 0 ELSE EXP({0}) END")
SQRT = everywhere("CASE WHEN {0:p} >= 0 THEN SQRT({0}) END")
LN = everywhere("CASE WHEN {0:p} > 0 THEN LN({0}) END")
LOG10 = everywhere("CASE WHEN {0:p} > 0 THEN LOG10({0}) END") | {"postgres": "CASE WHEN {0:p} > 0 THEN LOG({0}) END"}
ROUND = dict.fromkeys(("postgres", "spark"), "(SIGN({0}) * FLOOR(ABS({0}) * 1e{1} + 0.5) / 1e{1})")
DIVISION = {dialect: double(dialect, "{0}") + " / NULLIF({1}, 0)" for dialect in DIALECTS}
REMAINDER = everywhere("{0} % NULLIF({1}, 0)") | {
    "postgres": "({0} - {1} * TRUNC(CAST({0} AS DOUBLE PRECISION) / NULLIF({1}, 0)))"
}
SECONDS = {
    "duckdb": "CAST(epoch_us({0}) - epoch_us({1}) AS DOUBLE) / 1e6",
    "postgres": "CAST(EXTRACT(EPOCH FROM {0} - {1}) AS DOUBLE PRECISION)",
    "spark": "CAST(unix_micros({0}) - unix_micros({1}) AS DOUBLE) / 1e6",
}

# The clock on the wall: a time without zone, independent of the session's.
_SPARK_UTC = "TIMESTAMP_NTZ '1970-01-01' + make_dt_interval(0, 0, 0, CAST(unix_micros({0}) AS DECIMAL(20, 0)) / 1000000)"
_FROM_ZONES = "FROM pg_timezone_names"
UTC = {
    "penstock": "{0}",
    "duckdb": "make_timestamp(epoch_us({0}))",
    "postgres": "({0:p} AT TIME ZONE 'UTC')",
    "spark": _SPARK_UTC,
}
LOCAL = {
    "penstock": "{0}, {1}",
    "duckdb": "timezone({1}, make_timestamptz(epoch_us({0})))",
    "postgres": "({0:p} AT TIME ZONE {1:p})",
    "spark": f"convert_timezone('UTC', {{1}}, {_SPARK_UTC})",
}
LOCAL_BY = LOCAL | {  # null where the field names no zone
    "duckdb": f"CASE WHEN {{1:p}} IN (SELECT name {_FROM_ZONES}()) THEN {LOCAL['duckdb']} END",
    "postgres": f"CASE WHEN {{1:p}} IN (SELECT name {_FROM_ZONES}) THEN {LOCAL['postgres']} END",
}
IS_WEEKEND = {
    "duckdb": "(isodow({0}) >= 6)",
    "postgres": "(EXTRACT(ISODOW FROM {0}) >= 6)",
    "spark": "(weekday({0}) >= 5)",
}
