"""The stored content of a refused event: its bytes, without personal values."""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Collection
from typing import Any

import msgspec

from penstock.ingest.schema import TYPE, Schema

LONGEST_KEPT = 4096
"""Bytes kept of a refused event."""

OUTLINE = 256
"""Characters kept of the outline of what is no JSON object."""

_LABEL = frozenset({"transaction_id", "label", "fraud", "is_fraud", "kind", "source", "known_at"})
"""The names of a label."""
_DIGITS = b"0123456789"
_RUN = re.compile(rb"[0-9](?:(?:[ \t._-]|\xc2\xa0){0,2}[0-9]){12,}")
_CUT = b"...[cut]"
_HIDDEN = "[personal]"
_OUTLINED = re.compile(r"\[no JSON object: [0-9]+ bytes, sha256 [0-9a-f]{64}\] ")
_SHORTEST_VALUE = 3
"""Characters of a personal value that is looked for elsewhere in the event; shorter ones would be found everywhere."""


def masked(original: bytes, personal: Collection[str] = (), known: Collection[str] | None = None) -> bytes:
    """The bytes of a refused event with personal data masked.

    A number that looks like a card number (13 to 19 digits, with spaces, dots or dashes, whose check digit is right) is
    masked except for its last four digits. Where there are personal fields, their values are hidden, under names in
    whatever case, and wherever else in the event they stand. Of values under names that are not `known`, and of all that is
    no JSON object, only an outline is kept, in which letters are `x` and digits `9`.

    >>> masked(b'{"card": "4111 1111 1111 1111", "amount": "x"}')
    b'{"card": "**** **** **** 1111", "amount": "x"}'
    >>> masked(b'{"Card": "4111", "note": "my 4111", "amount": 5}', ["card"], ["note", "amount"])
    b'{"Card":"[personal]","note":"[personal]","amount":5}'
    """
    if _is_outlined(original):
        return original
    if not personal:
        kept = _ascii_digits(original)
    else:
        read = _Masks(personal, known).of(original)
        if read is None:
            return _outlined(original)
        kept = read
    kept = _RUN.sub(_mask, kept[: LONGEST_KEPT + 64])
    return kept if len(kept) <= LONGEST_KEPT else kept[: LONGEST_KEPT - len(_CUT)] + _CUT


def _ascii_digits(original: bytes) -> bytes:
    """The text with digits of all scripts, and JSON escapes for them, replaced by ASCII digits."""
    if b"\\u00" in original:
        original = re.sub(rb"\\u003([0-9])", rb"\1", original)
    if original.isascii():
        return original
    try:
        text = original.decode()
    except UnicodeDecodeError:
        return original
    return "".join(str(unicodedata.decimal(each)) if each.isdecimal() else each for each in text).encode()


def masked_event(original: bytes, schema: Schema) -> bytes:
    """The bytes of a refused event, or of a refused label, of a detector as they may be kept."""
    return masked(original, schema.personal, schema.names | _LABEL | {TYPE})


def is_masked(event: bytes, schema: Schema) -> bool:
    """Whether this may be stored unchanged."""
    return masked_event(event, schema) == event


class _Masks:
    """Hides personal values in one event."""

    def __init__(self, personal: Collection[str], known: Collection[str] | None) -> None:
        self._personal = frozenset(map(_plain, personal))
        self._known = None if known is None else frozenset(map(_plain, known))
        self._values: set[str] = set()

    def of(self, original: bytes) -> bytes | None:
        """The event as masked JSON, unchanged elsewhere; None for anything but a JSON object or an array of them."""
        try:
            found = msgspec.json.decode(original)
            if not isinstance(found, dict | list):
                return None
            whole, hidden = msgspec.json.encode(found), self._hide(found)
            kept = _ascii_digits(msgspec.json.encode(self._without_values(hidden)))
            same = kept == whole == msgspec.json.format(original, indent=-1)  # a name that comes twice is read once
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None
        return original if same else kept

    def _hide(self, found: Any, *, known: bool = False) -> Any:
        if isinstance(found, dict):
            named = any(isinstance(value, str) and _plain(value) in self._personal for value in found.values())
            return {self._name(name): self._under(name, value, named=named) for name, value in found.items()}
        if isinstance(found, list):
            if any(isinstance(item, str) and _plain(item) in self._personal for item in found):
                return [self._personal_value(item) for item in found]
            return [self._hide(item, known=known and self._known is None) for item in found]
        return found if known else self._unknown(found)

    def _under(self, name: str, value: Any, *, named: bool) -> Any:
        """A value under a name. named: another value of the object is the name of a personal field."""
        plain = _plain(name)
        if plain in self._personal:
            return self._personal_value(value)
        if named and not isinstance(value, dict | list):
            return value if isinstance(value, str) and _plain(value) in self._personal else self._personal_value(value)
        known = self._known is None or plain in self._known
        if isinstance(value, str) and self._speaks(value):
            return _outline(value)
        return self._hide(value, known=known)

    def _unknown(self, value: Any) -> Any:
        if self._known is None and not (isinstance(value, str) and self._speaks(value)):
            return value
        return value if value is None or isinstance(value, bool) else _outline(str(value))

    def _name(self, name: str) -> str:
        return name if self._known is None or _plain(name) in self._known | self._personal else _outline(name)

    def _speaks(self, text: str) -> bool:
        """Whether a text names a personal field: it may contain an event."""
        plain = _plain(text)
        return any(name in plain for name in self._personal)

    def _personal_value(self, value: Any) -> Any:
        if value is None or value == _HIDDEN:
            return value
        if isinstance(value, dict):
            for each in value.values():
                self._personal_value(each)
        elif isinstance(value, list):
            for each in value:
                self._personal_value(each)
        elif not isinstance(value, bool) and len(str(value)) >= _SHORTEST_VALUE:
            self._values.add(str(value).casefold())
        return _HIDDEN

    def _without_values(self, found: Any) -> Any:
        """The same without the values of personal fields, wherever they stand."""
        if isinstance(found, dict):
            return {self._without_values(name): self._without_values(value) for name, value in found.items()}
        if isinstance(found, list):
            return [self._without_values(item) for item in found]
        if found is None or isinstance(found, bool) or not self._values:
            return found
        text = str(found).casefold()
        return _HIDDEN if any(value in text for value in self._values) else found


def _plain(name: str) -> str:
    """A name in lower case without separators."""
    return "".join(each for each in unicodedata.normalize("NFKC", name).casefold() if each.isalnum())


def _outline(text: str) -> str:
    """A text with letters as `x`, digits as `9` and control characters as spaces.

    >>> _outline("Meier, Anna (42)")
    'xxxxx, xxxx (99)'
    """
    return "".join(map(_outline_of, text[:OUTLINE]))


def _outline_of(character: str) -> str:
    if character.isnumeric():
        return "9"
    if character.isalpha() or unicodedata.category(character)[0] == "M":
        return "x"
    return character if character.isprintable() else " "


def _outlined(original: bytes) -> bytes:
    """Length, digest and outline of input that is no JSON object."""
    digest = hashlib.sha256(original).hexdigest()
    return f"[no JSON object: {len(original)} bytes, sha256 {digest}] {_outline(original.decode('utf-8', 'replace'))}".encode()


def _is_outlined(original: bytes) -> bool:
    """Whether this is such an outline already."""
    text = original.decode("utf-8", "replace")
    begin = _OUTLINED.match(text)
    return begin is not None and _outline(text[begin.end() :]) == text[begin.end() :]


def _mask(match: re.Match[bytes]) -> bytes:
    """Mask every card number in a run of digits, which may also contain a date of expiry or another card."""
    text = match[0]
    places = [at for at, character in enumerate(text) if character in _DIGITS]
    valid = _check([text[at] - 48 for at in places])
    starts = [k for k, at in enumerate(places) if k == 0 or text[at - 1] not in _DIGITS]
    ends = {*starts[1:], len(places)}
    out = bytearray(text)
    for start in starts:
        for end in range(start + 13, min(start + 20, len(places) + 1)):
            if end in ends and valid(start, end):
                for at in places[start : end - 4]:
                    out[at] = ord("*")
    return bytes(out)


def _check(digits: list[int]) -> Callable[[int, int], bool]:
    """Whether the last digit of digits[start:end] is the check digit of the others (ISO/IEC 7812-1, annex B).

    Every second digit from the end counts double, so running totals for both ways of counting answer at once.
    """
    totals = ([0], [0])
    for place, digit in enumerate(digits):
        doubled = digit * 2 - 9 if digit > 4 else digit * 2
        totals[place % 2].append(totals[place % 2][-1] + digit)
        totals[1 - place % 2].append(totals[1 - place % 2][-1] + doubled)

    def valid(start: int, end: int) -> bool:
        total = totals[(end - 1) % 2]
        return (total[end] - total[start]) % 10 == 0

    return valid
