"""A backfill on Spark gives the rows of a replay, bit for bit, whatever the files look like; what it cannot do it says."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from penstock import replay
from penstock.clock import to_us
from penstock.errors import ConfigurationError, DataError, MissingExtra
from penstock.offline.simulate import simulate
from penstock.offline.train import train
from penstock.wiring.detectors import load_detector
from tests.integration import spark_world as world

pytest.importorskip("pyspark")
from penstock.adapters.spark.backfill import backfill
from penstock.adapters.spark.session import check_spark
from penstock.adapters.spark.source import DetectorSource

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # py4j leaves its sockets to the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SMALL = 128
"""Events of a slice, so that a few thousand make many."""


def source(name: str, models: Path | None = None) -> DetectorSource:
    return DetectorSource(f"{world.__file__}:{name}", load_detector, str(models) if models else None)


def filled(spark, source, files, folder, **options):
    """The rows of a backfill, and what became of it."""
    done = backfill(spark, source, files, folder / "out", **options)
    return pl.read_parquet(folder / "out" / "*.parquet"), done


def assert_equal(rows: pl.DataFrame, expected: pl.DataFrame) -> None:
    """Equal to the last bit; NaN and null differ, and so do 0.0 and -0.0."""
    assert rows.schema == expected.schema
    for name in expected.columns:
        left, right = rows[name], expected[name]
        if left.dtype == pl.Float64:
            left, right = left.reinterpret(signed=False), right.reinterpret(signed=False)
        assert left.equals(right), name


def test_ties_late_events_quiet_days_roles_labels_and_repeated_ids(spark, tmp_path):
    """Arrivals of their own, and the file in no order at all."""
    events = world.events().sample(fraction=1.0, shuffle=True, seed=1)
    events.write_parquet(tmp_path / "events.parquet")
    rows, done = filled(spark, source("transfers"), [tmp_path / "events.parquet"], tmp_path, buckets=3, slice_rows=SMALL)
    expected = replay(world.transfers, events)
    assert_equal(rows, expected)
    assert done.duplicates == len(events) - len(expected) > 20
    assert expected["receiver_frauds"].max() > 0
    assert expected["city_before"].null_count() < len(expected)


def test_a_file_without_arrivals_arrives_in_order_of_time_and_row(spark, tmp_path):
    """In the order of the file, from CSV, with rows that are no events."""
    events = world.events(1_500, seed=2).drop("arrived_at").sort("at")
    texts = events.with_columns(pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"), pl.col("amount").cast(pl.String))
    texts = texts.with_columns(amount=pl.when(pl.int_range(pl.len()) % 197 == 5).then(pl.lit("much")).otherwise("amount"))
    texts.write_csv(tmp_path / "events.csv")
    rows, done = filled(spark, source("transfers"), [tmp_path / "events.csv"], tmp_path, slice_rows=SMALL)
    with pytest.warns(UserWarning, match="8 of 1,500 rows are no events"):
        assert_equal(rows, replay(world.transfers, tmp_path / "events.csv"))
    assert done.refused == 8


def test_years_in_several_files_are_one_history_and_one_file_comes_out(spark, tmp_path):
    events = world.events(1_500, seed=3).sort("arrived_at", maintain_order=True)
    (tmp_path / "in").mkdir()
    for k in range(3):  # the second and third overlap
        events.gather_every(3, k).write_parquet(tmp_path / "in" / f"{k}.parquet")
    whole = pl.concat([pl.read_parquet(tmp_path / "in" / f"{k}.parquet") for k in range(3)])
    backfill(spark, source("transfers"), [tmp_path / "in"], tmp_path / "out.parquet", slice_rows=SMALL)
    assert_equal(pl.read_parquet(tmp_path / "out.parquet"), replay(world.transfers, whole))


def test_models_give_the_same_scores_and_decisions(spark, tmp_path):
    events = world.events(2_500, seed=4).filter(pl.col("type") == "transfer").drop("type")
    train(world.scored, events, save_to=tmp_path / "models")
    events.write_parquet(tmp_path / "events.parquet")
    rows, _ = filled(spark, source("scored", tmp_path / "models"), [tmp_path / "events.parquet"], tmp_path, slice_rows=SMALL)
    expected = replay(world.scored, events, models=tmp_path / "models")
    assert_equal(rows, expected)
    assert expected["score"].null_count() == 0
    assert expected["decision"].n_unique() > 1


def test_rules_that_ask_lists_meet_them_as_they_were_when_events_arrived(spark, tmp_path):
    """As a replay does, and as looking each event up by hand says."""
    events = world.events(2_000, seed=7).filter(pl.col("type") == "transfer").drop("type")
    events.write_parquet(tmp_path / "events.parquet")
    rows, _ = filled(spark, source("listed"), [tmp_path / "events.parquet"], tmp_path, buckets=3, slice_rows=SMALL)
    assert_equal(rows, replay(world.listed, events))
    first = events.sort("arrived_at", maintain_order=True).unique("transfer_id", keep="first", maintain_order=True)
    stolen, by_hand = world.listed.lists["stolen"], {}
    for name, who, arrived in first.select("transfer_id", "sender", "arrived_at").iter_rows():
        by_hand[name] = who in stolen.at(to_us(arrived))
    assert {name: decision == "BLOCK" for name, decision in rows.select("transfer_id", "decision").iter_rows()} == by_hand
    assert set(rows["decision"]) == {"APPROVE", "REVIEW", "BLOCK"}


def test_labels_counted_by_the_time_they_became_known(spark, tmp_path):
    """Exact where the stream never pauses for a day; else it says why not."""
    events = world.events(1_500, seed=5).filter(pl.col("type") == "transfer").drop("type")
    events.write_parquet(tmp_path / "pauses.parquet")
    with pytest.raises(DataError, match="more than a day"):
        backfill(spark, source("known"), [tmp_path / "pauses.parquet"], tmp_path / "none", slice_rows=SMALL)

    steady = events.with_columns(at=pl.lit(world.START) + pl.duration(minutes=11) * pl.int_range(pl.len())).drop("arrived_at")
    steady.write_parquet(tmp_path / "steady.parquet")
    rows, _ = filled(spark, source("known"), [tmp_path / "steady.parquet"], tmp_path, slice_rows=SMALL)
    expected = replay(world.known, steady)
    assert_equal(rows, expected)
    assert expected["sender_label_count_2d"].max() > 3


def test_parts_that_would_be_read_differently_are_refused(spark, tmp_path):
    """A key that is a whole number here and a fraction there would be spelled in two ways."""
    events = world.events(600, seed=6).filter(pl.col("type") == "transfer")
    keyed = events.with_columns(receiver=pl.int_range(pl.len()).cast(pl.Float64))
    keyed.write_parquet(tmp_path / "a.parquet")
    keyed.with_columns(receiver=pl.col("receiver") + 0.5).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"receiver reads as whole numbers in .*a\.parquet and as fractions in .*b\.parquet"):
        backfill(spark, source("transfers"), [tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path / "out")


def test_what_is_there_is_not_overwritten_and_what_is_missing_is_named(spark, tmp_path):
    with pytest.raises(ConfigurationError, match="overwrites nothing"):
        backfill(spark, source("transfers"), [tmp_path], tmp_path)
    with pytest.raises(DataError, match="there is no file"):
        backfill(spark, source("transfers"), [tmp_path / "none.parquet"], tmp_path / "out")
    (tmp_path / "events.ndjson").write_text("{}")
    with pytest.raises(DataError, match="turn it into Parquet"):
        backfill(spark, source("transfers"), [tmp_path / "events.ndjson"], tmp_path / "out")


def test_without_java_or_pyspark_the_remedy_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ConfigurationError, match="needs Java"):
        check_spark()
    monkeypatch.setitem(__import__("sys").modules, "pyspark", None)
    with pytest.raises(MissingExtra, match=r"penstock\[spark\]"):
        check_spark()


@pytest.mark.parametrize("name", ["banking", "card", "ecommerce", "mobile_money", "payments"])
def test_every_detector_of_the_package(name, spark, tmp_path):
    import importlib

    profile = importlib.import_module(f"penstock.detectors.{name}.profile").profile
    frame = simulate(profile, events=30_000, seed=12, fraud_rate=0.02, late_share=0.02)
    frame.write_parquet(tmp_path / "events.parquet")
    rows, _ = filled(spark, DetectorSource(name, load_detector), [tmp_path / "events.parquet"], tmp_path, slice_rows=1_000)
    assert_equal(rows, replay(load_detector(name), frame))
    shutil.rmtree(tmp_path / "out")
