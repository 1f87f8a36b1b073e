"""Which column says that an event was fraud."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from penstock.ingest.series import FALSE, TRUE
from penstock.offline.guess.guessed import Guess, GuessedLabel, Sure, Time
from penstock.offline.guess.profile import FileColumn

_NAMES = {
    "fraud": 5,
    "chargeback": 4,
    "scam": 4,
    "class": 3,
    "label": 3,
    "target": 3,
    "outcome": 2,
    "bad": 3,
    "betrug": 5,
    "illicit": 4,
}
_FLAGGED = ("flagged", "score", "probability", "rule", "scenario", "type", "reason", "date", "amount")
_STATES = ("status", "outcome", "label", "class", "result")
_FRAUD = {
    "1",
    "1.0",
    "true",
    "t",
    "yes",
    "y",
    "fraud",
    "fraudulent",
    "f",
    "bad",
    "chargeback",
    "scam",
    "illicit",
    "positive",
    "ja",
    "oui",
    "si",
}
_FRAUD_WORDS = "(?i)fraud|chargeback|scam|illicit"
_MOST_FRAUD = 0.5
_FULL_DELAY_DAYS = 42


def label_of(columns: Sequence[FileColumn], time: Time) -> GuessedLabel | None:
    """The label; None where no column looks like one."""
    rated = [(points, column) for column in columns if (points := _points(column)) > 0]
    found = []
    for points, column in sorted(rated, key=lambda each: -each[0]):
        words = _words(column)
        if words is not None:
            found.append((points, column, words))
    if not found:
        return None
    points, column, words = found[0]
    fraud = _fraud(column, words)
    share = float(np.nanmean(fraud))
    rivals = [each.name for _, each, _ in found[1:]]
    sure: Sure = "sure" if points >= 5 and not rivals else "likely" if points >= 3 else "unsure"
    missing = f", {column.missing:.1%} without a label" if column.missing else ""
    shown = " or ".join(map(repr, words))
    seen = f"{column.name!r} is {shown} in {int(np.nansum(fraud)):,} of {len(column):,} rows ({share:.2%}){missing}"
    guess = Guess("label", (column.field,), sure, seen, f"the label is {' or '.join(rivals)}" if rivals else "")
    plain = {word.lower() for word in words} <= set(TRUE) and {_text(each) for each in _others(column, words)} <= set(FALSE)
    return GuessedLabel(column, fraud, guess, () if plain else words, _delay(time))


def _points(column: FileColumn) -> int:
    name = column.like(_NAMES)
    points = _NAMES[name] if name else 1 if column.like(_STATES) else 0
    return points - (5 if column.like(_FLAGGED) else 0)


def _words(column: FileColumn) -> tuple[str, ...] | None:
    """The values that say fraud; None where the column is no label."""
    if not 2 <= column.distinct <= 12 or column.values.dtype.is_temporal():
        return None
    values = column.present.unique(maintain_order=True).cast(pl.String).to_list()
    if column.distinct == 2:
        words = tuple(each for each in values if _text(each) in _FRAUD)
        if len(words) != 1:
            return None
    else:
        words = tuple(sorted(pl.Series(values).filter(pl.Series(values).str.contains(_FRAUD_WORDS)).to_list()))
    if not words or len(words) == len(values):
        return None
    share = float(np.nanmean(_fraud(column, words)))
    return words if 0 < share <= _MOST_FRAUD else None


def _fraud(column: FileColumn, words: Sequence[str]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    found = column.values.cast(pl.String).is_in(list(words)).cast(pl.Float64)
    return found.fill_null(float("nan")).to_numpy()


def _others(column: FileColumn, words: Sequence[str]) -> list[str]:
    return [each for each in column.present.unique().cast(pl.String).to_list() if each not in words]


def _text(value: str) -> str:
    return value.strip().lower()


def _delay(time: Time) -> str:
    """The time after which a label counts as known: a week, or less where the file spans few days."""
    if time.days >= _FULL_DELAY_DAYS:
        return "7d"
    if time.days >= 7:
        return "1d"
    return "1h" if time.days >= 0.5 else "1m"
