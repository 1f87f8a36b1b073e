"""Translations to SQL dialects. That DuckDB gives the machine's values is shown in test_agreement."""

import pytest
import sqlglot

from penstock.errors import ExpressionError
from penstock.expressions import parse
from penstock.messages import Type

SCOPE = {
    "amount": Type.NUMBER,
    "usual": Type.NUMBER,
    "is_night": Type.BOOLEAN,
    "timestamp": Type.TIME,
    "browser": Type.TEXT,
    "zone": Type.TEXT,
}


def translated(sql, dialect, rename=None):
    return parse(sql, SCOPE, place="test").to_sql(dialect, rename)


@pytest.mark.parametrize(
    ("sql", "dialect", "expected"),
    [
        ("amount / usual > 3", "duckdb", 'CAST("amount" AS DOUBLE) / NULLIF("usual", 0) > 3'),
        ("amount / usual > 3", "postgres", 'CAST("amount" AS DOUBLE PRECISION) / NULLIF("usual", 0) > 3'),
        ("amount / usual > 3", "spark", "CAST(`amount` AS DOUBLE) / NULLIF(`usual`, 0) > 3"),
        ("is_night = 1", "postgres", 'CAST("is_night" AS INTEGER) = 1'),
        ("amount > 0.1", "duckdb", '"amount" > 0.1e0'),
        ("amount > 0.1", "postgres", '"amount" > 0.1e0'),
        ("0.1 + 0.2 = amount", "duckdb", '0.30000000000000004e0 = "amount"'),
        ("LN(amount) > 1", "duckdb", 'CASE WHEN "amount" > 0 THEN LN("amount") END > 1'),
        ("LN(amount - 1) > 1", "duckdb", 'CASE WHEN ("amount" - 1) > 0 THEN LN("amount" - 1) END > 1'),
        ("browser < 'b'", "postgres", '"browser" COLLATE "C" < \'b\''),
        ("browser = 'it''s \\'", "spark", "`browser` = 'it\\'s \\\\'"),
        ("browser LIKE '\\%'", "postgres", "\"browser\" LIKE '\\\\%'"),
        ("browser LIKE '\\%'", "duckdb", "\"browser\" LIKE '\\%'"),
        (
            "hour(timestamp) < 6",
            "postgres",
            "CAST(EXTRACT(HOUR FROM (\"timestamp\" AT TIME ZONE 'UTC')) AS DOUBLE PRECISION) < 6",
        ),
        ("timestamp > '2026-01-31'", "spark", "`timestamp` > TIMESTAMP '2026-01-31 00:00:00Z'"),
        ("COALESCE(amount, NULL) > 1", "postgres", 'COALESCE("amount", CAST(NULL AS DOUBLE PRECISION)) > 1'),
        ("(is_night OR amount > 1) AND is_night", "duckdb", '("is_night" OR "amount" > 1) AND "is_night"'),
    ],
)
def test_what_dialects_write_differently(sql, dialect, expected):
    assert translated(sql, dialect) == expected


def test_columns_can_be_renamed_to_any_sql():
    assert translated("amount > usual", "duckdb", {"amount": "f.amount"}) == 'f.amount > "usual"'


def test_an_unknown_dialect_is_refused():
    with pytest.raises(ExpressionError, match=r"no SQL dialect 'duck'\. Did you mean duckdb\?"):
        translated("amount > 1", "duck")


EVERYTHING = [
    "ROUND(amount, 2) % 3 + ABS(-usual) * FLOOR(amount) - CEIL(SQRT(LN(EXP(LOG10(amount))))) > POWER(amount, 2)",
    "HOUR(timestamp, 'Europe/Berlin') + MINUTE(timestamp, zone) + DAY(timestamp) > WEEKDAY(timestamp)",
    "MONTH(timestamp) + YEAR(timestamp) > 1",
    "IS_WEEKEND(timestamp) AND timestamp - TIMESTAMP '2026-01-01' > 5 AND timestamp IS NOT NULL",
    "IF(browser ILIKE 'a%', LOWER(browser) || 'x', CONCAT(UPPER(TRIM(browser)), SUBSTR(browser, 2, 3))) IN ('a', 'b')",
    "SPLIT_PART(browser, ' ', 2) = LEFT(browser, 1) OR RIGHT(browser, 2) BETWEEN 'a' AND 'b' OR LENGTH(browser) > 3",
    "DISTANCE_KM(amount, usual, LEAST(amount, 1), GREATEST(usual, 2)) > COALESCE(NULLIF(amount, 1), 3) OR NOT is_night",
]


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "spark"])
@pytest.mark.parametrize("sql", EVERYTHING)
def test_a_translation_can_be_read_in_its_dialect(sql, dialect):
    assert sqlglot.parse_one(translated(sql, dialect), dialect=dialect) is not None
