"""Formatting of values for people: numbers, yes and no, and templates such as `"{amount:.2f} is too much"`."""

import math
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from string import Formatter
from typing import Any

from penstock.errors import DeclarationError, did_you_mean
from penstock.messages import Type

Value = float | bool | str | datetime | None
"""A value of a column outside the matrix; null is None."""

UNKNOWN = "unknown"
"""How null is said."""

_FORMULA = re.compile("'*[=+\\-@\t\r]")
"""How a text begins that a spreadsheet would compute, or has been kept from computing by a quote."""

_NO_TEXT = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Categories of characters that end lines, or change how others are shown."""


def csv_cell(text: str) -> str:
    """A text as a cell of a CSV file: behind a quote where a spreadsheet would take it for a formula.

    >>> csv_cell("=1+1"), csv_cell("1+1"), csv_cell("'=1+1")
    ("'=1+1", '1+1', "''=1+1")
    """
    return f"'{text}" if _FORMULA.match(text) else text


def csv_text(cell: str) -> str:
    """The text of a cell that `csv_cell` wrote.

    >>> csv_text("'=1+1"), csv_text("1+1"), csv_text("'tis")
    ('=1+1', '1+1', "'tis")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def inert(text: str) -> str:
    """A text from outside as one line, in which nothing is a bullet or a link.

    >>> inert("see https://evil.example"), inert("[x](evil)")
    ('see https[:]//evil.example', '[x] (evil)')
    """
    line = "".join(" " if unicodedata.category(character) in _NO_TEXT else character for character in text)
    line = line.replace("\N{BULLET}", "\N{MIDDLE DOT}").replace("://", "[:]//").replace("](", "] (")
    return re.sub(r"(?i)\b(www|mailto|tel)([.:])", r"\1[\2]", line)


_SAMPLES: dict[Type, Value] = {
    Type.NUMBER: 1.5,
    Type.BOOLEAN: True,
    Type.TIME: datetime(2026, 1, 31, 12, 0, 0, 500_000, UTC),
    Type.TEXT: "text",
}
_ADVICE = {
    Type.NUMBER: "a number takes formats such as .2f .0f .1% ,.2f",
    Type.BOOLEAN: "a boolean is said as yes or no and takes no format",
    Type.TIME: "a time takes formats such as %H:%M",
    Type.TEXT: "a text takes no format, or a width such as .20",
}


def plain(value: Value) -> str:
    """A value as a person would write it.

    >>> plain(4.0), plain(1234.567), plain(0.01234), plain(True), plain(None)
    ('4', '1234.57', '0.0123', 'yes', 'unknown')
    """
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, str):
        return value
    return _plain_number(value)


def _plain_number(value: float) -> str:
    if abs(value) >= 1e15:
        return f"{value:.3g}"
    if value == int(value):
        return str(int(value))
    text = f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def key_text(value: float | str) -> str:
    """A part of a key as people and paths write it: whole numbers without a fraction.

    >>> key_text(12.0), key_text("C1")
    ('12', 'C1')
    """
    return str(int(value)) if isinstance(value, float) and math.isfinite(value) and value.is_integer() else str(value)


class Template:
    """A sentence with places for values: `{name}` or `{name:format}`; `{{` and `}}` are braces.

    >>> Template("{n:.1f} times", {"n": Type.NUMBER}, place="rule").fill({"n": 4.25})
    '4.2 times'

    Raises:
        DeclarationError: a name that is no column, or a format that its type does not take.
    """

    def __init__(self, text: str, scope: Mapping[str, Type], *, place: str) -> None:
        self.text = text
        self._parts = [_part(part, text, scope, place) for part in _parse(text, place)]
        self.names = tuple(dict.fromkeys(name for _, name, _ in self._parts if name))

    def fill(self, values: Mapping[str, Value]) -> str:
        """The sentence with these values; null becomes "unknown"."""
        return "".join(before + (_said(values[name], form) if name else "") for before, name, form in self._parts)


def _said(value: Value, form: str) -> str:
    return format(value, form) if form and value is not None else plain(value)


def _parse(text: str, place: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(Formatter().parse(text))
    except (ValueError, TypeError) as error:
        raise DeclarationError(f"{place}: {text!r} cannot be read: {error}; write a brace itself as {{{{ or }}}}") from None


def _part(
    part: tuple[str, str | None, str | None, str | None], text: str, scope: Mapping[str, Type], place: str
) -> tuple[str, str, str]:
    """The text before the value, its column ('' at the end), and its format."""
    before, name, form, conversion = part
    if name is None:
        return before, "", ""
    if name not in scope:
        hint = did_you_mean(name, scope) if name else " Write a column's name between the braces."
        raise DeclarationError(f"{place}: {{{name}}} in {text!r} is no field or feature.{hint}")
    if conversion is not None:
        raise DeclarationError(f"{place}: {{{name}!{conversion}}} in {text!r}: leave !{conversion} out")
    form = form or ""
    if not _fits(form, scope[name]):
        raise DeclarationError(f"{place}: the format in {{{name}:{form}}} does not fit; {_ADVICE[scope[name]]} (in {text!r})")
    return before, name, form


def _fits(form: str, type: Type) -> bool:
    if not form:
        return True
    if type is Type.BOOLEAN or "{" in form or re.search(r"\d{3}", form):  # a width of thousands helps nobody
        return False
    try:
        said: Any = format(_SAMPLES[type], form)
    except ValueError:
        return False
    return type is not Type.TIME or said != form
