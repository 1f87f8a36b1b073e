"""Attacks as episodes: who ties them together, when they begin anew, and how long they go on unnoticed."""

from datetime import UTC, datetime, timedelta

import polars as pl

from penstock.offline.evaluate import by_attack

START = datetime(2026, 1, 1, tzinfo=UTC)


def frauds(rows):
    columns = ["attack", "minute", "customer", "device", "stopped", "amount"]
    frame = pl.DataFrame(rows, schema=columns, orient="row")
    return frame.with_columns(time=pl.lit(START) + pl.duration(minutes="minute"))


def test_an_episode_lasts_until_a_quiet_day_and_is_detected_by_its_first_stop():
    found = by_attack(
        frauds(
            [
                ("takeover", 0, "ann", "d1", False, 10.0),
                ("takeover", 4, "ann", "d2", False, 20.0),
                ("takeover", 10, "ann", "d3", True, 30.0),
                ("takeover", 10 + 1441, "ann", "d4", False, 40.0),  # a day and a minute later: another episode
            ]
        ),
        ["customer", "device"],
    )
    assert found == {
        "takeover": {
            "frauds": 4,
            "stopped": 0.25,
            "value_stopped": 0.3,
            "episodes": 2,
            "detected": 0.5,
            "median_s_to_detection": 600.0,
            "mean_frauds_before_detection": 2.0,
        }
    }


def test_a_farm_is_tied_together_by_its_device_and_a_takeover_by_its_account():
    rows = [("farm", at, f"c{at}", "farm1", at == 3, 5.0) for at in range(4)]
    rows += [("takeover", at, "bob", f"d{at}", at == 0, 5.0) for at in range(4)]
    found = by_attack(frauds(rows), ["customer", "device"])
    assert [found[name]["episodes"] for name in ("farm", "takeover")] == [1, 1]
    assert found["farm"]["median_s_to_detection"] == 180.0
    assert found["takeover"]["median_s_to_detection"] == 0.0


def test_what_was_never_stopped_has_no_time_to_detection():
    found = by_attack(frauds([("burst", 0, "ann", "d", False, 1.0)]), ["customer"])["burst"]
    assert (found["detected"], found["median_s_to_detection"], found["mean_frauds_before_detection"]) == (0.0, None, None)


def test_a_key_that_is_mostly_missing_ties_nothing():
    rows = [("testing", at, f"c{at % 2}", None, True, 1.0) for at in range(6)]
    assert by_attack(frauds(rows), ["device", "customer"])["testing"]["episodes"] == 2


def test_episodes_count_from_their_own_first_fraud_whatever_the_order():
    rows = [("takeover", 30, "ann", "d", True, 1.0), ("takeover", 0, "ann", "d", False, 1.0)]
    assert by_attack(frauds(rows), ["customer"])["takeover"]["median_s_to_detection"] == timedelta(minutes=30).total_seconds()
