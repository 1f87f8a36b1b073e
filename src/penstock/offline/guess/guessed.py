"""A guess, and everything that was guessed about a file."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.offline.guess.profile import FileColumn, NumberFormat

Sure = Literal["sure", "likely", "unsure"]


@dataclass(frozen=True)
class Guess:
    """One guess. what: the role. fields: those that have it. seen: the evidence. otherwise: what else it might be."""

    what: str
    fields: tuple[str, ...]
    sure: Sure
    seen: str
    otherwise: str = ""

    @property
    def text(self) -> str:
        """The guess as a comment."""
        return f"{self.what} ({self.sure}): {self.seen}" + (f". Or: {self.otherwise}" if self.otherwise else "")


@dataclass(frozen=True)
class Time:
    """The time of an event.

    field: of the event. columns: what it is read from. pattern: their form, None where the reader knows it. every: the length
    of a step where the columns count steps. naive: it has no zone. instants_us: in the file. by_day: dates without a time.
    """

    field: str
    columns: tuple[FileColumn, ...]
    instants_us: NDArray[np.int64]
    guess: Guess
    pattern: str | None = None
    every: str | None = None
    naive: bool = False
    zone: str = "UTC"
    by_day: bool = False

    @property
    def days(self) -> float:
        """The days between the first and the last event."""
        known = self.instants_us[self.instants_us != NOT_A_TIME]
        return float(known.max() - known.min()) / 86_400e6 if len(known) else 0.0


NOT_A_TIME = np.iinfo(np.int64).min
"""Stands in place of an instant that could not be read."""


@dataclass(frozen=True)
class GuessedLabel:
    """Which events were fraud. words: those that say fraud, where it is not a plain yes or no."""

    column: FileColumn
    fraud: NDArray[np.float64]
    guess: Guess
    words: tuple[str, ...] = ()
    delay: str = "7d"


@dataclass(frozen=True)
class GuessedKey:
    """Something that events have in common. pays: it stands for who pays. personal: its values are hidden."""

    column: FileColumn
    name: str
    guess: Guess
    pays: bool
    personal: bool = False


@dataclass(frozen=True)
class GuessedAmount:
    """What a payment is worth. form: how it is written."""

    column: FileColumn
    guess: Guess

    @property
    def form(self) -> NumberFormat:
        """How it is written."""
        assert self.column.form is not None
        return self.column.form


class OtherTime(NamedTuple):
    """Another time of an event, from before it. birth: of a person."""

    column: FileColumn
    pattern: str | None
    birth: bool
    guess: Guess


class LeftOut(NamedTuple):
    """A column that no model reads, and why. late: it is known only after the decision."""

    column: str
    why: str
    late: bool = False


@dataclass(frozen=True)
class Guessed:
    """What was guessed about a file; id is None where the file has none."""

    file: str
    frame: pl.DataFrame
    columns: list[FileColumn]
    id: FileColumn | None
    id_guess: Guess
    time: Time
    amount: GuessedAmount | None
    currency: FileColumn | None
    currencies: int
    label: GuessedLabel | None
    keys: list[GuessedKey]
    categories: list[tuple[FileColumn, Guess]]
    numbers: list[tuple[FileColumn, Guess]]
    times: list[OtherTime]
    places: tuple[tuple[FileColumn, FileColumn], tuple[FileColumn, FileColumn]] | None
    left_out: list[LeftOut]
    nested: bool
    marks: tuple[str, ...] = ()
    currency_guess: Guess | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def guesses(self) -> list[Guess]:
        """All guesses, in the order of the written file."""
        found = [self.id_guess, self.time.guess, *(key.guess for key in self.keys)]
        found += [each.guess for each in (self.amount, self.label) if each is not None]
        found += [self.currency_guess] if self.currency_guess is not None else []
        return [*found, *(guess for _, guess in [*self.categories, *self.numbers]), *(each.guess for each in self.times)]

    def as_json(self) -> dict[str, Any]:
        """The guesses as plain values."""
        return {
            "rows": len(self.frame),
            "guesses": [asdict(guess) for guess in self.guesses],
            "left_out": [each._asdict() for each in self.left_out],
            "notes": self.notes,
        }
