"""Gauge rules over figures of the running process: level, growth and duration."""

from collections import deque
from typing import Any

from penstock.alerts.rule import Gauge


class Level:
    """Watches one figure for one rule; call `observe` periodically.

    With `within`, the value is the figure's growth in that time: from the last value before the window began. A figure
    that falls was reset (as counters of a process are) and counts from zero.
    """

    def __init__(self, rule: Gauge) -> None:
        self._rule = rule
        self._within_us = None if rule.within is None else rule.us("within")
        self._lasting_us = rule.us("lasting")
        self._grown = 0.0
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

    @property
    def above_since(self) -> int:
        """Since when the limit has been exceeded."""
        return self._above_since or 0

    def _growth(self, value: float, now_us: int, within_us: int) -> float:
        if self._newest is not None:
            self._grown += value - self._newest if value >= self._newest else value
        self._newest = value
        self._steps.append((now_us, self._grown))
        while len(self._steps) > 1 and self._steps[1][0] <= now_us - within_us:
            self._steps.popleft()
        return self._grown - self._steps[0][1]

    def state(self) -> Any:
        """None: a figure belongs to the process."""
        return None

    def restore(self, state: Any) -> None:
        """None: it has no state."""
