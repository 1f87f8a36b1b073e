"""Accounts of simulated mobile money keep books that add up."""

from datetime import UTC, datetime

import polars as pl
import pytest

from penstock.detectors.mobile_money.profile import profile
from penstock.offline.simulate import Simulator, simulate

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def month() -> pl.DataFrame:
    """A month of movements in cents, in the order of the books."""
    money = ("amount", "oldbalanceOrg", "newbalanceOrig", "oldbalanceDest", "newbalanceDest")
    cents = [(pl.col(name) * 100).round().cast(pl.Int64) for name in money]
    return simulate(profile, events=30_000, seed=4).with_columns(cents)


def test_every_type_of_movement_takes_place_and_people_pay_most_often(month):
    shares = dict(month["type"].value_counts(normalize=True).iter_rows())
    assert set(shares) == {"PAYMENT", "TRANSFER", "CASH_OUT", "DEBIT", "CASH_IN"}
    assert shares["PAYMENT"] == max(shares.values())
    assert shares["DEBIT"] < 0.05


def test_the_balance_after_a_movement_is_the_one_before_less_the_amount(month):
    sign = pl.when(pl.col("type") == "CASH_IN").then(1).otherwise(-1)
    moved = month.select(pl.col("newbalanceOrig") - pl.col("oldbalanceOrg") - sign * pl.col("amount")).to_series()
    assert (moved == 0).all()
    between_accounts = month.filter(pl.col("type") != "PAYMENT")
    received = between_accounts.select(
        pl.col("newbalanceDest") - pl.col("oldbalanceDest") + sign * pl.col("amount")
    ).to_series()
    assert (received == 0).all()


def test_nobody_owes_and_merchants_show_no_balance(month):
    assert month["newbalanceOrig"].min() >= 0
    assert month["newbalanceDest"].min() >= 0
    at_merchants = month.filter(pl.col("type") == "PAYMENT")
    assert at_merchants["nameDest"].str.starts_with("M").all()
    assert at_merchants["newbalanceDest"].max() == 0


def test_an_account_has_what_its_last_movement_left_it(month):
    """Nearly always: what a thief waits for comes in by a way that is not seen."""
    numbered = month.with_row_index("n")
    sent = numbered.select("n", "amount", account="nameOrig", before="oldbalanceOrg", after="newbalanceOrig")
    received = numbered.filter(pl.col("type") != "PAYMENT").select(
        "n", "amount", account="nameDest", before="oldbalanceDest", after="newbalanceDest"
    )
    rows = pl.concat([sent, received]).filter(~pl.col("account").str.starts_with("C3")).sort("n", maintain_order=True)
    left = rows.with_columns(left=pl.col("after").shift().over("account")).drop_nulls("left")
    assert len(left) > 10_000
    assert (left["left"] == left["before"]).mean() > 0.995


def test_honest_people_empty_their_accounts_too(month):
    honest = month.filter(pl.col("attack").is_null() & (pl.col("type") == "CASH_OUT"))
    assert (honest["newbalanceOrig"] == 0).mean() > 0.05


def test_upstream_flags_few_and_mostly_frauds():
    frame = simulate(profile, events=60_000, seed=5, fraud_rate=0.02)
    flagged = frame.filter(pl.col("isFlaggedFraud") == 1)
    assert 0 < len(flagged) < 0.3 * frame["attack"].is_not_null().sum()
    assert flagged["attack"].is_not_null().mean() > 0.8


def test_the_books_are_the_same_whatever_the_size_of_the_batches():
    whole = Simulator(profile, seed=7, start=START, people=400).batch(3000)
    parts = Simulator(profile, seed=7, start=START, people=400)
    assert pl.concat([parts.batch(n) for n in (1, 999, 500, 1500)]).equals(whole)
