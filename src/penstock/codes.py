"""Text as 64-bit codes: how keys, distinct values and compared texts travel through flat arrays.

A code is SipHash-1-3 of the UTF-8 bytes under a fixed key, so it is the same on every machine and in every run, and
state needs no table of strings. 0 is kept for null. Two different texts share a code with probability 2^-64 per
pair: among 10 million keys the chance that any two meet is about 3 in a million.

Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), with c=1, d=3 as in CPython and Rust.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from penstock.jit import njit

NULL = 0
"""The code of a missing text."""

_K0 = np.uint64(0x50656E73746F636B)
_K1 = np.uint64(0x67617465666C6F77)
_V0, _V1 = _K0 ^ np.uint64(0x736F6D6570736575), _K1 ^ np.uint64(0x646F72616E646F6D)
_V2, _V3 = _K0 ^ np.uint64(0x6C7967656E657261), _K1 ^ np.uint64(0x7465646279746573)

_WORD = (1 << 64) - 1
_FEW = 2_000


@njit(cache=False, inline="always")
def _rotl(x, b):
    return (x << np.uint64(b)) | (x >> np.uint64(64 - b))


@njit(cache=False, inline="always")
def _round(v0, v1, v2, v3):
    v0 += v1
    v1 = _rotl(v1, 13) ^ v0
    v0 = _rotl(v0, 32)
    v2 += v3
    v3 = _rotl(v3, 16) ^ v2
    v0 += v3
    v3 = _rotl(v3, 21) ^ v0
    v2 += v1
    v1 = _rotl(v1, 17) ^ v2
    v2 = _rotl(v2, 32)
    return v0, v1, v2, v3


@njit(cache=False, inline="always")
def _finish(v0, v1, v2, v3):
    v2 ^= np.uint64(0xFF)
    for _ in range(3):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    code = np.int64(v0 ^ v1 ^ v2 ^ v3)
    return code if code != 0 else np.int64(1)


@njit
def siphash(data, start, stop):
    """SipHash-1-3 of `data[start:stop]` (uint8) as int64, never 0."""
    v0, v1, v2, v3 = _V0, _V1, _V2, _V3
    length = stop - start
    whole = start + (length // 8) * 8
    for at in range(start, whole, 8):
        word = np.uint64(0)
        for k in range(8):
            word |= np.uint64(data[at + k]) << np.uint64(8 * k)
        v3 ^= word
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        v0 ^= word
    word = np.uint64(length & 0xFF) << np.uint64(56)
    for k in range(stop - whole):
        word |= np.uint64(data[whole + k]) << np.uint64(8 * k)
    v3 ^= word
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    v0 ^= word
    return _finish(v0, v1, v2, v3)


@njit
def _codes_between(data, offsets, valid, out):
    for i in range(out.shape[0]):
        out[i] = siphash(data, offsets[i], offsets[i + 1]) if valid[i] else 0


@njit(_nrt=False)
def word_code(word):
    """SipHash-1-3 of the eight bytes of one number, as `siphash` of them."""
    v0, v1, v2, v3 = _V0, _V1, _V2, _V3
    for message in (np.uint64(word), np.uint64(8 << 56)):
        v3 ^= message
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        v0 ^= message
    return _finish(v0, v1, v2, v3)


@njit
def _codes_of_words(words, out):
    for i in range(out.shape[0]):
        out[i] = word_code(words[i])


def text_codes(texts: Sequence[str | None]) -> NDArray[np.int64]:
    """The code of every text, 0 where it is None.

    >>> text_codes(["a", None, "a"])[1].item()
    0
    """
    n = len(texts)
    out, offsets = np.empty(n, np.int64), np.zeros(n + 1, np.int64)
    valid = np.ones(n, np.bool_)
    present = texts
    if None in texts:
        valid = np.fromiter((text is not None for text in texts), np.bool_, n)
        present = ["" if text is None else text for text in texts]
    joined = "".join(present)  # type: ignore[arg-type]  # no None is left
    data = joined.encode()
    lengths = map(len, present) if len(data) == len(joined) else map(len, map(str.encode, present))  # type: ignore[arg-type]
    np.cumsum(np.fromiter(lengths, np.int64, n), out=offsets[1:])
    _codes_between(np.frombuffer(data, np.uint8), offsets, valid, out)
    return out


def buffer_codes(data: NDArray[np.uint8], offsets: NDArray[np.int64], valid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The codes of texts that lie end to end in an Arrow buffer: text i is `data[offsets[i]:offsets[i + 1]]`."""
    out = np.empty(offsets.shape[0] - 1, np.int64)
    _codes_between(data, offsets, valid, out)
    return out


def number_codes(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The codes of numbers that serve as keys, 0 where NaN; -0.0 and 0.0 are one key."""
    out = np.empty(values.shape[0], np.int64)
    _codes_of_words(np.ascontiguousarray(values + 0.0).view(np.int64), out)
    out[np.isnan(values)] = NULL
    return out


def text_code(text: str) -> int:
    """The code of one text, in plain Python: as fast as a call of `text_codes`, and without numba."""
    data = text.encode()
    padded = data + bytes(-(len(data) + 1) % 8) + bytes([len(data) & 0xFF])
    v0, v1, v2, v3 = int(_V0), int(_V1), int(_V2), int(_V3)
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        v0, v1, v2, v3 = _plain_rounds(1, v0, v1, v2, v3 ^ word)
        v0 ^= word
    v0, v1, v2, v3 = _plain_rounds(3, v0, v1, v2 ^ 0xFF, v3)
    code = v0 ^ v1 ^ v2 ^ v3
    return (code - (1 << 64) if code >> 63 else code) or 1


def declared_codes(texts: Sequence[str | None]) -> NDArray[np.int64]:
    """The codes of texts that a detector declares, as `text_codes`; of few without numba, so that its detector is read soon."""
    if len(texts) > _FEW:
        return text_codes(texts)
    return np.array([NULL if text is None else text_code(text) for text in texts], np.int64)


def _plain_rounds(count: int, v0: int, v1: int, v2: int, v3: int) -> tuple[int, int, int, int]:
    for _ in range(count):
        v0, v2 = (v0 + v1) & _WORD, (v2 + v3) & _WORD
        v1, v3 = (v1 << 13 | v1 >> 51) & _WORD ^ v0, (v3 << 16 | v3 >> 48) & _WORD ^ v2
        v0 = (v0 << 32 | v0 >> 32) & _WORD
        v2, v0 = (v2 + v1) & _WORD, (v0 + v3) & _WORD
        v1, v3 = (v1 << 17 | v1 >> 47) & _WORD ^ v2, (v3 << 21 | v3 >> 43) & _WORD ^ v0
        v2 = (v2 << 32 | v2 >> 32) & _WORD
    return v0, v1, v2, v3
