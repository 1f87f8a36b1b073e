"""The same thing is said once in a while, nobody is told more than they can read, and nothing is held back in silence."""

from datetime import timedelta

from penstock.alerts import Evaluator, rule_of

from .conftest import START, detector

SECOND_US = 1_000_000


def pay(stream, seconds, customers, value=900.0):
    at = START + timedelta(seconds=seconds)
    stream.decide([{"timestamp": at, "customer_id": each, "purchase_value": value} for each in customers], at)


def evaluated(stream, rules, limit=1000):
    evaluator = Evaluator(
        detector(), [rule_of({"name": f"r{k}", **rule}) for k, rule in enumerate(rules)], stream.ledger.layouts, limit=limit
    )
    alerts = [alert for _, record in stream.records() for alert in evaluator.evaluate(record)]
    return alerts, evaluator


def test_alerts_about_one_entity_keep_the_cool_down_and_others_go_out(fresh):
    for seconds in range(0, 1500, 100):
        pay(fresh, seconds, ["a", "b"] if seconds == 300 else ["a"])
    alerts, _ = evaluated(fresh, [{"when": "amount > 800", "per": "customer_id", "cooldown": "10m"}])
    told = [(alert.about["customer_id"], alert.transaction_id, alert.suppressed) for alert in alerts if alert.about]
    assert [(who, at) for who, at, _ in told] == [("a", "t0"), ("b", "t4"), ("a", "t7"), ("a", "t13")]
    assert sum(alert.suppressed for alert in alerts) == 16 - len(told) - 2  # the last two are still held back


def test_a_rule_is_told_of_at_most_so_often_an_hour_and_all_rules_together(fresh):
    for seconds in range(0, 7200, 60):
        pay(fresh, seconds, ["a"])
    rule = {"when": "amount > 800", "cooldown": "0s", "limit": 5}
    alerts, _ = evaluated(fresh, [rule])
    times = [alert.at for alert in alerts if alert.transaction_id]
    assert len(times) == 10
    alerts, _ = evaluated(fresh, [rule, {**rule, "when": "amount > 700"}], limit=7)
    assert len([alert for alert in alerts if alert.transaction_id]) == 14


def test_what_was_held_back_is_said_although_nothing_follows(fresh):
    pay(fresh, 0, ["a"] * 9)
    alerts, evaluator = evaluated(fresh, [{"when": "amount > 800", "cooldown": "10m"}])
    assert [alert.suppressed for alert in alerts] == [0]
    now = int(START.timestamp()) * SECOND_US
    assert evaluator.tick(now + 599 * SECOND_US) == []
    [notice] = evaluator.tick(now + 601 * SECOND_US)
    assert notice.text == "8 similar alerts suppressed: r0"
    assert (notice.severity, notice.key) == ("info", "shop:r0:more-1")
    assert evaluator.tick(now + 9999 * SECOND_US) == []


def test_a_message_says_values_as_the_rule_wants_them(fresh):
    pay(fresh, 0, ["a"], 100.0)
    pay(fresh, 60, ["a"], 900.0)
    when = "amount >= 5 * usual"
    message = "{customer_id} pays {amount:.2f}, {decision}, usually {usual}; from {country}"
    [alert], _ = evaluated(fresh, [{"when": when, "message": message, "severity": "critical"}])
    assert alert.text == "a pays 900.00, BLOCK, usually 100; from unknown"
    assert alert.title == "[critical] shop: a pays 900.00, BLOCK, usually 100; from unknown"
    assert alert.values == {"amount": 900, "usual": 100}
    assert alert.reasons == ["900 is large"]
    assert (alert.transaction_id, alert.decision, alert.key) == ("t1", "BLOCK", "shop:r0:1")


def test_every_kind_says_a_sentence_of_its_own(fresh):
    for seconds in range(12):
        pay(fresh, seconds, ["a"])
    alerts, evaluator = evaluated(
        fresh,
        [
            {"when": "amount > 800"},
            {"kind": "burst", "per": "customer_id", "more_than": 3, "when": "decision = 'BLOCK'"},
            {"kind": "burst", "distinct": "decision", "more_than": 1},
            {"kind": "rate", "when": "decision = 'BLOCK'", "above": 0.5, "least": 10},
            {"kind": "gauge", "metric": "lag", "more_than": 5, "lasting": "1m"},
        ],
    )
    said = {alert.rule: alert.text for alert in alerts}
    assert said == {
        "r0": "r0: amount is 900",
        "r1": "r1: more than 3 decisions of a within 5m with decision = 'BLOCK'",
        "r3": "r3: 100.0% of 10 decisions within 10m are decision = 'BLOCK'",
    }
    evaluator.observe({"lag": 7.5}, 0)
    [lag] = evaluator.observe({"lag": 7.5}, 60 * SECOND_US)
    assert lag.text == "r4: lag is 7.5 for 1m (more than 5)"
