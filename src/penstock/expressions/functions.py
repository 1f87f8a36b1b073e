"""The functions and operators of the language, one declaration each.

To add one, add an entry here; if the machine computes it, add its opcode there. The reference
(docs/reference/expressions.md) lists them, and a test compares the two.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from penstock.expressions import templates as sql
from penstock.expressions import texts
from penstock.expressions.tree import Constant, Function
from penstock.messages import Type

N, B, T, S = Type.NUMBER, Type.BOOLEAN, Type.TIME, Type.TEXT

OR, AND, NOT, COMPARISON, CONCATENATION, SUM, PRODUCT, SIGN = range(1, 9)
"""Precedence, loosest first."""

_PATTERN = Constant(S, "a pattern in quotes", lambda _: True)
_START = Constant(N, "a whole number from 1 on, written out", lambda v: v == int(v) >= 1)
_COUNT = Constant(N, "a whole number from 0 on, written out", lambda v: v == int(v) >= 0)
_DIGITS = Constant(N, "a number of digits from 0 to 15, written out", lambda v: v == int(v) and 0 <= v <= 15)
_SEPARATOR = Constant(S, "a separator in quotes that is not empty", bool)
_LIST = Constant(S, "the name of a list in quotes", bool)


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
    written = {"*": f"{{0}} {symbol} {{1}}"} | dict(sql or {})
    return Function(symbol, takes, gives, opcode, meaning, written, python=python, precedence=precedence)


def _for(kinds: Iterable[Type], form: Function) -> Iterator[Function]:
    """A form written for numbers, for each of these types; texts have opcodes of their own, and the Python function."""
    for kind in kinds:
        swap = {N: kind}
        yield replace(
            form,
            takes=tuple(swap.get(p, p) if isinstance(p, Type) else p for p in form.takes),
            gives=swap.get(form.gives, form.gives),
            more=swap.get(form.more, form.more) if form.more else None,
            opcode=f"{form.opcode}_TEXT" if kind is S else form.opcode,
            python=form.python if kind is S else None,
        )


def _compare(symbol: str, opcode: str, meaning: str, python: Callable[[str, str], bool] | None = None) -> Iterator[Function]:
    yield _infix(symbol, (N, N), B, opcode, COMPARISON, meaning)
    instants = {"duckdb": f"epoch_us({{0}}) {symbol} epoch_us({{1}})"}  # whether its columns know their zone or not
    yield _infix(symbol, (T, T), B, opcode, COMPARISON, meaning, instants)
    if python is None:
        yield from _for((S, B), _infix(symbol, (N, N), B, opcode, COMPARISON, meaning))
    else:
        by_code_point = {"postgres": f'{{0}} COLLATE "C" {symbol} {{1}}'}
        yield _infix(symbol, (S, S), B, None, COMPARISON, meaning, by_code_point, python)


def _null_test(name: str, opcode: str, meaning: str) -> Iterator[Function]:
    return _for(Type, Function(name, (N,), B, opcode, meaning, {"*": f"{{0:p}} {name}"}, precedence=COMPARISON))


def _clock(name: str, meaning: str, duckdb: str, postgres: str, spark: str | None = None) -> Function:
    return Function(name, (T,), N, name, meaning, sql.floats(duckdb, postgres, spark), clock=True)


# ---------------------------------------------------------------- the entries

_NUMBERS = [
    _infix("+", (N, N), N, "ADD", SUM, "sum"),
    _infix("-", (N, N), N, "SUBTRACT", SUM, "difference"),
    _infix("-", (T, T), N, "SECONDS", SUM, "seconds from the second time to the first", sql.SECONDS),
    _infix("*", (N, N), N, "MULTIPLY", PRODUCT, "product"),
    _infix("/", (N, N), N, "DIVIDE", PRODUCT, "quotient, never cut to a whole number; by 0 it is null", sql.DIVISION),
    _infix("%", (N, N), N, "MODULO", PRODUCT, "remainder, signed like the dividend; by 0 it is null", sql.REMAINDER),
    Function("NEG", (N,), N, "NEGATE", "the number with the other sign", {"*": "-{0:p}"}, precedence=SIGN),
    Function("AS_NUMBER", (B,), N, None, "0 or 1", {"*": "CAST({0} AS INTEGER)", "penstock": "{0:p}"}),
    Function("ABS", (N,), N, "ABS", "absolute value"),
    Function("ROUND", (N, _DIGITS), N, "ROUND", "rounded to so many digits (0 unless given), halves away from zero",
             sql.ROUND, optional=1, defaults=(0.0,)),
    Function("FLOOR", (N,), N, "FLOOR", "the next whole number below", sql.floats("FLOOR({0})")),
    Function("CEIL", (N,), N, "CEIL", "the next whole number above", sql.floats("CEIL({0})")),
    Function("SQRT", (N,), N, "SQRT", "square root; null below 0", sql.SQRT),
    Function("LN", (N,), N, "LN", "natural logarithm; null from 0 down", sql.LN),
    Function("LOG10", (N,), N, "LOG10", "logarithm to base 10; null from 0 down", sql.LOG10),
    Function("EXP", (N,), N, "EXP", "e to this power; null where too large", sql.EXP),
    Function("POWER", (N, N), N, "POWER", "the first to the power of the second; null where undefined or too large", sql.POWER),
    Function("DISTANCE_KM", (N, N, N, N), N, "DISTANCE_KM",
             "great-circle kilometres from (lat1, lon1) to (lat2, lon2), in degrees; null beyond a pole", sql.DISTANCE_KM),
]  # fmt: skip

_TIMES = [
    Function("UTC", (T,), T, None, "the clock on the wall, UTC", sql.UTC),
    Function("LOCAL", (T, S), T, "LOCAL", "the clock on the wall of a zone", sql.LOCAL),
    Function("LOCAL_BY", (T, S), T, "LOCAL_BY", "the clock on the wall of the zone that a field names", sql.LOCAL_BY),
    _clock("HOUR", "0 to 23", "hour({0})", "EXTRACT(HOUR FROM {0})"),
    _clock("MINUTE", "0 to 59", "minute({0})", "EXTRACT(MINUTE FROM {0})"),
    _clock("DAY", "day of the month, from 1", "day({0})", "EXTRACT(DAY FROM {0})"),
    _clock("MONTH", "1 to 12", "month({0})", "EXTRACT(MONTH FROM {0})"),
    _clock("YEAR", "the year", "year({0})", "EXTRACT(YEAR FROM {0})"),
    _clock("WEEKDAY", "0 (Monday) to 6 (Sunday)", "isodow({0}) - 1", "EXTRACT(ISODOW FROM {0}) - 1", "weekday({0})"),
    Function("IS_WEEKEND", (T,), B, "IS_WEEKEND", "Saturday or Sunday", sql.IS_WEEKEND, clock=True),
]

_CONDITIONS = [
    *_compare("=", "EQ", "equal"),
    *_compare("<>", "NE", "not equal; also !="),
    *_compare("<", "LT", "less, earlier; texts by code point", str.__lt__),
    *_compare("<=", "LE", "less or equal", str.__le__),
    *_compare(">", "GT", "greater, later", str.__gt__),
    *_compare(">=", "GE", "greater or equal", str.__ge__),
    Function("AND", (B, B), B, "AND", "false where any is false, else null where any is null", more=B, precedence=AND),
    Function("OR", (B, B), B, "OR", "true where any is true, else null where any is null", more=B, precedence=OR),
    Function("NOT", (B,), B, "NOT", "the opposite; null of null", {"*": "NOT {0:p}"}, precedence=NOT),
    *_null_test("IS NULL", "IS_NULL", "whether it is missing"),
    *_null_test("IS NOT NULL", "IS_NOT_NULL", "whether it is there"),
    *_for((N, S), Function("IN", (N, N), B, "IN", "equal to one of them", {"*": "{0:p} IN ({rest})"}, more=N,
                           precedence=COMPARISON)),
    Function("IN LIST", (S, _LIST), B, "IN_LIST", "is on a list that people keep, when the event arrives",
             {"*": "{0:p} IN list({1})"}, precedence=COMPARISON),
]  # fmt: skip

_CHOICES = [
    *_for(Type, Function("IF", (B, N, N), N, "IF", "the second where the first is true, else the third",
                         {"*": "CASE WHEN {0} THEN {1} ELSE {2} END"})),
    *_for(Type, Function("COALESCE", (N, N), N, "COALESCE", "the first that is not null", more=N,
                         python=texts.coalesce, python_nulls=True)),
    *_for(Type, Function("NULLIF", (N, N), N, "NULLIF", "null where both are equal, else the first",
                         python=texts.nullif, python_nulls=True)),
    *_for((N, T), Function("LEAST", (N, N), N, "LEAST", "the smallest of those that are not null", more=N)),
    *_for((N, T), Function("GREATEST", (N, N), N, "GREATEST", "the largest of those that are not null", more=N)),
]  # fmt: skip

_TEXTS = [
    _infix("LIKE", (S, _PATTERN), B, None, COMPARISON, "fits the pattern: % any text, _ any one character", python=texts.like),
    _infix("ILIKE", (S, _PATTERN), B, None, COMPARISON, "the same, whatever the case of letters", python=texts.ilike),
    _infix("||", (S, S), S, None, CONCATENATION, "joined; null where either is null", python=str.__add__),
    Function("CONCAT", (S, S), S, None, "joined, nulls left out", {"spark": "CONCAT({filled})"}, more=S,
             python=texts.concat, python_nulls=True),
    Function("LOWER", (S,), S, None, "in small letters", python=str.lower),
    Function("UPPER", (S,), S, None, "in capital letters", python=str.upper),
    Function("TRIM", (S,), S, None, "without spaces at either end", python=texts.trim),
    Function("LENGTH", (S,), N, None, "how many characters", sql.floats("LENGTH({0})"), python=len),
    Function("SUBSTR", (S, _START, _COUNT), S, None, "from this character on (the first is 1), at most so many",
             optional=1, python=texts.substr),
    Function("LEFT", (S, _COUNT), S, None, "the first characters", python=texts.left),
    Function("RIGHT", (S, _COUNT), S, None, "the last characters", python=texts.right),
    Function("SPLIT_PART", (S, _SEPARATOR, _START), S, None, "the part between separators, counted from 1; empty past the last",
             python=texts.split_part),
]  # fmt: skip

SYNONYMS = {"IIF": "IF", "SUBSTRING": "SUBSTR", "POW": "POWER", "CEILING": "CEIL", "MOD": "%", "CHAR_LENGTH": "LENGTH"}
"""Other spellings that are understood."""

_AGGREGATE = (
    "looks at several events, so it is a feature: declare one, as in customer.{}('amount', '24h'), and use its name here"
)
_AGGREGATES = {
    "COUNT": "count", "SUM": "sum", "AVG": "mean", "MEAN": "mean", "MIN": "min", "MAX": "max", "STDDEV": "std", "STD": "std",
    "FIRST": "first", "LAST": "last", "LAG": "last",
}  # fmt: skip
REFUSED = {
    **{name: _AGGREGATE.format(verb) for name, verb in _AGGREGATES.items()},
    **dict.fromkeys(
        ("NOW", "CURRENT_TIMESTAMP", "CURRENT_DATE", "TODAY", "GETDATE"),
        "would give another answer in a replay: use the time of the event",
    ),
    **dict.fromkeys(("RANDOM", "RAND"), "would give another answer in a replay"),
    "LOG": "means base 10 to some and base e to others: write LOG10 or LN",
    "CAST": "is not needed: fields have declared types; IF(flag, 1, 0) makes a number of a condition",
    "EXTRACT": "is written HOUR(time), DAY(time), and so on",
}
"""Functions people try that are left out on purpose, and what to do instead."""

HIDDEN = frozenset({"AS_NUMBER", "UTC", "LOCAL", "LOCAL_BY", "NEG"})
"""Functions that the checker puts in; nobody writes them by name."""


def _by_name(functions: Iterable[Function]) -> dict[str, tuple[Function, ...]]:
    table: dict[str, tuple[Function, ...]] = {}
    for function in functions:
        table[function.name] = (*table.get(function.name, ()), function)
    return table


FUNCTIONS = _by_name([*_NUMBERS, *_TIMES, *_CONDITIONS, *_CHOICES, *_TEXTS])
"""Every form of every function and operator, by name."""
