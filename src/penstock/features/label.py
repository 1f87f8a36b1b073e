"""Declaration of the label: its column in recorded data, and when it becomes known."""

import dataclasses
from dataclasses import dataclass

from penstock.clock import duration_us


@dataclass(frozen=True, slots=True)
class Label:
    """The declaration of the label field in recorded events.

    delay: recorded labels become known this long after the event (a chargeback takes days). known_at: a field with the very
    time at which each label became known, where the data has one; it wins over `delay`. sources: the accepted sources, the
    most trusted first; a label does not replace one from a more trusted source. unobjected_is_good: training counts an event
    without a label as good once the delay has passed, unless it was stopped; for data in which only frauds are labelled. The
    field itself never reaches a model, a rule or a feature.

    >>> Label("is_fraud", delay="7d").delay_us
    604800000000
    """

    field: str
    delay: str = "0s"
    known_at: str | None = None
    sources: tuple[str, ...] = ()
    unobjected_is_good: bool = dataclasses.field(default=False, repr=False)  # of training alone: no part of a version

    @property
    def delay_us(self) -> int:
        """The delay in microseconds."""
        return duration_us(self.delay, what="Label delay")
