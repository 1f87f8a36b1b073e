"""Live counts of trials: what a list of everything would say, in memory that does not grow."""

from types import SimpleNamespace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.clock import SECOND_US
from penstock.codes import text_codes
from penstock.decision import NO_ACTION
from penstock.engine.trials import Trials
from penstock.engine.trying import Tried
from penstock.rules import Share


def batch(champion, candidate):
    would = np.array([champion, candidate], np.uint8).T
    return SimpleNamespace(tried=Tried(("large_v2",), would), latency_ns={"models": 0})


ACTIONS = st.sampled_from([0, 1, 2, 3, NO_ACTION])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.lists(st.tuples(st.integers(0, 3), ACTIONS), min_size=1, max_size=5)), max_size=40
    ),
    st.integers(1, 500),
)
def test_a_window_counts_what_a_list_of_all_events_says(steps, window_s):
    now = [0]
    trials = Trials(lambda: now[0])
    trials.use([("large_v2", "a")])
    events = []
    for wait_s, pairs in steps:
        now[0] += wait_s * SECOND_US
        trials.add(batch([a for a, _ in pairs], [b for _, b in pairs]))
        events += [(now[0], a, b) for a, b in pairs]
    seen = trials.seen("large_v2", window_s * SECOND_US)
    newest = [(a, b) for at, a, b in events if at > now[0] - window_s * SECOND_US]
    both = [(a, b) for a, b in newest if b != NO_ACTION]
    assert (seen.events, seen.errors) == (len(both), len(newest) - len(both))
    assert seen.champion == tuple(sum(a == action for a, _ in both) for action in range(4))
    assert seen.candidate == tuple(sum(b == action for _, b in both) for action in range(4))


def test_counts_of_a_day_take_as_much_memory_as_those_of_an_hour():
    now = [0]
    trials = Trials(lambda: now[0])
    trials.use([("large_v2", "a")])
    for _ in range(2 * 86_400 // 20):
        now[0] += 20 * SECOND_US
        trials.add(batch([0], [3]))
    counts = trials._counts["large_v2"]
    assert len(counts._seconds) + len(counts._minutes) <= 601 + 1440
    assert trials.seen("large_v2", 86_400 * SECOND_US).events > 4000


def test_another_candidate_of_the_same_name_begins_anew_and_the_same_one_goes_on():
    trials = Trials(lambda: 1)
    trials.use([("large_v2", "a")])
    trials.add(batch([0], [3]))
    trials.use([("large_v2", "a")])
    assert trials.seen("large_v2", 10**9).events == 1
    trials.use([("large_v2", "b")])
    assert trials.seen("large_v2", 10**9).events == 0
    trials.use([])
    assert (trials.names, trials.seen("large_v2", 10**9).events) == ([], 0)


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=40, unique=True), st.floats(0, 100), st.floats(0, 100))
def test_a_key_in_a_share_stays_in_it_when_it_grows_whatever_else_is_asked(keys, first, second):
    less, more = sorted((first, second))
    codes = text_codes(keys)
    small, large = Share("k", 0, less, "models of shop"), Share("k", 0, more, "models of shop")
    held = small.holds(codes)
    assert not (held & ~large.holds(codes)).any()
    alone = [bool(small.holds(text_codes([key]))[0]) for key in keys]
    assert held.tolist() == alone
    assert np.array_equal(held[::-1], small.holds(codes[::-1].copy()))
