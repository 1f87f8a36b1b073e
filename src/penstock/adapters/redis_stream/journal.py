"""The journal on Redis: a stream in which each entry names its predecessor."""

import time
from typing import Any

from penstock.adapters.redis_stream.address import RedisAddress
from penstock.adapters.redis_stream.inbox import ordered
from penstock.adapters.redis_stream.line import ANSWER_S, Line
from penstock.errors import BrokerError, BrokerUnavailable

_MOST = 16
_WAIT_S = 0.2


class RedisJournal:
    """`Journal` on Redis."""

    def __init__(self, address: RedisAddress, line: Line, after: str | None) -> None:
        self._address, self._line, self._asking = address, line.another(), line.another()
        self._reached = after or ""

    def poll(self, timeout_s: float) -> list[tuple[str, bytes]]:
        """See `Journal.poll`."""
        block = ("BLOCK", max(1, int(min(timeout_s, ANSWER_S / 2) * 1000))) if timeout_s > 0 else ()
        journal = self._address.topics.journal
        try:
            found = self._line.ask("XREAD", "COUNT", _MOST, *block, "STREAMS", journal, self._reached or "0-0")
        except BrokerUnavailable:
            time.sleep(min(timeout_s, _WAIT_S))
            return []
        return [self._entry(place.decode(), fields) for _, entries in found or () for place, fields in entries]

    def _entry(self, place: str, fields: list[Any]) -> tuple[str, bytes]:
        if len(fields) != 4 or fields[0] != b"entry":
            raise BrokerError(
                f"{self._address.topics.journal!r} holds entry {place}, which is none; does another program write there?"
            )
        before = fields[3].decode()
        if before != self._reached:
            raise self._gap(before)
        self._reached = place
        return place, fields[1]

    def _gap(self, before: str) -> BrokerError:
        name, here = self._address.topics.journal, self._reached or "its beginning"
        if before and (not self._reached or ordered(before) > ordered(self._reached)):
            return BrokerError(
                f"the journal {name!r} no longer holds what follows {here}: it goes on behind {before}; copy the data folder "
                "of a worker that has it, and keep the journal for longer (keep_journal)"
            )
        return BrokerError(
            f"the journal {name!r} goes on behind {before or 'its beginning'} and has been read up to {here}: Redis has "
            "forgotten what it had confirmed; remove ledger/ and state/ from the data folder, which is filled from the "
            "journal again, and let Redis write every change to disk (appendonly yes, appendfsync always)"
        )

    @property
    def abandoned(self) -> bool:
        """See `Journal.abandoned`: a lease elects."""
        return False

    def mark(self) -> str | None:
        """See `Journal.mark`."""
        try:
            place = (self._asking.ask("HGET", self._address.state, "place") or b"").decode()
        except BrokerUnavailable:
            return None
        if self._reached and (not place or ordered(place) < ordered(self._reached)):
            raise self._gap(place)
        return place

    def has_read(self, mark: str) -> bool:
        """See `Journal.has_read`."""
        return not mark or (bool(self._reached) and ordered(self._reached) >= ordered(mark))

    def end(self) -> bool:
        """See `Journal.end`; False while Redis does not answer."""
        mark = self.mark()
        return mark is not None and self.has_read(mark)

    @property
    def trouble(self) -> str | None:
        """See `Journal.trouble`."""
        return self._line.trouble

    def close(self) -> None:
        """Nothing is held: the connections are the broker's."""
