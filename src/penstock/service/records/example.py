"""Example events for the page's form."""

import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from penstock.clock import Clock, from_us, iso, system_clock
from penstock.decoding import prepared

SAMPLES = "samples.json"
"""The file next to a detector's file: an array of `{"event": {...}, "about": "..."}`."""

_BY_NAME = {
    "lat": 40.71,
    "latitude": 40.71,
    "long": -74.0,
    "lon": -74.0,
    "longitude": -74.0,
    "currency": "EUR",
    "country": "DE",
}


class ExampleEvent(msgspec.Struct):
    """An example event to send."""

    event: Annotated[dict[str, Any], Meta(description="The event.")]
    about: Annotated[str, Meta(description="What is remarkable about it.")]


_DATED = re.compile(r"\d{4}-\d\d-\d\dT")


def samples(
    folder: Path | None, event_type: type, time: str, newest: bytes | None = None, *, clock: Clock = system_clock
) -> list[ExampleEvent]:
    """The detector's own samples, then the newest event of the simulated traffic; at least one that is generated.

    time: the field of the event time; samples are moved to today.
    """
    file = folder / SAMPLES if folder is not None else None
    found = (
        msgspec.json.decode(file.read_bytes(), type=prepared(list[ExampleEvent])) if file is not None and file.is_file() else []
    )
    _bring_forward(found, time, from_us(clock()))
    if newest is not None:
        found.append(ExampleEvent(msgspec.json.decode(newest), "The newest simulated event."))
    return found or [ExampleEvent(msgspec.json.decode(example_event(event_type)), "An event with every required field.")]


def _bring_forward(found: list[ExampleEvent], time: str, now: datetime) -> None:
    """Move a sample to today, or to yesterday if it would lie in the future; the hours stay."""
    ends: dict[str, str] = {}
    for sample in found:
        at = sample.event.get(time)
        if isinstance(at, str) and _DATED.match(at):
            ends[at[:10]] = max(at[11:19], ends.get(at[:10], ""))
    for sample in found:
        day = str(sample.event.get(time))[:10]
        if day not in ends:
            continue
        last = now.date() - timedelta(days=ends[day] > f"{now:%H:%M:%S}")
        later = last - date.fromisoformat(day)
        for name, value in sample.event.items():
            if isinstance(value, str) and _DATED.match(value):
                sample.event[name] = f"{date.fromisoformat(value[:10]) + later}{value[10:]}"


def example_event(event_type: type) -> bytes:
    """A JSON object with every required field of an event type, with plausible values for known field names.

    >>> class Payment(msgspec.Struct):
    ...     payment_id: str
    ...     lat: float
    ...     note: str | None = None
    >>> example_event(Payment)
    b'{"payment_id":"payment-1","lat":40.71}'
    """
    _, components = msgspec.json.schema_components([event_type], schema_hook=lambda _kind: {})
    schema = components.get(event_type.__name__) or next(iter(components.values()))
    required = schema.get("required", [])
    event = {name: value_for(name, schema["properties"][name]) for name in required}
    return msgspec.json.encode(event)


def value_for(name: str, schema: dict[str, Any]) -> Any:
    """A plausible value of one field, by its name and its JSON schema; None if there is none."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    for part in schema.get("anyOf", ()):
        if part.get("type") != "null":
            return value_for(name, part)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "number" | "integer":
            return _within(25, schema)
        case "boolean":
            return False
        case "string":
            return iso(system_clock() // 1_000_000 * 1_000_000) if "date" in schema.get("format", "") else _text(name)
    return None


def _within(value: float, schema: dict[str, Any]) -> float:
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    return float(min(max(value, low), high)) if schema["type"] == "number" else int(min(max(value, low), high))


def _text(name: str) -> str:
    return f"{name.removesuffix('_id').removesuffix('_name')}-1"
