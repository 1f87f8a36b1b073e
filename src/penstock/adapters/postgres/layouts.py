"""Column names of recorded rows: a *shape* for each detector, layout and set of versions."""

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.adapters.postgres.connection import Connection
from penstock.adapters.postgres.views import make_view
from penstock.decision import TEXT
from penstock.decision.record import DECIDED_BY
from penstock.decision.split_renderer import by_challenger
from penstock.ledger import ArchiveField, DetectorVersion
from penstock.messages import Record

Layouts = Mapping[str, Mapping[str, Sequence[ArchiveField]]]

_MATRICES = ("x", "scores")
_NONE = np.zeros(0, np.int64)
_AGAIN_S = 60.0  # after which a view is tried again that somebody was reading


@dataclass(frozen=True)
class Shape:
    """How a record's columns become one row's `numbers` and `texts`.

    columns: of each matrix, those that have names. numbers: their names with types and parts, in that order. texts: the
    record's columns of texts, with names and parts. amount: which number is the money at stake; -1 where none is.
    """

    detector: str
    versions: tuple[str | None, str | None, str | None]
    columns: Mapping[str, NDArray[np.int64]]
    numbers: tuple[tuple[str, str, str], ...]
    texts: tuple[tuple[str, str, str], ...]
    amount: int = -1

    @cached_property
    def key(self) -> str:
        """The unique key of this shape in the table that numbers them."""
        return msgspec.json.encode([self.detector, self.versions, self.numbers, [text[1:] for text in self.texts]]).decode()

    def matrix(self, record: Record) -> NDArray[np.float64]:
        """The numbers of all rows, (n, len(numbers))."""
        parts = [np.asarray(record.columns[name])[:, columns] for name, columns in self.columns.items()]
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(record), 0))


class Shapes:
    """The shapes of records, and their numbers in the database.

    Args:
        layouts: all layouts that are registered now. versions: all versions of detectors.
        amounts: by detector, which field is the money at stake.
    """

    def __init__(
        self,
        layouts: Callable[[], Layouts],
        versions: Callable[[], Sequence[DetectorVersion]],
        amounts: Mapping[str, str],
    ) -> None:
        self._layouts = layouts
        self._versions = versions
        self._amounts = amounts
        self._known: dict[Any, Shape] = {}
        self._numbers: dict[str, int] = {}
        self._due: dict[str, float] = {}

    def of(self, record: Record) -> Shape:
        """The shape of a record."""
        named = record.meta.get("versions") or {}
        versions = (named.get("detector"), named.get("model"), named.get("rules"))
        columns = tuple((name, _width(column)) for name, column in record.columns.items())
        key = (record.detector, record.meta.get("layout"), versions, columns)
        if key not in self._known:
            self._known[key] = self._made(record, versions)
        return self._known[key]

    def _made(self, record: Record, versions: tuple[str | None, str | None, str | None]) -> Shape:
        layout_id = str(record.meta.get("layout"))
        layout = self._layouts().get(layout_id, {})
        declared = [each.declared for each in self._versions() if each.detector == record.detector]
        features = next((each["features"] for each in declared if each.get("layout") == layout_id and "features" in each), ())
        columns: dict[str, NDArray[np.int64]] = {}
        numbers: list[tuple[str, str, str]] = []
        for matrix in _MATRICES:
            fields = _fields(matrix, record.columns.get(matrix), layout.get(matrix, ()))
            places = [place for place, field in enumerate(fields) if field.name]
            if fields:
                columns[matrix] = np.array(places, np.int64) if places else _NONE
            numbers += [(fields[k].name, fields[k].type, _part(fields[k].name, matrix, features)) for k in places]
        texts = []
        for name in record.columns:
            if name.startswith(TEXT):
                field = next(iter(layout.get(name, ())), ArchiveField(name.removeprefix(TEXT), "text"))
                texts.append((name, field.name, "feature" if field.name in features else "field"))
        names = [name for name, _, _ in numbers]
        amount = self._amounts.get(record.detector, "")
        place = names.index(amount) if amount in names else -1
        return Shape(record.detector, versions, columns, tuple(numbers), tuple(texts), place)

    def number(self, db: Connection, shape: Shape) -> int:
        """The shape's number in the database; a new shape is inserted, and its detector's view updated."""
        if shape.key not in self._numbers:
            self._numbers[shape.key] = _entered(db, shape)
            self._due[shape.detector] = 0.0
        if self._due.get(shape.detector, math.inf) <= time.monotonic():
            made = make_view(db, shape.detector)
            self._due[shape.detector] = math.inf if made else time.monotonic() + _AGAIN_S
        return self._numbers[shape.key]

    def numbers(self, db: Connection, record: Record, shape: Shape) -> "int | NDArray[np.int64]":
        """The number of a record's shape; where a challenger decided some of its rows, that of each row."""
        number, decided_by = self.number(db, shape), record.columns.get(DECIDED_BY)
        if decided_by is None:
            return number
        theirs = self.number(db, self.of(by_challenger(record)))
        return np.where(np.asarray(decided_by) == 1, theirs, number)


def _width(column: Any) -> tuple[int, ...]:
    return column.shape[1:] if isinstance(column, np.ndarray) else ()


def _fields(matrix: str, column: Any, fields: Sequence[ArchiveField]) -> list[ArchiveField]:
    """A field for each column of a matrix; those that no layout knows are numbered."""
    if not isinstance(column, np.ndarray) or column.ndim != 2:
        return []
    return [*fields[: column.shape[1]], *(ArchiveField(f"{matrix}_{k}") for k in range(len(fields), column.shape[1]))]


def _part(name: str, matrix: str, features: Collection[str]) -> str:
    if matrix == "scores" or name == "score":
        return "score"
    if name.startswith("rule_"):
        return "rule"
    return "feature" if name in features else "field"


def _entered(db: Connection, shape: Shape) -> int:
    names, types, parts = ([each[k] for each in shape.numbers] for k in range(3))
    row = (
        shape.key,
        shape.detector,
        *shape.versions,
        names,
        types,
        parts,
        [text[1] for text in shape.texts],
        [text[2] for text in shape.texts],
    )
    db.execute(
        "INSERT INTO shapes (key, detector, detector_version, model_version, rules_version, numbers, number_types,"
        " number_parts, texts, text_parts) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        row,
    )
    [(number,)] = db.execute("SELECT shape FROM shapes WHERE key = %s", (shape.key,)).fetchall()
    return int(number)
