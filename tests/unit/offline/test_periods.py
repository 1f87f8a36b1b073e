"""The split by time: gaps as long as the label delay, and nothing on both sides of one."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.clock import to_us
from penstock.errors import DataError
from penstock.offline.periods import CountSplit, Periods

DAY = 86_400_000_000
START = datetime(2026, 1, 1, tzinfo=UTC)


def hours(days):
    return np.arange(to_us(START), to_us(START) + days * DAY, DAY // 24)


def day(n):
    return START + timedelta(days=n)


def test_the_parts_are_those_that_were_asked_for():
    times = hours(60)
    periods = Periods.of(times, 7 * DAY, train_from=day(1), valid_from=day(30), test_from=day(45), test_to=day(50))
    spans = {name: [(times[mask][at] - times[0]) / DAY for at in (0, -1)] for name, mask in periods.masks(times).items()}
    assert spans == {"train": [1, 23 - 1 / 24], "valid": [30, 38 - 1 / 24], "test": [45, 50]}


@settings(deadline=None)
@given(days=st.integers(20, 400), delay=st.integers(0, 9))
def test_whatever_is_derived_leaves_the_label_delay_out_twice_and_uses_the_rest(days, delay):
    times = hours(days)
    periods = Periods.of(times, delay * DAY)
    parts = [times[mask] for mask in periods.masks(times).values()]
    assert all(len(part) for part in parts)
    assert parts[0][0] == times[0]
    assert parts[2][-1] == times[-1]
    for early, late in pairwise(parts):
        assert late[0] - early[-1] >= delay * DAY
    assert sum(map(len, parts)) >= len(times) - 2 * (delay * 24 + 2)


def test_too_short_a_recording_says_how_long_it_is_and_what_to_do():
    with pytest.raises(DataError, match=r"the events span 10\.0 days, but the label delay of 7\.0 days is left out twice"):
        Periods.of(hours(10), 7 * DAY)


def test_instants_out_of_order_are_named():
    with pytest.raises(DataError, match=r"valid-from \(2026-01-31T00:00:00Z\) must lie before test-from less the label delay"):
        Periods.of(hours(60), 7 * DAY, valid_from=day(30), test_from=day(33))


def test_periods_in_the_wrong_order_are_said_to_be_so_without_the_delay():
    with pytest.raises(DataError, match=r"^train-from \(\S+\) must lie before valid-from \(\S+\)$"):
        Periods.of(hours(60), 7 * DAY, train_from=day(20), valid_from=day(10))
    with pytest.raises(DataError, match=r"^valid-from \(\S+\) must lie before test-from \(\S+\)$"):
        Periods.of(hours(60), 7 * DAY, valid_from=day(40), test_from=day(30))


def test_without_events_there_is_nothing_to_split():
    with pytest.raises(DataError, match="no events"):
        Periods.of(np.array([], np.int64), DAY)


def test_folds_are_equally_long_each_later_by_a_test_and_end_with_the_data():
    times = hours(200)
    folds = Periods.folds(times, 7 * DAY, 4)
    assert len({fold.valid_from - fold.train_from for fold in folds}) == 1
    assert all(later.test_from == earlier.test_to + 1 for earlier, later in pairwise(folds))
    assert (folds[0].train_from, folds[-1].test_to) == (times[0], times[-1])


def test_no_fold_sees_a_label_before_it_was_known():
    for fold in Periods.folds(hours(200), 7 * DAY, 4):
        times = hours(200)
        parts = fold.masks(times)
        assert times[parts["train"]].max() + 7 * DAY <= fold.valid_from <= times[parts["valid"]].min()
        assert times[parts["valid"]].max() + 7 * DAY <= fold.test_from <= times[parts["test"]].min()


def test_too_many_folds_for_the_time_recorded_are_refused():
    with pytest.raises(DataError, match=r"every fold leaves out the label delay of 7\.0 days twice"):
        Periods.folds(hours(13), 7 * DAY, 3)


def test_a_split_by_count_takes_the_first_events_and_those_that_follow():
    times = hours(10)[::-1].copy()
    split = CountSplit.of(times, (200, 20), folds=4)
    parts = split.masks(times)
    assert {name: int(mask.sum()) for name, mask in parts.items()} == {"train": 200, "valid": 0, "test": 20}
    assert times[parts["train"]].max() < times[parts["test"]].min()
    assert split.lines()[1] == "valid  4 folds of the training, in time order"


def test_a_split_by_count_needs_so_many_events():
    with pytest.raises(DataError, match="240 events cannot be divided into 230 to train on and 20 held out"):
        CountSplit.of(hours(10), (230, 20), folds=4)
