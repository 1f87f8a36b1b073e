"""Live counts of trials: what a list of everything would say, in memory that does not grow."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.clock import SECOND_US
from penstock.codes import text_codes
from penstock.decision import NO_ACTION
from penstock.engine.statistics.trials import TrialStatistics
from penstock.engine.trials.shadow import Trial
from penstock.ledger import ArchiveField
from penstock.messages import Record
from penstock.rules import KeyShare

LARGE = Trial("large_v2", "a")
NAMES = {"layout": {"would": [ArchiveField("champion_decision"), ArchiveField("would_large_v2")]}}


def record(at_us, champion, candidate, seq=0, rules_ms=0.2, spent_ms=0.1):
    """Decisions under a trial, as the ledger keeps them."""
    n = len(champion)
    would = np.array([champion, candidate], np.uint8).T
    meta = {"decided_us": at_us, "layout": "layout", "latency_ms": {"rules": rules_ms}, "trial_ms": {"large_v2": spent_ms}}
    times = np.full(n, at_us)
    return Record("decisions", "shop", seq, ["t"] * n, np.zeros(n, np.int64), times, times, {"would": would}, meta)


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
    trials = TrialStatistics(lambda: now[0])
    trials.use([LARGE])
    events = []
    for wait_s, pairs in steps:
        now[0] += wait_s * SECOND_US
        trials.add(record(now[0], [a for a, _ in pairs], [b for _, b in pairs]))
        events += [(now[0], a, b) for a, b in pairs]
    figures = trials.figures("large_v2", window_s * SECOND_US)
    newest = [(a, b) for at, a, b in events if at > now[0] - window_s * SECOND_US]
    both = [(a, b) for a, b in newest if b != NO_ACTION]
    assert (figures.events, figures.errors) == (len(both), len(newest) - len(both))
    assert figures.champion == tuple(sum(a == action for a, _ in both) for action in range(4))
    assert figures.candidate == tuple(sum(b == action for _, b in both) for action in range(4))


def test_counts_of_a_day_take_as_much_memory_as_those_of_an_hour():
    now = [0]
    trials = TrialStatistics(lambda: now[0])
    trials.use([LARGE])
    for _ in range(2 * 86_400 // 20):
        now[0] += 20 * SECOND_US
        trials.add(record(now[0], [0], [3]))
    counts = trials.counts["large_v2"].panes
    assert len(counts.seconds) + len(counts.minutes) <= 601 + 1440
    assert trials.figures("large_v2", 86_400 * SECOND_US).events > 4000


def test_another_candidate_of_the_same_name_begins_anew_and_the_same_one_goes_on():
    trials = TrialStatistics(lambda: 1)
    trials.use([LARGE])
    trials.add(record(1, [0], [3]))
    trials.use([LARGE])
    assert trials.figures("large_v2", 10**9).events == 1
    trials.use([Trial("large_v2", "b")])
    assert trials.figures("large_v2", 10**9).events == 0
    trials.use([])
    assert (trials.names, trials.figures("large_v2", 10**9).events) == ([], 0)


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=40, unique=True), st.floats(0, 100), st.floats(0, 100))
def test_a_key_in_a_share_stays_in_it_when_it_grows_whatever_else_is_asked(keys, first, second):
    less, more = sorted((first, second))
    codes = text_codes(keys)
    small, large = KeyShare("k", 0, less, "models of shop"), KeyShare("k", 0, more, "models of shop")
    held = small.holds(codes)
    assert not (held & ~large.holds(codes)).any()
    alone = [bool(small.holds(text_codes([key]))[0]) for key in keys]
    assert held.tolist() == alone
    assert np.array_equal(held[::-1], small.holds(codes[::-1].copy()))


# ---------------------------------------------------------------- after a restart


class Recorded:
    """A ledger of these records."""

    def __init__(self, records):
        self._records = records

    def layouts(self):
        return NAMES | {"other": {}}

    def recent(self, _detector, *, before):
        for each in reversed(self._records):
            for row in reversed(range(len(each))):
                if each.first_seq + row < before:
                    yield each, row


def numbered(steps):
    """Records at these waits after one another, with these pairs of decisions."""
    now, seq, records = 10**15, 0, []
    for wait_s, pairs in steps:
        now += wait_s * SECOND_US
        records.append(record(now, [a for a, _ in pairs], [b for _, b in pairs], seq, 0.3, 0.05))
        seq += len(pairs)
    return records, now


def counted(records, now, window_us, recall=()):
    """What is seen of a window where these are counted live, after those that are recalled."""
    trials = TrialStatistics(lambda: now)
    trials.use([LARGE])
    for each in records:
        trials.add(each)
    if recall:
        assert trials.recall("large_v2", window_us, Recorded([*recall, *records]), "shop")
    return trials.figures("large_v2", window_us), trials.form()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 200), st.lists(st.tuples(st.integers(0, 3), ACTIONS), min_size=1, max_size=5)),
        min_size=2,
        max_size=40,
    ),
    st.integers(1, 500),
    st.data(),
)
def test_counts_after_a_restart_are_those_of_a_process_that_never_ended(steps, window_s, data):
    records, now = numbered(steps)
    cut = data.draw(st.integers(1, len(records) - 1))
    usual, _ = counted(records, now, window_s * SECOND_US)
    again, _ = counted(records[cut:], now, window_s * SECOND_US, recall=records[:cut])
    assert again == usual


def test_all_that_was_recalled_shows_since_when():
    records, now = numbered([(1, [(0, 3)]), (2, [(0, 0), (3, 3)]), (3, [(0, 0)])])
    _, [form] = counted(records[2:], now, 100 * SECOND_US, recall=records[:2])
    _, [whole] = counted(records, now, 100 * SECOND_US)
    assert {**form, "since": None} == {**whole, "since": None}
    assert form["since"] < whole["since"]


def test_nothing_of_another_trial_of_the_same_name_is_recalled():
    records, now = numbered([(1, [(0, 3)])] * 6)
    records[1].meta["layout"] = "other"  # it was paused here
    figures, _ = counted(records[4:], now, 100 * SECOND_US, recall=records[:4])
    assert figures.events == 4


def test_nothing_is_recalled_before_the_first_decision_and_nothing_twice():
    records, now = numbered([(1, [(0, 3)])] * 4)
    trials = TrialStatistics(lambda: now)
    trials.use([LARGE])
    assert not trials.recall("large_v2", 100 * SECOND_US, Recorded(records), "shop")
    trials.add(records[3])
    for _ in range(2):
        assert trials.recall("large_v2", 100 * SECOND_US, Recorded(records), "shop")
    assert trials.figures("large_v2", 100 * SECOND_US).events == 4
    assert trials.recall("nothing_v1", 100 * SECOND_US, Recorded(records), "shop")
