"""Personal fields of one detector: whose they are, and what they said on its way to where it is kept."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from penstock.decision import TEXT
from penstock.engine.active_detector import ActiveDetector
from penstock.engine.pipeline import BatchResult
from penstock.errors import DeclarationError, did_you_mean
from penstock.ingest import PREFIX, Read, Reader
from penstock.ledger import Ledger
from penstock.messages import Batch, Record

OnPersonal = Callable[[Sequence[tuple[str, str, str]]], None]
"""Given the token of a person, the token of a value, and the value, of events that are recorded; must not wait."""

_MOST_KNOWN = 1_000_000
"""Values that are remembered as handed on; beyond it all are forgotten, and handed on once more where they come again."""


class Sealed(NamedTuple):
    """What a recorded event has in its personal fields: tokens, null where it had nothing; person: None where it has none."""

    person: str | None
    tokens: dict[str, str | None]


class Whose(NamedTuple):
    """A person: as entity and key of the recorded events, and by the token that stands for the person elsewhere."""

    entity: str
    key: str
    person: str


class Personal:
    """Hands on what personal fields said, once for each person and value; knows whose they are. fields: their names."""

    def __init__(self, active: ActiveDetector, ledger: Ledger, reader: Reader, on_personal: OnPersonal | None) -> None:
        schema = active.detector.schema
        self.fields = sorted(schema.personal & schema.columns.keys())
        self._active, self._ledger, self._reader = active, ledger, reader
        self._person = active.detector.person
        self._hand_on = on_personal if self._person is not None and self.fields else None
        self._known: set[tuple[str, str]] = set()

    @property
    def observers(self) -> "tuple[Personal, ...]":
        """Itself, where it has something to hand on."""
        return () if self._hand_on is None else (self,)

    def decided(self, _record: Record, result: BatchResult, _rendered: list[bytes]) -> None:
        """Hand on what decided events said."""
        self.keep(result.batch)

    def applied(self, read: Read, _kind: str, _first_seq: int) -> None:
        """Hand on what events said that were not decided."""
        self.keep(read.batch)

    def keep(self, batch: Batch) -> None:
        """Hand on what the personal fields of recorded events said, as far as it is new."""
        if self._hand_on is None:
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
            self._hand_on(found)
        if len(known) > _MOST_KNOWN:
            known.clear()

    def of(self, transaction_id: str) -> Sealed | None:
        """What a recorded transaction has in its personal fields; None where there is no such transaction."""
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
        """A key as it is kept: tokens in the place of personal values.

        Raises:
            DeclarationError: the detector has no such entity.
        """
        columns = self._active.pipeline.table(entity).plan.keys[0]
        parts = key.split("|") if len(columns) > 1 else [key]
        if len(parts) != len(columns):
            return key
        names = (column.name for column in columns)
        return "|".join(self._token(part) if name in self.fields else part for name, part in zip(names, parts, strict=True))

    def whose(self, entity: str, key: str) -> Whose:
        """The person that a key of an entity is, written as it was sent or as it is kept.

        Raises:
            DeclarationError: it has no such entity, or one that is no person.
        """
        name, schema = self._active.name, self._active.detector.schema
        if not self.fields or self._person is None:
            raise DeclarationError(f"detector {name!r} keeps no personal fields, so nobody can be erased")
        known = [
            table.plan.entity.name
            for table in self._active.pipeline.state.tables
            if any([column.name for column in columns] == [self._person] for columns in table.plan.keys)
        ]
        allowed = {*known, self._person}
        if entity not in allowed:
            raise DeclarationError(
                f"people of detector {name!r} are told apart by {self._person!r} and erased as {' or '.join(sorted(allowed))}, "
                f"not as {entity!r}.{did_you_mean(entity, allowed)}"
            )
        kept = self._token(key) if self._person in schema.personal else key
        return Whose(entity if entity in known else known[0] if known else entity, kept, self._id(kept))

    def _id(self, person: str) -> str:
        """The token of a person, whose field may be personal itself."""
        return person if self._person in self.fields else self._token(person)

    def _token(self, value: str) -> str:
        token = self._reader.token
        return value if token is None or value.startswith(PREFIX) else token(value)


def _text(column: object, row: int) -> str | None:
    return column[row] if isinstance(column, list) else None
