"""What charts are drawn from: compared with counting by hand, on values of every kind."""

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from penstock.lab import charts, figures

RNG = random.Random(7)
OUTCOME = pl.Series([RNG.choice(figures.OUTCOMES) for _ in range(800)])

VALUES = {
    "skewed": [RNG.lognormvariate(3, 1.5) for _ in OUTCOME],
    "counts": [RNG.choice([0, 1, 2, 5]) for _ in OUTCOME],
    "negative": [RNG.gauss(-10, 3) for _ in OUTCOME],
    "constant": [4.25] * len(OUTCOME),
    "often missing": [RNG.choice([None, None, RNG.random()]) for _ in OUTCOME],
    "one value": [None] * (len(OUTCOME) - 1) + [3.0],
    "boolean": [RNG.choice([True, False, None]) for _ in OUTCOME],
    "texts": [f"m{int(RNG.expovariate(0.15))}" for _ in OUTCOME],
}


@pytest.mark.parametrize("name", VALUES)
def test_a_distribution_counts_every_value_once(name):
    values = pl.Series(VALUES[name])
    found = figures.distribution(values, OUTCOME)
    for outcome in figures.OUTCOMES:
        mine = found.filter(pl.col("outcome") == outcome)
        there = sum(1 for value, known in zip(values, OUTCOME, strict=True) if value is not None and known == outcome)
        assert mine["events"].sum() == there
        assert not there or mine["share"].sum() == pytest.approx(1.0)
    if "from" in found.columns:
        assert (found["from"] < found["to"]).all()
        assert found.select("from", "to").n_unique() <= figures.BINS + 1
    charts.by_outcome(found, name).to_dict()


def test_bins_lie_where_their_values_do():
    values = pl.Series(VALUES["skewed"])
    found = figures.distribution(values, pl.Series(["good"] * len(values))).sort("from")
    low, high = values.quantile(0.01, "linear"), values.quantile(0.99, "linear")
    assert found["from"].min() == pytest.approx(low)
    assert found["to"].max() == pytest.approx(high)
    for start, end, _, events, _ in found[1:-1].iter_rows():
        assert events == sum(1 for value in values if start <= value < end)


def test_whole_numbers_have_bins_of_their_own():
    found = figures.distribution(pl.Series(VALUES["counts"]), OUTCOME)
    assert sorted(set(found["from"])) == [0, 1, 2, 5]


def test_rare_texts_are_others():
    found = figures.distribution(pl.Series(VALUES["texts"]), OUTCOME)
    assert found["value"].n_unique() == figures.MOST_VALUES + 1
    assert "others" in found["value"]


@pytest.mark.parametrize("values", [[], [None, None]])
def test_what_holds_nothing_has_no_distribution(values):
    empty = figures.distribution(pl.Series(values, dtype=pl.Float64), pl.Series(["good"] * len(values), dtype=pl.String))
    assert empty.is_empty()


def test_features_that_tell_fraud_from_good_come_first():
    told = [float(known == "fraud") + RNG.random() / 10 for known in OUTCOME]
    table = figures.summary(pl.DataFrame({"noise": VALUES["negative"], "told": told, "flag": VALUES["boolean"]}), OUTCOME)
    assert table["feature"][0] == "told"
    row = table.row(0, named=True)
    mean = {
        name: pl.Series([value for value, known in zip(told, OUTCOME, strict=True) if known == name]).mean()
        for name in ("fraud", "good")
    }
    assert row["mean_fraud"] == pytest.approx(mean["fraud"])
    assert row["apart"] == pytest.approx((mean["fraud"] - mean["good"]) / pl.Series(told).std())
    missing = dict(table.select("feature", "missing").iter_rows())
    assert missing["flag"] == pytest.approx(VALUES["boolean"].count(None) / len(OUTCOME))


@pytest.mark.parametrize(("days", "every"), [(0.1, "5m"), (2, "1h"), (60, "1d"), (900, "1w")])
def test_a_chart_over_time_has_some_dozens_of_periods(days, every):
    start = datetime(2026, 1, 5, tzinfo=UTC)
    times = pl.Series(sorted(start + timedelta(days=days * RNG.random()) for _ in OUTCOME))
    assert figures.period(times) == every
    found = figures.over_time(times, OUTCOME, every)
    assert found["events"].sum() == len(OUTCOME)
    assert found["frauds"].sum() == (OUTCOME == "fraud").sum()
    for row in found.iter_rows(named=True):
        assert (row["rate"] is None) == (row["known"] < 30)
        assert row["rate"] is None or row["low"] <= row["rate"] == row["frauds"] / row["known"] <= row["high"]
    charts.fraud_rate(found).to_dict()
    charts.volume(found).to_dict()


def test_bars_stand_on_one_another_in_the_order_of_strictness():
    at = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [(at, "BLOCK", 2), (at, "APPROVE", 7), (at + timedelta(hours=1), "REVIEW", 3)]
    found = charts.stacked(charts.ranked(pl.DataFrame(rows, schema=["at", "decision", "events"], orient="row")))
    assert found.select("decision", "low", "high").rows() == [("APPROVE", 0, 7), ("BLOCK", 7, 9), ("REVIEW", 0, 3)]
    charts.decisions_over_time(found).to_dict()
