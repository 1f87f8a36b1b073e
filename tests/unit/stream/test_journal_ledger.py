"""What an owner appends reaches the local files only when the broker has committed it."""

import threading

import numpy as np
import pytest

from penstock.codes import text_codes
from penstock.errors import LedgerError
from penstock.ledger import FileLedger
from penstock.messages import Record
from penstock.stream.journal_ledger import JournalLedger


def record(ids, first_seq):
    arrived = np.full(len(ids), 1_000, np.int64)
    return Record("decisions", "d", first_seq, ids, text_codes(ids), arrived, arrived, {"x": np.zeros((len(ids), 1))}, {})


@pytest.fixture
def ledger(tmp_path):
    with JournalLedger(FileLedger(tmp_path / "ledger")) as found:
        yield found


def test_what_is_gathered_is_seen_by_its_owner_and_by_nobody_else(ledger):
    ledger.append(record(["a"], 0))
    ledger.gather()
    assert ledger.append(record(["b", "c"], 1)) == 1
    assert (ledger.position, ledger.next_seq, ledger.local.position) == (2, 3, 1)
    assert ledger.record_of(2)[0].ids == ["b", "c"]
    assert ledger.find("d", "c")[1] == 1
    elsewhere = []
    thread = threading.Thread(target=lambda: elsewhere.append(ledger.find("d", "c")))
    thread.start()
    thread.join()
    assert elsewhere == [None]


def test_a_committed_unit_is_stored_and_its_callers_are_told_in_order(ledger):
    told = []
    ledger.gather()
    ledger.append(record(["a"], 0), lambda error: told.append(("a", error)))
    ledger.append(record(["b"], 1), lambda error: told.append(("b", error)))
    ledger.when_durable(lambda error: told.append(("again", error)))
    unit = ledger.gathered()
    assert told == []
    ledger.committed(unit)
    assert told == [("a", None), ("b", None), ("again", None)]
    ledger.flush()
    assert [position for position, _ in ledger.read()] == [0, 1]
    assert ledger.find("d", "b") is not None


def test_a_flush_waits_for_the_broker_but_never_for_the_unit_in_the_same_hand(ledger):
    ledger.gather()
    ledger.append(record(["a"], 0))
    ledger.flush()
    first = ledger.gathered()
    waiting = threading.Thread(target=ledger.flush)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    ledger.committed(first)
    waiting.join(60)
    assert not waiting.is_alive()


def test_what_is_abandoned_is_not_stored_and_whoever_waits_for_it_is_told(ledger):
    ledger.gather()
    ledger.append(record(["a"], 0))
    ledger.gathered()
    errors = []

    def wait():
        try:
            ledger.flush()
        except LedgerError as error:
            errors.append(str(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    ledger.abandon()
    waiting.join(60)
    assert "another owner" in errors[0]
    assert ledger.local.position == 0


def test_a_record_out_of_turn_is_refused(ledger):
    with pytest.raises(ValueError, match="the next one is 0"):
        ledger.append(record(["a"], 5))


def test_nobody_waits_for_what_is_gathered_after_the_ledger_was_abandoned(ledger):
    """The thread that commits may find another owner while the one that decides is in the middle of a unit."""
    ledger.gather()
    ledger.abandon()
    ledger.append(record(["a"], 0))
    ledger.gathered()
    told = []

    def flush():
        try:
            ledger.flush()
        except LedgerError as error:
            told.append(str(error))

    closing = threading.Thread(target=flush, daemon=True)
    closing.start()
    closing.join(10)
    assert told == ["another owner has taken over; what was decided last does not count"]
