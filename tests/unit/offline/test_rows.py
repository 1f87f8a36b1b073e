"""What training takes from recorded events: the replay's numbers, the truth as far as anybody knew it, nothing else."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from tests.unit.offline.conftest import declared

from penstock import Label, replay
from penstock.clock import to_us
from penstock.errors import DataError
from penstock.offline.datasets import read
from penstock.offline.rows import joined, replayed, weights_of


def rows_of(detector, frame):
    return replayed(detector, read(frame, detector))


def test_inputs_are_what_a_replay_gives(small, frame):
    rows, expected = rows_of(small, frame), replay(small, frame)
    assert rows.ids.tolist() == expected["id"].to_list()
    for name in ("customer_count_1d", "usual"):
        column = expected[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        np.testing.assert_array_equal(rows.x[:, small.plan.inputs.index(name)], column)
    assert rows.texts["branch"].texts.tolist() == frame["branch"].to_list()
    np.testing.assert_array_equal(rows.amount, frame["amount"].to_numpy())


def test_an_id_that_comes_again_is_one_row_with_the_first_ones_truth(small, frame):
    again = frame.head(5).with_columns(fraud=~pl.col("fraud"), time=pl.col("time") + timedelta(minutes=1))
    rows = rows_of(small, pl.concat([frame, again]))
    assert len(rows) == len(frame)
    assert dict(zip(rows.ids, rows.fraud, strict=True))["p0"] == float(frame["fraud"][0])


def test_what_nobody_labelled_is_unknown_not_good(small, frame):
    some = frame.with_columns(fraud=pl.when(pl.int_range(pl.len()) % 3 == 0).then(None).otherwise("fraud"))
    rows = rows_of(small, some)
    assert (~rows.known).sum() == 1000
    assert rows.frauds == some["fraud"].sum()


def test_what_was_stopped_is_good_only_where_somebody_looked(small, frame):
    """A blocked payment cannot become a chargeback, so its missing label says nothing."""
    decided = frame.with_columns(decision=pl.when(pl.col("amount") > 60).then(pl.lit("BLOCK")).otherwise(pl.lit("APPROVE")))
    rows = rows_of(small, decided)
    large, fraud = frame["amount"].to_numpy() > 60, frame["fraud"].to_numpy()
    assert rows.stopped.tolist() == large.tolist()
    assert (~rows.known).tolist() == (large & ~fraud).tolist()
    looked = decided.with_columns(
        label_known_at=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("time") + timedelta(days=1))
    )
    assert (~rows_of(small, looked).known).tolist() == (large & ~fraud & (np.arange(len(frame)) % 2 == 1)).tolist()


def test_where_only_frauds_are_labelled_approved_events_are_good_once_the_delay_has_passed(frame):
    delay = timedelta(days=3)
    detector = declared(label=Label("fraud", delay="3d", unobjected_is_good=True))
    frauds_alone = frame.with_columns(
        fraud=pl.when("fraud").then(pl.lit(value=True)),
        decision=pl.when(pl.col("amount") > 60).then(pl.lit("BLOCK")).otherwise(pl.lit("APPROVE")),
    )
    rows, end = rows_of(detector, frauds_alone), frame["time"].max()
    for row, event in enumerate(frame.iter_rows(named=True)):
        mature = event["amount"] <= 60 and event["time"] + delay <= end
        expected = 1.0 if event["fraud"] else 0.0 if mature else None
        assert (None if np.isnan(rows.fraud[row]) else rows.fraud[row]) == expected
        assert rows.known_us[row] == to_us(event["time"] + delay), "no training that ends earlier has it"
    assert 0 < (~rows.known & ~rows.stopped).sum() < rows.known.sum() - rows.frauds


def test_stopped_events_of_known_outcome_stand_for_those_nobody_looked_into(small, frame):
    decided = frame.with_columns(
        decision=pl.when(pl.col("amount") > 60).then(pl.lit("REVIEW")).otherwise(pl.lit("APPROVE")),
        label_known_at=pl.when(pl.int_range(pl.len()) % 4 == 0).then(pl.col("time") + timedelta(days=1)),
    )
    rows = rows_of(small, decided)
    known = rows.take(rows.known)
    weights = weights_of(known, rows)
    assert weights[known.stopped].sum() == pytest.approx(rows.stopped.sum())
    assert set(weights[~known.stopped]) == {1.0}
    assert weights_of(known, known) is None


def test_parts_joined_again_are_the_whole(small, frame):
    rows = rows_of(small, frame)
    halves = joined([rows.take(np.arange(1000)), rows.take(np.arange(1000, 3000))])
    np.testing.assert_array_equal(halves.x, rows.x)
    assert halves.texts["branch"].texts.tolist() == rows.texts["branch"].texts.tolist()


def test_without_any_label_there_is_nothing_to_train_on(small, frame):
    with pytest.raises(DataError, match="no event has a label in column 'fraud'"):
        rows_of(small, frame.with_columns(fraud=pl.lit(None, pl.Boolean)))
