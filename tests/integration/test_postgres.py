"""The ledger in PostgreSQL: rows that say exactly what was recorded, partitions, owners, and a server that goes away."""

import threading
from datetime import UTC, date, datetime, timedelta

import numpy as np
import psycopg
import pytest

from penstock.adapters.postgres import PostgresLedger, PostgresSink, create, layouts, migrate, migrations, retain, status
from penstock.adapters.postgres.connection import connect
from penstock.adapters.postgres.migrations import Migration
from penstock.cli import main
from penstock.config import Settings
from penstock.decision import TEXT
from penstock.engine import Engine
from penstock.errors import ConfigurationError, Fenced, FolderInUse, LedgerError, SinkUnavailable
from penstock.ledger import ArchiveField, LedgerLabel, MemoryLedger
from penstock.stream.sinks import start_feeding
from penstock.testing import SetClock, example_detector
from penstock.wiring.engines import open_archive, open_engine, openers
from tests.integration.ledgers import BEGIN_US, LAYOUT, record, same
from tests.waiting import wait_until


@pytest.fixture
def url(postgres_url):
    create(postgres_url)
    return postgres_url


@pytest.fixture
def ask(url):
    """One query, its rows as mappings."""

    def asked(sql, *values):
        with psycopg.connect(url, autocommit=True, row_factory=psycopg.rows.dict_row) as db:
            db.execute("SET timezone = 'UTC'")
            return db.execute(sql, values).fetchall() if sql.startswith("SELECT") else db.execute(sql, values)

    return asked


def local_ledger():
    ledger = MemoryLedger()
    ledger.register_layout("v1", LAYOUT)
    return ledger


def sink(url, log="banking", **options):
    return PostgresSink(url, log, local_ledger(), **options)


def portions(count, rows=3, first=0):
    return [(position, record(position * rows, rows)) for position in range(first, first + count)]


# ---------------------------------------------------------------- rows


def test_a_decision_is_a_row_with_names_and_types(url, ask):
    with PostgresLedger(url, amounts={"banking": "amount"}) as ledger:
        ledger.register_layout("v1", LAYOUT)
        ledger.append(record(0, 4))
        ledger.flush()
    first, *_, last = ask("SELECT * FROM penstock.decisions ORDER BY seq")
    assert (first["transaction_id"], first["decision"], last["decision"]) == ("tx0", "APPROVE", "BLOCK")
    assert (first["amount"], first["fraud_probability"]) == (5.5, 0.25)
    assert first["event"] == {"amount": 5.5, "night": True, "seen_at": "2026-01-01T00:00:00+00:00", "city": "Zürich"}
    assert first["scores"] == {"fraud_probability": 0.25, "score_forest": 0.25}
    assert first["arrived_at"] - first["event_time"] == timedelta(microseconds=5)
    assert first["decided_at"] - first["arrived_at"] == timedelta(microseconds=7)
    assert (first["detector_version"], first["model_version"], first["rules_version"]) == ("d1", None, "r1")
    [named] = ask("SELECT amount, night, seen_at, city, score_forest FROM penstock.decisions_banking WHERE seq = 0")
    assert named == {
        "amount": 5.5,
        "night": True,
        "seen_at": datetime(2026, 1, 1, tzinfo=UTC),
        "city": "Zürich",
        "score_forest": 0.25,
    }


HOSTILE = [
    "plain",
    "back\\slash \\N \\.",
    "quo\"te 'single'",
    "tab\tline\nreturn\r",
    "",
    "nul\0nul",
    "{brace,comma}",
    "日本語 \U0001f4b3",
    "NULL",
    None,
]


def test_texts_come_back_whatever_stands_in_them(url, ask):
    sent = record(0, ids=[f"{k}-{text}" for k, text in enumerate(HOSTILE)], city=HOSTILE)
    with PostgresLedger(url) as ledger:
        ledger.register_layout("v1", LAYOUT)
        ledger.append(sent)
        ledger.flush()
        assert same(next(ledger.read())[1], sent)
        assert all(ledger.find("banking", transaction_id) is not None for transaction_id in sent.ids)
    rows = ask("SELECT transaction_id, city FROM penstock.decisions_banking ORDER BY seq")
    shown = [None if text is None else text.replace("\0", "␀") for text in HOSTILE]  # a text of PostgreSQL holds no U+0000
    assert [row["city"] for row in rows] == shown
    assert [row["transaction_id"] for row in rows] == [f"{k}-{text}".replace("\0", "␀") for k, text in enumerate(HOSTILE)]
    assert [row["event"].get("city") for row in ask("SELECT event FROM penstock.decisions ORDER BY seq")] == shown


NUMBERS = [0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, 2.0**53 + 2, -(2.0**62), 1e15 + 0.3, np.inf, -np.inf, np.nan]


def test_numbers_come_back_to_the_last_bit(url, ask):
    x = np.tile([0.0, 0.0, float(BEGIN_US), 0.0], (len(NUMBERS), 1))
    x[:, 0] = NUMBERS
    with PostgresLedger(url) as ledger:
        ledger.register_layout("v1", LAYOUT)
        ledger.append(record(0, len(NUMBERS), x=x))
        ledger.flush()
    found = [row["amount"] for row in ask("SELECT amount FROM penstock.decisions_banking ORDER BY seq")]
    assert found[-1] is None
    assert np.array(found[:-1]).tobytes() == np.array(NUMBERS[:-1]).tobytes()


def test_random_rows_are_those_of_the_records(url, ask):
    rng = np.random.default_rng(7)
    alphabet = np.array(list("aé\\\t\n\"',{}\0 "))
    with PostgresLedger(url) as ledger:
        ledger.register_layout("v1", LAYOUT)
        sent = []
        for _ in range(30):
            n = int(rng.integers(1, 40))
            x = rng.standard_normal((n, 4)) * 10.0 ** rng.integers(-300, 300, (n, 4))
            x[rng.random((n, 4)) < 0.2] = np.nan
            x[:, 2] = BEGIN_US
            city = ["".join(rng.choice(alphabet, rng.integers(0, 6))) if rng.random() < 0.8 else None for _ in range(n)]
            sent.append(record(ledger.next_seq, n, x=x, city=city))
            ledger.append(sent[-1])
        ledger.flush()
        assert all(same(got, each) for (_, got), each in zip(ledger.read(), sent, strict=True))
    rows = ask("SELECT amount, city FROM penstock.decisions_banking ORDER BY seq")
    amounts = np.concatenate([each.columns["x"][:, 0] for each in sent])
    cities = [text for each in sent for text in each.columns[TEXT + "city"]]
    assert [row["amount"] for row in rows] == [None if np.isnan(value) else value for value in amounts.tolist()]
    assert [row["city"] for row in rows] == [None if text is None else text.replace("\0", "␀") for text in cities]


def test_a_view_shows_rows_of_an_old_layout_under_the_names_of_today(url, ask):
    ledger = local_ledger()
    moved = {**LAYOUT, "x": [LAYOUT["x"][1], LAYOUT["x"][0], *LAYOUT["x"][2:]]}
    ledger.register_layout("v2", moved)
    kept = PostgresSink(url, "banking", ledger)
    kept.begin(0)
    new = record(3, x=np.tile([0.0, 7.5, float(BEGIN_US), 0.0], (3, 1)))
    new.meta["layout"] = "v2"
    kept.write([(0, record(0)), (1, new)])
    kept.close()
    rows = ask("SELECT amount, night FROM penstock.decisions_banking ORDER BY seq")
    assert [tuple(row.values()) for row in rows] == [(5.5, True)] * 3 + [(7.5, False)] * 3


def test_who_reads_a_view_holds_nobody_up_and_it_follows_later(url, ask, monkeypatch):
    monkeypatch.setattr(layouts, "_AGAIN_S", 0.0)
    ledger = local_ledger()
    ledger.register_layout("v2", {**LAYOUT, "x": [ArchiveField("worth"), *LAYOUT["x"][1:]]})
    kept = PostgresSink(url, "banking", ledger)
    kept.begin(0)
    kept.write([(0, record(0))])
    new = record(3)
    new.meta["layout"] = "v2"
    with psycopg.connect(url) as reader:
        reader.execute("SELECT * FROM penstock.decisions_banking")
        kept.write([(1, new)])
        assert [row["seq"] for row in ask("SELECT seq FROM penstock.decisions_banking")] == list(range(6))
    again = record(6)
    again.meta["layout"] = "v2"
    kept.write([(2, again)])
    kept.close()
    rows = ask("SELECT worth FROM penstock.decisions_banking ORDER BY seq")
    assert [row["worth"] for row in rows] == [None] * 3 + [5.5] * 6


def test_a_new_version_of_the_models_leaves_the_view_as_it_is(url, ask):
    kept = sink(url)
    kept.begin(0)
    kept.write([(0, record(0))])
    ask("CREATE VIEW mine AS SELECT amount FROM penstock.decisions_banking")  # made of it: it cannot be dropped
    new = record(3)
    new.meta["versions"] = {"detector": "d1", "model": "m2", "rules": "r1"}
    kept.write([(1, new)])
    kept.close()
    assert [row["amount"] for row in ask("SELECT amount FROM mine")] == [5.5] * 6


def test_the_rows_of_an_engine_say_what_it_answered(url, ask):
    event = {"timestamp": "2026-01-05T10:00:00Z", "customer_id": "c", "amount": 3.0}
    with PostgresLedger(url, amounts={"example": "amount"}) as ledger, Engine(example_detector(), ledger=ledger) as engine:
        answers = engine.decide_many([{**event, "transaction_id": f"t{k}"} for k in range(5)])
        engine.label("t4", fraud=True)
    rows = ask("SELECT * FROM penstock.decisions ORDER BY seq")
    assert [row["decision"] for row in rows] == [answer.decision for answer in answers]
    assert [row["features"] for row in rows] == [answer.features for answer in answers]
    assert [row["reasons"] for row in rows] == [
        [{name: getattr(each, name) for name in each.__struct_fields__} for each in answer.explanation.reasons]
        for answer in answers
    ]
    assert [hit["name"] for hit in rows[-1]["rules"]] == ["fourth_in_an_hour"]
    [label] = ask("SELECT * FROM penstock.labels")
    assert (label["transaction_id"], label["fraud"]) == ("t4", True)


def test_each_row_names_the_version_that_decided_it(url, ask):
    kept = sink(url)
    kept.begin(0)
    divided = record(0)
    divided.columns["decided_by"] = np.array([0, 1, 0], np.uint8)
    divided.meta["versions"] = {"detector": "d1", "model": "m1", "rules": "r1", "challenger": "m2"}
    kept.write([(0, divided)])
    kept.close()
    rows = ask("SELECT model_version, amount, features FROM penstock.decisions ORDER BY seq")
    assert [row["model_version"] for row in rows] == ["m1", "m2", "m1"]
    assert len({row["amount"] for row in rows}) == len({str(row["features"]) for row in rows}) == 1


# ---------------------------------------------------------------- the schema


def test_migrations_are_applied_once_however_often_and_by_how_many(postgres_url):
    applied = []

    def apply():
        applied.append(create(postgres_url))

    threads = [threading.Thread(target=apply) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(applied) == [[], [], [], ["0001_ledger.sql"]]
    assert migrate(postgres_url) == []
    assert status(postgres_url).pending == []


def test_a_database_without_a_ledger_is_not_filled_by_the_way(postgres_url):
    assert status(postgres_url).pending == ["0001_ledger.sql"]
    with pytest.raises(ConfigurationError, match="holds no ledger; make one: penstock ledger create"):
        migrate(postgres_url)
    with pytest.raises(ConfigurationError, match="penstock ledger create"):
        PostgresLedger(postgres_url)


def test_a_newer_migration_is_applied_to_what_is_there_and_a_failing_one_changes_nothing(url, ask, monkeypatch):
    known = migrations.known()
    broken = Migration(2, "0002_more.sql", "CREATE TABLE penstock.more (a int); SELECT 1 / 0")
    monkeypatch.setattr(migrations, "known", lambda: [*known, broken])
    with pytest.raises(ConfigurationError, match="is older than this Penstock; run: penstock ledger migrate"):
        PostgresLedger(url)
    with pytest.raises(LedgerError, match="division by zero"):
        migrate(url)
    assert ask("SELECT to_regclass('penstock.more')::text AS made") == [{"made": None}]
    monkeypatch.setattr(migrations, "known", lambda: [*known, Migration(2, "0002_more.sql", "CREATE TABLE penstock.more ()")])
    assert migrate(url) == ["0002_more.sql"]
    monkeypatch.setattr(migrations, "known", lambda: known)
    with pytest.raises(ConfigurationError, match="has version 2, this Penstock knows 1"):
        migrate(url)


def test_a_migration_whose_text_has_changed_is_noticed(url, monkeypatch):
    changed = [Migration(1, "0001_ledger.sql", "SELECT 1")]
    monkeypatch.setattr(migrations, "known", lambda: changed)
    with pytest.raises(ConfigurationError, match="made with another text of 0001_ledger"):
        migrate(url)


# ---------------------------------------------------------------- partitions


def test_records_lie_in_the_partition_of_the_day_they_were_written_and_old_ones_are_dropped(url, ask):
    clock = SetClock(datetime(2026, 3, 1, 23, 59, tzinfo=UTC))
    with PostgresLedger(url, clock=clock) as ledger:
        for days in (0, 1, 5):
            clock.at(datetime(2026, 3, 1, 23, 59, tzinfo=UTC) + timedelta(days=days))
            ledger.append(record(ledger.next_seq, arrived_us=clock()))
            ledger.flush()
        clock.at(datetime(2026, 2, 1, tzinfo=UTC))  # a clock that jumps back moves nothing back
        ledger.append(record(ledger.next_seq))
        ledger.flush()
        rows = ask("SELECT written_on, count(*) AS n FROM penstock.decisions GROUP BY 1 ORDER BY 1")
        assert [(row["written_on"], row["n"]) for row in rows] == [
            (date(2026, 3, 1), 3),
            (date(2026, 3, 2), 3),
            (date(2026, 3, 6), 6),
        ]
        dropped = retain(url, 3, clock=SetClock(datetime(2026, 3, 6, 12, tzinfo=UTC)))
        assert (dropped.partitions, dropped.rows) == (("20260301", "20260302"), 6)
        assert (ledger.first_position, ledger.position) == (2, 4)
        assert [position for position, _ in ledger.read()] == [2, 3]
        assert ledger.find("banking", "tx0") is None
        assert ledger.find("banking", "tx6")[0].first_seq == 6
        assert ledger.record_of(0) is None
        ledger.append(record(ledger.next_seq))
        ledger.flush()
    assert retain(url, 3, clock=SetClock(datetime(2026, 3, 6, 12, tzinfo=UTC))).partitions == ()


def test_partitions_may_be_months(postgres_url):
    create(postgres_url, partitions="month")
    with PostgresLedger(postgres_url, clock=SetClock(datetime(2026, 12, 5, tzinfo=UTC))) as ledger:
        ledger.append(record(0))
        ledger.flush()
    assert status(postgres_url).partitions == ["20261201", "20270101"]
    with pytest.raises(ConfigurationError, match="partitions by 'hour' are not known"):
        create(postgres_url, partitions="hour")


# ---------------------------------------------------------------- owners


def test_a_ledger_has_one_owner_and_any_number_of_readers(url):
    with PostgresLedger(url) as owner:
        owner.append(record(0))
        owner.flush()
        with pytest.raises(FolderInUse, match="has another owner"):
            PostgresLedger(url)
        with PostgresLedger(url, log="another") as other, PostgresLedger(url, read_only=True) as reader:
            assert (other.position, reader.position) == (0, 1)
            assert reader.find("banking", "tx1") is not None
            with pytest.raises(LedgerError, match="read-only"):
                reader.append(record(3))
    with PostgresLedger(url) as again:
        assert again.next_seq == 3


def test_an_owner_that_lost_the_ledger_to_another_writes_nothing_more(url, ask):
    frozen = PostgresLedger(url)
    frozen.append(record(0))
    frozen.flush()
    frozen.store.alone = False
    ask("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
    with PostgresLedger(url) as successor:
        successor.append(record(3, ids=["new"]))
        successor.flush()
    frozen.append(record(3, ids=["old"]))
    wait_until(lambda: "was taken over" in str(frozen.trouble))  # the connection was lost; the next one sees who has come
    with pytest.raises(LedgerError, match="was taken over"):
        frozen.flush()
    with pytest.raises(LedgerError, match="was taken over"):
        frozen.close()
    assert [row["transaction_id"] for row in ask("SELECT transaction_id FROM penstock.decisions ORDER BY seq")][3:] == ["new"]


def test_a_sink_goes_on_where_it_was_and_a_lower_number_writes_nothing(url, ask):
    old, new = sink(url), sink(url)
    assert old.begin(5) == 0
    old.write(portions(4))
    assert new.begin(9) == 4
    with pytest.raises(Fenced, match="taken over"):
        old.write(portions(2, first=4))
    with pytest.raises(Fenced, match="higher number"):
        old.begin(5)
    new.write(portions(3, first=3))  # one of them is there already
    assert new.begin(9) == 6
    for each in (old, new):
        each.close()
    assert [row["seq"] for row in ask("SELECT seq FROM penstock.decisions ORDER BY seq")] == list(range(18))


def test_detectors_share_a_database_each_with_positions_of_its_own(url, ask):
    banking, card = sink(url), sink(url, "card")
    assert (banking.begin(1), card.begin(1)) == (0, 0)
    banking.write(portions(2))
    card.write([(position, record(position * 3, detector="card")) for position in range(3)])
    assert (banking.begin(1), card.begin(1)) == (2, 3)
    with PostgresLedger(url, log="card", read_only=True) as kept:
        assert kept.find("card", "tx1")[0].detector == "card"
        assert kept.find("banking", "tx1") is None
    banking.close()
    card.close()
    rows = ask("SELECT detector, count(*) AS n FROM penstock.decisions GROUP BY 1 ORDER BY 1")
    assert [(row["detector"], row["n"]) for row in rows] == [("banking", 6), ("card", 9)]


def test_a_sink_keeps_what_its_readers_need(url):
    kept = sink(url)
    kept.begin(1)
    labels = record(3, 1, kind="labels", ids=["tx0"])
    labels.columns = {
        "fraud": np.array([1], np.uint8),
        "change": np.array([1], np.int8),
        "seq": np.array([0]),
        "known_us": np.array([9]),
        "rank": np.array([2]),
        "kind": ["chargeback"],
        "source": ["bank"],
    }
    kept.write([(0, record(0)), (1, labels)])
    kept.close()
    with PostgresLedger(url, log="banking", read_only=True) as reader:
        assert reader.layouts() == {"v1": {name: list(fields) for name, fields in LAYOUT.items()}}
        assert reader.tables.label_of("banking", "tx0") == LedgerLabel(
            "banking", "tx0", True, "chargeback", "bank", 9, int(labels.arrived_us[0]), 2
        )


# ---------------------------------------------------------------- a server that goes away


@pytest.mark.parametrize(
    ("configured", "found"), [("off", "on"), ("on", "on"), ("local", "local"), ("remote_apply", "remote_apply")]
)
def test_a_commit_is_on_disk_before_it_is_acknowledged_whatever_is_configured(url, ask, configured, found):
    ask(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = {configured}")
    with connect(url) as db:
        assert db.execute("SHOW synchronous_commit").fetchone() == (found,)


def kill_writers(ask):
    """End every connection but the one that asks."""
    ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()")


def insist(write):
    """Try again until the store answers, as the one who feeds it does."""

    def taken():
        try:
            write()
        except SinkUnavailable:
            return False
        return True

    wait_until(taken)


def test_connections_that_are_killed_at_any_moment_lose_and_double_nothing(url, ask):
    stop = threading.Event()

    def kill():
        while not stop.wait(0.03):
            kill_writers(ask)

    killer = threading.Thread(target=kill)
    with PostgresLedger(url) as ledger:
        killer.start()
        told = []
        count = 0
        try:
            while count < 150 or not any(told):  # where connecting takes long, the killer comes late
                assert count < 20_000, "nothing that was killed was noticed"
                ledger.append(record(3 * count), told.append)
                count += 1
                stop.wait(0.005)
        finally:
            stop.set()
            killer.join()
        ledger.when_durable(told.append)
        wait_until(lambda: ledger.trouble is None and ledger.durable_position == count)
        assert [r.first_seq for _, r in ledger.read()] == [3 * k for k in range(count)]
    assert [row["seq"] for row in ask("SELECT seq FROM penstock.decisions ORDER BY seq")] == list(range(3 * count))


def test_a_commit_whose_answer_was_lost_is_not_written_again(url, ask, monkeypatch):
    with PostgresLedger(url) as ledger:
        store = ledger.store
        write, failed = store.write, []

        def lose_the_answer(group):
            write(group)
            if not failed:
                failed.append(True)
                before = store.place.position - len(group)
                store.place = type(store.place)(store.place.log, store.place.identity, store.place.fence, before, 0)
                store.drop()
                raise psycopg.OperationalError("server closed the connection unexpectedly")

        monkeypatch.setattr(store, "write", lose_the_answer)
        told = []
        ledger.append(record(0), told.append)
        wait_until(lambda: told)  # not flush(): whoever comes to it late finds that the second attempt has done it
        assert isinstance(told[0], LedgerError)
        assert "does not answer" in str(told[0])
        ledger.flush()
        assert ledger.trouble is None
    assert len(ask("SELECT seq FROM penstock.decisions")) == 3


def test_a_server_that_stops_is_waited_for_and_nothing_is_lost(postgres, url, ask):
    ledger, beside = PostgresLedger(url), sink(url)
    beside.begin(1)
    ledger.append(record(0))
    ledger.flush()
    postgres.kill()
    told = []
    ledger.append(record(3), told.append)
    with pytest.raises(LedgerError, match="does not answer"):
        ledger.flush()
    assert isinstance(told[0], LedgerError)
    assert ledger.trouble is not None
    with pytest.raises(LedgerError, match="does not answer"):
        ledger.find("banking", "tx0")
    with pytest.raises(SinkUnavailable, match="does not answer"):
        beside.write(portions(1))
    postgres.start()
    insist(lambda: beside.write(portions(1)))
    wait_until(lambda: ledger.trouble is None)
    assert ledger.find("banking", "tx4")[0].first_seq == 3
    ledger.close()
    assert beside.begin(1) == 1
    beside.close()
    assert len(ask("SELECT seq FROM penstock.decisions")) == 9


def test_a_server_restored_from_an_older_copy_is_noticed(url, ask):
    ledger = PostgresLedger(url)
    ledger.append(record(0))
    ledger.flush()
    ask("UPDATE penstock.logs SET position = 0, next_seq = 0")
    kill_writers(ask)
    ledger.append(record(3))
    with pytest.raises(LedgerError, match=r"restored from an older copy|was taken over|does not answer"):
        ledger.flush()
    # the connection was lost; the next one sees what has happened
    wait_until(lambda: "does not answer" not in str(ledger.trouble))
    with pytest.raises(LedgerError, match=r"restored from an older copy|was taken over"):
        ledger.close()


def test_a_url_without_its_password_is_what_messages_show():
    with pytest.raises(ConfigurationError, match="is no URL of a database"):
        PostgresLedger("mysql://somebody@db/x")
    with pytest.raises(LedgerError) as error:
        PostgresLedger("postgresql://somebody:secret@127.0.0.1:1/x")
    assert "secret" not in str(error.value)


# ---------------------------------------------------------------- as the ledger of a service


class Collecting:
    """A sink that keeps the records it is given."""

    name = "collecting"

    def __init__(self):
        self.records = []

    def begin(self, fence):
        return 0

    def write(self, records):
        self.records += [each for _, each in records]

    def close(self):
        pass


def test_who_follows_a_service_takes_new_records_from_memory(url):
    given, followed = record(0), Collecting()
    with PostgresLedger(url) as ledger:
        following = start_feeding(followed, ledger, 1, lambda _error: None)
        ledger.append(given)
        wait_until(lambda: followed.records)
        following.close()
    assert followed.records[0] is given  # and no copy that was read back


def test_an_embedded_service_keeps_its_ledger_there_and_its_state_in_the_data_folder(url, tmp_path):
    detector, settings = example_detector(), Settings(data=tmp_path, ledger=url)
    event = {"timestamp": "2026-01-05T10:00:00Z", "customer_id": "c", "amount": 3.0}
    with openers([detector], settings)["example"]() as engine:
        engine.decide_many([{**event, "transaction_id": f"t{k}"} for k in range(3)])
    with openers([detector], settings)["example"]() as engine:
        [decision] = engine.decide_many([{**event, "transaction_id": "t3"}])
        assert decision.decision == "REVIEW"
        assert engine.queries.transaction("t0") is not None
    with open_engine(detector, settings) as engine:  # as `penstock load` does
        assert engine.ledger.next_seq == 4
    assert not (tmp_path / "ledger").exists()
    with open_archive(settings) as archive:
        assert archive.query("SELECT count(*) AS n FROM example")["n"].to_list() == [4]
    with pytest.raises(ConfigurationError, match="belongs to another ledger"), psycopg.connect(url, autocommit=True) as db:
        db.execute("UPDATE penstock.logs SET identity = gen_random_uuid()")
        openers([detector], settings)["example"]()


def test_a_database_restored_from_an_older_copy_than_the_state_has_it_rebuilt(url, ask, tmp_path):
    detector, settings = example_detector(), Settings(data=tmp_path, ledger=url)
    event = {"timestamp": "2026-01-05T10:00:00Z", "customer_id": "c", "amount": 3.0}
    with open_engine(detector, settings) as engine:
        for k in range(4):
            engine.decide({**event, "transaction_id": f"t{k}"})
    for table in ("frames", "events"):
        ask(f"DELETE FROM penstock.{table} WHERE {'first_seq' if table == 'frames' else 'seq'} >= 2")
    ask("UPDATE penstock.logs SET position = 2, next_seq = 2")
    with open_engine(detector, settings) as engine:
        assert "restored from an older copy" in engine.recovery.notes[0]
        assert engine.decide({**event, "transaction_id": "new"}).features["customer_count_1h"] == 3


def test_a_copy_of_another_ledger_is_refused_and_stays_as_it_was(url, ask):
    """The topics were made anew, or the journal restored: the same positions are of other records."""

    def ledger_of(count, ending):
        ledger = local_ledger()
        for position in range(count):
            ledger.append(record(3 * position, ids=[f"tx{3 * position + k}{ending}" for k in range(3)]))
        return ledger

    first = PostgresSink(url, "banking", ledger_of(5, "a"))
    first.write(list(ledger_of(5, "a").read(first.begin(1))))
    first.close()
    again = PostgresSink(url, "banking", ledger_of(9, "a"))
    assert again.begin(2) == 5
    again.close()
    other = PostgresSink(url, "banking", ledger_of(9, "b"))
    with pytest.raises(
        ConfigurationError, match=r"does not belong to the ledger of this worker: record 4 of the log is another"
    ):
        other.begin(3)
    other.close()
    assert len(ask("SELECT seq FROM penstock.decisions_banking")) == 15


# ---------------------------------------------------------------- the command


def run(*arguments):
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return left.value.code


def test_the_command_makes_shows_and_prunes(postgres_url, capsys):
    def command(*arguments):
        code = run("ledger", *arguments, "--ledger", postgres_url)
        return code, capsys.readouterr()

    code, said = command("status")
    assert (code, "waits: 0001_ledger.sql" in said.out) == (1, True)
    code, said = command("migrate")
    assert (code, "make one: penstock ledger create" in said.err) == (2, True)
    assert command("create")[1].out == "applied 0001_ledger.sql\n"
    assert command("create", "--json")[1].out == '{"applied":[]}\n'
    with PostgresLedger(postgres_url, clock=SetClock(datetime(2026, 1, 1, tzinfo=UTC))) as ledger:
        ledger.append(record(0))
        ledger.flush()
    code, said = command("status")
    assert (code, "2 partitions, 20260101 to 20260102" in said.out) == (0, True)
    assert "log engine" in said.out
    code, said = command("retain", "--days", "30")
    assert (code, said.out) == (0, "dropped partitions: 20260101, 20260102 (3 rows), 0 quarantined events\n")
    assert run("ledger", "status") == 2
    assert "no ledger is named" in capsys.readouterr().err
