"""Simulated payments as a sketch: sixty days that a reference is made of, and days that follow."""

from datetime import UTC, datetime, timedelta

import polars as pl

from penstock.clock import to_us
from penstock.detectors.banking import detector
from penstock.detectors.banking.profile import profile
from penstock.offline.datasets import read
from penstock.offline.drift.reference import reference_of_inputs
from penstock.offline.drift.report import Reporter
from penstock.offline.drift.sketch import HOUR_US, DecisionColumns, Sketch
from penstock.offline.rows import unjudged
from penstock.offline.simulate.simulator import simulate

START = datetime(2026, 1, 1, tzinfo=UTC)
LIVE = START + timedelta(days=60)


def payments(a_day, days, seed=1):
    people = round(a_day / profile.per_day)
    frame = simulate(profile, events=round(1.2 * a_day * days), days=days, people=people, seed=seed, start=START)
    return frame.filter(pl.col("timestamp") < START + timedelta(days=days))


def after(since, frame, **changed):
    """The frame with columns changed from an instant on."""
    later = pl.col("timestamp") >= since
    return frame.with_columns(
        pl.when(later).then(change).otherwise(pl.col(name)).alias(name) for name, change in changed.items()
    )


def seen(rows):
    return DecisionColumns(rows.time_us, {name: rows.x[:, at] for at, name in enumerate(detector.plan.inputs)})


def sketched(frame):
    """The reference of what was before LIVE, a sketch of all that came after, and the reporter."""
    rows = unjudged(detector, read(frame, detector))
    live = rows.time_us >= to_us(LIVE)
    reference = reference_of_inputs(detector, rows.take(~live), "history")
    sketch = Sketch(reference.columns)
    sketch.add(seen(rows.take(live)))
    return reference, sketch, Reporter(detector, reference)


def hourly(reporter, sketch, *, begun=START, since=None, every=1):
    """The report of every hour (or every few) from a day after the sketch begins, as a service would make them."""
    first, stop = sketch.span
    begin = first + 24 if since is None else to_us(since) // HOUR_US + 1
    for hour in range(begin, stop + 1, every):
        yield hour, reporter.report(sketch, now_us=hour * HOUR_US, begun_us=to_us(begun), stop=hour)


def hours_after(since, hour):
    return hour - to_us(since) // HOUR_US


def drifted(report):
    return {column.name for column in report.columns if column.state == "drifted"}
