"""Ordinary people pay twice: they try again, pay in parts, and pay what is due every week or month."""

from dataclasses import replace

import polars as pl
import pytest
from tests.unit.simulate.test_repeatable import PEOPLE

from penstock.detectors.banking.profile import profile as banking
from penstock.offline.simulate import Profile, simulate

MERCHANT = {"banking": "merchant_id", "card": "merchant", "mobile_money": "nameDest", "payments": "merchant"}
AMOUNT = {"ecommerce": "purchase_value"}


def runs(frame: pl.DataFrame, profile: Profile) -> pl.DataFrame:
    """Every payment with the seconds since the last one by the same person of the same amount at the same merchant."""
    purchase = [PEOPLE[profile.name], AMOUNT.get(profile.name, "amount")]
    purchase += [MERCHANT[profile.name]] if profile.name in MERCHANT else []
    ordered = frame.drop_nulls(purchase).sort(profile.time)
    return ordered.with_columns(since_s=pl.col(profile.time).diff().over(purchase).dt.total_seconds())


def test_honest_people_try_again_within_seconds_or_minutes(profile, month):
    honest = runs(month.filter(pl.col("attack").is_null()), profile)
    again = honest.filter(pl.col("since_s") < 1800)
    assert 0.03 < len(again) / len(honest) < 0.25
    assert again["since_s"].min() < 15
    assert 20 < again["since_s"].median() < 120


def test_thieves_try_again_too(profile, month):
    frauds = runs(month.filter(pl.col("attack").is_not_null()), profile)
    assert 0.02 < (frauds["since_s"] < 1800).fill_null(value=False).mean() < 0.6


def test_some_honest_purchases_are_paid_in_parts(payments):
    honest = payments.filter(pl.col("attack").is_null()).sort("timestamp")
    same_shop = pl.struct("customer_id", "merchant_id", "lat", "long")
    soon = pl.col("timestamp").diff().over(same_shop).dt.total_seconds() < 600
    parts = honest.filter(soon & (pl.col("amount").diff().over(same_shop) != 0))
    assert 0.005 < len(parts) / len(honest) < 0.1


def test_some_payments_are_due_every_week_or_every_four_weeks(profile, month):
    honest = runs(month.filter(pl.col("attack").is_null()), profile)
    for days, least in ((7, 0.005), (28, 0.0005)):  # only what was due on the first two days is due again in this month
        due = honest.filter((pl.col("since_s") / 86400 - days).abs() < 0.001)
        assert len(due) > least * len(honest), days


def test_a_profile_says_how_often_people_pay_again():
    def again(**shares: float) -> float:
        quiet = replace(banking, **{"retry_share": 0.0, "split_share": 0.0, "recurring_share": 0.0} | shares)
        frame = simulate(quiet, events=20_000, seed=5, fraud_rate=0.0)
        return (runs(frame, banking)["since_s"] < 8 * 86400).mean()

    never = again()
    assert again(retry_share=0.1) > never + 0.05
    assert again(split_share=0.1) > never + 0.03
    assert again(recurring_share=0.3) > never + 0.03


def test_repeats_change_neither_the_share_of_frauds_nor_the_pace():
    lively = replace(banking, retry_share=0.1, split_share=0.1, recurring_share=0.2)
    frame = simulate(lively, events=30_000, seed=5, fraud_rate=0.02)
    assert frame["attack"].is_not_null().mean() == pytest.approx(0.02, rel=0.15)
    assert (frame["timestamp"].max() - frame["timestamp"].min()).days == pytest.approx(30, abs=5)
