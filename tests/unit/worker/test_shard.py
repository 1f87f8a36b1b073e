"""A seat takes garbage collection out of the way of what it decides, and leaves none of what an earlier ownership held."""

import gc
import threading
import weakref
from datetime import datetime
from typing import Any

import msgspec
import pytest

from penstock import Detector, Engine, Entity
from penstock.engine.warm import GC_THRESHOLDS
from penstock.errors import BrokerError, BrokerUnavailable, Fenced
from penstock.ledger import Ledger, MemoryLedger
from penstock.stream.entry import JournalEntry, encode
from penstock.stream.parts import Parts
from penstock.stream.port import Derive, Message, Unit, nothing
from penstock.stream.replica import Replica
from penstock.worker.shard import ShardRunner


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str


class Broker:
    """Elects at once; the journal is empty, and the shard is lost to another process again and again."""

    trouble = None
    abandoned = False
    shard = 0

    def __init__(self, ownerships: int, stop: threading.Event) -> None:
        self.left, self.stop = ownerships, stop
        self.thresholds: list[tuple[int, int, int]] = []

    def journal(self, shard: int, after: str | None) -> "Broker":
        return self

    def mark(self) -> str:
        return ""

    def has_read(self, mark: str) -> bool:
        return True

    def end(self) -> bool:
        return True

    def elected(self, shard: int) -> bool:
        return True

    def claim(self, shard: int) -> "Broker":
        return self

    def begin(self, places: dict[str, str], derive: Derive = nothing) -> None:
        """Nothing is known before."""

    def poll(self, most_or_s: float, timeout_s: float | None = None, *, transactions_only: bool = False) -> list[Message]:
        if timeout_s is None:  # asked as a journal, not as an inbox
            return []
        self.thresholds.append(gc.get_threshold())
        self.left -= 1
        if not self.left:
            self.stop.set()
        raise Fenced("another process has been elected")

    def commit(self, unit: Unit) -> str | None:
        return None

    def lag(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing is held."""


class Cycle:
    """Is freed by garbage collection alone."""

    def __init__(self) -> None:
        self.itself = self


def run(broker: Broker, *, takeover: bool = False) -> None:
    """Run the shard of a broker until it is stopped, with a new state whenever it is followed anew."""
    detector = Detector("shop", event=Payment, id="transaction_id", time="timestamp", models=[])
    parts = Parts(
        broker,
        lambda _shard: Replica(MemoryLedger(), lambda ledger: Engine(detector, ledger=ledger)),
        lambda _shard, _replica: [],
    )
    ShardRunner(parts, 0, broker, "w", alone=True, takeover=takeover).run(broker.stop)


@pytest.fixture
def collected_rarely():
    """Leaves garbage collection as it was."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_garbage_is_collected_rarely_once_a_seat_decides_and_at_once_when_it_has_lost_its_shard(collected_rarely):
    stop, kept, left_behind = threading.Event(), [], []
    detector = Detector(
        "shop",
        event=Payment,
        id="transaction_id",
        time="timestamp",
        features=[Entity("customer_id").count("24h")],
        models=[],
    )

    def opened(ledger: Ledger) -> Engine:
        kept.append([each() is not None for each in left_behind])
        left_behind.append(weakref.ref(Cycle()))
        return Engine(detector, ledger=ledger)

    broker = Broker(ownerships=3, stop=stop)
    parts = Parts(broker, lambda _shard: Replica(MemoryLedger(), opened), lambda _shard, _replica: [])
    ShardRunner(parts, 0, broker, "w", alone=True, takeover=False).run(stop)

    assert broker.thresholds == [GC_THRESHOLDS] * 3
    assert kept == [[], [False], [False, False]]


class Busy(Broker):
    """Its owner commits another entry whenever the journal is read or asked."""

    def __init__(self, stop: threading.Event) -> None:
        super().__init__(ownerships=1, stop=stop)
        self.committed = self.read = 0

    def mark(self) -> str:
        self.committed += 1
        return str(self.committed)

    def has_read(self, mark: str) -> bool:
        self.committed += 1
        return self.read >= int(mark)

    def end(self) -> bool:
        return self.has_read(self.mark())

    def poll(self, most_or_s: float, timeout_s: float | None = None, *, transactions_only: bool = False) -> list[Any]:
        if timeout_s is not None:
            return super().poll(most_or_s, timeout_s, transactions_only=transactions_only)
        self.read += 1
        if self.read > 1_000:
            self.stop.set()
        return [(str(self.read), encode(JournalEntry(fence=1)))]


def test_a_worker_takes_over_from_one_that_goes_on_deciding(collected_rarely):
    broker = Busy(threading.Event())
    run(broker, takeover=True)
    assert (len(broker.thresholds), broker.read < 1_000) == (1, True)


class Abandoned(Broker):
    """Elects nobody; the journal's owner has let go."""

    abandoned = True

    def elected(self, shard: int) -> bool:
        return False


def test_a_worker_that_is_not_elected_claims_a_shard_that_its_owner_has_abandoned(collected_rarely):
    broker = Abandoned(ownerships=1, stop=threading.Event())
    run(broker)
    assert len(broker.thresholds) == 1


class Unavailable(Broker):
    """Does not answer the first two claims."""

    claims = 0

    def claim(self, shard: int) -> "Broker":
        self.claims += 1
        if self.claims < 3:
            raise BrokerUnavailable("shard 0 cannot be claimed: Kafka does not answer")
        return self


def test_a_worker_whose_claim_is_not_answered_stands_by_and_claims_again(collected_rarely):
    broker = Unavailable(ownerships=1, stop=threading.Event())
    run(broker)
    assert (broker.claims, len(broker.thresholds)) == (3, 1)


class Leaving(Broker):
    """Goes away between the first claim and the entries before it."""

    claims = given_up = marks = 0

    def claim(self, shard: int) -> "Broker":
        self.claims += 1
        inbox = Broker(self.left, self.stop)
        inbox.close = self._given_up
        return inbox

    def _given_up(self) -> None:
        self.given_up += 1

    def mark(self) -> str:
        self.marks += 1
        if self.marks == 2:
            raise BrokerUnavailable("Kafka does not answer")
        return ""


def test_a_claim_is_given_up_where_the_entries_before_it_cannot_be_read(collected_rarely):
    broker = Leaving(ownerships=1, stop=threading.Event())
    run(broker)
    assert (broker.claims, broker.given_up) == (2, 2)


class Refusing(Broker):
    """Refuses every claim."""

    def claim(self, shard: int) -> "Broker":
        raise BrokerError("no group; create it: penstock topics create")


def test_a_worker_whose_claim_is_refused_ends_and_says_so(collected_rarely):
    broker = Refusing(ownerships=1, stop=threading.Event())
    with pytest.raises(BrokerError, match="topics create"):
        run(broker)


class Unelected(Broker):
    """Elects nobody, and the owner lives."""

    def elected(self, shard: int) -> bool:
        return False


def test_a_takeover_that_is_cut_off_before_its_first_entry_is_tried_again(collected_rarely):
    broker = Unelected(ownerships=2, stop=threading.Event())
    run(broker, takeover=True)
    assert len(broker.thresholds) == 2
