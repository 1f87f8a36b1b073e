"""The functions and operators of the language, one declaration for each form.

To add one, add an entry here; where the machine computes it, add its opcode there. The page of the language
(docs/reference/expressions.md) lists them, and a test compares the two.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping

from penstock.expressions.tree import Constant, Function
from penstock.messages import Type

N, B, T, S = Type.NUMBER, Type.BOOLEAN, Type.TIME, Type.TEXT
DIALECTS = ("duckdb", "postgres", "spark")
"""The dialects that conditions are translated to; "penstock" is the language itself."""

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth (IUGG)."""

OR, AND, NOT, COMPARISON, CONCATENATION, SUM, PRODUCT, SIGN = range(1, 9)
"""Precedence, loosest first."""

_PATTERN = Constant(S, "a pattern in quotes", lambda v: True)
_START = Constant(N, "a whole number from 1 on, written out", lambda v: v == int(v) >= 1)
_COUNT = Constant(N, "a whole number from 0 on, written out", lambda v: v == int(v) >= 0)
_DIGITS = Constant(N, "a number of digits from 0 to 15, written out", lambda v: v == int(v) and 0 <= v <= 15)
_SEPARATOR = Constant(S, "a separator in quotes that is not empty", bool)


# ---------------------------------------------------------------- texts, one row at a time


@functools.lru_cache(maxsize=1024)
def _pattern(pattern: str, flags: int) -> re.Pattern[str]:
    """A LIKE pattern as a regular expression: % stands for any text, _ for any one character."""
    return re.compile("".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in pattern), flags | re.DOTALL)


def _like(text: str, pattern: str) -> bool:
    return _pattern(pattern, 0).fullmatch(text) is not None


def _ilike(text: str, pattern: str) -> bool:
    return _pattern(pattern, re.IGNORECASE).fullmatch(text) is not None


def _substr(text: str, start: float, length: float | None = None) -> str:
    first = int(start) - 1
    return text[first:] if length is None else text[first : first + int(length)]


def _split_part(text: str, separator: str, position: float) -> str:
    parts = text.split(separator)
    return parts[int(position) - 1] if position <= len(parts) else ""


def _left(text: str, count: float) -> str:
    return text[: int(count)]


def _right(text: str, count: float) -> str:
    return text[-int(count) :] if count else ""


def _coalesce(*texts: str | None) -> str | None:
    return next((text for text in texts if text is not None), None)


def _nullif(text: str | None, other: str | None) -> str | None:
    return None if text == other else text


def _concat(*texts: str | None) -> str:
    return "".join(text for text in texts if text is not None)


# ---------------------------------------------------------------- forms of entries


def _infix(
    symbol: str,
    takes: tuple[Type | Constant, ...],
    gives: Type,
    opcode: str | None,
    precedence: int,
    meaning: str,
    sql: Mapping[str, str] | None = None,
    python: Callable[..., object] | None = None,
) -> Function:
    templates = {"*": f"{{0}} {symbol} {{1}}"} | dict(sql or {})
    return Function(symbol, takes, gives, opcode, meaning, templates, python=python, precedence=precedence)


def _compare(symbol: str, opcode: str, python: Callable[[str, str], bool], meaning: str) -> Iterable[Function]:
    yield _infix(symbol, (N, N), B, opcode, COMPARISON, meaning)
    instants = {"duckdb": f"epoch_us({{0}}) {symbol} epoch_us({{1}})"}  # whether its columns know their zone or not
    yield _infix(symbol, (T, T), B, opcode, COMPARISON, meaning, instants)
    if opcode in {"EQ", "NE"}:
        yield _infix(symbol, (S, S), B, f"{opcode}_TEXT", COMPARISON, meaning)
        yield _infix(symbol, (B, B), B, opcode, COMPARISON, meaning)
    else:
        by_code_point = {"postgres": f'{{0}} COLLATE "C" {symbol} {{1}}'}
        yield _infix(symbol, (S, S), B, None, COMPARISON, meaning, by_code_point, python)


def _each(name: str, types: Iterable[Type], form: Callable[[Type, str], Function]) -> Iterable[Function]:
    """One entry for each type; the form is given the type and its opcode."""
    return [form(type, name + ("_TEXT" if type is S else "")) for type in types]


def _double(dialect: str, text: str) -> str:
    return f"CAST({text} AS {'DOUBLE PRECISION' if dialect == 'postgres' else 'DOUBLE'})"


def _as_double(name: str) -> dict[str, str]:
    """A plain call whose result every dialect is told to take as a float."""
    return {dialect: _double(dialect, f"{name}({{0}})") for dialect in DIALECTS} | {"*": f"{name}({{0}})"}


def _clock(name: str, meaning: str, duckdb: str, postgres: str, spark: str) -> Function:
    sql = {d: _double(d, text) for d, text in zip(DIALECTS, (duckdb, postgres, spark), strict=True)}
    return Function(name, (T,), N, name, meaning, sql, clock=True)


def _guarded(name: str, condition: str, postgres: str | None = None) -> dict[str, str]:
    """A call of one argument that is null, not an error, where the condition does not hold."""
    guarded = f"CASE WHEN {{0:p}} {condition} THEN {{call}}({{0}}) END"
    sql = {dialect: guarded.replace("{call}", name) for dialect in DIALECTS} | {"*": f"{name}({{0}})"}
    return sql | ({"postgres": guarded.replace("{call}", postgres)} if postgres else {})


# ---------------------------------------------------------------- the entries

_HAVERSINE = (
    "POWER(SIN(RADIANS({2:p} - {0:p}) / 2), 2) + "
    "COS(RADIANS({0})) * COS(RADIANS({2})) * POWER(SIN(RADIANS({3:p} - {1:p}) / 2), 2)"
)
_DISTANCE = (
    "CASE WHEN ABS({0}) <= 90 AND ABS({2}) <= 90 AND {1:p} IS NOT NULL AND {3:p} IS NOT NULL "
    f"THEN {2 * EARTH_RADIUS_KM} * ASIN(SQRT(LEAST(1, {_HAVERSINE}))) END"
)
_POWER = (
    "CASE WHEN NOT ({0:p} = 0 AND {1:p} < 0) AND NOT ({0:p} < 0 AND {1:p} <> FLOOR({1})) "
    "AND COALESCE({1:p} * LN(NULLIF(ABS({0}), 0)) < 709.78, TRUE) THEN POWER({0}, {1}) END"
)
_EXP = "CASE WHEN {0:p} > 709.78 THEN NULL WHEN {0:p} < -708 THEN 0 ELSE EXP({0}) END"
_ROUND = "(SIGN({0}) * FLOOR(ABS({0}) * 1e{1} + 0.5) / 1e{1})"
_SPARK_UTC = "TIMESTAMP_NTZ '1970-01-01' + make_dt_interval(0, 0, 0, CAST(unix_micros({0}) AS DECIMAL(20, 0)) / 1000000)"
_SECONDS = {
    "duckdb": "CAST(epoch_us({0}) - epoch_us({1}) AS DOUBLE) / 1e6",
    "postgres": "CAST(EXTRACT(EPOCH FROM {0} - {1}) AS DOUBLE PRECISION)",
    "spark": "CAST(unix_micros({0}) - unix_micros({1}) AS DOUBLE) / 1e6",
}
_DIVISION = {dialect: _double(dialect, "{0}") + " / NULLIF({1}, 0)" for dialect in DIALECTS}
_REMAINDER = dict.fromkeys(DIALECTS, "{0} % NULLIF({1}, 0)") | {
    "postgres": "({0} - {1} * TRUNC(CAST({0} AS DOUBLE PRECISION) / NULLIF({1}, 0)))"
}

_NUMBERS = [
    _infix("+", (N, N), N, "ADD", SUM, "sum"),
    _infix("-", (N, N), N, "SUBTRACT", SUM, "difference"),
    _infix("-", (T, T), N, "SECONDS", SUM, "seconds from the second time to the first", _SECONDS),
    _infix("*", (N, N), N, "MULTIPLY", PRODUCT, "product"),
    _infix("/", (N, N), N, "DIVIDE", PRODUCT, "quotient, never cut to a whole number; null where the divisor is 0", _DIVISION),
    _infix("%", (N, N), N, "MODULO", PRODUCT, "remainder, signed like the dividend; null where the divisor is 0", _REMAINDER),
    Function("NEG", (N,), N, "NEGATE", "the number with the other sign", {"*": "-{0:p}"}, precedence=SIGN),
    Function("AS_NUMBER", (B,), N, None, "", {"*": "CAST({0} AS INTEGER)", "penstock": "{0:p}"}),
    Function("ABS", (N,), N, "ABS", "absolute value"),
    Function(
        "ROUND",
        (N, _DIGITS),
        N,
        "ROUND",
        "rounded to so many digits (0 unless given), halves away from zero",
        {"postgres": _ROUND, "spark": _ROUND},
        optional=1,
        defaults=(0.0,),
    ),
    Function("FLOOR", (N,), N, "FLOOR", "the next whole number below", _as_double("FLOOR")),
    Function("CEIL", (N,), N, "CEIL", "the next whole number above", _as_double("CEIL")),
    Function("SQRT", (N,), N, "SQRT", "square root; null below 0", _guarded("SQRT", ">= 0")),
    Function("LN", (N,), N, "LN", "natural logarithm; null from 0 down", _guarded("LN", "> 0")),
    Function("LOG10", (N,), N, "LOG10", "logarithm to base 10; null from 0 down", _guarded("LOG10", "> 0", postgres="LOG")),
    Function("EXP", (N,), N, "EXP", "e to this power; null where too large", dict.fromkeys(DIALECTS, _EXP)),
    Function(
        "POWER",
        (N, N),
        N,
        "POWER",
        "the first to the power of the second; null where undefined or too large",
        dict.fromkeys(DIALECTS, _POWER),
    ),
    Function(
        "DISTANCE_KM",
        (N, N, N, N),
        N,
        "DISTANCE_KM",
        "great-circle kilometres from (lat1, lon1) to (lat2, lon2), in degrees; null beyond a pole",
        dict.fromkeys(DIALECTS, _DISTANCE),
    ),
]

_TIMES = [
    Function(
        "UTC",
        (T,),
        T,
        None,
        "",
        {
            "penstock": "{0}",
            "duckdb": "make_timestamp(epoch_us({0}))",
            "postgres": "({0:p} AT TIME ZONE 'UTC')",
            "spark": _SPARK_UTC,
        },
    ),
    Function(
        "LOCAL",
        (T, S),
        T,
        "LOCAL",
        "",
        {
            "penstock": "{0}, {1}",
            "duckdb": "timezone({1}, make_timestamptz(epoch_us({0})))",
            "postgres": "({0:p} AT TIME ZONE {1:p})",
            "spark": f"convert_timezone('UTC', {{1}}, {_SPARK_UTC})",
        },
    ),
    Function(
        "LOCAL_BY",
        (T, S),
        T,
        "LOCAL_BY",
        "",
        {
            "penstock": "{0}, {1}",
            "duckdb": "CASE WHEN {1:p} IN (SELECT name FROM pg_timezone_names()) "
            "THEN timezone({1}, make_timestamptz(epoch_us({0}))) END",
            "postgres": "CASE WHEN {1:p} IN (SELECT name FROM pg_timezone_names) THEN {0:p} AT TIME ZONE {1:p} END",
            "spark": f"convert_timezone('UTC', {{1}}, {_SPARK_UTC})",
        },
    ),
    _clock("HOUR", "0 to 23", "hour({0})", "EXTRACT(HOUR FROM {0})", "hour({0})"),
    _clock("MINUTE", "0 to 59", "minute({0})", "EXTRACT(MINUTE FROM {0})", "minute({0})"),
    _clock("DAY", "day of the month, from 1", "day({0})", "EXTRACT(DAY FROM {0})", "day({0})"),
    _clock("MONTH", "1 to 12", "month({0})", "EXTRACT(MONTH FROM {0})", "month({0})"),
    _clock("YEAR", "the year", "year({0})", "EXTRACT(YEAR FROM {0})", "year({0})"),
    _clock("WEEKDAY", "0 (Monday) to 6 (Sunday)", "isodow({0}) - 1", "EXTRACT(ISODOW FROM {0}) - 1", "weekday({0})"),
    Function(
        "IS_WEEKEND",
        (T,),
        B,
        "IS_WEEKEND",
        "Saturday or Sunday",
        {"duckdb": "(isodow({0}) >= 6)", "postgres": "(EXTRACT(ISODOW FROM {0}) >= 6)", "spark": "(weekday({0}) >= 5)"},
        clock=True,
    ),
]

_CONDITIONS = [
    *_compare("=", "EQ", str.__eq__, "equal"),
    *_compare("<>", "NE", str.__ne__, "not equal; also !="),
    *_compare("<", "LT", str.__lt__, "less, earlier; texts by code point"),
    *_compare("<=", "LE", str.__le__, "less or equal"),
    *_compare(">", "GT", str.__gt__, "greater, later"),
    *_compare(">=", "GE", str.__ge__, "greater or equal"),
    Function("AND", (B, B), B, "AND", "false where any is false, else null where any is null", more=B, precedence=AND),
    Function("OR", (B, B), B, "OR", "true where any is true, else null where any is null", more=B, precedence=OR),
    Function("NOT", (B,), B, "NOT", "the opposite; null of null", {"*": "NOT {0:p}"}, precedence=NOT),
    *_each(
        "IS_NULL",
        Type,
        lambda type, opcode: Function(
            "IS NULL", (type,), B, opcode, "whether it is missing", {"*": "{0:p} IS NULL"}, precedence=COMPARISON
        ),
    ),
    *_each(
        "IS_NOT_NULL",
        Type,
        lambda type, opcode: Function(
            "IS NOT NULL", (type,), B, opcode, "whether it is there", {"*": "{0:p} IS NOT NULL"}, precedence=COMPARISON
        ),
    ),
    *_each(
        "IN",
        (N, S),
        lambda type, opcode: Function(
            "IN", (type, type), B, opcode, "equal to one of them", {"*": "{0:p} IN ({rest})"}, more=type, precedence=COMPARISON
        ),
    ),
]

_CHOICES = [
    *_each(
        "IF",
        Type,
        lambda type, opcode: Function(
            "IF",
            (B, type, type),
            type,
            opcode,
            "the second where the first is true, else the third",
            {"*": "CASE WHEN {0} THEN {1} ELSE {2} END"},
        ),
    ),
    *_each(
        "COALESCE",
        Type,
        lambda type, opcode: Function(
            "COALESCE",
            (type, type),
            type,
            opcode,
            "the first that is not null",
            more=type,
            python=_coalesce if type is S else None,
            python_nulls=True,
        ),
    ),
    *_each(
        "NULLIF",
        Type,
        lambda type, opcode: Function(
            "NULLIF",
            (type, type),
            type,
            opcode,
            "null where both are equal, else the first",
            python=_nullif if type is S else None,
            python_nulls=True,
        ),
    ),
    *_each(
        "LEAST",
        (N, T),
        lambda type, opcode: Function(
            "LEAST", (type, type), type, opcode, "the smallest of those that are not null", more=type
        ),
    ),
    *_each(
        "GREATEST",
        (N, T),
        lambda type, opcode: Function(
            "GREATEST", (type, type), type, opcode, "the largest of those that are not null", more=type
        ),
    ),
]

_TEXTS = [
    _infix("LIKE", (S, _PATTERN), B, None, COMPARISON, "fits the pattern: % any text, _ any one character", python=_like),
    _infix("ILIKE", (S, _PATTERN), B, None, COMPARISON, "the same, whatever the case of letters", python=_ilike),
    _infix("||", (S, S), S, None, CONCATENATION, "joined; null where either is null", python=str.__add__),
    Function("CONCAT", (S, S), S, None, "joined, nulls left out", {"spark": "CONCAT({filled})"}, more=S,
             python=_concat, python_nulls=True),
    Function("LOWER", (S,), S, None, "in small letters", python=str.lower),
    Function("UPPER", (S,), S, None, "in capital letters", python=str.upper),
    Function("TRIM", (S,), S, None, "without spaces at either end", python=lambda text: text.strip(" ")),
    Function("LENGTH", (S,), N, None, "how many characters", _as_double("LENGTH"), python=len),
    Function("SUBSTR", (S, _START, _COUNT), S, None, "from this character on (the first is 1), at most so many",
             optional=1, python=_substr),
    Function("LEFT", (S, _COUNT), S, None, "the first characters", python=_left),
    Function("RIGHT", (S, _COUNT), S, None, "the last characters", python=_right),
    Function("SPLIT_PART", (S, _SEPARATOR, _START), S, None, "the part between separators, counted from 1; empty beyond the last",
             python=_split_part),
]  # fmt: skip

SYNONYMS = {"IIF": "IF", "SUBSTRING": "SUBSTR", "POW": "POWER", "CEILING": "CEIL", "MOD": "%", "CHAR_LENGTH": "LENGTH"}
"""Other spellings that are understood."""

_AGGREGATE = (
    "looks at several events, so it is a feature: declare one, as in customer.{0}('amount', '24h'), and use its name here"
)
REFUSED = {
    **{name: _AGGREGATE.format(verb) for name, verb in {
        "COUNT": "count", "SUM": "sum", "AVG": "mean", "MEAN": "mean", "MIN": "min", "MAX": "max", "STDDEV": "std", "STD": "std",
        "FIRST": "first", "LAST": "last", "LAG": "last"}.items()},
    **dict.fromkeys(("NOW", "CURRENT_TIMESTAMP", "CURRENT_DATE", "TODAY", "GETDATE"),
                    "would give another answer in a replay: use the time of the event"),
    **dict.fromkeys(("RANDOM", "RAND"), "would give another answer in a replay"),
    "LOG": "means base 10 to some and base e to others: write LOG10 or LN",
    "CAST": "is not needed: fields have declared types; IF(flag, 1, 0) makes a number of a condition",
    "EXTRACT": "is written HOUR(time), DAY(time), and so on",
}  # fmt: skip
"""Functions people try that are left out on purpose, and what to do instead."""


def _by_name(functions: Iterable[Function]) -> dict[str, tuple[Function, ...]]:
    table: dict[str, tuple[Function, ...]] = {}
    for function in functions:
        table[function.name] = (*table.get(function.name, ()), function)
    return table


FUNCTIONS = _by_name([*_NUMBERS, *_TIMES, *_CONDITIONS, *_CHOICES, *_TEXTS])
"""Every form of every function and operator, by name."""

HIDDEN = frozenset({"AS_NUMBER", "UTC", "LOCAL", "LOCAL_BY", "NEG"})
"""Functions that the checker puts in; nobody writes them by name."""
