"""Codes of texts and numbers against SipHash-1-3 written down plainly; they lie in ledgers, so they never change."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.codes import declared_codes, number_codes, text_code, text_codes, word_code

_ALL = (1 << 64) - 1
_K0, _K1 = 0x50656E73746F636B, 0x67617465666C6F77


def _turn(x: int, by: int) -> int:
    return ((x << by) | (x >> (64 - by))) & _ALL


def _round(v: list[int]) -> None:
    for a, b, by, other in ((0, 1, 13, True), (2, 3, 16, False), (0, 3, 21, False), (2, 1, 17, True)):
        v[a] = (v[a] + v[b]) & _ALL
        v[b] = _turn(v[b], by) ^ v[a]
        if other:
            v[a] = _turn(v[a], 32)


def _plain(data: bytes) -> int:
    v = [_K0 ^ 0x736F6D6570736575, _K1 ^ 0x646F72616E646F6D, _K0 ^ 0x6C7967656E657261, _K1 ^ 0x7465646279746573]
    whole = len(data) // 8 * 8
    last = data[whole:] + bytes(7 - len(data) % 8) + bytes([len(data) & 0xFF])
    for at in range(0, whole + 8, 8):
        word = int.from_bytes((data[:whole] + last)[at : at + 8], "little")
        v[3] ^= word
        _round(v)
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(3):
        _round(v)
    code = v[0] ^ v[1] ^ v[2] ^ v[3]
    return (code - (1 << 64) if code >> 63 else code) or 1


@settings(deadline=None)
@given(st.text(max_size=40))
def test_a_text_s_code_is_the_hash_of_its_bytes(text: str) -> None:
    code = _plain(text.encode())
    assert (text_code(text), text_codes([text, None]).tolist(), declared_codes([text, None]).tolist()) == (
        code,
        [code, 0],
        [code, 0],
    )


@settings(deadline=None)
@given(st.integers(-(2**63), 2**63 - 1))
def test_a_word_s_code_is_the_hash_of_its_eight_bytes(word: int) -> None:
    assert word_code(np.int64(word)) == _plain(word.to_bytes(8, "little", signed=True))


def test_many_declared_texts_have_the_codes_of_few() -> None:
    texts = [f"C{n}" for n in range(3_000)]
    assert declared_codes(texts).tolist() == [*declared_codes(texts[:1_500]), *declared_codes(texts[1_500:])]


def test_a_missing_value_has_no_code_and_both_zeros_have_the_same() -> None:
    assert text_codes(["", None]).tolist() == [_plain(b""), 0]
    codes = number_codes(np.array([0.0, -0.0, np.nan, 1.5])).tolist()
    assert codes == [_plain(bytes(8)), _plain(bytes(8)), 0, _plain(np.float64(1.5).tobytes())]
