"""What a broker owes, and what a store beside the path owes.

The *journal* is the log that everything behind a broker follows: the encoded records of the ledger, in order. One
process at a time owns a detector (or a shard of it). It reads the inbox, decides, and commits each *unit* at once and
as a whole: the journal's next entry, the messages for others, and how far the inbox has been read. Whoever reads what is
committed therefore sees every decision once, and the journal and the inbox never disagree, wherever a crash falls.

Ownership is settled by the broker. Many processes stand for election; one is elected; before it reads it *claims*, and
from then on nothing that an earlier owner still tries to commit counts. A process that was frozen and wakes up finds
itself `Fenced`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from penstock.messages import Record

INBOX = ("transactions", "labels", "answers")
"""The topics that an owner reads, by their roles."""


Told = Callable[[BaseException | None], None]
"""Told, from any thread, that the broker has a message, or why not."""


class Topics(msgspec.Struct, frozen=True, kw_only=True):
    """What the topics of one detector are called.

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
        """The usual names behind a prefix, where several detectors share a broker; single ones may be named otherwise."""
        return cls(**{role: named.get(role, prefix + role) for role in cls.__struct_fields__})

    def named(self, role: str) -> str:
        """The topic with this role."""
        return str(getattr(self, role))


class Message(NamedTuple):
    """One message of the inbox. role: which topic of `INBOX`. place: where in its shard, as the broker counts.

    arrived_us: when the broker took it, microseconds. trace: the W3C `traceparent` of what sent it, or empty.
    """

    role: str
    shard: int
    place: str
    arrived_us: int
    body: bytes
    trace: bytes = b""


class Outgoing(NamedTuple):
    """One message for others: the role of its topic, its key, its JSON."""

    role: str
    key: str
    body: bytes


@dataclass(slots=True)
class Unit:
    """What is committed at once, as a whole.

    entry: for the journal, empty where there is nothing to say. out: for others. read: the messages that were consumed.
    """

    entry: bytes = b""
    out: list[Outgoing] = field(default_factory=list)
    read: Sequence[Message] = ()


class Inbox(Protocol):
    """An owner's hold on one shard: the only way to read its messages for good.

    All methods but `commit` are called from one thread, `commit` from another, one call at a time.
    """

    shard: int

    def begin(self, places: dict[str, str]) -> None:
        """Read on behind these places, by role, or behind what the broker knows where there are none."""

    def poll(self, most: int, timeout_s: float, *, transactions_only: bool = False) -> list[Message]:
        """What has come, in the order of each topic: at once if there is something, else after at most so long.

        transactions_only: read nothing further of the other topics; what has been read of them already may be given out.

        Raises:
            Fenced: another process has been elected meanwhile.
        """

    def caught_up(self) -> bool:
        """Whether every transaction that arrived before what `poll` gave out last has been given out, too."""

    def commit(self, unit: Unit) -> str | None:
        """Return when the unit is committed, with the place of its entry in the journal; waits while the broker does not
        answer. A unit of nothing asks whether this still is the owner, if the broker answers at all.

        Raises:
            Fenced: another owner has claimed; the unit does not count.
        """

    def lag(self) -> int:
        """Messages that wait in the inbox."""

    @property
    def trouble(self) -> str | None:
        """Why the broker cannot be reached; None when all is well."""

    def close(self) -> None:
        """Let go at once, so that another may be elected; twice is fine."""


class Candidate(Protocol):
    """A process that stands for election."""

    def elected(self, shard: int) -> bool:
        """Whether this process is the one to own a shard, by now."""

    def claim(self, shard: int) -> Inbox:
        """Fence whoever owned it before. What was committed until then, and nothing else, is in the journal.

        Raises:
            BrokerError: the broker does not answer.
        """

    @property
    def trouble(self) -> str | None:
        """Why the broker cannot be reached; None when all is well."""

    def close(self) -> None:
        """Stand no longer."""


class Journal(Protocol):
    """The committed entries of one shard, in order."""

    def poll(self, timeout_s: float) -> list[tuple[str, bytes]]:
        """The next entries, each with its place, at once if there are any, else none after so long.

        Raises:
            BrokerError: the journal no longer holds what follows.
        """

    def end(self) -> bool:
        """Whether everything committed when this was asked has been given out."""

    @property
    def trouble(self) -> str | None:
        """Why the broker cannot be reached; None when all is well."""

    def close(self) -> None:
        """Stop reading."""


class Outlet(Protocol):
    """Puts messages into topics, from a producer or an API process."""

    def put(self, role: str, key: str, body: bytes, done: Told | None = None, *, trace: bytes = b"") -> None:
        """Send; `done` is called once the broker has it, or with the error. trace: see `Message`.

        Raises:
            BrokerError: too much waits already.
        """

    def flush(self, timeout_s: float) -> int:
        """Wait for what was sent; how much the broker does not have yet."""

    @property
    def trouble(self) -> str | None:
        """Why the broker cannot be reached; None when all is well."""

    def close(self) -> None:
        """Flush and let go."""


class Broker(Protocol):
    """One detector's topics on one broker.

    Raises, wherever it is asked: BrokerError, where it does not answer or refuses.
    """

    topics: Topics

    def create(self, shards: int | None = None) -> list[str]:
        """Create the topics that are not there; returns their names."""

    def shards(self) -> int:
        """How many parts the inbox has, each with an owner of its own; 0 while there are no topics."""

    def candidate(self, name: str) -> Candidate:
        """Stand for election under a name for people."""

    def journal(self, shard: int, after: str | None) -> Journal:
        """The journal behind a place, from its beginning where there is none."""

    def outlet(self) -> Outlet:
        """A way in."""

    def close(self) -> None:
        """Let go of everything."""


class Sink(Protocol):
    """A store beside the path: it receives every record, and remembers how far it has come, in one write with them.

    name: for metrics and messages.
    """

    name: str

    def begin(self, fence: int) -> int:
        """Take over with this fencing number; the position of the first record to write.

        Raises:
            Fenced: somebody with a higher number was here.
            SinkUnavailable: the store does not answer.
        """

    def write(self, records: Sequence[tuple[int, Record]]) -> None:
        """Write records, with their positions in the ledger, in order; all of it is kept when this returns.

        Raises:
            Fenced: somebody with a higher number was here.
            SinkUnavailable: the store does not answer; the same is written again.
        """

    def close(self) -> None:
        """Let go of the store."""
