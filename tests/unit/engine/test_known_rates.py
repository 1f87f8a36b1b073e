"""Rates of known outcomes for alerts: absent below 30 known outcomes, and renewed once a minute."""

import numpy as np
import pytest

from penstock.engine.labels.known_rates import RENEWED_US, SPAN_US, KnownRates
from penstock.engine.labels.outcomes import LabelledDecision
from penstock.errors import LedgerError

GOOD, FRAUD = 0, 1
APPROVE, BLOCK = 0, 3


class Outcomes:
    """Known outcomes as a test says; counts how often they were asked for."""

    def __init__(self, counts, *, read=True):
        self.counts, self.read, self.asked, self.error = np.array(counts), read, [], None

    def since(self, start_us, *, rules, look_s):
        self.asked.append((start_us, rules))
        if self.error is not None:
            raise self.error
        return LabelledDecision(self.counts, self.counts * 1.0, {}, False, {}, self.read)


class Clock:
    now_us = 10 * SPAN_US

    def __call__(self):
        return self.now_us


@pytest.mark.parametrize(
    ("good", "fraud", "figures"),
    [
        ([20, 0, 5, 5], [0, 0, 0, 20], {"false_positive_rate_known": 10 / 30, "false_discovery_rate_known": 10 / 30}),
        ([19, 0, 5, 5], [0, 0, 0, 20], {"false_discovery_rate_known": 10 / 30}),
        ([90, 10, 0, 0], [40, 0, 0, 19], {"false_positive_rate_known": 0.1}),
        ([0, 0, 0, 0], [0, 0, 0, 0], {}),
    ],
)
def test_a_rate_has_a_value_from_30_known_outcomes_on(good, fraud, figures):
    assert KnownRates(Outcomes([good, fraud]), Clock()).figures() == pytest.approx(figures)


def test_rates_are_of_the_last_seven_days_and_renewed_once_a_minute():
    outcomes, clock = Outcomes([[20, 0, 0, 20], [0, 0, 0, 0]]), Clock()
    rates = KnownRates(outcomes, clock)
    assert rates.figures()["false_positive_rate_known"] == 0.5
    outcomes.counts[GOOD, APPROVE] = 60
    clock.now_us += RENEWED_US - 1
    assert rates.figures()["false_positive_rate_known"] == 0.5
    clock.now_us += 1
    assert rates.figures()["false_positive_rate_known"] == 0.25
    assert outcomes.asked == [(10 * SPAN_US - SPAN_US, False), (10 * SPAN_US - SPAN_US + RENEWED_US, False)]


def test_nothing_is_said_until_all_labels_are_read_and_each_look_goes_on_reading():
    outcomes = Outcomes([[20, 0, 0, 20], [0, 0, 0, 0]], read=False)
    rates = KnownRates(outcomes, Clock())
    assert (rates.figures(), rates.figures(), len(outcomes.asked)) == ({}, {}, 2)
    outcomes.read = True
    assert rates.figures() == {"false_positive_rate_known": 0.5}


def test_a_ledger_that_does_not_answer_leaves_the_last_rates(caplog):
    outcomes, clock = Outcomes([[20, 0, 0, 20], [0, 0, 0, 0]]), Clock()
    rates = KnownRates(outcomes, clock)
    known = rates.figures()
    outcomes.error, clock.now_us = LedgerError("away"), clock.now_us + RENEWED_US
    assert rates.figures() == known
    assert "cannot be renewed: away" in caplog.text
