"""From decisions to Parquet and back: what an engine decided is found by id, by SQL, and after a restart, wherever it lies."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from penstock import Detector, Engine, Entity, Label, Rule
from penstock.ledger import FileLedger
from penstock.ledger.archive import Archive

START = datetime(2026, 1, 5, tzinfo=UTC)
STRETCH = 500
"""Rows that are rolled together; some 260,000 in earnest."""


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    is_fraud: bool | None = None


customer = Entity("customer_id")


def declared() -> Detector:
    return Detector(
        "shop",
        event=Payment,
        id="transaction_id",
        time="timestamp",
        label=Label("is_fraud", delay="1h"),
        features=[customer.count("1h"), customer.sum("amount", "1d"), customer.last("customer_id").named("self")],
        rules=[Rule("sixth", "customer_count_1h >= 6", then="review")],
    )


def payments(first: int, count: int) -> list[bytes]:
    return [
        msgspec.json.encode(Payment(f"t{k}", START + timedelta(seconds=30 * k), f"c{k % 20}", k / 4))
        for k in range(first, first + count)
    ]


@contextmanager
def running(folder: Path) -> Iterator[tuple[Engine, Archive]]:
    """An engine over a ledger of small files, and its archive."""
    with (
        FileLedger(folder / "ledger", segment_bytes=20_000) as ledger,
        Archive(ledger, folder / "archive", file_rows=STRETCH) as archive,
        Engine(declared(), data=folder, ledger=ledger) as engine,
    ):
        yield engine, archive


def everything(archive: Archive) -> list[tuple]:
    return archive.query(
        "SELECT transaction_id, event_time, decision, customer_id, amount, customer_count_1h, customer_sum_amount_1d, self "
        "FROM decisions ORDER BY seq"
    ).rows()


def expected(answers: list[bytes]) -> list[tuple]:
    decisions = [msgspec.json.decode(answer) for answer in answers]
    return [
        (
            d["transaction_id"],
            datetime.fromisoformat(d["event_time"]),
            d["decision"],
            f"c{k % 20}",
            k / 4,
            d["features"]["customer_count_1h"],
            d["features"]["customer_sum_amount_1d"],
            d["features"]["self"],
        )
        for k, d in enumerate(decisions)
    ]


@pytest.fixture
def decided(tmp_path) -> list[bytes]:
    """2,300 decisions and a label in a folder: four stretches rolled, 300 not yet."""
    answers: list[bytes] = []
    with running(tmp_path) as (engine, archive):
        for first in range(0, 2300, 50):
            answers += engine.decide_json(payments(first, 50))
            if first % 400 == 0:
                engine.ledger.flush()
                archive.roll()
        engine.label("t7", fraud=True, source="bank")
        archive.roll()
        assert archive.rolled_position > 0
        assert engine.ledger.sealed_position > 0
        assert everything(archive) == expected(answers)
    return answers


def test_decisions_are_found_by_id_and_by_sql_after_a_restart(decided, tmp_path) -> None:
    """In Parquet, in sealed files and in the newest one; new ones follow them."""
    assert len(list((tmp_path / "archive" / "shop").glob("decisions-*.parquet"))) == 4
    assert len(list((tmp_path / "ledger" / "log").glob("*.log"))) > 3
    with running(tmp_path) as (engine, archive):
        assert [engine.queries.transaction(f"t{k}") for k in range(0, 2300, 37)] == decided[::37]
        assert everything(archive) == expected(decided)
        more = engine.decide_json([*payments(2300, 300), *payments(0, 1)])
        engine.ledger.flush()
        assert more[-1] == decided[0]
        assert archive.roll() == 601  # 300 that were left, a label, and the record of 300 as a whole
        assert everything(archive) == expected([*decided, *more[:-1]])
        labelled = archive.query("SELECT d.customer_id, l.source FROM labels l JOIN shop d USING (transaction_id)").rows()
    assert labelled == [("c7", "bank")]


def test_a_condition_over_all_counts_what_was_answered(decided, tmp_path) -> None:
    """A reader asks beside nobody: the folder is enough."""
    with FileLedger(tmp_path / "ledger", read_only=True) as ledger, Archive(ledger, tmp_path / "archive") as archive:
        [(reviewed, most)] = archive.query(
            "SELECT count(*), max(customer_count_1h) FROM decisions WHERE decision = 'REVIEW' AND hour(event_time) < 12"
        ).rows()
    wanted = [msgspec.json.decode(answer) for answer in decided if b'"REVIEW"' in answer]
    wanted = [d for d in wanted if datetime.fromisoformat(d["event_time"]).hour < 12]
    assert reviewed == len(wanted) > 0
    assert most == max(d["features"]["customer_count_1h"] for d in wanted)
