"""The default training options of a detector, for public data sets with a published protocol."""

from dataclasses import dataclass
from datetime import datetime

from penstock.errors import DeclarationError

TREATMENTS = ("none", "weights", "smote", "smoteenn", "under")


@dataclass(frozen=True, slots=True)
class Apart:
    """Events before an instant that every figure is given with and without: `name` says what they are."""

    name: str
    before: datetime


@dataclass(frozen=True, slots=True)
class Recipe:
    """A split by count and cross-validation in time order, instead of a split by time with gaps.

    The first `rows` events in order of time are trained on, the `hold_out` events that follow are the test; fewer recorded
    events are divided in the same proportion. No time is left out in between for labels to become known, and the report
    says so. Models are tuned with `trials` trials each, calibrated and weighed by cross-validation in time order over
    `folds` folds of the training rows, inside which alone `imbalance` is applied to models that declare no treatment.
    apart: what every figure is given with and without.

    >>> Recipe(rows=50_000, hold_out=5_000, imbalance="smote").divided(51_689)
    (46990, 4699)
    """

    rows: int
    hold_out: int
    folds: int = 4
    trials: int = 0
    imbalance: str = "none"
    apart: Apart | None = None

    def __post_init__(self) -> None:
        if self.rows < 1 or self.hold_out < 1 or self.folds < 1 or self.trials < 0:
            raise DeclarationError(f"{self}: give at least one row, one held out, one fold, and no fewer than 0 trials")
        if self.imbalance not in TREATMENTS:
            raise DeclarationError(f"recipe: imbalance={self.imbalance!r} is not one of {', '.join(TREATMENTS)}")

    def divided(self, events: int) -> tuple[int, int]:
        """The numbers of training and hold-out events among this many events."""
        if events >= self.rows + self.hold_out:
            return self.rows, self.hold_out
        rows = events * self.rows // (self.rows + self.hold_out)
        return rows, events - rows
