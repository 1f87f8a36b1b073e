"""What SQL says is what the records hold, wherever they lie: in the log, in Parquet, or half and half."""

import time
from datetime import UTC, datetime

import duckdb
import numpy as np
import pytest
from tests.waiting import wait_until

from penstock.codes import text_codes
from penstock.errors import DataError, LedgerDamaged
from penstock.ledger import ArchiveField, FileLedger, MemoryLedger, Quarantined
from penstock.ledger.archive import Archive
from penstock.ledger.sql import _limited
from penstock.messages import Record

LAYOUT = {
    "x": [
        ArchiveField("amount"),
        ArchiveField("is_night", "boolean"),
        ArchiveField("visits", "integer"),
        ArchiveField("signup", "time"),
        ArchiveField(""),
    ],
    "action": [ArchiveField("decision", "text", ("APPROVE", "REVIEW", "BLOCK"))],
}
ACTIONS = LAYOUT["action"][0].values


def batch(rng, first_seq, n, detector="banking", layout="v1"):
    """Some decisions as columns, and the rows that SQL must show for them."""
    x = np.column_stack(
        [
            np.where(rng.random(n) < 0.2, np.nan, rng.integers(0, 900, n) / 4),
            rng.choice([0.0, 1.0, np.nan], n),
            rng.choice([3.0, 4.0, np.nan], n),
            np.where(rng.random(n) < 0.2, np.nan, 1.5e15 + rng.integers(0, 10**9, n)),
            rng.random(n),
        ]
    )
    ids = [f"tx{first_seq + k}" for k in range(n)]
    time_us = 1_600_000_000_000_000 + np.arange(first_seq, first_seq + n) * 1_500_000
    city = [None if rng.random() < 0.3 else f"c{k}" for k in range(n)]
    action = rng.integers(0, 3, n).astype(np.uint8)
    columns = {"x": x, "action": action, "city": city, "queue": rng.integers(0, 9, n)}
    meta = {"layout": layout, "ms": 0.5, "versions": {"model": "m1"}, "odd": [1]}
    record = Record("decisions", detector, first_seq, ids, text_codes(ids), time_us, time_us + 7, columns, meta)
    rows = [
        {
            "seq": first_seq + k,
            "detector": detector,
            "transaction_id": ids[k],
            "event_time": instant(time_us[k]),
            "arrived_at": instant(time_us[k] + 7),
            "amount": number(x[k, 0]),
            "is_night": None if np.isnan(x[k, 1]) else bool(x[k, 1]),
            "visits": None if np.isnan(x[k, 2]) else int(x[k, 2]),
            "signup": None if np.isnan(x[k, 3]) else instant(x[k, 3]),
            "decision": ACTIONS[action[k]],
            "city": city[k],
            "queue": int(columns["queue"][k]),
            "ms": 0.5,
            "versions_model": "m1",
        }
        for k in range(n)
    ]
    return record, rows


def number(value):
    return None if np.isnan(value) else float(value)


def instant(us):
    return datetime.fromtimestamp(int(us) // 10**6, UTC).replace(microsecond=int(us) % 10**6)


@pytest.fixture(params=["memory", "file"])
def ledger(request, tmp_path):
    with MemoryLedger() if request.param == "memory" else FileLedger(tmp_path / "ledger", segment_bytes=9_000) as opened:
        opened.register_layout("v1", LAYOUT)
        yield opened


def decide(ledger, rng, batches, **options):
    rows = []
    for _ in range(batches):
        record, more = batch(rng, ledger.next_seq, int(rng.integers(1, 40)), **options)
        ledger.append(record)
        rows += more
    ledger.flush()
    return rows


def everything(archive, view="decisions"):
    return archive.query(f"SELECT * FROM {view} ORDER BY seq").to_dicts()


def test_sql_shows_the_records_before_while_and_after_they_are_rolled(ledger, tmp_path):
    rng = np.random.default_rng(0)
    with Archive(ledger, tmp_path / "archive", file_rows=100) as archive:
        rows = decide(ledger, rng, 20)
        assert everything(archive) == rows
        assert archive.roll() >= 100
        assert 0 < archive.rolled_position < 20
        assert everything(archive) == rows
        rows += decide(ledger, rng, 3)
        assert everything(archive) == rows
        archive.roll(everything=True)
        assert archive.rolled_position == 23
        assert everything(archive) == rows
        assert archive.roll(everything=True) == 0
        rows += decide(ledger, rng, 1)
        assert everything(archive) == rows
    with Archive(ledger, tmp_path / "archive", file_rows=100) as again:
        assert everything(again) == rows


def test_types_are_those_of_the_fields(ledger):
    decide(ledger, np.random.default_rng(1), 2)
    with Archive(ledger) as archive:
        types = dict(archive.query("SELECT column_name, column_type FROM (DESCRIBE decisions)").rows())
    assert types == {
        "seq": "BIGINT",
        "detector": "VARCHAR",
        "transaction_id": "VARCHAR",
        "event_time": "TIMESTAMP WITH TIME ZONE",
        "arrived_at": "TIMESTAMP WITH TIME ZONE",
        "amount": "DOUBLE",
        "is_night": "BOOLEAN",
        "visits": "BIGINT",
        "signup": "TIMESTAMP WITH TIME ZONE",
        "decision": "VARCHAR",
        "city": "VARCHAR",
        "queue": "BIGINT",
        "ms": "DOUBLE",
        "versions_model": "VARCHAR",
    }


def test_an_ad_hoc_condition_counts_what_a_loop_counts(ledger):
    rows = decide(ledger, np.random.default_rng(2), 15)
    with Archive(ledger) as archive:
        [(found,)] = archive.query(
            "SELECT count(*) FROM decisions WHERE amount > 50 AND is_night AND decision <> 'APPROVE' AND hour(event_time) >= 12"
        ).rows()
    wanted = [r for r in rows if r["amount"] and r["amount"] > 50 and r["is_night"] and r["decision"] != "APPROVE"]
    assert found == sum(r["event_time"].hour >= 12 for r in wanted)


def test_detectors_of_different_columns_stand_in_one_view_and_each_in_its_own(ledger, tmp_path):
    rng = np.random.default_rng(3)
    banking = decide(ledger, rng, 3)
    ledger.register_layout("v2", {"x": [ArchiveField("amount"), ArchiveField("risk")]})
    cards = decide(ledger, rng, 3, detector="cards/eu", layout="v2")
    with Archive(ledger, tmp_path / "archive") as archive:
        for _ in range(2):
            assert everything(archive, "banking") == banking
            got = everything(archive, '"cards/eu"')
            assert [row["amount"] for row in got] == [row["amount"] for row in cards]
            assert {"risk", "x_2", "x_3", "x_4"} < set(got[0])
            both = everything(archive)
            assert [row["amount"] for row in both] == [row["amount"] for row in banking + cards]
            assert both[0]["risk"] is None
            archive.roll(everything=True)


def test_kinds_stand_in_views_of_their_own(ledger):
    ids = ["tx0", "tx1"]
    at = np.array([10**15, 10**15])
    record, _ = batch(np.random.default_rng(4), 0, 2)
    ledger.append(record)
    labels = {"fraud": np.array([True, False]), "source": ["bank", None]}
    ledger.append(Record("labels", "banking", 2, ids, text_codes(ids), at, at, labels))
    ledger.append(Record("control", "banking", 4, [], at[:0], at[:0], at[:0], {}, {"model": "m2"}))
    ledger.tables.quarantine([Quarantined("banking", 10**15, "amount is missing", "amount", b'{"a": "\xff"')])
    ledger.flush()
    with Archive(ledger) as archive:
        answer = archive.query(
            "SELECT d.transaction_id, l.fraud, l.source FROM decisions d JOIN labels l USING (transaction_id) ORDER BY 1"
        )
        assert answer.rows() == [("tx0", True, "bank"), ("tx1", False, None)]
        assert archive.query("SELECT cause, field, body, received_at FROM quarantine").rows() == [
            ("amount is missing", "amount", '{"a": "\N{REPLACEMENT CHARACTER}"', instant(10**15))
        ]
        assert archive.query("SELECT * FROM informing").rows() == []


def test_an_empty_ledger_has_all_views(ledger):
    with Archive(ledger) as archive:
        for view in ("decisions", "labels", "informing", "loaded", "quarantine"):
            assert archive.query(f"SELECT count(*) AS n FROM {view}").rows() == [(0,)]


def test_a_stretch_that_a_crash_left_half_rolled_is_not_seen_twice(tmp_path):
    rng = np.random.default_rng(5)
    with FileLedger(tmp_path / "ledger") as ledger:
        ledger.register_layout("v1", LAYOUT)
        rows = decide(ledger, rng, 10)
        with Archive(ledger, tmp_path / "archive") as archive:
            archive.roll(everything=True)
            ledger.tables.put_setting("archive.rolled", (0, 0))
            assert everything(archive) == rows
            archive.roll(everything=True)
            assert everything(archive) == rows


def test_files_of_a_ledger_that_is_gone_are_not_mixed_in(tmp_path):
    for k in range(2):
        with FileLedger(tmp_path / f"ledger{k}") as ledger, Archive(ledger, tmp_path / "archive") as archive:
            ledger.register_layout("v1", LAYOUT)
            rows = []
            for _ in range(2 + k):
                rows += decide(ledger, np.random.default_rng(k), 1 + k)
                archive.roll(everything=True)
            assert everything(archive) == rows


def test_a_reader_queries_beside_the_owner(tmp_path):
    with FileLedger(tmp_path / "ledger") as ledger, Archive(ledger, tmp_path / "archive", file_rows=50) as archive:
        ledger.register_layout("v1", LAYOUT)
        rows = decide(ledger, np.random.default_rng(6), 10)
        archive.roll()
        with FileLedger(tmp_path / "ledger", read_only=True) as reader, Archive(reader, tmp_path / "archive") as other:
            assert everything(other) == rows


@pytest.mark.parametrize(
    "sql",
    [
        "DROP VIEW decisions",
        "SELECT 1; SELECT 2",
        "",
        "COPY decisions TO '/tmp/x.csv'",
        "SELECT nothing FROM decisions",
        "SELEC 1",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_text('{folder}/../ledger/lock')",
        "SELECT 1) TO '{folder}/x' (FORMAT csv); --",
        "INSTALL httpfs",
        "SET enable_external_access = true",
    ],
)
def test_what_is_not_one_select_over_the_views_is_refused(tmp_path, sql):
    with MemoryLedger() as ledger, Archive(ledger, tmp_path / "archive") as archive, pytest.raises(DataError, match="query"):
        archive.query(sql.replace("{folder}", str(tmp_path / "archive")))


def test_the_background_rolls_full_stretches(tmp_path, monkeypatch):
    monkeypatch.setattr("penstock.ledger.archive._POLL_S", 0.01)
    with FileLedger(tmp_path / "ledger") as ledger, Archive(ledger, tmp_path / "archive", file_rows=50) as archive:
        ledger.register_layout("v1", LAYOUT)
        archive.start()
        rows = decide(ledger, np.random.default_rng(7), 10)
        wait_until(lambda: archive.rolled_position)
        assert everything(archive) == rows


def test_a_query_that_takes_too_long_is_stopped(ledger):
    with Archive(ledger) as archive:
        decide(ledger, np.random.default_rng(3), 1)
        with pytest.raises(DataError, match="stopped after 0 s"):
            archive.query("SELECT sum(sqrt(a.range * b.range)) FROM range(1000000) a, range(1000000) b", limit_s=0.05)
        assert archive.query("SELECT 1 AS one", limit_s=60.0)["one"].item() == 1


def test_a_query_is_stopped_also_where_its_time_is_over_before_it_begins():
    """DuckDB loses an interrupt that comes before there is something to interrupt."""
    with duckdb.connect() as db, pytest.raises(duckdb.InterruptException), _limited(db, 0.01):
        time.sleep(0.2)
        db.execute("SELECT sum(sqrt(a.range * b.range)) FROM range(200000) a, range(200000) b").fetchall()


# ---------------------------------------------------------------- files that are gone, ledgers that were restored


@pytest.fixture
def rolled(tmp_path):
    """A ledger with three rolled stretches and a rest, its archive, and all rows."""
    with FileLedger(tmp_path / "ledger", segment_bytes=4_000) as ledger, Archive(ledger, tmp_path / "archive") as archive:
        ledger.register_layout("v1", LAYOUT)
        rows = []
        for k in range(4):
            rows += decide(ledger, np.random.default_rng(k), 9)
            if k < 3:
                archive.roll(everything=True)
        yield ledger, archive, rows


@pytest.mark.parametrize("which", [0, 1, 2, "all"])
def test_rolled_files_that_are_gone_are_made_again_from_the_log(rolled, tmp_path, which, caplog):
    ledger, archive, rows = rolled
    files = sorted((tmp_path / "archive").glob("banking/*.parquet"))
    assert len(files) == 3
    for path in files if which == "all" else [files[which]]:
        path.unlink()
    with FileLedger(tmp_path / "ledger", read_only=True) as reader, Archive(reader, tmp_path / "archive") as beside:
        assert everything(beside) == rows
    assert everything(archive) == rows
    archive.roll(everything=True)
    assert everything(archive) == rows
    assert archive.rolled_position == ledger.position
    assert "is missing; what was in it is made again from the log" in caplog.text


def test_rolled_files_that_are_gone_are_named_where_the_log_no_longer_holds_them(rolled, tmp_path):
    ledger, archive, _ = rolled
    ledger.forget(20)
    first, *_ = sorted((tmp_path / "archive").glob("banking/*.parquet"))
    first.unlink()
    with pytest.raises(LedgerDamaged, match=r"lacks what was rolled from position 0 on.*restore the missing files"):
        archive.query("SELECT 1")


def test_an_archive_of_version_0_1_goes_on_without_a_list_of_its_files(rolled, tmp_path):
    ledger, archive, rows = rolled
    with ledger.tables.writing() as db:
        db.run("DELETE FROM settings WHERE name = 'archive.files'")
    assert everything(archive) == rows
    archive.roll(everything=True)
    assert everything(archive) == rows


def test_what_was_rolled_of_a_longer_log_is_not_mixed_in(rolled, tmp_path, caplog):
    ledger, archive, rows = rolled
    ledger.tables.put_setting("archive.rolled", (ledger.position + 5, ledger.next_seq + 50))
    assert everything(archive) == rows
    archive.roll(everything=True)
    assert everything(archive) == rows
    assert "it was restored" in caplog.text
