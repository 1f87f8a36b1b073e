"""What every ledger owes (`penstock.ledger.port`), shown on each implementation."""

import threading

import numpy as np
import pytest

from penstock.adapters.postgres import PostgresLedger, create
from penstock.codes import text_codes
from penstock.errors import LedgerError, LedgerFull
from penstock.ledger import (
    ArchiveField,
    Delivery,
    DetectorVersion,
    FallbackAnswer,
    FileLedger,
    LedgerLabel,
    MemoryLedger,
    Quarantined,
    Raised,
)
from penstock.messages import Record
from penstock.stream.journal_ledger import JournalLedger

DAY_US = 86_400_000_000


def record(ids, first_seq, kind="decisions", detector="banking", arrived_us=1_000, **columns):
    n = len(ids)
    columns = columns or {"x": np.arange(3.0 * n).reshape(n, 3), "merchant": [f"m{k}" if k else None for k in range(n)]}
    arrived = np.full(n, arrived_us, np.int64)
    return Record(kind, detector, first_seq, ids, text_codes(ids), arrived - 5, arrived, columns, {"layout": "a", "ms": 1.5})


def same(left, right):
    assert (left.kind, left.detector, left.first_seq, left.ids, left.meta) == (
        right.kind,
        right.detector,
        right.first_seq,
        right.ids,
        right.meta,
    )
    for name in ("codes", "time_us", "arrived_us"):
        assert np.array_equal(getattr(left, name), getattr(right, name))
    assert set(left.columns) == set(right.columns)
    for name, column in left.columns.items():
        other = right.columns[name]
        if isinstance(column, list):
            assert column == other
        else:
            assert column.dtype == other.dtype
            assert np.array_equal(column, other, equal_nan=column.dtype.kind == "f")


@pytest.fixture(params=["memory", "file", "file, tiny segments and runs", "file, behind a broker", "postgres"])
def open_ledger(request, tmp_path):
    """Opens the ledger; a second call after `close` opens the same folder or database again (memory cannot)."""
    opened = []
    url = empty_ledger(request) if request.param == "postgres" else ""

    def open_it():
        if request.param == "memory":
            opened.append(MemoryLedger())
        elif request.param == "file":
            opened.append(FileLedger(tmp_path / "ledger"))
        elif request.param == "file, behind a broker":
            opened.append(JournalLedger(FileLedger(tmp_path / "ledger")))
        elif request.param == "postgres":
            opened.append(PostgresLedger(url))
        else:
            opened.append(FileLedger(tmp_path / "ledger", segment_bytes=2_000, seal_rows=8))
        return opened[-1]

    open_it.reopens = request.param != "memory"
    yield open_it
    for ledger in opened:
        ledger.close()


def empty_ledger(request):
    """The URL of a ledger in a database of its own, where a server can be had."""
    url = request.getfixturevalue("postgres_url")
    create(url)
    return url


@pytest.fixture
def ledger(open_ledger):
    return open_ledger()


def fill(ledger, batches=40, rows=3):
    for k in range(batches):
        ids = [f"tx{k}-{i}" for i in range(rows)]
        ledger.append(record(ids, ledger.next_seq, arrived_us=1_000 + k))
    ledger.flush()


# ---------------------------------------------------------------- appending and reading


def test_a_record_comes_back_as_it_was_appended(ledger):
    sent = record(
        ["a", "b"],
        0,
        x=np.array([[1.0, np.nan], [-0.0, 1e300]]),
        flags=np.array([True, False]),
        actions=np.array([3, 0], np.uint8),
        none=np.empty((2, 0)),
        city=["Zürich", None],
    )
    assert ledger.append(sent) == 0
    ledger.flush()
    [(position, got)] = ledger.read()
    assert position == 0
    same(got, sent)


def test_done_is_called_once_each_in_the_order_of_appending(ledger):
    told = []
    for k in range(50):
        ledger.append(record([f"t{k}"], ledger.next_seq), lambda error, k=k: told.append((k, error)))
    ledger.flush()
    assert told == [(k, None) for k in range(50)]


def test_a_record_is_readable_when_done_is_called(ledger):
    seen = []
    ledger.append(record(["a"], 0), lambda error: seen.append(ledger.find("banking", "a")))
    ledger.flush()
    assert seen[0][0].ids == ["a"]


def test_positions_and_sequence_numbers_count_records_and_rows(ledger):
    fill(ledger, batches=4, rows=3)
    assert (ledger.position, ledger.durable_position, ledger.next_seq) == (4, 4, 12)
    assert [(p, r.first_seq) for p, r in ledger.read()] == [(0, 0), (1, 3), (2, 6), (3, 9)]


def test_reading_starts_anywhere_and_keeps_to_the_kinds_asked_for(ledger):
    fill(ledger, batches=30)
    ledger.append(record(["tx1-1"], ledger.next_seq, kind="labels"))
    ledger.append(record([], ledger.next_seq, kind="control"))
    ledger.append(record(["z"], ledger.next_seq))
    ledger.flush()
    assert [p for p, _ in ledger.read(27)] == [27, 28, 29, 30, 31, 32]
    assert [p for p, _ in ledger.read(kinds={"labels", "control"})] == [30, 31]
    assert list(ledger.read(33)) == []


def test_a_record_with_a_gap_in_its_sequence_numbers_is_refused(ledger):
    with pytest.raises(ValueError, match="begins at sequence number 7, the next one is 0"):
        ledger.append(record(["a"], 7))
    assert ledger.next_seq == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": np.zeros(3, np.int64)}, "column 'codes' of a decisions record has 3 rows, its ids have 2"),
        ({"kind": "gossip"}, "record kind 'gossip' is not known"),
        ({"time_us": np.zeros(2)}, "column 'time_us' must be int64, not float64"),
        ({"columns": {"city": ["x"]}}, "column 'city' of a decisions record has 1 rows"),
    ],
)
def test_a_record_that_does_not_fit_together_is_refused_before_it_is_queued(ledger, change, message):
    wrong = record(["a", "b"], 0)
    for name, value in change.items():
        setattr(wrong, name, value)
    with pytest.raises(ValueError, match=message):
        ledger.append(wrong)
    assert ledger.position == 0


def test_a_closed_ledger_takes_nothing(ledger):
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.append(record(["a"], 0))


# ---------------------------------------------------------------- finding


def test_every_id_is_found_in_its_record_and_row(ledger):
    fill(ledger, batches=40, rows=3)
    for k in range(40):
        for i in range(3):
            found, row = ledger.find("banking", f"tx{k}-{i}")
            assert (found.ids[row], found.first_seq + row) == (f"tx{k}-{i}", 3 * k + i)
    assert ledger.find("banking", "tx40-0") is None


def test_an_id_belongs_to_its_detector(ledger):
    ledger.append(record(["a"], 0, detector="banking"))
    ledger.append(record(["a"], 1, detector="cards"))
    ledger.flush()
    assert ledger.find("cards", "a")[0].first_seq == 1
    assert ledger.find("banking", "a")[0].first_seq == 0
    assert ledger.find("other", "a") is None


def test_a_label_is_not_taken_for_the_transaction_it_speaks_of(ledger):
    ledger.append(record(["a"], 0))
    ledger.append(record(["a"], 1, kind="labels"))
    ledger.append(record(["b"], 2, kind="loaded"))
    ledger.flush()
    assert ledger.find("banking", "a")[0].kind == "decisions"
    assert ledger.find("banking", "b") is None
    assert ledger.find("banking", "b", kinds=("loaded",))[0].kind == "loaded"


def test_of_an_id_that_came_again_the_newest_is_found(ledger):
    fill(ledger, batches=10)
    ledger.append(record(["tx0-0"], ledger.next_seq))
    ledger.flush()
    assert ledger.find("banking", "tx0-0")[0].first_seq == 30


def test_a_sequence_number_leads_to_its_record_even_before_it_is_durable(ledger):
    ledger.append(record(["a", "b"], 0))
    found, row = ledger.record_of(1)
    assert found.ids[row] == "b"
    ledger.flush()
    found, row = ledger.record_of(1)
    assert found.ids[row] == "b"
    assert ledger.record_of(2) is None


def test_recent_rows_come_newest_first(ledger):
    fill(ledger, batches=20, rows=3)
    ledger.append(record(["other"], ledger.next_seq, detector="cards"))
    ledger.append(record(["label"], ledger.next_seq, kind="labels"))
    ledger.flush()
    seqs = [found.first_seq + row for found, row in ledger.recent("banking")]
    assert seqs == list(reversed(range(60)))
    assert [r.first_seq + row for r, row in ledger.recent("banking", limit=4, before=50)] == [49, 48, 47, 46]
    assert [r.ids[row] for r, row in ledger.recent("cards", limit=4)] == ["other"]
    assert list(ledger.recent("banking", before=0)) == []


def test_readers_in_other_threads_see_a_growing_log_without_gaps(ledger):
    problems = []
    stop = threading.Event()

    def look():
        while not stop.is_set():
            positions = [p for p, _ in ledger.read()]
            newest = [r.first_seq + row for r, row in ledger.recent("banking", limit=5)]
            if positions != list(range(len(positions))) or newest != sorted(newest, reverse=True):
                problems.append((positions, newest))

    if isinstance(ledger, MemoryLedger):
        pytest.skip("the ledger in memory belongs to one thread")
    thread = threading.Thread(target=look)
    thread.start()
    fill(ledger, batches=150)
    stop.set()
    thread.join()
    assert problems == []


# ---------------------------------------------------------------- idempotency


def test_claims_know_what_was_appended_before_they_were_made(ledger):
    fill(ledger, batches=20, rows=3)
    ledger.append(record(["x"], ledger.next_seq, detector="cards", arrived_us=1_020))
    claims = ledger.claims("banking", DAY_US)
    codes = text_codes(["tx0-0", "new", "tx19-2", "x"])
    assert claims.claim(codes, np.full(4, 1_020), 100).tolist() == [0, -1, 59, -1]
    assert ledger.claims("banking", DAY_US) is claims


def test_claims_of_what_is_older_than_dedupe_are_not_restored(ledger):
    ledger.append(record(["old"], 0, arrived_us=0))
    ledger.append(record(["new"], 1, arrived_us=2 * DAY_US))
    claims = ledger.claims("banking", DAY_US)
    assert claims.peek(text_codes(["old", "new"]), np.full(2, 2 * DAY_US)).tolist() == [-1, 1]


# ---------------------------------------------------------------- trouble


def break_it(ledger, error):
    ledger = ledger.local if isinstance(ledger, JournalLedger) else ledger
    if isinstance(ledger, MemoryLedger):
        ledger.trouble = error
        return lambda: setattr(ledger, "trouble", None)
    write = ledger.writer.write

    def failing(*_):
        raise OSError(28, "No space left on device")

    ledger.writer.write = failing
    return lambda: setattr(ledger.writer, "write", write)


def test_in_trouble_everybody_is_told_and_nothing_is_lost(ledger):
    ledger.append(record(["before"], 0))
    ledger.flush()
    mend = break_it(ledger, LedgerFull("no room"))
    told = []
    ledger.append(record(["during"], 1), told.append)
    with pytest.raises(LedgerFull, match="no room"):
        ledger.flush()
    assert isinstance(ledger.trouble, LedgerFull)
    assert [type(error) for error in told] == [LedgerFull]
    assert (ledger.durable_position, ledger.position) == (1, 2)
    assert ledger.find("banking", "during") is None
    assert ledger.record_of(1)[0].ids == ["during"]
    mend()
    ledger.append(record(["after"], 2), told.append)
    ledger.flush()
    assert ledger.trouble is None
    assert [r.ids for _, r in ledger.read()] == [["before"], ["during"], ["after"]]
    assert told[1:] == [None]


def test_a_wish_to_be_told_is_granted_after_what_was_appended_before_it(ledger):
    told = []
    ledger.append(record(["a"], 0), lambda error: told.append("a"))
    ledger.when_durable(told.append)
    ledger.append(record(["b"], 1), lambda error: told.append("b"))
    ledger.flush()
    assert told == ["a", None, "b"]


# ---------------------------------------------------------------- tables


def test_layouts_are_kept_and_never_change(ledger):
    columns = {
        "x": [ArchiveField("amount"), ArchiveField("night", "boolean")],
        "action": [ArchiveField("decision", "text", ("A", "B"))],
    }
    ledger.register_layout("v1", columns)
    ledger.register_layout("v1", columns)
    assert ledger.layouts() == {"v1": columns}
    with pytest.raises(LedgerError, match="layout 'v1' is registered with other columns"):
        ledger.register_layout("v1", {"x": [ArchiveField("amount")]})


def test_a_label_of_higher_rank_wins_and_history_keeps_all(ledger):
    tables = ledger.tables
    analyst = LedgerLabel("banking", "t", False, "good", "analyst", 10, 10, rank=2)
    bank = LedgerLabel("banking", "t", True, "chargeback", "bank", 20, 20, rank=1)
    later = LedgerLabel("banking", "t", True, "fraud", "analyst", 30, 30, rank=2)
    tables.put_labels([analyst, bank])
    tables.put_labels([bank])
    assert tables.label_of("banking", "t") == analyst
    tables.put_labels([later])
    assert tables.label_of("banking", "t") == later
    assert tables.label_history("banking", "t") == [analyst, bank, later]
    assert tables.label_of("cards", "t") is None


def test_quarantine_keeps_cause_and_bytes(ledger):
    tables = ledger.tables
    tables.quarantine(
        [Quarantined("banking", 5, "amount is missing", "amount", b"{}"), Quarantined("cards", 6, "not JSON", None, b"\xff")]
    )
    [newest, oldest] = tables.quarantined()
    assert (newest.body, newest.field, oldest.cause) == (b"\xff", None, "amount is missing")
    assert tables.quarantined(before=newest.id) == [oldest]
    assert tables.quarantined("cards") == [newest]
    assert (tables.quarantine_count(), tables.quarantine_count("banking")) == (2, 1)
    assert tables.quarantined(received_us=newest.received_us, detector="cards") == [newest]
    assert tables.quarantined(received_us=newest.received_us + 77) == []


def test_of_quarantine_the_newest_of_each_detector_stay(ledger):
    tables = ledger.tables
    for name in ("banking", "cards"):
        tables.quarantine([Quarantined(name, number, "no amount", None, b"{}") for number in range(10)])
    tables.trim_quarantine("banking", 3)
    assert [event.received_us for event in tables.quarantined("banking")] == [9, 8, 7]
    assert tables.quarantine_count("cards") == 10
    tables.trim_quarantine("banking", 3)
    assert tables.quarantine_count("banking") == 3


def test_of_quarantine_what_is_forgotten_is_gone_and_nothing_else(ledger):
    tables = ledger.tables
    tables.quarantine([Quarantined("banking", number, "no amount", None, b"{}") for number in range(4)])
    tables.forget_quarantined([event.id for event in tables.quarantined("banking") if event.received_us in (1, 2)])
    assert [event.received_us for event in tables.quarantined("banking")] == [3, 0]


def test_versions_and_settings_are_remembered(ledger):
    tables = ledger.tables
    first = DetectorVersion("banking", "v1", {"rules": ["a"]}, 5)
    tables.put_version(first)
    tables.put_version(DetectorVersion("banking", "v1", {"rules": ["b"]}, 9))
    assert tables.versions("banking") == [first]
    assert tables.versions("cards") == []
    tables.put_setting("a", [1, 2])
    tables.put_setting("a", {"b": 3})
    assert (tables.setting("a"), tables.setting("c", 7)) == ({"b": 3}, 7)


def alert(key, detector="banking"):
    return Raised(key, detector, "burst", "critical", 5, b'{"text":"many"}')


def test_an_alert_is_raised_once_however_often_it_is_found(ledger):
    tables = ledger.tables
    assert tables.put_alerts([alert("a"), alert("b")], {"a": ["ops", "soc"]}) == {"a", "b"}
    assert tables.put_alerts([alert("b"), alert("c", "cards")], {"b": ["ops"], "c": ["ops"]}) == {"c"}
    assert [each.key for each in tables.alerts()] == ["c", "b", "a"]
    [newest] = tables.alerts("cards")
    assert (newest.key, newest.body, newest.severity) == ("c", b'{"text":"many"}', "critical")
    assert [each.key for each in tables.alerts(before=newest.id, limit=1)] == ["b"]
    waiting = {(each.key, each.channel) for each in tables.deliveries(outcome="waiting")}
    assert waiting == {("a", "ops"), ("a", "soc"), ("c", "ops")}


def test_the_last_word_about_a_delivery_counts(ledger):
    tables = ledger.tables
    tables.put_alerts([alert("a")], {"a": ["ops", "soc"]})
    tables.put_delivery(Delivery("a", "ops", 7, 1, "waiting", "503"))
    tables.put_delivery(Delivery("a", "ops", 9, 2, "delivered", "200"))
    assert tables.deliveries("a") == [Delivery("a", "ops", 9, 2, "delivered", "200"), Delivery("a", "soc", 5, 0, "waiting")]
    assert tables.deliveries(outcome="delivered") == [Delivery("a", "ops", 9, 2, "delivered", "200")]
    assert [each.channel for each in tables.deliveries(since_us=6)] == ["ops"]
    assert len(tables.deliveries(limit=1)) == 1


# ---------------------------------------------------------------- again after closing


def test_everything_is_there_after_opening_again(open_ledger):
    if not open_ledger.reopens:
        pytest.skip("what is in memory does not outlive the ledger")
    ledger = open_ledger()
    fill(ledger, batches=60, rows=3)
    ledger.append(record(["l"], ledger.next_seq, kind="labels"))
    ledger.tables.put_setting("a", 1)
    before = list(ledger.read())
    ledger.close()
    again = open_ledger()
    assert (again.position, again.next_seq, getattr(again, "cut_bytes", 0)) == (61, 181, 0)
    for (p, left), (q, right) in zip(before, again.read(), strict=False):
        assert p == q
        same(left, right)
    assert again.find("banking", "tx59-2")[0].first_seq == 177
    assert again.find("banking", "tx0-1")[0].first_seq == 0
    assert again.claims("banking", DAY_US).peek(text_codes(["tx0-1"]), np.full(1, 1_100)).tolist() == [1]
    assert again.tables.setting("a") == 1
    again.append(record(["next"], 181))
    again.flush()
    assert again.find("banking", "next")[0].first_seq == 181


def test_the_first_answer_that_a_caller_was_given_counts(open_ledger):
    tables = open_ledger().tables
    first = FallbackAnswer("banking", "t1", "REVIEW", "no decision within 100 ms", 5)
    tables.put_answers([first, FallbackAnswer("card", "t1", "APPROVE", "another detector", 6)])
    tables.put_answers([FallbackAnswer("banking", "t1", "BLOCK", "told again", 7)])
    assert tables.answer_of("banking", "t1") == first
    assert tables.answer_of("banking", "t2") is None
