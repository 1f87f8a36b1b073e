"""An owner takes in a label once the transactions that arrived before it have been decided."""

import threading
from collections.abc import Callable
from datetime import datetime

import msgspec
import pytest
from tests.waiting import wait_until

from penstock import Detector, Engine, Entity, Label
from penstock.ledger import MemoryLedger
from penstock.stream.outgoing import outgoing_of
from penstock.stream.owner import MOST_HELD, Owner
from penstock.stream.port import Derive, Message, Unit, nothing
from penstock.stream.replica import Replica

START_US = 1_767_600_000_000_000


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    is_fraud: bool | None = None


detector = Detector(
    "shop",
    event=Payment,
    id="transaction_id",
    time="timestamp",
    label=Label("is_fraud", delay="1h"),
    features=[Entity("customer_id").label_count("24h")],
    models=[],
)


class Brought:
    """An inbox that brings messages in given portions, and knows what has not been brought yet."""

    shard, trouble = 0, None

    def __init__(self, *portions: list[Message]) -> None:
        self.portions, self.read, self.left_out = list(portions), 0, []
        self.committed: list[Message] = []

    def begin(self, places: dict[str, str], derive: Derive = nothing) -> None:
        """Nothing is known before."""

    def poll(self, most: int, timeout_s: float, *, transactions_only: bool = False) -> list[Message]:
        self.left_out.append(transactions_only)
        return self.portions.pop(0) if self.portions else []

    def caught_up(self) -> bool:
        return not any(message.role == "transactions" for portion in self.portions for message in portion)

    def commit(self, unit: Unit) -> str | None:
        self.committed += unit.read
        return f"{len(self.committed)}"

    def lag(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing is held."""


def transactions(first: int, count: int, at_ms: int) -> list[Message]:
    return [
        _message("transactions", k, at_ms, {"transaction_id": f"t{k}", "timestamp": START_US / 1e6 + k, "customer_id": "c"})
        for k in range(first, first + count)
    ]


def labels(first: int, count: int, at_ms: int) -> list[Message]:
    return [_message("labels", k, at_ms, {"transaction_id": f"t{k}", "fraud": True}) for k in range(first, first + count)]


def _message(role: str, place: int, at_ms: int, body: dict[str, object]) -> Message:
    return Message(role, 0, str(place), START_US + at_ms * 1000, msgspec.json.encode(body))


@pytest.fixture
def own() -> Callable[[Brought], Replica]:
    """Runs an owner until the inbox has brought everything and all of it is committed."""

    def run(inbox: Brought) -> Replica:
        replica = Replica(MemoryLedger(), lambda ledger: Engine(detector, ledger=ledger, clock=lambda: START_US))
        expected = sum(map(len, inbox.portions))
        owner, stop = Owner(replica, inbox, "w"), threading.Event()
        commit = inbox.commit

        def committed(unit: Unit) -> str | None:
            place = commit(unit)
            if len(inbox.committed) == expected:
                stop.set()
            return place

        inbox.commit = committed
        owner.run(stop)
        return replica

    return run


def accepted(replica: Replica) -> list[str]:
    """The transactions that have a label; none of these is in quarantine."""
    replica.ledger.flush()
    assert replica.ledger.tables.quarantined("shop") == []
    return [label.transaction_id for label in replica.ledger.tables.labels_of("shop", [f"t{k}" for k in range(2_000)])]


def test_labels_that_are_brought_before_their_transactions_wait_for_them(own):
    inbox = Brought(
        transactions(0, 2, at_ms=1), labels(0, 6, at_ms=5), transactions(2, 2, at_ms=2), transactions(4, 2, at_ms=3)
    )
    assert sorted(accepted(own(inbox))) == [f"t{k}" for k in range(6)]
    assert [message.role for message in inbox.committed[:6]] == ["transactions"] * 6


def test_a_label_of_the_same_millisecond_as_a_transaction_waits_for_the_rest_of_it(own):
    inbox = Brought(
        transactions(0, 2, at_ms=1) + labels(0, 4, at_ms=1), transactions(2, 2, at_ms=1), transactions(4, 1, at_ms=2)
    )
    assert sorted(accepted(own(inbox))) == [f"t{k}" for k in range(4)]


def test_a_label_that_arrived_before_a_decided_transaction_waits_for_nothing(own):
    inbox = Brought(
        transactions(0, 2, at_ms=1) + labels(0, 2, at_ms=1) + transactions(2, 1, at_ms=2), transactions(3, 1, at_ms=9)
    )
    accepted(own(inbox))
    assert [(message.role, message.place) for message in inbox.committed[:5]] == [
        *(("transactions", f"{k}") for k in range(3)),
        *(("labels", f"{k}") for k in range(2)),
    ]


def test_no_further_labels_are_read_while_very_many_wait(own):
    many = [*labels(0, 1_000, at_ms=5)] * (MOST_HELD // 1_000 + 1)
    inbox = Brought(many, transactions(0, 500, at_ms=1), transactions(500, 500, at_ms=2))
    assert len(accepted(own(inbox))) == 1_000
    assert inbox.left_out[:3] == [False, True, True]


def test_a_label_of_no_transaction_is_kept_in_quarantine_and_counted(own):
    replica = own(Brought(transactions(0, 1, at_ms=1), labels(7, 2, at_ms=2)))
    replica.ledger.flush()
    assert [each.cause for each in replica.ledger.tables.quarantined("shop")] == [
        "label: there is no transaction 't8' of detector 'shop' to label",
        "label: there is no transaction 't7' of detector 'shop' to label",
    ]
    assert replica.engine.totals.metrics()["quarantined"] == 2


def test_an_owner_shows_that_it_lives_while_its_deciding_thread_is_busy(monkeypatch):
    monkeypatch.setattr("penstock.stream.owner.SIGN_OF_LIFE_S", 0.01)
    replica, stop, signs = Replica(MemoryLedger(), lambda ledger: Engine(detector, ledger=ledger)), threading.Event(), []

    class Slow(Brought):
        def poll(self, most: int, timeout_s: float, *, transactions_only: bool = False) -> list[Message]:
            """Returns only once the other thread has shown several signs of life."""
            wait_until(lambda: len(signs) > 5)
            stop.set()
            return []

        def commit(self, unit: Unit) -> str | None:
            signs.append(unit)
            return super().commit(unit)

    Owner(replica, Slow(), "w").run(stop)
    assert not any(unit.entry for unit in signs[:5])


def test_what_follows_from_an_entry_is_the_same_when_it_is_derived_again(own):
    units = []

    class Kept(Brought):
        def commit(self, unit: Unit) -> str | None:
            units.append(unit)
            return super().commit(unit)

    malformed = Message("transactions", 0, "9", START_US, b"{}")
    replica = own(Kept([*transactions(0, 5, 1), malformed], labels(0, 2, 2), transactions(5, 2, 3)))
    out = [unit for unit in units if unit.out]
    assert [role for unit in out for role, _, _ in unit.out].count("decisions") == 7
    assert [role for unit in out for role, _, _ in unit.out].count("quarantine") == 1
    for unit in out:
        assert sorted(outgoing_of(replica.engine, unit.entry)) == sorted(unit.out)
