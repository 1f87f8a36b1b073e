"""LIKE without backtracking, in time linear in the length of the text.

The parts between % are searched from left to right, each at the first place where it fits: a later place would only leave
less text to the parts after it. A part without _ is searched by `str.find`, whose worst case is linear in long texts (and at
most 100 comparisons a character in short ones). For a part with _, one bit per place says whether the part can stand there
(Shift-And: Baeza-Yates and Gonnet, 1992), so that it costs its length / 64 operations for a character of the text.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

_TRIES = 8
_FIRST_PLACES = 256
_LAST_CASED = 0x1FFFF
"""No character beyond this one has another case."""


def matcher(pattern: str) -> Callable[[str], bool]:
    """The function that matches a whole text against the pattern.

    >>> matcher("%crypto%_x")("the crypto index"), matcher("a_c")("ac")
    (True, False)
    """
    first, *rest = pattern.split("%")
    last = rest.pop() if rest else None
    inner = [part for part in rest if part]
    shortest = len(pattern) - pattern.count("%")
    if "_" in pattern:
        return _with_gaps(_Part(first), list(map(_Part, inner)), None if last is None else _Part(last), shortest)
    return first.__eq__ if last is None else _plain(first, inner, last, shortest)


def _plain(first: str, inner: Sequence[str], last: str, shortest: int) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        if len(text) < shortest or not (text.startswith(first) and text.endswith(last)):
            return False
        at, end = len(first), len(text) - len(last)
        for part in inner:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return fits


def _with_gaps(first: "_Part", inner: "Sequence[_Part]", last: "_Part | None", shortest: int) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        if last is None:
            return len(text) == shortest and first.stands(text, 0)
        at, end = first.length, len(text) - last.length
        if len(text) < shortest or not (first.stands(text, 0) and last.stands(text, end)):
            return False
        for part in inner:
            found = part.find(text, at, end)
            if found < 0:
                return False
            at = found + part.length
        return True

    return fits


class _Part:
    """The pattern between two %: texts at offsets, and any one character between them."""

    __slots__ = ("_pieces", "_text", "length")

    def __init__(self, text: str) -> None:
        self._text, self.length = text, len(text)
        self._pieces: list[tuple[str, int]] = []
        offset = 0
        for piece in text.split("_"):
            if piece:
                self._pieces.append((piece, offset))
            offset += len(piece) + 1

    def stands(self, text: str, at: int) -> bool:
        """Whether it fits at this place, where the text is long enough."""
        return all(text.startswith(piece, at + offset) for piece, offset in self._pieces)

    def find(self, text: str, start: int, end: int) -> int:
        """The first place in text[start:end] where it fits, or -1."""
        if not self._pieces:
            return start if start + self.length <= end else -1
        piece, offset = self._pieces[0]
        if len(piece) == self.length:
            return text.find(piece, start, end)
        last = end - self.length
        for _ in range(_TRIES):  # nearly always enough
            start = text.find(piece, start + offset, last + offset + len(piece)) - offset
            if start < 0 or self.stands(text, start):
                return max(start, -1)
            start += 1
        places = _FIRST_PLACES
        while start <= last:
            found = self._find_among(text, start, min(places, last - start + 1))
            if found >= 0:
                return start + found
            start += places
            places *= 2
        return -1

    def _find_among(self, text: str, start: int, places: int) -> int:
        """The first of these places where it fits, counted from `start`, or -1."""
        characters = np.frombuffer(text[start : start + places + self.length - 1].encode("utf-32-le", "surrogatepass"), "<u4")
        where: dict[str, int] = {}
        fitting = (1 << places) - 1
        for offset, character in enumerate(self._text):
            if character == "_":
                continue
            if character not in where:
                bits = np.packbits(characters == ord(character), bitorder="little")
                where[character] = int.from_bytes(bits.tobytes(), "little")
            fitting &= where[character] >> offset
            if not fitting:
                return -1
        return (fitting & -fitting).bit_length() - 1


def without_case(text: str) -> str:
    """The text with one letter for all cases of a letter, character by character: what `re.IGNORECASE` takes for equal.

    >>> without_case("\u00c9COLE"), without_case("Ma\u00df")
    ('\u00e9cole', 'ma\u00df')
    """
    return text.lower() if text.isascii() else text.translate(_letters())


@cache
def _letters() -> dict[int, str]:
    """The letter that stands for each that has other cases."""
    table = {code: _letter(chr(code)) for code in range(_LAST_CASED + 1)}
    return {code: letter for code, letter in table.items() if letter != chr(code)}


def _letter(character: str) -> str:
    lower = character.lower()[:1]  # of a capital I with a dot, the i
    upper = lower.upper()
    return upper.lower() if len(upper) == 1 else _TWINS.get(lower, lower)


_TWINS = {"\ufb05": "\ufb06", "\u1fd3": "\u0390", "\u1fe3": "\u03b0"}
"""Small letters whose capitals are the same several characters."""
