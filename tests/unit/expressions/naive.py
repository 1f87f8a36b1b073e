"""Random expressions with a naive evaluator of each, random rows, and the machine run over them."""

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import strategies as st

from penstock.codes import text_codes
from penstock.expressions import assemble, parse
from penstock.messages import Batch, Layout, Type

SCOPE = {
    "a": Type.NUMBER, "b": Type.NUMBER, "p": Type.BOOLEAN, "q": Type.BOOLEAN, "t": Type.TIME, "u": Type.TIME,
    "s": Type.TEXT, "r": Type.TEXT, "zone": Type.TEXT,
}  # fmt: skip
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
N, B, T, S = Type.NUMBER, Type.BOOLEAN, Type.TIME, Type.TEXT

# ---------------------------------------------------------------- random expressions, as (SQL, function of a row)

Term = tuple  # (sql, evaluate: row -> value or None)


def strict(f):
    """Null in, null out; whatever is undefined or not finite is null."""

    def call(*values):
        if any(v is None for v in values):
            return None
        try:
            result = f(*values)
        except (ValueError, ZeroDivisionError, OverflowError):
            return None
        if isinstance(result, complex) or (isinstance(result, float) and not math.isfinite(result)):
            return None
        return result

    return call


def apply(template, f, *terms):
    return template.format(*(sql for sql, _ in terms)), lambda row: f(*(evaluate(row) for _, evaluate in terms))


def both(a, b):
    return False if a is False or b is False else None if a is None or b is None else True


def either(a, b):
    return True if a is True or b is True else None if a is None or b is None else False


def rounded(x, digits):
    scaled = x * 10.0**digits
    return math.copysign(math.floor(abs(scaled)) + (abs(scaled) % 1 >= 0.5), scaled) / 10.0**digits


def haversine(lat1, lon1, lat2, lon2):
    if abs(lat1) > 90 or abs(lat2) > 90:
        return None
    a, b, c, d = map(math.radians, (lat1, lon1, lat2, lon2))
    h = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    return 2 * 6371.0088 * math.asin(math.sqrt(min(1.0, h)))


def like(text, pattern):
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(like(text[i:], pattern[1:]) for i in range(len(text) + 1))
    return bool(text) and pattern[0] in {"_", text[0]} and like(text[1:], pattern[1:])


def wall_clock(t, zone="UTC"):
    return t.astimezone(ZoneInfo(zone)) if zone in ZONES else None


ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
PARTS = {
    "HOUR": lambda t: t.hour, "MINUTE": lambda t: t.minute, "DAY": lambda t: t.day, "MONTH": lambda t: t.month,
    "YEAR": lambda t: t.year, "WEEKDAY": lambda t: t.weekday(),
}  # fmt: skip
RATIONAL = {
    "({} + {})": lambda a, b: a + b, "({} - {})": lambda a, b: a - b, "({} * {})": lambda a, b: a * b,
    "({} / {})": lambda a, b: a / b, "({} % {})": math.fmod, "POWER({}, {})": math.pow,
}  # fmt: skip
UNARY = {
    "(- {})": lambda a: -a, "ABS({})": abs, "FLOOR({})": math.floor, "CEIL({})": math.ceil, "SQRT({})": math.sqrt,
    "LN({})": math.log, "LOG10({})": math.log10, "ROUND({})": lambda a: rounded(a, 0), "ROUND({}, 1)": lambda a: rounded(a, 1),
}  # fmt: skip
COMPARED = {
    "=": lambda a, b: a == b, "<>": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip
TEXT_FUNCTIONS = {
    "LOWER({})": str.lower, "UPPER({})": str.upper, "TRIM({})": lambda x: x.strip(" "), "SUBSTR({}, 2)": lambda x: x[1:],
    "SUBSTR({}, 1, 2)": lambda x: x[:2], "LEFT({}, 1)": lambda x: x[:1], "RIGHT({}, 2)": lambda x: x[-2:],
    "SPLIT_PART({}, ' ', 2)": lambda x: [*x.split(" "), "", ""][1],
}  # fmt: skip
NULL = ("NULL", lambda row: None)


def names(*options):
    return st.sampled_from([(name, lambda row, name=name: row[name]) for name in options])


number_leaf = (
    names("a", "b")
    | st.sampled_from([-3, -1, 0, 0.1, 0.5, 1, 2, 2.5, 10]).map(lambda v: (repr(v), lambda row: v))
    | st.just(NULL)
)
boolean_leaf = names("p", "q") | st.sampled_from([("TRUE", lambda row: True), ("FALSE", lambda row: False), NULL])
time_leaf = names("t", "u") | st.sampled_from([2024, 2026]).map(
    lambda year: (f"TIMESTAMP '{year}-03-31 01:30:00'", lambda row: datetime(year, 3, 31, 1, 30, tzinfo=UTC))
)
text_leaf = names("s", "r") | st.sampled_from(["a", "B", "", "it's"]).map(
    lambda v: ("'" + v.replace("'", "''") + "'", lambda row: v)
)


@st.composite
def numbers(draw, depth):
    if depth == 0:
        return draw(number_leaf)
    kind = draw(st.integers(0, 9))
    number = numbers(depth - 1)
    if kind <= 2:
        template = draw(st.sampled_from(sorted(RATIONAL)))
        operand = number_leaf if template.startswith("POWER") else number
        return apply(template, strict(RATIONAL[template]), draw(operand), draw(operand))
    if kind == 3:
        template = draw(st.sampled_from(sorted(UNARY)))
        return apply(template, strict(UNARY[template]), draw(number))
    if kind == 4:
        name, extreme = draw(st.sampled_from([("LEAST", min), ("GREATEST", max)]))
        known = lambda *v: extreme((x for x in v if x is not None), default=None)  # noqa: E731
        return apply(name + "({}, {}, {})", known, draw(number), draw(number), draw(number))
    if kind == 5:
        return draw(choices(number, depth))
    if kind == 6:
        part = draw(st.sampled_from(sorted(PARTS)))
        f = strict(lambda t, zone="UTC": None if zone not in ZONES else PARTS[part](wall_clock(t, zone)))
        zone = draw(names("zone") | st.sampled_from(ZONES).map(lambda z: (f"'{z}'", lambda row: z)))
        return (
            apply(part + "({})", f, draw(time_leaf))
            if draw(st.booleans())
            else apply(part + "({}, {})", f, draw(time_leaf), zone)
        )
    if kind == 7:
        return apply("({} - {})", strict(lambda a, b: (a - b) / timedelta(seconds=1)), draw(time_leaf), draw(time_leaf))
    if kind == 8:
        return apply("LENGTH({})", strict(len), draw(texts(depth - 1)))
    if draw(st.booleans()):
        return apply("EXP({})", strict(math.exp), draw(number_leaf))
    return apply("DISTANCE_KM({}, {}, {}, {})", strict(haversine), *(draw(number_leaf) for _ in range(4)))


@st.composite
def choices(draw, kind, depth):
    first, second = draw(kind), draw(kind)
    form = draw(st.integers(0, 3))
    if form == 0:
        return apply("COALESCE({}, {})", lambda a, b: b if a is None else a, first, second)
    if form == 1:
        return apply("NULLIF({}, {})", lambda a, b: None if a is not None and a == b else a, first, second)
    condition = draw(booleans(depth - 1))
    if form == 2:
        return apply("IF({}, {}, {})", lambda c, a, b: a if c is True else b, condition, first, second)
    other = draw(booleans(depth - 1))
    pick = lambda c, a, d, b: a if c is True else b if d is True else None  # noqa: E731
    return apply("CASE WHEN {} THEN {} WHEN {} THEN {} END", pick, condition, first, other, second)


@st.composite
def texts(draw, depth):
    """Texts that text functions can take."""
    if depth == 0:
        return draw(text_leaf)
    if draw(st.booleans()):
        template = draw(st.sampled_from(sorted(TEXT_FUNCTIONS)))
        return apply(template, strict(TEXT_FUNCTIONS[template]), draw(texts(depth - 1)))
    if draw(st.booleans()):
        return apply("({} || {})", strict(str.__add__), draw(texts(depth - 1)), draw(texts(depth - 1)))
    return apply("CONCAT({}, {})", lambda a, b: (a or "") + (b or ""), draw(texts(depth - 1)), draw(texts(depth - 1)))


@st.composite
def booleans(draw, depth):
    if depth <= 0:
        return draw(boolean_leaf)
    kind = draw(st.integers(0, 9))
    boolean = booleans(depth - 1)
    if kind <= 1:
        template, f = draw(st.sampled_from([("({} AND {})", both), ("({} OR {})", either)]))
        return apply(template, f, draw(boolean), draw(boolean))
    if kind == 2:
        return apply("(NOT {})", strict(lambda a: not a), draw(boolean))
    if kind <= 4:
        symbol = draw(st.sampled_from(sorted(COMPARED)))
        side = draw(st.sampled_from([numbers(depth - 1), time_leaf, texts(depth - 1)]))
        return apply(f"({{}} {symbol} {{}})", strict(COMPARED[symbol]), draw(side), draw(side))
    if kind == 5:
        symbol = draw(st.sampled_from(["=", "<>"]))
        flag = draw(st.sampled_from([("0", lambda row: 0), ("1", lambda row: 1)]) | boolean)
        return apply(f"({{}} {symbol} {{}})", strict(COMPARED[symbol]), draw(boolean), flag)
    if kind == 6:
        side = draw(st.sampled_from([numbers(depth - 1), time_leaf, text_leaf, boolean]))
        template, f = draw(
            st.sampled_from([("({} IS NULL)", lambda a: a is None), ("({} IS NOT NULL)", lambda a: a is not None)])
        )
        return apply(template, f, draw(side))
    if kind == 7:
        side, listed = draw(
            st.sampled_from([(numbers(depth - 1), ("1", "2.5", 1, 2.5)), (texts(depth - 1), ("'a'", "'B'", "a", "B"))])
        )
        tail, null = draw(st.sampled_from([("", False), (", NULL", True)]))
        f = strict(lambda a: True if a in listed[2:] else None if null else False)
        return apply(f"({{}} IN ({listed[0]}, {listed[1]}{tail}))", f, draw(side))
    if kind == 8:
        f = lambda x, low, high: both(strict(COMPARED[">="])(x, low), strict(COMPARED["<="])(x, high))  # noqa: E731
        return apply("({} BETWEEN {} AND {})", f, *(draw(numbers(depth - 1)) for _ in range(3)))
    pattern = draw(st.sampled_from(["a%", "%a%", "_", "%", "a_", "", "%B"]))
    return apply(f"({{}} LIKE '{pattern}')", strict(lambda x: like(x, pattern)), draw(texts(depth - 1)))


expressions = st.one_of(
    booleans(3).map(lambda term: (*term, B)),
    numbers(3).map(lambda term: (*term, N)),
    choices(text_leaf, 2).map(lambda term: (*term, S)),
    texts(2).map(lambda term: (*term, S)),
)

instants = st.datetimes(datetime(1971, 1, 1), datetime(2037, 12, 31)).map(lambda t: t.replace(tzinfo=UTC)) | st.just(  # noqa: DTZ001
    datetime(2024, 3, 31, 1, 30, tzinfo=UTC)
)
number_values = st.sampled_from([-8.0, -1.0, 0.0, 0.5, 1.0, 2.5, 3.0, 10.0, 77.7]) | st.floats(-1000, 1000).map(
    lambda x: round(x, 3)
)
text_values = st.sampled_from(["a", "B", "ab c", "", " a", "it's"])
row = st.fixed_dictionaries(
    {name: st.none() | {N: number_values, B: st.booleans(), T: instants, S: text_values}[kind]
     for name, kind in SCOPE.items() if name != "zone"}
    | {"zone": st.sampled_from([None, "Mars/Base", *ZONES])}
)  # fmt: skip


# ---------------------------------------------------------------- the machine


def microseconds(instant):
    return (instant - EPOCH) // timedelta(microseconds=1)


def batch_of(rows, layout):
    n = len(rows)
    batch = Batch([""] * n, np.zeros(n, np.uint8), np.zeros(n, np.int64), np.zeros(n, np.int64),
                  np.full((n, layout.width), np.nan), np.zeros((n, layout.text_width), np.int64), {})  # fmt: skip
    for name, kind in SCOPE.items():
        values = [r[name] for r in rows]
        if kind is S:
            batch.texts[name] = values
            batch.codes[:, layout[name].index] = text_codes(values)
        else:
            values = [microseconds(v) if isinstance(v, datetime) else v for v in values]
            batch.x[:, layout[name].index] = np.array(values, np.float64)
    return batch


def run(sql, kind, rows):
    layout = Layout()
    for name, of in SCOPE.items():
        layout.add(name, of)
    target = layout.add("target", kind)
    expression = parse(sql, SCOPE, place="test", expect=kind)
    batch = batch_of(rows, layout)
    assemble([(expression, "target")], layout).run(batch)
    if kind is S:
        values = batch.texts["target"]
        assert text_codes(values).tolist() == batch.codes[:, target.index].tolist()
    else:
        values = [None if math.isnan(v) else v for v in batch.x[:, target.index].tolist()]
    return expression, values


def agree(got, wanted):
    if got is None or wanted is None or isinstance(got, str):
        return got == wanted
    return math.isclose(got, wanted, rel_tol=1e-9, abs_tol=1e-9)
