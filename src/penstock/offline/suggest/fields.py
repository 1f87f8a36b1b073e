"""The fields that candidates may read, by role, and those that are refused because they are known only after the decision."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import polars as pl

from penstock.detector import Detector
from penstock.features import Aggregate, Derived, Entity
from penstock.messages import Type
from penstock.offline.guess.afterwards import late, repeats_time
from penstock.offline.guess.guessed import Guess, GuessedAmount, GuessedLabel, Time
from penstock.offline.guess.profile import FileColumn
from penstock.offline.leaks import Leak

MOST_CATEGORIES = 100
"""Different values of a text that models may read as a category."""
FEWEST_KEYS = 20
"""Different values from which a text identifies something."""
REPEATS = 1.2
"""Events that a key has on average at least: others have no history."""
_SHARED = 0.01
"""The share of values that two fields of keys have in common at least, to be one thing in two roles."""
_RUNS_ON = 0.5
"""The share of rows in which a number changes by the amount of its event, from which on it contains that event."""
_FEWEST = 20
_LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class Fields:
    """What candidates read.

    keys: entities, the payer first. categories: texts with few values. numbers: the amount first, if there is one.
    place: latitude and longitude. refused: fields that nothing reads, each with the evidence.
    """

    keys: tuple[Entity, ...]
    categories: tuple[str, ...]
    numbers: tuple[str, ...]
    amount: str | None
    place: tuple[str, str] | None
    refused: tuple[Leak, ...]

    @property
    def forbidden(self) -> frozenset[str]:
        """The names of the fields that are refused."""
        return frozenset(name for leak in self.refused for name in leak.names)


def fields_of(detector: Detector, frame: pl.DataFrame, accepted: Collection[str] = ()) -> Fields:
    """Find the roles of a detector's fields in recorded events.

    accepted: fields that a person confirmed to be known in time.
    """
    names = [name for name in detector.schema.columns if name in frame.columns and name not in (detector.time, detector.id)]
    columns = [FileColumn(name, name, frame[name]) for name in names]
    refused = [leak for column in columns if (leak := _refusal(column, columns, detector, frame, accepted)) is not None]
    forbidden = {name for leak in refused for name in leak.names}
    kept = [column for column in columns if column.name not in forbidden]
    keys = _keys(detector, kept, forbidden)
    taken = {name for entity in keys for name in entity.fields}
    place = _place(kept)
    numbers = [column.name for column in kept if detector.schema.columns[column.name] is Type.NUMBER and column.distinct > 3]
    amount = detector.schema.amount if detector.schema.amount in numbers else None
    numbers.sort(key=lambda name: name != amount)
    return Fields(
        keys=keys,
        categories=tuple(column.name for column in kept if _is_text(column) and 2 <= column.distinct <= MOST_CATEGORIES),
        numbers=tuple(name for name in numbers if name not in taken and name not in (place or ())),
        amount=amount,
        place=place,
        refused=tuple(refused),
    )


# ---------------------------------------------------------------- roles


def _is_text(column: FileColumn) -> bool:
    return column.values.dtype == pl.String


def _keys(detector: Detector, columns: list[FileColumn], forbidden: Collection[str]) -> tuple[Entity, ...]:
    """The entities that the detector declares, then texts that come again, and two of these that share their values."""
    declared = {(f.entity.fields, f.entity.roles): f.entity for f in detector.features if isinstance(f, Aggregate)}
    found = [entity for entity in declared.values() if len(entity.keys[0]) == 1 and not set(forbidden) & set(entity.fields)]
    taken = {name for entity in found for name in entity.fields}
    texts = [column for column in columns if _is_text(column) and column.distinct >= FEWEST_KEYS and column.name not in taken]
    repeated = [column for column in texts if len(column.present) >= REPEATS * column.distinct]
    names = {entity.name for entity in declared.values()}
    for column in repeated:
        entity = Entity(column.name)
        found.append(entity if entity.name not in names else Entity(column.name, name=f"{column.name}_key"))
        names.add(found[-1].name)
    return (*found, *_in_two_roles([column for column in texts if _is_a_name(column)]))


def _is_a_name(column: FileColumn) -> bool:
    """Whether its values hold letters: numbers of two registers are the same by chance."""
    return bool(column.present.head(_LOOKED_AT).str.contains("[A-Za-z]").all())


def _in_two_roles(texts: list[FileColumn]) -> Iterator[Entity]:
    """One thing that stands now in one field, now in another: an account that pays and is paid."""
    for at, one in enumerate(texts):
        for other in texts[at + 1 :]:
            values = one.present.unique()
            if values.is_in(other.present.unique().implode()).sum() >= _SHARED * len(values):
                yield Entity(roles={one.name: one.name, other.name: other.name}, name=f"{one.name}_or_{other.name}")


def _place(columns: list[FileColumn]) -> tuple[str, str] | None:
    numeric = [column for column in columns if column.values.dtype.is_numeric()]
    latitude = next((column.name for column in numeric if column.like(("lat", "latitude"))), None)
    longitude = next((column.name for column in numeric if column.like(("lon", "long", "lng", "longitude"))), None)
    return (latitude, longitude) if latitude and longitude else None


# ---------------------------------------------------------------- fields that are known too late


def _refusal(
    column: FileColumn, columns: list[FileColumn], detector: Detector, frame: pl.DataFrame, accepted: Collection[str]
) -> Leak | None:
    if column.name in accepted or column.name == detector.schema.amount:
        return None
    why = late(column, columns, _amount(columns, detector), _label(detector, frame))
    why = why or _counts_on(column, detector, frame) or _runs_on(column, detector, frame)
    if why is None:
        return None
    remedy = f"if it is known when the event arrives, confirm that: --accept-input {column.name}"
    return Leak("known_afterwards", (column.name,), f"field {column.name!r}: {why}", remedy)


def _amount(columns: list[FileColumn], detector: Detector) -> GuessedAmount | None:
    name = detector.schema.amount
    found = next((column for column in columns if column.name == name), None)
    return None if found is None else GuessedAmount(found, _no_guess(found))


def _label(detector: Detector, frame: pl.DataFrame) -> GuessedLabel | None:
    if detector.label is None or detector.label.field not in frame.columns:
        return None
    values = frame[detector.label.field]
    fraud = values.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    column = FileColumn(detector.label.field, detector.label.field, values)
    return GuessedLabel(column, fraud, _no_guess(column))


def _no_guess(column: FileColumn) -> Guess:
    return Guess("", (column.field,), "sure", "")


def _counts_on(column: FileColumn, detector: Detector, frame: pl.DataFrame) -> str | None:
    """Whether a number is an order: a different number in each row, or one that rises with the time."""
    if column.numbers is None or column.values.dtype == pl.Boolean:
        return None
    if column.is_whole and len(column.present) >= _FEWEST and column.distinct == len(column.present):
        return f"a different whole number in each of {column.distinct:,} rows: an order of ids, which no event knows"
    instants_us = frame[detector.time].cast(pl.Int64).to_numpy()
    if repeats_time(column, Time(detector.time, (), instants_us, _no_guess(column))):
        return "it counts on with the time: a model would learn the calendar"
    return None


def _runs_on(column: FileColumn, detector: Detector, frame: pl.DataFrame) -> str | None:
    """Whether a number contains its own event: from one event of a key to the next it changes by the later one's amount."""
    amount = detector.schema.amount
    if amount is None or amount not in frame.columns or not column.values.dtype.is_numeric():
        return None
    for key in (name for name, kind in frame.schema.items() if kind == pl.String and name in detector.schema.columns):
        change = pl.col(column.name) - pl.col(column.name).shift(1).over(key)
        own, previous = pl.col(amount), pl.col(amount).shift(1).over(key)
        known = change.is_not_null() & (change.abs() > 1e-9) & ((own - previous).abs() > 1e-9)
        close = 0.005 + 1e-9 * own.abs()
        found = frame.select(
            rows=known.sum(),
            own=(known & ((change.abs() - own.abs()).abs() <= close)).sum(),
            previous=(known & ((change.abs() - previous.abs()).abs() <= close)).sum(),
        ).row(0, named=True)
        if found["rows"] >= _FEWEST and found["own"] > max(_RUNS_ON * found["rows"], found["previous"]):
            return (
                f"in {found['own'] / found['rows']:.0%} of the rows it differs from that of the previous event with the same"
                f" {key} by the amount of this event: the balance after it"
            )
    return None


# ---------------------------------------------------------------- features that read them


def readable(detector: Detector, forbidden: Collection[str]) -> list[str]:
    """The inputs of the detector's models that read none of these fields, directly or through features."""
    reads = {feature.name: detector.reads_of(feature) for feature in detector.features}
    bad = set(forbidden)
    while more := {name for name, read in reads.items() if name not in bad and read & bad}:
        bad |= more
    return [name for name in detector.plan.inputs if name not in bad]


def of_fields_alone(detector: Detector) -> list[object]:
    """The declared features that read no aggregate, which keys and conditions may be made of."""
    aggregates = {feature.name for feature in detector.features if isinstance(feature, Aggregate)}
    while more := {
        feature.name
        for feature in detector.features
        if feature.name not in aggregates and isinstance(feature, Derived) and _words(feature.sql) & aggregates
    }:
        aggregates |= more
    return [feature for feature in detector.features if feature.name not in aggregates]


def _words(sql: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", sql))
