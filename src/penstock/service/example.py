"""Events that could be sent: what the page's form offers."""

from pathlib import Path
from typing import Any

import msgspec

from penstock.clock import iso, system_clock

SAMPLES = "samples.json"
"""Beside a detector's file: an array of `{"event": {...}, "about": "..."}`."""

_BY_NAME = {
    "lat": 40.71,
    "latitude": 40.71,
    "long": -74.0,
    "lon": -74.0,
    "longitude": -74.0,
    "currency": "EUR",
    "country": "DE",
}


class Sample(msgspec.Struct):
    """An event and what is remarkable about it."""

    event: dict[str, Any]
    about: str


def samples(folder: Path | None, event_type: type, newest: bytes | None) -> list[Sample]:
    """What the detector brings with it, then the newest event of the simulated traffic; at least one that is made up."""
    file = folder / SAMPLES if folder is not None else None
    found = msgspec.json.decode(file.read_bytes(), type=list[Sample]) if file is not None and file.is_file() else []
    if newest is not None:
        found.append(Sample(msgspec.json.decode(newest), "The newest simulated event."))
    return found or [Sample(msgspec.json.decode(example_event(event_type)), "An event with every required field.")]


def example_event(event_type: type) -> bytes:
    """A JSON object with every required field of the event, believable where its name says what it is.

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
    """A believable value of one field, by its name and its JSON schema; None where none comes to mind."""
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
