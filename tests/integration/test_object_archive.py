"""The archive in an object store or a folder: whole files by hour, each decision once, and recorded data again."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import obstore
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from penstock import Detector, Engine, Entity, Label, LogisticRegression
from penstock.adapters.s3 import ArchiveSink, ObjectArchive
from penstock.adapters.s3 import reading as archive_reading
from penstock.adapters.s3.layout import Extent, file_of, file_path, that_count
from penstock.adapters.s3.place import StoreLocation
from penstock.cli import main
from penstock.clock import to_us
from penstock.config import Settings
from penstock.errors import ConfigurationError, DataError, Fenced, SinkUnavailable
from penstock.ledger import MemoryLedger
from penstock.ledger.archive import Archive
from penstock.offline.datasets import read
from penstock.offline.rows import replayed
from penstock.testing import SetClock, example_detector
from penstock.wiring import stores
from penstock.wiring.detectors import load_detector
from penstock.wiring.engines import openers
from penstock.wiring.traffic.events import read_recorded
from tests.integration.ledgers import BEGIN_US, HOUR_US, LAYOUT, record
from tests.waiting import wait_until

FIRST = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["folder", "s3"])
def url(request, tmp_path):
    return (
        str(tmp_path / "archive") if request.param == "folder" else request.getfixturevalue("bucket_url") + "&region=us-east-1"
    )


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "archive")


def local_ledger():
    ledger = MemoryLedger()
    ledger.register_layout("v1", LAYOUT)
    return ledger


def sink(url, log="banking", **options):
    return ArchiveSink(url, log, local_ledger(), **({"file_rows": 6, "every_s": 3600} | options))


def portions(count, first=0, detector="banking"):
    return [(k, record(3 * k, arrived_us=BEGIN_US + k * HOUR_US // 2, detector=detector)) for k in range(first, first + count)]


def seqs(url, detector="decisions"):
    with ObjectArchive(url) as archive:
        return archive.query(f"SELECT seq FROM {detector} ORDER BY ALL")["seq"].to_list()


# ---------------------------------------------------------------- files


def test_rows_lie_by_detector_and_hour_under_the_positions_of_their_stretch(url):
    kept = sink(url)
    assert kept.begin(7) == 0
    kept.write(portions(4)[:2])
    kept.write(portions(4)[2:])
    kept.close()
    with ObjectArchive(url) as archive:
        names = [file.path for file in archive.files]
    assert names == [
        "detector=banking/date=2026-01-01/hour=00/decisions-0000000000000000-0000000000000002-7.0-banking.parquet",
        "detector=banking/date=2026-01-01/hour=01/decisions-0000000000000002-0000000000000004-7.0-banking.parquet",
    ]
    assert seqs(url) == list(range(12))
    assert seqs(url, "banking") == list(range(12))


def test_what_is_archived_is_what_the_ledger_says(url, tmp_path):
    event = {"timestamp": "2026-01-05T10:00:00Z", "customer_id": "c", "amount": 3.0}
    with Engine(example_detector(), clock=SetClock(datetime(2026, 1, 5, 10, tzinfo=UTC))) as engine:
        engine.decide_many([{**event, "transaction_id": f"t{k}", "amount": k + 0.1} for k in range(50)])
        engine.label("t7", fraud=True)
        kept = ArchiveSink(url, "example", engine.ledger)
        kept.begin(1)
        kept.write(list(engine.ledger.read()))
        kept.close()
        with Archive(engine.ledger) as own, ObjectArchive(url) as archive:
            for query in ("SELECT * FROM decisions ORDER BY seq", "SELECT * FROM labels", "SELECT count(*) FROM quarantine"):
                assert_frame_equal(archive.query(query), own.query(query))
            with pytest.raises(DataError, match="one SELECT"):
                archive.query("DROP VIEW decisions")


def test_only_the_hours_asked_for_are_read(url):
    kept = sink(url)
    kept.begin(1)
    kept.write(portions(6))
    kept.close()
    with ObjectArchive(url, since=FIRST + timedelta(hours=1), until=FIRST + timedelta(hours=2)) as archive:
        assert archive.query("SELECT seq FROM decisions ORDER BY ALL")["seq"].to_list() == list(range(6, 12))


def test_each_decision_is_an_object_of_its_own_where_that_is_wanted(url):
    kept = sink(url, render=lambda record, rows: [f'{{"transaction_id":"{record.ids[row]}"}}'.encode() for row in rows])
    kept.begin(1)
    odd = record(0, ids=["a/b", "..", "ü ?"])
    kept.write([(0, odd)])
    kept.close()
    place = StoreLocation(url)
    paths = sorted(path for path in archive_reading.paths_of(place) if path.endswith(".json") and "json/" in path)
    folder = "detector=banking/date=2026-01-01/hour=00/json/"
    assert [path.removeprefix(folder) for path in paths] == ["%C3%BC%20%3F.json", "...json", "a%2Fb.json"]
    body = obstore.get(place.store, paths[2]).bytes()
    assert msgspec.json.decode(body) == {"transaction_id": "a/b"}


def test_what_waits_is_written_in_time_though_nothing_comes(folder):
    kept = sink(folder, file_rows=10_000, every_s=0.2)
    kept.begin(1)
    kept.write(portions(1))
    wait_until(lambda: seqs(folder))
    assert seqs(folder) == [0, 1, 2]
    kept.close()


def test_history_that_was_loaded_is_not_divided_by_its_hours(folder):
    kept = sink(folder)
    kept.begin(1)
    years = record(0, kind="loaded")
    years.arrived_us[:] = [BEGIN_US, BEGIN_US + 500 * HOUR_US, BEGIN_US + 9000 * HOUR_US]
    kept.write([(0, years)])
    kept.close()
    with ObjectArchive(folder) as archive:
        assert [(file.kind, file.hour) for file in archive.files] == [("loaded", None)]


# ---------------------------------------------------------------- owners, crashes, outages


def test_a_sink_goes_on_where_it_was_and_a_lower_number_writes_nothing(url):
    old, new = sink(url), sink(url)
    assert old.begin(5) == 0
    old.write(portions(3))
    assert new.begin(9) == 3
    with pytest.raises(Fenced, match="taken over by the owner with number 9"):
        old.write(portions(2, first=3))
    with pytest.raises(Fenced):
        old.begin(5)
    new.write(portions(2, first=3))
    old.close()
    new.close()
    assert sink(url).begin(9) == 5
    assert seqs(url) == list(range(15))


@pytest.mark.parametrize("puts", range(1, 9))
def test_a_crash_at_any_write_leaves_every_row_once(folder, monkeypatch, puts):
    done = []

    def put(self, path, data, put=ArchiveSink.put):
        if len(done) == puts:
            raise KeyboardInterrupt
        done.append(path)
        put(self, path, data)

    with monkeypatch.context() as patched:
        patched.setattr(ArchiveSink, "put", put)
        crashed = sink(folder)
        with pytest.raises(KeyboardInterrupt):
            crashed.begin(3)
            for portion in portions(9):
                crashed.write([portion])
        crashed.reign = None
        crashed.close()
    again = sink(folder, file_rows=9)  # cuts elsewhere than the one that crashed
    position = again.begin(4)
    again.write(portions(9 - position, first=position))
    again.close()
    assert seqs(folder) == list(range(27))


def test_a_frozen_owner_that_wakes_up_amid_its_files_changes_nothing(folder, monkeypatch):
    frozen, successor = sink(folder), sink(folder)
    frozen.begin(1)
    frozen.write(portions(2))

    def put(self, path, data, put=ArchiveSink.put):
        if self is frozen and path.endswith(".parquet") and successor.reign is None:
            position = successor.begin(2)
            successor.write(portions(5 - position, first=position))
        put(self, path, data)

    monkeypatch.setattr(ArchiveSink, "put", put)
    frozen.write(portions(2, first=2))
    successor.close()
    with pytest.raises(Fenced):
        frozen.write(portions(2, first=4))
    frozen.close()
    assert seqs(folder) == list(range(15))


def test_a_store_that_stops_is_waited_for_and_nothing_is_lost(s3, bucket_url):
    kept = sink(bucket_url)
    kept.begin(1)
    kept.write(portions(2))
    s3.stop()
    with pytest.raises(SinkUnavailable, match="does not answer"):
        kept.write(portions(2, first=2))
    with pytest.raises(SinkUnavailable):
        kept.write(portions(2, first=2))
    s3.start()
    kept.write(portions(2, first=2))
    kept.close()
    assert seqs(bucket_url) == list(range(12))


def test_an_extent_that_is_replaced_while_it_is_read_is_read_again(folder):
    """Some object stores cut an object to its length of before while a longer one takes its place."""
    kept = sink(folder)
    kept.begin(1)
    kept.write(portions(6))
    kept.close()
    (extent,) = (Path(folder) / "_owners").rglob("*.json")
    whole = extent.read_bytes()
    extent.write_bytes(whole[:-2])
    again = threading.Timer(0.1, extent.write_bytes, [whole])
    again.start()
    assert seqs(folder) == list(range(18))
    again.join()
    extent.write_bytes(b"")
    with pytest.raises(DataError, match=r"_owners/banking/1.0.json .* is damaged"):
        ObjectArchive(folder)


def test_detectors_and_shards_share_an_archive(folder):
    for log, detector in (("banking.shard-0", "banking"), ("banking.shard-1", "banking"), ("card", "card")):
        kept = sink(folder, log)
        assert kept.begin(1) == 0
        kept.write(portions(2, detector=detector))
        kept.close()
    assert seqs(folder, "banking") == sorted([*range(6), *range(6)])
    assert seqs(folder, "card") == list(range(6))


def test_files_outside_their_reign_do_not_count():
    def named(first, stop, fence, n=0):
        return file_of(file_path("d", "decisions", None, (first, stop), (fence, n), "a"))

    reigns = {"a": {(1, 0): Extent(0, 90), (1, 1): Extent(60, 60), (4, 0): Extent(60, 100)}}
    good = [named(0, 60, 1), named(60, 100, 4)]
    stray = [named(60, 90, 1), named(0, 70, 1), named(60, 70, 1, 1), named(100, 120, 4), named(0, 60, 2)]
    assert that_count([*stray, *good], reigns) == good


def test_a_url_that_names_no_archive_says_how_one_is_named(tmp_path):
    for url in ("gs://bucket/x", "s3://", "s3://bucket?endpint=http://x"):
        with pytest.raises(ConfigurationError, match="names no archive"):
            ObjectArchive(url)
    with pytest.raises(ConfigurationError, match="there is no folder"):
        ObjectArchive(str(tmp_path / "nowhere"))


# ---------------------------------------------------------------- recorded data again


class Paid(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    is_fraud: bool | None = None


def labelled_detector():
    customer = Entity("customer_id")
    return Detector(
        "paid",
        event=Paid,
        id="transaction_id",
        time="timestamp",
        features=[customer.count("1d"), customer.sum("amount", "7d"), customer.label_rate("30d", delay="1d")],
        models=[LogisticRegression()],
        label=Label("is_fraud", delay="1d"),
    )


def events(count=600, every=timedelta(hours=1)):
    at = [FIRST + k * every for k in range(count)]
    fraud = [k % 7 == 0 for k in range(count)]
    return pl.DataFrame(
        {
            "transaction_id": [f"p{k}" for k in range(count)],
            "timestamp": at,
            "customer_id": [f"c{k % 11}" for k in range(count)],
            "amount": [float(k % 13) + 50 * bad for k, bad in enumerate(fraud)],
            "is_fraud": fraud,
            "label_known_at": [time + timedelta(days=1) for time in at],
        }
    )


def without_models(detector):
    """It decides by rules, of which there are none."""
    detector.models = ()
    return detector


def archived(url, labelled, among=None):
    """Decide the events as they come, tell labels when they become known, and archive all of it. among: more events."""
    frame = labelled if among is None else among
    clock = SetClock(FIRST)
    with Engine(without_models(labelled_detector()), clock=clock) as engine:
        waiting = labelled.sort("label_known_at").rows(named=True)
        for row in frame.rows(named=True):
            clock.at(row["timestamp"])
            while waiting and waiting[0]["label_known_at"] <= row["timestamp"]:
                told = waiting.pop(0)
                engine.label(told["transaction_id"], fraud=told["is_fraud"], at=told["label_known_at"], source="bank")
            engine.decide({name: row[name] for name in ("transaction_id", "timestamp", "customer_id", "amount")})
        for told in waiting:
            engine.label(told["transaction_id"], fraud=told["is_fraud"], at=told["label_known_at"], source="bank")
        kept = ArchiveSink(url, "paid", engine.ledger)
        kept.begin(1)
        kept.write(list(engine.ledger.read()))
        kept.close()


DETECTOR = """
from tests.integration.test_object_archive import labelled_detector

detector = labelled_detector()
"""


def run(*arguments):
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return left.value.code


def test_models_learn_from_the_archive_what_they_would_from_the_file(folder, tmp_path):
    frame = events(300, timedelta(minutes=20))
    archived(folder, frame)
    path = tmp_path / "mine.py"
    path.write_text(DETECTOR)
    detector = load_detector(str(path))
    from_file, from_archive = (replayed(detector, data) for data in (read(frame, detector), read_recorded(str(path), folder)))
    for name in ("ids", "x", "fraud", "time_us", "known_us", "card", "amount"):
        np.testing.assert_array_equal(getattr(from_file, name), getattr(from_archive, name), strict=True)


def test_where_frauds_alone_are_labelled_an_archive_holds_good_payments_too(folder, tmp_path):
    frame = events(300, timedelta(minutes=20))
    path = tmp_path / "mine.py"
    path.write_text(
        DETECTOR + 'detector.label = type(detector.label)("is_fraud", delay="1d", unobjected_is_good=True)\n', encoding="utf-8"
    )
    archived(folder, frame.filter("is_fraud"), among=frame)
    detector = load_detector(str(path))
    rows = replayed(detector, read_recorded(str(path), folder))
    last = frame["timestamp"][-1]
    mature = (frame["timestamp"] + timedelta(days=1) <= last) | frame["is_fraud"]
    assert rows.known.tolist() == mature.to_list()
    assert rows.fraud[rows.known].tolist() == [float(bad) for bad in frame["is_fraud"].filter(mature)]


@pytest.mark.slow
def test_training_on_the_archive_is_training_on_the_file(bucket_url, tmp_path, capsys):
    frame = events(400)
    archived(bucket_url, frame)
    frame.write_parquet(tmp_path / "paid.parquet")
    (tmp_path / "mine.py").write_text(DETECTOR)
    reports = []
    for data in (tmp_path / "paid.parquet", bucket_url):
        assert run("train", tmp_path / "mine.py", "--data", data, "--json") == 0
        reports.append(msgspec.json.decode(capsys.readouterr().out))
    assert reports[0]["test"] == reports[1]["test"]
    assert reports[0]["members"] == reports[1]["members"]
    assert reports[0]["rows"] == reports[1]["rows"]


def test_replaying_the_archive_gives_the_features_of_the_file(folder, tmp_path, capsys):
    frame = events(200)
    archived(folder, frame)
    frame.write_parquet(tmp_path / "paid.parquet")
    (tmp_path / "mine.py").write_text(DETECTOR)
    for name, data in (("file", tmp_path / "paid.parquet"), ("archive", folder)):
        assert run("replay", tmp_path / "mine.py", data, "--out", tmp_path / f"{name}.parquet") == 0
    capsys.readouterr()
    assert_frame_equal(pl.read_parquet(tmp_path / "archive.parquet"), pl.read_parquet(tmp_path / "file.parquet"))


def test_a_label_counts_from_when_its_verdict_stands(folder):
    def day(number):
        return FIRST + timedelta(days=number)

    clock = SetClock(FIRST)
    with Engine(without_models(labelled_detector()), clock=clock) as engine:
        rows = events(4).drop("is_fraud", "label_known_at").to_dicts()
        engine.decide_many(rows)
        engine.label("p0", fraud=True, at=day(2), source="bank")
        engine.label("p0", fraud=True, at=day(5), source="analyst")
        engine.label("p1", fraud=True, at=day(2), source="bank")
        engine.label("p1", fraud=False, at=day(4), source="bank")
        engine.label("p2", fraud=False, at=day(3), source="bank")
        kept = ArchiveSink(folder, "paid", engine.ledger)
        kept.begin(1)
        kept.write(list(engine.ledger.read()))
        kept.close()
    path = Path(folder).parent / "mine.py"
    path.write_text(DETECTOR)
    frame = read_recorded(str(path), folder).frame.sort("transaction_id")
    assert frame["is_fraud"].to_list() == [True, False, False, None]
    assert frame["label_known_at"].to_list() == [day(2), day(4), day(3), None]


def test_a_service_archives_beside_its_ledger_and_the_query_finds_it(url, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(stores, "FINISH_S", 60.0)  # so long an end waits for the store: a busy machine's may be slow
    detector = example_detector()
    settings = Settings(data=tmp_path / "data", archive=url, json_per_decision=True)
    event = {"timestamp": "2026-01-05T10:00:00Z", "customer_id": "c", "amount": 3.0}
    for n in range(2):
        with openers([detector], settings)["example"]() as engine:
            engine.decide_many([{**event, "transaction_id": f"t{n}-{k}"} for k in range(3)])
    assert run("query", "SELECT count(*) AS n, min(customer_id) AS who FROM example", "--archive", url, "--json") == 0
    assert msgspec.json.decode(capsys.readouterr().out) == [{"n": 6, "who": "c"}]
    path = next(path for path in archive_reading.paths_of(StoreLocation(url)) if path.endswith("t1-2.json"))
    assert "detector=example/date=" in path
    assert to_us(FIRST) == BEGIN_US


def test_an_archive_without_the_detector_names_those_it_has(folder, tmp_path):
    kept = sink(folder)
    kept.begin(1)
    kept.write(portions(2))
    kept.close()
    with (
        ObjectArchive(folder) as archive,
        pytest.raises(DataError, match="no decisions of detector 'card'; archived here: banking"),
    ):
        archive.frames("card", ["decisions"])


@pytest.mark.parametrize("kept", [0, 12, 25])
def test_the_archive_of_a_restored_ledger_holds_its_records_alone(folder, kept, caplog):
    """Forty records are archived; the ledger is restored to the first `kept`, and gives the same positions to others."""

    def ledger_of(count, *, arrived_us):
        ledger = local_ledger()
        for position in range(count):
            ledger.append(record(3 * position, arrived_us=BEGIN_US if position < kept else arrived_us))
        return ledger

    def archive(ledger, *, file_rows=30):
        kept_in = ArchiveSink(folder, "banking", ledger, file_rows=file_rows)
        start = kept_in.begin(0)
        kept_in.write(list(ledger.read(start)))
        kept_in.close()
        return start

    assert archive(ledger_of(12, arrived_us=BEGIN_US)) == 0
    assert archive(ledger_of(40, arrived_us=BEGIN_US)) == 12
    restored = ledger_of(60, arrived_us=BEGIN_US + HOUR_US)
    assert archive(restored) == (0 if kept == 0 else 12)
    assert "does not belong to the ledger: record 39 of the log is another one" in caplog.text
    with ObjectArchive(folder) as found:
        rows = found.query("SELECT seq, hour(arrived_at) AS h FROM decisions ORDER BY seq").rows()
    assert rows == [(seq, 0 if seq < 3 * kept else 1) for seq in range(180)]
    assert archive(restored) == 60
