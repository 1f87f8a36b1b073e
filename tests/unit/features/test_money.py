"""Money: converted as of the event, never at a later rate."""

import re
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.clock import to_us
from penstock.codes import text_codes
from penstock.errors import DeclarationError
from penstock.features.money import Money
from penstock.messages import Batch, Layout, Type

RATES = "date,currency,rate\n2026-01-01,USD,0.9\n2026-01-05,USD,0.8\n2026-01-01,JPY,0.006\n2026-01-03,JPY,\n"


def layout():
    made = Layout()
    made.add("amount", Type.NUMBER)
    made.add("currency", Type.TEXT)
    return made


def converted(folder, rows, **options):
    columns = layout()
    conversion = Money("amount", "currency", to="EUR", rates=options.get("rates", "rates.csv")).load(folder, columns)
    n = len(rows)
    times = np.array([to_us(time.replace(tzinfo=UTC)) for _, _, time in rows], np.int64)
    batch = Batch([""] * n, np.zeros(n, np.uint8), times, times, np.full((n, columns.width), np.nan),
                  text_codes([c for _, c, _ in rows]).reshape(n, 1), {})  # fmt: skip
    batch.x[:, 0] = [np.nan if a is None else a for a, _, _ in rows]
    conversion.run(batch)
    return [None if np.isnan(v) else v for v in batch.x[:, columns["amount_eur"].index]]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "rates.csv").write_text(RATES)
    return tmp_path


def test_an_amount_takes_the_latest_rate_that_was_valid_at_its_time(folder):
    times = [datetime(2026, 1, 4, 23, 59, 59, 999999), datetime(2026, 1, 5), datetime(2027, 1, 1)]  # noqa: DTZ001
    assert converted(folder, [(100, "USD", t) for t in times]) == [90, 80, 80]


def test_a_rate_of_a_later_day_is_never_used(folder):
    assert converted(folder, [(100, "USD", datetime(2025, 12, 31, 23, 59))]) == [None]  # noqa: DTZ001


def test_money_of_the_target_currency_stays_as_it_is_at_any_time(folder):
    assert converted(folder, [(12.5, "EUR", datetime(2000, 1, 1))]) == [12.5]  # noqa: DTZ001


def test_a_missing_amount_currency_or_rate_is_null(folder):
    day = datetime(2026, 2, 1)  # noqa: DTZ001
    assert converted(folder, [(None, "USD", day), (5, None, day), (5, "CHF", day), (None, "EUR", day)]) == [None] * 4


def test_a_day_without_a_rate_keeps_the_one_before(folder):
    assert converted(folder, [(1000, "JPY", datetime(2026, 1, 4))]) == [pytest.approx(6)]  # noqa: DTZ001


def test_typed_files_give_the_same(folder):
    frame = pl.read_csv(folder / "rates.csv", try_parse_dates=True)
    frame.write_parquet(folder / "rates.parquet")
    rows = [(100, "USD", datetime(2026, 1, 7)), (1, "JPY", datetime(2026, 1, 1))]  # noqa: DTZ001
    assert converted(folder, rows, rates="rates.parquet") == converted(folder, rows)


days = st.dates(date(2025, 1, 1), date(2025, 2, 1))


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.tuples(days, st.sampled_from("ABC")), st.sampled_from([0.5, 1.5, 2.0, 3.0]), min_size=1, max_size=20),
    st.lists(st.tuples(st.sampled_from([1.0, 10.0]), st.sampled_from("ABCD"), days), min_size=1, max_size=20),
)
def test_conversion_agrees_with_a_search_through_all_rates(tmp_path_factory, rates, events):
    folder = tmp_path_factory.mktemp("rates")
    lines = [f"{day},{currency},{rate}" for (day, currency), rate in rates.items()]
    (folder / "rates.csv").write_text("\n".join(["date,currency,rate", *lines]))
    rows = [(amount, currency, datetime(day.year, day.month, day.day, 12)) for amount, currency, day in events]  # noqa: DTZ001
    wanted = []
    for amount, currency, day in events:
        valid = [(d, rate) for (d, c), rate in rates.items() if c == currency and d <= day]
        wanted.append(amount * max(valid)[1] if valid else None)
    assert converted(folder, rows) == wanted


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("day,currency,rate\n2026-01-01,USD,1\n", "no column 'date'"),
        ("date,currency,rate\n01/02/2026,USD,1\n", "not '01/02/2026'"),
        ("date,currency,rate\n2026-01-01,USD,0\n", "above 0"),
        ("date,currency,rate\n2026-01-01,USD,x\n", "has to hold numbers, not 'x'"),
        ("date,currency,rate\n2026-01-01,USD,1\n2026-01-01,USD,2\n", "two rates for USD on 2026-01-01"),
        ("date,currency,rate\n2026-01-01,USD,\n", "no rate in it"),
    ],
)
def test_a_file_that_is_not_one_of_rates_is_refused(tmp_path, content, said):
    (tmp_path / "rates.csv").write_text(content)
    with pytest.raises(DeclarationError, match=re.escape("feature 'amount_eur'") + ".*" + re.escape(said)):
        Money("amount", "currency", to="EUR", rates="rates.csv").load(tmp_path, layout())


def test_fields_are_checked(folder):
    with pytest.raises(DeclarationError, match="Did you mean amount"):
        Money("amonut", "currency", to="EUR", rates="rates.csv").load(folder, layout())
    with pytest.raises(DeclarationError, match="amount has to be a text, it is a number"):
        Money("amount", "amount", to="EUR", rates="rates.csv").load(folder, layout())


def test_the_result_is_a_number_named_after_amount_and_currency():
    money = Money("amount", "currency", to="EUR", rates="rates.csv")
    assert (money.name, money.named("euros").name, money.reads) == ("amount_eur", "euros", ("amount", "currency"))
