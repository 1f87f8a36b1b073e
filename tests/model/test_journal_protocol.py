"""No order of events lets the journal on Kafka decide twice, show what does not count, or publish anything else."""

from dataclasses import replace

import pytest

from tests.model.journal_protocol import Message, Protocol, State, explore

OLD = State(log=(Message((9, 0), None, 0),), published=((0, None),))
"""A journal that version 0.1 began."""

STILL_WRITING = State(flying=frozenset({Message((9, 0), None, 0)}))
"""A transaction of version 0.1 is under way."""


MORE = {"starts": 3, "stops": 2, "failovers": 1}


@pytest.mark.parametrize("start", [State(), OLD, STILL_WRITING], ids=["new", "old", "still writing"])
@pytest.mark.parametrize("bounds", [{}, pytest.param(MORE, marks=pytest.mark.slow)], ids=["small", "large"])
def test_every_order_of_events_is_safe(start, bounds):
    number, wrong, way = explore(Protocol(), replace(start, **bounds))
    assert wrong is None, "\n".join(map(str, way))
    assert number > (100_000 if bounds else 1_000)


@pytest.mark.parametrize(
    ("without", "wrong"),
    [
        ("readers_heed_claims", "an event is decided twice"),
        ("gaps_are_read", "a decision that was shown does not count"),
        ("publishers_are_fenced", "what is published is not what counts, in its order"),
        ("position_with_messages", "what is published is not what counts, in its order"),
    ],
)
def test_the_model_finds_what_each_safeguard_prevents(without, wrong):
    assert explore(Protocol(**{without: False}), State(starts=3))[1] == wrong
