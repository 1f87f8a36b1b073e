"""Time splits into training, validation and test, with gaps in which labels become known.

    |-- training --|  label delay  |-- validation --|  label delay  |-- test --|
    train_from      valid_from - d   valid_from       test_from - d   test_from  test_to

At `valid_from` only labels of events up to the delay before it are known.

`Periods` is that split; `Periods.folds` gives several of them, each later by the length of a test, so that every model is
tested on what came next. `CountSplit` is the split of a recipe: by number of events, without gaps.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from penstock.clock import from_us, iso, to_us
from penstock.errors import DataError

_TRAIN_SHARE, _VALID_SHARE = 0.6, 0.2
"""Shares of what is left of the recorded time when the two gaps are taken out; the rest is the test."""
_EVER = np.iinfo(np.int64).max


class Split(Protocol):
    """Which events train, validate and test."""

    def masks(self, time_us: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
        """Which events belong to `train`, `valid` and `test`."""
        ...

    @property
    def known_by(self) -> dict[str, int]:
        """The time, in microseconds, by which labels of each part must be known to count."""
        ...

    @property
    def delay_us(self) -> int:
        """The time that is left out between the parts, in microseconds."""
        ...

    def history(
        self, time_us: NDArray[np.int64], known_us: NDArray[np.int64], *, before_test: bool = False
    ) -> NDArray[np.bool_]:
        """Which events a model learns from that is fitted when the test is over, or when it begins.

        known_us: when each label became known.
        """
        ...

    def as_json(self) -> dict[str, Any]:
        """The split as plain values."""
        ...

    def lines(self) -> list[str]:
        """For people: one line per part."""
        ...


@dataclass(frozen=True)
class Periods:
    """The split; all instants in microseconds. The end of training and validation lie the delay before the next begins."""

    train_from: int
    valid_from: int
    test_from: int
    test_to: int
    delay: int

    @classmethod
    def of(
        cls,
        time_us: NDArray[np.int64],
        delay_us: int,
        *,
        train_from: datetime | None = None,
        valid_from: datetime | None = None,
        test_from: datetime | None = None,
        test_to: datetime | None = None,
    ) -> "Periods":
        """The split with the given instants; the others are derived from the recorded times.

        Raises:
            DataError: the instants are out of order, or too little time was recorded for the gaps.
        """
        if not len(time_us):
            raise DataError("there are no events to train on")
        begin = int(time_us.min()) if train_from is None else to_us(train_from)
        end = int(time_us.max()) if test_to is None else to_us(test_to)
        usable = end - begin - 2 * delay_us
        if usable <= 0 and (valid_from is None or test_from is None):
            raise DataError(
                f"the events span {_days(end - begin)}, but the label delay of {_days(delay_us)} is left out twice,"
                " after training and after validation; record for longer, or declare a shorter delay in Label(..., delay=...)"
            )
        test = begin + round(usable * (_TRAIN_SHARE + _VALID_SHARE)) + 2 * delay_us if test_from is None else to_us(test_from)
        share = _TRAIN_SHARE / (_TRAIN_SHARE + _VALID_SHARE)
        valid = begin + round((test - begin - 2 * delay_us) * share) + delay_us if valid_from is None else to_us(valid_from)
        return cls(begin, valid, test, end, delay_us)._checked()

    def _checked(self) -> "Periods":
        marks = {
            "train-from": self.train_from,
            "valid-from less the label delay": self.valid_from - self.delay,
            "valid-from": self.valid_from,
            "test-from less the label delay": self.test_from - self.delay,
            "test-from": self.test_from,
            "test-to": self.test_to,
        }
        for early, late in (("train-from", "valid-from"), ("valid-from", "test-from")):
            if marks[early] >= marks[late]:
                raise DataError(f"{early} ({iso(marks[early])}) must lie before {late} ({iso(marks[late])})")
        names = list(marks)
        for early, late in (names[0:2], names[2:4], names[4:6]):
            if marks[early] > marks[late] or (marks[early] == marks[late] and late != "test-to"):
                raise DataError(
                    f"{early} ({iso(marks[early])}) must lie before {late} ({iso(marks[late])});"
                    f" the label delay is {_days(self.delay)}"
                )
        return self

    def masks(self, time_us: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
        """Which events belong to `train`, `valid` and `test`."""
        return {
            "train": (time_us >= self.train_from) & (time_us < self.valid_from - self.delay),
            "valid": (time_us >= self.valid_from) & (time_us < self.test_from - self.delay),
            "test": (time_us >= self.test_from) & (time_us <= self.test_to),
        }

    @property
    def known_by(self) -> dict[str, int]:
        """Training and validation end when the next part begins; the test waits for the truth."""
        return {"train": self.valid_from, "valid": self.test_from, "test": _EVER}

    @property
    def delay_us(self) -> int:
        """The label delay."""
        return self.delay

    def history(
        self, time_us: NDArray[np.int64], known_us: NDArray[np.int64], *, before_test: bool = False
    ) -> NDArray[np.bool_]:
        """Everything from the first training event to the label delay before the end, as far as labels were known then.

        Of later events only those would be there whose label came early, which are mostly frauds.
        """
        end = self.test_from if before_test else self.test_to
        return (time_us >= self.train_from) & (time_us < end - self.delay) & (known_us <= end)

    @classmethod
    def folds(cls, time_us: NDArray[np.int64], delay_us: int, count: int) -> "list[Periods]":
        """Prequential folds, oldest first: each as long as the others and later by the length of a test.

        Raises:
            DataError: too little time was recorded for so many.
        """
        if not len(time_us):
            raise DataError("there are no events to train on")
        begin, end = int(time_us.min()), int(time_us.max())
        usable = end - begin - 2 * delay_us
        test_share = 1 - _TRAIN_SHARE - _VALID_SHARE
        unit = usable / (1 + (count - 1) * test_share)  # of one fold, without its gaps
        if unit <= 0:
            raise DataError(
                f"the events span {_days(end - begin)}, but every fold leaves out the label delay of {_days(delay_us)} twice;"
                " record for longer, or declare a shorter delay in Label(..., delay=...)"
            )
        step, train, valid = round(unit * test_share), round(unit * _TRAIN_SHARE), round(unit * _VALID_SHARE)
        found = []
        for fold in range(count):
            first = begin + fold * step
            valid_from = first + train + delay_us
            test_from = valid_from + valid + delay_us
            test_to = end if fold == count - 1 else test_from + step - 1
            found.append(cls(first, valid_from, test_from, test_to, delay_us)._checked())
        return found

    def as_json(self) -> dict[str, Any]:
        """The instants as text, first and last of each part."""
        return {
            "train": [iso(self.train_from), iso(self.valid_from - self.delay)],
            "valid": [iso(self.valid_from), iso(self.test_from - self.delay)],
            "test": [iso(self.test_from), iso(self.test_to)],
            "label_delay_s": self.delay / 1e6,
        }

    def lines(self) -> list[str]:
        """For people: one line per part."""
        parts = {
            name: [from_us(to_us(datetime.fromisoformat(text))) for text in self.as_json()[name]]
            for name in ("train", "valid", "test")
        }
        return [f"{name:<6} {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}" for name, (first, last) in parts.items()]


@dataclass(frozen=True)
class CountSplit:
    """A split by number of events in order of time, without gaps; `valid` is empty: cross-validation takes its place.

    rows: how many are trained on and held out. spans: instants of the first and last event of both, in microseconds.
    folds: of the cross-validation.
    """

    rows: tuple[int, int]
    spans: tuple[tuple[int, int], tuple[int, int]]
    folds: int

    @classmethod
    def of(cls, time_us: NDArray[np.int64], rows: tuple[int, int], folds: int) -> "CountSplit":
        """The first events, and the ones that follow, by number.

        Raises:
            DataError: there are fewer events than that.
        """
        if min(rows) < 1 or sum(rows) > len(time_us):
            raise DataError(f"{len(time_us)} events cannot be divided into {rows[0]} to train on and {rows[1]} held out")
        ordered = np.sort(time_us, kind="stable")
        train, test = ordered[: rows[0]], ordered[rows[0] : sum(rows)]
        return cls(rows, ((int(train[0]), int(train[-1])), (int(test[0]), int(test[-1]))), folds)

    @property
    def known_by(self) -> dict[str, int]:
        """Without gaps, every label counts, however late it came."""
        return {"train": _EVER, "valid": _EVER, "test": _EVER}

    @property
    def delay_us(self) -> int:
        """None."""
        return 0

    def history(
        self,
        time_us: NDArray[np.int64],
        known_us: NDArray[np.int64],  # noqa: ARG002  # labels count here whenever they came
        *,
        before_test: bool = False,
    ) -> NDArray[np.bool_]:
        """The training events, and the hold-out when it is over."""
        masks = self.masks(time_us)
        return masks["train"] if before_test else masks["train"] | masks["test"]

    def masks(self, time_us: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
        """Which events belong to `train` and `test`; among equal times, the earlier arrival comes first."""
        place = np.empty(len(time_us), np.int64)
        place[np.argsort(time_us, kind="stable")] = np.arange(len(time_us))
        train = place < self.rows[0]
        return {
            "train": train,
            "valid": np.zeros(len(time_us), np.bool_),
            "test": ~train & (place < sum(self.rows)),
        }

    def as_json(self) -> dict[str, Any]:
        """The instants as text, first and last of each part."""
        train, test = ([iso(first), iso(last)] for first, last in self.spans)
        return {"train": train, "valid": None, "test": test, "label_delay_s": 0.0, "folds_in_time_order": self.folds}

    def lines(self) -> list[str]:
        """For people: one line per part."""
        train, test = (f"{from_us(first):%Y-%m-%d %H:%M} to {from_us(last):%Y-%m-%d %H:%M}" for first, last in self.spans)
        return [
            f"train  {train}",
            f"valid  {self.folds} folds of the training, in time order",
            f"test   {test}",
        ]


def _days(span_us: int) -> str:
    return f"{span_us / 86_400_000_000:.1f} days"
