"""An event that could be sent: what the page's form is filled with before anything real is known."""

from typing import Any

import msgspec

from penstock.clock import iso, system_clock

_BY_NAME = {
    "lat": 40.71,
    "latitude": 40.71,
    "long": -74.0,
    "lon": -74.0,
    "longitude": -74.0,
    "currency": "EUR",
    "country": "DE",
}


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
    event = {name: _value(name, schema["properties"][name]) for name in required}
    return msgspec.json.encode(event)


def _value(name: str, schema: dict[str, Any]) -> Any:
    if name in _BY_NAME:
        return _BY_NAME[name]
    for part in schema.get("anyOf", ()):
        if part.get("type") != "null":
            return _value(name, part)
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
