"""Numbers are written as the shortest decimal that reads back as the same float64; times as ISO 8601."""

import json
import math
from itertools import pairwise

import numba as nb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.clock import iso
from penstock.decision import digits


@nb.njit
def _numbers(x, bits, out, ends):
    at = 0
    for i in range(len(x)):
        at = digits.write_number(x[i], bits[i], out, at)
        ends[i] = at


@nb.njit
def _times(x, out, ends):
    at = 0
    for i in range(len(x)):
        at = digits.write_time_value(x[i], out, at)
        ends[i] = at


def _texts(x, fill):
    out, ends = np.full(digits.LONGEST * len(x) + digits.SLACK, ord("#"), np.uint8), np.empty(len(x), np.int64)
    fill(x, out, ends)
    data, stops = out.tobytes().decode(), [0, *ends.tolist()]
    return [data[a:b] for a, b in pairwise(stops)]


def numbers(values):
    x = np.array(values, np.float64)
    return _texts(x, lambda x, out, ends: _numbers(x, x.view(np.uint64), out, ends))


def times(values):
    return _texts(np.array(values, np.float64), _times)


def python_form(value):
    """What Python writes, which is the shortest too; without a fraction, plus sign or zeros that say nothing."""
    mantissa, e, exponent = repr(value).partition("e")
    if mantissa.endswith(".0") and value != 0:
        mantissa = mantissa[:-2]
    elif mantissa == "0.0":
        mantissa = "0"
    return mantissa + (e and f"e{int(exponent)}")


@settings(deadline=None)  # the first example compiles
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_any_number_is_written_as_python_writes_it(values):
    assert numbers(values) == [python_form(value) for value in values]


@settings(deadline=None)  # the first example compiles
@given(st.lists(st.integers(-(10**15), 10**15), min_size=1), st.integers(0, 9))
def test_decimals_keep_their_digits(units, places):
    values = [unit / 10**places for unit in units]
    assert numbers(values) == [python_form(value) for value in values]


def test_random_bit_patterns_are_written_as_python_writes_them():
    bits = np.random.default_rng(7).integers(0, 2**64, 20_000, dtype=np.uint64)
    x = bits.view(np.float64)[np.isfinite(bits.view(np.float64))]
    assert numbers(x) == [python_form(value) for value in x.tolist()]


def test_powers_of_two_and_ten_and_their_neighbours_are_written_as_python_writes_them():
    edges = np.concatenate([2.0 ** np.arange(-1074, 1024), [float(f"1e{k}") for k in range(-323, 309)]])
    x = np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges, np.inf)])
    x = x[np.isfinite(x)]
    assert numbers(x) == [python_form(value) for value in x.tolist()]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (-3.0, "-3"),
        (0.0, "0"),
        (-0.0, "-0.0"),
        (25.5, "25.5"),
        (0.1, "0.1"),
        (1 / 3, "0.3333333333333333"),
        (1e-4, "0.0001"),
        (1.5e-5, "1.5e-5"),
        (999999999999999.0, "999999999999999"),
        (1e15, "1000000000000000"),
        (1e16, "1e16"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e308"),
        (math.nan, "null"),
        (math.inf, "null"),
        (-math.inf, "null"),
    ],
)
def test_numbers_in_their_form(value, text):
    assert numbers([value]) == [text]
    assert text == "null" or math.copysign(1, json.loads(text)) == math.copysign(1, value)


@settings(deadline=None)  # the first example compiles
@given(st.lists(st.integers(-62_135_596_800_000_000, 9_000_000_000_000_000), min_size=1))
def test_times_are_written_as_the_clock_writes_them(instants):
    whole = [int(float(instant)) for instant in instants]  # float64 holds every microsecond of 1684 to 2255
    assert times(instants) == [f'"{iso(instant)}"' for instant in whole]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 253_402_300_800_000_000.0, -62_135_596_800_000_008.0, 1e300])
def test_what_is_no_time_of_the_calendar_is_null(value):
    assert times([value]) == ["null"]


def test_the_last_microsecond_that_is_held_exactly():
    assert times([253_402_300_799_000_000.0]) == ['"9999-12-31T23:59:59Z"']
