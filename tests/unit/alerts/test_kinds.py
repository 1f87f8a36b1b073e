"""Every kind of rule finds exactly what a naive count over all rows finds, however the rows came in batches."""

import pytest

from penstock.alerts import Evaluator, rule_of
from penstock.alerts.windows import PANES

from .conftest import detector

FREELY = {"cooldown": "0s", "limit": 1_000_000}
MINUTE_US = 60_000_000


def found(stream, rule, layouts=None):
    """The ids of the transactions that raised an alert."""
    evaluator = Evaluator(detector(), [rule_of(FREELY | {"name": "r"} | rule)], stream.ledger.layouts, limit=1_000_000)
    return [alert.transaction_id for _, record in stream.records() for alert in evaluator.evaluate(record)]


def naive_burst(rows, matches, key, window_us, more_than, value=None):
    raised, seen = [], {}
    for row in rows:
        if not matches(row) or (value and row[value] is None):
            continue
        mine = seen.setdefault(key(row), [])
        mine.append((row["us"], row[value] if value else len(mine)))
        now = max(us for us, _ in mine)
        if len({what for us, what in mine if us > now - window_us}) > more_than:
            raised.append(row["transaction_id"])
    return raised


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        ("decision = 'BLOCK' AND amount > 950", lambda row: row["decision"] == "BLOCK" and row["purchase_value"] > 950),
        (
            "decision IN ('REVIEW', 'BLOCK') AND country = 'FR'",
            lambda row: row["decision"] != "APPROVE" and row["country"] == "FR",
        ),
        ("country LIKE '%T'", lambda row: row["country"] == "AT"),
        ("rule_large AND rule_often", None),
    ],
)
def test_a_condition_finds_every_decision_it_is_true_for(stream, when, matches):
    expected = [row["transaction_id"] for row in stream.rows if matches and matches(row)]
    if matches is None:
        rules = {
            decision["transaction_id"]: [hit["name"] for hit in decision["explanation"]["rules"]] for decision in told(stream)
        }
        expected = [row["transaction_id"] for row in stream.rows if rules[row["transaction_id"]] == ["large", "often"]]
    assert expected
    assert found(stream, {"when": when}) == expected


def told(stream):
    import msgspec

    return [
        msgspec.json.decode(body)
        for _, record in stream.records()
        for body in stream.engine.queries.render(record, range(len(record)))
    ]


@pytest.mark.parametrize(("within", "more_than"), [("5m", 4), ("1m", 2), ("1h", 30)])
def test_a_burst_finds_every_decision_after_which_there_are_too_many(stream, within, more_than):
    window_us = {"5m": 5, "1m": 1, "1h": 60}[within] * MINUTE_US
    rule = {"kind": "burst", "when": "decision = 'BLOCK'", "within": within, "more_than": more_than}
    expected = naive_burst(stream.rows, lambda row: row["decision"] == "BLOCK", lambda row: (), window_us, more_than)
    assert expected
    assert found(stream, rule) == expected


@pytest.mark.parametrize("per", ["customer_id", ["customer_id", "country"]])
def test_a_burst_of_an_entity_counts_each_alone_and_leaves_out_those_without_a_key(stream, per):
    names = [per] if isinstance(per, str) else per
    rule = {"kind": "burst", "per": per, "within": "5m", "more_than": 5}
    expected = naive_burst(
        stream.rows,
        lambda row: all(row[name] is not None for name in names),
        lambda row: tuple(row[name] for name in names),
        5 * MINUTE_US,
        5,
    )
    assert expected
    assert found(stream, rule) == expected


def test_a_burst_of_different_values_finds_a_second_country_within_the_hour(stream):
    rule = {"kind": "burst", "per": "customer_id", "distinct": "country", "within": "1h", "more_than": 1}
    expected = naive_burst(stream.rows, lambda row: True, lambda row: row["customer_id"], 60 * MINUTE_US, 1, value="country")
    assert expected
    assert found(stream, rule) == expected


def naive_rate(rows, matches, window_us, reference_us, too_high):
    pane_us = window_us // PANES
    raised, seen, newest = [], [], None
    for row in rows:
        pane = row["us"] // pane_us
        newest = pane if newest is None else max(newest, pane)
        seen.append((pane, matches(row)))
        if not matches(row):
            continue
        window = [hit for at, hit in seen if newest - PANES < at <= newest]
        before = [hit for at, hit in seen if newest - PANES - -(-reference_us // pane_us) < at <= newest - PANES]
        if too_high(window, before):
            raised.append(row["transaction_id"])
    return raised


def test_a_rate_finds_a_share_above_a_limit(stream):
    rule = {"kind": "rate", "when": "decision = 'BLOCK'", "within": "10m", "above": 0.19, "least": 5}
    expected = naive_rate(
        stream.rows,
        lambda row: row["decision"] == "BLOCK",
        10 * MINUTE_US,
        0,
        lambda window, _: sum(window) >= 5 and sum(window) / len(window) > 0.19,
    )
    assert expected
    assert found(stream, rule) == expected


def test_a_rate_finds_a_share_several_times_what_it_was_before(stream):
    rule = {"kind": "rate", "when": "decision = 'BLOCK'", "within": "2m", "reference": "20m", "times": 1.1, "least": 3}

    def too_high(window, before):
        known = len(before) >= len(window)
        return sum(window) >= 3 and known and sum(window) / len(window) > 1.1 * sum(before) / len(before)

    expected = naive_rate(stream.rows, lambda row: row["decision"] == "BLOCK", 2 * MINUTE_US, 20 * MINUTE_US, too_high)
    assert expected
    assert found(stream, rule) == expected


def test_a_gauge_is_raised_after_it_has_been_too_much_for_long_enough(stream):
    rule = rule_of(FREELY | {"name": "lag", "kind": "gauge", "metric": "lag", "more_than": 100, "lasting": "30s"})
    evaluator = Evaluator(detector(), [rule], dict)
    seen = [
        (at, bool(evaluator.observe({"lag": lag}, at * 1_000_000))) for at, lag in enumerate([200] * 29 + [50] + [200] * 40)
    ]
    assert [at for at, raised in seen if raised] == list(range(60, 70))


def test_a_gauge_that_grows_counts_the_growth_within_its_window_also_over_a_restart(stream):
    rule = rule_of(FREELY | {"name": "q", "kind": "gauge", "metric": "quarantined", "more_than": 10, "within": "1m"})
    evaluator = Evaluator(detector(), [rule], dict)

    def observe(at, value):
        return [alert.values["value"] for alert in evaluator.observe({"quarantined": value}, at * 1_000_000)]

    assert [observe(at, 1000 + at // 10) for at in range(0, 300, 10)] == [[]] * 30  # what was there before is no growth
    assert observe(310, 1041) == [16]
    assert observe(400, 1041) == []
    assert observe(420, 12) == [12]  # the process was started again and counts from nothing
    assert observe(430, 12) == [12]
    assert evaluator.observe({"other": 5.0}, 440_000_000) == []
