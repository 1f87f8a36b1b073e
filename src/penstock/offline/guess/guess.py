"""What the columns of a recorded file mean, guessed from their names and values."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from penstock.errors import DataError
from penstock.ingest.conversions import flat, without_marks
from penstock.offline.datasets import read_file
from penstock.offline.guess.afterwards import late, late_time, repeats_time
from penstock.offline.guess.guessed import (
    NOT_A_TIME,
    Guess,
    Guessed,
    GuessedAmount,
    GuessedKey,
    GuessedLabel,
    LeftOut,
    OtherTime,
    Time,
)
from penstock.offline.guess.labels import label_of
from penstock.offline.guess.profile import FileColumn, columns_of
from penstock.offline.guess.roles import amount_of, category_guess, currency_of, id_of, keys_of, number_guess, reading_of
from penstock.offline.guess.times import TimeColumn, time_of

FEWEST_ROWS = 20
_MOST_NUMBERS = 200
_MARKS = {"NaN", "nan", "NA", "N/A", "n/a", "NULL", "null", "None", "\\N", "?"}
"""Texts that stand for a missing value in exports."""
_READ_BY_TRAINING = {
    "arrived_at": "no field: replay and training read when an event arrived from it",
    "label_known_at": "no field: training reads when a label became known from it",
    "decision": "no field: training reads from it what was not approved, and is unknown where it has no label",
}
_OF_BIRTH = ("birth", "dob", "birthday")


def guess(path: Path) -> Guessed:
    """Guess what the columns of a file mean.

    Raises:
        DataError: the file cannot be read, has too few rows, or no column says when a payment happened.
    """
    raw = read_file(path)
    if len(raw) < FEWEST_ROWS:
        raise DataError(f"{path} has {len(raw)} rows; at least {FEWEST_ROWS} are needed to tell what its columns mean")
    frame = flat(raw)
    nested = raw.width != frame.width
    marks = tuple(sorted(mark for mark in _MARKS if _holds(frame, mark)))
    frame = without_marks(frame, marks)
    columns = columns_of(frame)
    try:
        time, read = time_of(columns)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    rest = [column for column in columns if column not in time.columns]
    label = label_of([column for column in rest if all(each.column is not column for each in read)], time)
    others = [column for column in rest if label is None or column is not label.column]
    free = [column for column in others if all(each.column is not column for each in read)]
    in_time = [column for column in free if late(column, free, None, None) is None]
    amount = amount_of(in_time)
    currency = currency_of(in_time)
    id_, id_guess = id_of(in_time, len(frame))
    keys = keys_of([each for each in in_time if amount is None or each is not amount.column], len(frame))
    keys = [key for key in keys if key.column is not id_]
    return _assembled(
        path,
        frame,
        columns,
        time,
        read,
        label,
        amount,
        currency,
        id_,
        id_guess,
        keys,
        nested=nested,
        marks=marks,
    )


def _holds(frame: pl.DataFrame, text: str) -> bool:
    return any((column == text).any() for column in frame.select(pl.col(pl.String)))


def _assembled(
    path: Path,
    frame: pl.DataFrame,
    columns: list[FileColumn],
    time: Time,
    read: Sequence[TimeColumn],
    label: GuessedLabel | None,
    amount: GuessedAmount | None,
    currency: FileColumn | None,
    id_: FileColumn | None,
    id_guess: Guess,
    keys: list[GuessedKey],
    *,
    nested: bool,
    marks: tuple[str, ...],
) -> Guessed:
    """Everything, once the columns that have a role of their own are known: the others are read, or left out."""
    roles = [*time.columns, *(key.column for key in keys), *filter(None, [id_, currency])]
    roles += [each.column for each in (label, amount) if each is not None]
    rest = [column for column in columns if column not in roles]
    times, left_out = _other_times(read, time, rest)
    categories: list[tuple[FileColumn, Guess]] = []
    numbers: list[tuple[FileColumn, Guess]] = []
    timed = {id(each.column) for each in read}
    for column in rest:
        if column.name in _READ_BY_TRAINING:
            left_out.append(LeftOut(column.name, _READ_BY_TRAINING[column.name]))
            continue
        if id(column) in timed:
            continue
        why = late(column, columns, amount, label)
        if why is not None:
            left_out.append(LeftOut(column.name, why, late=True))
        elif repeats_time(column, time):
            left_out.append(LeftOut(column.name, "it counts on with the time: a model would learn the calendar"))
        elif (reading := reading_of(column)) == "category":
            categories.append((column, category_guess(column)))
        elif reading == "number" and len(numbers) < _MOST_NUMBERS:
            numbers.append((column, number_guess(column)))
        else:
            left_out.append(
                LeftOut(column.name, reading if reading != "number" else f"only the first {_MOST_NUMBERS} numbers are read")
            )
    currencies = currency.distinct if currency is not None else 0
    return Guessed(
        file=path.name,
        frame=frame,
        columns=columns,
        id=id_,
        id_guess=id_guess,
        time=time,
        amount=amount,
        currency=currency,
        currencies=currencies,
        currency_guess=_currency_guess(currency),
        label=label,
        keys=keys,
        categories=categories,
        numbers=numbers,
        times=times,
        places=_places([column for column, _ in numbers]),
        left_out=left_out,
        nested=nested,
        marks=marks,
        notes=_notes(time, label, amount, keys),
    )


def _other_times(read: Sequence[TimeColumn], time: Time, rest: Sequence[FileColumn]) -> tuple[list[OtherTime], list[LeftOut]]:
    times, left_out = list[OtherTime](), list[LeftOut]()
    for each in read:
        if each.column not in rest or each.column.name in _READ_BY_TRAINING:
            continue
        why = late_time(each, time)
        if why is not None:
            left_out.append(LeftOut(each.column.name, why, late=True))
            continue
        birth = each.column.like(_OF_BIRTH) is not None
        seen = f"{each.column.name!r}, {each.said}, lies before the event"
        guess_ = Guess("earlier time", (each.column.field,), "likely", seen)
        times.append(OtherTime(each.column, each.pattern, birth, guess_))
    return times, left_out


def _currency_guess(currency: FileColumn | None) -> Guess | None:
    if currency is None:
        return None
    counts = currency.present.value_counts(sort=True).head(3)
    shown = ", ".join(f"{name} {count / len(currency):.0%}" for name, count in counts.rows())
    mixed = "amounts of one currency only are added up and compared" if currency.distinct > 1 else "one currency"
    otherwise = f"convert: Money(..., {currency.field!r}, to='EUR', rates=FILE)" if currency.distinct > 1 else ""
    return Guess("currency", (currency.field,), "sure", f"{shown}; {mixed}", otherwise)


def _places(numbers: Sequence[FileColumn]) -> tuple[tuple[FileColumn, FileColumn], tuple[FileColumn, FileColumn]] | None:
    """Two places of an event: latitude and longitude each."""
    lat = [column for column in numbers if column.like(("lat", "latitude"))]
    lon = [column for column in numbers if column.like(("lon", "long", "lng", "longitude"))]
    if len(lat) != 2 or len(lon) != 2:
        return None
    pairs = [(one, min(lon, key=lambda other: len(one.words ^ other.words))) for one in lat]
    return None if pairs[0][1] is pairs[1][1] else (pairs[0], pairs[1])


def _notes(time: Time, label: GuessedLabel | None, amount: GuessedAmount | None, keys: Sequence[GuessedKey]) -> list[str]:
    found = []
    if label is None:
        found.append("no column looks like a label: nothing says which payments were fraud, so no model can learn that")
    if amount is None:
        found.append("no column looks like an amount: features count payments, and do not add up money")
    if not keys:
        found.append("no column looks like a key (customer, card, merchant, device): features know no history")
    unread = int((time.instants_us == NOT_A_TIME).sum())
    if unread:
        found.append(f"the time of {unread:,} rows cannot be read; they are refused")
    return found
