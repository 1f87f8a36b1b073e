"""Throttling of alerts: cool-downs for repeated ones, and limits per hour."""

from collections import deque
from typing import Any

from penstock.clock import SECOND_US

HOUR_US = 3600 * SECOND_US
_MOST_KEYS = 50_000
"""Entities remembered for a cool-down; beyond it, those whose cool-down is over are dropped, then the oldest."""


class Hourly:
    """A limit within any hour."""

    def __init__(self, limit: int) -> None:
        self._times: deque[int] = deque(maxlen=limit)

    def full(self, now_us: int) -> bool:
        """Whether one more would exceed the limit."""
        return len(self._times) == self._times.maxlen and self._times[0] > now_us - HOUR_US

    def add(self, now_us: int) -> None:
        """Count a sent alert."""
        self._times.append(now_us)

    def state(self) -> list[int]:
        """The state for a snapshot."""
        return list(self._times)

    def restore(self, state: list[int]) -> None:
        """Restore a snapshot."""
        self._times.clear()
        self._times.extend(state)


class Throttle:
    """Throttles the alerts of one rule: none like another within the cool-down after it, and at most so many an hour.

    overall: the hourly limit over all rules. Suppressed alerts are counted; the next one sent carries their number, and
    if none follows, `due` tells that a summary should be sent.
    """

    def __init__(self, cooldown_us: int, limit: int, overall: Hourly) -> None:
        self._cooldown_us = cooldown_us
        self._hourly, self._overall = Hourly(limit), overall
        self._last: dict[str, int] = {}
        self.suppressed = 0
        self._since_us = 0
        self.first_seq = 0

    def admit(self, like: str, now_us: int, seq: int) -> int | None:
        """The number of alerts suppressed before it if an alert about `like` may be sent now, else None.

        seq: the record that raised it; the first suppressed one names the summary.
        """
        last = self._last.get(like)
        cooling = last is not None and now_us < last + self._cooldown_us
        if cooling or self._hourly.full(now_us) or self._overall.full(now_us):
            self.hold_back(1, now_us, seq)
            return None
        self._last.pop(like, None)
        self._last[like] = now_us
        self._forget(now_us)
        self._hourly.add(now_us)
        self._overall.add(now_us)
        return self.take()

    def cooling(self, like: str, now_us: int) -> bool:
        """Whether alerts about `like` are in their cool-down."""
        last = self._last.get(like)
        return last is not None and now_us < last + self._cooldown_us

    def hold_back(self, count: int, now_us: int, seq: int) -> None:
        """Count suppressed alerts."""
        if not self.suppressed:
            self._since_us, self.first_seq = now_us, seq
        self.suppressed += count

    def due(self, now_us: int) -> bool:
        """Whether a summary of suppressed alerts is due."""
        return self.suppressed > 0 and now_us >= self._since_us + max(self._cooldown_us, 60 * SECOND_US)

    def take(self) -> int:
        """The number of suppressed alerts; resets it."""
        suppressed, self.suppressed = self.suppressed, 0
        return suppressed

    def _forget(self, now_us: int) -> None:
        if len(self._last) <= _MOST_KEYS:
            return
        self._last = {like: at for like, at in self._last.items() if now_us < at + self._cooldown_us}
        for like in list(self._last)[: max(0, len(self._last) - _MOST_KEYS)]:
            del self._last[like]

    def state(self) -> dict[str, Any]:
        """The state for a snapshot."""
        return {
            "last": self._last,
            "hourly": self._hourly.state(),
            "held": [self.suppressed, self._since_us, self.first_seq],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a snapshot."""
        self._last = dict(state["last"])
        self._hourly.restore(state["hourly"])
        self.suppressed, self._since_us, self.first_seq = state["held"]
