"""Reasons as an analyst would say them: units, singular and plural, first times, and what is typical."""

import importlib
import re

import pytest

from penstock.decision.phrases import Phrase, duration, phrase_of
from penstock.detectors.banking import detector as banking
from penstock.errors import DeclarationError

DETECTORS = ("banking", "card", "ecommerce", "mobile_money", "payments")


@pytest.mark.parametrize(
    ("feature", "value", "usual", "said"),
    [
        ("merchant_seconds_since_first", None, 1137204.82, "First payment at this merchant (typically 13 days overall)"),
        ("km_from_usual", 10124.03, 8.91, "10,124 km from the customer's usual location (typically 8.9 km overall)"),
        ("seconds_since_last", 1.26, 10628.95, "1.3 s after the customer's previous payment (typically 3 h overall)"),
        ("count_last_5m", 8.0, 1.0, "8 payments by the customer within 5 minutes (typically 1 overall)"),
        ("count_last_5m", 1.0, 3.0, "1 payment by the customer within 5 minutes (typically 3 overall)"),
        ("amount", 2379.48, 58.13, "The amount is 2,379.48 (typically 58.13 overall)"),
        ("is_night", True, False, "A payment at night (UTC) (typically not)"),
        ("count_last_5m", 2.0, None, "2 payments by the customer within 5 minutes"),
    ],
)
def test_a_feature_is_said_with_its_unit_and_what_is_typical(feature, value, usual, said):
    assert phrase_of(feature, banking.words).say(value, usual) == said


def test_durations_are_said_in_the_unit_that_fits():
    assert [duration(seconds) for seconds in (0, 0.4, 59, 60, 5400, 86400, 200000)] == [
        "0 s",
        "0.4 s",
        "59 s",
        "1 min",
        "1.5 h",
        "1 day",
        "2 days",
    ]


@pytest.mark.parametrize("name", DETECTORS)
def test_no_phrase_of_a_built_in_detector_leaves_a_unit_to_the_reader(name):
    """Seconds, kilometres and counts have places of their own; what says `in seconds` would be said as a bare number."""
    words = importlib.import_module(f"penstock.detectors.{name}").detector.words
    literal = re.compile(r"in seconds|in km|number of|in relation to|in standard deviations")
    assert {feature: phrase for feature, phrase in words.items() if literal.search(phrase)} == {}


@pytest.mark.parametrize(
    ("phrase", "why"),
    [("{counts} payments", "no place is called {counts}"), ("{count} of {count}", "two places for the value")],
)
def test_a_place_that_is_unknown_or_comes_twice_is_refused(phrase, why):
    with pytest.raises(DeclarationError) as refused:
        Phrase(phrase, place="detector 'shop': words of 'n'")
    assert str(refused.value).startswith(f"detector 'shop': words of 'n': {phrase!r}: {why}; write one of {{count}}")
