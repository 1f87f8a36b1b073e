"""What expressions mean, example by example."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from penstock.codes import text_codes
from penstock.expressions import assemble, constant_of, parse
from penstock.expressions.functions import FUNCTIONS, HIDDEN, SYNONYMS
from penstock.messages import Batch, Layout, Type

NULL = None
SCOPE = {
    "amount": Type.NUMBER, "zero": Type.NUMBER, "gone": Type.NUMBER, "is_night": Type.BOOLEAN, "unsure": Type.BOOLEAN,
    "timestamp": Type.TIME, "signup": Type.TIME, "browser": Type.TEXT, "nothing": Type.TEXT, "zone": Type.TEXT,
    "order": Type.NUMBER,
}  # fmt: skip
ROW = {
    "amount": 12.5, "zero": 0.0, "gone": NULL, "is_night": True, "unsure": NULL,
    "timestamp": datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), "signup": datetime(2026, 3, 28, 0, 59, 58, 500000, tzinfo=UTC),
    "browser": "Mobile Safari", "nothing": NULL, "zone": "Asia/Kolkata", "order": 3.0,
}  # fmt: skip


def value(sql, **changes):
    """The value of an expression for ROW with these changes."""
    row = ROW | changes
    layout = Layout()
    for name, kind in SCOPE.items():
        layout.add(name, kind)
    expression = parse(sql, SCOPE, place="test")
    target = layout.add("target", expression.type)
    batch = Batch(["id"], np.zeros(1, np.uint8), np.zeros(1, np.int64), np.zeros(1, np.int64),
                  np.full((1, layout.width), np.nan), np.zeros((1, layout.text_width), np.int64), {})  # fmt: skip
    for name, kind in SCOPE.items():
        v = row[name]
        if kind is Type.TEXT:
            batch.texts[name] = [v]
            batch.codes[0, layout[name].index] = text_codes([v])[0]
        elif v is not None:
            batch.x[0, layout[name].index] = (
                (v - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1) if isinstance(v, datetime) else v
            )
    assemble([(expression, "target")], layout).run(batch)
    if expression.type is Type.TEXT:
        return batch.texts["target"][0]
    result = batch.x[0, target.index]
    return None if math.isnan(result) else bool(result) if expression.type is Type.BOOLEAN else result


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("is_night AND amount > 2", True),
        ("is_night = TRUE", True),
        ("is_night = 1", True),
        ("is_night <> 1", False),
        ("is_night IS TRUE", True),
        ("unsure IS TRUE", False),
        ("unsure IS NOT TRUE", True),
        ("NOT unsure", NULL),
        ("unsure AND FALSE", False),
        ("unsure AND TRUE", NULL),
        ("unsure OR TRUE", True),
        ("unsure OR FALSE", NULL),
        ("gone = gone", NULL),
        ("gone IS NULL AND nothing IS NULL AND unsure IS NULL", True),
        ("amount BETWEEN 12.5 AND 12.5", True),
        ("amount NOT BETWEEN 1 AND 2", True),
        ("amount BETWEEN gone AND 2", False),
        ("amount IN (1, 12.5)", True),
        ("amount NOT IN (1, NULL)", NULL),
        ("amount IN (12.5, NULL)", True),
        ("amount IN (zero, order + 9.5)", True),
        ("browser IN ('Mobile Safari', 'x')", True),
        ("nothing = 'x'", NULL),
        ("browser <> 'mobile safari'", True),
        ("browser BETWEEN 'M' AND 'N'", True),
        ('"order" = 3 AND order = 3', True),
        ("timestamp > '2026-03-29' AND timestamp < TIMESTAMP '2026-03-29 02:59:59.000001+02:00'", True),
        ("timestamp > signup", True),
        ("amount == 12.5 AND amount != 12", True),
    ],
)
def test_conditions(sql, expected):
    assert value(sql) is expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("amount / zero", NULL),
        ("amount % zero", NULL),
        ("7 / 2", 3.5),
        ("-7 % 3", -1),
        ("7 % -3", 1),
        ("2 + 3 * 4 - -1", 15),
        ("-amount", -12.5),
        ("amount + gone", NULL),
        ("1e308 * 10", NULL),
        ("SQRT(-1)", NULL),
        ("LN(0)", NULL),
        ("LOG10(1000)", 3),
        ("EXP(710)", NULL),
        ("POWER(-8, 0.5)", NULL),
        ("POWER(0, -1)", NULL),
        ("POWER(gone, 0)", NULL),
        ("POW(2, 10)", 1024),
        ("ROUND(2.5)", 3),
        ("ROUND(-2.5)", -3),
        ("ROUND(0.49999999999999994)", 0),
        ("ROUND(12.345, 1)", 12.3),
        ("FLOOR(-0.5)", -1),
        ("CEIL(1e19)", 1e19),
        ("ABS(-3)", 3),
        ("MOD(7, 4)", 3),
        ("LEAST(gone, 3, 2)", 2),
        ("GREATEST(gone, gone)", NULL),
        ("COALESCE(gone, NULL, 4)", 4),
        ("NULLIF(amount, 12.5)", NULL),
        ("NULLIF(amount, gone)", 12.5),
        ("IF(unsure, 1, 2)", 2),
        ("IIF(is_night, 1, 2)", 1),
        ("CASE WHEN unsure THEN 1 WHEN amount > 10 THEN 2 ELSE 3 END", 2),
        ("CASE WHEN FALSE THEN 1 END", NULL),
        ("CASE order WHEN 1 THEN 10 WHEN 3 THEN 30 END", 30),
        ("timestamp - signup", 86400.5),
        ("LENGTH(browser)", 13),
        ("LENGTH('Zoë')", 3),
    ],
)
def test_numbers(sql, expected):
    assert value(sql) == expected


def test_times_are_read_in_utc_or_in_a_named_zone_with_its_summer_time():
    assert [value(f"{part}(timestamp)") for part in ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "WEEKDAY")] == [
        2026,
        3,
        29,
        0,
        59,
        6,
    ]
    assert value("IS_WEEKEND(timestamp)") is True
    assert value("HOUR(timestamp, 'Europe/Berlin')") == 1
    assert value("HOUR(timestamp, 'Europe/Berlin')", timestamp=datetime(2026, 3, 29, 1, tzinfo=UTC)) == 3
    assert value("HOUR(timestamp, zone)") == 6
    assert value("MINUTE(timestamp, zone)") == 29
    assert value("HOUR(timestamp, zone)", zone="Mars/Base") is None
    assert value("HOUR(timestamp, zone)", zone=None) is None
    assert value("DAY(timestamp, 'America/New_York')") == 28
    assert value("IS_WEEKEND(timestamp, 'America/New_York')", timestamp=datetime(2026, 3, 30, 3, tzinfo=UTC)) is True


def test_distance_is_that_of_the_great_circle_and_null_beyond_a_pole():
    assert value("DISTANCE_KM(52.5200, 13.4050, 48.8566, 2.3522)") == pytest.approx(877.46, abs=0.01)
    assert value("DISTANCE_KM(0, 0, 0, 180)") == pytest.approx(math.pi * 6371.0088)
    assert value("DISTANCE_KM(0, 179.5, 0, -179.5)") == pytest.approx(111.195, abs=0.001)
    assert value("DISTANCE_KM(91, 0, 0, 0)") is None
    assert value("DISTANCE_KM(amount, gone, 0, 0)") is None


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("LOWER(browser)", "mobile safari"),
        ("UPPER(browser) || '!'", "MOBILE SAFARI!"),
        ("browser || nothing", NULL),
        ("CONCAT(browser, nothing, '?')", "Mobile Safari?"),
        ("SUBSTR(browser, 8)", "Safari"),
        ("SUBSTRING(browser, 1, 3)", "Mob"),
        ("SPLIT_PART(browser, ' ', 2)", "Safari"),
        ("SPLIT_PART(browser, ' ', 5)", ""),
        ("LEFT(browser, 2) || RIGHT(browser, 2)", "Mori"),
        ("TRIM('  a b ')", "a b"),
        ("COALESCE(nothing, 'none')", "none"),
        ("NULLIF(browser, 'Mobile Safari')", NULL),
        ("CASE WHEN amount > 100 THEN 'big' WHEN amount > 10 THEN LOWER(browser) ELSE 'small' END", "mobile safari"),
        ("IF(is_night, 'it''s night', browser)", "it's night"),
        ("browser", "Mobile Safari"),
    ],
)
def test_texts(sql, expected):
    assert value(sql) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("browser LIKE 'Mobile%'", True),
        ("browser LIKE 'mobile%'", False),
        ("browser ILIKE 'mobile%'", True),
        ("browser NOT LIKE '%x'", True),
        ("browser LIKE 'Mobile_Safar_'", True),
        ("'a.c' LIKE 'a.c' AND 'abc' NOT LIKE 'a.c'", True),
        ("'two\nlines' LIKE 'two%'", True),
        ("nothing LIKE '%'", NULL),
    ],
)
def test_patterns(sql, expected):
    assert value(sql) is expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("amount > 5 AND FALSE", 0.0),
        ("amount > 5 OR 1 = 1", 1.0),
        ("amount > NULL", None),
        ("1 + 1 = 2", 1.0),
        ("LOWER('A') = 'a'", 1.0),
        ("COALESCE(NULL, 5) > 4", 1.0),
        ("IF(1 > 2, is_night, TRUE)", 1.0),
    ],
)
def test_what_never_changes_is_recognised(sql, expected):
    constant = constant_of(parse(sql, SCOPE, place="test"))
    assert constant is not None
    assert constant.value == expected


@pytest.mark.parametrize("sql", ["amount > 5", "amount = amount", "gone IS NULL", "unsure OR FALSE"])
def test_what_depends_on_the_event_is_no_constant(sql):
    assert constant_of(parse(sql, SCOPE, place="test")) is None


def test_an_expression_knows_its_type_names_functions_and_which_texts_it_reads():
    expression = parse("LOWER(browser) = 'x' AND zone = 'y' AND hour(timestamp) < 6", SCOPE, place="rule 'r'")
    assert expression.type is Type.BOOLEAN
    assert expression.names == {"browser", "zone", "timestamp"}
    assert {"LOWER", "=", "AND", "HOUR", "<"} <= expression.functions
    assert expression.texts == {"browser"}
    assert expression.place == "rule 'r'"


@pytest.mark.parametrize(
    ("sql", "canonical"),
    [
        ("is_night and amount>2000", "is_night AND amount > 2000"),
        ("(amount+1)*2", "(amount + 1) * 2"),
        ("amount-(zero-1)", "amount - (zero - 1)"),
        ("((amount - zero) - 1)", "amount - zero - 1"),
        ("(is_night or unsure) and (is_night or amount>1)", "(is_night OR unsure) AND (is_night OR amount > 1)"),
        ("hour(timestamp, 'Europe/Berlin')=3", "HOUR(timestamp, 'Europe/Berlin') = 3"),
        ("not is_night", "NOT is_night"),
        ("not (amount=1)", "NOT (amount = 1)"),
        ("browser like '%''s'", "browser LIKE '%''s'"),
        ("amount > 0.1 and amount < 1e30", "amount > 0.1 AND amount < 1e+30"),
    ],
)
def test_the_canonical_text_is_tidy(sql, canonical):
    assert parse(sql, SCOPE, place="test").sql == canonical


def test_the_page_of_the_language_names_every_function():
    page = Path(__file__).parents[3].joinpath("docs/reference/expressions.md").read_text().replace("\\|", "|")
    written = {name for name in (*FUNCTIONS, *SYNONYMS) if name not in HIDDEN}
    assert {name for name in written if f"`{name}" not in page} == set()
