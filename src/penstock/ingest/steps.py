"""Event times given as steps from a declared start, as in simulated and anonymised files."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from penstock.clock import duration_us, to_us
from penstock.errors import DeclarationError, did_you_mean


@dataclass(frozen=True, slots=True)
class Steps:
    """The field that replaces a missing time: a number of steps of `every` after `start`.

    >>> from datetime import UTC
    >>> steps = Steps("step", every="1h", start=datetime(2026, 1, 1, tzinfo=UTC))
    >>> steps.times_us(np.array([0.0, 1.5, np.nan]), np.array([7, 7, 7])).tolist()
    [1767225600000000, 1767231000000000, 7]
    """

    field: str
    every: str
    start: datetime

    @property
    def start_us(self) -> int:
        """The start, in microseconds since 1970."""
        return to_us(self.start)

    @property
    def every_us(self) -> int:
        """The length of a step in microseconds."""
        return duration_us(self.every, what=f"steps {self.field!r}: every")

    def times_us(self, steps: NDArray[np.float64], otherwise_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """The time of each step, and `otherwise_us` for none."""
        present = ~np.isnan(steps)
        since_us = np.rint(np.where(present, steps, 0.0) * self.every_us).astype(np.int64)
        return np.where(present, self.start_us + since_us, otherwise_us)

    def check(self, names: list[str], numbers: list[str], *, optional: bool) -> None:
        """Check the declaration.

        names: the event's fields. numbers: those that are numbers. optional: whether the event's time may be missing.

        Raises:
            DeclarationError: there is no such number, or the time is never missing, or the start has no zone.
        """
        place = f"steps {self.field!r}"
        if self.field not in names:
            raise DeclarationError(f"{place}: is not a field of the event.{did_you_mean(self.field, names)}")
        if self.field not in numbers:
            raise DeclarationError(f"{place}: is not a number; declare it as 'int | None = None'")
        if not optional:
            raise DeclarationError(f"{place}: the event's time is required; declare it as 'datetime | None = None'")
        if self.start.tzinfo is None:
            raise DeclarationError(f"{place}: the start {self.start.isoformat()} has no zone; add tzinfo=UTC")
        if self.every_us <= 0:
            raise DeclarationError(f"{place}: a step of {self.every!r} has no length; give at least a second, as in 1s")
