"""A population that shifts is found within a day; one that lives on as before raises nothing in thirty days."""

from datetime import timedelta

import polars as pl
import pytest
from tests.unit.offline.drifting import LIVE, after, drifted, hourly, hours_after, payments, seen, sketched

from penstock import replay
from penstock.clock import to_us
from penstock.detectors.banking import detector
from penstock.offline.datasets import read
from penstock.offline.drift.report import Reporter
from penstock.offline.drift.sketch import DecisionColumns, Sketch
from penstock.offline.rows import unjudged
from penstock.offline.train import run

SHIFT = LIVE + timedelta(days=9)


@pytest.fixture(scope="module")
def history():
    return payments(a_day=600, days=71)


def found_within(frame, hours=24):
    """What drifted, and after how many hours the first alarm came."""
    _, sketch, reporter = sketched(frame)
    for hour, report in hourly(reporter, sketch, since=SHIFT):
        if report.alarms:
            return hours_after(SHIFT, hour), report
        if hours_after(SHIFT, hour) >= hours:
            break
    return None, report


def test_thirty_quiet_days_raise_no_alarm():
    """With the simulator's days, weekends, paydays and attacks, while windows of sixty days and `ever` go on filling."""
    _, sketch, reporter = sketched(payments(a_day=300, days=91))
    reports = [report for _, report in hourly(reporter, sketch, every=4)]
    assert len(reports) >= 30 * 6
    assert [finding.text for report in reports for finding in report.findings] == []
    assert all(report.judged for report in reports)


def test_larger_payments_are_found_within_a_day(history):
    hours, report = found_within(after(SHIFT, history, amount=pl.col("amount") * 1.6))
    assert hours is not None
    assert drifted(report) <= {"amount", "amount_ratio", "amount_to_usual", "amount_to_max", "merchant_deviation"}
    assert {finding.advice for finding in report.alarms} == {"retrain"}


def test_another_population_is_found_within_a_day(history):
    hours, report = found_within(after(SHIFT, history, customer_id=pl.concat_str(pl.lit("new"), "customer_id")))
    assert hours is not None
    assert "is_new_customer" in drifted(report)


def test_a_field_that_stops_coming_is_found_and_the_source_is_to_be_looked_at(history):
    lost = pl.when(pl.col("transaction_id").hash() % 3 > 0).then(pl.col("lat"))
    _, sketch, reporter = sketched(after(SHIFT, history, lat=lost))
    report = next(report for hour, report in hourly(reporter, sketch, since=SHIFT) if hours_after(SHIFT, hour) == 24)
    kinds = {finding.column: (finding.kind, finding.advice) for finding in report.findings}
    assert kinds["payments_at_place_24h"] == kinds["km_across_3h"] == ("missing", "look at the source")


def test_a_burst_of_a_few_hours_is_no_drift(history):
    """Half of the payments of five hours are of one amount: an attack, for alerts to tell of."""
    middle = SHIFT + timedelta(hours=12)
    tested = (pl.col("timestamp") < middle + timedelta(hours=5)) & (pl.col("transaction_id").hash() % 2 == 0)
    frame = after(middle, history, amount=pl.when(tested).then(1.0).otherwise(pl.col("amount")))
    hours, report = found_within(frame, hours=36)
    assert hours is None
    amount = next(column for column in report.columns if column.name == "amount")
    assert max(day.psi for day in amount.days) > 0.1


def test_a_state_that_still_fills_is_not_compared_with_one_that_was_full(history):
    """The same payments, but state was empty when the live ones began: everybody is new, and nobody has drifted."""
    reference, _, reporter = sketched(history)
    rows = unjudged(detector, read(history.filter(pl.col("timestamp") >= LIVE), detector))
    cold = Sketch(reference.columns)
    cold.add(seen(rows))
    report = reporter.report(cold, now_us=0, begun_us=to_us(LIVE))
    states = {column.name: column.state for column in report.columns}
    assert states["is_new_customer"] == states["payments_here_before"] == "filling"
    assert states["amount"] == states["count_last_1h"] == "stable"
    assert report.alarms == []
    assert any("still fill up" in note for note in report.notes)


@pytest.mark.slow
def test_thirty_quiet_days_with_models_raise_no_alarm_and_another_population_moves_scores():
    """Every hour, with the scores of the models as they serve, fitted again, and what is estimated from these."""
    frame = payments(a_day=1000, days=91, seed=5)
    trained = run(detector, frame.filter(pl.col("timestamp") < LIVE))
    assert trained.reference is not None
    quiet = decided(frame, trained)
    reporter = Reporter(detector, trained.reference, trained.served)
    reports = [report for _, report in hourly(reporter, quiet)]
    assert len(reports) >= 30 * 24
    assert [finding.text for report in reports for finding in report.alarms] == []
    moved = decided(after(SHIFT, frame, customer_id=pl.concat_str(pl.lit("new"), "customer_id")), trained)
    [report] = [report for hour, report in hourly(reporter, moved, since=SHIFT) if hours_after(SHIFT, hour) == 24]
    assert {"fraud_probability", "is_new_customer"} <= drifted(report)
    assert {finding.advice for finding in report.alarms if finding.kind == "score"} == {"retrain"}


def decided(frame, trained):
    """The sketch of what the models decided after LIVE."""
    found = replay(detector, frame, trained.served).join(frame.select("transaction_id", "amount"), on="transaction_id")
    live = found.filter(pl.col("timestamp") >= LIVE)
    sketch = Sketch(trained.reference.columns, review_at=0.2)
    floats = {name: live[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in detector.plan.inputs}
    scores = {f"score_{name}": live[f"score_{name}"].to_numpy() for name in trained.served.names}
    time_us = live["timestamp"].cast(pl.Int64).to_numpy()
    sketch.add(DecisionColumns(time_us, floats, {}, {"fraud_probability": live["score"].to_numpy(), **scores}))
    return sketch
