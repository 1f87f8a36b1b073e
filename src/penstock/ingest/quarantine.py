"""What is kept of a refused event: its bytes, without what nobody may keep."""

import re
from collections.abc import Callable, Collection

import msgspec

LONGEST_KEPT = 4096
"""Bytes kept of a refused event."""

_DIGITS = b"0123456789"
_RUN = re.compile(rb"[0-9](?:[ -]?[0-9]){12,}")
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
    kept = _RUN.sub(_mask, kept[: LONGEST_KEPT + 64])
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
    """Mask every card number in a run of digits: it may stand beside a date of expiry or another card."""
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
