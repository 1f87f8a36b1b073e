"""What the columns of rows are called: a *shape* for each detector, layout and set of versions, and the views made of them."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from penstock.adapters.postgres.connection import Connection
from penstock.decision import TEXT
from penstock.ledger import DetectorVersion, Field
from penstock.messages import Record

Layouts = Mapping[str, Mapping[str, Sequence[Field]]]

_MATRICES = ("x", "scores")
_NONE = np.zeros(0, np.int64)
_log = logging.getLogger(__name__)


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
        """What tells this shape from others, for the table that numbers them."""
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
                field = next(iter(layout.get(name, ())), Field(name.removeprefix(TEXT), "text"))
                texts.append((name, field.name, "feature" if field.name in features else "field"))
        names = [name for name, _, _ in numbers]
        amount = self._amounts.get(record.detector, "")
        place = names.index(amount) if amount in names else -1
        return Shape(record.detector, versions, columns, tuple(numbers), tuple(texts), place)

    def number(self, db: Connection, shape: Shape) -> int:
        """The shape's number in the database, where it is entered if it is new."""
        if shape.key not in self._numbers:
            self._numbers[shape.key] = _entered(db, shape)
        return self._numbers[shape.key]


def _width(column: Any) -> tuple[int, ...]:
    return column.shape[1:] if isinstance(column, np.ndarray) else ()


def _fields(matrix: str, column: Any, fields: Sequence[Field]) -> list[Field]:
    """A field for each column of a matrix; those that no layout knows are numbered."""
    if not isinstance(column, np.ndarray) or column.ndim != 2:
        return []
    return [*fields[: column.shape[1]], *(Field(f"{matrix}_{k}") for k in range(len(fields), column.shape[1]))]


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
    _make_view(db, shape.detector)
    return int(number)


# ---------------------------------------------------------------- a view for each detector

_BASE = (
    "seq",
    "transaction_id",
    "event_time",
    "arrived_at",
    "decided_at",
    "decision",
    "fraud_probability",
    "reasons",
    "rules",
    "degraded",
)
_ACTIONS = "(ARRAY['APPROVE', 'CHALLENGE', 'REVIEW', 'BLOCK'])[action + 1] AS decision"
_TAKEN: Mapping[str, str] = {
    "decision": _ACTIONS,
    "fraud_probability": "nullif(probability, 'NaN') AS fraud_probability",
    "reasons": "coalesce(reasons, '[]') AS reasons",
    "rules": "coalesce(rules, '[]') AS rules",
}
_TYPED: Mapping[str, str] = {
    "number": "nullif({}, 'NaN')",
    "integer": "nullif({}, 'NaN')::bigint",
    "boolean": "nullif({}, 'NaN') = 1",
    "time": "timestamptz 'epoch' + nullif({}, 'NaN') * interval '1 microsecond'",
}


def _make_view(db: Connection, detector: str) -> None:
    """`decisions_<detector>`: a column with its type for every field, feature, score and rule of the newest shape."""
    rows = db.execute(
        "SELECT shape, numbers, number_types, texts FROM shapes WHERE detector = %s ORDER BY shape", (detector,)
    ).fetchall()
    name = sql.Identifier("penstock", f"decisions_{detector}")
    wanted: list[sql.Composable] = [sql.SQL(_TAKEN.get(column, column)) for column in _BASE]
    taken = set(_BASE)
    _, numbers, types, texts = rows[-1]
    for column, type_ in zip(numbers, types, strict=True):
        if column not in taken:
            place = _place("numbers", {shape: names for shape, names, _, _ in rows}, column)
            wanted.append(sql.SQL(_TYPED.get(type_, "{}")).format(place) + sql.SQL(" AS ") + sql.Identifier(column))
            taken.add(column)
    for column in texts:
        if column not in taken:
            place = _place("texts", {shape: names for shape, _, _, names in rows}, column)
            wanted.append(place + sql.SQL(" AS ") + sql.Identifier(column))
            taken.add(column)
    statement = sql.SQL("CREATE VIEW {} AS SELECT {} FROM penstock.events WHERE kind = 0 AND shape = ANY ({})").format(
        name, sql.SQL(", ").join(wanted), sql.Literal([shape for shape, *_ in rows])
    )
    try:
        with db.transaction():
            db.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(name))
            db.execute(statement)
    except psycopg.errors.DependentObjectsStillExist:
        _log.warning(
            "view decisions_%s keeps its old columns: other views are made of it; drop them, and it is made anew", detector
        )


def _place(array: str, names: Mapping[int, Sequence[str]], column: str) -> sql.Composable:
    """Where a column stands in an array; it may be elsewhere in rows of other shapes, or missing."""
    places = {shape: list(known).index(column) + 1 if column in known else None for shape, known in names.items()}
    if len(set(places.values())) == 1:
        return sql.SQL(f"{array}[{next(iter(places.values()))}]")
    cases = " ".join(f"WHEN {shape} THEN {array}[{place}]" for shape, place in places.items() if place is not None)
    return sql.SQL(f"CASE shape {cases} END")
