"""The sink to Redis: a script writes decisions, profiles and notifications atomically with the position reached."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.resources import files
from itertools import chain
from typing import TYPE_CHECKING

import redis

from penstock.adapters.redis_sink.connection import connect, explained, place_of
from penstock.adapters.redis_sink.profiles import EntityProfile, Newest, ProfileWriter, Rows, profiles_of
from penstock.engine.record_reader import RecordReader
from penstock.errors import Fenced
from penstock.messages import Record

if TYPE_CHECKING:
    from penstock.engine.engine import Engine

DECISION_TTL_S = 24 * 3600
"""How long a decision can be looked up, in seconds."""

PROFILE_TTL_S = 90 * 24 * 3600
"""How long the profile of a key stays after its latest event, in seconds."""

MOST_ROWS = 512
"""Rows of one script: Redis does nothing else while it runs."""

PIPELINED = 4
"""Scripts sent at once: the server finds the next one waiting, while the client makes those after."""

_Position = tuple[int, int]
"""A position in the ledger, and a row of the record there."""

_Arguments = list[bytes | str | int]
_Sent = tuple[_Position, "Future[list[int]]"]
"""How far the scripts of a pipeline go, and the answers to them."""

_TAKE = """
local fence = tonumber(redis.call('GET', KEYS[1]) or '0')
if fence > tonumber(ARGV[1]) then
    return {fence, 0, 0}
end
redis.call('SET', KEYS[1], ARGV[1])
local reached = redis.call('HMGET', KEYS[2], 'position', 'row')
return {tonumber(ARGV[1]), tonumber(reached[1] or '0'), tonumber(reached[2] or '0')}
"""


def prefix_of(detector: str) -> str:
    """What the names of a detector's keys begin with."""
    return f"penstock:{detector}:"


class RedisSink:
    """`Sink` into Redis: lookups and notifications for other services.

    Args:
        url: of the server, redis://HOST:PORT/DATABASE.
        detector: its name.
        reader: reads and renders the records.
        profiles: those that are published.
        owner: the name of the writer: every shard of an inbox but the first, and every ledger of a service without a broker,
            has a separate fence and cursor under this name.
        decision_ttl_s, profile_ttl_s: seconds to live.

    For the detector `banking`:

        penstock:banking:decision:ID          the decision's JSON
        penstock:banking:customer:C1          a hash: the customer's features as of the latest event, and `as_of`
        penstock:banking:decisions, :alerts   channels: the beginning of every decision, up to its probability; those that block
        penstock:banking:fence, :cursor       who may write, and how far they came

    A key of several fields is written with | between them. Null values are left out. A late event does not replace the
    profile of a newer one. An entity with roles has the features of each role as of its latest event in that role:
    `as_of_sent`, `as_of_received`.
    """

    name = "redis"

    def __init__(
        self,
        url: str,
        detector: str,
        reader: RecordReader,
        profiles: Sequence[EntityProfile],
        *,
        owner: str = "",
        decision_ttl_s: int = DECISION_TTL_S,
        profile_ttl_s: int = PROFILE_TTL_S,
    ) -> None:
        self._place = place_of(url)
        self._redis = connect(url)
        self._look, self._detector = reader, detector
        prefix = prefix_of(detector)
        suffix = f":{owner}" if owner else ""
        self._owned = [f"{prefix}fence{suffix}", f"{prefix}cursor{suffix}"]
        self._keys = [*self._owned, f"{prefix}decision:", f"{prefix}decisions", f"{prefix}alerts"]
        self._profiles = [ProfileWriter(profile) for profile in profiles]
        self._ttls_s = decision_ttl_s, profile_ttl_s
        self._take = self._redis.register_script(_TAKE)
        self._script = (files(__package__) / "sink.lua").read_text()
        self._sha = hashlib.sha1(self._script.encode(), usedforsecurity=False).hexdigest()
        self._sending = ThreadPoolExecutor(1, thread_name_prefix="penstock-redis")
        self._fence = 0
        self.reached = 0, 0

    @classmethod
    def of(cls, url: str, engine: "Engine", *, owner: str = "", entities: Sequence[str] | None = None) -> "RedisSink":
        """The sink of an engine's decisions.

        entities: whose profiles are published; by default those with keys of one field, since pairs are many and cost as much
        each.
        """
        detector = engine.detector
        profiles = profiles_of(detector, prefix_of(detector.name), entities)
        return cls(url, detector.name, engine.queries, profiles, owner=owner)

    def begin(self, fence: int) -> int:
        """See `Sink.begin`."""
        with explained(self._place):
            held, position, row = self._take(keys=self._owned, args=[fence])
        self._check(held, fence)
        self._fence, self.reached = fence, (position, row)
        return int(position)

    def write(self, records: Sequence[tuple[int, Record]]) -> None:
        """See `Sink.write`."""
        sent: _Sent | None = None
        portions = list(_portions(self._detector, records, self.reached))
        newest = [each.newest([rows for rows, _ in portions], self._look) for each in self._profiles]
        for start in range(0, len(portions), PIPELINED):
            scripts: list[_Arguments] = []
            before = -1, -1
            for number, (rows, reached) in enumerate(portions[start : start + PIPELINED], start):
                scripts.append(self._arguments(rows, reached, before, [each[number] for each in newest]))
                before = reached
            self._settle(sent)  # the server worked on them while these were made
            sent = before, self._sending.submit(self._send, scripts)
        self._settle(sent)

    def _send(self, scripts: Sequence[_Arguments]) -> list[int]:
        """The answers to scripts that are sent at once; one behind a script that failed changes nothing."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for arguments in scripts:
                pipeline.evalsha(self._sha, len(self._keys), *self._keys, *arguments)
            try:
                return list(pipeline.execute())
            except redis.exceptions.NoScriptError:  # the server is new, or was emptied
                self._redis.script_load(self._script)
        return self._send(scripts)

    def _settle(self, sent: "_Sent | None") -> None:
        """Wait for the responses to the last pipeline."""
        if sent is not None:
            with explained(self._place):
                held = sent[1].result()
            self._check(max(held), self._fence)
            self.reached = sent[0]

    def close(self) -> None:
        """See `Sink.close`."""
        self._sending.shutdown(wait=True)
        self._redis.close()

    def _check(self, held: int, fence: int) -> None:
        if held > fence:
            raise Fenced(
                f"{self._place} is written by an owner of {self._detector} with the number {held}; "
                f"this one, number {fence}, is no longer in charge"
            )

    def _arguments(self, rows: Sequence[Rows], reached: _Position, before: _Position, newest: Sequence[Newest]) -> _Arguments:
        profiles = b"".join(each.pack(keys, rows, self._look) for each, keys in zip(self._profiles, newest, strict=True))
        found: _Arguments = [self._fence, *reached, *self._ttls_s, *before, profiles]
        for record, start, stop in rows:
            bodies = self._look.render(record, range(start, stop))
            found += chain.from_iterable(zip(record.ids[start:stop], bodies, strict=True))
        return found


def _portions(
    detector: str, records: Sequence[tuple[int, Record]], reached: _Position
) -> Iterator[tuple[list[Rows], _Position]]:
    """Decisions of a detector in portions of a good size, each with the position and row up to which it goes."""
    portion: list[Rows] = []
    size, end = 0, reached
    for position, record in records:
        start = reached[1] if position == reached[0] else 0
        if record.kind == "decisions" and record.detector == detector:
            while start < len(record):
                stop = min(len(record), start + MOST_ROWS - size)
                portion.append((record, start, stop))
                size, start = size + stop - start, stop
                if size == MOST_ROWS:
                    yield portion, (position, stop) if stop < len(record) else (position + 1, 0)
                    portion, size = [], 0
        end = position + 1, 0
    if portion or end != reached:
        yield portion, end
