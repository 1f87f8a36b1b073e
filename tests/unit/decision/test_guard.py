"""Guards hold a candidate against the champion on the same events, and conclude nothing from too few."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import Guard, Policy
from penstock.decision.guard import GUARDS, TrialFigures, guard_of, guards_of
from penstock.errors import DeclarationError

counts = st.tuples(*[st.integers(0, 1000)] * 4)


@settings(deadline=None)
@given(counts)
def test_whoever_decides_the_same_in_sum_breaches_nothing(found):
    seen = TrialFigures(sum(found), champion=found, candidate=found, p99_ms=(3.0, 3.0), stopped=(600, 600), frauds=(5, 5))
    assert [guard.breach(seen) for guard in GUARDS] == [None] * len(GUARDS)


@settings(deadline=None)
@given(counts, counts, st.floats(0, 0.5), st.integers(1, 2000))
def test_a_rate_breaches_where_counting_says_so(champion, candidate, more, least):
    n = min(sum(champion), sum(candidate))
    champion, candidate = (scaled(each, n) for each in (champion, candidate))
    guard = Guard("block_rate", more=more, least=least)
    breached = n >= least and n > 0 and candidate[3] / n - champion[3] / n > more
    assert (guard.breach(TrialFigures(n, champion=champion, candidate=candidate)) is not None) == breached


def scaled(counts, n):
    """Counts of the same proportions, more or less, that add up to n."""
    blocked = min(counts[3], n)
    return (n - blocked, 0, 0, blocked)


@pytest.mark.parametrize(
    ("guard", "seen", "said"),
    [
        (
            Guard("review_rate", more=0.1, least=10),
            TrialFigures(100, (100, 0, 0, 0), (80, 0, 20, 0)),
            "review_rate is 20.0 %, the champion has 0.0 % on the same 100 events; at most 10.0 points more are allowed",
        ),
        (
            Guard("approval_rate", less=0.1, least=10),
            TrialFigures(100, (100, 0, 0, 0), (80, 0, 20, 0)),
            "approval_rate is 80.0 %, the champion has 100.0 % on the same 100 events; at most 10.0 points less are allowed",
        ),
        (
            Guard("precision", less=0.2, least=50),
            TrialFigures(1000, stopped=(60, 80), frauds=(54, 40)),
            "precision is 50.0 %, the champion has 90.0 % on the same 60 labelled events; at most 20.0 points less are allowed",
        ),
        (
            Guard("error_rate", more=0.01, least=10),
            TrialFigures(0, errors=20),
            "error_rate is 100.0 %, the champion has 0.0 % on the same 20 events; at most 1.0 points more are allowed",
        ),
        (
            Guard("p99_ms", more=5, least=10),
            TrialFigures(100, p99_ms=(1.0, 7.5)),
            "p99_ms is 7.5 ms, the champion has 1.0 ms on the same 100 events; at most 5 ms more are allowed",
        ),
    ],
)
def test_each_figure_says_what_is_wrong(guard, seen, said):
    assert guard.breach(seen) == said
    assert msgspec.structs.replace(guard, least=100_000).breach(seen) is None


@pytest.mark.parametrize(
    ("told", "remedy"),
    [
        ({"figure": "blok_rate", "more": 1}, "Did you mean block_rate"),
        ({"figure": "block_rate"}, "give more=... or less=..."),
        ({"figure": "block_rate", "more": -1}, "not below 0"),
        ({"figure": "block_rate", "more": 0.1, "window": "2d"}, "between 1s and 1d"),
        ({"figure": "block_rate", "more": 0.1, "window": "soon"}, "30s 5m 1h"),
        ({"figure": "block_rate", "more": 0.1, "least": 0}, "whole number above 0"),
        ({"figure": "block_rate", "most": 0.1}, "most"),
    ],
)
def test_a_guard_that_cannot_work_is_refused_with_the_remedy(told, remedy):
    with pytest.raises(DeclarationError, match=remedy.replace(".", r"\.")):
        guards_of([told])


def test_guards_are_written_in_a_policy_on_the_command_line_and_as_json():
    assert guard_of("block_rate more=0.02 window=10m least=300") == Guard("block_rate", more=0.02, window="10m", least=300)
    assert Policy(guards=[Guard("p99_ms", more=5)]).guards == (Guard("p99_ms", more=5),)
    assert Policy().guards == GUARDS
    assert guards_of(msgspec.to_builtins(list(GUARDS))) == GUARDS
    with pytest.raises(DeclarationError, match="guards='block_rate'"):
        Policy(guards=["block_rate"])
    with pytest.raises(DeclarationError, match="write more=NUMBER"):
        guard_of("block_rate more=much")
