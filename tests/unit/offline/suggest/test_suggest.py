"""The search finds what was planted, refuses what nobody could know in time, and takes noise for noise."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest

from penstock import Detector, Entity, Label, LogisticRegression
from penstock.errors import DataError
from penstock.offline.suggest import SearchLimits, source, suggest

START = datetime(2026, 1, 1, tzinfo=UTC)


class Payment(msgspec.Struct):
    id: str
    time: datetime
    customer_id: str
    merchant_id: str
    category: str
    amount: float
    temperature: float
    balance: float | None = None
    number: float | None = None
    status: str | None = None
    fraud: bool | None = None


def shop(**changes) -> Detector:
    settings = {"event": Payment, "id": "id", "time": "time", "label": Label("fraud", delay="2d")}
    return Detector("shop", **{**settings, "models": [LogisticRegression()], **changes})


def payments(n=7_000, seed=0, days=60) -> pl.DataFrame:
    """Customers who pay more or less; frauds pay what is much for them, and for some others little."""
    rng = np.random.default_rng(seed)
    customer = rng.integers(0, 120, n)
    usual = np.exp(np.random.default_rng(1).normal(3, 1.5, 120))[customer]
    fraud = rng.random(n) < 0.04
    amount = np.round(usual * np.exp(rng.normal(0, 0.25, n) + 1.5 * fraud), 2)
    return pl.DataFrame(
        {
            "id": [f"p{i}" for i in range(n)],
            "time": [START + timedelta(days=float(at)) for at in np.sort(rng.random(n)) * days],
            "customer_id": [f"c{i}" for i in customer],
            "merchant_id": [f"m{i}" for i in rng.integers(0, 50, n)],
            "category": rng.choice(["food", "fuel", "games"], n),
            "amount": amount,
            "temperature": np.round(rng.normal(15, 8, n), 1),
            "fraud": fraud,
        }
    )


def with_leaks(frame: pl.DataFrame) -> pl.DataFrame:
    """A balance after the payment, a number that counts the rows of a table in which each day's frauds stand last, a status."""
    balance = 50_000 - pl.col("amount").cum_sum().over("customer_id")
    number = (pl.col("time").dt.epoch("d") * 2 + pl.col("fraud").cast(pl.Int64)).rank("ordinal").cast(pl.Float64)
    status = pl.when("fraud").then(pl.lit("reversed")).otherwise(pl.lit("settled"))
    return frame.with_columns(balance=balance, number=number, status=status)


@pytest.fixture(scope="module")
def found():
    return suggest(shop(), with_leaks(payments()), seed=1)


def test_what_is_much_for_a_customer_is_found_with_no_feature_declared(found):
    assert any("customer" in each.name and ("to_mean" in each.name or "_z_" in each.name) for each in found.chosen)
    assert found.later["with"] > found.later["without"] + 0.3


def test_what_is_much_beside_a_median_is_found_where_means_are_spoilt():
    """Some good payments are enormous, so that means, deviations and the largest values say little."""
    rng = np.random.default_rng(5)
    frame = payments(4_000, seed=4).with_columns(spoilt=pl.Series(rng.random(4_000) < 0.1) & ~pl.col("fraud"))
    frame = frame.with_columns(amount=pl.when("spoilt").then(pl.col("amount") * 10_000).otherwise("amount")).drop("spoilt")
    result = suggest(shop(), frame, seed=1, measured=False)
    names = [name for each in result.chosen for name in (each.name, *each.equals)]
    assert any("_median_" in name or "_p90_" in name for name in names)
    assert 'quantile("amount", "30d", q=0.9, current=False)' in source(result) or "_median_30d" in source(result)


def test_planted_leaks_are_refused_by_name_with_evidence(found):
    refused = {name: leak for leak in found.refused for name in leak.names}
    assert {"balance", "number", "status"} <= set(refused)
    assert "by the amount of this event" in refused["balance"].evidence
    assert "order of ids" in refused["number"].evidence
    assert "status" in refused["status"].evidence
    assert "--accept-input status" in refused["status"].remedy


def test_nothing_reads_a_refused_field(found):
    written = source(found).split("from penstock import")[1]
    assert not any(name in written for name in ("balance", "number", "status"))


def test_noise_is_not_suggested(found):
    assert not [each.name for each in found.chosen if "temperature" in each.name]
    assert len(found.chosen) < 20
    assert found.tried > 200


def test_every_suggestion_gains_more_than_noise_in_most_folds_and_has_a_cost(found):
    for each in found.chosen:
        assert each.gain > 0
        assert each.folds[0] > each.folds[1] / 2
        assert each.cost.ns > 0


def test_the_same_seed_gives_the_same(found):
    again = suggest(shop(), with_leaks(payments()), seed=1)
    assert [each.name for each in again.chosen] == [each.name for each in found.chosen]
    assert [each.gain for each in again.chosen] == [each.gain for each in found.chosen]
    assert again.later == found.later


def test_the_search_sees_nothing_of_the_test(found):
    """Payments after the test begins may say anything: the features stay the same."""
    frame = with_leaks(payments())
    begin = datetime.fromisoformat(found.later["from"])
    late = pl.col("time") >= begin
    changed = frame.with_columns(
        fraud=pl.when(late).then(pl.int_range(pl.len()) % 7 == 0).otherwise("fraud"),
        amount=pl.when(late).then(1.0).otherwise("amount"),
    )
    again = suggest(shop(), changed, seed=1, before=begin, accepted=[], measured=False)
    assert [each.name for each in again.chosen] == [each.name for each in found.chosen]


def test_the_code_declares_a_detector_that_computes_the_same(found):
    spelled: dict = {}
    exec(compile(source(found), "suggested.py", "exec"), spelled)  # the file that a person would paste
    detector = shop(features=spelled["suggested"], inputs=spelled["inputs"])
    applied = found.applied(shop())
    assert detector.plan.inputs == applied.plan.inputs
    names = [each.name for each in found.chosen]
    assert detector.fingerprint(names) == applied.fingerprint(names)


def test_label_features_come_with_the_delay(found):
    for each in found.features:
        if each.described.kind in ("label_count", "label_rate"):
            assert each.described.delay == "2d"


def test_labels_that_are_known_at_once_feed_no_feature():
    result = suggest(shop(label=Label("fraud")), payments(4_000), limits=SearchLimits(minutes=0.001), measured=False)
    assert any("no feature reads labels" in note for note in result.notes)


def test_an_accepted_field_is_read():
    result = suggest(
        shop(), with_leaks(payments(4_000)), accepted=["balance"], limits=SearchLimits(minutes=0.001), measured=False
    )
    assert "balance" not in {name for leak in result.refused for name in leak.names}


def test_a_search_without_time_ends_and_names_what_it_did_not_try():
    result = suggest(shop(), payments(4_000), limits=SearchLimits(minutes=1e-6), measured=False)
    assert any("the time was up before these were tried" in note for note in result.notes)


def test_a_large_file_is_sampled_by_key_and_says_so():
    frame = payments(7_000)
    result = suggest(
        shop(features=[Entity("customer_id").count("1d")]),
        frame,
        limits=SearchLimits(minutes=1e-6, events=5_000),
        measured=False,
    )
    [note] = [note for note in result.notes if "the search read" in note]
    assert "all of some values of customer_id" in note


def test_too_few_frauds_are_refused_with_the_remedy():
    frame = payments(2_000).with_columns(fraud=pl.int_range(pl.len()) % 200 == 0)
    with pytest.raises(DataError, match="too few to judge features by"):
        suggest(shop(), frame)
