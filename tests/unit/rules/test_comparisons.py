"""A condition that is nothing but rows is read as rows, and these are written as the same condition."""

import json
import random
from pathlib import Path

import msgspec
import pytest

from penstock.expressions import parse
from penstock.messages import Type
from penstock.rules.comparisons import Comparison, Comparisons, comparisons_of

SCOPE = {
    "amount": Type.NUMBER,
    "usual": Type.NUMBER,
    "is_night": Type.BOOLEAN,
    "country": Type.TEXT,
    "timestamp": Type.TIME,
    "order": Type.NUMBER,
    "pay-ment": Type.NUMBER,
}
TABLE = Path(__file__).parents[3] / "console" / "src" / "screens" / "rules" / "rows.json"
"""Conditions and their rows; the console's tests write the same conditions from the same rows."""


def read(sql):
    return parse(sql, SCOPE, place="rule", expect=Type.BOOLEAN, lists=["embargo"])


def rows(sql):
    return comparisons_of(read(sql).root)


@pytest.mark.parametrize("case", json.loads(TABLE.read_text()), ids=lambda case: case["sql"])
def test_what_the_console_writes_is_read_as_the_same_rows(case):
    written = msgspec.convert({"match": case["match"], "rows": case["rows"]}, Comparisons)
    assert rows(case["sql"]) == written
    assert rows(read(case["sql"]).sql) == written


@pytest.mark.parametrize(
    ("typed", "same"),
    [
        ("900 < amount", "amount > 900"),
        ("1 <> amount", "amount <> 1"),
        ("amount BETWEEN 1 AND 2", "amount >= 1 AND amount <= 2"),
        ("is_night AND (amount > 5 AND usual > 1)", "is_night AND amount > 5 AND usual > 1"),
        ("is_night = TRUE OR is_night <> TRUE", "is_night OR NOT is_night"),
        ("is_night = FALSE", "NOT is_night"),
        ("NOT country IN ('DE')", "country NOT IN ('DE')"),
        ("timestamp > '2026-01-31 12:00:00+01:00'", "timestamp > TIMESTAMP '2026-01-31 11:00:00'"),
    ],
)
def test_other_spellings_give_the_same_rows(typed, same):
    assert rows(typed) == rows(same) is not None


@pytest.mark.parametrize(
    "sql",
    [
        "amount > 3 * usual",
        "amount > usual",
        "amount > 5 AND (is_night OR country = 'DE')",
        "is_night OR amount BETWEEN 1 AND 2",
        "NOT (amount > 5)",
        "hour(timestamp) < 6",
        "LOWER(country) = 'de'",
        "country ILIKE 'd%'",
        "is_night IS TRUE",
        "amount = NULL",
        "amount IN (1, NULL)",
        "IF(is_night, amount, 0) > 5",
        "TRUE",
        "COALESCE(amount, 0) IS NULL",
    ],
)
def test_a_condition_that_says_more_has_no_rows(sql):
    assert rows(sql) is None


def test_random_rows_come_back_from_the_canonical_text_of_their_condition():
    rng = random.Random(20)
    numbers = [0.0, -3.0, 2.5, 1e-9, 123456789.0, 4e15]
    for _ in range(300):
        made = [rng.choice(_ROWS)(rng, numbers) for _ in range(rng.randint(1, 6))]
        match = rng.choice(["all", "any"]) if len(made) > 1 else "all"
        joined = (" AND " if match == "all" else " OR ").join(sql for sql, _ in made)
        expected = Comparisons(match, [row for _, row in made])
        assert rows(joined) == expected
        assert rows(read(joined).sql) == expected


def _number(rng, numbers):
    symbol, value = rng.choice(["=", "<>", "<", "<=", ">", ">="]), rng.choice(numbers)
    return f"amount {symbol} {value!r}", Comparison("amount", symbol, [value])


def _among(rng, _):
    values = rng.sample(["DE", "o'clock", "", "a b"], rng.randint(1, 4))
    negated = rng.random() < 0.5
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    operator = "not in" if negated else "in"
    return f"country {operator.upper()} ({quoted})", Comparison("country", operator, values)


def _night(rng, _):
    return rng.choice([("is_night", Comparison("is_night", "true", [])), ("NOT is_night", Comparison("is_night", "false", []))])


_ROWS = [_number, _among, _night]
