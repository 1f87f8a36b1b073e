"""A naive reader of one payment: json.loads and plain conditions, as the oracle of the real one."""

import json
import math
import re
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(2101, 1, 1, tzinfo=UTC)


def zone_of(name: str) -> ZoneInfo:
    """The zone by the rules of the package tzdata, as Penstock has them; the machine's may be older."""
    with resources.files("tzdata.zoneinfo").joinpath(*name.split("/")).open("rb") as content:
        return ZoneInfo.from_file(content, name)


class Unfit(Exception):
    """The field that does not fit."""


def payment(body: bytes, zone: str | None = None) -> dict[str, Any]:
    """The columns of a payment by name; raises Unfit with the name of the first field that does not fit."""
    event = json.loads(body)
    got = event.get
    return {
        "tx": _text("tx", got("tx"), whole=True, longest=200),
        "at": _time("at", event.get("at", ...), zone, 1970),
        "card": _text("card", event.get("card", ...), whole=True),
        "shop": _text("shop", got("shop"), whole=True),
        "amount": _number("amount", event.get("amount", ...), 0, 1e6),
        "items": None if got("items") is None else _number("items", got("items"), 1, 2**53 - 1, whole=True),
        "present": _boolean("present", event.get("present", False)),
        "channel": _listed("channel", got("channel"), {"web", "shop"}),
        "currency": _form("currency", event.get("currency", "EUR"), "[A-Z]{3}"),
        "born": None if got("born") is None else _time("born", got("born"), zone, 1900),
    }


def _text(name: str, value: Any, *, whole: bool, longest: int | None = None) -> str | None:
    if value is None and name != "card":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and whole:
        value = str(value)
    if not isinstance(value, str) or (longest is not None and not (1 <= len(value) <= longest)):
        raise Unfit(name)
    if longest is not None and any(ord(c) < 32 or 127 <= ord(c) < 160 for c in value):
        raise Unfit(name)
    return value


def _number(name: str, value: Any, low: float, high: float, *, whole: bool = False) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Unfit(name)
    if whole and float(value) != math.floor(value):
        raise Unfit(name)
    return float(value)


def _boolean(name: str, value: Any) -> float:
    if not isinstance(value, bool):
        raise Unfit(name)
    return float(value)


def _listed(name: str, value: Any, allowed: set[str]) -> str | None:
    if value is not None and (not isinstance(value, str) or value not in allowed):
        raise Unfit(name)
    return value


def _form(name: str, value: Any, pattern: str) -> str:
    if not isinstance(value, str) or not re.match(f"^{pattern}$", value):
        raise Unfit(name)
    return value


def _time(name: str, value: Any, zone: str | None, first_year: int) -> float:
    instant = time(value, zone)
    if instant is None or not datetime(first_year, 1, 1, tzinfo=UTC) <= instant < END:
        raise Unfit(name)
    return float((instant - EPOCH) // timedelta(microseconds=1))


def time(value: Any, zone: str | None) -> datetime | None:
    """The instant of a time, or None."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        unit = 1 if abs(value) < 1e11 else 1e3 if abs(value) < 1e14 else 1e6
        try:
            return EPOCH + timedelta(microseconds=round(value * (1_000_000 // int(unit))))
        except OverflowError:  # before year 1, after year 9999, or endless
            return None
    if not isinstance(value, str):
        return None
    value = value.strip(" \t\n\v\f\r")
    if re.fullmatch(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", value, re.ASCII):
        return time(float(value), zone)
    pattern = r"(\d{4})-(\d\d?)-(\d\d?)(?:[Tt ](\d\d?):(\d\d(?::\d\d(?:[.,]\d+)?)?) ?([Zz]|[+-]\d\d(?::?\d\d)?)?)?"
    parts = re.fullmatch(pattern, value, re.ASCII)
    if parts is None:
        return None
    year, month, day, hour, rest, offset = parts.groups()
    clock = f"T{hour:0>2}:{rest}{(offset or '').upper()}" if hour else ""
    try:
        found = datetime.fromisoformat(f"{year}-{month:0>2}-{day:0>2}{clock}")
    except ValueError:
        return None
    if found.tzinfo is None:
        return None if zone is None else found.replace(tzinfo=zone_of(zone))
    return found
