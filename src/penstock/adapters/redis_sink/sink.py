"""The sink to Redis: a script writes decisions, profiles and notifications atomically with the position reached."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.resources import files
from itertools import chain

from penstock.adapters.redis_sink.connection import connect, explained, place_of
from penstock.adapters.redis_sink.profiles import Rows, profiles_of
from penstock.engine.engine import Engine
from penstock.errors import Fenced
from penstock.messages import Record

DECISION_TTL_S = 24 * 3600
"""How long a decision can be looked up, in seconds."""

PROFILE_TTL_S = 90 * 24 * 3600
"""How long the profile of a key stays after its latest event, in seconds."""

MOST_ROWS = 512
"""Rows of one script: Redis does nothing else while it runs."""


_Sent = tuple[tuple[int, int], "Future[int]"]
"""How far a portion goes, and the answer to it."""

_TAKE = """
local fence = tonumber(redis.call('GET', KEYS[1]) or '0')
if fence > tonumber(ARGV[1]) then
    return {fence, 0, 0}
end
redis.call('SET', KEYS[1], ARGV[1])
local reached = redis.call('HMGET', KEYS[2], 'position', 'row')
return {tonumber(ARGV[1]), tonumber(reached[1] or '0'), tonumber(reached[2] or '0')}
"""


class RedisSink:
    """`Sink` into Redis: lookups and notifications for other services.

    Args:
        url: of the server, redis://HOST:PORT/DATABASE.
        engine: the worker's, which decodes records.
        owner: the name of the writer: every shard of an inbox but the first, and every ledger of a service without a broker,
            has a separate fence and cursor under this name.
        decision_ttl_s, profile_ttl_s: seconds to live.
        entities: whose profiles are published; by default those with keys of one field, since pairs are many and cost as much
            each.

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
        engine: Engine,
        *,
        owner: str = "",
        decision_ttl_s: int = DECISION_TTL_S,
        profile_ttl_s: int = PROFILE_TTL_S,
        entities: Sequence[str] | None = None,
    ) -> None:
        self._place = place_of(url)
        self._redis = connect(url)
        self._look = engine.queries
        self._detector = engine.detector.name
        prefix = f"penstock:{self._detector}:"
        suffix = f":{owner}" if owner else ""
        self._owned = [f"{prefix}fence{suffix}", f"{prefix}cursor{suffix}"]
        self._keys = [*self._owned, f"{prefix}decision:", f"{prefix}decisions", f"{prefix}alerts"]
        self._profiles = profiles_of(engine.detector, prefix, entities)
        self._ttls_s = decision_ttl_s, profile_ttl_s
        self._take = self._redis.register_script(_TAKE)
        self.script = self._redis.register_script((files(__package__) / "sink.lua").read_text())
        self._sending = ThreadPoolExecutor(1, thread_name_prefix="penstock-redis")
        self._fence = 0
        self.reached = 0, 0

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
        for rows, reached in _portions(self._detector, records, self.reached):
            arguments = self._arguments(rows, reached)  # made while the server still works on the portion before
            self._settle(sent)
            sent = reached, self._sending.submit(self.script, self._keys, arguments)
        self._settle(sent)

    def _settle(self, sent: "_Sent | None") -> None:
        """Wait for the response to the last write."""
        if sent is not None:
            with explained(self._place):
                held = sent[1].result()
            self._check(held, self._fence)
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

    def _arguments(self, rows: Sequence[Rows], reached: tuple[int, int]) -> list[bytes | str | int]:
        profiles = b"".join(each.pack(rows, self._look) for each in self._profiles)
        found: list[bytes | str | int] = [self._fence, *reached, *self._ttls_s, profiles]
        for record, start, stop in rows:
            bodies = self._look.render(record, range(start, stop))
            found += chain.from_iterable(zip(record.ids[start:stop], bodies, strict=True))
        return found


def _portions(
    detector: str, records: Sequence[tuple[int, Record]], reached: tuple[int, int]
) -> Iterator[tuple[list[Rows], tuple[int, int]]]:
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
