"""Frauds are as many as asked for, and no single number tells them from honest payments."""

import numpy as np
import polars as pl
import pytest

from penstock.offline.simulate import simulate
from penstock.offline.simulate.cities import distance_km


def auc(score: pl.Series, fraud: pl.Series) -> float:
    """The share of (fraud, honest) pairs that the score orders rightly, whichever way it points; missing is the median."""
    values = score.cast(pl.Float64)
    ranks = values.fill_null(values.median()).rank("average")
    frauds, honest = fraud.sum(), (~fraud).sum()
    share = (ranks.filter(fraud).sum() - frauds * (frauds + 1) / 2) / (frauds * honest)
    return max(share, 1 - share)


def test_the_fraud_rate_is_as_asked(profile, month):
    assert month["attack"].is_not_null().mean() == pytest.approx(0.02, rel=0.1)
    assert month[profile.label].mean() == pytest.approx(0.02, rel=0.15)


@pytest.mark.parametrize("rate", [0.0, 0.003, 0.1])
def test_other_rates_too(profile, rate):
    frame = simulate(profile, events=20_000, seed=8, fraud_rate=rate)
    assert frame["attack"].is_not_null().mean() == pytest.approx(rate, rel=0.2, abs=0.0015)  # one attack more or less


def test_no_column_alone_separates_the_classes(month):
    fraud = month["attack"].is_not_null()
    numbers = [name for name, kind in month.schema.items() if kind.is_numeric()]
    assert numbers
    for name in numbers:
        assert auc(month[name], fraud) < 0.9, name


def simple_features(payments: pl.DataFrame) -> dict[str, pl.Series]:
    """What the first hour of feature writing comes up with."""
    frame = payments.with_row_index("row").with_columns(
        before=pl.col("amount").cum_sum().over("customer_id") - pl.col("amount"),
        n=pl.col("row").cum_count().over("customer_id") - 1,
        gap=pl.col("timestamp").diff().over("customer_id").dt.total_seconds(),
        shop_n=pl.col("row").cum_count().over("merchant_id") - 1,
        shop_gap=pl.col("timestamp").diff().over("merchant_id").dt.total_seconds(),
        was_lat=pl.col("lat").shift().over("customer_id"),
        was_long=pl.col("long").shift().over("customer_id"),
    )
    km = distance_km(*(frame[name].to_numpy() for name in ("was_lat", "was_long", "lat", "long")))
    return {
        "hour": frame["timestamp"].dt.hour(),
        "ratio": frame["amount"] / (frame["before"] / frame["n"]).fill_nan(None),
        "payments before": frame["n"],
        "time since last": frame["gap"],
        "merchant's payments before": frame["shop_n"],
        "merchant's time since last": frame["shop_gap"],
        "way": pl.Series(km).fill_nan(None),
        "speed": pl.Series(km / np.maximum(frame["gap"].cast(pl.Float64).to_numpy(), 60.0)).fill_nan(None),
    }


def test_no_simple_feature_alone_separates_the_classes(payments):
    fraud = payments["attack"].is_not_null()
    for name, values in simple_features(payments).items():
        assert auc(values, fraud) < 0.9, name


def test_labels_come_late_and_are_not_all_true(payments):
    reported = payments.filter(pl.col("is_fraud"))
    delay_days = (reported["label_known_at"] - reported["timestamp"]).dt.total_seconds() / 86400
    assert 3 < delay_days.median() < 7
    assert delay_days.min() >= 0.09
    assert delay_days.max() > 15
    assert payments.filter(~pl.col("is_fraud"))["label_known_at"].null_count() == payments.filter(~pl.col("is_fraud")).height
    never = payments.filter(pl.col("attack").is_not_null())["is_fraud"].not_().mean()
    assert 0.005 < never < 0.08


def test_honest_people_do_odd_things_too(payments):
    honest = payments.filter(pl.col("attack").is_null())
    simple = simple_features(honest)
    assert (simple["ratio"] > 3).mean() > 0.003  # splurges
    assert (honest["amount"] > 1000).mean() > 0.0005
    assert (simple["speed"] * 3600 > 1000).mean() > 0.001  # family cards, false addresses
    assert (simple["time since last"] < 300).mean() > 0.02  # sprees
    newcomers = honest.unique("customer_id", keep="none").height
    assert newcomers > 500


def test_people_have_a_rhythm(payments):
    honest = payments.filter(pl.col("attack").is_null())
    london = honest.filter(pl.col("long").is_between(-3, 3) & pl.col("lat").is_between(47, 55))
    by_hour = london.group_by(pl.col("timestamp").dt.hour().alias("hour")).len().sort("hour")["len"]
    assert by_hour[2:5].sum() * 5 < by_hour[16:19].sum()
    weekday = honest.filter(pl.col("timestamp").dt.day() <= 28).group_by(pl.col("timestamp").dt.weekday().alias("day")).len()
    by_day = dict(weekday.iter_rows())
    assert by_day[5] > by_day[2]


def test_people_go_where_they_went_before(payments):
    """With merchants drawn by popularity alone, far fewer payments would return to a shop the customer knows."""
    regulars = payments.filter(pl.col("attack").is_null() & (pl.len().over("customer_id") >= 20))
    again = pl.struct("customer_id", "merchant_id").is_first_distinct().not_()
    assert regulars.select(again.mean()).item() > 0.5


def test_a_few_merchants_have_most_of_the_payments(payments):
    by_size = payments.group_by("merchant_id").len().sort("len", descending=True)["len"]
    assert by_size.head(len(by_size) // 10).sum() > 0.3 * by_size.sum()


def test_people_stay_away_while_they_travel(payments):
    """Honest payments in two cities less than a flight apart are the exception that family cards and addresses make."""
    honest = payments.filter(pl.col("attack").is_null())
    speed = simple_features(honest)["speed"] * 3600
    assert (speed > 1100).mean() < 0.03
