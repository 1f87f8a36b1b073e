"""Quantiles, frequencies and sessions through a whole detector."""

import math
from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import Detector, Entity, replay
from penstock.features.kernel.aggregates.frequencies import empty_tally, frequencies
from penstock.features.kernel.aggregates.quantiles import quantile
from penstock.features.kernel.aggregates.sketches import RELATIVE_ERROR, approx_quantile, count_in
from penstock.features.kernel.extremes import ordered
from penstock.features.kernel.words import LOG_BITS, MISSING, RANKS, SKETCH_WORDS, T_LOG, T_WIDTH


class Payment(msgspec.Struct):
    id: str
    at: datetime
    customer_id: str
    city: str | None = None
    amount: float = 0.0


customer = Entity("customer_id")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
CITIES = ["Ghent", "Bruges", "Bruges", None, "Ghent", "Liege"]
AMOUNTS = [5.0, 1.0, 9.0, 3.0, 4.0, 2.0]


def test_each_aggregate_is_what_its_name_says() -> None:
    """Of six payments, ten minutes apart, the last after an hour."""
    features = [
        customer.median("amount", "7d"),
        customer.quantile("amount", "7d", q=0.9),
        customer.mode("city", "7d").named("usual_city"),
        customer.share_of_top("city", "7d", current=False),
        customer.entropy("city", "7d", current=False),
        customer.median("amount", "7d", most=2),
        customer.approx_quantile("amount", "7d", q=0.5),
        customer.session_count("30m"),
        customer.session_sum("amount", "30m"),
        customer.session_duration("30m"),
    ]
    detector = Detector("shop", event=Payment, id="id", time="at", features=features)
    minutes = [0, 10, 20, 30, 40, 100]
    frame = pl.DataFrame(
        {
            "id": [str(n) for n in range(6)],
            "at": [BEGIN + timedelta(minutes=each) for each in minutes],
            "customer_id": ["a"] * 6,
            "city": CITIES,
            "amount": AMOUNTS,
        }
    )
    found = replay(detector, frame, max_refused=1).select(detector.plan.features).to_dicts()
    assert [each["customer_median_amount_7d"] for each in found] == [5.0, 3.0, 5.0, 4.0, 4.0, 3.5]
    assert found[4]["customer_p90_amount_7d"] == pytest.approx(7.4)
    lower = [5.0, 1.0, 5.0, 3.0, 4.0, 3.0]  # the lower one of two in the middle
    assert [each["customer_approx_p50_amount_7d"] for each in found] == pytest.approx(lower, rel=RELATIVE_ERROR)
    assert [each["usual_city"] for each in found] == ["Ghent", "Bruges", "Bruges", "Bruges", "Ghent", "Ghent"]
    assert found[0]["customer_share_of_top_city_7d_before"] is None
    assert [found[n]["customer_share_of_top_city_7d_before"] for n in (3, 5)] == [2 / 3, 0.5]
    assert found[5]["customer_entropy_city_7d_before"] == 1.0
    assert found[5]["customer_median_amount_7d_newest_2"] == 3.0
    assert [each["customer_session_count_30m"] for each in found] == [1.0, 2.0, 3.0, 4.0, 5.0, 1.0]
    assert [each["customer_session_sum_amount_30m"] for each in found] == [5.0, 6.0, 15.0, 18.0, 22.0, 2.0]
    assert [each["customer_session_duration_30m"] for each in found] == [0.0, 600.0, 1200.0, 1800.0, 2400.0, 0.0]


def test_logarithms_from_whole_numbers_are_those_of_the_textbook() -> None:
    """To nine digits; powers of two exactly."""
    found = empty_tally(1000)[:, T_LOG] / 2.0**LOG_BITS
    assert [found[n] for n in (1, 2, 8, 512)] == [0.0, 2.0, 24.0, 4608.0]
    assert all(found[n] == pytest.approx(n * math.log2(n), rel=1e-9) for n in range(3, 1000))


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 1.0])
def test_a_quantile_is_that_of_the_sorted_values_however_few_entries_hold_one(share: float) -> None:
    """In rings of all sizes, from guesses near and far."""
    rng = np.random.default_rng(1)
    guess = np.int64(0)
    for _ in range(300):
        size, first = 1 << int(rng.integers(2, 10)), int(rng.integers(1, 1000))
        entries = int(rng.integers(1, size))
        values = [round(float(rng.normal(50, 9)), 1) if rng.random() < share else None for _ in range(entries)]
        ring = np.zeros((size, 3), np.int64)
        for n, value in enumerate(values):
            held = sum(each is not None for each in values[: n + 1])
            ring[(first + n) & (size - 1)] = [n, MISSING if value is None else np.float64(value).view(np.int64), held]
        low, rank = int(rng.integers(0, entries)), int(rng.integers(0, RANKS + 1))
        at = (np.uint64(3), 1, 2, 0, size - 1, first + low, first + entries)
        found, guess = quantile(ring.reshape(-1), *at, MISSING, 100, rank, guess)
        newest = sorted([value for value in values[low:] if value is not None][-100:])
        expected = np.quantile(newest, rank / RANKS) if newest else math.nan
        assert found == pytest.approx(expected, rel=1e-12, nan_ok=True)


AT = np.uint64(3)
AMOUNT = st.floats(1e-6, 1.7e13) | st.floats(-1.7e13, -1e-6) | st.floats(-1e-7, 1e-7) | st.sampled_from([0.0, 1.0, 2.0, 19.99])


def _row_of(values: list[float]) -> np.ndarray:
    row = np.zeros(3 + SKETCH_WORDS + 1, np.int64)
    for value in values:
        count_in(row, AT, _word(value), 1)
    return row


def _word(value: float) -> np.int64:
    return ordered(value, np.float64(value).view(np.int64))


@given(st.lists(AMOUNT, min_size=1, max_size=60), st.lists(AMOUNT, max_size=20), st.integers(0, RANKS), st.randoms())
def test_an_approximate_quantile_is_within_its_error_whatever_came_and_left(values, passing, rank, random) -> None:
    """In any order; the event's own value counts and leaves nothing behind."""
    row = _row_of(random.sample([*values[1:], *passing], k=len(values) - 1 + len(passing)))
    for value in passing:
        count_in(row, AT, _word(value), -1)
    assert row.tolist() == _row_of(values[1:]).tolist()
    found = approx_quantile(row, AT, _word(values[0]), rank)
    exact = sorted(values)[(len(values) - 1) * rank // RANKS]
    assert abs(found - exact) <= max(abs(exact) * RELATIVE_ERROR, 1e-6)
    assert row.tolist() == _row_of(values[1:]).tolist()


def test_values_out_of_range_count_as_the_nearest_that_is_in_it() -> None:
    """And of no values there is no quantile."""
    row = _row_of([-math.inf, -1e300, 1e-300, 1e20, math.inf])
    found = [approx_quantile(row, AT, MISSING, rank) for rank in range(0, RANKS + 1, RANKS // 4)]
    assert found == pytest.approx([-1.7e13, -1.7e13, 0.0, 1.7e13, 1.7e13], rel=0.02)
    assert math.isnan(approx_quantile(_row_of([]), AT, MISSING, RANKS // 2))


def test_frequencies_are_the_same_whatever_was_counted_before() -> None:
    """More keys than tables, in turns, with windows that grow, shrink and go back, and entries without a value."""
    rng = np.random.default_rng(3)
    most, size = 200, 512
    tally = empty_tally(most).reshape(-1)
    rings = []
    for share in np.linspace(0.3, 1, 24):
        ring, held = np.zeros((size, 3), np.int64), 0
        for n in range(size):
            word = int(rng.zipf(1.3) % 300) if rng.random() < share else MISSING
            held += word != MISSING
            ring[n] = [n, word, held]
        rings.append(ring)
    turns, lows, highs = [0] * len(rings), [1] * len(rings), [100] * len(rings)
    for _ in range(2_000):
        key = int(rng.integers(0, 3 if rng.random() < 0.5 else len(rings)))
        highs[key] += int(rng.integers(-3, 8)) if rng.random() < 0.95 else int(rng.integers(-size, size))
        highs[key] = min(size, max(2, highs[key]))
        lows[key] = min(highs[key], max(1, highs[key] - 150 - int(rng.integers(0, 150))))
        ring, current = rings[key], MISSING if rng.random() < 0.3 else int(rng.integers(0, 300))
        at = (np.uint64(3), 1, 2, 0, size - 1, 1, lows[key], highs[key])
        top, highest, total, spread, turns[key] = frequencies(ring.reshape(-1), *at, current, most, tally, turns[key], True)
        turns[key] *= -1 if rng.random() < 0.1 else 1
        seen = [int(word) for word in ring[lows[key] : highs[key], 1] if word != MISSING]
        seen = [*seen, *([current] if current != MISSING else [])][-most:]
        counted = Counter(seen)
        expected = max(counted.values(), default=0)
        assert (highest, total) == (expected, len(seen))
        assert top == next((word for word in reversed(seen) if counted[word] == expected), MISSING)
        assert spread == sum(int(tally[times * T_WIDTH + T_LOG]) for times in counted.values())
