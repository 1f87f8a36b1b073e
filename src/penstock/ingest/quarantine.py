"""What is kept of a refused event: its bytes, without what nobody may keep."""

import re
from collections.abc import Collection

import msgspec

LONGEST_KEPT = 4096
"""Bytes kept of a refused event."""

_CARD = re.compile(rb"(?<![0-9])[0-9](?:[ -]?[0-9]){12,18}(?![0-9])")
_CUT = b"...[cut]"
_HIDDEN = "[personal]"


def masked(original: bytes, personal: Collection[str] = ()) -> bytes:
    """The bytes of a refused event as they may be kept.

    The values of personal fields are hidden where the bytes are JSON. What looks like a card number (13 to 19 digits,
    with spaces or dashes, whose check digit is right) is masked except for its last four digits.

    >>> masked(b'{"card": "4111 1111 1111 1111", "amount": "x"}')
    b'{"card": "**** **** **** 1111", "amount": "x"}'
    """
    kept = _without_personal(original, frozenset(personal)) if personal else original
    kept = _CARD.sub(_mask, kept[: LONGEST_KEPT + 64])
    return kept if len(kept) <= LONGEST_KEPT else kept[: LONGEST_KEPT - len(_CUT)] + _CUT


def _without_personal(original: bytes, personal: frozenset[str]) -> bytes:
    try:
        found = msgspec.json.decode(original)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _blank_personal(original, personal)
    hidden = _hide(found, personal)
    return original if hidden is found else msgspec.json.encode(hidden)


def _hide(found: object, personal: frozenset[str]) -> object:
    if isinstance(found, list):
        items = [_hide(item, personal) for item in found]
        return items if any(new is not old for new, old in zip(items, found, strict=True)) else found
    if isinstance(found, dict):
        named = {
            name: _HIDDEN if name in personal and value is not None else _hide(value, personal) for name, value in found.items()
        }
        return named if any(named[name] is not found[name] for name in found) else found
    return found


def _blank_personal(original: bytes, personal: frozenset[str]) -> bytes:
    """For bytes that are not JSON: the rest of the line after a personal field's name is blanked."""
    for name in personal:
        original = re.sub(rb'("%s"\s*:)[^\r\n]*' % re.escape(name.encode()), rb'\1 "%s"' % _HIDDEN.encode(), original)
    return original


def _mask(match: re.Match[bytes]) -> bytes:
    text = match[0]
    digits = [character - 48 for character in text if 48 <= character <= 57]
    if not _luhn(digits):
        return text
    out, left = bytearray(text), len(digits)
    for at, character in enumerate(text):
        if 48 <= character <= 57:
            out[at] = character if left <= 4 else 42
            left -= 1
    return bytes(out)


def _luhn(digits: list[int]) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0
