"""Error texts for refused events: each invalid field, its value and the expected form."""

import math
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import numpy as np

from penstock.errors import did_you_mean
from penstock.ingest.field import TIME_FORMS, UNITS_LIMIT, WHOLE_LIMIT, Field
from penstock.ingest.identity import LONGEST_ID, id_problem
from penstock.ingest.kernel import NAIVE, NULL, OUTSIDE, READ, UNREADABLE
from penstock.ingest.quarantine import masked
from penstock.ingest.schema import TYPE, EventType, Schema
from penstock.ingest.times import FIRST_US, OLDEST_US, instants, outside
from penstock.messages import Refusal, Type

_LONGEST_SHOWN = 60
_LONGEST_NAME = 200
_MOST_ERRORS = 20

Fault = tuple[str | None, str]


def refused(faults: list[Fault], status: int = 422) -> Refusal:
    """A refusal whose detail is the first fault and how many more there are."""
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return Refusal(status, faults[0][1] + more, tuple(faults[:_MOST_ERRORS]))


def refused_body(schema: Schema, body: bytes, cause: BaseException | None) -> Refusal:
    """The refusal of bytes that are no event, for `cause`."""
    try:
        found = msgspec.json.decode(body)
    except RecursionError:
        return refused([(None, "the JSON is nested too deeply; an event is a flat object")], 400)
    except msgspec.ValidationError as error:  # a number beyond every range
        return refused([(None, f"the JSON holds a number that is too large ({error})")])
    except UnicodeDecodeError:
        return refused([(None, "the body is not UTF-8; an event is a JSON object in UTF-8")], 400)
    except (msgspec.DecodeError, ValueError) as error:
        return refused([(None, f"the body is not JSON: {str(error).removeprefix('JSON is malformed: ')}")], 400)
    return refused_object(schema, found, cause)


def refused_object(schema: Schema, found: Any, cause: BaseException | None = None) -> Refusal:
    """The refusal of a decoded value that is not an event."""
    if not isinstance(found, Mapping):
        return refused([(None, f"an event is a JSON object, and this is {_kind(found)}")])
    kind, fault = kind_of(schema, found)
    faults = [fault] if fault else _faults(schema, schema.events[kind], found)
    return refused(faults or [(None, f"the event does not fit {schema.events[kind].name}: {cause or 'a value is not valid'}")])


def refused_unknown(schema: Schema, body: bytes) -> Refusal | None:
    """The refusal of an event with fields that its type does not declare; None where it has none, or is no event at all."""
    try:
        found = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        kind, fault = kind_of(schema, {TYPE: msgspec.json.decode(found[TYPE])} if TYPE in found else {})
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    unknown = [] if fault else _unknown_fields(schema.events[kind], found)
    return refused(unknown) if unknown else None


def kind_of(schema: Schema, found: Mapping[str, Any]) -> tuple[int, Fault | None]:
    """The index of the event's type, and the fault of its type field, if any."""
    mark = found.get(TYPE)
    if len(schema.events) == 1 or mark is None:
        return 0, None
    kind = schema.marks.get(mark.lower()) if isinstance(mark, str) else None
    if kind is None and not schema.marked_by_field:
        hint = did_you_mean(mark if isinstance(mark, str) else "", sorted(schema.marks))
        return 0, (TYPE, f"type is {shown(mark)}, which is no event type of this detector.{hint}")
    return kind or 0, None


def _faults(schema: Schema, event: EventType, found: Mapping[str, Any]) -> list[Fault]:
    faults: list[Fault] = []
    for field in event.fields:
        message = _fault(schema, event, field, found)
        if message is not None:
            faults.append((field.name, message))
    return faults + _unknown_fields(event, found) if event.strict else faults


def _unknown_fields(event: EventType, found: Mapping[str, Any]) -> list[Fault]:
    known = {field.name for field in event.fields} | event.ignored | {TYPE}
    unknown = [str(name) for name in found if name not in known]
    faults: list[Fault] = [(name[:_LONGEST_NAME], _unknown(event, name, known)) for name in unknown[:_MOST_ERRORS]]
    return faults + [(None, "")] * (len(unknown) - _MOST_ERRORS)


def _unknown(event: EventType, name: str, known: Collection[str]) -> str:
    given = name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "..."
    return f"{given} is not a field of {event.name}.{did_you_mean(name, known)}"


def _fault(schema: Schema, event: EventType, field: Field, found: Mapping[str, Any]) -> str | None:
    expected = "an id of at most 200 characters" if field is event.id else field.expected
    if field.name not in found:
        return f"{field.name} is missing; expected {expected}" if field.needed else None
    value = found[field.name]
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None if field.nullable else f"{field.name} is null; expected {expected}"
    if field is event.id:
        return _id_fault(field, value)
    if field.type is Type.TIME:
        return time_fault(field, value, schema.naive_times, FIRST_US if field is event.time else OLDEST_US)
    return value_fault(field, value)


def _id_fault(field: Field, value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return f"{field.name} is {shown(value)}; expected an id: text, or a whole number"
    problem = id_problem(str(value))
    remedy = f"; an id is text of 1 to {LONGEST_ID} characters without control characters"
    return None if problem is None else f"{field.name} {problem}{remedy}"


def value_fault(field: Field, value: Any) -> str | None:
    """The fault of a number, text or boolean, or None."""
    if isinstance(value, str) and field.max_bytes is not None and (length := len(_utf8(value))) > field.max_bytes:
        return (
            f"{field.name} has {length:,} bytes of UTF-8 and at most {field.max_bytes:,} are accepted; send less of it, or "
            "declare a longer field, as Annotated[str, Meta(max_length=20_000)] (characters)"
        )
    given = "a value that is not shown" if field.personal else shown(value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if field.type is Type.NUMBER and number and not (abs(value) <= (WHOLE_LIMIT if field.whole else UNITS_LIMIT / field.scale)):
        return f"{field.name} is {given}, {_too_large(field)}"
    if field.type is Type.NUMBER and field.whole and isinstance(value, float) and not value.is_integer():
        return f"{field.name} is {given}; expected {field.expected}"
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        return f"{field.name} is {given}; expected Unicode text (it holds half of a surrogate pair)"
    try:
        msgspec.convert(value, field.decoded(times=Any))
    except msgspec.ValidationError:
        return f"{field.name} is {given}; expected {field.expected}{_remedy(field, value)}"
    return None


def _too_large(field: Field) -> str:
    if field.whole:
        return f"too large to be exact: a whole number has at most {WHOLE_LIMIT}; declare a key as str"
    return (
        f"too large: at a resolution of {1 / field.scale:g} a number has at most {UNITS_LIMIT / field.scale:g}; "
        "Annotated[float, Meta(extra={'scale': 1})] declares a coarser one, and a key is declared as str"
    )


def _remedy(field: Field, value: Any) -> str:
    if field.type is Type.NUMBER and isinstance(value, str) and _reads_as_number(value):
        return ": send it without quotes"
    if field.type is Type.NUMBER and isinstance(value, bool):
        return ": send 1 or 0"
    if field.type is Type.BOOLEAN and value in (0, 1, "true", "false", "True", "False"):
        return " as JSON has them, without quotes"
    if field.type is Type.TEXT and isinstance(value, int | float):
        return ": send it in quotes"
    return ""


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def time_fault(field: Field, value: Any, zone: str | None, first_us: int) -> str | None:
    """The fault of a time, or None."""
    instant_us, states = instants([value], zone)
    state = int(states[0])
    if state == READ and outside(instant_us, first_us)[0]:
        state = OUTSIDE
    return (
        None
        if state == READ
        else f"{field.name} is {shown(value)}{_TIME_FAULTS[state].format(1970 if first_us == FIRST_US else 1900)}"
    )


_TIME_FAULTS = {
    NAIVE: ", which has no zone: send it with one, as 2026-02-06T10:00:00Z or 2026-02-06T11:00:00+01:00, "
    "or let the detector say what such times mean, as Detector(naive_times='UTC')",
    UNREADABLE: f"; expected {TIME_FORMS}",
    OUTSIDE: ", which lies outside the years {} to 2100; numbers below 1e11 are seconds since 1970, below 1e14 milliseconds, "
    "else microseconds",
    NULL: ", which is not a time",
}


def shown(value: Any) -> str:
    """A value for a message: as JSON has it, shortened, and without card numbers, since messages are kept."""
    if isinstance(value, Mapping | list | tuple):
        return _kind(value)
    if isinstance(value, str):
        text = _without_cards(value[: _LONGEST_SHOWN * 2])
        text = text if len(value) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
        return msgspec.json.encode(text).decode()
    if value is True or value is False:
        return str(value).lower()
    if isinstance(value, int) and abs(value) > 10**_LONGEST_SHOWN:
        return f"a whole number of {value.bit_length()} bits"
    return _without_cards(str(value))[:_LONGEST_SHOWN]


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _without_cards(text: str) -> str:
    return masked(_utf8(text)).decode("utf-8", "replace")


def _kind(value: Any) -> str:
    names: dict[type, str] = {
        list: "an array",
        tuple: "an array",
        dict: "an object",
        str: "text",
        bool: "true or false",
        int: "a number",
    }
    return names.get(
        type(value), "null" if value is None else "a number" if isinstance(value, float | np.number) else "not one"
    )
