"""An owner's access to the inbox: reads its messages, and commits each unit by one script.

Messages are read from a position that the owner knows, and the consumer group's position moves only in the commit. So no
message is ever pending: the next owner reads the uncommitted messages of a dead owner again, in order, and a frozen owner takes
no messages from its successor.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from penstock.adapters.redis_stream.address import RedisAddress
from penstock.adapters.redis_stream.line import ANSWER_S, Line
from penstock.errors import BrokerError, BrokerUnavailable, Fenced
from penstock.stream.port import INBOX, Derive, Message, Unit, nothing
from penstock.stream.trace_context import TRACEPARENT

LARGEST_POLL = 8 << 20
"""Maximum bytes of messages that one poll returns; about as many are read at once."""

FIELD = b"event"
"""The field of an entry that holds the message; the only field of an entry may have any name."""

_BEGIN_S = 30.0
_WAIT_S = 0.2


class RedisInbox:
    """`Inbox` on Redis; made by the claim that gave it its fence."""

    def __init__(
        self, address: RedisAddress, line: Line, group: str, shard: int, fence: int, *, on_close: Callable[[], None]
    ) -> None:
        self.shard = shard
        self._address, self._group, self._fence, self._on_close = address, group, fence, on_close
        self._reading, self.committing, self._asking = line.another(), line.another(), line.another()
        self._script = line.script("commit")
        self._names = {role: address.topics.named(role) for role in INBOX}
        self._roles = {name.encode(): role for role, name in self._names.items()}
        self._behind: dict[str, str] = {}
        self.waiting: deque[Message] = deque()
        self._drained = False
        self._at_once = 1_000
        self._unit = 0
        self._tails = {role: Tail(address.keep) for role in INBOX}
        self._lag = 0
        self._lost = self._closed = False

    # ------------------------------------------------------------ reading

    def begin(self, places: dict[str, str], derive: Derive = nothing) -> None:  # noqa: ARG002 -- of the port
        """See `Inbox.begin`; the script that commits publishes, too."""
        known = self._reading.insist(self._known, _BEGIN_S)
        self._behind = {role: max(known[role], places.get(role, "0-0"), key=ordered) for role in INBOX}

    def _known(self) -> dict[str, str]:
        """The consumer group's position in each stream."""
        return {role: str(self._group_of(self._reading, role)["last-delivered-id"].decode()) for role in INBOX}

    def _group_of(self, line: Line, role: str) -> dict[str, Any]:
        for group in line.ask("XINFO GROUPS", self._names[role]):
            if group["name"].decode() == self._group:
                return dict(group)
        raise BrokerError(f"stream {self._names[role]!r} has no group {self._group!r}; create it: penstock topics create")

    def lose(self) -> None:
        """Another process has been elected: read no more."""
        self._lost = True

    def poll(self, most: int, timeout_s: float, *, transactions_only: bool = False) -> list[Message]:
        """See `Inbox.poll`."""
        if self._lost:
            raise Fenced(f"shard {self.shard} goes to another worker")
        if not self.waiting:
            self._read(timeout_s, ("transactions",) if transactions_only else INBOX)
        found: list[Message] = []
        size = 0
        while self.waiting and len(found) < most:
            size += len(self.waiting[0].body)
            if found and size > LARGEST_POLL:
                break
            found.append(self.waiting.popleft())
        return found

    def caught_up(self) -> bool:
        """See `Inbox.caught_up`: Redis answers for all streams in one moment, transactions first."""
        return self._drained and not (self.waiting and self.waiting[0].role == "transactions")

    def _read(self, timeout_s: float, roles: Sequence[str]) -> None:
        block = ("BLOCK", max(1, int(min(timeout_s, ANSWER_S / 2) * 1000))) if timeout_s > 0 else ()
        names, behind = [self._names[role] for role in roles], [self._behind[role] for role in roles]
        try:
            found = self._reading.ask("XREAD", "COUNT", self._at_once, *block, "STREAMS", *names, *behind)
        except BrokerUnavailable:
            time.sleep(min(timeout_s, _WAIT_S))
            return
        size = most = 0
        self._drained = True
        for name, entries in found or ():
            role = self._roles[name]
            self._drained &= role != "transactions" or len(entries) < self._at_once
            self.waiting.extend(self._message(role, place.decode(), fields) for place, fields in entries)
            self._behind[role] = entries[-1][0].decode()
            most = max(most, len(entries))
            size += sum(sum(map(len, fields)) for _, fields in entries)
        if size > LARGEST_POLL:  # the server counts entries, not bytes
            self._at_once = max(1, most // 2)
        elif most == self._at_once:
            self._at_once = min(1_000, self._at_once * 2)

    def _message(self, role: str, place: str, fields: list[bytes]) -> Message:
        arrived_us = int(place.partition("-")[0]) * 1000
        if len(fields) == 2:
            return Message(role, self.shard, place, arrived_us, fields[1])
        return Message(role, self.shard, place, arrived_us, *_body_and_trace(fields))

    def lag(self) -> int:
        """See `Inbox.lag`; the last known value while Redis does not answer."""
        with suppress(BrokerError):
            self._lag = sum(self._group_of(self._asking, role).get("lag") or 0 for role in INBOX)
        return self._lag

    # ------------------------------------------------------------ committing

    def commit(self, unit: Unit) -> str | None:
        """See `Inbox.commit`."""
        if not (unit.entry or unit.out or unit.read):
            self._check()
            return None
        keys, arguments = self._words(unit)
        said, value = self._patiently(lambda: self.committing.run(self._script, keys, arguments))
        if said != b"done":
            raise self._refused(said, int(value))
        self._unit += 1
        return str(value.decode()) if unit.entry else None

    def _check(self) -> None:
        """Whether this still is the owner."""
        fence = int(self._patiently(lambda: self.committing.ask("HGET", self._address.state, "fence")) or 0)
        if fence != self._fence:
            raise self._refused(b"fence", fence)

    def _patiently(self, ask: Callable[[], Any]) -> Any:
        while True:
            try:
                return ask()
            except BrokerUnavailable as error:
                if self._lost:
                    raise Fenced(f"shard {self.shard} goes to another worker") from error
                time.sleep(_WAIT_S)

    def _refused(self, said: bytes, value: int) -> Exception:
        if said == b"fence" and value > self._fence:
            return Fenced(f"shard {self.shard} has another owner now: {value}, this is {self._fence}")
        return BrokerError(
            f"Redis has forgotten what it had confirmed: {said.decode()} {value} where it was "
            f"{self._fence if said == b'fence' else self._unit}; let it write every change to disk (appendonly yes, "
            "appendfsync always, maxmemory-policy noeviction), remove ledger/ and state/ from the data folders of the "
            "detector's workers, and start them again"
        )

    def _words(self, unit: Unit) -> tuple[list[str], list[str | bytes | int]]:
        """The arguments of the script for a unit."""
        read: dict[str, list[Message]] = {}
        for message in unit.read:
            read.setdefault(message.role, []).append(message)
        numbers = {role: k for k, role in enumerate(dict.fromkeys(out.role for out in unit.out), start=1)}
        topics = self._address.topics
        keys = [self._address.state, topics.journal, *map(topics.named, read), *map(topics.named, numbers)]
        arguments: list[str | bytes | int] = [
            self._fence,
            self._unit + 1,
            self._group,
            unit.entry,
            self._address.keep_journal,
            len(read),
        ]
        for role, messages in read.items():
            last = max((message.place for message in messages), key=ordered)
            arguments += (last, len(messages), self._tails[role].read(last, len(messages)))
        arguments += (len(numbers), *map(self._address.most_in, numbers))
        for role, _, body in unit.out:
            arguments += (numbers[role], body, "")
        return keys, arguments

    @property
    def trouble(self) -> str | None:
        """See `Inbox.trouble`."""
        return self.committing.trouble or self._reading.trouble

    def close(self) -> None:
        """Close."""
        if not self._closed:
            self._closed = True
            self._on_close()


class Tail:
    """How many processed messages of a stream are kept.

    >>> tail = Tail(15)
    >>> [tail.read("7-0", 10), tail.read("8-0", 10), tail.read("9-0", 10)]
    ['', '', '7-0']
    """

    def __init__(self, keep: int) -> None:
        self._keep, self._number = keep, 0
        self._parts: deque[tuple[str, int]] = deque()

    def read(self, place: str, number: int) -> str:
        """Count messages read up to this place; returns the place before which messages may be deleted, empty for none."""
        self._parts.append((place, number))
        self._number += number
        free = ""
        while self._parts and self._number - self._parts[0][1] >= self._keep:
            free, part = self._parts.popleft()
            self._number -= part
        return free


def ordered(place: str) -> tuple[int, int]:
    """An entry's id as a value that can be compared."""
    stamp, _, number = place.partition("-")
    return int(stamp), int(number or 0)


def _body_and_trace(fields: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The message of an entry with several fields, and its trace. Without the field of the message, it is all fields, for
    quarantine.
    """
    pairs = dict(zip(fields[::2], fields[1::2], strict=True))
    return pairs.get(FIELD, b" ".join(fields)), pairs.get(TRACEPARENT.encode(), b"")
