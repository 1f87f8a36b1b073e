"""Exact sliding windows over matches, in bounded memory; and the growth of figures of the running process.

The time of a decision is its event time, or its arrival if earlier, so that no clock that runs ahead moves a window. A
window ends at the newest time seen: of the same entity, if there is one.
"""

import bisect
from collections import deque
from typing import Any, Protocol

from penstock.alerts.rule import Gauge

Key = tuple[Any, ...]
MOST_GROUPS = 100_000
"""Maximum of entities counted at once; one is dropped when half as many others came since it was last seen."""


class Window(Protocol):
    """Counts matches within a window."""

    def add(self, time_us: int, value: Any) -> bool:
        """Add a match; returns whether there are now more than the limit."""

    def state(self) -> list[Any]:
        """The state for a snapshot."""


class MatchWindow:
    """Detects more than `limit` matches within a window, from the newest `limit + 1` times."""

    __slots__ = ("_limit", "_times", "_window_us")

    def __init__(self, window_us: int, limit: int, state: list[int] | None = None) -> None:
        self._window_us, self._limit = window_us, limit
        self._times: list[int] = state or []

    def add(self, time_us: int, _value: Any) -> bool:
        """Add a match; returns whether there are now more than the limit within the window."""
        times = self._times
        if not times or time_us >= times[-1]:
            times.append(time_us)
        else:
            bisect.insort(times, time_us)
        if len(times) <= self._limit:
            return False
        if len(times) > self._limit + 1:
            del times[0]
        return times[0] > times[-1] - self._window_us

    def state(self) -> list[Any]:
        """The state for a snapshot."""
        return self._times


class DistinctWindow:
    """Detects more than `limit` distinct values within a window, from the newest time of `limit + 1` values."""

    __slots__ = ("_limit", "_newest", "_window_us")

    def __init__(self, window_us: int, limit: int, state: list[list[Any]] | None = None) -> None:
        self._window_us, self._limit = window_us, limit
        self._newest: dict[Any, int] = dict(state or [])

    def add(self, time_us: int, value: Any) -> bool:
        """Add a value; returns whether there are now more distinct values than the limit within the window. Null does not
        count.
        """
        newest = self._newest
        if value is None:
            return False
        newest[value] = max(time_us, newest.get(value, time_us))
        if len(newest) <= self._limit:
            return False
        if len(newest) > self._limit + 1:
            del newest[min(newest, key=newest.__getitem__)]
        return min(newest.values()) > max(newest.values()) - self._window_us

    def state(self) -> list[Any]:
        """The state for a snapshot."""
        return [[value, at] for value, at in self._newest.items()]


class Groups:
    """A window for each entity, in two generations: entities not seen while the newer one fills are dropped."""

    def __init__(
        self, kind: type[MatchWindow] | type[DistinctWindow], window_us: int, limit: int, most: int = MOST_GROUPS
    ) -> None:
        self._kind, self._window_us, self._limit = kind, window_us, limit
        self._half = max(1, most // 2)
        self._newer: dict[Key, Window] = {}
        self._older: dict[Key, Window] = {}

    def add(self, key: Key, time_us: int, value: Any) -> bool:
        """Add a match of this entity; returns whether there are now more than the limit."""
        window = self._newer.get(key)
        if window is None:
            window = self._older.pop(key, None) or self._kind(self._window_us, self._limit)
            if len(self._newer) >= self._half:
                self._newer, self._older = {}, self._newer
            self._newer[key] = window
        return window.add(time_us, value)

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)

    def state(self) -> list[Any]:
        """The state for a snapshot: of both generations, the older first."""
        return [[[list(key), window.state()] for key, window in some.items()] for some in (self._older, self._newer)]

    def restore(self, state: list[Any]) -> None:
        """Restore a snapshot."""
        older, newer = state
        self._older, self._newer = self._made(older), self._made(newer)

    def _made(self, some: list[Any]) -> dict[Key, Window]:
        return {tuple(key): self._kind(self._window_us, self._limit, kept) for key, kept in some}


PANES = 30
"""Number of panes in a rate's window; it ends with the current pane."""


class Shares:
    """Totals and matches in a window and in the reference before it, by panes of equal length.

    >>> shares = Shares(window_us=30, reference_us=60)
    >>> shares.add(5, total=10, hits=1)
    >>> shares.add(40, total=4, hits=2)
    >>> shares.window, shares.reference
    ((4, 2), (10, 1))
    """

    def __init__(self, window_us: int, reference_us: int) -> None:
        self.pane_us = max(1, window_us // PANES)
        self._before = -(-reference_us // self.pane_us)
        self.panes: deque[list[int]] = deque([[0, 0] for _ in range(PANES + self._before)], PANES + self._before)
        self._newest = -(2**62)
        self._window, self._reference = [0, 0], [0, 0]

    @property
    def window(self) -> tuple[int, int]:
        """Total and matches in the window."""
        return self._window[0], self._window[1]

    @property
    def reference(self) -> tuple[int, int]:
        """Total and matches in the reference before it."""
        return self._reference[0], self._reference[1]

    def add(self, pane: int, *, total: int, hits: int) -> None:
        """Add to a pane (its number: time // pane_us); a pane older than the reference is ignored."""
        if pane > self._newest:
            self._advance(pane)
        behind = self._newest - pane
        if behind >= len(self.panes):
            return
        for counts in (self.panes[-1 - behind], self._window if behind < PANES else self._reference):
            counts[0] += total
            counts[1] += hits

    def advance(self, pane: int) -> None:
        """Advance to a pane, if it is later."""
        if pane > self._newest:
            self._advance(pane)

    def _advance(self, pane: int) -> None:
        panes, window, reference = self.panes, self._window, self._reference
        for _ in range(min(pane - self._newest, len(panes))):
            (total, hits), (old_total, old_hits) = panes[-PANES], panes[0]
            window[0] -= total
            window[1] -= hits
            reference[0] += total - old_total
            reference[1] += hits - old_hits
            panes.append([0, 0])
        self._newest = pane

    def state(self) -> list[Any]:
        """The state for a snapshot: the newest pane's number, and the non-empty panes, by their distance from it."""
        kept = [[behind, *counts] for behind, counts in enumerate(reversed(self.panes)) if counts[0]]
        return [self._newest, kept]

    def restore(self, state: list[Any]) -> None:
        """Restore a snapshot."""
        self._newest, kept = state
        for behind, total, hits in kept:
            self.add(self._newest - behind, total=total, hits=hits)


class Level:
    """Watches one figure for one rule; call `observe` periodically.

    With `within`, the value is the figure's growth in that time: from the last value before the window began. A figure
    that falls was reset (as counters of a process are) and counts from zero.
    """

    def __init__(self, rule: Gauge) -> None:
        self._rule = rule
        self._within_us = None if rule.within is None else rule.us("within")
        self._lasting_us = rule.us("lasting")
        self._total = 0.0
        self._newest: float | None = None
        self._steps: deque[tuple[int, float]] = deque()
        self._above_since: int | None = None

    def observe(self, value: float, now_us: int) -> float | None:
        """The value if it has exceeded the limit for long enough; else None."""
        counts = value if self._within_us is None else self._growth(value, now_us, self._within_us)
        if not counts > self._rule.more_than:
            self._above_since = None
            return None
        if self._above_since is None:
            self._above_since = now_us
        return counts if now_us - self._above_since >= self._lasting_us else None

    def _growth(self, value: float, now_us: int, within_us: int) -> float:
        if self._newest is not None:
            self._total += value - self._newest if value >= self._newest else value
        self._newest = value
        self._steps.append((now_us, self._total))
        while len(self._steps) > 1 and self._steps[1][0] <= now_us - within_us:
            self._steps.popleft()
        return self._total - self._steps[0][1]

    def state(self) -> Any:
        """None: a figure belongs to the process."""
        return None

    def restore(self, state: Any) -> None:
        """None: it has no state."""
