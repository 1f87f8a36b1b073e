"""LIKE and ILIKE: what they match, and that their time grows with the text and the pattern, not with their product or worse."""

# ruff: noqa: RUF001  letters that look alike are what is tested

import re
import sys
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.expressions.texts import ilike, like

LETTERS = "ab%_\n.é字\U0001f600\ud800"
TEXTS = st.text(st.sampled_from(LETTERS.replace("%", "").replace("_", "") + "%_"), max_size=40)
PATTERNS = st.text(st.sampled_from("aab%%__\n.é字\U0001f600\ud800"), max_size=12)
CASED = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).lower() != chr(code) or chr(code).upper() != chr(code)]
"""Every character that has another case."""


def matches(text, pattern, equal):
    """A table of which prefixes of the text fit which prefixes of the pattern."""
    fits = [True] + [False] * len(text)
    for sign in pattern:
        if sign == "%":
            fits = [any(fits[: end + 1]) for end in range(len(text) + 1)]
        else:
            fits = [False, *(fits[i] and (sign == "_" or equal(sign, text[i])) for i in range(len(text)))]
    return fits[-1]


@given(TEXTS, PATTERNS)
@example("aab", "%aab")
@example("ab", "ab%b")
@example("aXbXb", "a%_b")
@example("", "%%")
def test_like_is_what_a_naive_matcher_says(text, pattern):
    assert like(text, pattern) == matches(text, pattern, str.__eq__)


@given(st.text(st.sampled_from("aAsSſkKıiİσςΣßẞµμ字"), max_size=30), st.text(st.sampled_from("aSskKİıΣσµ%%__字"), max_size=10))
def test_ilike_is_what_a_naive_matcher_says(text, pattern):
    def equal(one, other):
        return re.fullmatch(re.escape(one), other, re.IGNORECASE) is not None

    assert ilike(text, pattern) == matches(text, pattern, equal)


@given(st.integers(1, 300), st.text("ab", max_size=600), st.data())
def test_a_long_part_with_gaps_is_found_where_a_naive_search_finds_it(length, before, data):
    part = "".join(data.draw(st.lists(st.sampled_from("aab_"), min_size=length, max_size=length)))
    text = before + part.replace("_", "x") + data.draw(st.text("ab", max_size=50))
    assert like(text, f"%{part}%")
    assert like(text, f"%b{part}%") == matches(text, f"%b{part}%", str.__eq__)


def test_cases_are_those_of_python_for_every_character():
    everything = "".join(CASED)
    for character in CASED:
        same = re.findall(re.escape(character), everything, re.IGNORECASE)
        assert [other for other in CASED if ilike(other, character)] == same if character in "sSkKiIßΣ" else True
        assert all(ilike(other, character) and ilike(character, other) for other in same)


def test_characters_without_another_case_fit_themselves_alone():
    assert ilike("字", "字")
    assert not ilike("字", "宇")
    assert ilike("ÉCOLE", "école")
    assert not ilike("ecole", "école")
    assert not ilike("e\u0301cole", "école")  # combining marks are characters


MEGABYTE = 1 << 20
HOSTILE = [
    ("%crypto%exchange%", "crypto "),
    ("%crypto%" * 6 + "exchange%", "crypto "),
    ("%a" * 12 + "%b%", "a"),
    ("%a_a_a%" * 6 + "b%", "a"),
    ("%" + "a" * 500 + "_b%", "a"),
    ("%" + "a_" * 300 + "b%", "a"),
    ("%" + "a" * 1000 + "b" + "a" * 1000 + "%", "a"),
    ("%" + "_" * 1000 + "b%", "a"),
    ("%a_" * 600 + "%b%", "a"),
    ("%_é%É_" * 100 + "%b%", "É"),
]


def seconds(match, text, pattern):
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        match(text, pattern)
        best = min(best, time.process_time() - started)
    return best


@pytest.mark.parametrize("match", [like, ilike])
@pytest.mark.parametrize(("pattern", "unit"), HOSTILE)
def test_a_hostile_text_of_a_megabyte_takes_about_sixteen_times_a_sixteenth(match, pattern, unit):
    text = (unit * MEGABYTE)[:MEGABYTE]
    sixteenth, whole = (seconds(match, part, pattern) for part in (text[: MEGABYTE // 16], text))
    assert not match(text, pattern)
    assert whole < 64 * max(sixteenth, 0.0005)
