"""Contracts of brokers and sinks.

The *journal* is the log that all consumers of a broker's decisions follow: the encoded records of the ledger, in order. One
process at a time owns a detector (or a shard of it). It reads the inbox, decides, and commits each *unit*: the journal's
next entry, which holds the inbox positions, and the messages that follow from it, at once or soon after. Every reader of
committed messages sees every decision once, and the journal and the inbox agree after any crash.

Ownership is settled by the broker. Candidates stand for election; one is elected; before it reads it *claims*, and from
then on commits of earlier owners are rejected. A frozen process that wakes up gets `Fenced`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from penstock.messages import Record

INBOX = ("transactions", "labels", "answers")
"""The topics that an owner reads, by their roles."""


OnAcknowledged = Callable[[BaseException | None], None]
"""Called, from any thread, when the broker has a message, or with the error."""


class Topics(msgspec.Struct, frozen=True, kw_only=True):
    """The names of the topics of one detector.

    >>> Topics.under("banking.").decisions
    'banking.decisions'
    """

    transactions: str = "transactions"
    labels: str = "labels"
    answers: str = "answers"
    decisions: str = "decisions"
    alerts: str = "alerts"
    quarantine: str = "quarantine"
    journal: str = "journal"

    @classmethod
    def under(cls, prefix: str, **named: str) -> "Topics":
        """The default names with a prefix, for detectors that share a broker; single topics may be named otherwise."""
        return cls(**{role: named.get(role, prefix + role) for role in cls.__struct_fields__})

    def named(self, role: str) -> str:
        """The topic with this role."""
        return str(getattr(self, role))


class Message(NamedTuple):
    """One message of the inbox. role: its topic, of `INBOX`. place: its position in the shard, as the broker counts.

    arrived_us: when the broker stored it, microseconds. trace: the sender's W3C `traceparent`, or empty.
    """

    role: str
    shard: int
    place: str
    arrived_us: int
    body: bytes
    trace: bytes = b""


class Outgoing(NamedTuple):
    """One outgoing message: the role of its topic, its key, its JSON."""

    role: str
    key: str
    body: bytes


Derive = Callable[[bytes], Sequence[Outgoing]]
"""Derives from a journal entry the outgoing messages that were committed with it."""


def nothing(_entry: bytes) -> Sequence[Outgoing]:
    """No outgoing messages."""
    return ()


@dataclass(slots=True)
class Unit:
    """What is committed together.

    entry: for the journal, empty if absent. out: the messages that follow from it. read: the consumed messages.
    """

    entry: bytes = b""
    out: list[Outgoing] = field(default_factory=list)
    read: Sequence[Message] = ()


class Inbox(Protocol):
    """An owner's claim on one shard: the only way to consume its messages.

    All methods but `commit` are called from one thread, `commit` from another, one call at a time.
    """

    shard: int

    def begin(self, places: dict[str, str], derive: Derive = nothing) -> None:
        """Start reading after these positions, by role, or after those that the broker has stored.

        derive: for a broker that publishes behind the journal, and may have to publish what an earlier owner committed.
        """

    def poll(self, most: int, timeout_s: float, *, transactions_only: bool = False) -> list[Message]:
        """New messages, in the order of each topic: at once if there are any, else after at most `timeout_s`.

        transactions_only: fetch nothing more of the other topics; messages fetched before may be returned.

        Raises:
            Fenced: another process has been elected meanwhile.
        """

    def caught_up(self) -> bool:
        """Whether every transaction that arrived before the messages of the last `poll` has been returned, too."""

    def commit(self, unit: Unit) -> str | None:
        """Return when the unit is committed, with the position of its entry in the journal; waits while the broker does not
        answer. Its outgoing messages are published then, or soon after. An empty unit checks the ownership, if the broker
        answers, and shows that the owner lives.

        Raises:
            Fenced: another owner has claimed; the unit is discarded.
        """

    def lag(self) -> int:
        """Number of messages that wait in the inbox."""

    @property
    def trouble(self) -> str | None:
        """Why the broker cannot be reached; None if it can."""

    def close(self) -> None:
        """Release at once, so that another may be elected; idempotent."""


class Candidate(Protocol):
    """A process that stands for election."""

    def elected(self, shard: int) -> bool:
        """Whether this process is elected to own a shard."""

    def claim(self, shard: int) -> Inbox:
        """Fence the previous owner. Only what it committed before is in the journal.

        Raises:
            BrokerUnavailable: the broker does not answer for now.
            BrokerError: it refuses.
        """

    @property
    def trouble(self) -> str | None:
        """Why the broker cannot be reached; None if it can."""

    def close(self) -> None:
        """Withdraw from the election."""


class Journal(Protocol):
    """The committed entries of one shard, in order."""

    def poll(self, timeout_s: float) -> list[tuple[str, bytes]]:
        """The next entries, each with its position: at once if there are any, else none after `timeout_s`.

        Raises:
            BrokerError: the journal no longer holds the next entries.
        """

    def mark(self) -> str | None:
        """The end of the journal at the time of this call; None if the broker does not report it."""

    def has_read(self, mark: str) -> bool:
        """Whether everything before this mark has been returned."""

    def end(self) -> bool:
        """Whether all entries committed before this call have been returned."""

    @property
    def abandoned(self) -> bool:
        """Whether the owner has released it, or has been silent for so long that another should claim; False on a broker whose
        election notices that itself.
        """

    @property
    def trouble(self) -> str | None:
        """Why the broker cannot be reached; None if it can."""

    def close(self) -> None:
        """Stop reading."""


class Outlet(Protocol):
    """Publishes messages to topics, from a producer or a service."""

    def put(self, role: str, key: str, body: bytes, done: OnAcknowledged | None = None, *, trace: bytes = b"") -> None:
        """Send; `done` is called once the broker has it, or with the error. trace: see `Message`.

        Raises:
            BrokerError: too many messages wait already.
        """

    def flush(self, timeout_s: float) -> int:
        """Wait for sent messages; returns how many the broker does not have yet."""

    @property
    def trouble(self) -> str | None:
        """Why the broker cannot be reached; None if it can."""

    def close(self) -> None:
        """Flush and close."""


class Broker(Protocol):
    """One detector's topics on one broker.

    Every method raises BrokerError if the broker does not answer or refuses.
    """

    topics: Topics

    def create(self, shards: int | None = None) -> list[str]:
        """Create missing topics; returns their names."""

    def shards(self) -> int:
        """The number of shards, each with its own owner; 0 if there are no topics."""

    def candidate(self, name: str) -> Candidate:
        """Stand for election under a name for people."""

    def journal(self, shard: int, after: str | None) -> Journal:
        """The journal after a position, from its beginning if it is None."""

    def outlet(self) -> Outlet:
        """A producer of messages."""

    def inbox_mark(self) -> str:
        """The end of the first shard's transactions at the time of this call."""

    def covers(self, place: str | None, mark: str) -> bool:
        """Whether an owner has read all transactions before a mark. place: that of the last one it read; None for none.

        After the last message of a foreign producer that uses broker transactions it may be False until another message comes.
        """

    def close(self) -> None:
        """Close all connections."""


class Sink(Protocol):
    """A store that is fed after decisions: it receives every record, and stores its position in the same write.

    name: for metrics and messages.
    """

    name: str

    def begin(self, fence: int) -> int:
        """Take over with this fencing number; returns the position of the first record to write.

        Raises:
            Fenced: another process with a higher number was here.
            SinkUnavailable: the store does not answer.
        """

    def write(self, records: Sequence[tuple[int, Record]]) -> None:
        """Write records, with their positions in the ledger, in order; all are stored when this returns.

        Raises:
            Fenced: another process with a higher number was here.
            SinkUnavailable: the store does not answer; the same records are written again.
        """

    def close(self) -> None:
        """Close the store."""
