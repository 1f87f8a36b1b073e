"""The event types of a detector, read from msgspec Structs: columns, types and constraints."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec

from penstock.errors import DeclarationError, did_you_mean
from penstock.expressions.zones import zone_names
from penstock.ingest.field import Field, read_fields
from penstock.ingest.steps import Steps
from penstock.messages import Type

TYPE = "type"
"""The JSON field that marks informing events."""


@dataclass(frozen=True, slots=True)
class EventType:
    """One event type: its Struct, its index, the names that mark it, and its fields without label fields.

    id, time: the fields that name the event and its time (optional where an informing event does not declare them).
    ignored: further fields that are known and not read (labels in a live event). strict: unknown fields are refused.
    """

    struct: type[msgspec.Struct]
    kind: int
    marks: frozenset[str]
    fields: tuple[Field, ...]
    id: Field
    time: Field
    ignored: frozenset[str]
    strict: bool

    @property
    def name(self) -> str:
        """The name of its Struct, for messages."""
        return self.struct.__name__


class Schema:
    """The event types of a detector.

    Args:
        event: the transaction. informs: further types that change state and get no decision.
        id, time: the fields of the transaction's id and time.
        label, label_time: the fields of recorded events with the label, and the time at which it became known.
        naive_times: the zone of times that come without one; they are refused where it is None.
        personal: text fields that are replaced by a keyed token before any other use.
        person: the text field of the transaction that identifies the owner of its personal fields.
        keep_unknown: keep fields that no type declares, for the ledger.
        steps: the field from which a missing transaction time is computed; without it, the arrival time is used.
        amount: the number of the transaction that is the money at stake; found by its name unless given.

    columns: every field that becomes a column, with its type. max_characters: of those that are texts, the longest text.
    required: fields of the transaction that are never null. needed: fields that a transaction in JSON must have. kinds: the
    index of each type. scales: units per 1.0 in sums. amount: the field that is the money at stake, or None.
    personal: names of personal fields.

    Raises:
        DeclarationError: naming the Struct, the field and the remedy.

    >>> from datetime import datetime
    >>> class Payment(msgspec.Struct):
    ...     tx: str
    ...     at: datetime
    ...     card: str
    ...     amount: float
    >>> schema = Schema(Payment, id="tx", time="at")
    >>> {name: type.value for name, type in schema.columns.items()}
    {'at': 'time', 'card': 'text', 'amount': 'number'}
    """

    def __init__(
        self,
        event: type[msgspec.Struct],
        informs: Sequence[type[msgspec.Struct]] = (),
        *,
        id: str,
        time: str,
        label: str | None = None,
        label_time: str | None = None,
        naive_times: str | None = None,
        personal: Collection[str] = (),
        person: str | None = None,
        keep_unknown: bool = False,
        steps: Steps | None = None,
        amount: str | None = None,
    ) -> None:
        self.naive_times = _zone(naive_times)
        self.keep_unknown = keep_unknown
        hidden = frozenset([personal] if isinstance(personal, str) else personal)
        declared = [_fields(struct, hidden) for struct in (event, *informs)]
        _check_personal(event, declared, hidden, {id, label, label_time})
        self.personal = frozenset(field.name for fields in declared for field in fields if field.personal)
        self.id = _named(event, declared[0], id, "id").name
        self.time = _named(event, declared[0], time, "time").name
        self.label = _label(event, declared[0], label, (Type.BOOLEAN, Type.NUMBER), "label")
        self.label_time = _label(event, declared[0], label_time, (Type.TIME,), "known_at")
        self.label_field = next((field for field in declared[0] if field.name == self.label), None)
        self.events = tuple(self._event(k, struct, declared[k]) for k, struct in enumerate((event, *informs)))
        self.kinds: dict[type, int] = {found.struct: found.kind for found in self.events}
        self.marks = _marks(self.events)
        self.marked_by_field = _marked_by_field(self.events)
        fields = _columns(self.events)
        self.columns = {name: field.type for name, field in fields.items()}
        self.max_characters = {
            name: max(field.max_characters for event in self.events for field in event.fields if field.name == name)
            for name, type_ in self.columns.items()
            if type_ is Type.TEXT
        }
        self.names = frozenset(name for each in self.events for name in (*(field.name for field in each.fields), *each.ignored))
        self.scales = {name: field.scale for name, field in fields.items() if field.type is Type.NUMBER}
        main = [field for field in self.events[0].fields if field.name in self.columns]
        self.required = frozenset(field.name for field in main if not field.nullable or field.name == self.time)
        self.needed = frozenset(field.name for field in self.events[0].fields if field.needed)
        numbers = [field.name for field in main if field.type is Type.NUMBER]
        self.amount = _amount(numbers, amount)
        self.person = None if person is None else _person(event, declared[0], person)
        self.steps = steps
        if steps is not None:
            steps.check([field.name for field in main], numbers, optional=not self.events[0].time.needed)

    def _event(self, kind: int, struct: type[msgspec.Struct], fields: list[Field]) -> EventType:
        labels = {self.label, self.label_time} - {None}
        kept = {field.name: field for field in fields if field.name not in labels}
        named = kept.setdefault(self.id, Field(self.id, self.id, Type.TEXT, nullable=True, default=None))
        timed = kept.setdefault(self.time, Field(self.time, self.time, Type.TIME, nullable=True, default=None))
        _check_id(struct, named)
        _check_time(struct, timed)
        ignored = frozenset(field.name for field in fields if field.name in labels)
        strict = bool(struct.__struct_config__.forbid_unknown_fields)
        return EventType(struct, kind, _names(struct), tuple(kept.values()), named, timed, ignored, strict)


def _fields(struct: type[msgspec.Struct], personal: frozenset[str]) -> list[Field]:
    if not (isinstance(struct, type) and issubclass(struct, msgspec.Struct)):
        raise DeclarationError(f"event {struct!r} is not a msgspec.Struct; write class Payment(msgspec.Struct): ...")
    attributes = {field.name: field.encode_name for field in msgspec.structs.fields(struct)}
    return read_fields(struct, {attributes.get(name, name): True for name in personal})


def _named(struct: type[msgspec.Struct], fields: list[Field], name: str, what: str) -> Field:
    """The field with this name in JSON, or else in Python."""
    for field in (*(f for f in fields if f.name == name), *(f for f in fields if f.attribute == name)):
        return field
    hint = did_you_mean(str(name), [field.name for field in fields])
    raise DeclarationError(f"{what}={name!r} is not a field of {struct.__name__}.{hint}")


def _label(
    struct: type[msgspec.Struct], fields: list[Field], name: str | None, types: tuple[Type, ...], what: str
) -> str | None:
    if name is None:
        return None
    field = _named(struct, fields, name, what)
    if field.type not in types or not (field.nullable or field.default is not msgspec.NODEFAULT):
        wanted = "datetime | None = None" if Type.TIME in types else "bool | None = None"
        raise DeclarationError(
            f"{struct.__name__}.{field.attribute} is the {what} of recorded events, which live events do not have; "
            f"declare it as '{field.attribute}: {wanted}'"
        )
    return field.name


def _check_personal(
    event: type[msgspec.Struct], declared: list[list[Field]], personal: frozenset[str], reserved: set[str | None]
) -> None:
    known = {name for fields in declared for field in fields for name in (field.name, field.attribute)}
    for name in sorted(personal):
        if name not in known:
            raise DeclarationError(f"personal field {name!r} is not a field of {event.__name__}.{did_you_mean(name, known)}")
        if name in reserved:
            raise DeclarationError(
                f"{event.__name__}.{name} names the event or its label, which are kept as sent; it cannot be personal"
            )


def _person(event: type[msgspec.Struct], fields: list[Field], name: str) -> str:
    found = _named(event, fields, name, "person")
    if found.type is not Type.TEXT:
        raise DeclarationError(f"person={name!r} is not a text field of {event.__name__}; it says whose data an event holds")
    return found.name


def _check_id(struct: type[msgspec.Struct], field: Field) -> None:
    if field.choices is not None or not (field.type is Type.TEXT or field.whole):
        raise DeclarationError(f"{struct.__name__}.{field.attribute} is the event's id; declare it as str")
    if field.default not in (msgspec.NODEFAULT, None):
        raise DeclarationError(
            f"{struct.__name__}.{field.attribute} is the event's id and has the default {field.default!r}, which every event "
            "would share; use 'str' (it must be sent) or 'str | None = None' (one is made)"
        )


def _check_time(struct: type[msgspec.Struct], field: Field) -> None:
    if field.type is not Type.TIME:
        raise DeclarationError(f"{struct.__name__}.{field.attribute} is the event's time; declare it as datetime")
    if field.default not in (msgspec.NODEFAULT, None):
        raise DeclarationError(
            f"{struct.__name__}.{field.attribute} is the event's time and has a default; use 'datetime' (it must be sent) or "
            "'datetime | None = None' (the time of arrival stands in)"
        )


def _names(struct: type[msgspec.Struct]) -> frozenset[str]:
    """The accepted values of `type` for this Struct, lower case: Login, login; CardDecline, card_decline, card-decline."""
    name = struct.__name__
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    tag = struct.__struct_config__.tag
    return frozenset({name.lower(), snake, snake.replace("_", "-"), *([tag.lower()] if isinstance(tag, str) else [])})


def _marks(events: tuple[EventType, ...]) -> dict[str, int]:
    marks: dict[str, int] = {"transaction": 0}
    for event in events:
        for mark in event.marks:
            if marks.get(mark, event.kind) != event.kind and mark != "transaction":
                other = events[marks[mark]].name
                raise DeclarationError(
                    f"informs: {event.name} and {other} are both marked by type {mark!r}; rename one of them"
                )
            marks[mark] = event.kind
    return marks


def _marked_by_field(events: tuple[EventType, ...]) -> bool:
    """Whether the transaction itself has a field `type`, whose other values mean a transaction."""
    field = next((field for field in events[0].fields if field.name == TYPE), None)
    if field is not None and field.type is not Type.TEXT and len(events) > 1:
        raise DeclarationError(
            f"{events[0].name}.{field.attribute}: 'type' marks informing events; declare it as str or rename it"
        )
    return field is not None


def _columns(events: tuple[EventType, ...]) -> dict[str, Field]:
    """Every field that becomes a column; fields of one name in several types are one column."""
    columns: dict[str, Field] = {}
    owner: dict[str, str] = {}
    for event in events:
        for field in event.fields:
            if field is event.id:
                continue
            first = columns.setdefault(field.name, field)
            if first.type is not field.type or first.scale != field.scale:
                unlike = f"{field.type.value} and {first.type.value}" if first.type is not field.type else "of different scales"
                raise DeclarationError(
                    f"{event.name}.{field.attribute} and {owner[field.name]}.{first.attribute} are {unlike}; "
                    "fields of one name are one column: declare them alike"
                )
            owner.setdefault(field.name, event.name)
    return columns


def _amount(numbers: list[str], given: str | None = None) -> str | None:
    """The field that is the money at stake: the given one, else the one that its name makes evident.

    >>> _amount(["lat", "purchase_value"])
    'purchase_value'
    """
    if given is not None and given not in numbers:
        raise DeclarationError(
            f"amount={given!r} is not a number of the transaction; its numbers are {', '.join(numbers) or 'none'}."
            f"{did_you_mean(given, numbers)}"
        )
    if given is not None:
        return given
    if "amount" in numbers:
        return "amount"
    for pattern in (r"amount", r"(^|_)amt(_|$)", r"(^|_)value(_|$)|value$"):
        found = [name for name in numbers if re.search(pattern, name.lower())]
        if len(found) == 1:
            return found[0]
    return None


def _zone(name: str | None) -> str | None:
    if name is not None and name not in zone_names():
        hint = did_you_mean(str(name), zone_names())
        raise DeclarationError(f"naive_times={name!r} is not a zone; write 'UTC' or a name such as 'Europe/Berlin'.{hint}")
    return name
