"""Error texts of JSON that does not fit a schema, worded as those of refused events: field, value, expected form."""

import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from penstock.errors import did_you_mean
from penstock.ingest.refusals import Fault, shown

_EXPECTED = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "object": "an object",
    "array": "an array",
    "null": "null",
}
_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]+)`")
_TYPE = re.compile(r"Expected `([^`]+)`(?:, got `[^`]+`| (of length )?(<=|>=|<|>) (\S+)| (matching regex '.*'))?$")
_SIGNS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def worded(error: msgspec.ValidationError, body: bytes, known: Collection[str] = ()) -> Fault:
    """The field at fault, by its path (None for the whole value), and the message. known: the fields of the whole value.

    >>> import msgspec
    >>> class Label(msgspec.Struct):
    ...     fraud: bool
    >>> body = b'{"fraud": "maybe"}'
    >>> try:
    ...     msgspec.json.decode(body, type=Label)
    ... except msgspec.ValidationError as error:
    ...     worded(error, body)
    ('fraud', 'fraud is "maybe"; expected true or false')
    """
    text = str(error)
    place = _PLACE.search(text)
    path, said = (place[1], text[: place.start()]) if place else ("", text)
    if found := _MISSING.search(said) or _UNKNOWN.search(said):
        field = f"{path}.{found[1]}" if path else found[1]
        hint = "" if path else did_you_mean(field, known)
        return field, f"{field} is missing" if found.re is _MISSING else f"{field} is not a field here.{hint}"
    value = _at(path, body)
    if (expected := _TYPE.fullmatch(said)) is None:  # enumerations, and what a custom type says
        return path or None, f"{path or 'the value'} is {shown(value)}: {said[0].lower()}{said[1:]}"
    return path or None, f"{path or 'the body'} is {_shown(value)}; expected {_expected(expected)}"


def _expected(found: re.Match[str]) -> str:
    kinds, length, sign, bound, pattern = found.groups()
    wanted = " or ".join(_EXPECTED.get(kind, kind) for kind in kinds.split(" | "))
    if pattern is not None:
        return f"{wanted} {pattern}"
    if sign is None:
        return wanted
    return f"{wanted} of {_SIGNS[sign]} {bound}" + (_counted(kinds) if length else "")


def _counted(kinds: str) -> str:
    return " elements" if kinds == "array" else " characters"


def _shown(value: Any) -> str:
    return "null" if value is None else shown(value)


def _at(path: str, body: bytes) -> Any:
    """The value at a path of msgspec, such as `errors[0].field`."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    for name, index in _STEP.findall(path):
        if name and isinstance(value, Mapping):
            value = value.get(name)
        elif index and isinstance(value, list) and int(index) < len(value):
            value = value[int(index)]
    return value
