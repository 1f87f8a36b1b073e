"""Phrases for features: how a value is said in a reason, with its unit, in singular or plural, and what is typical.

A phrase with a place for the value says its unit: `"{count} payment(s) by the customer within 5 minutes"`. The places:

    {count}     a number of things; `(s)` behind a word is its plural
    {duration}  seconds, as 1.3 s, 12 min, 3 h or 13 days
    {km}        kilometres
    {amount}    money
    {times}     a ratio, as 4.9 times
    {share}     a part of one, in percent
    {number}    any other number

What follows ` | ` is said where there is no value: `"{duration} since the merchant's first payment | first payment at this
merchant"`. A phrase without a place names a number (`"the amount"`) or says what holds (`"a payment at night"`).
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from penstock.errors import DeclarationError, did_you_mean
from penstock.wording import UNKNOWN, Value, plain

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_PLACE = re.compile(r"\{(\w*)\}")


def duration(seconds: float) -> str:
    """Seconds in the unit that fits.

    >>> duration(0.042), duration(1.26), duration(720), duration(10628.95), duration(86400), duration(1137204.82)
    ('0.04 s', '1.3 s', '12 min', '3 h', '1 day', '13 days')
    """
    if seconds < 0:
        return f"-{duration(-seconds)}"
    for limit, per, unit in ((_MINUTE, 1, "s"), (_HOUR, _MINUTE, "min"), (_DAY, _HOUR, "h")):
        if seconds < limit:
            return f"{_short(seconds / per)} {unit}"
    days = round(seconds / _DAY)
    return f"{days:,} day" if days == 1 else f"{days:,} days"


def _short(number: float) -> str:
    """Two digits where they say something: 0.04, 1.3, 3, 12."""
    if 0 < abs(number) < 1:
        return f"{number:.1g}" if abs(number) < 0.1 else f"{number:.2g}"
    return f"{number:.1f}".removesuffix(".0") if abs(number) < 10 else f"{number:,.0f}"


def _count(number: float) -> str:
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.1f}"


_UNITS: Mapping[str, Callable[[float], str]] = {
    "count": _count,
    "duration": duration,
    "km": lambda number: f"{_short(number)} km",
    "amount": lambda number: f"{number:,.2f}",
    "times": lambda number: f"{_short(number)} times",
    "share": lambda number: f"{_short(100 * number)} %",
    "number": _short,
}


_NOUNS = {"duration": "time ", "km": "distance ", "amount": "amount ", "share": "share of "}
"""What a quantity is called where its phrase begins with the value."""


class Phrase:
    """How the values of one feature are said.

    Raises:
        DeclarationError: the place is unknown, or there are two.

    >>> Phrase("{count} payment(s) by the customer within 5 minutes").say(8.0, 1.0)
    '8 payments by the customer within 5 minutes (typically 1 overall)'
    >>> Phrase("{duration} since the merchant's first payment | first payment at this merchant").say(None, 1137204.8)
    'First payment at this merchant (typically 13 days overall)'
    >>> Phrase("the amount").say(900.0, 25.5), Phrase("a payment at night").say(True, False)
    ('The amount is 900 (typically 25.5 overall)', 'A payment at night (typically not)')
    """

    __slots__ = ("_missing", "_text", "unit")

    def __init__(self, text: str, *, place: str = "words") -> None:
        self._text, _, self._missing = (part.strip() for part in text.partition(" | "))
        units = _PLACE.findall(self._text)
        if len(units) > 1 or any(unit not in _UNITS for unit in units):
            unknown = next((unit for unit in units if unit not in _UNITS), None)
            why = "two places for the value" if unknown is None else f"no place is called {{{unknown}}}"
            known = ", ".join(f"{{{unit}}}" for unit in _UNITS)
            raise DeclarationError(
                f"{place}: {text!r}: {why}; write one of {known}.{did_you_mean(unknown, _UNITS) if unknown else ''}"
            )
        self.unit = units[0] if units else None
        """What its values count: one of the places, or None."""

    @property
    def label(self) -> str:
        """What the feature is called, without a value.

        >>> Phrase("{count} payment(s) by the customer within 5 minutes").label
        'payments by the customer within 5 minutes'
        >>> Phrase("{km} from the usual location").label, Phrase("the amount is {times} the usual one").label
        ('distance from the usual location', 'the amount in relation to the usual one')
        """
        text = self._text.replace(" is {times} ", " in relation to ").replace("(s)", "s")
        if text.startswith("{"):
            text = _NOUNS.get(self.unit or "", "") + text
        return " ".join(_PLACE.sub("", text).removesuffix(" is ").split())

    def say(self, value: Value, usual: Value) -> str:
        """A value in words, with the typical value over all events where it is known and another."""
        text = self._said(value)
        typical = "" if usual is None or usual == value else f" (typically {self._typical(usual)})"
        return f"{text[:1].upper()}{text[1:]}{typical}"

    def _said(self, value: Value) -> str:
        if value is None and self._missing:
            return self._missing
        if isinstance(value, bool) and self.unit is None:
            return self._text if value else f"not {self._text}"
        if self.unit is None or not isinstance(value, float | int):
            return f"{self.label} is {_plain(value)}"
        singular = self.unit == "count" and value == 1
        text = self._text.replace("(s)", "" if singular else "s")
        return _PLACE.sub(lambda _: _UNITS[self.unit or ""](value), text)

    def _typical(self, usual: Value) -> str:
        if isinstance(usual, bool):
            return "so" if usual else "not"
        if self.unit is not None and isinstance(usual, float | int):
            said = _UNITS[self.unit](usual).removesuffix(" times")
            return f"{said} overall"
        return f"{_plain(usual)} overall"


def phrase_of(name: str, words: Mapping[str, str]) -> Phrase:
    """The phrase of a feature: its declared one, else its name with spaces."""
    return Phrase(words.get(name) or name.replace("_", " "))


def _plain(value: Value) -> str:
    if isinstance(value, bool | str | datetime) or value is None:
        return UNKNOWN if value is None else plain(value)
    return f"{value:,.2f}".rstrip("0").rstrip(".") if abs(value) >= 1 else plain(value)
