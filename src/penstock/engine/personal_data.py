"""Personal fields of one detector: their persons, and the export of original values to the vault."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from penstock.decision import TEXT
from penstock.engine.active_detector import ActiveDetector
from penstock.engine.pipeline import BatchResult
from penstock.errors import DeclarationError, did_you_mean
from penstock.ingest import PREFIX, Reader, ReadEvents
from penstock.ledger import Ledger
from penstock.messages import Batch, Record

OnPersonal = Callable[[Sequence[tuple[str, str, str]]], None]
"""Receives (token of the person, token of the value, value) of recorded events. It must not block."""

_MOST_KNOWN = 1_000_000
"""Maximum number of values remembered as exported. Beyond it the memory is cleared, and values may be exported again."""


class Sealed(NamedTuple):
    """The personal fields of a recorded event.

    person: the token of its person, None if it has none. tokens: by field, None if the field was empty.
    """

    person: str | None
    tokens: dict[str, str | None]


class Person(NamedTuple):
    """A person. entity, key: as in recorded events. person: the token that the vault and the audit log use."""

    entity: str
    key: str
    person: str


class Personal:
    """The personal fields of a detector. Exports each value of a person once.

    fields: names of the personal fields.
    """

    def __init__(self, active: ActiveDetector, ledger: Ledger, reader: Reader, on_personal: OnPersonal | None) -> None:
        schema = active.detector.schema
        self.fields = sorted(schema.personal & schema.columns.keys())
        self._active, self._ledger, self._reader = active, ledger, reader
        self._person = active.detector.person
        self._export = on_personal if self._person is not None and self.fields else None
        self._known: set[tuple[str, str]] = set()

    @property
    def observers(self) -> "tuple[Personal, ...]":
        """The observer for `BatchDecider`, if there is anything to export."""
        return () if self._export is None else (self,)

    def decided(self, _record: Record, result: BatchResult, _rendered: list[bytes]) -> None:
        """Export the values of decided events."""
        self.keep(result.batch)

    def applied(self, read: ReadEvents, _kind: str, _first_seq: int) -> None:
        """Export the values of events that get no decision."""
        self.keep(read.batch)

    def keep(self, batch: Batch) -> None:
        """Export the new values of recorded events."""
        if self._export is None:
            return
        said, known = self._reader.said, self._known
        persons = batch.texts[str(self._person)]
        found = []
        for field in self.fields:
            for pair in zip(persons, batch.texts[field], strict=True):
                if pair not in known and pair[0] is not None and pair[1] in said:
                    known.add((pair[0], pair[1]))
                    found.append((self._id(pair[0]), pair[1], said[pair[1]]))
        if found:
            self._export(found)
        if len(known) > _MOST_KNOWN:
            known.clear()

    def of(self, transaction_id: str) -> Sealed | None:
        """The personal fields of a recorded transaction; None if there is no such transaction."""
        found = self._ledger.find(self._active.name, transaction_id, ("decisions", "loaded"))
        if found is None:
            return None
        record, row = found
        person = None if self._person is None else _text(record.columns.get(TEXT + self._person), row)
        return Sealed(
            None if person is None else self._id(person),
            {field: _text(record.columns.get(TEXT + field), row) for field in self.fields},
        )

    def key(self, entity: str, key: str) -> str:
        """An entity key as it is recorded: personal values replaced by tokens.

        Raises:
            DeclarationError: the detector has no such entity.
        """
        columns = self._active.pipeline.table(entity).plan.keys[0]
        parts = key.split("|") if len(columns) > 1 else [key]
        if len(parts) != len(columns):
            return key
        names = (column.name for column in columns)
        return "|".join(self._token(part) if name in self.fields else part for name, part in zip(names, parts, strict=True))

    def whose(self, entity: str, key: str) -> Person:
        """The person with this entity key, given as sent or as recorded.

        Raises:
            DeclarationError: the detector has no personal fields, or the entity does not identify persons.
        """
        name, schema = self._active.name, self._active.detector.schema
        if not self.fields or self._person is None:
            raise DeclarationError(f"detector {name!r} has no personal fields, so there is nothing to erase")
        known = [
            table.plan.entity.name
            for table in self._active.pipeline.state.tables
            if any([column.name for column in columns] == [self._person] for columns in table.plan.keys)
        ]
        allowed = {*known, self._person}
        if entity not in allowed:
            raise DeclarationError(
                f"persons of detector {name!r} are identified by {self._person!r}; erase {' or '.join(sorted(allowed))}, "
                f"not {entity!r}.{did_you_mean(entity, allowed)}"
            )
        kept = self._token(key) if self._person in schema.personal else key
        return Person(entity if entity in known else known[0] if known else entity, kept, self._id(kept))

    def _id(self, person: str) -> str:
        """The token of a person. The key is already one if its field is personal."""
        return person if self._person in self.fields else self._token(person)

    def _token(self, value: str) -> str:
        token = self._reader.token
        return value if token is None or value.startswith(PREFIX) else token(value)


def _text(column: object, row: int) -> str | None:
    return column[row] if isinstance(column, list) else None
